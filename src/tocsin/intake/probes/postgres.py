"""PostgreSQL: does it take connections, and how near is it to running out of them or of transaction ids; who waits.

Needs the extra ``postgres``. The target is a reference to its address, for that holds a password: ``secret:NAME``. The
user needs ``pg_monitor``, or it sees its own sessions only; then the probe says so, and fails.
"""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from typing import LiteralString

from msgspec import Struct

from tocsin.intake.checked import Checked, Probe
from tocsin.intake.probes.client import Client, asked
from tocsin.intake.specs import ProbeSpec
from tocsin.kernel.instant import Instant
from tocsin.kernel.outside import Outside

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


class _Seen(Struct, frozen=True):
    """``oldest``: seconds of the oldest transaction; ``age``: transactions of the oldest database."""

    used: int
    limit: int
    oldest: float
    blocked: int
    age: int
    sees_all: bool


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

        seen = await asked(_POSTGRES, spec, outside, address, _ask, _refused)
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
    if wrong:
        return Checked(False, f"{name} {'; '.join(wrong)}", facts)
    return Checked(True, f"{name} answers, with {seen.used} of {seen.limit} connections in use", facts)


def _ask(address: str, within: float) -> _Seen:
    import psycopg

    with psycopg.connect(
        address, autocommit=True, connect_timeout=max(1, int(within)), application_name="tocsin probe",
        tcp_user_timeout=max(1_000, int(within * 1000)), keepalives_idle=5, keepalives_interval=2, keepalives_count=3,
    ) as connection, _let_go(connection.fileno(), within + SLACK):  # fmt: skip
        connection.execute("select set_config('statement_timeout', %s, false)", (str(max(1, int(within * 1000))),))
        found = connection.execute(_ASKED).fetchone()
    assert found is not None
    return _Seen(*found)


@contextmanager
def _let_go(line: int, seconds: float) -> Iterator[None]:
    """Cut a line that is still in use after so long: the server's own timeout needs a server that lives."""
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
