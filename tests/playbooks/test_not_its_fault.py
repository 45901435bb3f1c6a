"""What Tocsin itself kept from its end says nothing about a playbook: no trust falls for it, no breaker opens."""

from __future__ import annotations

import msgspec
import pytest

from tests.engine.world import dump
from tests.playbooks.playground import Playground, Pump, Run, drain, kick, level
from tests.playbooks.test_targets_in_turn import FLEET, Fleet, fleet
from tocsin.engine.inputs import Reported
from tocsin.engine.state import AFTER_DEAFNESS
from tocsin.kernel.instant import DAY, HOUR, MINUTE, SECOND
from tocsin.playbooks.language import About, freeze, playbook, trust
from tocsin.playbooks.run import Looking
from tocsin.testing.carrying import Killed

FULL = ['alertname="Full"']
APART = FLEET.replace("group: {by: [region]}", "group: {by: [instance]}")


def test_runs_that_wait_for_others_until_their_time_is_over_cost_no_trust(monkeypatch: pytest.MonkeyPatch) -> None:
    world = Fleet(fleet, plan=APART)
    monkeypatch.setattr(world, "_carry", lambda run, attempt: None)  # all places are taken
    world.full_on("a", "b", "c", "d")
    stood = world.rung("fleet")
    world.at("6m")
    ended = list(world.written.values())
    assert {one.outcome for one in ended} == {"handed_over"} and not any(one.failed for one in ended)
    assert all("its process had not begun within 5 min" in one.why for one in ended)
    assert world.rung("fleet") == stood and world.pages, "a person is called all the same"
    assert dump(world.replayed().state) == dump(world.engine.state)


def test_a_run_that_is_late_because_tocsin_was_down_costs_no_trust(monkeypatch: pytest.MonkeyPatch) -> None:
    world = Fleet(fleet)
    monkeypatch.setattr(world, "_carry", lambda run, attempt: None)
    world.full_on("a")
    stood = world.rung("fleet")
    world.at("10s")
    world.comes_back(after=10 * MINUTE)
    world.ring(world.now)
    assert world.run(1).outcome == "handed_over" and "Tocsin was stopped" in world.run(1).why
    assert not world.run(1).failed and world.rung("fleet") == stood and world.pages


def test_a_change_in_the_midst_of_which_tocsin_was_stopped_costs_no_trust() -> None:
    @playbook(name="kicks-once", answers=FULL, trust=trust(start="act"))
    def kicks_once(run: Run, pump: Pump) -> None:
        run.fix(kick, pump)
        run.verify(level, pump, until=lambda now: now.full < 80, within="1m")

    world = Playground(kicks_once)
    world.carrier.kill_at = 2
    world.fires("Full", instance="cart-1")
    world.at("1m")
    assert "Tocsin stopped while" in world.run(1).why and world.pages, "nobody knows whether it was done"
    assert not world.run(1).failed and world.rung("kicks-once") == "act"
    assert dump(world.replayed().state) == dump(world.engine.state)


def test_one_that_hangs_in_a_step_counts_still() -> None:
    @playbook(name="hangs", answers=FULL, trust=trust(start="act"))
    def hangs(run: Run, pump: Pump) -> None:
        run.look(level, pump)
        world.passing(world.now + 6 * MINUTE)
        run.look(level, pump)

    world = Playground(hangs)
    world.fires("Full", instance="cart-1")
    world.at("6m")
    assert world.run(1).why == "handed over: it did not end within 5 min" and world.run(1).failed


