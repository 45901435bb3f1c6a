"""How far a PostgreSQL standby lags, why, and which slots hold log for somebody who no longer comes.

Dropping a slot is not among the fixes: whoever it was for must be built anew afterwards, so a person decides that
(decision 55).
"""

from __future__ import annotations

from typing import LiteralString

from msgspec import Struct

from tocsin.library.postgres.server import Refused, Server, connected, size, span
from tocsin.playbooks.language import fix, look

MOST = 50


class Standby(Struct, frozen=True):
    """One that is connected to be sent the log. ``sent``, ``replayed``: bytes it is behind in each; ``late``: seconds
    its last answer says it is behind in replaying, 0 when it does not say.
    """

    name: str
    client: str
    state: str
    sync: str
    sent: int
    replayed: int
    late: float

    def __str__(self) -> str:
        return f"{self.name} ({self.client}, {self.state}) is {size(self.replayed)} behind"


class Slot(Struct, frozen=True):
    """A replication slot. ``holds``: bytes of log that are kept for it; ``status`` as PostgreSQL says it: reserved,
    extended, unreserved, lost. ``since``: seconds it has been inactive, 0 where PostgreSQL before 17 does not say.
    """

    name: str
    kind: str
    database: str
    active: bool
    holds: int
    status: str
    since: float

    def __str__(self) -> str:
        use = "in use" if self.active else f"used by nobody{f' for {span(self.since)}' if self.since else ''}"
        return f"the {self.kind} slot {self.name} is {use} and holds {size(self.holds)}"


class Replication(Struct, frozen=True):
    """Replication as this server sees it.

    A standby: ``behind`` are bytes received and not replayed, ``late`` seconds since the last replayed commit while
    there is more to replay; ``paused``: somebody paused replaying; ``receiving``: it is connected to its primary. A
    primary: both are those of the standby that is farthest behind.
    """

    standby: bool
    behind: int
    late: float
    paused: bool
    receiving: bool
    standbys: tuple[Standby, ...]
    slots: tuple[Slot, ...]

    @property
    def idle_slots(self) -> tuple[Slot, ...]:
        """Slots that nobody uses and that hold log, those that hold most first; a lost one holds none any more."""
        return tuple(one for one in self.slots if not one.active and one.holds > 0 and one.status != "lost")

    def __str__(self) -> str:
        if self.standby:
            deaf = "" if self.receiving else "it hears nothing from its primary"
            why = "replaying is paused" if self.paused else deaf
            said = f"a standby, {size(self.behind)} and {span(self.late)} behind{f': {why}' if why else ''}"
        elif self.standbys:
            said = f"{len(self.standbys)} connected: {'; '.join(map(str, self.standbys[:3]))}"
        else:
            said = "no standby is connected"
        idle = "; ".join(map(str, self.idle_slots[:3]))
        return f"{said}{f'; {idle}' if idle else ''}"


_STANDBYS: LiteralString = """
select coalesce(application_name, ''), coalesce(host(client_addr), 'local'), coalesce(state, ''),
       coalesce(sync_state, ''), coalesce(pg_wal_lsn_diff(here.lsn, sent_lsn), 0)::bigint,
       coalesce(pg_wal_lsn_diff(here.lsn, replay_lsn), 0)::bigint, coalesce(extract(epoch from replay_lag), 0)::float8
  from pg_stat_replication,
       (select case when pg_is_in_recovery() then pg_last_wal_receive_lsn() else pg_current_wal_lsn() end) as here(lsn)
 order by 6 desc, 1 limit 50
"""
_SLOTS: LiteralString = """
select slot_name, slot_type, coalesce(database, ''), active,
       greatest(0, coalesce(pg_wal_lsn_diff(here.lsn, restart_lsn), 0))::bigint, coalesce(wal_status, ''),
       coalesce(extract(epoch from clock_timestamp() - (to_jsonb(s) ->> 'inactive_since')::timestamptz), 0)::float8
  from pg_replication_slots s,
       (select case when pg_is_in_recovery() then pg_last_wal_receive_lsn() else pg_current_wal_lsn() end) as here(lsn)
 order by 5 desc, 1 limit 50
"""
_HERE: LiteralString = """
select greatest(0, coalesce(pg_wal_lsn_diff(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn()), 0))::bigint,
       greatest(0, coalesce(extract(epoch from clock_timestamp() - pg_last_xact_replay_timestamp()), 0))::float8,
       pg_is_wal_replay_paused(),
       exists (select 1 from pg_stat_wal_receiver where status = 'streaming')
"""


@look
def replication(server: Server) -> Replication:
    """How far behind standbys are, and what slots hold. Of a primary or of a standby, whichever is asked."""
    with connected(server) as there:
        there.see_all()
        standbys = tuple(there.rows(Standby, _STANDBYS))
        slots = tuple(there.rows(Slot, _SLOTS))
        here = there.row(_HERE) if there.standby else None
    if here is None:
        behind = max((one.replayed for one in standbys), default=0)
        late = max((one.late for one in standbys), default=0.0)
        return Replication(False, behind, late, False, False, standbys, slots)
    behind, since, paused, receiving = here
    # A standby that has replayed everything is late by nothing, however long ago the last commit was; one that hears
    # nothing cannot know how late it is, and since the last commit is the truth as far as anybody has it.
    late = float(since) if behind or not receiving else 0.0
    return Replication(True, int(behind), late, bool(paused), bool(receiving), standbys, slots)


@fix(
    idempotent=True,
    says="have {server} go on replaying what its primary wrote",
    undo="pause it again: pg_wal_replay_pause()",
)
def resume_replay(server: Server) -> str:
    """Have a standby replay again that somebody had paused. Raises Trouble for a server that is no standby."""
    with connected(server) as there:
        if not there.standby:
            raise Refused(f"{server.name} is no standby: it replays nothing")
        paused = there.row("select pg_is_wal_replay_paused()")
        if paused is None or not paused[0]:
            return "replaying was not paused"
        there.row("select pg_wal_replay_resume()")
    return "replaying goes on"
