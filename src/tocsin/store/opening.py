"""Opening a database, bringing it to this version's schema, backing it up, checking it."""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from tocsin.store.drawn import drawn
from tocsin.store.sqlite import FILE, SqliteStore
from tocsin.store.writer import Store

HEAD = "0009"
"""The newest migration. A test compares it with the folder; after a new one, `make schema`."""
MIGRATING = 8026371
"""PostgreSQL's advisory lock while tables are made or changed."""


class SchemaError(Exception):
    """The database cannot be used by this version; the message says what to do."""


def url_for(data: Path, database: str = "") -> str:
    """The SQLAlchemy URL of the database: the one given, or SQLite in the data folder."""
    if not database:
        return f"sqlite:///{(data / FILE).resolve()}"
    scheme, separator, rest = database.partition("://")
    if scheme in ("postgres", "postgresql"):
        return f"postgresql+psycopg{separator}{rest}"
    return database


def is_sqlite(url: str) -> bool:
    """Whether a URL names a SQLite file."""
    return url.startswith("sqlite:")


def sqlite_path(url: str) -> Path:
    """The file of a SQLite URL."""
    return Path(url.removeprefix("sqlite:///"))


def migrate(url: str) -> bool:
    """Bring a database to the newest schema, creating it when missing. Says whether anything was done.

    Raises SchemaError for a database of a newer Tocsin.
    """
    if create(url):
        return True
    have = _version(url)
    if have == HEAD:
        return False
    from alembic import command
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["url"] = url
    known = {revision.revision for revision in ScriptDirectory.from_config(config).walk_revisions()}
    if have and have not in known:
        raise SchemaError(
            f"this database has schema {have}, which a newer Tocsin wrote: run that version, or restore a backup"
        )
    command.upgrade(config, "head")
    return True


def create(url: str) -> bool:
    """Make all tables of an empty database in one step, without Alembic. False, and nothing done, when it has some.

    Raises SchemaError for a database that takes no tables, sqlite3.Error for a damaged file.
    """
    script = drawn("sqlite" if is_sqlite(url) else "postgresql", HEAD)
    if is_sqlite(url):
        _create_file(sqlite_path(url))
    if not script or _version(url):
        return False
    if is_sqlite(url):
        with closing(sqlite3.connect(sqlite_path(url))) as database:
            database.executescript(f"BEGIN IMMEDIATE;\n{script}COMMIT;")
        return True
    import psycopg

    try:
        with psycopg.connect(_plain(url), connect_timeout=10) as connection:
            # Of two nodes that start together one makes the tables, the other waits and finds them.
            connection.execute(f"SELECT pg_advisory_xact_lock({MIGRATING})".encode())
            if connection.execute("SELECT to_regclass('alembic_version')").fetchone() != (None,):
                return False
            connection.execute(script.encode())
    except psycopg.Error as error:
        raise SchemaError(f"the tables cannot be made: {' '.join(str(error).split())}") from None
    return True


def needs_migration(url: str) -> bool:
    """Whether ``migrate`` would do anything. Quick: Alembic itself is not imported."""
    return _version(url) != HEAD


def open_writer(
    url: str,
    tzdata: str,
    stop: threading.Event | None = None,
    node: str = "",
    waiting: Callable[[str], None] | None = None,
) -> Store:
    """Open the one writer's hold on a migrated database.

    On PostgreSQL this waits until no other node writes: call it from a thread, and set ``stop`` to end the waiting
    (it raises writer.Stopped then). ``node`` names this node to the others; ``waiting`` is told why it waits.
    """
    if is_sqlite(url):
        return SqliteStore(sqlite_path(url), tzdata)
    from tocsin.store.postgres import PostgresStore

    store = PostgresStore(url, tzdata, stop, node)
    store.wait_for_lease(waiting or (lambda why: None))
    return store


