"""A fix that refuses before it changed anything has left nothing in the midst of a change."""

from __future__ import annotations

import pytest

from tests.engine.world import dump
from tests.playbooks.playground import Playground, Pump, Run, drain, kick, level
from tocsin.engine.inputs import Reported, Unsure
from tocsin.playbooks.language import Failed, Refused, playbook, trust
from tocsin.playbooks.run import Began, Finished, GaveUp

FULL = ['alertname="Full"']


@playbook(name="kicks-it", answers=FULL, trust=trust(start="act"))
def kicks_it(run: Run, pump: Pump) -> None:
    run.fix(kick, pump)
    run.verify(level, pump, until=lambda now: now.full < 80, within="1m")


@playbook(name="kicks-or-drains", answers=FULL, trust=trust(start="act"))
def kicks_or_drains(run: Run, pump: Pump) -> None:
    try:
        run.fix(kick, pump)
    except Failed:
        run.fix(drain, pump)
    run.verify(level, pump, until=lambda now: now.full < 80, within="1m")


@playbook(name="drains-and-kicks", answers=FULL, trust=trust(start="act"))
def drains_and_kicks(run: Run, pump: Pump) -> None:
    run.fix(drain, pump)
    run.fix(kick, pump)
    run.verify(level, pump, until=lambda now: now.full < 80, within="1m")


@playbook(name="told", answers=FULL, trust=trust(start="act"))
def told(run: Run, pump: Pump) -> None:
    """The test says what its process reports."""


def refuses(pump: Pump) -> int:
    raise Refused("somebody else kicks it")


def alike(world: Playground) -> None:
    assert dump(world.replayed().state) == dump(world.engine.state)


def test_it_leaves_nothing_and_the_next_run_does_it_unasked() -> None:
    world = Playground(kicks_it)
    kicks, world.carrier.instead[kick.name] = world.carrier.instead[kick.name], refuses
    world.fires("Full", instance="cart-1")
    run = world.run(1)
    assert run.why == "handed over: playground.kick failed: Refused: somebody else kicks it"
    assert (run.fixes, run.unproven, run.in_midst, run.unsure) == (0, False, False, ())
    assert "It changed nothing" in world.incident(1).tried and world.pages
    assert world.steps(1) == ["fix kick failed"], "it is shown as what it was tried to do"
    assert "left_in_midst" not in world.told(1)
    world.resolves("Full", instance="cart-1")
    world.trusts("kicks-it", "act")
    world.carrier.instead[kick.name] = kicks
    world.at("1h").fires("Full", instance="cart-1")
    assert world.done == ["kick"]
    alike(world)


@pytest.mark.parametrize("kill_at", range(9))
def test_a_playbook_may_go_another_way_then(kill_at: int) -> None:
    world = Playground(kicks_or_drains)
    world.carrier.instead[kick.name] = refuses
    world.carrier.kill_at = kill_at
    world.fires("Full", instance="cart-1")
    world.at("1m")
    run = world.run(1)
    if kill_at in (2, 3):  # it is not known whether the process that was killed did it
        assert "Tocsin stopped while" in run.why and run.in_midst
    else:
        assert run.state == "watching" and not run.unproven, run.why
        assert world.done[-1:] == ["drain"]
    alike(world)


def test_what_was_changed_before_it_is_left_as_it_was() -> None:
    world = Playground(drains_and_kicks)
    world.carrier.instead[kick.name] = refuses
    world.fires("Full", instance="cart-1")
    run = world.run(1)
    assert (run.fixes, run.unproven, run.in_midst, run.unsure) == (1, True, True, ())
    assert "It changed nothing" not in world.incident(1).tried
    alike(world)


def test_who_has_it_go_on_need_not_say_that_it_is_to_be_done_again() -> None:
    world = Playground(kicks_it)
    kicks, world.carrier.instead[kick.name] = world.carrier.instead[kick.name], refuses
    world.fires("Full", instance="cart-1")
    world.carrier.instead[kick.name] = kicks
    assert world.resumes(1, 1).ok
    assert world.done == ["kick"] and world.run(2).doubt == ()
    alike(world)


def test_of_one_that_an_earlier_process_had_begun_nothing_is_known() -> None:
    world = Playground(told)
    world.carrier.carry = lambda *given: None  # type: ignore[method-assign]
    world.fires("Full", instance="cart-1")
    again = Began(1, "fix", drain.name, "x", "main", idempotent=True)
    no = Finished(1, "fix", drain.name, "x", False, "main", error="Refused: no", undone=True)
    world.apply(Reported(1, 1, again))
    world.apply(Unsure())
    for report in (again, no, GaveUp("raised", "drain failed")):
        world.apply(Reported(1, 2, report))
    assert world.run(1).fixes > 0 and world.run(1).in_midst
    alike(world)
