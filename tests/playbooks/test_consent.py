"""Who allowed what: a yes is for one fix, and what was allowed at the start is asked again before each fix."""

from __future__ import annotations

import pytest

from tests.playbooks.playground import SERVICE, Playground, Pump, Run, drain, kick, level
from tocsin.playbooks.language import Misused, fix, playbook, trust


@fix(says="drain {pump} to {down_to} %, {hoses} hoses at once: {how:words}", undo="fill {pump} again")
def drain_slowly(pump: Pump, hoses: tuple[str, ...], *, how: tuple[str, ...] = ("by", "hand"), down_to: int = 5) -> str:
    """Let it run out.

    More.
    """
    raise AssertionError("the test never lets it")


FULL = ['alertname="Full"']


@playbook(name="asks-twice", answers=FULL)
def asks_twice(run: Run, pump: Pump) -> None:
    run.ask("Shall I wait?")
    run.fix(drain, pump)
    run.fix(kick, pump)
    run.verify(level, pump, until=lambda now: now.full < 80, within="1m")


@playbook(name="drains-once", answers=FULL, trust=trust(start="act"))
def drains_once(run: Run, pump: Pump) -> None:
    run.look(level, pump)
    run.fix(drain, pump)
    run.verify(level, pump, until=lambda now: now.full < 80, within="1m")


def fires(world: Playground, instance: str = "cart-1", **labels: str) -> None:
    world.fires("Full", instance=instance, **labels)


# -- one yes, one fix --------------------------------------------------------------------------------------------------


def test_a_yes_answers_the_question_that_was_shown_and_allows_that_fix_alone() -> None:
    world = Playground(asks_twice, rung="ask")
    fires(world)
    assert world.says(1, "yes", step=1).ok
    assert world.says(1, "yes", step=1).code == "conflict", "a double click says nothing about the fix"
    assert world.done == []
    assert world.says(1, "yes", step=2).ok
    assert world.done == ["drain"] and world.run(1).state == "asking", "the second fix was never shown"
    assert world.says(1, "yes", step=2).code == "conflict"
    assert world.says(1, "yes", step=0).code == "conflict", "an answer names its question"
    assert world.done == ["drain"]
    assert world.says(1, "yes", step=3).ok
    assert world.done == ["drain", "kick"] and world.run(1).state == "watching"
    assert world.run(1).approved_by == "person:ana"


def test_no_to_the_second_fix_ends_it_there() -> None:
    world = Playground(asks_twice, rung="ask")
    fires(world)
    world.says(1, "yes")
    world.says(1, "yes")
    world.says(1, "no")
    assert world.done == ["drain"] and world.outcomes == ["cancelled"]


def test_whoever_runs_it_by_hand_allows_all_of_its_fixes() -> None:
    world = Playground(asks_twice, rung="ask")
    assert world.runs_by_hand("asks-twice", targets={"pump": "main"}).ok
    world.says(1, "yes")
    assert world.done == ["drain", "kick"] and world.outcomes == ["verified"]


def test_run_by_hand_by_who_may_not_approve_each_fix_is_asked_for() -> None:
    @playbook(name="for-admins", answers=FULL, trust=trust(start="ask", approve="admin"))
    def for_admins(run: Run, pump: Pump) -> None:
        run.fix(drain, pump)
        run.fix(kick, pump)
        run.verify(level, pump, until=lambda now: now.full < 80, within="1m")

    world = Playground(for_admins, rung="ask")
    world.runs_by_hand("for-admins", targets={"pump": "main"})
    assert world.done == []
    assert world.says(1, "yes").code == "forbidden"
    assert world.says(1, "yes", role="admin").ok
    assert world.done == ["drain"], "an answer to one fix is not a run by hand"


# -- what changed since it began ---------------------------------------------------------------------------------------


def test_trust_that_fell_meanwhile_counts_at_the_next_fix() -> None:
    for rung, came_to in (("observe", "observed"), ("suggest", "suggested"), ("ask", "asking")):

        @playbook(name=f"falls-to-{rung}", answers=FULL, trust=trust(start="act"))
        def falls(run: Run, pump: Pump) -> None:
            run.look(level, pump)
            world.trusts(run_name, rung)  # noqa: B023  # it runs before the loop goes on
            run.fix(drain, pump)
            run.verify(level, pump, until=lambda now: now.full < 80, within="1m")

        run_name = f"falls-to-{rung}"
        world = Playground(falls)
        fires(world)
        assert world.done == [] and world.outcomes == [came_to]
        assert world.pages == [("0s", "ana", 1)]


def test_trust_that_fell_after_a_fix_hands_over_what_is_not_verified() -> None:
    @playbook(name="half", answers=FULL, trust=trust(start="act"))
    def half(run: Run, pump: Pump) -> None:
        run.fix(drain, pump)
        world.trusts("half", "suggest")
        run.fix(kick, pump)
        run.verify(level, pump, until=lambda now: now.full < 80, within="1m")

    world = Playground(half)
    fires(world)
    assert world.done == ["drain"] and world.outcomes == ["handed_over"]
    assert world.pages == [("0s", "ana", 1)]
    assert "it is trusted to suggest now" in world.run(1).why


