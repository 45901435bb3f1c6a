"""Synthetic pages in virtual time: each channel pages itself on a timetable, and who is told when one is not back."""

from __future__ import annotations

import pytest

from tests.engine.world import PLAN, World, dump
from tocsin.engine.inputs import Delivered, Receipted
from tocsin.kernel.instant import MINUTE
from tocsin.pages.ledger import Page
from tocsin.pages.loops import Loop, mark, marks
from tocsin.pages.rules import Way

LOOPED = PLAN + b"""
synthetic page:
  every: 1h
  within: 5m
  service: checkout
  webhook: https://tocsin.shop.example/loopback
  email: loop@shop.example
"""
HOOK = "https://push.example/ana"


def back(world: World, channel: str) -> None:
    """The newest synthetic page of a channel comes back."""
    world.apply(Receipted(loop(world, channel).page, "delivered"))


def loop(world: World, channel: str) -> Loop:
    return world.engine.state.counters.loops[channel]


def sent(world: World, channel: str) -> list[str]:
    """When synthetic pages left by a channel."""
    address = {"webhook": "https://tocsin.shop.example/loopback", "email": "loop@shop.example"}[channel]
    return [at for at, _, to, kind in world.left if kind == "synthetic" and to == address]


def test_one_leaves_by_each_channel_at_once_and_then_by_the_timetable():
    world = World(LOOPED).at("0s")
    back(world, "webhook")
    back(world, "email")
    world.at("1h30m")
    assert sent(world, "webhook") == sent(world, "email") == ["0s", "3600s"]


def test_how_long_it_took_is_known_and_the_ledger_says_that_it_came_back():
    world = World(LOOPED).at("0s")
    world.at("2s")
    back(world, "email")
    one = loop(world, "email")
    assert (one.state, one.took, one.due_at) == ("back", 2_000_000, None)
    page = world.tables["pages"][one.page][1]
    assert b'"delivered_at"' in page and b'"kind":"synthetic"' in page


def test_one_that_does_not_come_back_opens_an_incident_that_pages_by_another_channel_first():
    """Ana's own hook is the most direct, but hooks are what lost the page: her mail is used at once, the hook after."""
    world = World(LOOPED).at("0s")
    world.has("ana", HOOK)
    back(world, "email")
    world.left.clear()
    world.at("7m")
    assert world.incident(1).title == "The synthetic page by webhook did not come back within 5 min"
    ana = [(at, to) for at, who, to, kind in world.left if kind == "page" and who == "ana"]
    assert ana == [("300s", "ana@shop.example"), ("420s", HOOK)]
    assert loop(world, "webhook").state == "missing"


def test_a_method_that_no_rule_names_is_used_when_all_that_are_named_lose_pages():
    world = World(LOOPED).at("0s")
    (hook,) = world.has("ana", HOOK)
    world.rules("ana", high=(Way(hook, 0),))
    back(world, "email")
    world.left.clear()
    world.at("6m")
    assert [to for _, who, to, kind in world.left if who == "ana" and kind == "page"] == ["ana@shop.example"]


def test_an_incident_about_something_else_is_paged_as_ever():
    world = World(LOOPED).at("0s")
    world.has("ana", HOOK)
    back(world, "email")
    world.at("6m").left.clear()
    world.fires("Down", job="search")
    assert [to for _, who, to, kind in world.left if kind == "page"] == [HOOK]


def test_it_is_over_when_one_comes_back_be_it_late():
    world = World(LOOPED).at("0s")
    back(world, "email")
    world.at("6m")
    assert world.incident(1).open
    back(world, "webhook")
    assert not world.incident(1).open
    assert (loop(world, "webhook").state, loop(world, "webhook").took) == ("back", 360_000_000)
    world.at("1h10m")
    assert world.incident(2).open, "the next one is missing again"


def test_a_channel_that_refuses_it_for_good_is_not_waited_for():
    world = World(LOOPED.replace(b"every: 1h", b"every: 10m"))
    world.answers = lambda page: "failed address" if page.channel == "webhook" and page.kind == "synthetic" else "sent"
    world.at("10m")
    assert world.incident(1).title.startswith("The synthetic page by webhook could not be sent: 550")
    assert world.clock == "600s"


PACED = LOOPED.replace(b"every: 1h", b"every: 10m")


def queued(page: Page) -> str:
    """What channels say at once: nothing of synthetic pages, which wait in line for their turn."""
    return "never" if page.kind == "synthetic" else "sent"


def test_one_that_still_stands_in_line_is_not_missing_and_has_its_time_from_when_it_leaves():
    """The plan sends one a second and four hundred wait: that says nothing about the channel."""
    world = World(PACED)
    world.answers = queued
    world.at("0s")
    hook, mail = loop(world, "webhook").page, loop(world, "email").page
    world.at("12m")
    assert world.engine.state.incidents == {}
    assert sent(world, "webhook") == sent(world, "email") == ["0s"], "no other joins it in line"
    world.apply(Delivered(hook, "sent"))
    world.apply(Delivered(mail, "sent"))
    world.at("13m")
    back(world, "email")
    assert loop(world, "email").state == "back"
    world.at("16m59s")
    assert world.engine.state.incidents == {}
    assert sent(world, "webhook") == ["0s"]
    world.at("17m")
    assert world.incident(1).title == "The synthetic page by webhook did not come back within 5 min"
    assert dump(world.engine.state)["counters"]["loops"] == dump(world.replayed().state)["counters"]["loops"]


