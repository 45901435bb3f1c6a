"""Who is connected to a PostgreSQL server, and what they do: too many, blocking others, too long.

A session is known by its process number and its start, its transaction and its statement by theirs. Whatever ends one
asks for all of that again in the very statement that ends it, so nobody else is meant who got the number meanwhile.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import LiteralString

from msgspec import Struct

from tocsin.kernel.instant import SECOND, parse_duration
from tocsin.library.postgres.server import Open, Server, connected, masked, span
from tocsin.playbooks.language import Span, fix, look

MOST_SESSIONS = 200
MOST_GROUPS = 20
GONE_WITHIN = 5.0
"""Seconds a session may take to be gone after it was told to end."""
_EVERY = 0.05

_SESSION: LiteralString = """
select a.pid, (extract(epoch from a.backend_start) * 1000000)::bigint, coalesce(a.usename, ''),
       coalesce(a.datname, ''), coalesce(a.application_name, ''), coalesce(host(a.client_addr), 'local'),
       coalesce(a.state, ''), coalesce((extract(epoch from a.xact_start) * 1000000)::bigint, 0),
       coalesce((extract(epoch from a.query_start) * 1000000)::bigint, 0),
       greatest(0, coalesce(extract(epoch from clock_timestamp() - a.state_change), 0))::float8,
       greatest(0, coalesce(extract(epoch from clock_timestamp() - a.xact_start), 0))::float8,
       coalesce(a.wait_event_type || ': ' || a.wait_event, ''), left(coalesce(a.query, ''), 4000)
  from pg_stat_activity a
"""
# Whatever is asked for besides, these are never ended: a superuser's (the person who is just mending it), replication
# and every other process that is no client's, Tocsin's own.
_THIS_ONE: LiteralString = """
  from pg_stat_activity a join pg_roles r on r.oid = a.usesysid
 where a.pid = %(pid)s and (extract(epoch from a.backend_start) * 1000000)::bigint = %(started)s
   and a.backend_type = 'client backend' and not r.rolsuper and a.pid <> pg_backend_pid()
   and a.application_name not like 'tocsin%%'
"""
_IDLES: LiteralString = """
   and a.state = 'idle' and a.application_name = %(application)s
   and a.state_change <= clock_timestamp() - make_interval(secs => %(seconds)s)
"""
_IDLES_IN_TRANSACTION: LiteralString = """
   and a.state in ('idle in transaction', 'idle in transaction (aborted)')
   and (extract(epoch from a.xact_start) * 1000000)::bigint = %(began)s
   and a.state_change <= clock_timestamp() - make_interval(secs => %(seconds)s)
"""
_RUNS_STILL: LiteralString = """
   and a.state = 'active' and (extract(epoch from a.query_start) * 1000000)::bigint = %(asked)s
