"""PostgreSQL: too many connections, blocked sessions, long queries, lag, a log that grows, ids that run out.

Needs the extra ``postgres`` (``pip install 'tocsin[postgres]'``) on the machine Tocsin runs on. A target's credential
is an address, ``postgresql://user:password@host:5432/database``, straight to the server. The reading user needs
``pg_monitor``, the fixing one ``pg_monitor`` and ``pg_signal_backend``; some fixes need more, and say so where they are
documented. For PostgreSQL 13 and newer.
"""

from tocsin.library.postgres.replication import Replication, Slot, Standby, replication, resume_replay
from tocsin.library.postgres.server import Missing, Server, Trouble
from tocsin.library.postgres.sessions import (
    Blocker,
    Blocking,
    Connections,
    Ended,
    Group,
    Session,
    Sessions,
    blocking,
    cancel,
    close_idle,
    connections,
    end_transaction,
    idle_sessions,
    running,
    stopped,
    terminate,
)
from tocsin.library.postgres.storage import Relation, Sizes, Wal, checkpoint, sizes, wal
from tocsin.library.postgres.wraparound import Frozen, Holder, Table, Wraparound, freeze, wraparound

WARM = ("psycopg",)

__all__ = [
    "Blocker",
    "Blocking",
    "Connections",
    "Ended",
    "Frozen",
    "Group",
    "Holder",
    "Missing",
    "Relation",
    "Replication",
    "Server",
    "Session",
    "Sessions",
    "Sizes",
    "Slot",
    "Standby",
    "Table",
    "Trouble",
    "Wal",
    "Wraparound",
    "blocking",
    "cancel",
    "checkpoint",
    "close_idle",
    "connections",
    "end_transaction",
    "freeze",
    "idle_sessions",
    "replication",
    "resume_replay",
    "running",
    "sizes",
    "stopped",
    "terminate",
    "wal",
    "wraparound",
]
