"""The writer on SQLite: write-ahead log, an fsync for every commit, checkpoints kept out of the commits' way."""

from __future__ import annotations

import fcntl
import sqlite3
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from itertools import chain
from math import inf
from pathlib import Path
from typing import Any

from tocsin.engine.engine import VERSION
from tocsin.engine.state import Changes, Counters, Loaded, State
from tocsin.kernel.instant import DAY, Instant
from tocsin.store import rows, run_keeping, writer
from tocsin.store.room import next_to_none
from tocsin.store.rows import Journaled, Row, Statement

FILE = "tocsin.db"
PAGES_BEFORE_CHECKPOINT = 1_000
PAGES_WRITER_CHECKPOINTS = 5_000
ROWS_IN_ONE_STEP = (64, 8, 1)
JOURNAL_KEPT = 30 * DAY
JOURNAL_BYTES = 5 * 1024**3
NETWORK_FILE_SYSTEMS = {
    "nfs",
    "nfs4",
    "cifs",
    "smb3",
    "smbfs",
    "fuse.sshfs",
    "9p",
    "ceph",
    "glusterfs",
    "fuse.glusterfs",
}


class FolderInUse(Exception):
    """Another Tocsin writes in this data folder, or the folder cannot be used.

    The message says which, and what to do.
    """


class SqliteStore:
    """See ``writer.Store``. Open it with ``open_folder``; migrations have run before."""

    def __init__(self, path: Path, tzdata: str) -> None:
        self._path = path
        self._log = Path(f"{path}-wal")
        self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False, cached_statements=256)
        for pragma in (
            "journal_mode=WAL",
            "synchronous=FULL",
            "wal_autocheckpoint=0",
            "temp_store=MEMORY",
            "cache_size=-16000",
            "busy_timeout=5000",
        ):
            self._db.execute(f"PRAGMA {pragma}")
        self._sql: dict[tuple[Statement, int], str] = {}
        self._versions = self._version_row(tzdata)
        self._checkpointer = Checkpointer(path)
        self._thinned: Instant = 0
        self._tidied = 0
        self._aged = run_keeping.Progress()
        self._checkpoint_at = PAGES_WRITER_CHECKPOINTS

    def load(self) -> Loaded:
        """Read what the engine keeps in memory."""
        return writer.load(self._db.execute, "live")

    def commit(self, journal: Sequence[Journaled], changes: Changes, state: State) -> None:
        """Write inputs and what they changed in one transaction."""
        with self._whole_or_not() as db:
            for statement, values in rows.statements(journal, changes, state, self._versions):
                self._put_all(statement, values)
            for table, columns, names in rows.deletions(changes):
                if names:
                    db.executemany(f"DELETE FROM {table} WHERE {' AND '.join(f'{c} = ?' for c in columns)}", names)
        self._bound_log()

    def takes_nothing(self, error: Exception) -> bool:
        """Whether a failure means that there is no room, or no disk; else it is the rows' own fault."""
        return isinstance(error, sqlite3.DatabaseError) and not isinstance(
            error, sqlite3.IntegrityError | sqlite3.DataError | sqlite3.ProgrammingError | sqlite3.NotSupportedError
        )

    def no_room(self, error: Exception) -> bool:
        """Whether it says so, or fails where there is next to none: not every file system says why."""
        return "full" in str(error) or next_to_none(self._path.parent)

    def resume(self) -> Counters:
        """After a failure: the counters as the tables have them."""
        return writer.counters(self._db.execute)

    def journal(self, after: int = 0) -> Iterator[Journaled]:
        """The inputs that were applied, in order."""
        page = writer.JOURNAL_PAGE.format(after="?")
        return writer.journal(lambda place: self._db.execute(page, (place,)).fetchall(), after)

    def plan_files(self, version: str) -> Mapping[str, bytes] | None:
        """The files of a plan version."""
        row = self._db.execute("SELECT files FROM plans WHERE version = ?", (version,)).fetchone()
        return rows.unpack_files(row[0]) if row else None

    def meta(self, name: str) -> bytes | None:
        """A named value."""
        row = self._db.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()
        return bytes(row[0]) if row else None

    def set_meta(self, name: str, value: bytes) -> None:
        """Set a named value, durably."""
        self._put(rows.META, (name, rows.WORKSPACE, value))

    def housekeep(self, now: Instant) -> None:
        """Checkpoint what gathered, and thin the journal a little."""
        if self._wal_pages() > PAGES_BEFORE_CHECKPOINT:
            self._checkpointer.wake()
        if now - self._thinned > DAY // 24:
            self._thin(now)

    @property
    def safe_until(self) -> float:
        """For ever: nobody else can open the file."""
        return inf

    def close(self) -> None:
        """Checkpoint and close."""
        self._checkpointer.close()
        self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        self._db.close()

    def _thin(self, now: Instant) -> None:
        """Forget what is older than the journal is kept, in small slices; then once an hour."""
        pages, free, each = (
            self._db.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "freelist_count", "page_size")
        )
        size = (pages - free) * each  # what is in use: the file itself shrinks later than what is in it
        # Steps are no more than all of it; the journal is measured by itself, for much of the rest stays for good.
        journal = min(writer.journal_bytes(self._db.execute, "length(body)"), size)
        until = now - JOURNAL_KEPT if journal < JOURNAL_BYTES else now
        deleted = self._db.execute(
            "DELETE FROM journal WHERE seq IN (SELECT seq FROM journal WHERE at < ?"
            " AND seq NOT IN (SELECT id FROM parked WHERE NOT discarded) ORDER BY seq LIMIT 500)",
            (until,),
        ).rowcount
        replaced, tidied = writer.replaced_alert_rows(self._db.execute, self._tidied)
        aged = run_keeping.old_runs(self._db.execute, now, size, self._aged)
        with self._whole_or_not() as db:
            for statement in (*replaced, *aged.statements):
                db.execute(statement)
        self._tidied, self._aged = tidied or 0, aged.then
        self._db.execute("PRAGMA incremental_vacuum(200)").fetchall()
        if deleted < 500 and tidied is None and not aged.more:
            self._thinned = now

    @contextmanager
    def _whole_or_not(self) -> Iterator[sqlite3.Connection]:
        """All of what is written in this block, or nothing: what failed is rolled back, and the next can begin."""
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield self._db
            self._db.execute("COMMIT")
        except BaseException:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise

    def _bound_log(self) -> None:
        """Write back what the other thread has not managed to: only the writer itself can keep the log from growing.

        While somebody reads an older state it cannot either, and tries again when the log is a little longer.
        """
        pages = self._wal_pages()
        if pages > self._checkpoint_at:
            with suppress(sqlite3.OperationalError):  # what was committed stays committed
                self._db.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
            self._checkpoint_at = pages + PAGES_BEFORE_CHECKPOINT // 4
        elif pages < PAGES_WRITER_CHECKPOINTS:
            self._checkpoint_at = PAGES_WRITER_CHECKPOINTS

    def _wal_pages(self) -> int:
        try:
            return self._log.stat().st_size // 4096
        except FileNotFoundError:
            return 0

    def _put(self, statement: Statement, row: Row) -> None:
        self._db.execute(self._statement(statement), row)

    def _put_all(self, statement: Statement, values: Sequence[Row]) -> None:
        """Many rows in few steps: in each the driver lets go of the interpreter, and has to wait to get it back."""
        start = 0
        for size in ROWS_IN_ONE_STEP:
            while start + size <= len(values):
                flat = tuple(chain.from_iterable(values[start : start + size]))
                self._db.execute(self._statement(statement, size), flat)
                start += size

    def _statement(self, statement: Statement, size: int = 1) -> str:
        sql = self._sql.get((statement, size))
        if sql is None:
            marks = ", ".join([f"({', '.join('?' * len(statement.columns))})"] * size)
            sql = f"INSERT INTO {statement.table} ({', '.join(statement.columns)}) VALUES {marks}"
            if statement.key:
                others = [c for c in statement.columns if c not in statement.key]
                sql += f" ON CONFLICT ({', '.join(statement.key)}) DO UPDATE SET " + ", ".join(
                    f"{c} = excluded.{c}" for c in others
                )
            self._sql[statement, size] = sql
        return sql

    def _version_row(self, tzdata: str) -> int:
        row = self._db.execute("SELECT id FROM versions WHERE engine = ? AND tzdata = ?", (VERSION, tzdata)).fetchone()
        if row:
            return int(row[0])
        number = int(self._db.execute("SELECT coalesce(max(id), 0) + 1 FROM versions").fetchone()[0])
        self._put(rows.VERSIONS, (number, VERSION, tzdata))
        return number