"""
_END_IDLE: LiteralString = "select pg_terminate_backend(a.pid)" + _THIS_ONE + _IDLES
_END_TRANSACTION: LiteralString = "select pg_terminate_backend(a.pid)" + _THIS_ONE + _IDLES_IN_TRANSACTION
_CANCEL: LiteralString = "select pg_cancel_backend(a.pid)" + _THIS_ONE + _RUNS_STILL
_TERMINATE: LiteralString = "select pg_terminate_backend(a.pid)" + _THIS_ONE + _RUNS_STILL
_LEFT_ALONE = "left alone: it is gone, does something else by now, or may not be ended"


class Session(Struct, frozen=True):
    """One client's session. ``started``, ``began`` (its transaction) and ``asked`` (its newest statement): microseconds
    since 1970, 0 for none. ``lasts``: seconds since it came into its ``state``; ``age``: seconds of its transaction.

    ``query`` is its newest statement without the values in it.
    """

    pid: int
    started: int
    user: str
    database: str
    application: str
    client: str
    state: str
    began: int
    asked: int
    lasts: float
    age: float
    waits: str
    query: str

    @property
    def idle_in_transaction(self) -> bool:
        """Whether it holds a transaction open and does nothing in it."""
        return self.state.startswith("idle in transaction")

    def lasted(self, at_least: str) -> bool:
        """Whether it has been in its state for so long, such as ``"5m"``."""
        return self.lasts >= _seconds(at_least)

    def __str__(self) -> str:
        who = f"{self.application or 'no name'} ({self.user} from {self.client}, process {self.pid})"
        return f"{who} {self.state} for {span(self.lasts)} in {self.database}: {self.query}"


class Sessions(Struct, frozen=True):
    """Sessions that were asked for, the longest first; ``total`` counts also those that had no room."""

    total: int
    sessions: tuple[Session, ...]

    def __str__(self) -> str:
        if not self.sessions:
            return "there is none"
        return f"{self.total:,}, the longest: {self.sessions[0]}"


# -- connections -------------------------------------------------------------------------------------------------------


class Group(Struct, frozen=True):
    """The connections of one application and user. ``idle``: of them, those that do nothing."""

    application: str
    user: str
    connections: int
    idle: int
    idle_in_transaction: int

    def __str__(self) -> str:
        return f"{self.application or 'no name'} ({self.user}) {self.connections:,}, {self.idle:,} of them idle"


class Connections(Struct, frozen=True):
    """How many connections there are. ``limit``: those that any user may open, without the reserved ones; so
    ``used_ratio`` is more than 1 while reserved ones are in use. ``by``: who has most, at most 20.
    """

    used: int
    limit: int
    used_ratio: float
    active: int
    idle: int
    idle_in_transaction: int
    by: tuple[Group, ...]

    def __str__(self) -> str:
        most = "; ".join(map(str, self.by[:3]))
        return f"{self.used:,} of {self.limit:,} connections ({self.used_ratio:.0%}), {self.idle:,} idle; most: {most}"


_LIMIT: LiteralString = """
select current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int
       - coalesce(nullif(current_setting('reserved_connections', true), ''), '0')::int
"""
_GROUPS: LiteralString = """
select coalesce(application_name, ''), coalesce(usename, ''), count(*)::int,
       (count(*) filter (where state = 'idle'))::int, (count(*) filter (where state like 'idle in tr%'))::int,
       (count(*) filter (where state = 'active'))::int
  from pg_stat_activity where backend_type = 'client backend' and pid <> pg_backend_pid()
 group by 1, 2 order by 3 desc, 1, 2
"""


@look
def connections(server: Server) -> Connections:
    """How many connections there are, and whose. Tocsin's own one is not counted."""
    with connected(server) as there:
        there.see_all()
        found = there.row(_LIMIT)
        groups = there.rows(lambda *said: said, _GROUPS)
    assert found is not None
    used, limit = sum(one[2] for one in groups), max(1, int(found[0]))
    return Connections(
        used=used,
        limit=limit,
        used_ratio=round(used / limit, 4),
        active=sum(one[5] for one in groups),
        idle=sum(one[3] for one in groups),
        idle_in_transaction=sum(one[4] for one in groups),
        by=tuple(Group(*one[:5]) for one in groups[:MOST_GROUPS]),
    )


@look
def idle_sessions(server: Server, *, application: str, idle_for: Span = "10m") -> Sessions:
    """One application's sessions that have done nothing for longer than ``idle_for`` and hold no transaction.

    ``application`` is its ``application_name``, the whole of it. Never a superuser's, replication, or Tocsin's own.
    """
    query: LiteralString = _SESSION + """
  join pg_roles r on r.oid = a.usesysid
 where a.backend_type = 'client backend' and a.state = 'idle' and a.application_name = %(application)s
   and not r.rolsuper and a.pid <> pg_backend_pid() and a.application_name not like 'tocsin%%'
   and a.state_change <= clock_timestamp() - make_interval(secs => %(seconds)s)
 order by a.state_change, a.pid
"""
    with connected(server) as there:
        there.see_all()
        found = there.rows(_session, query, {"application": application, "seconds": _seconds(idle_for)})
    return Sessions(len(found), tuple(found[:MOST_SESSIONS]))


class Ended(Struct, frozen=True):
    """What came of ending sessions. ``left``: those that were in use again, gone, or may not be ended."""

    ended: int
    left: int

    def __str__(self) -> str:
        return f"{self.ended:,} closed, {self.left:,} left alone"


