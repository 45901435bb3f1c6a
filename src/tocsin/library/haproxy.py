"""One server behind HAProxy: how it is loaded, take it out and put it back, let fewer requests at it.

By HAProxy's runtime socket. A target is ``{haproxy: {socket: /run/haproxy/admin.sock, server: web/web-1, drain: on,
least: 20, usual: 200}}``. What is changed holds until HAProxy is reloaded: its configuration has the last word.
"""

from __future__ import annotations

import csv
import socket
import time
from typing import ClassVar

from msgspec import Struct

from tocsin.library.described import Refused, Trouble, described
from tocsin.library.outgoing import connected
from tocsin.playbooks.language import Target, fix, look

WITHIN = 5.0
MOST = 4 * 1024 * 1024
_DRAINED, _MAINTAINED = "DRAIN", "MAINT"


class Where(Struct, frozen=True):
    """What the plan says of a server. ``usual`` 0: it is not limited; else between ``least`` and ``usual``."""

    socket: str
    server: str
    drain: bool = False
    least: int = 0
    usual: int = 0


class Server(Target, frozen=True):
    """One server of a backend."""

    kind: ClassVar[str] = "haproxy"

    @property
    def where(self) -> Where:
        """What the plan says of it. Raises ValueError for anything else."""
        return described(self, Where, "{haproxy: {socket: /run/haproxy/admin.sock, server: web/web-1}}")


class Load(Struct, frozen=True):
    """A server as HAProxy sees it. ``status`` in HAProxy's words (UP, DOWN, DRAIN, MAINT, no check); ``serves``: new
    requests go to it. ``sessions`` under way; ``limit`` of them, 0: none; ``queued``: wait for their turn, at the
    server and at its backend; ``a_second``: new ones; ``errors``: answers 5xx and failures since HAProxy began.
    ``waits_ms``, ``answers_ms``: how long the last 1,024 requests waited in the queue and for the server's answer.

    ``others_serve``: how many other servers of the backend take requests.
    """

    status: str
    serves: bool
    sessions: int
    limit: int
    queued: int
    a_second: int
    errors: int
    others_serve: int
    waits_ms: int = 0
    answers_ms: int = 0

    def __str__(self) -> str:
        limit = f" of {self.limit}" if self.limit else ""
        here = f"{self.status}, {self.sessions}{limit} sessions, {self.queued} queued, {self.a_second} a second"
        return f"{here}; {self.others_serve} other{'s' * (self.others_serve != 1)} of its backend serve"


@look
def load(server: Server) -> Load:
    """How a server is loaded. Raises Trouble when HAProxy has none of that name."""
    return _load(server.where)


@fix(idempotent=True, says="send no new requests to {server}", undo="send requests to it again: haproxy.put_back")
def drain(server: Server, *, least_others: int = 1) -> str:
    """Send no new requests to it; those under way go on, and health checks too.

    Only while at least ``least_others`` other servers of its backend take requests; Trouble otherwise, and for one that
    somebody has in maintenance.
    """
    where = server.where
    _may_drain(where, server.name)
    now = _load(where)
    _leave_maintained(now, server.name)
    if now.status.startswith(_DRAINED):
        return f"it was {now.status} already"
    if now.others_serve < max(1, least_others):
        raise Refused(f"{now.others_serve} other servers of its backend take requests: the last is not taken out")
    _set(where, "state drain")
    return f"it gets no new requests; {now.sessions} were under way"


@fix(idempotent=True, says="send requests to {server} again", undo="drain it again: haproxy.drain")
def put_back(server: Server) -> str:
    """Send requests to it again, as far as its health checks let. Raises Trouble for one that somebody has in
    maintenance: no step puts it there, so none takes it out.
    """
    where = server.where
    _may_drain(where, server.name)
    _leave_maintained(_load(where), server.name)
    _set(where, "state ready")
    return "it gets requests again"


