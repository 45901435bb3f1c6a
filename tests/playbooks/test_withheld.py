"""What was to begin and was not let begin, for reasons that are not the playbook's: a person is called, trust stays."""

from __future__ import annotations

import msgspec
import pytest

from tests.playbooks.playground import Playground, Pump, Run, drain, level
from tocsin.engine.inputs import Reported, Unsure
from tocsin.kernel.instant import SECOND, say_duration
from tocsin.playbooks.language import playbook
from tocsin.playbooks.run import Began, Finished, GaveUp, Looking, Report

FIX = Began(1, "fix", drain.name, "x", "main")
WITHHELD = GaveUp("withheld", "the database takes nothing")


@playbook(answers=['alertname="Full"'])
def by_hand(run: Run, pump: Pump) -> None:
    """The test says what its process reports."""


@pytest.fixture
def world() -> Playground:
    made = Playground(by_hand)
    made.carrier.carry = lambda *given: None  # type: ignore[method-assign]
    made.fires("Full", instance="cart-1")
    return made


def say(world: Playground, *reports: Report, attempt: int = 1) -> None:
    for report in reports:
        world.apply(Reported(1, attempt, report))


def test_a_fix_that_was_not_let_begin_was_not_done_and_costs_no_trust(world: Playground) -> None:
    say(world, FIX, WITHHELD)
    run = world.run(1)
    assert (run.outcome, run.fixes, run.unproven, run.broke, run.failed) == ("handed_over", 0, False, False, False)
    assert world.rung("by-hand") == "act"
    assert [page[1] for page in world.pages] == ["ana"]
    tried = " ".join(world.incident(1).tried)
    assert "drain(main) was not begun" in tried and "not known" not in tried
    assert "It changed nothing" in world.incident(1).tried
    assert world.steps(1) == ["fix drain skipped"]


def test_what_was_done_before_stays_done_and_unproven(world: Playground) -> None:
    say(world, FIX, Finished(1, "fix", drain.name, "x", True), Began(2, "fix", drain.name, "y", "main"), WITHHELD)
    run = world.run(1)
    assert (run.fixes, run.unproven, run.failed) == (1, True, True)
    assert "It changed nothing" not in world.incident(1).tried
    assert world.steps(1) == ["fix drain done", "fix drain skipped"]


def test_what_was_seen_to_hold_before_costs_no_trust(world: Playground) -> None:
    done = (FIX, Finished(1, "fix", drain.name, "x", True), Began(2, "verify", level.name, "x", "main"))
    held = Finished(2, "verify", level.name, "x", True)
    say(world, *done, held, Began(3, "fix", drain.name, "y", "main"), WITHHELD)
    run = world.run(1)
    assert (run.outcome, run.fixes, run.unproven, run.failed) == ("handed_over", 1, False, False)
    assert world.rung("by-hand") == "act" and world.pages


def test_of_a_fix_that_an_earlier_process_had_begun_nothing_is_known(world: Playground) -> None:
    again = Began(1, "fix", drain.name, "x", "main", idempotent=True)
    say(world, again)
    world.apply(Unsure())
    say(world, again, WITHHELD, attempt=2)
    assert world.run(1).fixes > 0 and world.rung("by-hand") == "ask"
    assert "It is not known whether" in " ".join(world.incident(1).tried)


def test_what_was_cut_off_is_no_failure_and_a_fix_that_was_is_in_doubt(world: Playground) -> None:
    say(world, Finished(1, "look", "a.see", "x", True), GaveUp("cut", "this node lost the database"))
    assert world.run(1).outcome == "handed_over" and world.rung("by-hand") == "act"
    other = Playground(by_hand)
    other.carrier.carry = lambda *given: None  # type: ignore[method-assign]
    other.fires("Full", instance="cart-1")
    say(other, FIX, GaveUp("cut", "this node lost the database"))
    assert "It is not known whether" in " ".join(other.incident(1).tried)
    run = other.run(1)
    assert (run.outcome, run.fixes, run.unproven, run.failed) == ("handed_over", 1, True, False)
    assert other.rung("by-hand") == "act"
    assert [page[1] for page in other.pages] == ["ana"]


def test_a_run_of_code_that_was_changed_meanwhile_says_nothing_about_the_new_code(world: Playground) -> None:
    say(world, FIX, Finished(1, "fix", drain.name, "x", True))
    world.manifests = [msgspec.structs.replace(one, meaning="another") for one in world.manifests]
    world.put_in_force(world.text.encode() + b"\n")
    assert world.rung("by-hand") == "ask", "its code was changed"
    say(world, GaveUp("raised", "it broke"))
    assert world.run(1).failed and world.rung("by-hand") == "ask"
    assert world.engine.state.standings["cart", "by-hand"].failed == 0


BUSY = Looking(1, "a.mine.busy", "x", "main", since=SECOND)


def test_one_that_is_late_in_a_look_says_in_which_and_for_how_long(world: Playground) -> None:
    say(world, BUSY)
    assert world.steps(1) == ["look busy begun"], "it is seen while it lasts"
    world.at("10m")
    run = world.run(1)
    why = f"it did not end within {say_duration(run.patience)}: it was in its look mine.busy(main) for "
    assert run.why.startswith(f"handed over: {why}") and run.broke
    assert any(why in one for one in world.incident(1).tried), "whoever is paged reads it"


def test_one_that_is_ended_in_a_look_says_in_which_and_no_step_was_none(world: Playground) -> None:
    say(world, BUSY, GaveUp("lost", "its process was ended: it printed more than 16 MB"))
    assert world.run(1).why.endswith("16 MB: it was in its look mine.busy(main) for 1 s")
    other = Playground(by_hand)
    other.carrier.carry = lambda *given: None  # type: ignore[method-assign]
    other.fires("Full", instance="cart-1")
    say(other, GaveUp("lost", "its process ended with code 3 before it was done"))
    assert other.run(1).first_step_at is None


def test_a_look_that_was_interrupted_binds_nobody(world: Playground) -> None:
    say(world, BUSY)
    world.apply(Unsure())
    world.at("1s")
    say(world, Finished(1, "look", "a.mine.other", "y", True, said="well"), attempt=2)
    (step,) = world.engine.state.steps[1].values()
    assert (step.function, step.state, step.attempt) == ("a.mine.other", "done", 2)
    say(world, Looking(1, "a.mine.busy", "x", "main"), attempt=2)
    assert world.steps(1) == ["look other done"], "what is done is not undone by what comes late"
