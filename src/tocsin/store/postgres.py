"""The writer on PostgreSQL: one round trip for every commit, and a lease that lets only one node write.

The lease is a row with a token that counts up with every holder. Each commit locks that row and looks for its own token
in the same transaction as everything it writes, so a holder that was stopped and overtaken can write nothing any more,
whatever it believes. Time is the database's: the nodes' clocks play no part.
"""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import psycopg
import structlog

from tocsin.engine.engine import VERSION
from tocsin.engine.state import Changes, Counters, Loaded, State
from tocsin.incidents.incident import Incident
from tocsin.kernel.instant import DAY, SECOND, Duration, Instant, format_duration
from tocsin.store import lease, rows, run_keeping, writer
from tocsin.store.rows import Journaled, Row, Statement

log = structlog.get_logger("tocsin.store")

STATEMENT_SECONDS = 10
LOAD_SECONDS = 120
ANSWER_SECONDS = 8.0
"""How long a commit may take before its connection is cut: judging goes on then, and pages do not wait for it."""
JOURNAL_KEPT = 30 * DAY
JOURNAL_BYTES = 5 * 1024**3
MARKED_AT_ONCE = 1_000
ASK_EVERY = 0.5
SAY_EVERY = 60.0

_SESSION = {
    "synchronous_commit": "on",
    "idle_in_transaction_session_timeout": "5s",  # a stopped holder must not keep its successor waiting for a lock
    "statement_timeout": f"{STATEMENT_SECONDS}s",
    "client_encoding": "UTF8",
    "bytea_output": "hex",
}
_CONNECT: dict[str, Any] = {
    "connect_timeout": 5,
    "application_name": "tocsin core",
    "target_session_attrs": "read-write",
    "keepalives": 1,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
}

Command = tuple[str, Sequence[Any]]


class Cutter:
    """Cuts connections whose server does not answer in time.

    A server that is frozen, or behind a wall that swallows packets, closes nothing: the driver would wait for ever.
    """

    def __init__(self) -> None:
        self._until: dict[psycopg.Connection[Row], float] = {}
        self._lock = threading.Lock()
        self._closing = threading.Event()
        threading.Thread(target=self._run, name="tocsin-cutter", daemon=True).start()

    @contextmanager
    def within(self, db: psycopg.Connection[Row], seconds: float) -> Iterator[None]:
        """What is asked of a connection in this block fails with OperationalError when it takes longer."""
        with self._lock:
            self._until[db] = time.monotonic() + seconds
        try:
            yield
        finally:
            with self._lock:
                self._until.pop(db, None)

    def close(self) -> None:
        """Look after nothing any more."""
        self._closing.set()

    def _run(self) -> None:
        while not self._closing.wait(0.25):
            with self._lock:  # held while cutting, so that the next one's time is not cut
                for db, until in list(self._until.items()):
                    if time.monotonic() > until:
                        del self._until[db]
                        with suppress(OSError, psycopg.Error), socket.socket(fileno=os.dup(db.fileno())) as end:
                            end.shutdown(socket.SHUT_RDWR)


class Connecting(threading.Thread):
    """Connects in a thread of its own: a server that is away keeps whoever asks waiting for seconds."""

    def __init__(self, connect: Callable[[], psycopg.Connection[Row]]) -> None:
        super().__init__(name="tocsin-connecting", daemon=True)
        self._connect = connect
        self.made: psycopg.Connection[Row] | None = None
        self.failed: Exception | None = None
        self.start()

    def run(self) -> None:
        """Try once."""
        try:
            self.made = self._connect()
        except Exception as error:  # noqa: BLE001  # handed to whoever asks
            self.failed = error


