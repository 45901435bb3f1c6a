"""Playbooks that do wrong while they run, each with a clear end, in virtual time."""

from __future__ import annotations

import msgspec
import pytest

from tests.playbooks.playground import Playground, Pump, Run, drain, level
from tests.playbooks.test_stories import FULL, empty_it, fires
from tocsin.playbooks.language import About, Failed, fix, playbook, trust


@fix
def unreadable(pump: Pumpe) -> None:  # type: ignore[name-defined]  # noqa: F821  # as behind TYPE_CHECKING
    """Flush it."""


def last(world: Playground) -> str:
    return world.run(world.engine.state.counters.run).why


def test_one_that_verifies_nothing_on_the_way_it_took():
    @playbook(name="skips", answers=FULL, trust=trust(start="act"))
    def skips(run: Run, pump: Pump) -> None:
        run.fix(drain, pump)
        if run.about.labels.get("never"):
            run.verify(level, pump, until=lambda now: True, within="1s")

    world = Playground(skips)
    fires(world)
    assert last(world) == "handed over: it changed something, and nothing verified it"
    assert world.pages == [("0s", "ana", 1)]


def test_one_that_raises_says_where():
    @playbook(name="raises", answers=FULL, trust=trust(start="act"))
    def raises(run: Run, pump: Pump) -> None:
        run.look(level, pump)
        dict[str, int]()["nothing"]

    world = Playground(raises)
    fires(world)
    assert last(world).startswith("handed over: KeyError: 'nothing' (test_bad_playbooks.py:")
    assert world.rung("raises") == "ask"


def test_one_that_never_ends_is_handed_over_in_its_time_and_its_process_ended():
    @playbook(name="endless", answers=FULL, trust=trust(start="act"), hand_over_after="2m")
    def endless(run: Run, pump: Pump) -> None:
        run.verify(level, pump, until=lambda now: False, within="10h")

    world = Playground(endless)
    fires(world)
    at = "it was verifying playground.level(main) for 2 min"
    assert last(world) == f"handed over: it did not end within 2 min: {at}"
    assert world.pages == [("120s", "ana", 1)] and (1, 1) in world.carrier.halted


def test_one_that_steps_without_end():
    @playbook(name="steps", answers=FULL, trust=trust(start="act"))
    def steps(run: Run, pump: Pump) -> None:
        while True:
            run.look(level, pump)

    world = Playground(steps)
    fires(world)
    assert last(world) == "handed over: it has more than 500 steps"
    assert sum(entry.incident == 1 for entry in world.timeline) < 80, "the timeline stays readable"
    assert len(world.run(1).findings) <= 30


def test_one_whose_own_code_differs_when_it_runs_again():
    world: Playground

    @playbook(name="moody", answers=FULL, trust=trust(start="ask"))
    def moody(run: Run, pump: Pump) -> None:
        if world.looks == 0:
            run.look(level, pump)
        run.fix(drain, pump)
        run.verify(level, pump, until=lambda now: True, within="1s")

    world = Playground(moody, rung="ask")
    fires(world)
    world.says(1, "yes")
    assert "step 1 was fix playground.drain; the record says look playground.level" in last(world)
    assert world.done == []


def test_a_target_that_goes_while_it_runs_and_one_that_nothing_may_be_fixed_with():
    for change, why in (
        ("      main:", "the plan has no target main any more"),
        (", fix with: secret:rw, match: ['instance=\"cart-1\"']", "the plan gives nothing to fix main with"),
    ):
        world = Playground(empty_it, rung="ask")
        fires(world)
        lines = [line for line in world.text.splitlines() if not line.startswith(change)]
        world.put_in_force("\n".join(lines).replace(change, ", match: ['instance=\"cart-1\"']").encode())
        world.says(1, "yes")
        assert why in last(world) and world.done == []


def test_a_playbook_that_leaves_the_plan_while_it_asks():
    world = Playground(empty_it, rung="ask")
    fires(world)
    world.manifests = []
    world.put_in_force(world.text.replace("playbooks: [empty-it]", "tier: 1").encode())
    world.says(1, "yes")
    assert "the plan has this playbook no more" in last(world)


