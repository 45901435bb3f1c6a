"""What a snooze is of (decision 115): alerts that fired when a person resolved their incident, and nothing else."""

from __future__ import annotations

from tests.engine.test_conditions import TIERED, paged
from tests.engine.world import PLAN, World, dump
from tocsin.engine.inputs import Seen
from tocsin.engine.state import State
from tocsin.runtime.seen import bitmap


def _two_put_off() -> World:
    """Two machines in one incident, resolved after a minute while both fire."""
    world = World().fires("Down", job="checkout", instance="a").fires("Down", job="checkout", instance="b").at("1m")
    world.resolves_by_hand(1)
    return world


def test_one_of_several_that_were_put_off_may_end_and_fire_again_while_another_fires_on():
    world = _two_put_off().at("2m").resolves("Down", job="checkout", instance="a")
    world.at("3m").fires("Down", job="checkout", instance="a").at("60m")
    assert (world.pages, world.told(1)[-1]) == ([("0s", "ana", 1)], "snoozed")
    world.at("61m")
    assert world.pages[1:] == [("3660s", "ana", 1)] and world.told(1)[-2:] == ["snooze_ended", "step_due"]


def test_one_that_was_put_off_and_fires_again_while_silenced_is_put_off_when_the_silence_ends():
    world = _two_put_off().at("2m").resolves("Down", job="checkout", instance="a")
    world.silences('instance="a"', for_="10m")
    world.at("3m").fires("Down", job="checkout", instance="a").at("60m")
    assert [page for page in world.pages if page[2]] == [("0s", "ana", 1)]
    world.at("61m")
    assert world.pages[-1] == ("3660s", "ana", 1)


def test_one_that_had_ended_before_its_incident_was_resolved_is_not_put_off_with_the_others():
    world = World().fires("Down", job="checkout", instance="a").fires("Down", job="checkout", instance="b").at("1m")
    world.resolves("Down", job="checkout", instance="a").at("2m").resolves_by_hand(1)
    world.at("3m").fires("Down", job="checkout", instance="a")
    assert world.pages[1:] == [("180s", "ana", 1)] and world.told(1)[-2:] == ["reopened", "step_due"]


def test_one_that_was_put_off_and_is_away_for_long_is_new_when_it_fires():
    world = _two_put_off().at("2m").resolves("Down", job="checkout", instance="a")
    world.at("17m").fires("Down", job="checkout", instance="a")
    assert world.pages[1:] == [("1020s", "ana", 1)]


def test_a_repetition_that_comes_when_all_that_was_put_off_has_ended_opens_it_again():
    world = World().fires("Down", job="checkout", instance="a").at("1m")
    world.resolves_by_hand(1)
    (alert,) = world.engine.state.alerts
    world.at("2m").resolves("Down", job="checkout", instance="a").at("3m")
    world.apply(Seen(alert, ((world.now, bitmap(alert, {alert})),)))
    assert world.engine.state.alerts[alert].firing
    assert world.pages[1:] == [("180s", "ana", 1)]


LOW = PLAN.replace(b"checkout: {escalation: shop,", b"checkout: {urgency: {sev3: low}, escalation: shop,")


def alike(world: World) -> None:
    """Replay, and a start from the rows, come to what there is."""
    assert dump(world.replayed().state) == dump(world.engine.state)
    assert dump(State(world.loaded())) == dump(world.engine.state)


def test_a_newcomer_of_low_urgency_wakes_nobody_and_has_nothing_grave_wait_for_the_morning():
    """What was put off counts again when its snooze ends: as grave, as urgent and of as high a customer as it is."""
    world = World(LOW).fires("Down", job="checkout", instance="a").at("1m")
    world.resolves_by_hand(1, "1h")
    world.at("10m").fires("Down", job="checkout", instance="b", severity="warning").at("60m")
    assert (world.pages, world.incident(1).waits) == ([("0s", "ana", 1)], "quiet_hours")
    world.restarted().at("61m")
    assert (world.pages[1:], world.incident(1).urgency) == ([("3660s", "ana", 1)], "high")
    alike(world)


def test_a_newcomer_ends_no_snooze_of_a_higher_customer():
    world = World(TIERED).fires("Down", service="two", plan="gold", instance="a").at("1m")
    world.resolves_by_hand(1, "30m")
    world.at("2m").fires("Down", service="two", plan="silver", instance="b")
    assert (paged(world)[1:], world.incident(1).customer_tier) == ([("120s", "kei")], "silver")
    world.at("30m")
    assert world.incident(1).customer_tier == "silver"
    world.at("31m")
    assert (paged(world)[-1], world.incident(1).customer_tier) == (("1860s", "ben"), "gold")
    alike(world)