class PostgresStore:
    """See ``writer.Store``. Made without touching the database: call ``wait_for_lease`` before anything else.

    ``stop`` ends the waiting for the lease or for a database that is away (with ``writer.Stopped``). ``node`` names
    this node to the others, its host's name unless given.
    """

    def __init__(
        self, url: str, tzdata: str, stop: threading.Event | None = None, node: str = "", lease: Duration = lease.LEASE
    ) -> None:
        self._address = url.replace("+psycopg", "", 1)
        self._tzdata = tzdata
        self._stop = stop or threading.Event()
        self._node = node or socket.gethostname()
        self._lease = lease
        self._db: psycopg.Connection[Row] | None = None
        self._cutter = Cutter()
        self._connecting: Connecting | None = None
        self._sql: dict[Statement, str] = {}
        self._token = 0
        self._versions = 0
        self._kept = 0.0
        self._held_until = 0.0
        self._thinned: Instant = 0
        self._mismarked: dict[int, bool] = {}
        self._tidied = 0
        self._aged = run_keeping.Progress()

    def wait_for_lease(self, waiting: Callable[[str], None] = lambda why: None) -> None:
        """Wait until this node is the one that writes; ``waiting`` is told why, in a sentence, each time it looked.

        When a database that was away is back, whoever held the lease gets one more lease's time to take it up again:
        that node may have gone on in memory. So it does when the database was slow, once, or when it is in the midst
        of a commit. Raises writer.Stopped when asked to end before that.
        """
        said, last, leave = 0.0, "", lease.Leave(self._lease / SECOND)
        while not self._stop.is_set():
            pause = ASK_EVERY
            try:
                holder = self._look(leave)
                over = holder.left <= 0 and leave.over(time.monotonic())
                if self._take_lease(over):
                    self._versions = self._version_row()
                    log.info("lease_taken", node=self._node, token=self._token)
                    return
                if over:  # its holder is in the midst of a commit
                    leave.give(time.monotonic())
                if 0 < holder.left < ASK_EVERY * SECOND:
                    pause = holder.left / SECOND
                state = f"standby: {holder.node} writes; this node hears nothing and pages nobody until it takes over"
                left = format_duration(max(0, holder.left) // SECOND * SECOND)
            except psycopg.OperationalError as error:
                self._drop()
                state, left = f"the database cannot be reached: {_told(error)}", ""
                leave.give(time.monotonic())
            waiting(state)
            if state != last or time.monotonic() - said > SAY_EVERY:
                log.warning("waiting_for_lease", node=self._node, why=state, lease_left=left)
                said, last = time.monotonic(), state
            self._stop.wait(pause)
        raise writer.Stopped

    def load(self) -> Loaded:
        """Read what the engine keeps in memory.

        After a lost connection it waits until the database is back. Raises LeaseLost when another node took over
        meanwhile, and writer.Stopped when asked to end.
        """
        said = 0.0
        while True:
            try:
                self._keep_lease(lease.LEASE_WHILE_LOADING)
                break
            except psycopg.OperationalError as error:
                self._drop()
                if not said or time.monotonic() - said > SAY_EVERY:
                    log.error("database_lost", error=_told(error))
                    said = time.monotonic()
            if self._stop.wait(ASK_EVERY):
                raise writer.Stopped
        if said:
            log.info("database_back")
        loaded = writer.load(self._select, "live")
        self._mismarked = self._marked_wrongly(loaded.incidents)
        # Renewed for its ordinary time at the first housekeeping: if this node dies now, nobody waits a minute for it.
        self._kept = 0.0
        return loaded

    def commit(self, journal: Sequence[Journaled], changes: Changes, state: State) -> None:
        """Write inputs and what they changed in one transaction. Raises LeaseLost, or psycopg.Error."""
        commands: list[Command] = []
        for statement, values in rows.statements(journal, changes, state, self._versions):
            commands.append((self._insert(statement), _columns(statement, values)))
        for table, columns, names in rows.deletions(changes):
            if names:
                commands.append(_delete(table, columns, names))
        for number in changes.incidents:
            self._mismarked.pop(number, None)  # its row is written as it is now
        self._write(commands)

    def takes_nothing(self, error: Exception) -> bool:
        """Whether a failure means that the server is away or has no room; else it is the rows' own fault."""
        away = psycopg.OperationalError | psycopg.InterfaceError | psycopg.errors.ReadOnlySqlTransaction
        return isinstance(error, away)

    def no_room(self, error: Exception) -> bool:
        """Never: its disk is the server's."""
        return False

    def resume(self) -> Counters:
        """After a failure: the counters as the tables have them, on a connection made anew when it was lost.

        While that is under way, and when it failed, it raises OperationalError. Renewing the lease waits for what the
        lost connection may still be writing.
        """
        if self._db is None or self._db.closed:
            self._drop()
            self._db = self._reconnected()
        self._keep_lease(self._lease)
        return writer.counters(self._select)

    def journal(self, after: int = 0) -> Iterator[Journaled]:
        """The inputs that were applied, in order."""
        page = writer.JOURNAL_PAGE.format(after="%s")
        return writer.journal(lambda place: self._select(page, (place,)), after)

    def plan_files(self, version: str) -> Mapping[str, bytes] | None:
        """The files of a plan version."""
        found = self._select("SELECT files FROM plans WHERE version = %s", (rows.storable(version),))
        return rows.unpack_files(found[0][0]) if found else None

    def meta(self, name: str) -> bytes | None:
        """A named value."""
        found = self._select("SELECT value FROM meta WHERE name = %s", (rows.storable(name),))
        return bytes(found[0][0]) if found else None

    def set_meta(self, name: str, value: bytes) -> None:
        """Set a named value, durably."""
        self._write([(self._insert(rows.META), _columns(rows.META, [(name, rows.WORKSPACE, value)]))])

    def housekeep(self, now: Instant) -> None:
        """Renew the lease in good time, put right what an older node wrote, and thin the journal a little. A lost
        connection is for ``resume`` to mend.
        """
        if time.monotonic() - self._kept > self._lease / SECOND / 8:
            self._usable()
            self._keep_lease(self._lease)
        if self._mismarked:
            self._mark_quiet()
        if now - self._thinned > DAY // 24:
            self._thin(now)

    @property
    def safe_until(self) -> float:
        """As ``writer.Store`` says: a quarter of the lease before its end, counted from when it was asked for."""
        return self._held_until - self._lease / SECOND / 4

    def close(self) -> None:
        """Give the lease back, so that a standby takes over at once, and let go of the database."""
        if self._db is not None and self._token:
            with suppress(psycopg.Error):
                self._db.execute("UPDATE lease SET ends_at = 0 WHERE name = 'writer' AND token = %s", (self._token,))
        self._token = 0
        self._cutter.close()
        self._drop()

    # -- the connection ------------------------------------------------------------------------------------------------

    def _connected(self) -> psycopg.Connection[Row]:
        """The connection, made anew when there is none."""
        if self._db is None or self._db.closed:
            self._db = self._connect()
        return self._db

    def _connect(self) -> psycopg.Connection[Row]:
        own = psycopg.conninfo.conninfo_to_dict(self._address)
        db = psycopg.connect(
            self._address, autocommit=True, **{name: value for name, value in _CONNECT.items() if name not in own}
        )
        try:
            with self._cutter.within(db, ANSWER_SECONDS):
                for name, value in _SESSION.items():
                    db.execute("SELECT set_config(%s, %s, false)", (name, value))
        except BaseException:
            db.close()
            raise
        return db

    def _reconnect(self) -> psycopg.Connection[Row]:
        """A new connection, with the lease renewed on it."""
        db = self._connect()
        try:
            with self._cutter.within(db, ANSWER_SECONDS):
                if db.execute(lease.KEEP, (self._lease, self._token)).fetchone() is None:
                    raise self._lost()
        except BaseException:
            db.close()
            raise
        return db

    def _reconnected(self) -> psycopg.Connection[Row]:
        """The connection that was made meanwhile. Raises OperationalError while there is none."""
        if self._connecting is None:
            self._connecting = Connecting(self._reconnect)
            self._connecting.join(0.02)  # one that is there answers at once
        if self._connecting.is_alive():
            raise psycopg.OperationalError("the server has not answered yet")
        done, self._connecting = self._connecting, None
        if done.made is None:
            raise done.failed or psycopg.OperationalError("no connection was made")
        return done.made

    def _drop(self) -> None:
        if self._db is not None:
            self._db.close()
            self._db = None

    def _usable(self) -> psycopg.Connection[Row]:
        """The connection as it is. Only ``load`` and ``resume`` make a lost one anew, and look at what was kept."""
        if self._db is None or self._db.closed:
            raise psycopg.OperationalError("the connection to the database is lost")
        return self._db

    def _select(self, query: str, values: Sequence[Any] = ()) -> list[Row]:
        db = self._usable()
        with self._cutter.within(db, LOAD_SECONDS + 1), db.transaction(), db.cursor(binary=True) as cursor:
            cursor.execute(f"SET LOCAL statement_timeout = '{LOAD_SECONDS}s'")
            return cursor.execute(query, values).fetchall()

    def _write(self, commands: Sequence[Command]) -> None:
        """Run commands in one transaction and one round trip, if the lease is still this node's."""
        db, asked = self._usable(), time.monotonic()
        renews = asked - self._kept > self._lease / SECOND / 8
        try:
            with self._cutter.within(db, ANSWER_SECONDS), db.pipeline():
                db.execute("BEGIN")
                db.execute(lease.HELD, (self._token,))
                for command, values in commands:
                    db.execute(command, values)
                if renews:  # last: a commit that took long must not lose the lease to who waited for its lock
                    db.execute(lease.KEEP, (self._lease, self._token))
                db.execute("COMMIT")
        except BaseException as error:
            self._roll_back(db)
            if isinstance(error, psycopg.errors.DivisionByZero):
                raise self._lost() from None
            raise
        if renews:
            self._kept, self._held_until = asked, asked + self._lease / SECOND

    def _roll_back(self, db: psycopg.Connection[Row]) -> None:
        try:
            db.rollback()
        except psycopg.Error:
            self._drop()

    # -- the lease -----------------------------------------------------------------------------------------------------

    def _look(self, leave: lease.Leave) -> lease.Holder:
        """Who holds the lease; tells ``leave`` how long the answer took. Waits for nobody who has it locked."""
        db, asked = self._connected(), time.monotonic()
        with self._cutter.within(db, ANSWER_SECONDS):
            held = db.execute(lease.LOOK).fetchone()
            leave.answered(time.monotonic() - asked, time.monotonic())
            if held is None:
                db.execute(lease.FIRST)
        return lease.Holder(*held) if held else lease.Holder("another node", 0)

    def _take_lease(self, over: bool) -> bool:
        """Take the lease if nobody holds it, or, with ``over``, if it was not renewed. Says whether it did."""
        db, asked = self._connected(), time.monotonic()
        with self._cutter.within(db, ANSWER_SECONDS):
            taken = db.execute(lease.TAKE, (over, self._node, self._node, self._lease)).fetchone()
        if taken is None:
            return False
        self._token, self._kept = taken[0], time.monotonic()
        self._held_until = asked + self._lease / SECOND
        return True

    def _keep_lease(self, how_long: Duration) -> None:
        """Renew the lease. Raises LeaseLost when it is another's by now."""
        db, asked = self._connected(), time.monotonic()
        with self._cutter.within(db, ANSWER_SECONDS):
            kept = db.execute(lease.KEEP, (how_long, self._token)).fetchone()
        if kept is None:
            raise self._lost()
        self._kept = time.monotonic()
        self._held_until = asked + how_long / SECOND

    def _lost(self) -> writer.LeaseLost:
        self._token = 0
        return writer.LeaseLost(f"{self._node} does not hold the lease any more: another node writes now")

    # -- odds and ends -------------------------------------------------------------------------------------------------

    def _marked_wrongly(self, incidents: Iterable[Incident]) -> dict[int, bool]:
        """Live incidents whose rows say wrongly whether they are kept quiet, and what is right.

        A node of a version that did not know the mark may have written them, beside one that had migrated already and
        waited for its turn.
        """
        marked = {row[0] for row in self._select("SELECT number FROM incidents WHERE live AND quiet")}
        quiet = {one.number for one in incidents if one.kept_quiet}
        return {number: number in quiet for number in sorted(quiet ^ marked)}

    def _mark_quiet(self) -> None:
        """Put some of those right. Lists alone are wrong until then, so nothing waits for it."""
        some = list(self._mismarked)[:MARKED_AT_ONCE]
        update = "UPDATE incidents SET quiet = %s WHERE number = ANY(%s::bigint[])"
        right = [(said, [one for one in some if self._mismarked[one] is said]) for said in (True, False)]
        self._write([(update, each) for each in right if each[1]])
        for number in some:
            self._mismarked.pop(number, None)

    def _thin(self, now: Instant) -> None:
        """Forget what is older than the journal is kept, in small slices; then once an hour."""
        most = self._select("SELECT pg_total_relation_size('journal')")[0][0]
        size = min(writer.journal_bytes(self._select, "pg_column_size(body)"), most)
        until = now - JOURNAL_KEPT if size < JOURNAL_BYTES else now
        old = f"SELECT seq FROM journal WHERE at < %s AND {writer.NOT_PARKED} ORDER BY seq LIMIT 500"
        found = [row[0] for row in self._select(old, (until,))]
        if found:
            self._write([("DELETE FROM journal WHERE seq = ANY(%s::bigint[])", (found,))])
        replaced, tidied = writer.replaced_alert_rows(self._select, self._tidied)
        room = self._select("SELECT pg_total_relation_size('steps')")[0][0]
        aged = run_keeping.old_runs(self._select, now, room, self._aged)
        if replaced or aged.statements:
            self._write([(statement, ()) for statement in (*replaced, *aged.statements)])
        self._tidied, self._aged = tidied or 0, aged.then
        if len(found) < 500 and tidied is None and not aged.more:
            self._thinned = now

    def _version_row(self) -> int:
        known = "SELECT id FROM versions WHERE engine = %s AND tzdata = %s"
        found = self._select(known, (VERSION, self._tzdata))
        if not found:
            number = self._select("SELECT coalesce(max(id), 0) + 1 FROM versions")[0][0]
            values = _columns(rows.VERSIONS, [(number, VERSION, self._tzdata)])
            self._write([(self._insert(rows.VERSIONS), values)])
            return int(number)
        return int(found[0][0])

    def _insert(self, statement: Statement) -> str:
        """One INSERT for any number of rows, which come as one array for each column."""
        sql = self._sql.get(statement)
        if sql is None:
            names = ", ".join(statement.columns)
            arrays = ", ".join(f"%b::{kind}[]" for kind in statement.types)
            sql = f"INSERT INTO {statement.table} ({names}) SELECT * FROM unnest({arrays})"
            if statement.key:
                others = ", ".join(f"{c} = excluded.{c}" for c in statement.columns if c not in statement.key)
                sql += f" ON CONFLICT ({', '.join(statement.key)}) DO UPDATE SET {others}"
            self._sql[statement] = sql
        return sql


def _columns(statement: Statement, values: Sequence[Row]) -> list[list[Any]]:
    """Rows turned into columns. Of rows with one key the last counts: no command may touch a row twice."""
    if statement.key and len(values) > 1:
        places = [statement.columns.index(name) for name in statement.key]
        values = list({tuple(row[place] for place in places): row for row in values}.values())
    return [list(column) for column in zip(*values, strict=True)]


def _delete(table: str, columns: Sequence[str], names: Sequence[Row]) -> Command:
    arrays = ", ".join("%b::text[]" for _ in columns)
    same = " AND ".join(f"{table}.{c} = gone.{c}" for c in columns)
    command = f"DELETE FROM {table} USING unnest({arrays}) AS gone ({', '.join(columns)}) WHERE {same}"
    return command, [list(column) for column in zip(*names, strict=True)]


def _told(error: psycopg.Error) -> str:
    """An error of the driver in one line."""
    return " ".join(str(error).split())[:300]
