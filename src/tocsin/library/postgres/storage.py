"""What fills a PostgreSQL server's disk: its write-ahead log and what holds it, and the largest relations.

How full the disk itself is SQL cannot say: where Tocsin runs on the same machine, ``tocsin.library.disk`` can.
"""

from __future__ import annotations

import time
from typing import LiteralString

from msgspec import Struct

from tocsin.kernel.instant import SECOND, parse_duration
from tocsin.library.postgres.replication import Slot, replication
from tocsin.library.postgres.server import Server, connected, size, span
from tocsin.playbooks.language import Span, fix, look

MOST = 50


class Wal(Struct, frozen=True):
    """The write-ahead log. ``bytes``: on disk now; ``limit``: ``max_wal_size``; ``kept``: ``wal_keep_size``.

    ``waiting``: files that wait to be archived; ``archive_failing``: the last try failed, so many seconds ago
    ``failed_ago``. ``held_by``: what keeps PostgreSQL from removing it, as sentences; () when a checkpoint may.
    """

    bytes: int
    files: int
    limit: int
    kept: int
    archiving: bool
    archive_failing: bool
    failed_ago: float
    waiting: int
    slots: tuple[Slot, ...]
    held_by: tuple[str, ...]

    def __str__(self) -> str:
        held = "; ".join(self.held_by) or "nothing holds it: the next checkpoint removes what is not needed"
        return f"{size(self.bytes)} of log in {self.files:,} files (max_wal_size {size(self.limit)}); {held}"


_WAL: LiteralString = """
select (select coalesce(sum(size), 0)::bigint from pg_ls_waldir()), (select count(*)::int from pg_ls_waldir()),
       pg_size_bytes(current_setting('max_wal_size')), pg_size_bytes(current_setting('wal_keep_size')),
       current_setting('archive_mode') <> 'off',
       coalesce(a.last_failed_time > coalesce(a.last_archived_time, '-infinity'), false),
       coalesce(extract(epoch from clock_timestamp() - a.last_failed_time), 0)::float8, a.failed_count,
       coalesce(a.last_failed_wal, ''),
       (select count(*)::int from pg_ls_archive_statusdir() where name like '%%.ready')
  from pg_stat_archiver a
"""


@look
def wal(server: Server) -> Wal:
    """How much log lies on disk, and what holds it there: a slot, archiving that fails, ``wal_keep_size``."""
    slots = replication(server).slots
    with connected(server) as there:
        there.see_all()
        found = there.row(_WAL, {})
    assert found is not None
    total, files, limit, kept, archiving, failing, ago, failures, name, waiting = found
    held = [str(one) for one in slots if one.holds > limit and one.status != "lost"]
    if archiving and failing:
        held.append(f"archiving {name} failed {span(ago)} ago, {failures:,} times since the count began")
    if archiving and waiting * (total // max(1, files)) > limit and not failing:
        held.append(f"{waiting:,} files wait to be archived: it is slower than they come")
    if kept > limit and total <= kept + limit:
        held.append(f"wal_keep_size keeps {size(kept)}")
    return Wal(int(total), files, int(limit), int(kept), archiving, failing, float(ago), waiting, slots, tuple(held))


class Relation(Struct, frozen=True):
    """A table with its indexes and what is stored out of line. ``grew``: bytes, while it was looked at; ``dead``: rows
    that wait for a vacuum.
    """

    name: str
    bytes: int
    grew: int
    dead: int

    def __str__(self) -> str:
        grew = f", +{size(self.grew)}" if self.grew else ""
        return f"{self.name} {size(self.bytes)}{grew}"


class Sizes(Struct, frozen=True):
    """What is large: ``databases`` of the server, in bytes, and the ``largest`` tables of the one that was asked.

    ``growing``: those that grew while it was looked at, most first. ``temporary``: bytes in temporary files written by
    queries since statistics began, all databases together.
    """

    databases: dict[str, int]
    largest: tuple[Relation, ...]
    growing: tuple[Relation, ...]
    temporary: int

    def __str__(self) -> str:
        most = "; ".join(f"{name} {size(count)}" for name, count in list(self.databases.items())[:3])
        large = "; ".join(map(str, self.largest[:3])) or "none"
        grows = "; ".join(map(str, self.growing[:3])) or "nothing"
        return f"databases: {most}; largest tables: {large}; growing: {grows}"


_DATABASES: LiteralString = """
select datname, pg_database_size(oid) from pg_database where has_database_privilege(oid, 'connect')
 order by 2 desc, 1 limit 50
"""
# By the catalog's own estimate, so that a database with a hundred thousand tables is not measured file by file.
_LARGEST: LiteralString = """
select c.oid::bigint, quote_ident(n.nspname) || '.' || quote_ident(c.relname), pg_total_relation_size(c.oid),
       coalesce(pg_stat_get_dead_tuples(c.oid), 0)
  from (select * from pg_class where relkind in ('r', 'm') order by relpages desc limit 500) c
  join pg_namespace n on n.oid = c.relnamespace where n.nspname <> 'pg_toast'
"""


@look
def sizes(server: Server, *, over: Span = "1s", most: int = 10) -> Sizes:
    """The largest databases and tables, and which tables grow: two looks, ``over`` apart, at the 500 largest."""
    with connected(server, within=20) as there:
        databases = dict(there.rows(lambda *said: said, _DATABASES))
        before = {oid: count for oid, _, count, _ in there.rows(lambda *said: said, _LARGEST)}
        time.sleep(parse_duration(over) / SECOND)
        after = [
            Relation(name, count or 0, (count or 0) - (before.get(oid) or 0) if oid in before else 0, dead)
            for oid, name, count, dead in there.rows(lambda *said: said, _LARGEST)
        ]
        temporary = there.row("select coalesce(sum(temp_bytes), 0)::bigint from pg_stat_database")
    largest = sorted(after, key=lambda one: (-one.bytes, one.name))[: min(most, MOST)]
    growing = sorted((one for one in after if one.grew > 0), key=lambda one: (-one.grew, one.name))[: min(most, MOST)]
    return Sizes(databases, tuple(largest), tuple(growing), temporary[0] if temporary else 0)


@fix(idempotent=True, says="have {server} write a checkpoint", undo="it need not be: it changes no data")
def checkpoint(server: Server, *, within: Span = "5m") -> str:
    """Write everything out now, and let go of log that nothing holds. Returns how much log that removed.

    Costs the disk a burst of writing. Raises what PostgreSQL says when it takes longer than ``within``.
    """
    with connected(server, within=parse_duration(within) / SECOND) as there:
        there.see_all()
        before = there.row("select coalesce(sum(size), 0)::bigint from pg_ls_waldir()")
        there.connection.execute("checkpoint")
        after = there.row("select coalesce(sum(size), 0)::bigint from pg_ls_waldir()")
    assert before is not None
    assert after is not None
    return f"a checkpoint was made: {size(before[0])} of log before, {size(after[0])} after"
