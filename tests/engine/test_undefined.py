"""A sign of life that the plan does not define: told, and over by itself once it is defined or comes no more."""

from __future__ import annotations

import pytest

from tests.engine.test_left_out import WITHOUT, alike, beating
from tests.engine.test_stories import _ping
from tests.engine.world import PLAN, World
from tocsin.engine.commands import CreateKey, DeclareKeys
from tocsin.engine.inputs import Received
from tocsin.intake.request import Request
from tocsin.kernel.instant import MINUTE, SECOND

TITLE = "A heartbeat came for orders that the plan does not define"


def undefined(name: str = "nightly") -> tuple[World, int]:
    """A job gives a sign of life that the plan does not define."""
    world = World(PLAN.replace(b"nightly:", name.encode() + b":"))
    key = int(world.asked(CreateKey(hash=b"h", hint="h", source="heartbeat", service="orders", heartbeat=name)).id)
    world.put_in_force(WITHOUT)
    world.apply(_ping(world, key, ""))
    assert world.incident(1).title == TITLE
    return world, key


def said(world: World) -> list[str]:
    return [f"{entry.reason} {entry.what}" for entry in world.timeline if entry.incident == 1]


@pytest.mark.parametrize("how", ["reload", "start"])
def test_it_ends_when_the_plan_defines_it(how: str):
    world, key = undefined()
    world.at("3m")
    world.put_in_force(PLAN) if how == "reload" else world.restarted(plan=PLAN)
    assert world.incident(1).state == "resolved"
    assert "plan_changed The plan defines the heartbeat orders/nightly now" in said(world)
    alike(world)
    world.apply(_ping(world, key, ""))
    assert world.engine.state.heartbeats["orders", "nightly"].state == "up"
    assert world.at("5m").pages == [("0s", "ana", 1)]


def test_another_heartbeat_ends_nothing():
    world, _ = undefined("nihgtly")
    world.at("3m").put_in_force(PLAN)
    assert world.incident(1).open
    alike(world)


def test_a_name_that_the_plan_gives_its_key_ends_it():
    world = World()
    world.asked(DeclareKeys(keys=((b"k" * 32, "kkkk", "heartbeat", "orders", "nihgtly"),)))
    world.apply(_ping(world, 1, ""))
    assert world.incident(1).open
    world.at("1m").asked(DeclareKeys(keys=((b"k" * 32, "kkkk", "heartbeat", "orders", "nightly"),)))
    assert not world.incident(1).open
    assert "plan_changed Its key is of the heartbeat orders/nightly now" in said(world)
    alike(world)


def test_of_a_service_that_the_plan_did_not_have_it_ends_when_the_plan_has_it():
    other = PLAN.replace(b"  orders:\n", b"  stock:\n")
    world = World(other)
    key = int(world.asked(CreateKey(hash=b"h", hint="h", source="heartbeat", service="stock", heartbeat="nightly")).id)
    world.put_in_force(PLAN)
    world.apply(Received(key, "stock", world.now, Request(source="heartbeat", method="GET", path="/")))
    assert world.incident(1).title == "A heartbeat came for stock that the plan does not define"
    world.put_in_force(other)
    assert not world.incident(1).open
    alike(world)


def test_it_ends_when_none_came_for_a_day():
    world, key = undefined()
    world.at("20h").apply(_ping(world, key, ""))
    assert world.at("44h59m").incident(1).open, "a job of each night is not that punctual"
    world.at("45h1m")
    assert world.incident(1).state == "resolved"
    assert f"expired Not heard again for 1 d 1 h: {TITLE}" in said(world)
    alike(world)


def test_a_day_in_which_nothing_could_be_heard_is_none():
    world, key = undefined()
    world.at("1h").restarted("26h")
    assert world.incident(1).open
    world.apply(_ping(world, key, ""))
    assert world.at("28h").incident(1).open
    alike(world)


def test_what_the_plan_left_out_a_moment_ago_is_heard_and_nobody_is_told():
    """A checkout in two steps, or a reload that has yet to give a key its new name."""
    world, key = beating()
    world.at("9m").put_in_force(WITHOUT)
    world.at("9m30s").apply(_ping(world, key, ""))
    assert not world.engine.state.incidents
    world.at("9m40s").put_in_force(PLAN)
    heart = world.engine.state.heartbeats["orders", "nightly"]
    assert (heart.state, heart.beats, heart.due) == ("up", 2, world.now + 14 * MINUTE + 50 * SECOND)
    world.at("12m").put_in_force(WITHOUT)
    world.at("13m1s").apply(_ping(world, key, ""))
    assert world.incident(1).title == TITLE
    alike(world)


@pytest.mark.parametrize("how", ["defined", "no more"])
def test_one_that_a_silence_kept_from_any_incident_ends_without_a_line_on_none(how: str):
    world = World()
    key = int(world.asked(CreateKey(hash=b"h", hint="h", source="heartbeat", service="orders", heartbeat="nightly")).id)
    world.put_in_force(WITHOUT)
    world.silences('service="orders"', for_="40h")
    world.apply(_ping(world, key, ""))
    world.at("3m").put_in_force(PLAN) if how == "defined" else world.at("26h")
    assert not world.engine.state.incidents and not world.timeline
    assert not any(alert.firing for alert in world.engine.state.alerts.values())
    alike(world)
