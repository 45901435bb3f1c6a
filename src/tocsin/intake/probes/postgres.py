"""PostgreSQL: does it take connections, does it run out of them or of transaction ids, who waits, what lags, its log.

Needs the extra ``postgres``. The target is a reference to its address, for that holds a password: ``secret:NAME``. The
user needs ``pg_monitor``, or it sees its own sessions only; then the probe says so, and fails.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Set
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Final, LiteralString

from msgspec import Struct, structs

from tocsin.intake.checked import Checked, Measured, Probe
from tocsin.intake.probed import PERCENT, Looks, Probed, said
from tocsin.intake.probes.amounts import size_of
from tocsin.intake.probes.client import Client, asked
from tocsin.intake.specs import ProbeSpec
from tocsin.kernel.instant import SECOND, Instant
from tocsin.kernel.outside import Outside
from tocsin.notation.decoder import Field
from tocsin.notation.findings import Findings
from tocsin.notation.words import PERIOD, SECRET, SIZE, whole

if TYPE_CHECKING:
    from psycopg import Connection

MISSING = "the client for PostgreSQL is not there: pip install 'tocsin[postgres]'"
_POSTGRES = Client("PostgreSQL", MISSING)
_SCHEMES = ("postgresql://", "postgres://")
SLACK = 1.0
"""So many seconds after its time a look is let go of: until then later looks of the target wait for it."""
_IDS = 2**31
_FULL = ("too many clients", "connection slots are reserved", "too many connections")

_ASKED: LiteralString = """
select (count(*) filter (where backend_type = 'client backend' and pid <> pg_backend_pid()))::int,
       greatest(1, current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int
                   - coalesce(nullif(current_setting('reserved_connections', true), ''), '0')::int),
       coalesce(max(extract(epoch from clock_timestamp() - xact_start))
                    filter (where backend_type = 'client backend' and pid <> pg_backend_pid()), 0)::float8,
       (count(*) filter (where wait_event_type = 'Lock'))::int,
       (select max(age(datfrozenxid)) from pg_database), pg_has_role('pg_read_all_stats', 'usage')
  from pg_stat_activity
"""
# A standby that has replayed everything is late by nothing; one that hears nothing is late since its last commit.
_STANDBY: LiteralString = """
select true, coalesce(pg_wal_lsn_diff(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn()), 0)::float8,
       coalesce(extract(epoch from clock_timestamp() - pg_last_xact_replay_timestamp()), 0)::float8,
       (select count(*)::int from pg_stat_wal_receiver where status = 'streaming')
"""
_PRIMARY: LiteralString = """
select false, coalesce(max(pg_wal_lsn_diff(pg_current_wal_lsn(), replay_lsn)), 0)::float8,
       coalesce(max(extract(epoch from replay_lag)), 0)::float8, count(*)::int
  from pg_stat_replication where application_name <> 'pg_basebackup'
"""

_MORE: Final = frozenset({"behind_bytes", "late_seconds", "log_bytes"})
"""What is only asked for where a probe judges it."""


class _Replicated(Struct, frozen=True):
    """How far a standby is ``behind`` (bytes) and ``late`` (seconds): this one, or of a primary's the last of them.

    ``lines``: how many a primary has, or a standby to its primary.
    """

    standby: bool
    behind: float
    late: float
    lines: int


class _Seen(Struct, frozen=True):
    """``oldest``: seconds of the oldest transaction; ``age``: transactions of the oldest database; ``log``: bytes.

    ``replicated`` and ``log`` are None where nobody asks for them.
    """

    used: int
    limit: int
    oldest: float
    blocked: int
    age: int
    sees_all: bool
    replicated: _Replicated | None = None
    log: int | None = None


def installed() -> bool:
    """Whether the client's package is there."""
    return find_spec("psycopg") is not None


