"""After a hand-over a person continues a run from a step, repeats it, or takes it over."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.engine.world import dump
from tests.playbooks.playground import SERVICE, Playground, Pump, Run, drain, kick, level, pour
from tocsin.engine.commands import StartRun
from tocsin.engine.engine import Engine
from tocsin.intake.sources import SOURCES
from tocsin.kernel.instant import Instant
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
    assert refused.code == "conflict" and "last change was" in refused.message, "a repeated one is one more"
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
    world = handed_over(pours_it)
    world.dead = True
    assert world.resumes(1).ok and world.run(2).outcome == "handed_over"
    world.dead = False
    assert world.resumes(2).ok and world.done == ["pour"], "the probe is asked in the third run too"


def test_a_word_that_its_run_did_not_use_says_nothing_of_the_next() -> None:
    world = handed_over(kicks_it)
    world.dead = True
    assert world.resumes(1, word="again").ok and world.run(2).outcome == "handed_over"
    world.dead = False
    world.at("3m")
    assert world.resumes(2).ok
    assert world.done == ["kick"] and "an earlier run may have done it already" in world.run(3).why
    world.after_drain = 40
    world.at("4m")
    assert world.resumes(3, step=2, word="again").ok
    assert world.done == ["kick", "kick"] and world.run(4).state == "watching"


@playbook(name="does-two", answers=FULL, trust=trust(start="act"))
def does_two(run: Run, pump: Pump) -> None:
    run.look(level, pump)
    run.fix(drain, pump)
    run.verify(level, pump, until=lambda now: now.full < 80, within="3m")
    run.fix(kick, pump)
    run.verify(level, pump, until=lambda now: now.full < 80, within="1m")


def continued_while(happens: Callable[[Playground], object]) -> Playground:
    """A run of two fixes, continued at the verification of the first, while something happens."""
    world = Playground(does_two)
    world.after_drain = 90
    world.fires("Full", instance="cart-1")
    world.at("5m")
    world.acknowledges(1)
    rest = world.carrier.rest
    due = [happens]

    def passing(until: Instant) -> None:
        if due:
            due.pop()(world)
            world.full["main"] = 40
        rest(until)

    world.carrier.rest = passing
    assert world.resumes(1, step=3).ok
    world.at("20m")
    assert not due, "it happened while it verified"
    return world


def test_trust_that_an_admin_takes_away_meanwhile_stops_a_continued_run_too() -> None:
    world = continued_while(lambda world: world.trusts("does-two", "observe"))
    assert world.done == ["drain"]
    assert world.run(2).outcome == "handed_over" and "it is trusted to observe now" in world.run(2).why
    other = continued_while(lambda world: None)
    assert other.done == ["drain", "kick"], "the fall that it was continued after stops it not"


def test_a_continued_run_changes_nothing_new_when_its_incident_is_over() -> None:
    world = continued_while(lambda world: world.resolves_by_hand(1, "1h"))
    assert world.done == ["drain"], "what an earlier run did is no reason to go on"
    assert world.steps(2)[2] == "verify level done", "but to see whether it holds"
    assert world.run(2).outcome == "overtaken" and "kick(main) was not needed" in world.run(2).why


def test_what_code_did_once_counts_against_it_once() -> None:
    world = handed_over(kicks_it)
    assert world.rung("kicks-it") == "ask"
    for number in (1, 2, 3, 4):
        assert world.resumes(number, step=3).ok, "no breaker: it was one failure"
        world.at(f"{2 + 2 * number}m")
        assert world.run(number + 1).outcome == "handed_over"
    assert world.done == ["kick"] and world.rung("kicks-it") == "ask"
    assert world.resumes(5, step=2, word="again").ok
    world.at("20m")
    assert world.done == ["kick", "kick"] and world.rung("kicks-it") == "suggest", "this one did it itself"


def test_continuing_what_failed_does_not_make_the_breaker_forget_it() -> None:
    world = Playground(kicks_it)
    world.after_drain = 90
    for number in (1, 3, 5):
        assert world.runs_by_hand("kicks-it", targets={"pump": "main"}, role="admin").ok
        world.at(f"{2 * number}m")
        world.trusts("kicks-it", "act")
        assert world.resumes(number, step=3).ok or number == 5
        world.at(f"{2 * number + 2}m")
    refused = world.runs_by_hand("kicks-it", targets={"pump": "main"}, role="admin")
    assert "failed 3 times in a row" in refused.message and world.done == ["kick"] * 3


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


@playbook(name="has-both", answers=['alertname="Both"'], trust=trust(start="act"))
def has_both(run: Run, main: Pump, spare: Pump) -> None:
    run.look(level, main)
    run.hand_over("no idea")


def test_who_takes_over_one_target_keeps_the_others_they_had() -> None:
    world = Playground(has_both, kicks_it)
    world.runs_by_hand("has-both", targets={"main": "main", "spare": "spare"})
    assert world.takes_over(1).ok
    assert world.runs_by_hand("kicks-it", targets={"pump": "main"}).ok, "what Ana begins herself may"
    assert world.takes_over(2).ok

    def ben_on(target: str) -> str:
        return world.asked(
            StartRun(actor="person:ben", playbook="kicks-it", service="cart", targets={"pump": target})
        ).message

    assert "Ana works on main and spare by hand (took over run 1)" in ben_on("spare")
    assert dump(Engine(world.loaded(), world.engine.plan, SOURCES).state) == dump(world.engine.state)
    assert world.gives_back(2).ok
    assert "took over run 1" in ben_on("main") and "took over run 1" in ben_on("spare")
    assert world.gives_back(1).ok
    assert ben_on("spare") == ""


def test_nobody_works_on_what_one_of_two_took_over() -> None:
    world = Playground(has_both, kicks_it)
    for target in ("main", "spare"):
        assert world.runs_by_hand("kicks-it", targets={"pump": target}).ok
        world.at("10m" if target == "spare" else "5m")
    assert world.takes_over(1).ok and world.takes_over(2, "person:ben").ok
    refused = world.runs_by_hand("has-both", targets={"main": "main", "spare": "spare"})
    assert "Ben works on spare by hand" in refused.message


def test_a_claim_for_one_incident_outlasts_another_incident() -> None:
    world = handed_over(kicks_it)
    assert world.takes_over(1).ok
    assert world.runs_by_hand("kicks-it", targets={"pump": "main"}).ok
    world.at("5m")
    assert world.takes_over(2).ok and world.gives_back(2).ok
    assert "took over run 1" in world.resumes(1, step=2, word="again", actor="person:ben").message