@pytest.mark.parametrize("holds", [True, False])
def test_a_guard_that_stops_the_next_fix_costs_trust_only_where_what_was_changed_is_not_known_to_hold(
    holds: bool,
) -> None:
    @playbook(name="twice", answers=FULL, guards=[freeze("Mon 03:01-Mon 05:00")], trust=trust(start="act"))
    def twice(run: Run, pump: Pump) -> None:
        run.fix(drain, pump)
        if holds:
            run.verify(level, pump, until=lambda now: now.full < 80, within="1m")
        world.passing(world.now + 2 * MINUTE)
        run.fix(kick, pump)
        run.verify(level, pump, until=lambda now: now.full < 80, within="1m")

    world = Playground(twice)
    world.fires("Full", instance="cart-1")
    world.at("3m")
    run = world.run(1)
    assert run.why.startswith("handed over: playground.kick(main) was not done: nothing is changed Mon 03:01")
    assert world.done == ["drain"] and world.pages, "a person is called all the same"
    assert (run.failed, run.unproven) == (not holds, not holds)
    assert world.rung("twice") == ("act" if holds else "ask")
    assert dump(world.replayed().state) == dump(world.engine.state)


def begun(world: Playground, run: int) -> None:
    """A run's process has begun, and is at the playbook's own code."""
    world.apply(Reported(run, world.engine.state.runs[run].attempt, Looking(0, "", "")))


def test_one_that_hangs_before_its_first_step_counts_too() -> None:
    def hangs(about: About) -> bool:
        begun(world, max(world.written))
        world.passing(world.now + 6 * MINUTE)
        return True

    @playbook(name="hangs-in-when", answers=FULL, when=hangs, trust=trust(start="act"))
    def hangs_in_when(run: Run, pump: Pump) -> None:
        run.look(level, pump)

    world = Playground(hangs_in_when)
    world.fires("Full", instance="cart-1")
    world.at("6m")
    run = world.run(1)
    assert run.why == "handed over: it did not end within 5 min: it came to no step" and run.first_step_at is None
    assert run.failed and world.rung("hangs-in-when") == "ask" and world.pages


def test_one_whose_next_process_waits_for_others_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    @playbook(name="asks-late", answers=FULL, trust=trust(start="act"))
    def asks_late(run: Run, pump: Pump) -> None:
        run.look(level, pump)
        run.ask("Shall I?", within="20m")
        run.fix(drain, pump)
        run.verify(level, pump, until=lambda now: now.full < 80, within="1m")

    world = Playground(asks_late)
    world.fires("Full", instance="cart-1")
    monkeypatch.setattr(world, "_carry", lambda run, attempt: None)  # all places are taken
    world.at("1m")
    assert world.says(1, "yes").ok
    world.at("7m")
    assert "its process had not begun within 5 min" in world.run(1).why
    assert not world.run(1).failed and world.rung("asks-late") == "act"


def test_one_that_was_at_it_when_tocsin_went_down_until_its_time_was_over_does_not() -> None:
    @playbook(name="is-cut", answers=FULL, trust=trust(start="act"))
    def is_cut(run: Run, pump: Pump) -> None:
        run.fix(drain, pump)
        begun(world, 1)
        world.passing(world.now + 10 * SECOND)
        raise Killed

    world = Playground(is_cut)
    down = world.comes_back
    world.comes_back = lambda after=0: down(after=10 * MINUTE)  # type: ignore[method-assign]
    world.carrier.kill_at = 0
    world.fires("Full", instance="cart-1")
    world.ring(world.now)
    run = world.run(1)
    assert "Tocsin was stopped or starved in that time" in run.why and run.spoke
    assert not run.failed and world.rung("is-cut") == "act"


def test_answers_are_no_interruptions() -> None:
    @playbook(name="asks-five", answers=FULL, trust=trust(start="act"))
    def asks_five(run: Run, pump: Pump) -> None:
        for number in range(5):
            run.ask(f"Question {number}?", default="no")
        run.look(level, pump)
        if world.engine.state.runs[1].interrupted < stops:
            raise Killed
        run.fix(drain, pump)
        run.verify(level, pump, until=lambda now: now.full < 80, within="1m")

    for stops, came_to in ((4, "fixed"), (5, "handed over: it was interrupted 5 times")):
        world = Playground(asks_five)
        world.fires("Full", instance="cart-1")
        for minute in range(5):
            world.at(f"{minute + 1}m")
            assert world.says(1, "yes").ok
        assert (world.run(1).why or "fixed") == came_to, stops
        assert world.done == ([] if world.run(1).why else ["drain"])


