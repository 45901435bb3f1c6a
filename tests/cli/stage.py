"""A small HTTP server that plays the API with the very shapes it publishes, and the real `tocsin` run against it."""

from __future__ import annotations

import json
import os
import pty
import ssl
import struct
import tempfile
import termios
import threading
from collections.abc import Callable
from fcntl import ioctl
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlsplit

import msgspec

from tests.support.certificates import Certificate
from tests.support.nursery import nursery, run_warm
from tests.support.processes import inherited_environment
from tests.support.server import tocsin_command
from tocsin.api import models as m

TOKEN = "tocsin_of-the-stage"
DATE = "Sun, 22 Nov 2026 03:30:00 GMT"


class Asked(NamedTuple):
    """A request as it came."""

    method: str
    path: str
    query: dict[str, list[str]]
    headers: dict[str, str]
    body: Any


class Done(NamedTuple):
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """What it printed, decoded."""
        return json.loads(self.out)


Answer = tuple[int, Any] | Callable[[Asked], tuple[int, Any] | None]


class Stage:
    """`answers` maps "GET /incidents" to (status, body), or to a function of the request; None drops the connection."""

    def __init__(self, certificate: Certificate | None = None) -> None:
        self.answers: dict[str, Answer] = {}
        self.asked: list[Asked] = []
        self.content_type = "application/json"
        self.headers: dict[str, str] = {}
        stage = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                stage._answer(self)

            do_POST = do_PUT = do_PATCH = do_DELETE = do_GET

            def date_time_string(self, timestamp: float | None = None) -> str:
                return DATE

            def log_message(self, *args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        scheme = "http"
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate.cert, certificate.key)
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
            scheme = "https"
        self.url = f"{scheme}://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def pages(self, route: str, *pages: list[Any]) -> None:
        """Answer a list in several pages, joined by cursors."""

        def answer(asked: Asked) -> tuple[int, Any]:
            place = int(asked.query.get("cursor", ["0"])[0])
            following = str(place + 1) if place + 1 < len(pages) else None
            return 200, {"items": pages[place], "next": following}

        self.answers[route] = answer

    def problem(self, route: str, status: int, code: str, detail: str, **more: Any) -> None:
        """Refuse as the API does."""
        self.answers[route] = (
            status,
            {"type": "about:blank", "title": code, "status": status, "code": code, "detail": detail, **more},
        )

    def folder(self, tmp_path: Path) -> Path:
        """A data folder as `tocsin up` leaves it, leading here."""
        data = tmp_path / "data"
        data.mkdir(mode=0o700, exist_ok=True)
        (data / "address").write_text(self.url + "\n")
        (data / "token").write_text(TOKEN + "\n")
        (data / "token").chmod(0o600)
        return data

    def run(self, *arguments: str, stdin: str = "", **environment: str) -> Done:
        """Run `tocsin` with this server as TOCSIN_URL."""
        return run(*arguments, stdin=stdin, cwd=None, TOCSIN_URL=self.url, TOCSIN_TOKEN=TOKEN, **environment)

    def _answer(self, handler: BaseHTTPRequestHandler) -> None:
        parts = urlsplit(handler.path)
        raw = handler.rfile.read(int(handler.headers.get("Content-Length") or 0))
        asked = Asked(
            handler.command,
            parts.path,
            parse_qs(parts.query, keep_blank_values=True),
            {name.lower(): value for name, value in handler.headers.items()},
            json.loads(raw) if raw else None,
        )
        self.asked.append(asked)
        answer: Any = self.answers.get(f"{asked.method} {parts.path.removeprefix('/api/v1')}")
        if callable(answer):
            answer = answer(asked)
            if answer is None:
                handler.close_connection = True
                return
        if asked.headers.get("authorization") != f"Bearer {TOKEN}":
            answer = (401, {"title": "Unauthorized", "status": 401, "code": "not_signed_in", "detail": "sign in"})
        elif answer is None:
            answer = (
                404,
                {
                    "title": "Not Found",
                    "status": 404,
                    "code": "not_found",
                    "detail": f"there is nothing at {parts.path}",
                },
            )
        status, body = answer
        content = body if isinstance(body, bytes) else b"" if body is None else msgspec.json.encode(body)
        handler.send_response(status)
        if content:
            kind = self.content_type if status < 400 or isinstance(body, bytes) else "application/problem+json"
            handler.send_header("Content-Type", kind)
        for name, value in self.headers.items():
            handler.send_header(name, value)
        handler.send_header("Content-Length", str(len(content)))
        handler.end_headers()
        handler.wfile.write(content)


