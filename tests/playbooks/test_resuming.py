"""After a hand-over a person continues a run from a step, repeats it, or takes it over."""

from __future__ import annotations

import pytest

from tests.engine.world import dump
from tests.playbooks.playground import SERVICE, Playground, Pump, Run, drain, kick, level, pour
from tocsin.engine.engine import Engine
from tocsin.intake.sources import SOURCES
from tocsin.playbooks.language import cooldown, playbook, trust

FULL = ['alertname="Full"']


@playbook(name="kicks-it", answers=FULL, trust=trust(start="act"))
def kicks_it(run: Run, pump: Pump) -> None:
    run.look(level, pump)
    run.fix(kick, pump)
    run.verify(level, pump, until=lambda now: now.full < 80, within="1m")


@playbook(name="pours-it", answers=FULL, trust=trust(start="act"))
def pours_it(run: Run, pump: Pump) -> None:
    run.look(level, pump)
    run.fix(pour, pump)
    run.verify(level, pump, until=lambda now: now.full < 80, within="1m")


@playbook(name="drains-it", answers=FULL, trust=trust(start="act"), guards=[cooldown("15m")])
def drains_it(run: Run, pump: Pump) -> None:
    run.look(level, pump)
    run.fix(drain, pump)
    run.verify(level, pump, until=lambda now: now.full < 80, within="1m")


def lines(world: Playground) -> list[str]:
    return [entry.what for entry in world.timeline]


def handed_over(body: object, after: int = 90) -> Playground:
    """A run whose fix did not hold: a person has been called, and has it."""
    world = Playground(body)  # type: ignore[arg-type]
    world.after_drain = after
    world.fires("Full", instance="cart-1")
    world.at("2m")
    assert world.outcomes == ["handed_over"] and world.pages[-1][1] == "ana"
    world.acknowledges(1)
    return world


def test_continued_at_its_verification_it_changes_nothing_again_and_verifies() -> None:
    world = handed_over(kicks_it)
    world.full["main"] = 40
    assert world.resumes(1, step=3).ok
    assert world.done == ["kick"], "it stands"
    assert world.steps(2) == ["look level done", "fix kick done", "verify level done"]
    run = world.run(2)
    assert (run.continues, run.from_step, run.because, run.by) == (1, 3, "I looked at it", "person:ana")
    assert world.outcomes == ["handed_over", "watching"]
    assert "Continues run 1 from step 3 of kicks-it as run 2: I looked at it" in lines(world)
    world.at("3m").resolves("Full", instance="cart-1")
    assert world.run(2).outcome == "verified"


def test_a_continued_run_that_was_carried_over_a_change_still_has_to_prove_it() -> None:
    world = handed_over(kicks_it)
    assert world.resumes(1, step=3).ok
    world.at("5m")
    assert world.run(2).outcome == "handed_over" and world.done == ["kick"]


def test_what_may_have_been_done_is_not_done_again_without_a_word() -> None:
    world = handed_over(kicks_it)
    for step in (0, 1, 2):
        refused = world.resumes(1, step=step)
        assert refused.code == "conflict" and "may have been done" in refused.message and refused.field == "word"
    assert world.done == ["kick"] and len(world.outcomes) == 1
    world.after_drain = 40
    assert world.resumes(1, step=2, word="again").ok
    assert world.done == ["kick", "kick"] and world.run(2).state == "watching"


def test_a_probe_says_whether_it_is_done_again() -> None:
    world = handed_over(pours_it)
    assert world.resumes(1).ok
    assert world.done == ["pour"], "it was poured, says the probe"
    assert [step.said for step in world.recorded(2)][1] == "it was done already, says its probe"
    world.at("5m")
    assert world.run(2).outcome == "handed_over", "what an earlier run did is to be verified too"
    world.full["main"] = 97  # somebody undid it
    world.after_drain = 40
    assert world.resumes(2).ok
    assert world.done == ["pour", "pour"] and world.run(3).state == "watching"


def test_an_idempotent_one_is_repeated_and_guards_count_it() -> None:
    world = handed_over(drains_it)
    refused = world.resumes(1)
    assert refused.code == "conflict" and "last run ended" in refused.message, "a repeated one is one more"
    world.after_drain = 40
    assert world.resumes(1, step=2).ok, "a continued one is the same work going on"
    assert world.done == ["drain", "drain"]
    assert world.runs_by_hand("drains-it", targets={"pump": "main"}).code == "conflict"


def test_of_a_fix_nobody_knows_about_a_person_has_to_say() -> None:
    world = Playground(kicks_it)
    world.carrier.kill_at = 4  # its go is written down, and then everything dies
    world.fires("Full", instance="cart-1")
    assert world.outcomes == ["handed_over"] and world.done == []
    world.acknowledges(1)
    for step in (2, 3):
        refused = world.resumes(1, step=step)
        assert refused.code == "conflict" and refused.field == "word"
    world.full["main"] = 40
    assert world.resumes(1, step=3, word="done").ok
    assert world.done == [] and world.run(2).state == "watching"
    assert world.recorded(2)[1].said == "done, says Ana"
    world.resolves("Full", instance="cart-1")
    assert world.run(2).outcome == "verified"
    assert world.engine.state.standings["cart", "kicks-it"].held == 0, "a person did it"


