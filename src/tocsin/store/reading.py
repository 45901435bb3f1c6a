"""How anything is read for people and scripts: one short snapshot at a time, paged by cursor, capped."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Generic, TypeVar
from urllib.parse import quote

from msgspec import Struct
from sqlalchemy import Column, Connection, Engine, Select, Table, create_engine, event, select
from sqlalchemy.engine import make_url
from sqlalchemy.pool import QueuePool
from sqlalchemy.sql.elements import ColumnElement

R = TypeVar("R")
T = TypeVar("T")

LIMIT, MOST = 50, 500
"""How many rows a page holds unless asked otherwise, and at most."""
SCAN = 50_000
"""How many rows one call looks at to fill a page."""
CHUNK = 2_000


class CursorError(ValueError):
    """A cursor is not one that a page named as its ``next``."""


class Slice(Struct, Generic[T], frozen=True):
    """One page of a list. ``next`` is the cursor of the following page, None at the end."""

    items: list[T]
    next: str | None = None


def open_engine(database: str, connections: int = 6, statement_seconds: int = 5) -> Engine:
    """Open a database for reading only. ``database`` is a SQLAlchemy URL (sqlite:///path or postgresql://…).

    SQLite opens with ``mode=ro`` and ``query_only``; on PostgreSQL each transaction is read-only and bounded in time.
    """
    url = make_url(database)
    if url.get_backend_name() == "sqlite":
        if not url.database or url.database == ":memory:":
            raise ValueError("reading needs a database file")
        where = f"file:{quote(str(Path(url.database).absolute()))}?mode=ro"

        def connect() -> sqlite3.Connection:
            # isolation_level None: the driver begins nothing by itself, `begin` below does.
            made = sqlite3.connect(where, uri=True, check_same_thread=False, isolation_level=None, timeout=2.0)
            made.execute("PRAGMA query_only=ON")
            made.execute("PRAGMA cache_size=-8192")
            return made

        engine = create_engine(
            "sqlite://", creator=connect, poolclass=QueuePool, pool_size=connections, max_overflow=0, pool_timeout=5
        )
        event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN"))
        return engine
    if url.drivername in ("postgresql", "postgres"):
        url = url.set(drivername="postgresql+psycopg")
    bounds = {
        "statement_timeout": statement_seconds * 1000,
        "idle_in_transaction_session_timeout": 5_000,
        "default_transaction_read_only": "on",
    }
    options = " ".join(f"-c {name}={value}" for name, value in bounds.items())
    return create_engine(
        url,
        connect_args={"options": options, "connect_timeout": 5, "application_name": "tocsin faces"},
        isolation_level="REPEATABLE READ",
        pool_size=connections,
        max_overflow=0,
        pool_timeout=5,
        pool_pre_ping=True,
    )


class Reading:
    """Reading of one workspace, without a word on what is read. Methods block. Safe to share between threads."""

    def __init__(self, engine: Engine, workspace: int = 1) -> None:
        self._engine = engine
        self._workspace = workspace

    @contextmanager
    def _snapshot(self) -> Iterator[Connection]:
        with self._engine.begin() as connection:
            yield connection

    def _here(self, table: Table) -> list[ColumnElement[bool]]:
        return [table.c.workspace == self._workspace]

    def _by_id(
        self, table: Table, where: Sequence[ColumnElement[bool]], id: Column[int] | None = None
    ) -> Callable[[Connection, int | None, int], list[tuple[int, bytes]]]:
        key = table.c.id if id is None else id

        def chunk(connection: Connection, before: int | None, count: int) -> list[tuple[int, bytes]]:
            asked = select(key, table.c.body).where(*self._here(table), *where)
            if before is not None:
                asked = asked.where(key < before)
            return [(row[0], row[1]) for row in connection.execute(asked.order_by(key.desc()).limit(count))]

        return chunk

    def _page(
        self,
        chunk: Callable[[Connection, int | None, int], list[tuple[int, R]]],
        decode: Callable[[R], T],
        before: int | None,
        limit: int,
        keep: Callable[[T], bool] | None = None,
    ) -> Slice[T]:
        """Fill one page. Each chunk is its own snapshot, so that a long search never holds the log back."""
        found: list[T] = []
        seen = 0
        count = limit + 1 if keep is None else CHUNK
        while True:
            with self._snapshot() as connection:
                rows = chunk(connection, before, count)
            for number, body in rows:
                if len(found) == limit:
                    # At least one more row follows the last one that was looked at.
                    return Slice(found, str(before))
                one = decode(body)
                before = number
                if keep is None or keep(one):
                    found.append(one)
            seen += len(rows)
            if len(rows) < count:
                return Slice(found, None)
            if seen >= SCAN:
                return Slice(found, str(before))

    def _stream(
        self,
        chunk: Callable[[Connection, int | None, int], list[tuple[int, R]]],
        decode: Callable[[R], T],
        most: int,
        keep: Callable[[T], bool],
    ) -> Iterator[list[T]]:
        before, given = None, 0
        while given < most:
            with self._snapshot() as connection:
                rows = chunk(connection, before, CHUNK)
            kept = [one for one in (decode(body) for _, body in rows) if keep(one)][: most - given]
            given += len(kept)
            yield kept
            if len(rows) < CHUNK:
                return
            before = rows[-1][0]

    def _all(self, asked: Select[bytes], decode: Callable[[bytes], T]) -> list[T]:
        with self._snapshot() as connection:
            return [decode(body) for body in connection.scalars(asked)]

    def _one(self, table: Table, where: ColumnElement[bool], decode: Callable[[bytes], T]) -> T | None:
        with self._snapshot() as connection:
            row = connection.execute(select(table.c.body).where(*self._here(table), where)).first()
        return None if row is None else decode(row[0])


def place_of(cursor: str | None) -> int | None:
    """The id a page ended with, by its cursor; None before the first page. Raises CursorError."""
    if cursor is None:
        return None
    if not cursor.isascii() or not cursor.isdigit() or len(cursor) > 18:
        raise CursorError(f"{cursor!r} is not a cursor: use the `next` of the page before")
    return int(cursor)


def mentioning(words: str) -> Callable[[str, Mapping[str, str]], bool] | None:
    """Whether all of these words occur in a text or in labels; None where there are no words."""
    wanted = [word.casefold() for word in words.split()]

    def mentions(text: str, labels: Mapping[str, str]) -> bool:
        told = " ".join((text, *(f"{name}={value}" for name, value in labels.items()))).casefold()
        return all(word in told for word in wanted)

    return mentions if wanted else None


def capped(limit: int) -> int:
    """How many rows a page holds when so many are asked for."""
    return max(1, min(limit, MOST))