@fix(
    idempotent=True,
    says="close {sessions} sessions of {server} that are idle for {idle_for}",
    undo="it need not be: a client that needs one opens another",
)
def close_idle(server: Server, sessions: tuple[Session, ...], *, idle_for: Span) -> Ended:
    """Close these sessions; a pool that needs one opens another.

    One that did something within ``idle_for`` is in use again, and stays. Returns when those that were told to end are
    gone, or five seconds later.
    """
    with connected(server, within=10) as there:
        there.see_all()
        told = [
            one
            for one in sessions[:MOST_SESSIONS]
            if _hit(there, _END_IDLE, one, application=one.application, seconds=_seconds(idle_for))
        ]
        still = _wait_gone(there, told)
    ended = len(told) - len(still)
    return Ended(ended, len(sessions) - ended)


# -- blocking ----------------------------------------------------------------------------------------------------------


class Blocker(Struct, frozen=True):
    """A session that waits for nobody and that others wait for. ``blocks``: how many, also through others."""

    session: Session
    blocks: int

    def __str__(self) -> str:
        return f"{self.blocks:,} wait for {self.session}"


class Blocking(Struct, frozen=True):
    """Who waits for a lock, and for whom. ``waiting``: sessions; ``longest``: seconds of the one that waits longest.

    ``blockers``: those at the root of it, the one that blocks most first. ``prepared``: waiting for a prepared
    transaction, which is no session's: it is found in ``pg_prepared_xacts``, and a person decides.
    """

    waiting: int
    longest: float
    blockers: tuple[Blocker, ...]
    prepared: int

    def __str__(self) -> str:
        if not self.waiting:
            return "nobody waits for a lock"
        who = "; ".join(map(str, self.blockers[:3])) or "whoever they waited for is gone"
        more = f"; {self.prepared:,} wait for a prepared transaction" if self.prepared else ""
        return f"{self.waiting:,} wait for a lock, the longest for {span(self.longest)}: {who}{more}"


_WAITING: LiteralString = """
select pid, pg_blocking_pids(pid), greatest(0, extract(epoch from clock_timestamp() - state_change))::float8
  from pg_stat_activity where wait_event_type = 'Lock' and pid <> pg_backend_pid() order by state_change limit 500
"""


@look
def blocking(server: Server) -> Blocking:
    """Which sessions wait for a lock, and which ones hold what they wait for."""
    with connected(server) as there:
        there.see_all()
        waits: dict[int, list[int]] = {}
        longest = 0.0
        for pid, holders, seconds in there.rows(lambda *said: said, _WAITING):
            waits[pid] = list(holders)
            longest = max(longest, seconds)
        roots = blocked_by(waits)
        wanted = [pid for pid in roots if pid]
        found = there.rows(_session, _SESSION + " where a.pid = any(%(pids)s)", {"pids": wanted}) if wanted else []
    blockers = sorted((Blocker(one, roots[one.pid]) for one in found), key=lambda one: (-one.blocks, one.session.pid))
    return Blocking(len(waits), longest, tuple(blockers[:MOST_GROUPS]), roots.get(0, 0))


def blocked_by(waits: dict[int, list[int]]) -> dict[int, int]:
    """How many wait for each process that waits for none itself, also through others. 0: a prepared transaction.

    ``waits``: for each waiting process those it waits for. A circle of them has no root: PostgreSQL breaks it itself.
    """
    counted: dict[int, int] = {}
    for pid in waits:
        seen: set[int] = set()
        ahead = list(waits[pid])
        while ahead:
            one = ahead.pop()
            if one not in seen:
                seen.add(one)
                ahead += waits.get(one, [])
        for root in seen - waits.keys():
            counted[root] = counted.get(root, 0) + 1
    return counted


@fix(
    idempotent=True,
    says="end a session of {server} whose transaction is idle for {idle_for}",
    undo="it cannot be: its transaction is rolled back",
)
def end_transaction(server: Server, session: Session, *, idle_for: Span) -> str:
    """End a session that is idle in a transaction, and so roll it back.

    Only while it is that very transaction of that very session, and it has done nothing in it for ``idle_for``: one
    that goes on meanwhile is let go on.
    """
    with connected(server, within=10) as there:
        there.see_all()
        if not _hit(there, _END_TRANSACTION, session, began=session.began, seconds=_seconds(idle_for)):
            return _LEFT_ALONE
        still = _wait_gone(there, [session])
    return f"process {session.pid} was told to end and is still there" if still else f"process {session.pid} was ended"