def test_it_changed_nothing_is_said_only_while_no_code_changed_anything_there() -> None:
    @playbook(name="only-full", answers=FULL, trust=trust(start="act"))
    def only_full(run: Run, pump: Pump) -> None:
        if run.look(level, pump).full < 50:
            run.hand_over("it is not full")
        run.fix(drain, pump)
        run.verify(level, pump, until=lambda now: now.full < 80, within="1m")

    @playbook(name="kicks", answers=FULL, trust=trust(start="act"))
    def kicks(run: Run, pump: Pump) -> None:
        run.fix(kick, pump)
        run.verify(level, pump, until=lambda now: now.full < 80, within="1m")

    world = Playground(only_full, kicks)
    world.full["main"] = 10
    world.fires("Full", instance="cart-1")
    assert "It changed nothing" in world.incident(1).tried
    world.after_drain = 95
    assert world.runs_by_hand("kicks", incident=1, targets={"pump": "main"}, role="admin").ok
    world.at("2m")
    assert world.run(2).outcome == "handed_over" and world.done == ["kick"]
    assert "It changed nothing" not in world.incident(1).tried
    world.full["main"] = 10
    assert world.runs_by_hand("only-full", incident=1, targets={"pump": "main"}, role="admin").ok
    assert world.run(3).outcome == "handed_over" and not world.run(3).fixes
    assert "It changed nothing" not in world.incident(1).tried, "kicks did"


def test_nor_when_what_changed_something_has_no_target_or_is_another_playbook() -> None:
    @playbook(name="no-target", answers=FULL, trust=trust(start="act"))
    def no_target(run: Run) -> None:
        began.append(run)
        if len(began) > 1:
            run.hand_over("nothing to do")
        run.fix(kick, Pump(name="main"))

    @playbook(name="other", trust=trust(start="act"))
    def other(run: Run) -> None:
        run.hand_over("nothing to do here either")

    began: list[Run] = []
    world = Playground(no_target, other)
    world.fires("Full", instance="cart-1")
    world.at("1m")
    assert world.run(1).unproven
    for name in ("no-target", "other"):
        assert world.runs_by_hand(name, incident=1, role="admin").ok
        assert world.incident(1).tried[0].startswith(f"{name} could not finish")
        assert "It changed nothing" not in world.incident(1).tried
    world.resolves("Full", instance="cart-1")
    world.at("2m").fires("Full", instance="cart-1")
    assert world.run(4).outcome == "handed_over" and "It changed nothing" in world.incident(1).tried, "since it is back"
    assert dump(world.replayed().state) == dump(world.engine.state)


def test_alerts_of_what_was_fixed_have_longer_to_end_when_nothing_could_be_heard() -> None:
    world = Fleet(fleet)
    world.full_on("a")
    assert world.run(1).state == "watching"
    world.at("10s").comes_back(after=11 * MINUTE)
    world.ring(world.now + 10 * SECOND)
    assert world.run(1).state == "watching" and world.pages == []
    world.ends_on("a")
    world.ring(world.now + 5 * MINUTE)
    assert (world.run(1).outcome, world.incident(1).state, world.pages) == ("verified", "resolved", [])
    assert dump(world.replayed().state) == dump(world.engine.state)


def test_what_has_just_ended_gets_the_time_in_which_nothing_could_be_heard_once() -> None:
    world = Fleet(fleet)
    world.full_on("a", "b")
    world.incident(1).quiet = MINUTE
    world.ends_on("a")
    quiet_at = world.run(1).quiet_at
    assert world.run(1).state == "watching" and quiet_at is not None
    world.begun.clear()
    world.at("10s").comes_back(after=60 * SECOND)
    assert world.run(1).quiet_at == quiet_at + 60 * SECOND + AFTER_DEAFNESS