def checker(secret: Callable[[str], str]) -> Probe:
    """The probe. ``secret`` is the text behind a reference; raises LookupError without one."""

    async def check(spec: ProbeSpec, now: Instant, outside: Outside) -> Checked:
        """Ask once."""

        def address() -> str:
            found = secret(spec.target)
            if not found.startswith(_SCHEMES):
                raise LookupError(f"{spec.target} is no address: postgresql://user:password@host:5432/database")
            return found

        seen = await asked(_POSTGRES, spec, outside, address, _ask, _refused, _MORE & spec.options.keys())
        return seen if isinstance(seen, Checked) else _judged(spec, seen)

    return check


def _refused(error: Exception) -> str:
    if any(words in str(error) for words in _FULL):
        return "takes no more connections"
    return f"did not answer: {type(error).__name__}"


def _judged(spec: ProbeSpec, seen: _Seen) -> Checked:
    name = _POSTGRES.named(spec)
    if not seen.sees_all:
        why = "its user sees its own sessions only: GRANT pg_monitor to it"
        return Checked(False, f"{name} cannot be judged: {why}")
    connections, ids = 100 * seen.used / seen.limit, 100 * seen.age / _IDS
    facts = {
        "connections": f"{seen.used} of {seen.limit}",
        "oldest transaction": f"{seen.oldest:.0f} s",
        "blocked": f"{seen.blocked} sessions wait for a lock",
        "transaction ids": f"{seen.age:,} used since the oldest is frozen, {ids:.0f} %",
    }
    limits = {key: float(text) for key, text in spec.options.items()}
    wrong = []
    if connections >= limits.get("connections_percent", float("inf")):
        most = limits["connections_percent"]
        wrong.append(f"uses {connections:.0f} % of its connections, {most:g} % is too much")
    if seen.oldest >= limits.get("oldest_seconds", float("inf")):
        wrong.append(f"has a transaction open for {seen.oldest:.0f} s, {limits['oldest_seconds']:g} s is too long")
    if seen.blocked >= limits.get("blocked", float("inf")):
        wrong.append(f"has {seen.blocked} sessions that wait for a lock, {limits['blocked']:g} are too many")
    if ids >= limits.get("wraparound_percent", float("inf")):
        most = limits["wraparound_percent"]
        wrong.append(f"has used {ids:.0f} % of its transaction ids, {most:g} % is too much")
    fullest = limits.get("connections_percent")
    measured = None if fullest is None else Measured("connections used", round(connections, 2), "%", fullest)
    if seen.replicated is not None:
        facts["replication"] = _said(seen.replicated)
        behind, late = limits.get("behind_bytes"), limits.get("late_seconds")
        measured = Measured("behind", seen.replicated.behind, "bytes", behind)
        if behind is None:
            measured = Measured("behind", round(seen.replicated.late, 2), "s", late)
        wrong += _lags(seen.replicated, behind, late)
    if seen.log is not None:
        log = limits["log_bytes"]
        facts["log"], measured = size_of(seen.log), Measured("log on disk", seen.log, "bytes", log)
        if seen.log > log:
            wrong.append(f"has {size_of(seen.log)} of write-ahead log on its disk, {size_of(int(log))} is the most")
    if wrong:
        return Checked(False, f"{name} {'; '.join(wrong)}", facts, measured)
    well = f"{name} answers, with {seen.used} of {seen.limit} connections in use"
    return Checked(True, well, facts, measured)


def _said(seen: _Replicated) -> str:
    if not seen.standby and not seen.lines:
        return "no standby is connected"
    deaf = ", and hears nothing of its primary" * (seen.standby and not seen.lines)
    who = "a standby," if seen.standby else f"{seen.lines} connected, the last of them"
    return f"{who} {size_of(int(seen.behind))} and {seen.late:.0f} s behind{deaf}"


def _lags(seen: _Replicated, behind: float | None, late: float | None) -> Iterator[str]:
    """What is too far behind. A standby that hears nothing is late, however little it was told to replay."""
    if not seen.lines:
        since = f"hears nothing of its primary; its last commit was {seen.late:.0f} s ago"
        yield since if seen.standby else "has no standby that is connected"
    whose = "is" if seen.standby else "has a standby that is"
    if behind is not None and seen.behind > behind:
        yield f"{whose} {size_of(int(seen.behind))} behind, {size_of(int(behind))} is the most"
    if late is not None and seen.late >= late and seen.lines:
        yield f"{whose} {seen.late:.0f} s behind, {late:g} s is too long"


