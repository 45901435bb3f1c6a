"""ntfy's side, as its documentation says it behaves, and a telephone's: stand-ins, for no ntfy server can be had here.

The server takes what its own clients publish, as JSON to its root or with headers to a topic, and hands it out to
those who ask. What it is published has to fit its documented fields with no other among them. A `Phone` asks by an
unmodified client (python-ntfy), keeps what the app would show, and presses buttons as the app does.
"""

from __future__ import annotations

import base64
import http.client
import json
import re
import secrets
import time
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from aiohttp import web
from python_ntfy import NtfyClient

from tests.support.standing_in import StandIn
from tests.support.waiting import eventually

MESSAGE_LIMIT = 4_096
_TOPIC = re.compile(r"[-_A-Za-z0-9]{1,64}")
_DISALLOWED = frozenset({"docs", "static", "file", "app", "metrics", "account", "settings", "signup", "login", "v1"})
_FIELDS: dict[str, type] = {
    "topic": str, "message": str, "title": str, "tags": list, "priority": int, "actions": list, "click": str,
    "attach": str, "markdown": bool, "icon": str, "filename": str, "delay": str, "email": str, "call": str,
    "sequence_id": str,
}  # fmt: skip
"""What may be published as JSON."""
_ACTION: dict[str, type] = {
    "action": str, "label": str, "clear": bool, "url": str, "method": str, "headers": dict, "body": str,
    "intent": str, "extras": dict,
}  # fmt: skip
_SINCE = re.compile(r"([0-9]+)([smh])")
_YES = frozenset({"1", "yes", "true"})


class Refusal(NamedTuple):
    """What is answered instead, once: ntfy's own error, its status the first three digits of the number."""

    code: int
    error: str
    headers: Mapping[str, str] = {}


class RefusedError(Exception):
    """A request that ntfy refuses."""

    def __init__(self, code: int, error: str, headers: Mapping[str, str] = {}) -> None:
        super().__init__(error)
        self.told = Refusal(code, error, headers)