class Checkpointer:
    """Moves the write-ahead log into the database from a thread of its own, so that commits do not wait for it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._wanted = threading.Event()
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="tocsin-checkpoint", daemon=True)
        self._thread.start()

    def wake(self) -> None:
        """Ask for a checkpoint."""
        self._wanted.set()

    def close(self) -> None:
        """Stop, after the checkpoint under way."""
        self._closing = True
        self._wanted.set()
        self._thread.join()

    def _run(self) -> None:
        db = sqlite3.connect(self._path, isolation_level=None)
        db.execute("PRAGMA busy_timeout=100")
        db.execute("PRAGMA synchronous=FULL")
        while True:
            self._wanted.wait()
            self._wanted.clear()
            if self._closing:
                db.close()
                return
            with suppress(sqlite3.Error):  # a full disk has room again later: what is in the log then is written back
                db.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()


def hold_folder(data: Path) -> Any:
    """Make the data folder this process's own: a lock that lasts as long as the returned file is open.

    Raises FolderInUse when another process holds it or it lies on a network file system.
    """
    data.mkdir(parents=True, exist_ok=True, mode=0o700)
    kind = file_system(data)
    if kind in NETWORK_FILE_SYSTEMS:
        raise FolderInUse(
            f"{data} lies on a network file system ({kind}), where SQLite may lose data: "
            "use a local disk, or PostgreSQL with --database"
        )
    lock = (data / "lock").open("a+")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        lock.close()
        raise FolderInUse(f"Tocsin already runs in {data}: stop it first, or give --data another folder") from None
    return lock


def file_system(path: Path) -> str:
    """The kind of file system a path lies on, "" when that cannot be told."""
    best, kind = "", ""
    try:
        mounts = Path("/proc/self/mounts").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    where = str(path.resolve())
    for mount in mounts:
        fields = mount.split()
        point = fields[1].replace("\\040", " ")
        if (where == point or where.startswith(point.rstrip("/") + "/")) and len(point) >= len(best):
            best, kind = point, fields[2]
    return kind