def test_one_that_cannot_leave_for_an_hour_is_told():
    world = World(PACED)
    world.answers = queued
    world.at("59m59s")
    assert world.engine.state.incidents == {}
    world.at("1h")
    assert {one.title for one in world.engine.state.alerts.values()} == {
        f"The synthetic page by {channel} did not leave within 1 h: too much waits before it"
        for channel in ("webhook", "email")
    }
    assert sent(world, "webhook") == ["0s", "3600s"]


def test_one_that_was_tried_in_vain_is_missing_after_its_time_though_it_waits_again():
    """The channel was come to, and did not take it: that is no line of ours any more. Why is said."""
    world = World(LOOPED)
    world.answers = queued
    world.at("1m")
    back(world, "email")
    asked = "rate_limit: not tried: the provider asked webhook to wait, for 9 min yet"
    world.apply(Delivered(loop(world, "webhook").page, "retry", "rate_limit", asked, retry_after=9 * MINUTE))
    world.at("5m59s")
    assert world.engine.state.incidents == {}
    world.at("6m")
    assert world.incident(1).title == f"The synthetic page by webhook did not come back within 5 min: {asked}"


def test_what_comes_back_twice_or_after_the_next_one_left_changes_nothing():
    world = World(LOOPED).at("0s")
    first = loop(world, "webhook").page
    back(world, "webhook")
    back(world, "email")
    before = dump(world.engine.state)["counters"]["loops"]
    world.at("1m").apply(Receipted(first, "delivered"))
    assert dump(world.engine.state)["counters"]["loops"] == before
    world.at("1h1m").apply(Receipted(first, "delivered"))
    assert loop(world, "webhook").due_at is not None, "an old one says nothing of the new one"


def test_a_restart_loses_no_loop_and_a_page_that_may_have_come_meanwhile_is_no_alarm():
    """It came back while nobody heard: at its end another one is sent, and only that one's absence is told."""
    world = World(LOOPED).at("0s")
    back(world, "email")
    world.at("1m").restarted("10m").at("16m")
    assert world.engine.state.incidents == {}
    world.at("30m")
    assert world.incident(1).title.startswith("The synthetic page")
    assert dump(world.engine.state)["counters"]["loops"] == dump(world.replayed().state)["counters"]["loops"]


@pytest.mark.parametrize("paging", [True, False])
def test_it_leaves_also_where_nobody_is_paged(paging: bool):
    world = World(LOOPED, paging=paging).at("0s")
    assert sent(world, "email") == ["0s"]


def test_a_plan_without_it_ends_it_and_its_alarm():
    world = World(LOOPED).at("0s")
    back(world, "email")
    world.at("6m").put_in_force(PLAN)
    assert not world.incident(1).open
    assert world.engine.state.counters.loops == {}
    world.left.clear()
    assert sent(world.at("3h"), "webhook") == []


def test_another_address_is_tried_at_once():
    world = World(LOOPED).at("0s")
    back(world, "webhook")
    world.at("10m").put_in_force(LOOPED.replace(b"https://tocsin.shop", b"https://other.shop"))
    world.at("10m")
    assert [to for at, _, to, _ in world.left if at == "600s" and "loopback" in to] == ["https://other.shop.example/loopback"]


def test_one_that_is_still_tried_when_the_next_is_due_gives_way_to_it():
    world = World(LOOPED.replace(b"every: 1h", b"every: 10m"))
    world.answers = lambda page: "retry" if page.kind == "synthetic" else "sent"
    world.at("25m")
    rows = [page for page in world.engine.state.pages.values() if page.kind == "synthetic" and page.state == "intended"]
    assert len(rows) == 2, "one for each channel"


def test_a_mark_is_found_in_anything_and_a_forged_one_is_not():
    key = b"k" * 32
    text = b"Message-ID: <" + mark(key, 17).encode() + b"@shop.example>\r\n\r\ntocsin-loop-18-" + b"A" * 22
    assert list(marks(key, text)) == [17]
    assert list(marks(b"another key", text)) == []
    assert list(marks(key, mark(key, 17).replace("-17-", "-017-").encode())) == []


def test_a_service_that_changes_while_one_is_missing_leaves_no_alert_behind():
    world = World(LOOPED).at("0s")
    back(world, "email")
    world.at("6m")
    assert world.incident(1).open
    world.put_in_force(LOOPED.replace(b"service: checkout", b"service: search"))
    world.at("1h1m")
    back(world, "email")
    world.at("1h6m")
    firing = [(one.service, one.firing) for one in world.engine.state.alerts.values()]
    assert firing == [("checkout", False), ("search", True)]
    assert not world.incident(1).open
    back(world, "webhook")
    assert not any(one.firing for one in world.engine.state.alerts.values())


def test_a_service_that_goes_and_comes_back_is_one_incident_for_each():
    world = World(LOOPED).at("0s")
    back(world, "email")
    world.at("6m").put_in_force(LOOPED.replace(b"service: checkout", b"service: search"))
    world.at("1h").put_in_force(LOOPED)
    back(world, "email")
    world.at("1h6m")
    assert [one.firing for one in world.engine.state.alerts.values()] == [True], "it is the same one, still missing"
