"""An upgrade that is ended in its midst, or finds no room, leaves a database that the next start brings up to date."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from hashlib import sha256
from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, NullPool, create_engine, event
from sqlalchemy.exc import OperationalError

import tocsin.store
from tocsin.store.opening import HEAD, check, migrate, needs_migration, url_for
from tocsin.store.sqlite import FILE
from tocsin.wiring.node import migrated

BEFORE = ("0001", "0002", "0003", "0004", "0005", "0007", "0008")
"""Every schema that a database may come from."""
QUIET = b'{"number":%d,"paused":"silenced","paused_until":9}'


def test_every_schema_but_the_newest_is_come_from() -> None:
    found = {one.revision for one in ScriptDirectory.from_config(_config("sqlite://")).walk_revisions()}
    assert found == {*BEFORE, HEAD}


@pytest.mark.parametrize("before", ["0001", "0008"])
def test_an_upgrade_that_is_killed_at_any_statement_is_done_at_the_next_start(before: str, tmp_path: Path) -> None:
    """What lies in the folder when a statement begins is what a kill or a power cut leaves there."""
    url = _of(tmp_path / "data", before)
    with _watched(tmp_path) as left:
        assert migrate(url)
    assert left
    for folder in left:
        _is_brought_up_to_date(folder, like=url)


@pytest.mark.parametrize(("before", "incidents"), [*((one, 3) for one in BEFORE), ("0008", 0)])
def test_what_an_upgrade_in_parts_left_is_brought_up_to_date(before: str, incidents: int, tmp_path: Path) -> None:
    """As upgrades once ran: the driver began its transaction before the first row, and kept the tables made till then.

    With no incident to mark that was all of the newest.
    """
    url = _of(tmp_path / "data", before, incidents)
    config = _config(url)
    script = ScriptDirectory.from_config(config)
    with _watched(tmp_path) as left, create_engine(url, poolclass=NullPool).connect() as connection:
        steps = EnvironmentContext(config, script, fn=lambda at, _: script._upgrade_revs("head", at))
        steps.configure(connection=connection, transactional_ddl=True)
        with steps, steps.begin_transaction():
            steps.run_migrations()
        connection.commit()
    assert len(left) > 1, "nothing was kept by itself: this is not how it was"
    _is_brought_up_to_date(left[-1], like=url)


def test_an_upgrade_that_finds_no_room_says_so_and_is_done_once_there_is_some(tmp_path: Path) -> None:
    url = _of(tmp_path / "data", "0008", incidents=2_000)
    had = _described(url)
    told: list[str] = []
    with closing(sqlite3.connect(tmp_path / "data" / FILE)) as database:
        room = database.execute("PRAGMA page_count").fetchone()[0] + 4

    def small(made: sqlite3.Connection, _: object) -> None:
        made.execute(f"PRAGMA max_page_count={room}")

    event.listen(Engine, "connect", small)
    try:
        assert migrated(url, told.append) == 1
        with pytest.raises(OperationalError, match="full"):
            migrate(url)
    finally:
        event.remove(Engine, "connect", small)
    said = "the database cannot be brought up to this version: database or disk is full"
    assert told == [f"{said}. It was left as it was; the next start tries again"]
    assert _described(url) == had
    assert check(url) == [f"the schema is 0008, this version needs {HEAD}: run tocsin db migrate"]
    assert migrated(url, told.append) == 0
    assert check(url) == []
    assert len(_kept_quiet(url)) == 2_000


def _is_brought_up_to_date(left: Path, like: str) -> None:
    url = url_for(left)
    assert needs_migration(url)
    assert migrate(url)
    assert _described(url) == _described(like)
    assert _kept_quiet(url) == _kept_quiet(like)


def _of(data: Path, schema: str, incidents: int = 3) -> str:
    """A database as an older version left it, with incidents that are kept quiet."""
    url = url_for(data)
    data.mkdir()
    with closing(sqlite3.connect(data / FILE)) as database:
        database.execute("PRAGMA journal_mode=WAL")
    command.upgrade(_config(url), schema)
    with closing(sqlite3.connect(data / FILE)) as database, database:
        database.executemany(
            "INSERT INTO incidents (number, service, state, severity, opened_at, live, body)"
            " VALUES (?, 'shop', 'triggered', 'sev1', 0, true, ?)",
            ((number, QUIET % number) for number in range(incidents)),
        )
    return url


def _config(url: str) -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(tocsin.store.__file__).parent / "migrations"))
    config.attributes["url"] = url
    return config


@contextmanager
def _watched(folder: Path) -> Iterator[list[Path]]:
    """Copies of the data folder as it is before each statement and before the end, each only once."""
    left: list[Path] = []
    known = set()

    def look(*_: object) -> None:
        files = [file for file in sorted((folder / "data").iterdir()) if not file.name.endswith("-shm")]
        what = sha256(b"".join(file.name.encode() + file.read_bytes() for file in files)).digest()
        if what not in known:
            known.add(what)
            left.append(folder / f"left-{len(left)}")
            left[-1].mkdir()
            for file in files:
                shutil.copy(file, left[-1])

    event.listen(Engine, "before_cursor_execute", look)
    event.listen(Engine, "commit", look)
    try:
        yield left
    finally:
        event.remove(Engine, "before_cursor_execute", look)
        event.remove(Engine, "commit", look)


def _described(url: str) -> list[tuple[str, ...]]:
    with closing(sqlite3.connect(Path(url.removeprefix("sqlite:///")))) as database:
        return database.execute("SELECT type, name, tbl_name, sql FROM sqlite_master ORDER BY type, name").fetchall()


def _kept_quiet(url: str) -> list[int]:
    with closing(sqlite3.connect(Path(url.removeprefix("sqlite:///")))) as database:
        return [number for (number,) in database.execute("SELECT number FROM incidents WHERE quiet ORDER BY number")]
