"""Browsers that show their user's pages: in virtual time with the real engine."""

from __future__ import annotations

import json

import pytest

from tests.engine.world import World, dump
from tests.support.device import Device
from tocsin.engine.commands import AddDevice, RemoveDevice, Result, SetUser
from tocsin.engine.deciding import MOST_DEVICES
from tocsin.engine.inputs import Delivered


def subscription(number: int = 1) -> str:
    """What a browser says of itself."""
    return json.dumps(Device().said(f"https://push.example/device/{number}"))


@pytest.fixture
def world() -> World:
    """Ana and Ben may sign in; the operator is nobody of the plan."""
    one = World()
    for name, person in (("ana", "ana"), ("ben", "ben"), ("operator", "")):
        assert one.asked(SetUser(actor="user:admin", name=name, role="admin", person=person)).ok
    return one


def add(world: World, user: str = "ana", text: str = "", label: str = "A phone") -> Result:
    return world.asked(AddDevice(actor=f"person:{user}", user=user, address=text or subscription(), label=label))


def paged(world: World) -> list[tuple[str, str]]:
    """Person and channel of every page, in order."""
    return [(page.person, page.channel) for page in world.engine.state.pages.values()]


def test_a_device_comes_before_everything_the_plan_says_and_the_newest_first(world: World) -> None:
    assert add(world).ok
    assert add(world, text=subscription(2)).ok
    world.answers = lambda page: "failed"
    world.fires("Down", job="checkout")
    assert paged(world)[:3] == [("ana", "push"), ("ana", "push"), ("ana", "email")]
    first, second = list(world.engine.state.pages.values())[:2]
    assert ("device/2" in first.address, "device/1" in second.address) == (True, True)


def test_a_browser_that_subscribes_again_is_one_device_with_its_newest_keys(world: World) -> None:
    add(world)
    old = world.engine.state.users_by_name["ana"].devices[0].address
    add(world, label="The same phone")
    (device,) = world.engine.state.users_by_name["ana"].devices
    assert device.label == "The same phone"
    assert device.address != old


def test_a_browser_shows_the_pages_of_whoever_signed_in_last(world: World) -> None:
    """A shared computer must not go on waking the one who left."""
    text = subscription()
    add(world, "ana", text)
    assert add(world, "ben", text).ok
    assert world.engine.state.users_by_name["ana"].devices == ()
    world.fires("Down", job="checkout")
    assert paged(world) == [("ana", "email")]


def test_what_cannot_be_a_device_is_refused(world: World) -> None:
    assert add(world, "zoe").code == "not_found"
    assert "no person of the plan" in add(world, "operator").message
    assert add(world, text="{}").field == "address"
    for number in range(MOST_DEVICES):
        assert add(world, text=subscription(number)).ok
    assert add(world, text=subscription(99)).code == "conflict"
    assert add(world, text=subscription(3)).ok, "one that is known already is no further one"


def test_a_device_that_is_removed_or_gone_or_its_user_shut_out_shows_nothing(world: World) -> None:
    one = add(world).id
    assert world.asked(RemoveDevice(actor="person:ana", user="ben", device=one)).code == "not_found"
    assert world.asked(RemoveDevice(actor="person:ana", user="ana", device=one)).ok
    assert world.asked(RemoveDevice(actor="person:ana", user="ana", device=one)).code == "not_found"
    add(world)
    world.asked(SetUser(actor="user:admin", name="ana", disabled=True))
    world.fires("Down", job="checkout")
    assert paged(world) == [("ana", "email")]
    assert dump(world.replayed().state) == dump(world.engine.state)


def test_a_device_its_push_service_knows_no_more_is_let_go_and_the_mail_goes_out(world: World) -> None:
    add(world)
    world.answers = lambda page: "never"
    world.fires("Down", job="checkout")
    world.apply(Delivered(1, "failed", "gone", "gone: the device is gone"))
    assert paged(world) == [("ana", "push"), ("ana", "email")]
    assert world.engine.state.users_by_name["ana"].devices == ()


def test_devices_survive_a_restart(world: World) -> None:
    add(world)
    before = dump(world.engine.state)["users"]
    assert dump(world.restarted().engine.state)["users"] == before