def test_a_step_that_fails_may_be_caught_and_a_predicate_says_that_it_is_not_meant():
    @playbook(name="choosy", answers=FULL, when=lambda about: "never" in about.labels)
    def choosy(run: Run, pump: Pump) -> None:
        run.look(level, pump)

    @playbook(name="tries", answers=FULL, trust=trust(start="act"))
    def tries(run: Run, pump: Pump) -> None:
        try:
            run.look(level, pump)
        except Failed:
            world.dead = False
        run.fix(drain, pump)
        run.verify(level, pump, until=lambda now: now.full < 80, within="1m")

    world = Playground(choosy, tries)
    world.dead = True
    fires(world)
    assert world.run(1).outcome == "not_needed" and world.steps(1) == ["when when done"]
    assert world.run(2).state == "watching", "and the next in line was tried"
    assert world.steps(2) == ["look level failed", "fix drain done", "verify level done"]


def test_a_process_of_an_earlier_attempt_is_told_to_stop():
    world = Playground(empty_it, rung="ask")
    fires(world)
    world.says(1, "no")
    from tocsin.engine.inputs import Reported
    from tocsin.playbooks.run import Began, Returned

    result = world.apply(Reported(1, 1, Began(2, "fix", "x.y", "d")))
    assert result is not None and result.code == "stop"
    world.apply(Reported(1, 1, Returned()))
    assert world.apply(Reported(99, 1, Returned())) is not None
    assert world.run(1).outcome == "cancelled"


def test_a_question_of_its_own_and_its_default():
    @playbook(name="asks", answers=FULL, trust=trust(start="act"))
    def asks(run: Run, pump: Pump) -> None:
        which = run.ask("Which one first?", ("left", "right", "none"), within="5m", default="none")
        run.tell(f"It is {which}")
        if which == "left":
            run.fix(drain, pump)
            run.verify(level, pump, until=lambda now: now.full < 80, within="1m")

    world = Playground(asks)
    fires(world)
    assert world.run(1).approval is not None and world.pages == [("0s", "ana", 1)]
    world.says(1, "left")
    assert world.done == ["drain"] and world.run(1).state == "watching"
    silent = Playground(asks)
    fires(silent)
    silent.at("5m")
    assert silent.run(1).outcome == "not_needed" and silent.done == []
    assert "It is none" in silent.run(1).findings


def test_a_thousand_that_wait_cost_rows_alone():
    world = Playground(empty_it, rung="ask")
    fires(world)
    one = world.run(1)
    for number in range(2, 1_002):
        another = msgspec.structs.replace(one, number=number, targets={})
        world.engine.state.runs[number] = another
        world.engine.state.watch_run(another)
    assert world.begun == type(world.begun)() and one.state == "asking"
    assert len(msgspec.json.encode(one)) < 1_700
    world.at("1m")
    fires(world, "cart-2")


__all__ = ["About"]


@pytest.mark.parametrize("there", ["'some other box'", "pump.name", "None"])
def test_one_that_gives_a_text_where_a_fix_takes_a_target_changes_nothing(there: str):
    """It would have worked on a system that the plan has not bound, which no lock and no guard counts."""

    @playbook(name="astray", answers=['alertname="Full"'], trust=trust(start="act"))
    def astray(run: Run, pump: Pump) -> None:
        run.fix(drain, eval(there, {"pump": pump}))
        run.verify(level, pump, until=lambda now: now.full < 80, within="1m")

    world = Playground(astray)
    world.carrier.instead[drain.name] = lambda given: world.done.append(f"drained {given}")
    world.fires("Full", instance="cart-1")
    run = world.run(1)
    assert world.done == [] and run.fixes == 0 and run.outcome == "handed_over"
    assert "drain takes a Pump as pump, one of the playbook's targets, and is given " in run.why
    assert world.pages == [("0s", "ana", 1)]


@pytest.mark.parametrize("given", ["'some other box'", "pump"])
def test_one_whose_fix_says_what_it_takes_in_words_that_cannot_be_read_changes_nothing(given: str):
    """Whether it is given a system could not be told before it, nor what it answered after it."""

    @playbook(name="unread", answers=['alertname="Full"'], trust=trust(start="act"))
    def unread(run: Run, pump: Pump) -> None:
        run.fix(unreadable, eval(given, {"pump": pump}))
        run.verify(level, pump, until=lambda now: now.full < 80, within="1m")

    world = Playground(unread)
    world.carrier.instead[unreadable.name] = lambda given: world.done.append(f"flushed {given}")
    world.fires("Full", instance="cart-1")
    run = world.run(1)
    assert world.done == [] and run.fixes == 0 and run.outcome == "handed_over"
    assert "cannot be read: NameError: name 'Pumpe' is not defined" in run.why
    assert world.pages == [("0s", "ana", 1)]
