"""How long steps of runs are kept, on both databases."""

from __future__ import annotations

import pytest

from tests.store.conftest import Places
from tests.store.stage import START, commit, lived
from tocsin.engine.state import Changes
from tocsin.kernel.instant import DAY, HOUR, SECOND
from tocsin.playbooks.run import Run, Step
from tocsin.store import run_keeping
from tocsin.store.reads import Reads, open_engine
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
        run = Run(
            number=number, playbook="p", service="s", plan="v", started_at=began, deadline=began, ended_at=began,
            state="ended", outcome="blocked" if blocked else "verified", why="because",
        )  # fmt: skip
        changes.runs[number] = run
        if number > 248:
            state.runs[number] = run
        for ordinal in range(1, 1 if blocked else 4):
            step = Step(
                run=number, ordinal=ordinal, verb="look", function="f", digest="d", began_at=began, result=said * each
            )
            changes.steps[number, ordinal] = step
    store.commit([], changes, state)
    return store, Reads(open_engine(place.url))


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


def test_the_oldest_steps_go_before_their_time_when_there_are_too_many(
    places: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, reads = _kept(places, each=1_000)
    monkeypatch.setattr(run_keeping, "STEPS_BYTES", 500_000)
    for minute in range(6):
        store.housekeep(START + 12 * DAY + minute * HOUR * 2)
    runs, steps = _there(reads)
    assert (len(steps), steps[0], steps[-1]) == (120, 101, 249)
    assert runs[0] == 1, "their summaries stay"
    places.clear()
