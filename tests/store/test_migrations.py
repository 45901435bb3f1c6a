"""The migrations lead to the tables the code uses, on both databases."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import NullPool, create_engine, inspect, text

import tocsin.store
from tests.support.postgres import Postgres
from tocsin.store import drawing, drawn, opening
from tocsin.store.opening import HEAD, SchemaError, check, create, migrate, needs_migration, url_for
from tocsin.store.tables import metadata


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A database nothing was done to yet."""
    found: str = url_for(tmp_path / "data") if request.param == "sqlite" else request.getfixturevalue("postgres_url")
    return found


def test_the_newest_migration_is_the_one_the_code_asks_for() -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(tocsin.store.__file__).parent / "migrations"))
    assert ScriptDirectory.from_config(config).get_heads() == [HEAD]


@pytest.fixture
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """As when the drawing is older than the newest migration: the migrations themselves make the tables."""
    monkeypatch.setattr(opening, "drawn", lambda dialect, head: "")


@pytest.mark.parametrize("dialect", drawing.DIALECTS)
def test_the_schema_is_drawn_after_every_migration(dialect: str) -> None:
    assert drawn.drawn(dialect, HEAD) == drawing.draw(dialect, HEAD), "the tables have changed: run `make schema`"
    assert drawn.drawn(dialect, "9999") == ""


def test_an_empty_database_gets_at_once_what_the_migrations_would_make(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same tables, said by the database itself, down to the text of its version."""
    assert needs_migration(url)
    with monkeypatch.context() as patched:
        patched.setattr(opening, "drawn", lambda dialect, head: "")
        assert not create(url)
        assert migrate(url)
    by_migrations = _described(url)
    with create_engine(url, poolclass=NullPool).begin() as connection:
        metadata.drop_all(connection)
        connection.execute(text("DROP TABLE alembic_version"))
    assert needs_migration(url)
    assert create(url)
    assert not needs_migration(url)
    assert not create(url)
    assert not migrate(url)
    assert check(url) == []
    assert _described(url) == by_migrations


def test_a_database_that_has_tables_and_no_version_is_left_alone(url: str) -> None:
    """Half a schema, or another program's: nothing is made beside what is there."""
    create(url)
    with create_engine(url, poolclass=NullPool).begin() as connection:
        connection.execute(text("DROP TABLE alembic_version"))
        connection.execute(text("DROP TABLE meta"))
    had = _described(url)
    with pytest.raises((SchemaError, sqlite3.OperationalError), match="already exists"):
        create(url)
    assert _described(url) == had
    assert needs_migration(url)


@pytest.mark.usefixtures("undrawn")
def test_the_migrations_make_the_tables_of_the_code(url: str) -> None:
    """Columns, types, defaults, keys and indexes with their conditions."""
    assert needs_migration(url)
    assert check(url) != []
    assert migrate(url)
    assert not needs_migration(url)
    assert not migrate(url)
    assert check(url) == []
    database = create_engine(url, poolclass=NullPool)
    with database.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        assert compare_metadata(context, metadata) == []
    made = _described(url)
    with database.begin() as connection:
        metadata.drop_all(connection)
        metadata.create_all(connection)
    assert _described(url) == made


def test_what_is_kept_quiet_is_known_of_a_database_from_before(url: str) -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(tocsin.store.__file__).parent / "migrations"))
    config.attributes["url"] = url
    if url.startswith("sqlite"):
        Path(url.removeprefix("sqlite:///")).parent.mkdir(parents=True, exist_ok=True)
    command.upgrade(config, "0008")
    database = create_engine(url, poolclass=NullPool)
    insert = text(
        "INSERT INTO incidents (number, service, state, severity, opened_at, live, body) "
        "VALUES (:number, 'shop', :state, 'sev1', 0, true, :body)"
    )
    with database.begin() as connection:
        for number, (state, body) in enumerate((
            ("triggered", b'{"number":0,"title":"\\"paused\\":\\"silenced\\""}'),
            ("triggered", b'{"number":1,"paused":"silenced","paused_until":9}'),
            ("acknowledged", b'{"number":2,"paused":"silenced"}'),
            ("triggered", b'{"number":3,"labels":{"paused":"silenced"}}'),
            ("triggered", b'{"number":4,"paused":"playbook_runs"}'),
        )):  # fmt: skip
            connection.execute(insert, {"number": number, "state": state, "body": body})
    assert migrate(url)
    with database.connect() as connection:
        assert list(connection.scalars(text("SELECT number FROM incidents WHERE quiet ORDER BY number"))) == [1, 4]


def _described(url: str) -> dict[str, object]:
    """What the database itself says of its tables: what ``compare_metadata`` passes over is in here as well."""
    database = create_engine(url, poolclass=NullPool)
    with database.connect() as connection:
        look = inspect(connection)
        return {
            name: (
                sorted((c["name"], str(c["type"]), c["nullable"], c["default"]) for c in look.get_columns(name)),
                look.get_pk_constraint(name),
                sorted(look.get_unique_constraints(name), key=str),
                sorted(
                    (
                        str(i["name"]),
                        i["column_names"],
                        i["unique"],
                        sorted(map(_said, i.get("dialect_options", {}).items())),
                    )
                    for i in look.get_indexes(name)
                ),
            )
            for name in look.get_table_names()
        }


def _said(option: tuple[str, object]) -> str:
    return f"{option[0]}: {option[1]}"


def test_a_database_of_a_newer_version_is_left_alone(url: str) -> None:
    migrate(url)
    with create_engine(url, poolclass=NullPool).begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(SchemaError, match="newer"):
        migrate(url)
    assert "9999" in check(url)[0]


@pytest.mark.parametrize("how", ["drawn", "by migrations"])
def test_two_nodes_that_start_together_migrate_once(postgres_url: str, how: str) -> None:
    program = "import sys; from tocsin.store import opening; "
    program += "" if how == "drawn" else "opening.drawn = lambda dialect, head: ''; "
    program += "opening.migrate(sys.argv[1])"
    nodes = [
        subprocess.Popen([sys.executable, "-c", program, postgres_url], stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    assert [node.communicate(timeout=60)[1] for node in nodes] == ["", ""]
    assert [node.returncode for node in nodes] == [0, 0]
    assert not needs_migration(postgres_url)


def test_a_database_that_cannot_hold_every_text_is_refused(postgres: Postgres) -> None:
    made = postgres.new_database()
    name = made.rpartition("/")[2]
    with psycopg.connect(postgres.url("postgres").replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute(f'DROP DATABASE "{name}"'.encode())
        connection.execute(f"CREATE DATABASE \"{name}\" TEMPLATE template0 ENCODING 'SQL_ASCII' LOCALE 'C'".encode())
    with pytest.raises(SchemaError, match="SQL_ASCII"):
        migrate(made)
    postgres.drop_database(made)


def test_a_new_file_is_its_owners_alone_and_can_give_space_back(tmp_path: Path) -> None:
    migrate(url_for(tmp_path / "data"))
    path = tmp_path / "data" / "tocsin.db"
    assert path.stat().st_mode & 0o777 == 0o600
    database = sqlite3.connect(path)
    assert database.execute("PRAGMA auto_vacuum").fetchone() == (2,)
    assert database.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    database.close()
