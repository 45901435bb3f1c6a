"""How long steps of runs are kept, on both databases."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import msgspec
import pytest

from tests.store.conftest import TZDATA, Places
from tests.store.stage import START, commit, lived
from tocsin.engine.state import Changes
from tocsin.kernel.instant import DAY, HOUR, SECOND, Instant
from tocsin.playbooks.run import Outcome, Run, Step
from tocsin.store import run_keeping
from tocsin.store.opening import migrate, url_for
from tocsin.store.reads import Reads, open_engine
from tocsin.store.sqlite import SqliteStore
from tocsin.store.writer import Store


def _kept(places: Places, *, each: int = 10, said: str = "x") -> tuple[Store, Reads]:
    """250 runs, an hour apart; every fifth was not let begin, and the last two are kept in mind."""
    place = places.new()
    store, life = place.open(), lived([])
    commit(store, life.engine, life.rows)
    changes, state = Changes(), life.engine.state
    for number in range(1, 251):
        blocked = number % 5 == 0
        began = START + number * HOUR
        run = _run(number, began, "blocked" if blocked else "verified")
        changes.runs[number] = run
        if number > 248:
            state.runs[number] = run
        for ordinal in range(1, 1 if blocked else 4):
            changes.steps[number, ordinal] = _step(number, ordinal, said * each, began)
    store.commit([], changes, state)
    return store, Reads(open_engine(place.url))


def _run(number: int, began: Instant, outcome: Outcome = "verified") -> Run:
    return Run(
        number=number, playbook="p", service="s", plan="v", started_at=began, deadline=began, ended_at=began,
        state="ended", outcome=outcome, why="because",
    )  # fmt: skip


def _step(run: int, ordinal: int, result: str, began: Instant = START) -> Step:
    return Step(run=run, ordinal=ordinal, verb="look", function="f", digest="d", began_at=began, result=result)


def _there(reads: Reads) -> tuple[list[int], list[int]]:
    """The runs that are kept, and those of them with steps."""
    runs = [number for number in range(1, 251) if reads.run(number) is not None]
    return runs, [number for number in runs if reads.steps(number)]


def test_steps_go_after_ninety_days_and_what_a_run_came_to_stays(places: Places) -> None:
    store, reads = _kept(places)
    store.housekeep(START + 80 * DAY)
    assert _there(reads)[1] == [number for number in range(1, 251) if number % 5]
    now = START + 90 * DAY + 200 * HOUR + SECOND
    store.housekeep(now)
    runs, steps = _there(reads)
    assert steps[0] == 101 and runs[0] == 1, "a slice at a time"
    store.housekeep(now)
    store.housekeep(now)
    runs, steps = _there(reads)
    assert steps == [number for number in range(201, 251) if number % 5]
    assert [number for number in runs if number <= 200] == [number for number in range(1, 201) if number % 5]
    assert reads.run(1) is not None and [n for n in runs if n > 200] == list(range(201, 251))
    store.housekeep(now + 400 * DAY)
    store.housekeep(now + 401 * DAY)
    assert _there(reads)[1] == [249], "what the engine keeps in mind stays whole"
    places.clear()


def test_the_oldest_steps_go_before_their_time_when_there_are_too_many_and_no_more_than_that(
    places: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, reads = _kept(places, each=1_000)  # 597 steps with 1,200 to 1,300 bytes each
    monkeypatch.setattr(run_keeping, "STEPS_BYTES", 500_000)
    monkeypatch.setattr(run_keeping, "STEPS_AT_ONCE", 250)
    for _ in range(12):
        store.housekeep(START + 12 * DAY)
    runs, steps = _there(reads)
    assert steps == [number for number in range(steps[0], 251) if number % 5], "the newest stay, without a gap"
    held = sum(len(msgspec.json.encode(step)) for number in steps for step in reads.steps(number))
    assert 490_000 < held <= 500_000
    assert runs[0] == 1, "their summaries stay"
    store.housekeep(START + 12 * DAY + 2 * HOUR)
    assert _there(reads)[1] == steps
    places.clear()


def test_runs_without_steps_take_no_room_however_many_there_are(
    places: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A storm of runs that no guard let begin lies between two that hold little."""
    place = places.new()
    store, life = place.open(), lived([])
    commit(store, life.engine, life.rows)
    changes = Changes()
    for number in (1, 50_000):
        changes.runs[number] = _run(number, START)
        changes.steps[number, 1] = _step(number, 1, "x" * 200_000)
    store.commit([], changes, life.engine.state)
    monkeypatch.setattr(run_keeping, "STEPS_BYTES", 450_000)
    for _ in range(5):
        store.housekeep(START + DAY)
    reads = Reads(open_engine(place.url))
    assert reads.steps(1)
    assert reads.steps(50_000)
    places.clear()