def test_paging_that_was_put_off_stops_a_run_under_way() -> None:
    @playbook(name="unpaged", answers=FULL, trust=trust(start="act"))
    def unpaged(run: Run, pump: Pump) -> None:
        run.look(level, pump)
        world.paging = False
        world.put_in_force(world.text.encode())
        run.fix(drain, pump)
        run.verify(level, pump, until=lambda now: now.full < 80, within="1m")

    world = Playground(unpaged)
    fires(world)
    assert world.done == [] and world.outcomes == ["observed"]


def test_a_service_that_uses_the_playbook_no_more_is_not_worked_on() -> None:
    @playbook(name="dropped", answers=FULL, trust=trust(start="act"))
    def dropped(run: Run, pump: Pump) -> None:
        run.look(level, pump)
        world.put_in_force(world.text.replace("playbooks: [dropped]", "playbooks: []").encode())
        run.fix(drain, pump)
        run.verify(level, pump, until=lambda now: now.full < 80, within="1m")

    world = Playground(dropped)
    fires(world)
    assert world.done == [] and world.outcomes == ["handed_over"]
    assert "cart uses this playbook no more" in world.run(1).why


# -- people at work ----------------------------------------------------------------------------------------------------


def test_who_answered_first_of_two_is_not_worked_beside() -> None:
    @playbook(name="beside", answers=FULL, trust=trust(start="act"))
    def beside(run: Run, pump: Pump) -> None:
        run.look(level, pump)
        world.acknowledges(1)
        run.fix(drain, pump)
        run.verify(level, pump, until=lambda now: now.full < 80, within="1m")

    both = SERVICE.replace("{page: ana, wait: 5m}", "{page: [ana, ben], wait: 5m, until acknowledged by: 2}")
    world = Playground(beside, plan=both)
    fires(world)
    assert world.done == [] and world.run(1).outcome == "handed_over"
    assert "Ana has the incident" in world.run(1).why


@pytest.mark.parametrize("rung", ["observe", "ask"])
def test_a_schedule_changes_nothing_that_somebody_works_on(rung: str) -> None:
    @playbook(name="nightly", schedule="30 3 * * *", trust=trust(start="act"))
    def nightly(run: Run, pump: Pump) -> None:
        run.fix(drain, pump)
        run.verify(level, pump, until=lambda now: now.full < 80, within="10s")

    world = Playground(nightly, drains_once)
    world.trusts("drains-once", rung)
    fires(world)
    if world.run(1).state == "asking":
        world.stops(1)
    world.acknowledges(1)
    world.at("31m")
    assert world.done == ["drain"], "spare alone: Ana works on main"
    assert {run.targets["pump"]: run.outcome for run in world.engine.state.runs.values() if run.by == "schedule"} == {
        "main": "handed_over", "spare": "verified",
    }  # fmt: skip
    assert len(world.pages) == 1, "nobody is woken because nothing was done"


def test_a_second_incident_on_the_same_target_is_not_worked_on_beside_a_person() -> None:
    apart = SERVICE.replace("service: cart}", "service: cart, group: {by: [region], window: 5m}}")
    world = Playground(drains_once, rung="suggest", plan=apart)
    fires(world, region="one")
    world.acknowledges(1)
    world.trusts("drains-once", "act")
    fires(world, region="two")
    assert world.done == [] and world.run(2).outcome == "handed_over"
    assert "Ana has incident #1" in world.run(2).why
    assert world.pages == [("0s", "ana", 1), ("0s", "ana", 2)]
    fires(world, "cart-2", region="three")
    assert world.done == ["drain"], "nobody works on the spare"


# -- what is asked is said in words ------------------------------------------------------------------------------------


def test_a_fix_says_itself_in_words_to_whoever_is_asked() -> None:
    @playbook(name="in-words", answers=FULL)
    def in_words(run: Run, pump: Pump) -> None:
        run.fix(drain_slowly, pump, ("a",) * 4_000)
        run.verify(level, pump, until=lambda now: now.full < 80, within="1m")

    world = Playground(in_words, rung="ask")
    fires(world)
    approval = world.run(1).approval
    assert approval is not None
    says = "drain main to 5 %, 4,000 hoses at once: by hand"
    assert (approval.question, approval.does, approval.undo) == (f"May it {says}?", says, "fill main again")
    assert "drain_slowly(main" in approval.fix, "and the call stands beside it"
    assert any(says in one for one in world.incident(1).tried), "whoever is paged reads it so"


def test_one_that_says_nothing_is_asked_by_its_call_and_the_first_line_of_its_text() -> None:
    world = Playground(asks_twice, rung="ask")
    fires(world)
    world.says(1, "yes", step=1)
    approval = world.run(1).approval
    assert approval is not None and approval.question == "May it do playground.drain(main)?"
    assert approval.does == (drain.function.__doc__ or "").partition("\n")[0]


@pytest.mark.parametrize("says", ["end {pid} of {nobody}", "end {} now", "end {pump", "{pump.name}"])
def test_words_that_name_no_parameter_are_refused_when_it_is_declared(says: str) -> None:
    with pytest.raises(Misused, match="says="):
        fix(says=says)(drain_slowly.function)
