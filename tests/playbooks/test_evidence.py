"""What a run's end says: no untruth, no trust without evidence, and no trouble that nobody ever hears of."""

from __future__ import annotations

import pytest

from tests.playbooks.playground import SERVICE, Playground, Pump, Run, drain, level
from tocsin.kernel.instant import DAY, MINUTE, SECOND
from tocsin.playbooks.language import Misused, at_most, breaker, cooldown, playbook, trust

FULL = ['alertname="Full"']


@playbook(name="drains-well", answers=FULL, trust=trust(start="act"))
def drains_well(run: Run, pump: Pump) -> None:
    run.fix(drain, pump)
    run.verify(level, pump, until=lambda now: now.full < 80, within="1m")


def fires(world: Playground) -> None:
    world.fires("Full", instance="cart-1")


def resolves(world: Playground) -> None:
    world.resolves("Full", instance="cart-1")


# -- the watch after a verification ------------------------------------------------------------------------------------


def test_an_old_hold_does_not_cut_the_watch_of_who_was_acknowledged_meanwhile() -> None:
    @playbook(name="slow-cure", answers=FULL, trust=trust(start="act"))
    def slow_cure(run: Run, pump: Pump) -> None:
        run.fix(drain, pump)
        world.passing(world.now + MINUTE)
        world.acknowledges(1)
        world.passing(world.now + MINUTE)
        run.verify(level, pump, until=lambda now: now.full < 80, within="1m")

    world = Playground(slow_cure)
    fires(world)
    assert world.run(1).state == "watching"
    world.at("11m59s")
    assert world.run(1).state == "watching", "its ten minutes are not over at the old hold's end"
    resolves(world)
    world.at("14m")
    assert world.run(1).outcome == "verified" and world.rung("slow-cure") == "act"
    assert "not_cleared" not in world.told(1) and world.pages == []


def test_an_acknowledgement_that_runs_out_within_the_watch_calls_nobody_before_its_end() -> None:
    @playbook(name="slow-hold", answers=FULL, trust=trust(start="act"))
    def slow_hold(run: Run, pump: Pump) -> None:
        run.fix(drain, pump)
        world.acknowledges(1, hold="3m")
        run.verify(level, pump, until=lambda now: now.full < 80, within="1m")

    world = Playground(slow_hold)
    fires(world)
    world.at("9m59s")
    assert world.pages == [] and world.run(1).state == "watching"
    world.at("10m")
    assert world.pages == [("600s", "ana", 1)] and world.run(1).outcome == "handed_over"


def test_alerts_that_ended_just_before_the_watch_did_are_not_said_to_fire() -> None:
    world = Playground(drains_well)
    fires(world)
    world.engine.state.incidents[1].quiet = MINUTE
    world.at("9m30s")
    resolves(world)
    assert world.incident(1).paused == "clearing"
    world.at("10m")
    assert world.run(1).outcome == "verified" and world.rung("drains-well") == "act"
    world.at("12m")
    assert world.incident(1).state == "resolved" and world.pages == []
    assert "not_cleared" not in world.told(1)


def test_what_fires_again_after_the_watch_calls_a_person() -> None:
    world = Playground(drains_well)
    fires(world)
    world.engine.state.incidents[1].quiet = MINUTE
    world.at("9m30s")
    resolves(world)
    world.at("10m10s")
    fires(world)
    assert world.pages == [("610s", "ana", 1)]


# -- evidence ----------------------------------------------------------------------------------------------------------


def test_resolved_by_hand_while_it_fires_is_no_evidence() -> None:
    world = Playground(drains_well)
    fires(world)
    world.at("2m")
    world.resolves_by_hand(1, snooze="1h")
    assert world.run(1).outcome == "overtaken"
    assert world.engine.state.standings["cart", "drains-well"].held == 0
    assert not any("the alerts ended" in entry.what.lower() for entry in world.timeline)


def test_resolved_by_hand_before_it_verified_is_no_evidence_either() -> None:
    @playbook(name="outrun", answers=FULL, trust=trust(start="act"))
    def outrun(run: Run, pump: Pump) -> None:
        run.fix(drain, pump)
        world.resolves_by_hand(1, snooze="1h")
        run.verify(level, pump, until=lambda now: now.full < 80, within="1m")

    world = Playground(outrun)
    fires(world)
    assert world.run(1).outcome == "overtaken"
    assert world.engine.state.standings["cart", "outrun"].held == 0


def test_who_changes_nothing_holds_no_page_and_earns_no_trust() -> None:
    @playbook(name="idle", answers=FULL, trust=trust(start="act"))
    def idle(run: Run, pump: Pump) -> None:
        run.verify(level, pump, until=lambda now: now.full > 0, within="1m")

    world = Playground(idle)
    fires(world)
    assert world.run(1).outcome == "not_needed"
    assert world.pages == [("0s", "ana", 1)]
    assert world.engine.state.standings["cart", "idle"].held == 0


# -- what comes back faster than anybody can look ----------------------------------------------------------------------


@pytest.mark.parametrize("apart", [False, True])
def test_trouble_that_flaps_faster_than_the_diagnosis_wakes_a_person(apart: bool) -> None:
    """``apart``: each time it is an incident of its own, for nothing is reopened."""

    @playbook(name=f"outflapped-{apart:d}", answers=FULL, trust=trust(start="act"))
    def outflapped(run: Run, pump: Pump) -> None:
        run.look(level, pump)
        resolves(world)
        world.passing(world.now + 90 * SECOND)
        run.fix(drain, pump)
        run.verify(level, pump, until=lambda now: now.full < 80, within="1m")

    plan = SERVICE.replace("escalation: shop\n    playbooks", "escalation: shop\n    reopen within: 1m\n    playbooks")
    world = Playground(outflapped, plan=plan if apart else SERVICE)
    for minute in range(0, 60, 10):
        world.at(f"{minute}m")
        world.deep = 0
        fires(world)
        resolves(world)
    assert world.done == []
    assert world.outcomes[:3] == ["cancelled"] * 3
    assert [page[0] for page in world.pages] == ["1800s", "2400s", "3000s"], "from the fourth time on a person hears"


def test_who_only_watches_is_not_stopped_by_trouble_that_comes_back() -> None:
    world = Playground(drains_well, rung="observe")
    for minute in range(0, 60, 10):
        world.at(f"{minute}m")
        fires(world)
        resolves(world)
    assert world.outcomes == ["observed"] * 6


# -- spans -------------------------------------------------------------------------------------------------------------


def test_spans_that_nothing_remembers_are_refused_where_they_are_written() -> None:
    for far in (
        lambda: at_most(1, per="8d"),
        lambda: at_most(1, per="0s"),
        lambda: cooldown("30d"),
        lambda: breaker(within="169h"),
        lambda: breaker(within="0s"),
    ):
        with pytest.raises(Misused, match="7 d"):
            far()
    assert at_most(1, per="7d").per == cooldown("168h").lasts == breaker(within="1w").within == 7 * DAY


@pytest.mark.parametrize("span", ["0s", "9s", "61m", "30d"])
def test_a_playbook_hands_over_within_an_hour(span: str) -> None:
    with pytest.raises(Misused, match="hand_over_after"):
        playbook(hand_over_after=span)


def test_the_bounds_themselves_are_taken() -> None:
    for span in ("10s", "1h"):

        @playbook(name=f"within-{span}", hand_over_after=span)
        def within(run: Run) -> None:
            run.tell("nothing")