def damage(url: str, error: BaseException) -> str:
    """What to say of an error that means a SQLite file is damaged or none at all; "" for any other error."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # the rest of it says which kind
    if not is_sqlite(url) or code not in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return ""
    path = sqlite_path(url)
    return (
        f"the database {path} is damaged: {error}. `tocsin db check --data {path.parent}` says how far; "
        f"put a backup in its place, or move it away to begin with an empty one"
    )


def backup(url: str, to: Path) -> None:
    """Copy a SQLite database into a new file while it is in use. PostgreSQL has its own tools: raises SchemaError."""
    if not is_sqlite(url):
        raise SchemaError("back up PostgreSQL with pg_dump or your provider's snapshots")
    if to.exists():
        raise SchemaError(f"{to} exists already")
    source = sqlite3.connect(f"file:{sqlite_path(url)}?mode=ro", uri=True)
    descriptor = os.open(to, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    os.close(descriptor)
    target = sqlite3.connect(to)
    try:
        with target:
            source.backup(target, pages=1_000)
    finally:
        target.close()
        source.close()


def check(url: str) -> list[str]:
    """What is wrong with a database, as sentences; [] when nothing is."""
    try:
        return _looked_through(url)
    except Exception as error:
        said = getattr(error, "orig", None) or error  # the driver's own, without what SQLAlchemy adds
        if not damage(url, said):
            raise
        return [f"{said}: no more of it can be looked at. Put a backup in its place, or move it away to begin anew"]


def _looked_through(url: str) -> list[str]:
    found = []
    have = _version(url)
    if have != HEAD:
        found.append(f"the schema is {have or 'missing'}, this version needs {HEAD}: run tocsin db migrate")
        return found
    from sqlalchemy import func, select, text

    from tocsin.store import tables
    from tocsin.store.reading import open_engine

    database = open_engine(url)
    with database.connect() as connection:
        if is_sqlite(url):
            found += [str(row[0]) for row in connection.execute(text("PRAGMA integrity_check")) if row[0] != "ok"]
        for table in (tables.alerts, tables.pages):
            known = select(tables.incidents.c.number).where(tables.incidents.c.number == table.c.incident).exists()
            asked = select(func.count()).select_from(table).where(table.c.incident > 0, ~known)
            lost = connection.execute(asked).scalar()
            if lost:
                found.append(f"{lost} {table.name} name an incident that does not exist")
    database.dispose()
    return found


def _create_file(path: Path) -> None:
    if path.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    database = sqlite3.connect(path)
    database.execute("PRAGMA auto_vacuum=INCREMENTAL")  # only counts before the first table
    database.execute("PRAGMA journal_mode=WAL")
    database.close()


def _version(url: str) -> str:
    """The migration a database is at, "" when it has none."""
    if is_sqlite(url):
        if not sqlite_path(url).exists():
            return ""
        database = sqlite3.connect(f"file:{sqlite_path(url)}?mode=ro", uri=True)
        try:
            row = database.execute("SELECT version_num FROM alembic_version").fetchone()
        except sqlite3.OperationalError:
            return ""
        finally:
            database.close()
        return str(row[0]) if row else ""
    if not url.startswith("postgresql+psycopg://"):
        scheme = url.partition(":")[0]
        raise SchemaError(f"{scheme!r} is no database Tocsin can use: write postgresql://…, or nothing for SQLite")
    try:
        import psycopg
    except ImportError:
        raise SchemaError("PostgreSQL needs its driver: install tocsin[postgres]") from None

    try:
        connection = psycopg.connect(_plain(url), connect_timeout=10)
    except psycopg.ProgrammingError:  # it quotes the URL, and the password with it
        raise SchemaError("the database's URL cannot be read: write postgresql://user@host:5432/name") from None
    except psycopg.Error as error:
        raise SchemaError(f"the database cannot be reached: {' '.join(str(error).split())}") from None
    with connection:
        encoding = connection.info.parameter_status("server_encoding")
        if encoding != "UTF8":
            raise SchemaError(f"the database stores text as {encoding}: create it anew with ENCODING 'UTF8'")
        if connection.execute("SELECT to_regclass('alembic_version')").fetchone() == (None,):
            return ""
        row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
        return str(row[0]) if row else ""


def _plain(url: str) -> str:
    """A PostgreSQL URL as its driver reads it."""
    return url.replace("+psycopg", "", 1)
