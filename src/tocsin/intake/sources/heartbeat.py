"""Heartbeats, in the manner of healthchecks.io: a job calls ``/ping/<key>`` when it is well.

``/ping/<key>`` says *ok*, ``/start`` that it began, ``/fail`` that it failed, ``/<exit code>`` how it ended (0 is
*ok*, 1 to 255 *fail*). GET, HEAD and POST do the same; a body (the end of a log, say) is kept as text, up to 10 kB.
The answer is plain text, ``OK``.

Deliberate differences: a longer body is cut, never refused, because a long log must not make a healthy job look dead;
``/log`` and run ids (``?rid=``) are not known.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from tocsin.intake.bounds import CUT, clean, cut
from tocsin.intake.entrance import Entrance
from tocsin.intake.event import Beat
from tocsin.intake.request import Heard, Known, Limits, Reply, Request, Source
from tocsin.kernel.instant import Instant

VERSION = 1
MAX_BODY = 10_000
"""Bytes of a ping's body that are kept."""

_PLAIN = "text/plain; charset=utf-8"
_METHODS = ("GET", "HEAD", "POST")


def decode(request: Request, now: Instant, limits: Limits, known: Mapping[bytes, Known]) -> Heard:
    """Read one sign of life. Never raises; the path is what follows the key."""
    if request.method not in _METHODS:
        return _refused(405, f"method {cut(request.method, 32)} is not allowed", (("Allow", ", ".join(_METHODS)),))
    word = request.path.strip("/")
    kind: Literal["start", "ok", "fail"]
    exit_code: int | None = None
    if word == "":
        kind = "ok"
    elif word == "start":
        kind = "start"
    elif word == "fail":
        kind = "fail"
    elif word.isascii() and word.isdigit() and len(word) <= 3 and int(word) <= 255:
        exit_code = int(word)
        kind = "fail" if exit_code else "ok"
    else:
        return _refused(404, f"there is no ping {cut(request.path, 64)}; known are /start, /fail and /0 to /255")
    reply = Reply(200, b"" if request.method == "HEAD" else b"OK", _PLAIN)
    return Heard(reply=reply, beats=(Beat(kind=kind, exit_code=exit_code, body=_body(request.body)),))


def refuse(status: int, message: str, retry_after: int | None = None) -> Reply:
    """A refusal in plain text, as a shell script would print it."""
    headers = (("Retry-After", str(retry_after)),) if retry_after is not None else ()
    return Reply(status, clean(message).encode(), _PLAIN, headers)


def _refused(status: int, message: str, headers: tuple[tuple[str, str], ...] = ()) -> Heard:
    return Heard(reply=Reply(status, clean(message).encode(), _PLAIN, headers), fault=message)


def _body(body: bytes) -> str:
    if not body:
        return ""
    text = clean(body[:MAX_BODY].decode(errors="replace"))
    return text + CUT if len(body) > MAX_BODY else text


def _snippet(url: str, _key: str) -> str:
    return (
        "# crontab: a sign of life after each success\n"
        f"0 3 * * *  /usr/local/bin/backup && curl -fsS -m 10 --retry 5 -o /dev/null {url}\n"
    )


ENTRANCE = Entrance(
    name="Heartbeat",
    about="A job calls an address when it is well; silence becomes an alert.",
    where="At the end of the job, or in its crontab line.",
    prefix="/ping",
    key="path",
    paths=(),
    methods=(),
    snippet=_snippet,
)
SOURCE = Source(name="heartbeat", version=VERSION, decode=decode, refuse=refuse, cuts=True, entrance=ENTRANCE)
