"""What a snooze is of (decision 115): alerts that fired when a person resolved their incident, and nothing else."""

from __future__ import annotations

from tests.engine.world import World
from tocsin.engine.inputs import Seen
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
