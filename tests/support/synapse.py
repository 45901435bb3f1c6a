"""A real Matrix homeserver (Synapse), alone on loopback, and the people on it."""

from __future__ import annotations

import hashlib
import hmac
import json
import sys
import tempfile
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from tests.support.ports import free_port
from tests.support.processes import Process, inherited_environment
from tests.support.waiting import eventually

NAME = "matrix.example"
_SECRET = "only this test knows it"
_UNLIMITED = {"per_second": 10_000, "burst_count": 10_000}


class Synapse:
    """A running Synapse; `url` is its base. `person(name)` registers somebody and signs them in."""

    def __init__(self, folder: Path) -> None:
        """Start one with its data under `folder`."""
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        config = {
            "server_name": NAME,
            "pid_file": str(folder / "pid"),
            "listeners": [
                {
                    "port": port,
                    "type": "http",
                    "bind_addresses": ["127.0.0.1"],
                    "resources": [{"names": ["client"]}],
                }
            ],
            "database": {"name": "sqlite3", "args": {"database": str(folder / "homeserver.db")}},
            "media_store_path": str(folder / "media"),
            "signing_key_path": str(folder / "signing.key"),
            "registration_shared_secret": _SECRET,
            "report_stats": False,
            "caches": {"sync_response_cache_duration": 0},  # else a phone that asks anew sees what it saw before
            "trusted_key_servers": [],
            "rc_message": _UNLIMITED,
            "rc_login": {"address": _UNLIMITED, "account": _UNLIMITED},
            "rc_invites": {"per_room": _UNLIMITED, "per_user": _UNLIMITED, "per_issuer": _UNLIMITED},
            "rc_room_creation": _UNLIMITED,
        }
        file = folder / "homeserver.yaml"
        file.write_text(yaml.safe_dump(config))
        command = [sys.executable, "-m", "synapse.app.homeserver", "--config-path", str(file)]
        environment = inherited_environment()
        keys = Process([*command, "--generate-keys"], log=folder / "keys.log", cwd=folder, env=environment)
        assert keys.popen.wait(60) == 0, keys.tail()
        self.process = Process(command, log=folder / "synapse.log", cwd=folder, env=environment)
        self.process.wait_until(self._ready, within=60, what="Synapse to be ready")

    def person(self, name: str) -> MatrixPerson:
        """Somebody with an account."""
        path = f"{self.url}/_synapse/admin/v1/register"
        nonce = _call("GET", path)["nonce"]
        text = f"{nonce}\0{name}\0a password\0notadmin"
        mac = hmac.new(_SECRET.encode(), text.encode(), hashlib.sha1).hexdigest()
        made = _call(
            "POST", path, {"nonce": nonce, "username": name, "password": "a password", "admin": False, "mac": mac}
        )
        return MatrixPerson(self.url, made["user_id"], made["access_token"])

    def _ready(self) -> bool:
        with urllib.request.urlopen(f"{self.url}/_matrix/client/versions", timeout=1) as answer:
            return bool(answer.status == 200)


class MatrixPerson:
    """One account, used as a phone would use it."""

    def __init__(self, url: str, id: str, token: str) -> None:
        self.id, self.token = id, token
        self._url = url
        self._made = 0

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """Ask the client-server API."""
        return _call(method, f"{self._url}/_matrix/client/v3{path}", body, self.token)

    def rooms(self) -> dict[str, list[dict[str, Any]]]:
        """The rooms they are in, invitations accepted, with what was said there, oldest first."""
        new = self.call("GET", "/sync?timeout=0")
        for room in new.get("rooms", {}).get("invite", {}):
            self.call("POST", f"/rooms/{urllib.parse.quote(room)}/join", {})
        found = {}
        for room in self.call("GET", "/joined_rooms")["joined_rooms"]:
            told = self.call("GET", f"/rooms/{urllib.parse.quote(room)}/messages?dir=b&limit=100")["chunk"]
            found[room] = [event for event in reversed(told) if event["type"] == "m.room.message"]
        return found

    def page(self, *, count: int = 1) -> tuple[str, dict[str, Any]]:
        """Room and event of the newest message, once there are so many."""

        def told() -> tuple[str, dict[str, Any]] | None:
            events = [(room, event) for room, said in self.rooms().items() for event in said]
            events.sort(key=lambda one: one[1]["origin_server_ts"])
            return events[-1] if len(events) >= count else None

        found = eventually(told, within=20, what=f"{count} messages to {self.id}")
        assert found is not None
        return found

    def react(self, room: str, event: str, key: str) -> None:
        """Put an emoji under a message."""
        about = {"rel_type": "m.annotation", "event_id": event, "key": key}
        self._send(room, "m.reaction", {"m.relates_to": about})

    def say(self, room: str, text: str, *, reply_to: str = "") -> None:
        """Say something, as a reply or for itself."""
        content: dict[str, Any] = {"msgtype": "m.text", "body": text}
        if reply_to:
            content["m.relates_to"] = {"m.in_reply_to": {"event_id": reply_to}}
        self._send(room, "m.room.message", content)

    def read(self, room: str, event: str) -> None:
        """Have seen a message."""
        self.call("POST", f"/rooms/{urllib.parse.quote(room)}/receipt/m.read/{urllib.parse.quote(event)}", {})

    def _send(self, room: str, kind: str, content: dict[str, Any]) -> None:
        self._made += 1
        self.call("PUT", f"/rooms/{urllib.parse.quote(room)}/send/{kind}/test-{self._made}", content)


def _call(method: str, url: str, body: Any = None, token: str = "") -> Any:
    headers = {"Content-Type": "application/json", **({"Authorization": f"Bearer {token}"} if token else {})}
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data=data, method=method, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as error:
        raise AssertionError(f"{method} {url} answered {error.code}: {error.read().decode()[:300]}") from None


@contextmanager
def running_synapse() -> Iterator[Synapse]:
    """A Synapse for as long as the block lasts."""
    with tempfile.TemporaryDirectory(prefix="tocsin-synapse-") as name:
        server = Synapse(Path(name))
        try:
            yield server
        finally:
            server.process.stop()
