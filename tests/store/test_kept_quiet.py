"""What is open is listed and counted as the engine has it, on both databases, after every input."""

from __future__ import annotations

from collections import Counter

import pytest
from sqlalchemy import NullPool, create_engine, text

from tests.engine.world import World
from tests.store.conftest import Places
from tocsin.engine.commands import Acknowledge
from tocsin.engine.engine import Engine
from tocsin.engine.inputs import Decided, PlanChange, decode_input
from tocsin.engine.state import State
from tocsin.intake.sources import SOURCES
from tocsin.store.reads import OPEN_STATES, Lane, Reads, open_engine
from tocsin.store.rows import Journaled
from tocsin.store.writer import Store


@pytest.fixture(scope="module")
def night() -> World:
    """Two are silenced and one of them no more, one is acknowledged under its silence, one is over."""
    world = World()
    for name in ("Slow", "Down", "Full", "Late"):
        world.fires(name, job=name)
        world.at(f"{len(world.engine.state.incidents)}m")
    silence = world.silences('job=~"Slow|Full"', for_="2h")
    world.silences('job="Down"', for_="3h")
    world.at("10m").expires(silence.id)
    world.acknowledges(2)
    world.at("11m").silences('job="Full"', for_="1h")
    world.resolves("Late", job="Late").at("30m")
    return world


def test_what_is_open_is_listed_and_counted_as_it_is_after_every_input(places: Places, night: World) -> None:
    place = places.new()
    store, reads = place.open(), Reads(open_engine(place.url))
    orders = set()
    engine = Engine(store.load(), night.engine.plan, SOURCES)
    for seq, at, raw in night.journal:
        _apply(engine, store, night, (seq, at, raw))
        listed = _listed(engine.state)
        assert [one.number for one in reads.gravest(states=OPEN_STATES).items] == listed
        assert reads.open_by_lane().all == _counted(engine.state)
        orders.add(tuple(listed))
    assert {(4, 3, 2, 1), (4, 2, 3, 1), (4, 3, 1, 2), (4, 1, 2, 3)} < orders


def _apply(engine: Engine, store: Store, night: World, row: tuple[int, int, bytes]) -> None:
    seq, at, raw = row
    input = decode_input(raw)
    engine.apply(seq, input, at, None, night.plans[input.version] if isinstance(input, PlanChange) else None)
    store.commit([Journaled(seq, at, input)], engine.take(), engine.state)


def _listed(state: State) -> list[int]:
    """What nobody has, what somebody has, what is kept quiet; of each the newest first: all are as grave."""
    open = [one for one in state.incidents.values() if one.open]
    assert len({one.severity for one in open}) < 2
    by = sorted(open, key=lambda one: (one.kept_quiet, one.state == "acknowledged", -one.number))
    return [one.number for one in by]


def _counted(state: State) -> dict[Lane, int]:
    return Counter(Lane(one.state, one.kept_quiet, one.severity) for one in state.incidents.values() if one.open)


def test_what_a_node_of_an_older_version_wrote_is_listed_too_and_put_right_by_the_next(
    places: Places, night: World
) -> None:
    """It knows nothing of the column: what it silences is not marked, what it lets sound again stays so."""
    place = places.new()
    store, reads = place.open(), Reads(open_engine(place.url))
    engine = Engine(store.load(), night.engine.plan, SOURCES)
    for row in night.journal:
        _apply(engine, store, night, row)
    with create_engine(place.url, poolclass=NullPool).begin() as connection:
        connection.execute(text("UPDATE incidents SET quiet = NOT quiet"))
    for states in (OPEN_STATES, ("acknowledged",), ("triggered",)):
        found = [one.number for one in reads.gravest(states=states).items]
        assert sorted(found) == sorted(one.number for one in engine.state.incidents.values() if one.state in states)
    if places.kind == "postgres":  # on SQLite nobody writes beside the one node there is
        engine = Engine(store.load(), night.engine.plan, SOURCES)
        assert reads.open_by_lane().all != _counted(engine.state), "reading writes nothing: it cuts no lease short"
        held = next(one.number for one in engine.state.incidents.values() if one.open and one.kept_quiet)
        taken = Decided(Acknowledge(incident=held, actor="person:ana"))
        engine.apply(len(night.journal) + 1, taken, night.now)
        store.commit([Journaled(len(night.journal) + 1, night.now, taken)], engine.take(), engine.state)
        store.housekeep(night.now)
        assert [one.number for one in reads.gravest(states=OPEN_STATES).items] == _listed(engine.state)
        assert reads.open_by_lane().all == _counted(engine.state)
