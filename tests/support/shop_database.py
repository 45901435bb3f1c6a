"""A real PostgreSQL with a shop's database on it, users with the least rights, and the faults that befall it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import psycopg

from tests.support.postgres import Postgres, running_postgres
from tests.support.waiting import eventually

SETTINGS = {
    "max_connections": "30",
    "superuser_reserved_connections": "3",
    "reserved_connections": "2",
    "max_wal_size": "32MB",
    "min_wal_size": "32MB",
    "wal_level": "replica",
    "autovacuum": "off",
    "autovacuum_freeze_max_age": "2000000000",
    "checkpoint_timeout": "1h",
}
READING = ("pg_monitor", "pg_use_reserved_connections")
"""What docs/solutions/postgres.md says is enough, and no more."""
FIXING = (*READING, "pg_signal_backend", "pg_checkpoint", "pg_maintain")
SINCE = {"pg_checkpoint": 15, "pg_use_reserved_connections": 16, "pg_maintain": 17}
"""The major version of PostgreSQL that brought a role."""


class Shop:
    """The database ``shop`` on a server. ``reading`` and ``fixing`` are what a plan's secrets would hold."""

    def __init__(self, server: Postgres) -> None:
        self.server = server
        self.reading = f"postgresql://watcher:readingword@127.0.0.1:{server.port}/shop"
        self.fixing = f"postgresql://fixer:fixingword@127.0.0.1:{server.port}/shop"
        self._held: list[psycopg.Connection[Any]] = []
        self._threads: list[threading.Thread] = []

    def prepare(self) -> None:
        """Make its users and a table."""
        with self.admin("postgres") as connection:
            connection.execute("create role watcher login password 'readingword' connection limit 20")
            connection.execute("create role fixer login password 'fixingword' connection limit 20")
            connection.execute("create role app login")
            for role, rights in (("watcher", READING), ("fixer", FIXING)):
                there = [one for one in rights if self.server.version >= SINCE.get(one, 0)]
                connection.execute(f"grant {', '.join(there)} to {role}".encode())
            if self.server.version < 17:
                connection.execute("alter role fixer superuser")  # who else may freeze every table
            if self.server.version < 16:
                connection.execute("alter role app connection limit 24")  # nothing is reserved for Tocsin
            connection.execute("create database shop owner app")
        with self.admin() as connection:
            connection.execute("grant execute on function pg_wal_replay_resume() to fixer")
        with self.connection() as connection:
            connection.execute("create table orders (id int primary key, state text)")
            connection.execute("grant select, update on orders to fixer")
            connection.execute("insert into orders select n, 'new' from generate_series(1, 100) n")

    def admin(self, database: str = "shop") -> psycopg.Connection[Any]:
        """A superuser's connection."""
        address = f"postgresql://postgres@127.0.0.1:{self.server.port}/{database}"
        return psycopg.connect(address, autocommit=True, connect_timeout=5, application_name="psql")

    def connection(self, application: str = "checkout", user: str = "app") -> psycopg.Connection[Any]:
        """A connection of the shop's, in autocommit."""
        address = f"postgresql://{user}@127.0.0.1:{self.server.port}/shop"
        return psycopg.connect(address, autocommit=True, connect_timeout=5, application_name=application)

    def opened(self, number: int, application: str = "checkout", user: str = "app") -> list[psycopg.Connection[Any]]:
        """So many connections that have done something and are idle now."""
        made = [self.connection(application, user) for _ in range(number)]
        for one in made:
            one.execute("select 1")
        self._held += made
        return made

    def hold_a_row(self, id: int = 1, application: str = "reports") -> psycopg.Connection[Any]:
        """A transaction that has changed a row and does no more: whoever wants that row waits."""
        holder = self.opened(1, application)[0]
        holder.execute("begin")
        holder.execute("update orders set state = 'held' where id = %s", (id,))
        return holder

    def begin(self, statement: str, application: str = "checkout", number: int = 1) -> list[threading.Thread]:
        """Begin a statement on so many connections of its own; whatever ends it ends its thread."""

        def run(connection: psycopg.Connection[Any]) -> None:
            with suppress(psycopg.Error):
                connection.execute(statement.encode())

        begun = []
        for connection in self.opened(number, application):
            thread = threading.Thread(target=run, args=(connection,), daemon=True)
            thread.start()
            begun.append(thread)
        self._threads += begun
        return begun

    def waiting(self) -> int:
        """How many wait for a lock."""
        return int(self.value("select count(*) from pg_stat_activity where wait_event_type = 'Lock'"))

    def value(self, query: str, database: str = "shop") -> Any:
        """One value, asked by a superuser."""
        with self.admin(database) as connection:
            found = connection.execute(query.encode()).fetchone()
        assert found is not None
        return found[0]

    def write_log(self, files: int) -> None:
        """So many files of write-ahead log."""
        with self.admin() as connection:
            for _ in range(files):
                connection.execute("select pg_logical_emit_message(false, 'fill', repeat('x', 1000))")
                connection.execute("select pg_switch_wal()")

    def log_bytes(self) -> int:
        """How much log is on disk."""
        return int(self.value("select sum(size) from pg_ls_waldir()"))

    def age_by(self, transactions: int) -> None:
        """Have so many transactions gone by in all databases but template0, which stays young: autovacuum's own."""
        self.quiet()
        with self.admin("postgres") as connection:
            connection.execute("alter database template0 allow_connections true")
            now = int(connection.execute("select pg_current_xact_id()::text").fetchone()[0])  # type: ignore[index]
        self.server.stop()
        # Whole files of commit states, as pg_resetwal asks for: 2^20 transactions have one.
        target = (now + transactions) >> 20 << 20
        self.server.program("pg_resetwal", "--next-transaction-id", str(target % 2**32), "--pgdata", self.server.data)
        state = self.server.data / "pg_xact" / f"{target % 2**32 >> 20:04X}"
        if not state.exists():
            state.write_bytes(bytes(262_144))
            with suppress(PermissionError):
                __import__("shutil").chown(state, "nobody", "nogroup")
        self.server.start()
        with self.admin("template0") as connection:
            connection.execute("vacuum (freeze)")
        with self.admin("postgres") as connection:
            connection.execute("alter database template0 allow_connections false")

    def quiet(self) -> None:
        """End whatever was begun and opened, and wait until it is gone."""
        with suppress(psycopg.Error), self.admin("postgres") as connection:
            connection.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity "
                "where backend_type = 'client backend' and usename in ('app') "
            )
        for thread in self._threads:
            thread.join(10)
        for one in self._held:
            with suppress(psycopg.Error):
                one.close()
        self._threads, self._held = [], []
        gone = "select count(*) from pg_stat_activity where usename = 'app'"
        eventually(lambda: self.value(gone, "postgres") == 0, what="the shop's sessions to be gone")


@contextmanager
def running_shop(**settings: str) -> Iterator[Shop]:
    """A server with the shop's database, for as long as the block lasts."""
    with running_postgres(settings={**SETTINGS, **settings}) as server:
        shop = Shop(server)
        shop.prepare()
        try:
            yield shop
        finally:
            shop.quiet()