def test_what_cannot_be_continued_is_said() -> None:
    world = handed_over(kicks_it)
    assert world.resumes(1, step=9).code == "invalid"
    assert "did not hold" in world.resumes(1, step=4).message
    assert world.resumes(1, step=3, why=" ").field == "why"
    assert world.resumes(7).code == "not_found"
    assert world.resumes(1, step=3).ok
    assert "goes on as run 2" in world.resumes(1, step=2, word="again").message, "run 2 knows more"
    world.resolves_by_hand(1, "1h")
    assert "is not open" in world.resumes(2, step=3).message


def test_a_verified_run_has_nothing_to_go_on_with() -> None:
    world = Playground(kicks_it)
    world.fires("Full", instance="cart-1")
    world.resolves("Full", instance="cart-1")
    assert "only one that was handed over" in world.resumes(1, step=3).message


def test_doubt_is_carried_from_run_to_run() -> None:
    """The second run never came to the fix, and the first may have done it."""
    world = handed_over(kicks_it)
    world.dead = True
    assert world.resumes(1, step=1, word="again").ok
    assert world.run(2).outcome == "handed_over" and world.done == ["kick"]
    world.dead = False
    assert world.resumes(2).ok, "a person had said that it may be done again"
    other = handed_over(pours_it)
    other.dead = True
    assert other.resumes(1).ok and other.run(2).outcome == "handed_over"
    other.dead = False
    assert other.resumes(2).ok and other.done == ["pour"], "the probe is asked in the third run too"


@pytest.mark.parametrize("kill_at", range(1, 9))
def test_killed_at_every_point_a_continued_run_does_it_once_at_most(kill_at: int) -> None:
    world = handed_over(kicks_it)
    world.carrier.points, world.carrier.kill_at = 0, kill_at
    world.full["main"] = 40
    assert world.resumes(1, step=3).ok
    assert world.done == ["kick"] and world.run(2).outcome in ("", "handed_over")
    assert dump(Engine(world.loaded(), world.engine.plan, SOURCES).state) == dump(world.engine.state)
    assert dump(world.replayed().state) == dump(world.engine.state)


# -- taken over --------------------------------------------------------------------------------------------------------


@playbook(name="asks-it", answers=FULL, trust=trust(start="ask"))
def asks_it(run: Run, pump: Pump) -> None:
    run.look(level, pump)
    run.fix(drain, pump)
    run.verify(level, pump, until=lambda now: now.full < 80, within="1m")


def test_who_takes_over_has_the_incident_and_code_changes_nothing_beside_them() -> None:
    world = Playground(asks_it, kicks_it, rung="ask")
    world.fires("Full", instance="cart-1")
    assert world.run(1).state == "asking"
    assert "is not over" in world.resumes(1).message
    assert world.takes_over(1, "person:ben").ok
    assert world.outcomes == ["cancelled"] and world.incident(1).acknowledged_by == "person:ben"
    assert "Works on main by hand, for at most 4 h: I do it by hand" in lines(world)
    refused = world.runs_by_hand("kicks-it", targets={"pump": "main"})
    assert refused.code == "conflict" and "Ben works on main by hand" in refused.message
    assert world.takes_over(1).code == "conflict", "Ben has it"
    assert world.runs_by_hand("kicks-it", targets={"pump": "spare"}).ok
    assert world.gives_back(1).ok and world.gives_back(1).code == "conflict"
    assert world.runs_by_hand("kicks-it", targets={"pump": "main"}).ok
    assert dump(Engine(world.loaded(), world.engine.plan, SOURCES).state) == dump(world.engine.state)


def test_a_target_taken_over_comes_back_by_itself() -> None:
    world = handed_over(kicks_it)
    assert world.takes_over(1, "person:ben").ok
    assert world.incident(1).acknowledged_by == "person:ben"
    assert world.resumes(1, step=2, word="again").code == "conflict", "not beside Ben"
    assert world.resumes(1, step=2, word="again", actor="person:ben").ok, "Ben may have code help"
    world.at("3h").resolves_by_hand(1, "1m")
    world.at("3h10m")
    assert world.run(1).taken_until is None, "the incident is over"
    assert world.runs_by_hand("kicks-it", targets={"pump": "main"}).ok
    other = handed_over(kicks_it)
    other.takes_over(1, "person:ben")
    other.at("4h5m")
    assert other.resumes(1, step=2, word="again").ok, "four hours at most"


def test_a_run_without_an_incident_is_taken_over_too() -> None:
    world = Playground(asks_it, rung="ask", plan=SERVICE)
    assert world.runs_by_hand("asks-it", targets={"pump": "main"}, role="viewer").ok
    assert world.run(1).state == "asking"
    assert world.takes_over(1).ok and world.outcomes == ["cancelled"]
    world.fires("Full", instance="cart-1")
    assert world.pages[-1][1] == "ana", "no page waits for code that may do nothing"
    assert "Ana works on main by hand" in world.run(2).why
