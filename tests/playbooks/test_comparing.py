"""What a playbook that only watches would have done, beside what a person did."""

from __future__ import annotations

import pytest

from tests.engine.world import dump
from tests.playbooks.playground import SERVICE, Playground, Pump, Run, drain, kick, level
from tocsin.engine.commands import CompareRun, Result
from tocsin.engine.engine import Engine
from tocsin.intake.sources import SOURCES
from tocsin.playbooks.language import breaker, playbook, trust

FULL = ['alertname="Full"']
MANY = [breaker(failures=99, returns=99)]


@playbook(name="would-drain", answers=FULL, trust=trust(start="observe"), guards=MANY)
def would_drain(run: Run, pump: Pump) -> None:
    run.look(level, pump)
    run.fix(drain, pump)
    run.verify(level, pump, until=lambda now: now.full < 80, within="1m")


@playbook(name="by-hand-drain", trust=trust(start="act"), guards=MANY)
def by_hand_drain(run: Run, pump: Pump) -> None:
    run.fix(drain, pump)
    run.verify(level, pump, until=lambda now: now.full < 80, within="1m")


@playbook(name="by-hand-kick", trust=trust(start="act"), guards=MANY)
def by_hand_kick(run: Run, pump: Pump) -> None:
    run.fix(kick, pump)
    run.verify(level, pump, until=lambda now: now.full < 80, within="1m")


def says(world: Playground, run: int, same: bool | None, did: str = "") -> Result:
    return world.asked(CompareRun(actor="person:ana", run=run, same=same, did=did))


def watched(*more: object, rung: str = "") -> Playground:
    world = Playground(would_drain, *more, rung=rung, plan=SERVICE)  # type: ignore[arg-type]
    world.fires("Full", instance="cart-1")
    assert world.run(1).outcome in ("observed", "suggested") and world.done == []
    assert (world.run(1).would, world.run(1).would_do.rpartition(".")[2]) == ("playground.drain(main)", "drain")
    return world


def counts(world: Playground) -> tuple[int, int, str]:
    standing = world.engine.state.standings["cart", "would-drain"]
    return standing.agreed, standing.differed, standing.rung


def test_whoever_answered_is_asked_when_it_is_over_and_silence_counts_for_nothing() -> None:
    world = watched()
    world.acknowledges(1)
    world.resolves("Full", instance="cart-1")
    world.at("3m")
    asked = [entry.what for entry in world.timeline if str(entry.reason) == "shadow_asked"]
    assert asked == ["would-drain would have done playground.drain(main). Is that what was done? Say so at run 1"]
    world.at("100h")
    assert counts(world) == (0, 0, "observe") and world.run(1).agreement == ""
    assert says(world, 1, same=True, did="drained it from the console").ok
    assert counts(world) == (1, 0, "observe")
    assert world.run(1).agreed_how == "Ana says that this was done: drained it from the console"
    assert says(world, 1, same=True, did="drained it from the console").ok
    assert counts(world) == (1, 0, "observe"), "once"
    assert dump(Engine(world.loaded(), world.engine.plan, SOURCES).state) == dump(world.engine.state)


def test_what_ends_by_itself_asks_nobody() -> None:
    world = watched()
    world.resolves("Full", instance="cart-1")
    world.at("5m")
    assert "shadow_asked" not in [str(entry.reason) for entry in world.timeline]


@pytest.mark.parametrize(("body", "agreement"), [(by_hand_drain, "agreed"), (by_hand_kick, "differed")])
def test_what_a_person_has_code_do_is_compared_by_itself(body: object, agreement: str) -> None:
    world = watched(body)
    name = "by-hand-drain" if body is by_hand_drain else "by-hand-kick"
    world.acknowledges(1)
    assert world.runs_by_hand(name, incident=1, targets={"pump": "main"}).ok
    world.resolves("Full", instance="cart-1")
    assert world.run(2).outcome == "verified" and world.run(1).agreement == agreement
    assert counts(world) == ((1, 0, "observe") if agreement == "agreed" else (0, 1, "observe"))
    assert "begun by Ana" in world.run(1).agreed_how
    assert says(world, 1, same=agreement != "agreed").ok, "a person's word counts instead"
    assert counts(world) == ((0, 1, "observe") if agreement == "agreed" else (1, 0, "observe"))
    assert says(world, 1, same=agreement == "agreed").ok, "the last word counts"
    assert counts(world) == ((1, 0, "observe") if agreement == "agreed" else (0, 1, "observe"))
    assert dump(Engine(world.loaded(), world.engine.plan, SOURCES).state) == dump(world.engine.state)