# -- what takes too long -----------------------------------------------------------------------------------------------


@look
def running(server: Server, *, longer_than: Span = "5m", application: str = "") -> Sessions:
    """Statements that have run for longer than ``longer_than``, the longest first. ``application`` "": anybody's.

    Never replication, PostgreSQL's own processes or Tocsin's. A superuser's are shown, and cannot be cancelled.
    """
    query: LiteralString = _SESSION + """
 where a.backend_type = 'client backend' and a.state = 'active' and a.pid <> pg_backend_pid()
   and a.application_name not like 'tocsin%%' and %(application)s in ('', a.application_name)
   and a.query_start <= clock_timestamp() - make_interval(secs => %(seconds)s)
 order by a.query_start, a.pid
"""
    with connected(server) as there:
        there.see_all()
        found = there.rows(_session, query, {"seconds": _seconds(longer_than), "application": application})
    return Sessions(len(found), tuple(found[:MOST_SESSIONS]))


@fix(
    idempotent=True,
    says="cancel the statement that a session of {server} runs",
    undo="it cannot be: the statement is rolled back",
)
def cancel(server: Server, session: Session) -> str:
    """Cancel the statement that a session runs; the session itself goes on. Only while it is that very statement."""
    with connected(server) as there:
        there.see_all()
        return f"process {session.pid} was told to stop" if _hit(there, _CANCEL, session) else _LEFT_ALONE


@look
def stopped(server: Server, session: Session, *, within: Span = "5s") -> bool:
    """Whether a session's statement is over, or the session itself; waits for it ``within`` so long."""
    query: LiteralString = "select 1" + _THIS_ONE + _RUNS_STILL
    until = time.monotonic() + _seconds(within)
    with connected(server, within=_seconds(within) + 5) as there:
        there.see_all()
        while there.row(query, _known(session)) is not None:
            if time.monotonic() >= until:
                return False
            time.sleep(_EVERY)
    return True


@fix(
    idempotent=True,
    says="end a session of {server}, with what it is at",
    undo="it cannot be: its transaction is rolled back",
)
def terminate(server: Server, session: Session) -> str:
    """End a session that runs a statement, where cancelling it did not help. Only while it is that very statement."""
    with connected(server, within=10) as there:
        there.see_all()
        if not _hit(there, _TERMINATE, session):
            return _LEFT_ALONE
        still = _wait_gone(there, [session])
    return f"process {session.pid} was told to end and is still there" if still else f"process {session.pid} was ended"


# -- inside ------------------------------------------------------------------------------------------------------------


def _session(*said: object) -> Session:
    return Session(*said[:-1], masked(str(said[-1])))  # type: ignore[arg-type,call-arg]  # the columns of _SESSION, in order


def _seconds(text: str) -> float:
    return parse_duration(text) / SECOND


def _known(session: Session) -> dict[str, object]:
    return {"pid": session.pid, "started": session.started, "asked": session.asked}


def _hit(there: Open, query: LiteralString, session: Session, **more: object) -> bool:
    """Whether a session was still what it had been, and was signalled."""
    found = there.row(query, {**_known(session), **more})
    return found is not None and bool(found[0])


def _wait_gone(there: Open, sessions: Sequence[Session]) -> set[int]:
    """Those of them that are still there after a while, by their process."""
    until = time.monotonic() + GONE_WITHIN
    wanted = {one.pid: one.started for one in sessions}
    query: LiteralString = """
select pid, (extract(epoch from backend_start) * 1000000)::bigint from pg_stat_activity where pid = any(%(pids)s)
"""
    while True:
        found = there.rows(lambda *said: said, query, {"pids": list(wanted)}) if wanted else []
        still = {pid for pid, started in found if wanted[pid] == started}
        if not still or time.monotonic() >= until:
            return still
        time.sleep(_EVERY)
