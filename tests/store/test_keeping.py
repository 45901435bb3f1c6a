"""What happens to the database between commits: checkpoints, thinning, backups, checks."""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from itertools import pairwise
from pathlib import Path

import pytest

from tests.store.conftest import TZDATA, Places, rows_of
from tests.store.stage import PLAN, START, commit, dump, lived
from tests.support.waiting import eventually
from tocsin.engine.engine import Engine
from tocsin.engine.inputs import Received, Tick
from tocsin.engine.state import Changes
from tocsin.intake.request import Request
from tocsin.intake.sources import SOURCES
from tocsin.kernel.instant import DAY, HOUR, SECOND
from tocsin.store import postgres, sqlite, writer
from tocsin.store.opening import SchemaError, backup, check, migrate, url_for
from tocsin.store.postgres import PostgresStore
from tocsin.store.rows import Journaled
from tocsin.store.sqlite import SqliteStore


def test_the_journal_is_thinned_by_age_and_what_is_parked_stays(places: Places) -> None:
    """In slices, so that no commit waits long; a parked request's own row goes only when a person has discarded it."""
    place = places.new()
    store, life = place.open(), lived([(9, 0, 0, 0, 0)])
    parked = next(iter(life.engine.state.parked))
    life.rows += [Journaled(len(life.rows) + 1 + n, START + n * SECOND, Tick()) for n in range(2_000)]
    late = [Journaled(len(life.rows) + 1 + n, START + 20 * DAY, Tick()) for n in range(10)]
    commit(store, life.engine, [*life.rows, *late])
    now = START + 31 * DAY
    seen = []
    for _ in range(20):
        store.housekeep(now)
        seen.append(len(place.tables()["journal"]))
    assert all(0 <= before - after <= 500 for before, after in pairwise(seen))
    assert [row.seq for row in store.journal()] == [parked, *(row.seq for row in late)]
    assert dump(Engine(store.load(), PLAN, SOURCES).state) == dump(life.engine.state)
    places.clear()


