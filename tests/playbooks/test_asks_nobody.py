"""A run that would ask, or asks, when its incident is over: what it changed and nothing verified is heard of."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.engine.world import dump
from tests.playbooks.playground import Playground, Pump, Run, drain, kick, level
from tocsin.engine.inputs import Deaf
from tocsin.kernel.instant import MINUTE, SECOND, parse_duration
from tocsin.playbooks.language import playbook, trust

FULL = ['alertname="Full"']


def told_of(world: Playground) -> None:
    """Somebody is paged for what it changed, its target is free, and nothing else is done."""
    assert world.run(1).outcome == "handed_over" and world.run(1).unproven
    assert [one.labels["alertname"] for one in world.engine.state.alerts.values() if one.firing] == ["PlaybookFailed"]
    assert [(who, incident) for _, who, incident in world.pages][-1] == ("ana", world.run(1).incident)
    assert world.done == ["drain"] and world.engine.state.locked == {}
    assert dump(world.replayed().state) == dump(world.engine.state)


@pytest.mark.parametrize("back", [True, False])
def test_one_that_comes_to_its_next_fix_when_the_incident_is_over_asks_in_case_it_is_not(back: bool) -> None:
    @playbook(name="two-fixes", answers=FULL, trust=trust(start="ask"))
    def two_fixes(run: Run, pump: Pump) -> None:
        run.fix(drain, pump)
        if verified:
            run.verify(level, pump, until=lambda now: now.full < 80, within="1m")
        if ends and ends.pop():
            world.deep, deep = 1, world.deep
            world.resolves("Full", instance="cart-1")
            world.passing(world.now + 2 * MINUTE)
            world.deep = deep
        run.fix(kick, pump)
        run.verify(level, pump, until=lambda now: now.full < 80, within="1m")

    for verified in (False, True):
        ends = [True]
        world = Playground(two_fixes, rung="ask")
        world.fires("Full", instance="cart-1")
        world.at("1m")
        assert world.says(1, "yes").ok
        if verified:
            assert world.run(1).outcome == "overtaken" and not world.engine.state.locked
            continue
        assert world.run(1).state == "asking" and world.done == ["drain"]
        world.at("12m")
        if back:
            world.fires("Full", instance="cart-1")
            assert world.incident(1).tried[0].startswith("two-fixes asks: May it do")
            world.at("14m")
            assert world.says(1, "yes").ok
            assert (world.run(1).state, world.done) == ("watching", ["drain", "kick"])
            continue
        world.at("14m")
        told_of(world)
        assert "nobody hears its question" in world.run(1).why and not world.run(1).failed


@playbook(name="drains-then-asks", answers=FULL, trust=trust(start="act"))
def drains_then_asks(run: Run, pump: Pump) -> None:
    run.fix(drain, pump)
    if run.ask("Kick too?", within="20m", default="yes") == "yes":
        run.fix(kick, pump)
    run.verify(level, pump, until=lambda now: now.full < 80, within="1m")


@playbook(name="asks-for-each", answers=FULL, trust=trust(start="ask", default="yes", within="30m"))
def asks_for_each(run: Run, pump: Pump) -> None:
    run.fix(drain, pump)
    run.fix(kick, pump)
    run.verify(level, pump, until=lambda now: now.full < 80, within="1m")


def asking(which: Callable[..., None]) -> Playground:
    """It has drained, and asks."""
    world = Playground(which, rung="act" if which is drains_then_asks else "ask")
    world.fires("Full", instance="cart-1")
    world.at("1m")
    assert which is drains_then_asks or world.says(1, "yes").ok
    assert world.run(1).state == "asking" and world.done == ["drain"]
    return world


@pytest.mark.parametrize("which", [drains_then_asks, asks_for_each])
def test_one_that_asks_when_its_incident_ends_for_good_is_told_of_and_is_no_failure(which: Callable[..., None]) -> None:
    world = asking(which)
    stood = world.rung(world.run(1).playbook)
    world.resolves("Full", instance="cart-1")
    world.at("10m")
    assert world.run(1).state == "asking" and world.run(1).incident == 1, "it may be back in a moment"
    world.at("12m")
    told_of(world)
    assert not world.run(1).failed and world.rung(world.run(1).playbook) == stood


def test_time_in_which_nothing_could_be_heard_is_none_in_which_the_alert_stayed_away() -> None:
    world = asking(drains_then_asks)
    world.resolves("Full", instance="cart-1")
    world.at("2m")
    deaf_since, world.now = world.now, world.now + 5 * MINUTE
    world.apply(Deaf(deaf_since, world.now))
    world.at("15m")
    assert world.run(1).state == "asking", "ten minutes, and those five"
    world.at("17m")
    told_of(world)


@pytest.mark.parametrize("which", [drains_then_asks, asks_for_each])
@pytest.mark.parametrize("gone", ["", "1s", "9m"])
def test_an_alert_that_is_back_finds_its_question_where_it_was(which: Callable[..., None], gone: str) -> None:
    world = asking(which)
    asked = world.run(1).approval
    assert asked is not None
    question, due = asked.question, asked.due
    world.resolves("Full", instance="cart-1")
    if gone:  # else both come before the clock is looked at
        world.ring(world.now + parse_duration(gone))
        world.now += parse_duration(gone)
    world.fires("Full", instance="cart-1")
    world.ring(world.now + SECOND)
    approval = world.run(1).approval
    assert world.run(1).state == "asking" and approval is not None and approval.due == due, world.run(1).why
    assert world.done == ["drain"] and len(world.engine.state.incidents) == 1
    assert world.incident(1).tried[0] == f"{world.run(1).playbook} asks: {question} Answer where the incident is shown"
    assert world.says(1, "yes").ok
    assert world.done == ["drain", "kick"] and world.run(1).state == "watching"
    assert dump(world.replayed().state) == dump(world.engine.state)


def test_no_default_is_taken_before_its_time_when_somebody_resolves_it_and_another_machine_fires() -> None:
    world = asking(asks_for_each)
    world.resolves_by_hand(1)
    world.fires("Full", instance="cart-2")  # before the clock is looked at
    world.at("2m")
    assert (world.incident(1).state, world.run(1).state, world.done) == ("triggered", "asking", ["drain"])
    world.at("40m")
    assert world.done == ["drain", "kick"], "that is its time"


def test_whoever_resolves_it_while_code_asks_hears_of_what_is_not_verified_at_once() -> None:
    world = asking(asks_for_each)
    world.resolves_by_hand(1)
    world.ring(world.now)
    assert world.run(1).outcome == "handed_over" and not world.run(1).failed and world.done == ["drain"]
    assert world.incident(world.run(1).incident).title.startswith("asks-for-each could not finish")
    assert world.engine.state.locked == {}


def test_an_answer_counts_that_is_given_before_it_is_told_of() -> None:
    world = asking(drains_then_asks)
    world.resolves("Full", instance="cart-1")
    world.at("5m")
    assert world.says(1, "no").ok
    assert (world.run(1).outcome, world.done) == ("verified", ["drain"])
    assert len(world.engine.state.incidents) == 1


def test_what_a_person_began_asks_them_until_its_own_time() -> None:
    world = Playground(drains_then_asks, rung="ask")
    world.fires("Full", instance="cart-1")
    world.at("1m")
    assert world.says(1, "no").ok
    world.acknowledges(1)
    assert world.runs_by_hand("drains-then-asks", incident=1, targets={"pump": "main"}, role="admin").ok
    assert (world.run(2).state, world.done) == ("asking", ["drain"])
    paged = list(world.pages)
    world.at("2m").resolves("Full", instance="cart-1")
    world.at("15m")
    assert world.run(2).state == "asking" and world.pages == paged
    assert world.says(2, "no").ok
    assert (world.run(2).outcome, world.pages) == ("verified", paged)
    assert dump(world.replayed().state) == dump(world.engine.state)


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
    assert world.run(1).state == "asking"
    world.at("13m")
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
