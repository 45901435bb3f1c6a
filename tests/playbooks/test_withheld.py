"""What was to begin and was not let begin, for reasons that are not the playbook's: a person is called, trust stays."""

from __future__ import annotations

import msgspec
import pytest

from tests.playbooks.playground import Playground, Pump, Run, drain
from tocsin.engine.inputs import Reported, Unsure
from tocsin.playbooks.language import playbook
from tocsin.playbooks.run import Began, Finished, GaveUp, Report

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
    assert world.steps(1) == ["fix drain skipped"]


def test_what_was_done_before_stays_done_and_unproven(world: Playground) -> None:
    say(world, FIX, Finished(1, "fix", drain.name, "x", True), Began(2, "fix", drain.name, "y", "main"), WITHHELD)
    run = world.run(1)
    assert (run.fixes, run.unproven, run.failed) == (1, True, True)
    assert world.steps(1) == ["fix drain done", "fix drain skipped"]


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
