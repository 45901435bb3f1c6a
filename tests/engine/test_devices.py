"""Browsers that show their person's pages, as contact methods: in virtual time with the real engine."""

from __future__ import annotations

import json

import pytest

from tests.engine.world import PLAN, World, dump
from tests.support.device import Device
from tocsin.engine.commands import AddContact, RemoveContact, Result, SetUser
from tocsin.engine.inputs import Delivered
from tocsin.pages.contacts import MOST_CONTACTS, Contact


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


def add(world: World, person: str = "ana", text: str = "", label: str = "A phone", actor: str = "") -> Result:
    return world.asked(
        AddContact(
            actor=actor or f"person:{person}",
            person=person,
            channel="push",
            address=text or subscription(),
            label=label,
        )
    )


def devices(world: World, person: str = "ana") -> list[Contact]:
    return [one for one in world.engine.state.contacts_by(person) if one.channel == "push"]


def paged(world: World) -> list[tuple[str, str]]:
    """Person and channel of every page, in order."""
    return [(page.person, page.channel) for page in world.engine.state.pages.values()]


def test_a_device_is_proven_by_its_subscription_and_used_before_the_mail(world: World) -> None:
    assert add(world).ok
    (device,) = devices(world)
    assert (device.state, device.label, device.declared) == ("verified", "A phone", False)
    world.fires("Down", job="checkout")
    assert paged(world) == [("ana", "push"), ("ana", "email")]
    first, second = world.engine.state.pages.values()
    assert (first.state, second.held) == ("sent", "next_method")


def test_a_browser_that_subscribes_again_is_one_device_with_its_newest_keys(world: World) -> None:
    add(world)
    (old,) = [one.address for one in devices(world)]
    add(world, label="The same phone")
    (device,) = devices(world)
    assert device.label == "The same phone"
    assert device.address != old


def test_a_browser_shows_the_pages_of_whoever_signed_in_last(world: World) -> None:
    """A shared computer must not go on waking the one who left."""
    text = subscription()
    add(world, "ana", text)
    assert add(world, "ben", text).ok
    assert devices(world) == []
    world.fires("Down", job="checkout")
    assert paged(world) == [("ana", "email")]


def test_what_cannot_be_a_device_is_refused(world: World) -> None:
    assert add(world, "zoe").field == "person"
    assert "from its own browser" in add(world, actor="user:operator").message, "an admin cannot hear others' pages"
    assert add(world, text="{}").field == "address"
    for number in range(MOST_CONTACTS - len(world.engine.state.contacts_by("ana"))):
        assert add(world, text=subscription(number)).ok
    assert add(world, text=subscription(99)).code == "conflict"
    assert add(world, text=subscription(3)).ok, "one that is known already is no further one"


def test_a_device_that_is_removed_or_its_user_shut_out_shows_nothing(world: World) -> None:
    one = int(add(world).id)
    assert world.asked(RemoveContact(actor="person:ana", contact=one)).ok
    assert world.asked(RemoveContact(actor="person:ana", contact=one)).code == "not_found"
    add(world)
    world.asked(SetUser(actor="user:admin", name="ana", disabled=True))
    assert devices(world) == []
    world.fires("Down", job="checkout")
    pages = [one for one in world.told_pages if one.kind == "page"]
    assert [(one.person, one.channel) for one in pages] == [("ana", "email")]
    assert dump(world.replayed().state) == dump(world.engine.state)


def test_a_device_its_push_service_knows_no_more_is_let_go_and_the_mail_goes_out(world: World) -> None:
    add(world)
    world.answers = lambda page: "never"
    world.fires("Down", job="checkout")
    page = next(iter(world.engine.state.pages))
    world.apply(Delivered(page, "failed", "gone", "gone: the device is gone"))
    mail = next(one for one in world.engine.state.pages.values() if one.channel == "email" and one.kind == "page")
    assert mail.handed_at == world.now
    assert devices(world) == []


def test_devices_survive_a_restart(world: World) -> None:
    add(world)
    before = dump(world.engine.state)["contacts"]
    assert dump(world.restarted().engine.state)["contacts"] == before


@pytest.mark.parametrize("host", ["127.0.0.1:9443", "localhost", "127.1", "[::1]", "169.254.169.254", "a.localhost"])
def test_a_device_whose_push_service_is_on_tocsins_own_machine_is_refused(world: World, host: str) -> None:
    said = json.dumps(Device().said(f"https://{host}/device/1"))
    refused = add(world, text=said)
    assert (refused.ok, refused.code, refused.field) == (False, "invalid", "address")
    assert "machine Tocsin runs on" in refused.message or "nothing is ever sent" in refused.message
    assert devices(world) == []


def test_the_plan_can_allow_one_push_service_there(world: World) -> None:
    allowed = b"channels: {push: {service: 'https://127.0.0.1:9443'}}\n"
    world.put_in_force(PLAN + allowed)
    assert not add(world, text=json.dumps(Device().said("https://127.0.0.1:9444/device/1"))).ok
    assert not add(world, text=json.dumps(Device().said("https://127.0.0.1:94430/device/1"))).ok
    assert add(world, text=json.dumps(Device().said("https://127.0.0.1:9443/device/1"))).ok


def test_a_page_that_waits_for_a_browser_goes_by_what_that_subscribed_to_anew(world: World) -> None:
    assert add(world).ok
    world.answers = lambda page: "retry" if page.channel == "push" else "sent"
    world.fires("Down", job="checkout")
    anew = subscription()
    assert add(world, text=anew).ok
    world.answers = lambda page: "sent"
    world.left.clear()
    world.at("10s")
    (device,) = devices(world)
    assert [(person, address) for _, person, address, _ in world.left] == [("ana", device.address)]
