"""The lease that lets one node write: its statements, and how long a standby leaves one that has run out to its holder.

A holder under load, or one whose database stalls, must not lose it: whoever stands by takes it only when the database
answers promptly, and when nobody is in the midst of a commit.
"""

from __future__ import annotations

from typing import NamedTuple

from tocsin.kernel.instant import MINUTE, SECOND, Duration

LEASE: Duration = 8 * SECOND
"""How long the lease lasts unless it is renewed; a standby takes over so long after its holder fell silent."""
LEASE_WHILE_LOADING: Duration = MINUTE
"""Reading a million alerts takes longer than the lease lasts, and nothing can be renewed meanwhile."""
PROMPT = 1.0
"""Seconds: a server that answers later than this may have kept the holder waiting as well."""

# The statements below are put together from names of our own; values always travel beside them.
_NOW = "(extract(epoch FROM clock_timestamp()) * 1000000)::bigint"
# Division by zero is the cheapest way to have the server itself refuse the rest of the transaction without our asking.
HELD = (
    "WITH held AS MATERIALIZED (SELECT 1 FROM lease WHERE name = 'writer' AND token = %s FOR SHARE)"
    " SELECT 1 / count(*) FROM held"
)
FIRST = (
    "INSERT INTO lease (name, token, holder, backend, ends_at) VALUES ('writer', 0, '', 0, 0) ON CONFLICT DO NOTHING"
)
LOOK = f"SELECT holder, ends_at - {_NOW} FROM lease WHERE name = 'writer'"
TAKE = (
    "WITH free AS MATERIALIZED ("
    f" SELECT name FROM lease WHERE name = 'writer' AND (ends_at = 0 OR (%s AND ends_at <= {_NOW})"
    # This very node held it and its connection is gone: it was restarted, and need not wait for itself.
    " OR (holder = %s AND NOT EXISTS (SELECT FROM pg_stat_activity WHERE pid = lease.backend)))"
    # Whoever has it locked is in the midst of a commit: it lives, however long the disk keeps it waiting.
    " FOR UPDATE SKIP LOCKED)"
    " UPDATE lease SET token = lease.token + 1, holder = %s, backend = pg_backend_pid(),"
    f" ends_at = {_NOW} + %s FROM free WHERE lease.name = free.name RETURNING lease.token"
)
KEEP = (
    f"UPDATE lease SET ends_at = {_NOW} + %s, backend = pg_backend_pid()"
    " WHERE name = 'writer' AND token = %s RETURNING 1"
)


class Holder(NamedTuple):
    """Who holds the lease, and for how long yet unless it is renewed."""

    node: str
    left: Duration


class Leave:
    """How long a standby leaves a lease that has run out to its holder, which may only have been kept waiting too.

    ``now``: seconds, by ``time.monotonic``.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds, self._until, self._slow = seconds, 0.0, False

    def over(self, now: float) -> bool:
        """Whether it may be taken."""
        return now >= self._until

    def give(self, now: float) -> None:
        """Leave its holder one more lease's time."""
        self._until = now + self._seconds

    def answered(self, took: float, now: float) -> None:
        """The database answered after ``took`` seconds. One that stays slow keeps nobody from taking over."""
        slow = took > PROMPT
        if slow and not self._slow:
            self.give(now)
        self._slow = slow
