"""Stores to test the contract on: the same tests, on SQLite files and on a real PostgreSQL."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

import msgspec
import pytest
from sqlalchemy import Column, NullPool, Table, create_engine, select
from sqlalchemy.engine import make_url

from tests.support.postgres import Postgres
from tocsin.store.opening import migrate, url_for
from tocsin.store.postgres import PostgresStore
from tocsin.store.reads import Reads, open_engine
from tocsin.store.rows import read_journal_row
from tocsin.store.sqlite import SqliteStore
from tocsin.store.tables import metadata
from tocsin.store.writer import Store

TZDATA = "2026a"
UNCOMPARED = ("lease", "versions")
"""Tables that say who wrote, not what was decided."""


class Place(Protocol):
    """One database of a test's own."""

    url: str

    def open(self) -> Store:
        """Open it for writing. Closed with the test."""
        ...

    def tables(self) -> dict[str, list[tuple[Any, ...]]]:
        """Every row of every table, in an order of its own."""
        ...

    def told(self) -> dict[str, list[Any]]:
        """What the tables say, however alerts and inputs lie in them: that depends on what shared a commit."""
        ...


class _Place:
    def __init__(self, url: str, make: Callable[[], Store], stores: list[Store]) -> None:
        self.url = url
        self._make = make
        self._stores = stores

    def open(self) -> Store:
        store = self._make()
        self._stores.append(store)
        return store

    def tables(self) -> dict[str, list[tuple[Any, ...]]]:
        return rows_of(self.url)

    def told(self) -> dict[str, list[Any]]:
        found: dict[str, list[Any]] = {n: r for n, r in rows_of(self.url).items() if not n.startswith("alert")}
        found["journal"] = [one for seq, _, at, *_, body in found["journal"] for one in read_journal_row(seq, at, body)]
        engine = open_engine(self.url)
        reads, after = Reads(engine), None
        found["alerts"] = []
        while True:
            page = reads.alerts(after=after, limit=7)
            found["alerts"] += [msgspec.json.encode(alert) for alert in page.items]
            for alert in page.items:
                assert reads.alert(alert.id) == alert
                assert alert in reads.alerts(incident=alert.incident, after=str(alert.id + 1)).items
            after = page.next
            if after is None:
                engine.dispose()
                return found


def rows_of(url: str) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of every table of a database, in an order of its own."""
    engine = create_engine(url, poolclass=NullPool)
    with engine.connect() as connection:
        return {
            table.name: sorted(tuple(row) for row in connection.execute(select(*_decided(table))))
            for table in metadata.sorted_tables
            if table.name not in UNCOMPARED
        }


def _decided(table: Table) -> list[Column[Any]]:
    # When a plan's files were written is the commit's own time; the timelines have the time of the change.
    return [column for column in table.columns if (table.name, column.name) != ("plans", "at")]


class Places:
    """Makes databases with today's schema, quickly: each is a copy of one that was migrated."""

    def __init__(self, kind: str, folder: Path, postgres: Postgres | None) -> None:
        self.kind = kind
        self._folder = folder
        self._postgres = postgres
        self._made = 0
        self._stores: list[Store] = []
        self._databases: list[str] = []
        self._template = url_for(folder / "template") if postgres is None else postgres.new_database()
        migrate(self._template)

    def new(self) -> Place:
        """An empty database."""
        self._made += 1
        if self._postgres is None:
            path = self._folder / f"{self._made}.db"
            shutil.copy(self._folder / "template" / "tocsin.db", path)
            return _Place(f"sqlite:///{path}", lambda: SqliteStore(path, TZDATA), self._stores)
        url = self._postgres.new_database(template=make_url(self._template).database or "")
        self._databases.append(url)

        def opened() -> Store:
            store = PostgresStore(url, TZDATA)
            store.wait_for_lease()
            return store

        return _Place(url, opened, self._stores)

    def clear(self) -> None:
        """Let go of everything made since the last time."""
        for store in self._stores:
            store.close()
        self._stores.clear()
        for url in self._databases:
            assert self._postgres is not None
            self._postgres.drop_database(url)
        self._databases.clear()


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def places(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Places]:
    """Databases of one kind; every test that asks for this runs on both."""
    postgres = request.getfixturevalue("postgres") if request.param == "postgres" else None
    made = Places(request.param, tmp_path_factory.mktemp(request.param), postgres)
    yield made
    made.clear()