@pytest.mark.parametrize("by", ["an incident", "a schedule"])
def test_no_default_is_taken_for_people_who_could_not_answer(by: str) -> None:
    @playbook(
        name="asks-yes",
        answers=FULL if by == "an incident" else (),
        schedule="" if by == "an incident" else "5 3 * * *",
        trust=trust(start="ask", default="yes", within="30m"),
    )
    def asks_yes(run: Run, pump: Pump) -> None:
        run.fix(drain, pump)
        run.verify(level, pump, until=lambda now: now.full < 80, within="1m")

    world = Playground(asks_yes, rung="ask")
    if by == "an incident":
        world.fires("Full", instance="cart-1")
    else:
        world.at("5m")
    run = next(one for one in world.written.values() if one.targets == {"pump": "main"})
    due = world.run(run.number).due()
    assert world.run(run.number).state == "asking" and due == world.now + 30 * MINUTE
    world.comes_back(after=40 * MINUTE)
    world.ring(world.now)
    assert world.run(run.number).state == "asking" and world.done == []
    world.ring(due + 40 * MINUTE - SECOND)
    assert world.run(run.number).state == "asking" and world.done == []
    world.ring(due + 41 * MINUTE)
    assert "drain" in world.done
    assert dump(world.replayed().state) == dump(world.engine.state)


def test_pages_wait_for_that_no_longer_than_they_may_in_all() -> None:
    for down, page in ((11, "1260s"), (45, "2710s")):
        world = Fleet(fleet)
        stood = world.rung("fleet")
        world.full_on("a")
        world.at("10s").comes_back(after=down * MINUTE)
        world.ring(world.now)
        world.at("22m" if down == 11 else "46m")
        assert world.pages == [(page, "ana", 1)]
        if down == 45:
            assert world.run(1).state == "watching" and world.rung("fleet") == stood, "it is not its fault"


def test_one_that_was_due_during_an_upgrade_is_begun_late_too() -> None:
    @playbook(name="half-past", schedule="30 3 * * *")
    def half_past(run: Run) -> None:
        run.tell("ran")

    world = Playground(half_past)
    due = world.engine.state.standings["cart", "half-past"].next_at
    assert due is not None
    world.ring(due - 10 * SECOND)
    world.now = due - 10 * SECOND
    rows = world.tables["standings"]
    for key, (kind, row) in rows.items():  # as the version before wrote it
        rows[key] = (kind, msgspec.json.encode({k: v for k, v in msgspec.json.decode(row).items() if k != "schedule"}))
    world.comes_back(after=60 * SECOND)
    world.ring(world.now)
    assert world.outcomes == ["done"]
    standing = world.engine.state.standings["cart", "half-past"]
    assert (standing.next_at, standing.schedule) == (due + DAY, "30 3 * * * UTC")


def test_a_schedule_that_was_due_during_a_restart_is_begun_late_and_once() -> None:
    @playbook(name="half-past", schedule="30 3 * * *")
    def half_past(run: Run) -> None:
        run.tell("ran")

    for down, outcomes in ((60 * SECOND, ["done"]), (3 * DAY, ["blocked"])):
        world = Playground(half_past)
        due = world.engine.state.standings["cart", "half-past"].next_at
        assert due is not None
        world.ring(due - 10 * SECOND)
        world.now = due - 10 * SECOND
        world.comes_back(after=down)
        world.ring(world.now)
        assert world.outcomes == outcomes
        if down > HOUR:
            assert world.written[1].why == "it was due 2 d 23 h ago, when Tocsin was down"
        following = world.engine.state.standings["cart", "half-past"].next_at
        assert following is not None and world.now < following <= world.now + DAY
        assert dump(world.replayed().state) == dump(world.engine.state)


def test_a_schedule_that_is_another_one_counts_from_now() -> None:
    @playbook(name="moves", schedule="30 3 * * *")
    def moves(run: Run) -> None:
        run.tell("ran")

    world = Playground(moves)
    world.manifests = [msgspec.structs.replace(one, schedule="0 5 * * *") for one in world.manifests]
    world.put_in_force(world.text.encode() + b"# changed")
    world.at("1h")
    assert world.outcomes == []
    world.at("2h")
    assert world.outcomes == ["done"]
