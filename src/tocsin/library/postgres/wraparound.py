"""Transaction ids that run out: how old each database and table is, what holds the horizon, and freezing the oldest.

PostgreSQL takes no more writes three million transactions before the oldest unfrozen row is 2^31 transactions old.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, LiteralString

from msgspec import Struct

from tocsin.kernel.instant import SECOND, parse_duration
from tocsin.library.postgres.server import Open, Server, connected, size
from tocsin.playbooks.language import Span, fix, look

if TYPE_CHECKING:
    from psycopg import Error

LIMIT = 2**31
MOST_TABLES = 500
MOST_DATABASES = 20
MOST_HELD = 10
MOST_WHY = 120


class Table(Struct, frozen=True):
    """A table by its age in transactions. ``oid`` tells it from another one of its name."""

    database: str
    schema: str
    name: str
    oid: int
    age: int
    bytes: int

    def __str__(self) -> str:
        return f"{self.database}: {self.schema}.{self.name} ({self.age:,} transactions old, {size(self.bytes)})"


class Holder(Struct, frozen=True):
    """Something that keeps rows from being frozen. ``kind``: session, prepared, slot, standby, or temporary.

    The last is a session's temporary table, which nobody else can vacuum. ``age``: the oldest transaction it may still
    want to see; ``pid`` 0 for what is no process.
    """

    kind: str
    who: str
    age: int
    pid: int = 0

    def __str__(self) -> str:
        return f"{self.kind} {self.who} sees {self.age:,} transactions back"


class Wraparound(Struct, frozen=True):
    """How near transaction ids are to their end.

    ``age``: of the oldest ``database`` that takes connections; ``ratio``: of 2^31. ``closed``: age of the oldest that
    takes none (template0), which only autovacuum reaches. ``multi_age``: of multixact ids, over all. ``tables``: those
    older than was asked for, oldest first, at most 500. ``held_by``: what holds the horizon, farthest back first.
    ``vacuums``: how many run.
    """

    age: int
    database: str
    ratio: float
    multi_age: int
    closed: int
    tables: tuple[Table, ...]
    held_by: tuple[Holder, ...]
    vacuums: int

    @property
    def horizon(self) -> int:
        """Nothing younger than this many transactions can be frozen."""
        return max((one.age for one in self.held_by), default=0)

    def __str__(self) -> str:
        said = f"{self.database} is {self.age:,} transactions old ({self.ratio:.0%} of what is possible)"
        oldest = f"; oldest table {self.tables[0]}" if self.tables else ""
        held = f"; held back by {'; '.join(map(str, self.held_by[:3]))}" if self.held_by else ""
        return f"{said}{oldest}{held}"


_DATABASES: LiteralString = """
select datname, age(datfrozenxid), mxid_age(datminmxid),
       datallowconn and has_database_privilege(oid, 'connect') from pg_database order by 2 desc, 1
"""
_TABLES: LiteralString = """
select current_database(), n.nspname, c.relname, c.oid::bigint,
       greatest(age(c.relfrozenxid), coalesce(age(t.relfrozenxid), 0)), pg_table_size(c.oid)
  from pg_class c join pg_namespace n on n.oid = c.relnamespace left join pg_class t on t.oid = c.reltoastrelid
 where c.relkind in ('r', 'm') and c.relpersistence <> 't'
   and greatest(age(c.relfrozenxid), coalesce(age(t.relfrozenxid), 0)) >= %(older)s
 order by 5 desc, 6, 4 limit %(most)s
"""
_HELD: LiteralString = """
select * from (
    select 'session', coalesce(application_name, '') || ' of ' || coalesce(usename, '') || ', ' || coalesce(state, ''),
           greatest(coalesce(age(backend_xmin), 0), coalesce(age(backend_xid), 0)), pid
      from pg_stat_activity
     where (backend_xmin is not null or backend_xid is not null) and pid <> pg_backend_pid()
       and backend_type in ('client backend', 'background worker', 'parallel worker')
    union all select 'prepared', gid, age(transaction), 0 from pg_prepared_xacts
    union all select 'slot', slot_name, greatest(coalesce(age(xmin), 0), coalesce(age(catalog_xmin), 0)), 0
      from pg_replication_slots where xmin is not null or catalog_xmin is not null
    union all select 'standby', coalesce(application_name, ''), age(backend_xmin), pid
      from pg_stat_replication where backend_xmin is not null
) as held(kind, who, age, pid) where age >= %(older)s order by age desc, who limit 10
"""
_TEMPORARY: LiteralString = """
select 'temporary', current_database() || ': ' || n.nspname || '.' || c.relname, age(c.relfrozenxid), 0
  from pg_class c join pg_namespace n on n.oid = c.relnamespace
 where c.relkind = 'r' and c.relpersistence = 't' and age(c.relfrozenxid) >= %(older)s order by 3 desc limit 10