def test_a_journal_that_is_too_large_is_thinned_to_its_size_and_not_to_nothing(
    places: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The oldest go first; what is in use counts, not what the file has already given back inside."""
    bound = 12 * 1024 * 1024
    for module in (sqlite, postgres):
        monkeypatch.setattr(module, "JOURNAL_BYTES", bound)
    place = places.new()
    store, life = place.open(), lived([])
    commit(store, life.engine, life.rows)
    rows = [_large(len(life.rows) + 1 + n, 16_384) for n in range(1_500)]
    for start in range(0, len(rows), 100):
        store.commit(rows[start : start + 100], Changes(), life.engine.state)
    for hour in range(40):
        store.housekeep(START + (hour + 2) * HOUR)
    left = [row.seq for row in store.journal()]
    assert left[-1] == rows[-1].seq
    assert left == list(range(left[0], left[-1] + 1))
    assert 100 <= len(left) < 1_000
    places.clear()


def test_a_journal_is_kept_beside_much_else_and_then_there_is_rest(
    places: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is not thinned, such as incidents and pages, takes nothing from the journal's share."""
    for module in (sqlite, postgres):
        monkeypatch.setattr(module, "JOURNAL_BYTES", 1024 * 1024)
    place = places.new()
    store, life = place.open(), lived([(9, 0, 0, 0, 0)])
    commit(store, life.engine, life.rows)
    store.set_meta("much else", bytes(2 * 1024 * 1024))
    now = START + HOUR
    for _ in range(5):
        store.housekeep(now)
    assert len(place.tables()["journal"]) > 0
    assert store._thinned == now  # type: ignore[attr-defined]  # either store's
    places.clear()


def test_a_storm_at_the_end_of_the_journal_says_nothing_of_all_that_was_before(
    places: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    """History is for good: what a few large requests take is not what each of the others takes."""
    for module in (sqlite, postgres):
        monkeypatch.setattr(module, "JOURNAL_BYTES", 4 * 1024 * 1024)
    place = places.new()
    store, life = place.open(), lived([])
    commit(store, life.engine, life.rows)
    before = len(life.rows)
    quiet = [Journaled(before + 1 + n, START + n, Tick()) for n in range(4_000)]
    store.commit(quiet, Changes(), life.engine.state)
    storm = [_large(before + 4_001 + n, 16_384) for n in range(100)]
    for one in storm:
        store.commit([one], Changes(), life.engine.state)
    held = len(place.tables()["journal"])
    for hour in range(3):
        store.housekeep(START + (hour + 2) * HOUR)
    assert len(place.tables()["journal"]) == held
    places.clear()


@pytest.mark.parametrize(
    "sizes",
    [
        [150] * 4_000 + [20_000] * 200,
        [20_000] * 200 + [150] * 4_000,
        [150] * 3_000 + [9_000] * 1_000,
        [150, 9_000] * 500,
        [700],
        [700] * 9,
        [5_000, 200] * 5,
    ],
)
@pytest.mark.parametrize("places_each", [1, 7, 1_000])
def test_what_the_journal_takes_is_told_about_rightly(sizes: list[int], places_each: int) -> None:
    db = sqlite3.connect(":memory:")
    db.execute("CREATE TABLE journal (seq INTEGER PRIMARY KEY, body BLOB)")
    db.execute("CREATE TABLE parked (id INTEGER PRIMARY KEY, discarded BOOLEAN)")
    assert writer.journal_bytes(db.execute, "length(body)") == 0
    db.execute("INSERT INTO parked VALUES (2, false)")
    db.execute("INSERT INTO journal VALUES (2, zeroblob(50))")  # one of long ago
    rows = ((1_000_000 + number * places_each, size) for number, size in enumerate(sizes))
    db.executemany("INSERT INTO journal VALUES (?, zeroblob(?))", rows)
    real = sum(size + 80 for size in sizes)
    assert 0.6 * real < writer.journal_bytes(db.execute, "length(body)") < 1.6 * real
    db.close()


def test_a_checkpoint_that_fails_is_not_the_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk has room again later."""
    asked: list[str] = []
    again = threading.Event()

    class Full:
        def execute(self, sql: str) -> Full:
            if "wal_checkpoint" in sql:
                asked.append(sql)
                if len(asked) == 1:
                    raise sqlite3.OperationalError("database or disk is full")
                again.set()
            return self

        def fetchall(self) -> list[tuple[int, ...]]:
            return []

        def close(self) -> None:
            pass

    monkeypatch.setattr(sqlite3, "connect", lambda *_, **__: Full())
    one = sqlite.Checkpointer(tmp_path / "tocsin.db")
    one.wake()
    eventually(lambda: asked)
    one.wake()
    assert again.wait(5)
    one.close()


def test_the_size_of_a_journal_is_told_though_many_requests_lie_in_a_row(postgres_url: str) -> None:
    """Else PostgreSQL's would be thinned long before it is too large."""
    migrate(postgres_url)
    store, life = PostgresStore(postgres_url, TZDATA), lived([])
    store.wait_for_lease()
    commit(store, life.engine, life.rows)
    seq = len(life.rows)
    for n in range(100):
        rows = [Journaled(seq + 1 + one, START + n, _large(0, 700).input) for one in range(60)]
        store.commit(rows, Changes(), life.engine.state)
        seq += len(rows)
    told = writer.journal_bytes(store._select, "pg_column_size(body)")
    real = store._select("SELECT sum(pg_column_size(body) + 80) FROM journal")[0][0]
    assert 0.7 * real <= told <= 1.4 * real
    store.close()


def _large(seq: int, size: int) -> Journaled:
    request = Request(source="events", method="POST", path="/api/events", body=os.urandom(size))
    return Journaled(seq, START, Received(1, "shop", START, request))


def test_the_write_ahead_log_stays_small_under_a_burst(tmp_path: Path) -> None:
    """As the writer does it: housekeeping five times a second, between commits as fast as they go."""
    migrate(url_for(tmp_path))
    store, life = SqliteStore(tmp_path / "tocsin.db", TZDATA), lived([])
    commit(store, life.engine, life.rows)
    log = tmp_path / "tocsin.db-wal"
    largest, kept, written, seq = 0, 0.0, 0, len(life.rows)
    while written < 200 * 1024 * 1024:
        seq += 1
        store.commit([_large(seq, 256 * 1024)], Changes(), life.engine.state)
        written += 256 * 1024
        if time.monotonic() - kept > 0.2:
            kept = time.monotonic()
            store.housekeep(START)
        largest = max(largest, log.stat().st_size)
    assert 0 < largest <= 64 * 1024 * 1024
    store.close()
    assert not log.exists()


def test_a_backup_taken_in_use_is_a_whole_database(tmp_path: Path) -> None:
    url = url_for(tmp_path)
    migrate(url)
    store, life = SqliteStore(tmp_path / "tocsin.db", TZDATA), lived([(0, 0, 0, 0, 0), (8, 0, 0, 2, 7)])
    commit(store, life.engine, life.rows)
    copy = tmp_path / "copy.db"
    backup(url, copy)
    tables, kept = rows_of(url), len(life.rows)
    life.live((0, 1, 0, 0, 0))
    commit(store, life.engine, life.rows[kept:])
    store.close()
    assert copy.stat().st_mode & 0o777 == 0o600
    assert rows_of(f"sqlite:///{copy}") == tables
    assert check(f"sqlite:///{copy}") == []
    again = SqliteStore(copy, TZDATA)
    Engine(again.load(), PLAN, SOURCES)
    again.close()
    with pytest.raises(SchemaError, match="exists already"):
        backup(url, copy)


def test_postgres_is_backed_up_with_its_own_tools(postgres_url: str, tmp_path: Path) -> None:
    with pytest.raises(SchemaError, match="pg_dump"):
        backup(postgres_url, tmp_path / "copy")


def test_a_check_names_what_is_wrong(places: Places) -> None:
    place = places.new()
    store, life = place.open(), lived([(0, 0, 0, 0, 0)])
    commit(store, life.engine, life.rows)
    assert check(place.url) == []
    life.engine.state.alerts[1].incident = 77
    life.engine.changes.alerts[1] = life.engine.state.alerts[1]
    page = life.engine.state.pages[1]
    page.incident = 78
    life.engine.changes.pages[1] = page
    commit(store, life.engine, [])
    assert check(place.url) == [
        "1 alerts name an incident that does not exist",
        "1 pages name an incident that does not exist",
    ]
    places.clear()


def test_checkpoints_happen_without_the_writer_when_there_is_time(tmp_path: Path) -> None:
    migrate(url_for(tmp_path))
    store, life = SqliteStore(tmp_path / "tocsin.db", TZDATA), lived([])
    commit(store, life.engine, life.rows)
    store.commit([_large(100, 12 * 1024 * 1024)], Changes(), life.engine.state)
    before = (tmp_path / "tocsin.db").stat().st_size
    store.housekeep(START)
    eventually(lambda: (tmp_path / "tocsin.db").stat().st_size > before + 8 * 1024 * 1024, what="a checkpoint")
    store.close()