def run(*arguments: str, stdin: str = "", cwd: Path | None = None, **environment: str) -> Done:
    """Run `tocsin` as a script would: no terminal anywhere."""
    env = inherited_environment(**{"TZ": "UTC", "USER": "ops", **environment})
    done = run_warm([str(tocsin_command()), *arguments], env, 60, stdin=stdin, cwd=cwd)
    return Done(done.returncode, done.stdout, done.stderr)


def on_terminal(columns: int, *arguments: str, **environment: str) -> Done:
    """Run `tocsin` with a terminal of so many columns as its stdout; `out` is what a person's terminal receives."""
    outer, inner = pty.openpty()
    ioctl(inner, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    env = inherited_environment(**{"TZ": "UTC", "USER": "ops", "TERM": "xterm-256color", **environment})
    env.pop("NO_COLOR", None) if "NO_COLOR" not in environment else None
    for name in ("COLUMNS", "LINES"):
        env.pop(name, None)
    with tempfile.TemporaryFile() as err:
        process = nursery().start([str(tocsin_command()), *arguments], stdout=inner, stderr=err.fileno(), env=env)
        os.close(inner)
        received = bytearray()
        while True:
            try:
                part = os.read(outer, 65536)
            except OSError:  # how Linux says that the other end is closed
                break
            if not part:
                break
            received += part
        os.close(outer)
        code = process.wait(60)
        said = os.pread(err.fileno(), os.fstat(err.fileno()).st_size, 0).decode()
    return Done(code, received.decode(), said)


# --- things as the API publishes them


def incident(number: int = 17, **changes: Any) -> dict[str, Any]:
    """An incident, in the API's own shape."""
    base = m.PublishedIncident(
        number=number, url=f"https://tocsin.example.com/incidents/{number}", title="Cart redis is out of memory",
        service="cart-redis", severity="sev1", customer_tier="", state="triggered", reason="opened",
        because="no open incident had room for this alert", group="alertname=RedisFull",
        labels={"alertname": "RedisFull"},
        opened_at="2026-11-22T03:17:00.000Z", since="2026-11-22T03:17:00.000Z",
        updated_at="2026-11-22T03:28:00.000Z", alert_count=2, page_count=1,
        acknowledged_by="", acknowledged_at=None, acknowledged_until=None, first_acknowledged_at=None, answered_by=[],
        answers_needed=1, resolved_by="", resolved_at=None, snoozed_until=None, clear_at=None,
        reopened=0, reopened_at=None, paused=None, paused_until=None,
        next_page_at="2026-11-22T03:34:32.000Z", urgency="high", waits=None, responders=[], plan="a1b2c3",
        code=[], code_lifted=None, tried=[],
    )  # fmt: skip
    return {**msgspec.to_builtins(base), **changes}


def alert(number: int = 42, **changes: Any) -> dict[str, Any]:
    """An alert, in the API's own shape."""
    base = m.PublishedAlert(
        id=number, fingerprint="0011223344556677", title="RedisFull", state="firing", severity="sev1",
        service="cart-redis", origin="inbox", source="alertmanager", key="", group="alertname=RedisFull",
        labels={"alertname": "RedisFull", "instance": "cart-1"}, annotations={}, link="", reason="joined",
        because="an open incident of the same group took it", routed="route_matched",
        starts_at="2026-11-22T03:17:00.000Z", ends_at=None, first_seen="2026-11-22T03:17:00.000Z",
        last_seen="2026-11-22T03:29:00.000Z", resolved_at=None, stale=False, count=12, incident=17, silences=[],
    )  # fmt: skip
    return {**msgspec.to_builtins(base), **changes}


def silence(name: str = "6f1c5a0e-3c7f-4d6e-9a51-0f5f8a4f7f10", **changes: Any) -> dict[str, Any]:
    """A silence, in the API's own shape."""
    base = m.PublishedSilence(
        id=name, state="active", matchers=['alertname="RedisFull"'], author="ana", comment="moving cart-1",
        starts_at="2026-11-22T03:00:00.000Z", ends_at="2026-11-22T05:30:00.000Z", created_at="2026-11-22T03:00:00.000Z",
        updated_at="2026-11-22T03:00:00.000Z", origin="", quiet_now=3, firing_now=40,
    )  # fmt: skip
    return {**msgspec.to_builtins(base), **changes}


def key(number: int = 4, **changes: Any) -> dict[str, Any]:
    """A key, in the API's own shape."""
    base = m.PublishedKey(
        id=number, name="prometheus", source="alertmanager", service="inbox", hint="wxyz", heartbeat="", declared=False,
        created_at="2026-11-20T03:00:00.000Z", created_by="user:ops", revoked_at=None,
        limits=m.PublishedLimits(rate=2000.0, burst=10_000, body=4 * 2**20, alerts=5_000), limits_set=[],
    )  # fmt: skip
    return {**msgspec.to_builtins(base), **changes}


def user(name: str = "ana", **changes: Any) -> dict[str, Any]:
    """A user, in the API's own shape."""
    base = m.PublishedUser(
        name=name,
        role="responder",
        person="ana",
        password=True,
        created_at="2026-11-20T03:00:00.000Z",
        disabled_at=None,
    )
    return {**msgspec.to_builtins(base), **changes}


def token(number: int = 3, **changes: Any) -> dict[str, Any]:
    """A token, in the API's own shape."""
    base = m.PublishedToken(
        id=number, kind="token", user="ana", name="deploys", created_at="2026-11-20T03:00:00.000Z", expires_at=None,
        used_at=None, revoked_at=None,
    )  # fmt: skip
    return {**msgspec.to_builtins(base), **changes}


def status(**changes: Any) -> dict[str, Any]:
    """How the server is, in the API's own shape."""
    base = m.PublishedStatus(
        version="0.1.0", ready=True, paging=True, started_at="2026-11-22T01:00:00.000Z", now="2026-11-22T03:30:00.500Z",
        plan_version="a1b2c3d4e5f60718", real_channel_proven_at="2026-11-20T03:00:00.000Z", alerts_live=2,
        incidents_open=1,
        waiting=0, audit=[], audit_at="2026-11-22T03:29:50.000Z", requests=120, refused=0,
        public_url="https://tocsin.example.com", mail_ready=True,
    )  # fmt: skip
    return {**msgspec.to_builtins(base), **changes}


def entry(number: int, **changes: Any) -> dict[str, Any]:
    """A line of a timeline, in the API's own shape."""
    base = m.PublishedEntry(
        id=number, at="2026-11-22T03:17:00.000Z", what="The incident was opened", reason="opened",
        because="no open incident had room for this alert", actor="code", detail={},
    )  # fmt: skip
    return {**msgspec.to_builtins(base), **changes}


def page(number: int, **changes: Any) -> dict[str, Any]:
    """A row of the ledger, in the API's own shape."""
    base = m.PublishedPage(
        id=number, incident=17, person="ana", channel="email", address="ana@shop.example", kind="page", title="",
        reason="step_due", because="this step of the escalation was due", step=0, state="sent", outcome="sent",
        intended_at="2026-11-22T03:17:01.000Z", next_at=None, attempts=1, finished_at="2026-11-22T03:17:02.000Z",
        delivered_at=None, seen_at=None, answered_at=None, provider_id="", error="", unsure=False,
        contact=1, held=None, not_before=None, bundle=None, overtaken_by=None,
    )  # fmt: skip
    return {**msgspec.to_builtins(base), **changes}


def contact(number: int = 7, **changes: Any) -> dict[str, Any]:
    """A contact method just added, in the API's own shape."""
    base = m.NewContact(
        id=number, person="ana", channel="webhook", address="https://push.example/ana", label="phone",
        state="unverified", declared=False, added_at="2026-11-22T03:29:00.000Z", added_by="person:ana",
        verified_at=None, failed_at=None, failure="", code_until="2026-11-22T03:39:00.000Z", left_at=None,
        signing_secret="whsec_x",
    )  # fmt: skip
    return {**msgspec.to_builtins(base), **changes}


def reach(**changes: Any) -> dict[str, Any]:
    """A person's rules, in the API's own shape."""
    base = m.PublishedReach(
        person="ana", high=[m.WayOut(contact=7, after="0s"), m.WayOut(contact=4, after="2m")], low=[],
        quiet_from="22:00", quiet_until="08:00", bundle_after=3, bundle_within="30s",
    )  # fmt: skip
    return {**msgspec.to_builtins(base), **changes}


def change(number: int = 3, **changes: Any) -> dict[str, Any]:
    """Something that was changed out there, in the API's own shape."""
    base = m.PublishedChange(
        id=number, at="2026-11-22T03:02:00.000Z", service="cart-redis", source="pagerduty",
        summary="maxmemory lowered to 2 GB", link="https://ci.example/9", details={},
    )  # fmt: skip
    return {**msgspec.to_builtins(base), **changes}


def sheet(number: int = 17, **changes: Any) -> dict[str, Any]:
    """An incident with what belongs to it, in the API's own shape."""
    newest_first = [
        entry(
            3,
            at="2026-11-22T03:20:00.000Z",
            what="Note: moved traffic",
            reason="note",
            because="a person wrote it down",
            actor="person:ben",
        ),
        entry(
            2,
            at="2026-11-22T03:17:01.000Z",
            what="Paged ana by email",
            reason="step_due",
            because="this step of the escalation was due",
        ),
        entry(1),
    ]
    return {
        **incident(number),
        "timeline": {"items": newest_first, "next": None},
        "pages": {"items": [page(7)], "next": None},
        "alerts": {"items": [alert(42)], "next": None},
        "changes": {"items": [change(3)], "next": None},
        **changes,
    }


def explanation(of: str = "incident", number: int = 17, **changes: Any) -> dict[str, Any]:
    """Why somebody was paged, in the API's own shape."""

    def sentence(at: str, text: str, reason: str, because: str, until: str | None = None) -> m.PublishedSentence:
        return m.PublishedSentence(at=at, text=text, reason=reason, because=because, until=until, actor="")

    base = m.PublishedExplanation(
        of="incident" if of == "incident" else "alert", id=number, title="Cart redis is out of memory", incident=17,
        paged=True, quiet=False,
        sentences=[
            sentence("2026-11-22T03:17:00.000Z", "The incident was opened", "opened", "no open incident had room"),
            sentence("2026-11-22T03:17:02.000Z", "The page for ana by email left", "sent", "the channel took it"),
        ],
        now=sentence(
            "2026-11-22T03:17:02.000Z", "Step 2 is paged next unless somebody answers", "waiting_for_answer",
            "someone was paged and has time to answer", "2026-11-22T03:34:32.000Z",
        ),
    )  # fmt: skip
    return {**msgspec.to_builtins(base), **changes}
