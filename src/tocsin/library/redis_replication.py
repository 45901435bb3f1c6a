"""Replication of Redis and Valkey: what is wrong between a replica and its primary, and following it again safely.

Needs what ``tocsin.library.redis`` needs; a playbook has two parameters, such as ``replica: redis.Server, primary:
redis.Server``, and its service a target named ``primary``.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit

from msgspec import Struct

from tocsin.kernel.instant import SECOND, parse_duration
from tocsin.library.redis import WARM, Server, connected, size_of, told
from tocsin.playbooks.language import Refused, Span, fix, look

if TYPE_CHECKING:
    from redis import Redis

__all__ = ["WARM", "Compared", "Replication", "Unsafe", "agreement", "compared", "follow", "reconnect", "state"]


class Unsafe(Refused):
    """A fix would lose something, and was not done; the message says what."""


class Replication(Struct, frozen=True):
    """Whom a server follows, and how well. ``follows``: host and port, "" for a primary.

    ``history`` names the stream of writes its data came from, ``offset`` how many bytes of it it has; ``earlier`` the
    one it had before it became a primary, up to ``earlier_offset`` ("" and -1 without one). ``silent_for``: seconds
    since it last heard its primary, -1 when it never did. ``full_syncs`` and ``refused``: whole copies it has sent, and
    commands and logins it has refused for want of a password or a right, both since it started.
    """

    follows: str
    link: bool
    syncing: bool
    silent_for: int
    history: str
    offset: int
    earlier: str = ""
    earlier_offset: int = -1
    replicas: int = 0
    full_syncs: int = 0
    refused: int = 0

    def __str__(self) -> str:
        if not self.follows:
            return f"it is a primary with {self.replicas} replicas"
        state = "is copying everything" if self.syncing else "is up" if self.link else "is down"
        heard = f", last heard {self.silent_for} s ago" if self.silent_for >= 0 else ""
        return f"it follows {self.follows}; the link {state}{heard}"


@look
def state(server: Server) -> Replication:
    """Whom it follows, and whether the link is up."""
    with connected(server) as client:
        return _read(client)


def _read(client: Redis) -> Replication:
    info = told(client, "replication", "stats", "errorstats")
    replica = info["role"] == "slave"
    earlier = str(info.get("master_replid2", ""))
    known = bool(earlier.strip("0"))
    refusals = (info.get(f"errorstat_{code}", {}) for code in ("NOAUTH", "WRONGPASS", "NOPERM"))
    return Replication(
        follows=f"{info['master_host']}:{info['master_port']}" if replica else "",
        link=info.get("master_link_status") == "up",
        syncing=bool(int(info.get("master_sync_in_progress", 0))),
        silent_for=int(info.get("master_last_io_seconds_ago", -1)),
        history=str(info["master_replid"]),
        offset=int(info["slave_repl_offset" if replica else "master_repl_offset"]),
        earlier=earlier if known else "",
        earlier_offset=int(info.get("second_repl_offset", 0)) - 1 if known else -1,
        replicas=int(info.get("connected_slaves", 0)),
        full_syncs=int(info.get("sync_full", 0)),
        refused=sum(int(one.get("count", 0)) for one in refusals),
    )


Broken = Literal["", "lost", "elsewhere", "primary gone", "refused", "resyncing", "down", "stuck", "lagging"]
_SAID: dict[Broken, str] = {
    "": "it follows, and keeps up",
    "lost": "it follows nobody",
    "elsewhere": "it follows another server",
    "primary gone": "its primary does not answer",
    "refused": "its primary refuses its login: its masteruser or masterauth is wrong",
    "resyncing": "it copies everything anew",
    "down": "the link is down although its primary answers",
    "stuck": "the link is up, but nothing comes over it",
    "lagging": "it is far behind",
}
STUCK = 15
"""A primary speaks every ten seconds at the least (``repl-ping-replica-period``)."""


class Compared(Struct, frozen=True):
    """A replica beside the primary it should follow.

    ``broken``: what is wrong, "" when nothing is. ``agree``: it has no write that the primary has not, so following it
    again loses nothing; ``why`` says what that rests on. ``behind``: bytes of the stream it lacks. ``full_syncs`` and
    ``refused``: what the primary did meanwhile.
    """

    broken: Broken
    agree: bool
    why: str
    behind: int
    full_syncs: int
    refused: int
    replica: Replication
    primary: Replication | None

    def __str__(self) -> str:
        more = [self.why, f"{size_of(self.behind)} behind"] if self.primary is not None else []
        more += [f"{self.full_syncs} whole copies begun meanwhile"] * bool(self.full_syncs)
        return "; ".join([_SAID[self.broken], *more])


@look
def compared(
    replica: Server, primary: Server, *, at: str = "", over: Span = "3s", too_far: int = 10_000_000
) -> Compared:
    """What is wrong between a replica and the primary it should follow: two looks at both, ``over`` apart.

    ``at``: where the replica reaches the primary, as host:port, when that is not where Tocsin does. ``too_far``: bytes.
    A replica whose password is wrong tries once a second, and the primary counts that: ``over`` should be 3 s or more.
    """
    from redis import exceptions

    place = at or _place(primary)
    with connected(replica) as own:
        try:
            with connected(primary) as other:
                before = _read(other)
                time.sleep(parse_duration(over) / SECOND)
                now, follower = _read(other), _read(own)
        except (exceptions.ConnectionError, exceptions.TimeoutError):
            return Compared("primary gone", False, "nothing is known of its data", 0, 0, 0, _read(own), None)
    agree, why = agreement(follower, now)
    copies, refused = now.full_syncs - before.full_syncs, now.refused - before.refused
    behind = max(0, now.offset - follower.offset) if agree else 0
    broken = _broken(follower, now, place, copies, refused, behind > too_far)
    return Compared(broken, agree, why, behind, copies, refused, follower, now)


def _broken(replica: Replication, primary: Replication, at: str, copies: int, refused: int, far: bool) -> Broken:
    if not replica.follows:
        return "lost"
    if replica.link and replica.history == primary.history:
        if copies or replica.syncing:
            return "resyncing"
        if replica.silent_for > STUCK:
            return "stuck"
        return "lagging" if far else ""
    if replica.follows != at:
        return "elsewhere"
    if refused:
        return "refused"
    return "resyncing" if copies or replica.syncing else "down"


def agreement(replica: Replication, primary: Replication) -> tuple[bool, str]:
    """Whether a replica's data is a part of the primary's, so that following it loses nothing; and why.

    Histories are compared, not data: a server that became a primary begins a new history and remembers the earlier one
    and how much of it it had; a write of its own moves its offset on.
    """
    if primary.follows:
        return False, f"what should be the primary follows {primary.follows} itself"
    if replica.history == primary.history and not replica.follows:
        return False, "both targets are one server"
    if replica.history == primary.history:
        if replica.offset <= primary.offset:
            return True, "both are of one history"
        return False, "both are of one history, but it has more of it than the primary"
    if replica.earlier == primary.history:
        if replica.offset > replica.earlier_offset:
            more = replica.offset - replica.earlier_offset
            return False, f"it took {more} bytes of writes of its own since it followed nobody"
        if replica.offset <= primary.offset:
            return True, "it followed this primary, and took no write of its own since"
        return False, "it has more of the primary's history than the primary"
    if primary.earlier == replica.history and replica.offset <= primary.earlier_offset:
        return True, "the primary took over from what it followed, and had all that it has"
    return False, "their histories have nothing in common"


def _place(server: Server) -> str:
    at = urlsplit(server.credential)
    return f"{at.hostname or 'localhost'}:{at.port or 6379}"


FENCE = 15.0
"""So many seconds a replica takes no writes while ``follow`` looks once more."""
DECIDED = 5.0
"""So soon that is done: what is told to the replica then is answered (``redis.WITHIN``) before the fence ends."""


@fix(
    idempotent=True,
    says="have {replica} follow {primary} again, if that loses nothing",
    undo="have it follow none: REPLICAOF NO ONE",
)
def follow(replica: Server, primary: Server, *, at: str = "") -> str:
    """Have a replica follow its primary again, if that loses nothing. Raises Unsafe if it would.

    Whether the data agree is looked at again while the replica takes no writes, so none can come in between. Unsafe
    too when that look takes longer than the replica can be kept from them.
    """
    with connected(replica) as own, connected(primary) as other:
        began = time.monotonic()
        own.client_pause(int(FENCE * 1000), all=False)
        try:
            follower, now = _read(own), _read(other)
            place = at or _place(primary)
            if follower.follows == place and follower.link:
                return f"it follows {place} already"
            agree, why = agreement(follower, now)
            if not agree:
                raise Unsafe(f"following {place} would lose data: {why}")
            host, _, port = place.rpartition(":")
            took = time.monotonic() - began
            if took > DECIDED:
                raise Unsafe(f"to look took {took:.0f} s, and soon it takes writes again: try once more")
            own.replicaof(host, port)
        finally:
            own.client_unpause()
    return f"it follows {place} again; {why}"


@fix(
    idempotent=True,
    says="close the link of {replica} to its primary, which opens another",
    undo="it need not be: it goes on where it was",
)
def reconnect(replica: Server) -> int:
    """Close a replica's link to its primary; it opens another at once, and goes on where it was. Returns how many."""
    with connected(replica) as client:
        closed: Any = client.client_kill_filter(_type="master")
        return int(closed)
