"""A run that would ask, or asks, when its incident is over: what it changed and nothing verified is heard of."""

from __future__ import annotations

import pytest

from tests.engine.world import dump
from tests.playbooks.playground import Playground, Pump, Run, drain, kick, level
from tocsin.kernel.instant import MINUTE
from tocsin.playbooks.language import playbook, trust

FULL = ['alertname="Full"']


def told_of(world: Playground) -> None:
    """Somebody is paged for what it changed, its target is free, and nothing else is done."""
    assert world.run(1).outcome == "handed_over" and world.run(1).unproven
    assert [one.labels["alertname"] for one in world.engine.state.alerts.values() if one.firing] == ["PlaybookFailed"]
    assert [(who, incident) for _, who, incident in world.pages][-1] == ("ana", world.run(1).incident)
    assert world.done == ["drain"] and world.engine.state.locked == {}
    assert dump(world.replayed().state) == dump(world.engine.state)


def test_one_that_comes_to_its_next_fix_when_the_incident_is_over_asks_nobody() -> None:
    @playbook(name="two-fixes", answers=FULL, trust=trust(start="ask"))
    def two_fixes(run: Run, pump: Pump) -> None:
        run.fix(drain, pump)
        if verified:
            run.verify(level, pump, until=lambda now: now.full < 80, within="1m")
        if world.incident(1).state != "resolved":
            world.deep, deep = 1, world.deep
            world.resolves("Full", instance="cart-1")
            world.passing(world.now + 2 * MINUTE)
            world.deep = deep
        run.fix(kick, pump)

    for verified in (False, True):
        world = Playground(two_fixes, rung="ask")
        world.fires("Full", instance="cart-1")
        world.at("1m")
        assert world.says(1, "yes").ok
        if verified:
            assert world.run(1).outcome == "overtaken" and not world.engine.state.locked
            continue
        told_of(world)
        assert "nobody hears its question" in world.run(1).why


@pytest.mark.parametrize("default", ["no", "yes"])
def test_one_that_asks_when_its_incident_ends_is_told_of_and_not_merely_overtaken(default: str) -> None:
    @playbook(name="asks-between", answers=FULL, trust=trust(start="act"))
    def asks_between(run: Run, pump: Pump) -> None:
        run.fix(drain, pump)
        if run.ask("Kick too?", within="20m", default=default) == "yes":
            run.fix(kick, pump)
        run.verify(level, pump, until=lambda now: now.full < 10, within="1m")

    world = Playground(asks_between)
    world.fires("Full", instance="cart-1")
    assert world.run(1).state == "asking"
    world.at("1m").resolves("Full", instance="cart-1")
    world.at("3m")
    told_of(world)


def test_a_question_of_its_own_is_asked_of_nobody_either() -> None:
    @playbook(name="asks-late", answers=FULL, trust=trust(start="act"))
    def asks_late(run: Run, pump: Pump) -> None:
        run.fix(drain, pump)
        world.deep, deep = 1, world.deep
        world.resolves("Full", instance="cart-1")
        world.passing(world.now + 2 * MINUTE)
        world.deep = deep
        run.ask("Kick too?")

    world = Playground(asks_late)
    world.fires("Full", instance="cart-1")
    world.at("3m")
    told_of(world)


def test_one_that_changed_nothing_is_overtaken_still() -> None:
    @playbook(name="only-asks", answers=FULL, trust=trust(start="act"))
    def only_asks(run: Run, pump: Pump) -> None:
        run.ask("Kick?")

    world = Playground(only_asks)
    world.fires("Full", instance="cart-1")
    world.at("1m").resolves("Full", instance="cart-1")
    world.at("3m")
    assert world.run(1).outcome == "overtaken" and len(world.engine.state.incidents) == 1