def test_a_slice_deletes_a_megabyte_whatever_runs_weigh(places: Places) -> None:
    """Commits, the lease and pages wait for it."""
    place = places.new()
    store, life = place.open(), lived([])
    commit(store, life.engine, life.rows)
    for number in range(1, 9):
        changes = Changes()
        changes.runs[number] = _run(number, START)
        for ordinal in range(1, 3):
            changes.steps[number, ordinal] = _step(number, ordinal, "x" * 200_000)
        store.commit([], changes, life.engine.state)
    reads, left = Reads(open_engine(place.url)), []
    for _ in range(4):
        store.housekeep(START + 91 * DAY)
        left.append([number for number in range(1, 9) if reads.steps(number)])
    assert left == [[3, 4, 5, 6, 7, 8], [5, 6, 7, 8], [7, 8], []]
    places.clear()


def test_thinning_never_reads_the_steps_of_all_runs(tmp_path: Path) -> None:
    """SQLite says how it would go about it: by the index, and only so far as it is bounded."""
    migrate(url_for(tmp_path))
    store, life, changes = SqliteStore(tmp_path / "tocsin.db", TZDATA), lived([]), Changes()
    changes.runs[1] = _run(1, START)
    changes.steps[1, 1] = _step(1, 1, "x")
    store.commit(life.rows, changes, life.engine.state)
    store.close()
    db = sqlite3.connect(tmp_path / "tocsin.db")
    asked: list[str] = []

    def select(query: str) -> sqlite3.Cursor:
        asked.append(query)
        return db.execute(query)

    too_many = run_keeping.STEPS_BYTES + 1
    weighing = run_keeping.old_runs(select, START, too_many, run_keeping.Progress())
    weighed = run_keeping.old_runs(select, START, too_many, weighing.then._replace(held=too_many))
    run_keeping.old_runs(select, START + 100 * DAY, 0, weighed.then)
    of_steps = [query for query in asked if "steps" in query]
    assert len(of_steps) >= 2
    for query in of_steps:
        (plan,) = db.execute(f"EXPLAIN QUERY PLAN {query}").fetchall()
        assert "SEARCH steps USING PRIMARY KEY (run>?)" in plan[3]
        assert "LIMIT" in query


def test_thinning_that_fails_leaves_a_store_that_still_writes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    migrate(url_for(tmp_path))
    store, life = SqliteStore(tmp_path / "tocsin.db", TZDATA), lived([])
    commit(store, life.engine, life.rows)
    so_far = run_keeping.Progress()
    fails = run_keeping.Aged(["DELETE FROM steps", "DELETE FROM what_is_not_there"], so_far, more=True)
    with monkeypatch.context() as patched:
        patched.setattr(run_keeping, "old_runs", lambda *_: fails)
        with pytest.raises(sqlite3.OperationalError, match="no such table"):
            store.housekeep(START)
    kept = len(life.rows)
    life.live((0, 1, 0, 0, 0))
    commit(store, life.engine, life.rows[kept:])
    assert len(list(store.journal())) == len(life.rows)
    store.housekeep(START)
    store.close()
