"""A refusal takes a contact method out of use only when it speaks of the person's own address, and not for ever: what
was refused under another set-up of its channel is asked once more.
"""

from __future__ import annotations

import pytest

from tests.engine.world import World, dump
from tocsin.engine.commands import MarkContact

LIA, MAIL = "+34600000001", "lia@shop.example"
PLAN = b"""
tocsin: 1
people: {lia: {name: Lia}}
mail: {server: smtp://localhost:25, from: tocsin@shop.example}
channels: {twilio: {account: AC0123, token: secret:twilio, from: "+34910000000"}}
last resort: lia
escalations: {shop: [{page: lia, wait: 10m}]}
services: {checkout: {escalation: shop}, search: {escalation: shop}}
"""
OTHER_NUMBER = PLAN.replace(b"+34910000000", b"+34910000001")
OTHER_MAIL = PLAN.replace(b"localhost:25", b"localhost:26")


@pytest.fixture
def world() -> World:
    """Lia can be called and mailed."""
    world = World(PLAN)
    world.has("lia", LIA, channel="call")
    world.has("lia", MAIL, channel="email")
    world.at("20m").left.clear()
    return world


def refuses(world: World, code: str) -> None:
    """A call for an incident is refused for good, with that code."""
    world.answers = lambda page: f"failed {code}" if page.channel == "call" and page.kind == "page" else "sent"
    world.fires("Down", service="checkout")
    world.acknowledges(1)
    world.answers = lambda page: "sent"
    world.left.clear()


def called(world: World) -> bool:
    """Whether Lia is called first for what comes now."""
    world.fires("Another", service="search")
    return next(address for _, _, address, kind in world.left if kind == "page") == LIA


@pytest.mark.parametrize("code", ["client", "refused_address", "auth", "server", "tls", "no_channel"])
def test_what_is_the_accounts_fault_takes_no_telephone_out_of_use(world: World, code: str):
    refuses(world, code)
    assert not any(one.failed_at for one in world.engine.state.contacts.values())
    assert called(world.at("3h"))


def test_a_number_that_is_refused_is_left_alone_until_its_channel_is_set_up_otherwise(world: World):
    refuses(world, "address")
    world.put_in_force(OTHER_MAIL)
    assert not called(world.at("1h")), "mail is another channel"
    world.acknowledges(2)
    world.put_in_force(OTHER_NUMBER)
    world.left.clear()
    world.fires("Third", service="search").at("4h")
    assert world.left[0][2] == LIA
    assert dump(world.replayed().state) == dump(world.engine.state)


def test_it_is_asked_once_more_not_again_and_again(world: World):
    refuses(world, "address")
    world.put_in_force(OTHER_NUMBER)
    world.answers = lambda page: "failed address" if page.channel == "call" else "sent"
    world.fires("Another", service="search").at("2h")
    world.acknowledges(2)
    world.put_in_force(OTHER_NUMBER)
    world.left.clear()
    world.fires("Third", service="search").at("4h")
    assert LIA not in [address for _, _, address, kind in world.left if kind == "page"]


def test_a_plan_that_changed_while_tocsin_was_down_counts_too(world: World):
    refuses(world, "address")
    world.restarted(plan=PLAN)
    assert [one.state for one in world.engine.state.contacts.values() if one.channel == "call"] == ["failing"]
    world.restarted(plan=OTHER_NUMBER)
    assert called(world.at("3h"))


def test_what_its_owner_calls_failing_is_left_so(world: World):
    (call,) = [one for one in world.engine.state.contacts.values() if one.channel == "call"]
    world.asked(MarkContact(actor="person:lia", contact=call.id, why="the telephone was stolen"))
    world.put_in_force(OTHER_NUMBER)
    assert not called(world)


def test_what_an_older_version_marked_for_any_refusal_is_asked_once_more(world: World):
    refuses(world, "address")
    (call,) = [one for one in world.engine.state.contacts.values() if one.channel == "call"]
    call.failure, call.refused_under = "client: Twilio answered 400: 'From' is not verified (21210)", ""
    world.engine.state.counters.completed = 0
    world.put_in_force(PLAN)
    assert called(world.at("3h"))


@pytest.mark.parametrize("why", ["client: the telephone was stolen", "refused_address: the telephone was stolen"])
def test_what_its_owner_calls_failing_is_left_so_whatever_words_they_use(world: World, why: str):
    (call,) = [one for one in world.engine.state.contacts.values() if one.channel == "call"]
    assert world.asked(MarkContact(actor="person:lia", contact=call.id, why=why)).ok
    world.restarted()
    assert call.failure == why and world.engine.state.contacts[call.id].state == "failing"


def test_a_page_that_is_tried_again_keeps_when_it_was_tried_last(world: World) -> None:
    world.answers = lambda page: "retry" if page.channel == "call" else "sent"
    world.fires("Down", service="checkout")
    (row,) = [page for page in world.rows(1, "lia") if page.channel == "call"]
    first = row.tried_at
    assert first is not None and row.handed_at is None and row.last_tried_at == first
    world.at("22m")
    assert row.attempts > 1 and row.tried_at == first
    assert first < row.last_tried_at <= world.now
    world.acknowledges(1)
    last = row.last_tried_at
    assert row.state == "overtaken" and last == row.last_tried_at
