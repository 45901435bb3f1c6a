"""Runs, their steps and how playbooks stand, on both databases: read back as they were after every input."""

from __future__ import annotations

from tests.engine.world import dump
from tests.playbooks.test_beside import plain
from tests.playbooks.test_changed_again import cut
from tests.playbooks.test_evidence import Measuring, deployed, series
from tests.playbooks.test_stories import empty_it, fires
from tests.playbooks.test_targets_in_turn import Fleet, fleet
from tests.store.conftest import Places
from tocsin.engine.engine import Engine
from tocsin.engine.inputs import PlanChange, decode_input
from tocsin.engine.state import State
from tocsin.intake.sources import SOURCES
from tocsin.store.reads import Reads, open_engine
from tocsin.store.rows import Journaled


def test_an_incident_over_several_targets_goes_on_from_either_database(places: Places) -> None:
    """Stopped and started after every input, it begins with the next target all the same."""
    world = Fleet(fleet)
    world.full["c"] = 20
    world.full_together("a", "b", "c", "nobody")
    world.at("2m").ends_on("a")
    world.at("3m").full_on("a")
    store = places.new().open()
    engine = Engine(store.load(), world.engine.plan, SOURCES)
    for seq, at, raw in world.journal:
        input = decode_input(raw)
        engine.apply(seq, input, at, None, world.plans[input.version] if isinstance(input, PlanChange) else None)
        store.commit([Journaled(seq, at, input)], engine.take(), engine.state)
        engine = Engine(store.load(), engine.plan, SOURCES)
    assert dump(engine.state) == dump(world.engine.state)
    works = engine.state.incidents[1].works
    assert {key: one.outcome for key, one in works.items()} == {
        "fleet: cart has no pump target that this alert is about": "blocked",
        "fleet a": "verified",
        "fleet b": "",
        "fleet c": "handed_over",
    }


def test_what_is_loaded_is_what_is_live_after_every_input(places: Places) -> None:
    world = Measuring(empty_it, rung="ask")
    deployed(world, "cart", "2026.11.23-1")
    fires(world)
    world.at("1m")
    world.says(1, "yes")
    world.at("2m").resolves("Full", instance="cart-1")
    world.at("30m")
    fires(world, "cart-9")
    place = places.new()
    store = place.open()
    engine = Engine(store.load(), world.engine.plan, SOURCES)
    asked = False
    for seq, at, raw in world.journal:
        input = decode_input(raw)
        plan = world.plans[input.version] if isinstance(input, PlanChange) else None
        engine.apply(seq, input, at, None, plan)
        store.commit([Journaled(seq, at, input)], engine.take(), engine.state)
        assert dump(State(store.load())) == dump(engine.state)
        asked = asked or any(one.state == "asking" for one in engine.state.runs.values())
    assert asked, "it was read back in the middle of a run"
    reads = Reads(open_engine(place.url))
    (run,) = reads.runs(incident=1).items
    assert run.outcome == "verified" and run == reads.run(1)
    assert run in reads.runs(playbook="empty-it", states=["ended"]).items
    assert reads.runs(service="elsewhere").items == []
    assert [(one.verb, one.state) for one in reads.steps(1)] == [("look", "done"), ("fix", "done"), ("verify", "done")]
    assert [one.points for one in reads.measured(1)] == [series(61, 94).points] and reads.measured(99) == ()
    (standing,) = reads.standings()
    assert (standing.held, standing.rung) == (1, "ask")
    assert reads.steps(1)[0].said == "97 % full"


def test_of_what_an_older_version_left_in_the_midst_the_steps_are_read_once_more(places: Places) -> None:
    world = cut(plain)
    store = places.new().open()
    engine = Engine(store.load(), world.engine.plan, SOURCES)
    for seq, at, raw in world.journal:
        input = decode_input(raw)
        engine.apply(seq, input, at, None, world.plans[input.version] if isinstance(input, PlanChange) else None)
        if seq < world.journal[-1][0]:
            store.commit([Journaled(seq, at, input)], engine.take(), engine.state)
    run = engine.changes.runs[1] = engine.state.runs[1]
    unsure, run.unsure, engine.state.counters.completed = run.unsure, (), 1
    store.commit([Journaled(seq, at, input)], engine.take(), engine.state)
    engine = Engine(store.load(), engine.plan, SOURCES)
    assert engine.state.runs[1].unsure == () and list(engine.state.steps) == [1]
    again = PlanChange(engine.plan.version, True)
    engine.apply(seq + 1, again, at, None, engine.plan)
    assert engine.state.runs[1].unsure == unsure != () and not engine.state.steps
    store.commit([Journaled(seq + 1, at, again)], engine.take(), engine.state)
    state = State(store.load())
    assert not state.steps and state.runs[1].unsure == unsure
