"""What is watched by another rule, after a start too; and what a plan left out for a moment that was put off."""

from __future__ import annotations

import pytest

from tests.engine.test_left_out import NIGHTLY, WITHOUT, alike, beating, fires, force
from tests.engine.test_stories import _ping
from tests.engine.world import PLAN, World
from tocsin.engine.commands import Acknowledge, CreateKey

EVERY = b"{every: 10m, grace: 5m}"
GRACIOUS = PLAN.replace(EVERY, b"{every: 10m, grace: 6m}")
HOURLY = PLAN.replace(EVERY, b"{every: 1h, grace: 5m}")
DAILY = PLAN.replace(EVERY, b"{every: 1d, grace: 5m}")


def changes(world: World, plan: bytes, how: str, down: str = "2s") -> World:
    """The plan is another one from now on. A ``start`` judges by it from the first moment, and knows no other."""
    if how == "reload":
        force(world, plan)
        return world
    return world.restarted(down, plan=plan)


@pytest.mark.parametrize("how", ["reload", "start"])
def test_one_that_must_come_later_by_the_new_rule_is_not_missed_by_the_old(how: str):
    world, _ = beating()
    changes(world.at("5m"), HOURLY, how).at("64m59s")
    assert world.pages == []
    alike(world)
    assert world.at("71m").pages[0][1:] == ("ana", 1), "but by the new one it is"


@pytest.mark.parametrize("how", ["reload", "start"])
def test_one_that_must_come_sooner_by_the_new_rule_is_missed_by_that(how: str):
    world, key = beating()
    force(world, DAILY)
    world.apply(_ping(world, key, ""))
    changes(world.at("5m"), PLAN, how).at("21m")
    assert world.pages[0][1:] == ("ana", 1)
    alike(world)


@pytest.mark.parametrize("how", ["reload", "start"])
def test_one_whose_rule_is_another_keeps_what_it_was_given_for_a_time_in_which_nothing_could_be_heard(how: str):
    world, _ = beating()
    world.at("1m")
    if how == "reload":
        world.restarted("30m").at("33m")
    changes(world, GRACIOUS, how, "30m").at("50m59s")
    assert world.pages == []
    alike(world)
    assert world.at("52m").pages == [("3060s", "ana", 1)]


@pytest.mark.parametrize("how", ["reload", "start"])
def test_what_fires_already_counts_as_a_heartbeat_by_its_new_matchers(how: str):
    world = World().fires("Watchdog").fires("Alive").at("1m")
    changes(world, PLAN.replace(b"Watchdog", b"Alive"), how)
    for minute in range(2, 16):
        world.at(f"{minute}m").fires("Alive")
    assert fires(world) == ["Watchdog fires", "Alive fires"], "its absence does not"
    assert [one.title for one in world.engine.state.incidents.values() if one.open] == ["Watchdog fires"]
    alike(world)


def test_what_is_said_of_its_absence_moves_no_time():
    world, _ = beating()
    world.at("9m").put_in_force(WITHOUT)
    world.at("11m").put_in_force(PLAN)  # what was expected meanwhile may have been refused
    world.at("12m").put_in_force(PLAN.replace(EVERY, b"{every: 10m, grace: 5m, title: No backup}"))
    assert world.at("25m59s").pages == []


def test_rows_of_an_older_version_have_the_rule_of_the_plan_in_force():
    world, _ = beating()
    world.engine.state.heartbeats["orders", "nightly"].rule = ""
    due = world.engine.state.heartbeats["orders", "nightly"].due
    changes(world.at("5m"), HOURLY, "reload")
    heart = world.engine.state.heartbeats["orders", "nightly"]
    assert (heart.due, heart.rule) == (due, "3600000000  UTC 300000000")


def test_what_a_person_put_off_is_put_off_still_after_a_plan_left_it_out_for_a_moment():
    world, _ = beating()
    world.at("16m")
    assert world.resolves_by_hand(1, "8h").ok
    world.at("20m")
    force(world, WITHOUT)
    world.at("20m30s")
    force(world, PLAN)
    world.at("8h")
    assert world.pages == [("900s", "ana", 1)]
    incident = world.incident(1)
    assert incident.snoozed is not None and incident.snoozed_until is not None and not incident.open
    alike(world)
    world.at("8h17m")
    assert world.pages[-1] == ("29760s", "ana", 1), "it is missing still when that ends"


def test_what_was_put_off_and_leaves_the_plan_is_put_off_no_more_a_minute_later():
    world, _ = beating()
    world.at("16m")
    assert world.resolves_by_hand(1, "8h").ok
    world.at("20m")
    force(world, WITHOUT)
    assert world.incident(1).snoozed is not None
    world.at("22m")
    assert world.incident(1).snoozed is None
    force(world, PLAN)
    assert world.pages[-1] == ("1320s", "ana", 1)


def test_a_failure_that_was_told_while_it_was_left_out_is_told_with_its_own_words():
    world, key = beating()
    world.at("1m").put_in_force(WITHOUT)
    world.at("2m").apply(_ping(world, key, "/3"))
    world.at("3m").put_in_force(PLAN)
    assert "nightly of orders reported a failure with exit code 3" in fires(world)


def test_one_that_is_missing_is_not_taken_for_the_trouble_that_nobody_had_defined_it():
    """That is another one, which somebody has."""
    world, key = beating()
    world.at("1m").put_in_force(WITHOUT)
    world.at("2m").apply(_ping(world, key, ""))
    assert world.pages == [("120s", "ana", 1)]
    assert world.acknowledges(1, "4h").ok
    world.at("3m").put_in_force(PLAN.replace(NIGHTLY, b"      nightly: {every: 10m, grace: 5m, severity: warning}\n"))
    world.at("18m")
    assert world.pages[-1] == ("1020s", "ana", 2)
    assert world.incident(2).title.startswith("nightly of orders gives no sign of life")


def test_an_incident_that_went_on_with_what_is_graver_ends_as_any_when_that_ends():
    mild = b"      nightly: {every: 10m, grace: 5m, severity: warning}\n"
    plan = PLAN.replace(NIGHTLY, mild + b"      export: {every: 10m, grace: 310s}\n")
    world = World(plan)
    for key, name in enumerate(("nightly", "export"), 1):
        world.asked(CreateKey(hash=name.encode(), hint="h", source="heartbeat", service="orders", heartbeat=name))
        world.apply(_ping(world, key, ""))
    world.at("901s").asked(Acknowledge(incident=1, actor="user:ops"))
    force(world, plan.replace(mild, b""))
    assert world.incident(1).ends_for is not None
    world.at("20m")
    assert (world.incident(1).state, world.incident(1).alerts) == ("triggered", 2)
    world.apply(_ping(world, 2, ""))
    assert (world.incident(1).state, str(world.incident(1).reason)) == ("resolved", "all_clear")