def _ask(address: str, within: float, judged: Set[str]) -> _Seen:
    import psycopg

    with psycopg.connect(
        address, autocommit=True, connect_timeout=max(1, int(within)), application_name="tocsin probe",
        tcp_user_timeout=max(1_000, int(within * 1000)), keepalives_idle=5, keepalives_interval=2, keepalives_count=3,
    ) as connection, _let_go(connection.fileno(), within + SLACK):  # fmt: skip
        connection.execute("select set_config('statement_timeout', %s, false)", (str(max(1, int(within * 1000))),))
        found = connection.execute(_ASKED).fetchone()
        assert found is not None
        seen = _Seen(*found)
        if not seen.sees_all:
            return seen
        if judged & {"behind_bytes", "late_seconds"}:
            seen = structs.replace(seen, replicated=_replicated(connection))
        if "log_bytes" in judged:
            counted = connection.execute("select coalesce(sum(size), 0)::bigint from pg_ls_waldir()").fetchone()
            assert counted is not None
            seen = structs.replace(seen, log=int(counted[0]))
    return seen


def _replicated(connection: Connection[Any]) -> _Replicated:
    recovers = connection.execute("select pg_is_in_recovery()").fetchone()
    assert recovers is not None
    found = connection.execute(_STANDBY if recovers[0] else _PRIMARY).fetchone()
    assert found is not None
    standby, behind, late, lines = found
    behind = max(0.0, behind)
    return _Replicated(standby, behind, late if behind or not lines or not standby else 0.0, lines)


@contextmanager
def _let_go(line: int, seconds: float) -> Iterator[None]:
    """Cut a line that is still in use after so long: the server's own timeout needs a server that lives."""
    import socket
    import threading

    with socket.socket(fileno=os.dup(line)) as handle:

        def cut() -> None:
            with suppress(OSError):
                handle.shutdown(socket.SHUT_RDWR)

        timer = threading.Timer(seconds, cut)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()


class PostgresProbe(Probed):
    """Asks a PostgreSQL server for its connections, transactions and locks, its standbys and its log."""

    what = "a postgres probe"
    postgres = Field(SECRET, "The address it is read by, as secret:NAME.", required=True)
    connections = Field(PERCENT, "This much or more of its connections is a failure. Default: 90%, if nothing is said.")
    wraparound = Field(PERCENT, "This much or more of its transaction ids is. Default: 50%, if nothing is said.")
    oldest_transaction = Field(PERIOD, "A transaction that has been open for so long is a failure.")
    blocked = Field(whole("a number of sessions", 1, 10_000), "So many sessions that wait for a lock are a failure.")
    behind = Field(SIZE, "A standby that has more to replay than this is one, or hears nothing of its primary.")
    late = Field(PERIOD, "A standby that replays what is older than this is one, or hears nothing of its primary.")
    log = Field(SIZE, "More write-ahead log on its disk than this is a failure, such as 20GB.")

    def looks_at(self, findings: Findings) -> Looks:
        """A reference, and what is said to be judged, or what every server must not run out of:
        ``connections_percent``, ``wraparound_percent`` such as ``90``; ``oldest_seconds`` of a transaction; ``blocked``
        sessions; ``behind_bytes`` and ``late_seconds`` of a standby; ``log_bytes``.
        """
        oldest, late = self.oldest_transaction, self.late
        limits = said(
            connections_percent=self.connections,
            wraparound_percent=self.wraparound,
            oldest_seconds=None if oldest is None else f"{oldest / SECOND:g}",
            blocked=self.blocked,
            behind_bytes=self.behind,
            late_seconds=None if late is None else f"{late / SECOND:g}",
            log_bytes=self.log,
        )
        return self.postgres or "", limits or {"connections_percent": "90", "wraparound_percent": "50"}


PROBE = PostgresProbe
