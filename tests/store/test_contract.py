"""What the store promises the engine, on both databases: nothing kept is changed, nothing changed is forgotten."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.store.conftest import Places
from tests.store.stage import PLANS, Life, Move, apply, commit, dump, empty, lived, moves
from tocsin.engine.engine import Engine
from tocsin.intake.sources import SOURCES

# A PostgreSQL database takes as long to make as fifty moves on SQLite: fewer, longer lives there.
few = settings(max_examples=500, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])


@few
@given(made=moves)
def test_what_is_loaded_is_what_was_live_after_every_input(places: Places, made: list[Move]) -> None:
    """The memory can be dropped at any moment."""
    store = places.new().open()
    life = Life()
    commit(store, life.engine, life.rows)
    for move in made:
        before = len(life.rows)
        life.live(move)
        commit(store, life.engine, life.rows[before:])
        assert dump(Engine(store.load(), life.engine.plan, SOURCES).state) == dump(life.engine.state)
    places.clear()


@few
@given(made=moves)
def test_the_journal_alone_leads_to_the_same_state(places: Places, made: list[Move]) -> None:
    """Replayed from nothing, without what the doors had read and without what they knew."""
    store = places.new().open()
    life = lived(made)
    commit(store, life.engine, life.rows)
    again = empty()
    for row in store.journal():
        apply(again, row)
    assert dump(again.state) == dump(life.engine.state)
    places.clear()


@few
@given(made=moves, cuts=st.sets(st.integers(0, 60)))
def test_it_does_not_matter_which_inputs_share_a_commit(places: Places, made: list[Move], cuts: set[int]) -> None:
    """One by one, or as they happened to gather: the tables are the same to the byte."""
    rows = lived(made).rows
    found = []
    for edges in (range(len(rows) + 1), sorted({0, len(rows)} | {cut for cut in cuts if cut < len(rows)})):
        place = places.new()
        store, engine = place.open(), empty()
        for start, end in pairwise(edges):
            for row in rows[start:end]:
                apply(engine, row)
            commit(store, engine, rows[start:end])
        found.append(place.tables())
    assert found[0] == found[1]
    places.clear()