def test_what_is_done_on_another_target_is_not_compared() -> None:
    world = watched(by_hand_kick)
    world.acknowledges(1)
    assert world.runs_by_hand("by-hand-kick", incident=1, targets={"pump": "spare"}).ok
    world.resolves("Full", instance="cart-1")
    assert world.run(2).outcome == "verified" and world.run(1).agreement == ""


def test_what_is_done_for_no_incident_is_compared_with_none() -> None:
    world = watched(by_hand_kick)
    assert world.runs_by_hand("by-hand-kick", targets={"pump": "main"}).ok
    assert world.run(2).outcome == "verified" and world.run(1).agreement == ""
    assert counts(world) == (0, 0, "observe")


def test_one_that_did_not_hold_says_nothing() -> None:
    world = watched(by_hand_drain)
    world.after_drain = 95
    world.runs_by_hand("by-hand-drain", incident=1, targets={"pump": "main"})
    assert world.run(2).outcome == "handed_over" and world.run(1).agreement == ""


def test_a_suggestion_that_a_person_has_carried_out_is_agreement() -> None:
    world = watched(rung="suggest")
    world.acknowledges(1)
    assert world.resumes(1, step=2).ok
    assert world.done == ["drain"] and world.run(2).state == "watching"
    world.resolves("Full", instance="cart-1")
    assert world.run(2).outcome == "verified" and world.run(1).agreement == "agreed"
    assert counts(world) == (1, 0, "suggest")


def test_it_climbs_on_agreement_to_ask_at_most() -> None:
    world = Playground(would_drain, rung="")
    for number in range(1, 36):
        world.fires("Full", instance="cart-1")
        if counts(world)[2] == "ask":
            break
        assert says(world, number, same=True).ok
        world.resolves("Full", instance="cart-1")
        world.passing(world.now + 3_600_000_000)
        if number == 15:
            assert counts(world) == (15, 0, "observe")
        if number == 16:
            assert counts(world) == (0, 0, "suggest"), "16 of 16, and it counts anew"
    assert number == 33 and counts(world) == (0, 0, "ask")
    standing = world.engine.state.standings["cart", "would-drain"]
    said = "people did what it would have done in 16 of 16 runs"
    assert standing.because == f"{said}, at least 81% by Wilson's lower bound"


def test_code_that_was_changed_meanwhile_is_not_judged_by_what_the_old_one_would_have_done() -> None:
    world = watched()
    world.engine.state.standings["cart", "would-drain"].meaning = "another"
    assert says(world, 1, same=True).ok and counts(world) == (0, 0, "observe")


def test_there_is_nothing_to_compare_of_a_run_that_came_to_no_fix() -> None:
    world = Playground(by_hand_drain)
    world.runs_by_hand("by-hand-drain", targets={"pump": "main"})
    assert says(world, 1, same=True).code == "conflict"
    assert says(world, 9, same=True).code == "not_found"


def test_a_slip_is_put_right_or_taken_back_and_counts_no_more() -> None:
    world = watched()
    world.acknowledges(1)
    assert says(world, 1, same=None).code == "conflict", "nobody has said anything"
    assert says(world, 1, same=True).ok and counts(world) == (1, 0, "observe")
    assert says(world, 1, same=False, did="kicked it").ok and counts(world) == (0, 1, "observe")
    assert world.run(1).agreed_how == "Ana says that something else was done: kicked it"
    assert says(world, 1, same=None).ok and counts(world) == (0, 0, "observe")
    assert (world.run(1).agreement, world.run(1).agreed_how, world.run(1).agreed_at) == ("", "", None)
    assert world.timeline[-1].what.startswith("Ana takes back what was said of run 1 of would-drain: ")
    assert says(world, 1, same=None).code == "conflict"
    assert says(world, 1, same=True).ok and counts(world) == (1, 0, "observe")
    assert dump(world.replayed().state) == dump(world.engine.state)


def test_one_that_climbed_by_a_word_that_is_taken_back_steps_down_again() -> None:
    world = Playground(would_drain, rung="", plan=SERVICE)
    for number in range(1, 17):
        world.fires("Full", instance="cart-1").acknowledges(number)
        assert world.run(number).outcome in ("observed", "suggested")
        assert says(world, number, same=True).ok
        world.resolves("Full", instance="cart-1")
        world.at(f"{20 * number}m")
    assert counts(world) == (0, 0, "suggest"), "16 of 16"
    assert says(world, 15, same=None).ok and counts(world)[2] == "suggest", "that was not what it climbed by"
    assert says(world, 16, same=False).ok and counts(world)[2] == "observe"
    assert "taken back" in world.engine.state.standings["cart", "would-drain"].because
    assert dump(world.replayed().state) == dump(world.engine.state)