class NtfyServer(StandIn):
    """A running one. `wrong` is what it was published and nobody documents; `refusals` is answered by the next
    publications instead. `token` or `user` and `password`, where given, are asked for; then a topic can be kept from
    them with `forbids`. `knows_sequences`: from version 2.16 on.
    """

    def __init__(
        self, *, token: str = "", user: str = "", password: str = "", knows_sequences: bool = True
    ) -> None:
        super().__init__([web.route("*", "/{path:.*}", self._api)], longest=64 * 1024)
        self.token, self.user, self.password = token, user, password
        self.knows_sequences = knows_sequences
        self.published: list[dict[str, Any]] = []
        """What came as JSON and was taken, as it came."""
        self.messages: list[dict[str, Any]] = []
        """What is handed out, the oldest first."""
        self.polls = 0
        self.refused_at = 0.0
        self.took_at: list[float] = []
        self.refusals: deque[Refusal] = deque()
        self.forgets: set[str] = set()
        """Topics of which nothing is kept."""
        self._forbidden: set[str] = set()

    def forbids(self, topic: str) -> None:
        """Whoever signs in may not use it."""
        self._forbidden.add(topic)

    def refuse(self, *refusals: Refusal) -> None:
        """Answer the next publications so."""
        self.refusals.extend(refusals)

    def to(self, topic: str) -> list[dict[str, Any]]:
        """What was published to a topic as JSON so far."""
        return [one for one in self.published if one["topic"] == topic]

    def wait_for(self, topic: str, count: int = 1, *, within: float = 10.0) -> list[dict[str, Any]]:
        """The same, once there are so many."""
        return eventually(
            lambda: found if len(found := self.to(topic)) >= count else None,
            within=within,
            what=f"{count} messages to {topic} ({self.wrong})",
        ) or []

    # -- ntfy's API ----------------------------------------------------------------------------------------------------

    async def _api(self, request: web.Request) -> web.Response:
        try:
            self._signed_in(request.headers.get("authorization", ""))
            return await self._routed(request)
        except RefusedError as refused:
            code, error, headers = refused.told
            status = code // 100
            told = {"code": code, "http": status, "error": error, "link": "https://ntfy.sh/docs/publish/"}
            return web.json_response(told, status=status, headers=dict(headers))

    def _signed_in(self, said: str) -> None:
        """Nobody needs to, but who says who they are must be it."""
        if not said or not (self.token or self.user):
            return
        kind, _, what = said.partition(" ")
        user, password = "", what
        if kind == "Basic":
            user, _, password = base64.b64decode(what).decode().partition(":")
        # A password without a user is a token.
        good = (user, password) == (self.user, self.password) if user else self.token and password == self.token
        if not good:
            raise RefusedError(40101, "unauthorized")

    async def _routed(self, request: web.Request) -> web.Response:
        parts = [part for part in request.path.split("/") if part]
        publishes = request.method in ("POST", "PUT")
        if publishes and not parts:
            return await self._publish_json(request)
        topics = parts[0].split(",") if parts else []
        if not topics or not all(_TOPIC.fullmatch(one) for one in topics):
            raise RefusedError(40401, "page not found")
        for topic in topics:
            self._allowed(request, topic)
        if request.method == "GET" and parts[1:] == ["json"]:
            return self._hand_out(request, topics)
        if publishes and len(parts) == 1:
            return await self._publish_headers(request, topics[0])
        raise RefusedError(40401, "page not found")

    def _allowed(self, request: web.Request, topic: str) -> None:
        if topic in _DISALLOWED:
            raise RefusedError(40010, "invalid request: topic name is not allowed")
        stranger = (self.token or self.user) and not request.headers.get("authorization")
        if stranger or topic in self._forbidden:
            raise RefusedError(40301, "forbidden")

    async def _publish_json(self, request: web.Request) -> web.Response:
        raw = await request.read()
        if len(raw) >= 2 * MESSAGE_LIMIT:
            raise RefusedError(41303, "JSON body too large")
        try:
            said = json.loads(raw, object_hook=_without_nulls)
            assert isinstance(said, dict)
        except (ValueError, AssertionError):
            raise RefusedError(40024, "invalid request: request body must be valid JSON") from None
        if faults := list(_faults(said, _FIELDS)):
            self.wrong += faults
            raise RefusedError(40024, "invalid request: request body must be valid JSON")
        if not _TOPIC.fullmatch(said.get("topic", "")):
            raise RefusedError(40009, "invalid request: topic invalid")
        self._allowed(request, said["topic"])
        message = self._taken(said)
        self.published.append(said)
        return self._kept(message)

    async def _publish_headers(self, request: web.Request, topic: str) -> web.Response:
        """As scripts and python-ntfy do. Text that is too long would become a file."""
        given = request.headers
        body = (await request.read()).decode()
        said: dict[str, Any] = {"topic": topic, "message": body}
        for name in ("title", "click", "sequence_id"):
            header = "x-sequence-id" if name == "sequence_id" else name
            if value := given.get(header) or given.get(f"x-{header}"):
                said[name] = value
        if priority := given.get("priority"):
            said["priority"] = int(priority)
        if found := given.get("tags"):
            said["tags"] = found.split(",")
        if found := given.get("actions"):
            said["actions"] = [_simple(one) for one in found.split(";")]
        return self._kept(self._taken(said))

    def _taken(self, said: dict[str, Any]) -> dict[str, Any]:
        """The message that a publication becomes."""
        self.took_at.append(time.monotonic())
        if self.refusals:
            self.refused_at = self.took_at.pop()
            raise RefusedError(*self.refusals.popleft())
        if len(said.get("message", "").encode()) > MESSAGE_LIMIT:
            raise RefusedError(40014, "invalid request: attachments not allowed")
        if not 0 <= said.get("priority", 0) <= 5:
            raise RefusedError(40007, "invalid priority parameter")
        if "sequence_id" in said and not _TOPIC.fullmatch(said["sequence_id"]):
            raise RefusedError(40049, "invalid request: sequence ID invalid")
        now = int(time.time())
        message = {"id": secrets.token_urlsafe(9), "time": now, "expires": now + 12 * 3600, "event": "message"}
        message |= {"topic": said["topic"], "message": said.get("message", "").strip() or "triggered"}
        message |= {name: said[name] for name in ("title", "priority", "tags", "click") if said.get(name)}
        if said.get("sequence_id") and self.knows_sequences:
            message["sequence_id"] = said["sequence_id"]
        if said.get("actions"):
            message["actions"] = [_action(one) for one in said["actions"]]
            if len(said["actions"]) > 3:
                raise RefusedError(40018, "invalid request: actions invalid; only 3 actions allowed")
        return message

    def _kept(self, message: dict[str, Any]) -> web.Response:
        if message["topic"] not in self.forgets:
            self.messages.append(message)
        return web.json_response(message)

    def _hand_out(self, request: web.Request, topics: list[str]) -> web.Response:
        """What was kept, to who asks for no more than that: nobody here keeps a connection."""
        self.polls += 1
        if request.query.get("poll", "").lower() not in _YES:
            self.wrong.append(f"{request.path_qs} would be a stream")
        since = _since(request.query.get("since", "all"))
        lines = [_line(one) for one in self.messages if one["topic"] in topics and one["time"] >= since]
        return web.Response(body=b"".join(lines), content_type="application/x-ndjson", charset="utf-8")


def _line(message: dict[str, Any]) -> bytes:
    return json.dumps(message).encode() + b"\n"


def _since(text: str) -> int:
    """From which time on, in seconds."""
    if text == "all":
        return 0
    if text.isdigit():
        return int(text)
    found = _SINCE.fullmatch(text)
    if found is None:
        raise RefusedError(40008, "invalid since parameter")
    return int(time.time()) - int(found[1]) * {"s": 1, "m": 60, "h": 3600}[found[2]]