"""


@look
def wraparound(server: Server, *, older_than: int = 500_000_000, held_for: int = 1_000_000) -> Wraparound:
    """How old each database is, and in those that may be connected to the tables older than ``older_than``.

    ``held_for``: what holds the horizon counts from so many transactions on. Both are numbers of transactions.
    """
    with connected(server) as there:
        there.see_all()
        databases = there.rows(lambda *said: said, _DATABASES)
        held = there.rows(Holder, _HELD, {"older": held_for})
        vacuums = there.row("select count(*)::int from pg_stat_progress_vacuum")
    reachable = [one for one in databases if one[3]]
    tables: list[Table] = []
    for name, age, _, _ in reachable[:MOST_DATABASES]:
        if age >= older_than and len(tables) < MOST_TABLES:
            with connected(server, database=name) as there:
                tables += there.rows(Table, _TABLES, {"older": older_than, "most": MOST_TABLES - len(tables)})
                held += there.rows(Holder, _TEMPORARY, {"older": older_than})
    oldest = reachable[0] if reachable else ("", 0, 0, True)
    return Wraparound(
        age=oldest[1],
        database=oldest[0],
        ratio=round(oldest[1] / LIMIT, 4),
        multi_age=max((one[2] for one in databases), default=0),
        closed=max((one[1] for one in databases if not one[3]), default=0),
        tables=tuple(sorted(tables, key=lambda one: (-one.age, one.bytes, one.oid))),
        held_by=tuple(sorted(held, key=lambda one: (-one.age, one.who))[:MOST_HELD]),
        vacuums=vacuums[0] if vacuums else 0,
    )


class Frozen(Struct, frozen=True):
    """What came of freezing. ``done``: tables that are young now; ``left``: that are not, for which ``why`` says the
    first reason.
    """

    done: int
    left: int
    why: str

    def __str__(self) -> str:
        return f"{self.done:,} tables frozen, {self.left:,} left{f': {self.why}' if self.why else ''}"


@fix(idempotent=True, says="vacuum {tables} tables of {server}, with FREEZE", undo="it need not be: it changes no data")
def freeze(server: Server, tables: tuple[Table, ...], *, within: Span = "2m") -> Frozen:
    """Vacuum and freeze tables one after the other, the oldest first, until the time is up.

    What is done when it is up stays done; a vacuum that does not end in time is cancelled, and its table stays as it
    was. Each table's age is read again: a vacuum that was refused or skipped counts as left.
    """
    until = time.monotonic() + parse_duration(within) / SECOND
    done, whys = 0, list[str]()
    for database in dict.fromkeys(one.database for one in tables):
        of_it = [one for one in tables if one.database == database]
        left = until - time.monotonic()
        if left <= 0:
            whys.append("the time is up")
            break
        with connected(server, database=database, within=left) as there:
            done += _freeze_in(there, of_it, until, whys)
    return Frozen(done, len(tables) - done, whys[0][:MOST_WHY] if whys else "")


def _freeze_in(there: Open, tables: Sequence[Table], until: float, whys: list[str]) -> int:
    """How many of one database's tables are young now. Notes why the others are not."""
    import psycopg

    done = 0
    said: list[str] = []
    there.connection.add_notice_handler(lambda notice: said.append(notice.message_primary or ""))
    for one in tables:
        left = until - time.monotonic()
        if left <= 0:
            whys.append("the time is up")
            break
        said.clear()
        try:
            young = _freeze_one(there, one, left)
        except psycopg.Error as error:
            whys.append(f"{one.schema}.{one.name}: {_first_line(error)}")
            if there.connection.broken:
                break
            continue
        done += young
        if not young:
            why = said[0] if said else "it is no younger: something needs it so old"
            whys.append(f"{one.schema}.{one.name}: {why}")
    return done


_AGE: LiteralString = """
select n.nspname, c.relname, greatest(age(c.relfrozenxid), coalesce(age(t.relfrozenxid), 0))
  from pg_class c join pg_namespace n on n.oid = c.relnamespace left join pg_class t on t.oid = c.reltoastrelid
 where c.oid = %(oid)s and c.relkind in ('r', 'm')
"""


def _freeze_one(there: Open, table: Table, left: float) -> bool:
    from psycopg import sql

    found: tuple[Any, ...] | None = there.row(_AGE, {"oid": table.oid})
    if found is None or (found[0], found[1]) != (table.schema, table.name):
        return True  # it is gone, and holds no age any more
    if found[2] < table.age // 2:
        return True  # autovacuum was there, or this step before it was interrupted
    # A plain autovacuum of the table gives way after a second in which somebody waits for it.
    settings: LiteralString = """
select set_config('statement_timeout', %(left)s, false), set_config('lock_timeout', '2500', false)
"""
    there.row(settings, {"left": str(max(1, int(left * 1000)))})
    name = sql.Identifier(table.schema, table.name)
    # A file's end is not cut off: that takes a lock which stops everybody who reads the table.
    there.connection.execute(sql.SQL("vacuum (freeze, truncate off) {}").format(name))
    after = there.row(_AGE, {"oid": table.oid})
    return after is None or after[2] < table.age // 2


def _first_line(error: Error) -> str:
    return str(error).strip().partition("\n")[0]