@fix(
    idempotent=True,
    says="let {server} work on {sessions} requests at once",
    undo="set it back to what is usual: haproxy.limit",
)
def limit(server: Server, sessions: int) -> str:
    """Let it work on so many requests at once; others wait in HAProxy's queue, and are refused (503) after ``timeout
    queue``: so what it does answer is answered in time. Back to ``usual`` is the way back.

    Raises Trouble outside of the plan's ``least`` and ``usual``.
    """
    where = server.where
    if not where.usual:
        raise Refused(f"the plan does not let {server.name} be limited: add least: and usual:")
    if not where.least <= sessions <= where.usual or sessions < 1:
        raise Refused(f"{sessions} is not within {max(1, where.least)} and {where.usual}, the plan's bounds")
    was = _load(where).limit
    if was == sessions:
        return f"its limit is {sessions} already"
    answer = _say(where.socket, f"set maxconn server {where.server} {sessions}")
    if answer.strip():
        raise Trouble(f"HAProxy says: {answer.strip()[:300]}")
    return f"its limit is {sessions}, was {was or 'none'}"


def _may_drain(where: Where, name: str) -> None:
    if not where.drain:
        raise Refused(f"the plan does not let {name} be taken out: add drain: on")


def _leave_maintained(now: Load, name: str) -> None:
    if now.status.startswith(_MAINTAINED):
        raise Refused(f"somebody has {name} in maintenance ({now.status}): it is left as it is")


def _load(where: Where) -> Load:
    backend, _, name = where.server.partition("/")
    rows = list(csv.DictReader(_say(where.socket, f"show stat {backend} 6 -1").lstrip("# ").splitlines()))
    servers = {one["svname"]: one for one in rows if one["pxname"] == backend}
    whole = servers.pop("BACKEND", {})
    mine = servers.pop(name, None)
    if mine is None:
        there = ", ".join(list(servers)[:10]) or "none"
        raise Trouble(f"HAProxy has no server {where.server}; its backend has {there}")
    return Load(
        status=mine["status"],
        serves=_serves(mine),
        sessions=_number(mine, "scur"),
        limit=_number(mine, "slim"),
        queued=_number(mine, "qcur") + _number(whole, "qcur"),
        a_second=_number(mine, "rate"),
        errors=_number(mine, "hrsp_5xx") + _number(mine, "econ") + _number(mine, "eresp"),
        others_serve=sum(_serves(one) for one in servers.values()),
        waits_ms=_number(mine, "qtime"),
        answers_ms=_number(mine, "rtime"),
    )


def _serves(row: dict[str, str]) -> bool:
    return row["status"].startswith(("UP", "no check")) and _number(row, "weight") > 0


def _number(row: dict[str, str], key: str) -> int:
    text = row.get(key) or "0"
    return int(text) if text.isdigit() else 0


def _set(where: Where, what: str) -> None:
    answer = _say(where.socket, f"set server {where.server} {what}").strip()
    if answer:
        raise Trouble(f"HAProxy says: {answer[:300]}")


def _say(at: str, line: str) -> str:
    """One command of HAProxy's runtime socket, and its answer. Raises Trouble when there is none in time."""
    until = time.monotonic() + WITHIN
    try:
        with _opened(at) as wire:
            wire.sendall(line.encode() + b"\n")
            text = bytearray()
            while True:
                wire.settimeout(max(0.01, until - time.monotonic()))
                some = wire.recv(64 * 1024)
                text += some
                if not some:
                    return text.decode(errors="replace")
                if len(text) > MOST or time.monotonic() > until:
                    raise Trouble("HAProxy does not come to an end with its answer")
    except TimeoutError:
        raise Trouble(f"HAProxy's socket {at} does not answer within {WITHIN:g} s") from None
    except OSError as error:
        raise Trouble(f"HAProxy's socket {at} cannot be reached: {error.strerror or error}") from None


def _opened(at: str) -> socket.socket:
    if not at.startswith("/"):
        host, _, port = at.rpartition(":")
        return connected(host, int(port), WITHIN)
    wire = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        wire.settimeout(WITHIN)
        wire.connect(at)
    except BaseException:
        wire.close()
        raise
    return wire