def _without_nulls(said: dict[str, Any]) -> dict[str, Any]:
    """As ntfy reads it: what is null was not said."""
    return {name: value for name, value in said.items() if value is not None}


def _faults(said: dict[str, Any], known: Mapping[str, type], where: str = "") -> Iterator[str]:
    """The fields nobody documents, and those of another type."""
    for name, value in said.items():
        if name not in known:
            yield f"{where}{name} is no field"
        elif type(value) is not known[name]:
            yield f"{where}{name} is {value!r}"
    for tag in said.get("tags", ()):
        if type(tag) is not str or "," in tag:
            yield f"the tag {tag!r}"
    for one in said.get("actions", ()):
        yield from _faults(one, _ACTION, "actions.")


def _simple(text: str) -> dict[str, Any]:
    """One action of the header's short form: `action=http, label=…, url=…, headers.x=…, clear=True`."""
    said: dict[str, Any] = {}
    for part in text.split(","):
        name, _, value = part.strip().partition("=")
        if name.startswith("headers."):
            said.setdefault("headers", {})[name.partition(".")[2]] = value
        else:
            said[name] = value.lower() in _YES if name == "clear" else value
    if faults := list(_faults(said, _ACTION)):
        raise RefusedError(40018, f"invalid request: actions invalid; {faults}")
    return said


def _action(said: dict[str, Any]) -> dict[str, Any]:
    """As it is handed out, or why it cannot be."""
    kind = said.get("action", "").lower()
    why = ""
    if kind not in ("view", "broadcast", "http"):
        why = f"parameter 'action' cannot be '{kind}'"
    elif not said.get("label"):
        why = "parameter 'label' is required"
    elif kind in ("view", "http") and not said.get("url"):
        why = f"parameter 'url' is required for action '{kind}'"
    elif kind == "http" and said.get("method", "").upper() in ("GET", "HEAD") and said.get("body"):
        why = "parameter 'body' cannot be set if method is GET"
    if why:
        raise RefusedError(40018, f"invalid request: actions invalid; {why}")
    told = {"id": secrets.token_urlsafe(7), **said, "action": kind, "clear": said.get("clear", False)}
    return told | ({"method": said["method"].upper()} if said.get("method") else {})


@contextmanager
def running_ntfy(**how: Any) -> Iterator[NtfyServer]:
    """One for as long as the block lasts."""
    with NtfyServer(**how) as server:
        yield server


class Phone:
    """Somebody's ntfy app, subscribed to one topic. What it knows comes through python-ntfy, an unmodified client."""

    def __init__(self, server: NtfyServer, topic: str) -> None:
        self.topic = topic
        auth: Any = (server.user, server.password) if server.user else server.token or None
        self._client = NtfyClient(topic, server=server.url, auth=auth)
        self._cleared: set[str] = set()
        self.pressed: list[tuple[int, str]] = []
        """What each press was answered."""

    def received(self) -> list[dict[str, Any]]:
        """Everything that came, the oldest first."""
        return sorted(self._client.get_cached_messages(), key=lambda one: int(one["time"]))

    def drawer(self) -> list[dict[str, Any]]:
        """The notifications that are shown: of each sequence the newest, without those that were cleared."""
        newest = {one.get("sequence_id") or one["id"]: one for one in self.received()}
        return [one for one in newest.values() if one["id"] not in self._cleared]

    def shows(self, *, within: float = 10.0, **what: Any) -> dict[str, Any]:
        """The newest notification that is shown, once it has what is named: its texts as parts, the rest as it is."""

        def looked() -> dict[str, Any] | None:
            newest = self.drawer()[-1:] or [{}]
            for name, value in what.items():
                found = newest[0].get(name)
                assert value in str(found) if isinstance(value, str) else found == value, newest
            return newest[0] or None

        return eventually(looked, within=within, what=f"{what} on the telephone") or {}

    def press(self, notification: Mapping[str, Any], label: str = "Acknowledge") -> int:
        """Press a button as the app does: its method or POST, its headers, its body or an empty one. A 2xx is a
        success, and clears the notification where the button says so. The status that was answered.
        """
        (action,) = [one for one in notification["actions"] if one["label"] == label]
        assert action["action"] == "http"
        method = action.get("method", "POST")
        body = action.get("body", None if method in ("GET", "HEAD") else "")
        url = urlsplit(action["url"])
        line = http.client.HTTPConnection(url.netloc, timeout=15)  # which names no kind of content, as OkHttp does not
        with closing(line):
            line.request(method, url.path, None if body is None else body.encode(), dict(action.get("headers", {})))
            answer = line.getresponse()
            status, text = answer.status, answer.read().decode()
        self.pressed.append((status, text))
        if 200 <= status < 300 and action["clear"]:
            self._cleared.add(str(notification["id"]))
        return status
