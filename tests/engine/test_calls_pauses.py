"""When calls do not get through pauses are kept, one call is made at a time, the gravest first, and none endlessly."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from tests.engine.test_calls import LIA, MAIL, PLAN, ZOE, alone, calls, mails_lia, says, ways, world
from tests.engine.world import World
from tocsin.engine.commands import RemoveContact
from tocsin.engine.inputs import Delivered, Receipted
from tocsin.kernel.instant import SECOND
from tocsin.pages.ledger import Page
from tocsin.pages.message import Failed
from tocsin.pages.pace import Pace
from tocsin.runtime.lanes import Lane

__all__ = ["world"]

HOUR_LONG = PLAN.replace(b"{page: lia, wait: 10m}", b"{page: lia, wait: 60m}")


def handed(world: World) -> list[Page]:
    """The messages by telephone that are with their channel now."""
    rows = [row for row in world.engine.state.pages.values() if row.channel == "call" and row.in_line]
    return [row for row in rows if row.bundle in (0, row.id)]


def to_lia(world: World) -> list[str]:
    """When Lia's telephone was called for incidents."""
    return [at for at, address in ways(world) if address == LIA]


def quiet_world(plan: bytes = PLAN, *numbers: str) -> World:
    """Lia, whom nobody called for ten minutes, by the numbers given; calls are answered by the story."""
    world = World(plan)
    world.has("lia", *(numbers or (LIA,)), channel="call")
    world.at("10m").left.clear()
    world.answers = lambda page: "never" if page.channel == "call" else "sent"
    return world


def test_a_held_call_that_is_refused_waits_as_its_provider_asked(world: World):
    world.answers = lambda page: "never"
    world.fires("Down", service="checkout").fires("Slow", service="search")
    tried: dict[int, int] = {}
    for second in range(600, 720):
        world.at(f"{second}s")
        for row in [one for one in world.engine.state.pages.values() if one.address == LIA and one.handed_at]:
            if row.state == "intended":
                tried[row.id] = tried.get(row.id, 0) + 1
                world.apply(Delivered(row.id, "retry", "rate_limit", retry_after=120 * SECOND))
    assert list(tried.values()) == [1, 1]
    alone(world)


def test_a_call_that_waited_before_backs_off_like_every_other():
    world = World(PLAN)
    world.has("lia", LIA, channel="call")  # and is told by telephone that it was added: the page is held
    world.answers = lambda page: "never" if page.kind == "page" else "sent"
    world.at("10m").apply(Receipted(world.told_pages[-1].id, "over"))
    world.left.clear()
    world.fires("Slow", service="search").at("10m1s").fires("Down", service="checkout")
    world.apply(Delivered(world.rows(1)[0].id, "sent"))
    world.at("10m46s")
    for second in range(646, 646 + 120):
        world.at(f"{second}s")
        row = world.rows(2)[0]
        if row.handed_at is not None:
            world.apply(Delivered(row.id, "retry", "server"))
    assert row.attempts == 5, "after 5, 10, 20 and 40 s"


def test_what_goes_on_being_refused_is_given_up_after_an_hour(world: World):
    world.answers = lambda page: "retry server" if page.channel == "call" else "sent"
    world.fires("Down", service="checkout").fires("Slow", service="search").at("75m")
    first = world.rows(1)[0].intended_at
    assert all(row.state != "intended" for row in world.rows(1) + world.rows(2) if row.intended_at == first)
    alone(world)


@pytest.mark.parametrize("outcome", ["retry", "failed"])
def test_pages_that_make_way_do_not_call_a_number_that_is_called(outcome: str):
    world = World(PLAN.replace(b"{page: zoe, wait: 10m}", b"{page: lia, wait: 10m}"))
    world.has("lia", LIA, channel="call")
    world.has("zoe", LIA, channel="call")
    world.at("20m").left.clear()
    world.answers = lambda page: "never"
    world.fires("Slow", service="search").at("20m5s").fires("Down", service="checkout").at("20m10s")
    world.apply(Delivered(world.rows(1)[0].id, outcome, "auth", "401"))
    assert len(handed(world)) == 1


def test_two_people_with_one_number_are_not_called_at_once_when_a_call_is_refused():
    world = World(PLAN.replace(b"page: lia", b"page: [lia, zoe]"))
    world.has("lia", LIA, channel="call")
    world.has("zoe", LIA, channel="call")
    world.at("10m").left.clear()
    world.answers = lambda page: "never"
    world.fires("Down", service="checkout").at("10m1s").fires("Slow", service="search").at("10m5s")
    world.apply(Delivered(world.rows(1)[0].id, "retry", "server"))
    assert len(handed(world)) == 1
    alone(world)


def test_what_becomes_graver_calls_nobody_again_before_the_minute_is_over(world: World):
    world.fires("Slow", service="search", severity="warning").at("10m20s")
    says(world, "no_answer", world.rows(1)[0])
    world.fires("Slow", service="search", severity="critical", instance="b").at("11m19s")
    assert calls(world)[0] == ("0s", "lia")
    assert [row.held for row in world.rows(1) if row.state == "intended"] == ["called_again"]


def test_what_is_graver_than_a_busy_call_is_called_for_itself_and_what_is_not_goes_another_way(world: World):
    mails_lia(world)
    world.fires("Slow", service="search", severity="warning").at("20m5s")
    world.fires("Down", service="checkout").fires("Late", service="orders", severity="warning").at("20m40s")
    says(world, "busy", world.rows(1)[0])
    assert ways(world)[:3] == [("1200s", LIA), ("1240s", MAIL), ("1240s", LIA)]
    assert 2 in world.reached
    says(world, "busy", world.rows(2)[0])
    assert 2 in [page.incident for page in world.told_pages if page.channel == "email"]
    alone(world)


def test_what_waits_for_a_busy_telephone_goes_by_the_persons_next_method_at_once(world: World):
    mails_lia(world)
    world.fires("Slow", service="search").at("20m5s").fires("Down", service="checkout").at("20m40s")
    says(world, "busy", world.rows(1)[0])
    assert ways(world) == [("1200s", LIA), ("1240s", MAIL), ("1240s", MAIL)]
    world.at("21m39s")
    assert ways(world)[-1] == ("1240s", MAIL)
    world.at("21m40s")
    assert ways(world)[-1] == ("1300s", LIA)
    says(world, "busy", world.told_pages[-1])
    assert [address for _, address in ways(world)].count(MAIL) == 2, "each is mailed once"


def test_whoever_has_two_telephones_is_called_three_times_by_each():
    world = World(HOUR_LONG)
    world.has("lia", LIA, "+34600000009", channel="call")
    world.has("zoe", ZOE, channel="call")
    world.at("10m").left.clear()
    world.fires("Down", service="checkout")
    done: set[int] = set()
    for second in range(600, 600 + 3500, 20):
        world.at(f"{second}s")
        for row in world.rows(1, "lia"):
            if row.state == "sent" and row.id not in done and world.now - (row.finished_at or 0) >= 40 * SECOND:
                done.add(row.id)
                says(world, "no_answer", row)
    assert sorted(address for _, address in ways(world)) == [LIA] * 3 + ["+34600000009"] * 3
    alone(world)


def test_each_other_method_is_used_once_however_often_a_telephone_is_not_picked_up(world: World):
    mails_lia(world)
    world.fires("Down", service="checkout")
    for second in (1230, 1330, 1430):
        world.at(f"{second}s")
        says(world, "no_answer", [row for row in world.rows(1) if row.channel == "call"][-1])
    world.at("28m")
    assert [address for _, address in ways(world)] == [LIA, MAIL, LIA, LIA]


def test_a_call_whose_answer_was_lost_may_ring_and_nothing_calls_into_it():
    world = quiet_world()
    world.fires("Down", service="checkout").at("10m10s")
    row = world.rows(1)[0]
    world.apply(Delivered(row.id, "retry", "deadline", "no answer"))
    world.fires("Slow", service="search").at("10m54s")
    assert to_lia(world) == ["600s"]
    world.at("10m55s")
    assert to_lia(world) == ["600s", "655s"]
    alone(world)


def test_a_call_that_was_never_asked_for_is_not_taken_for_one_that_may_ring():
    """It waited behind another that nobody answered, and was given back."""
    world = quiet_world()
    world.fires("Down", service="checkout")
    row, lane = world.rows(1)[0], Lane(pace=Pace(0.01, 1))
    for page in (replace(row, id=99, person="zoe", address=ZOE), row):
        lane.add(page, "sev1", 0)
    turn = lane.next(0)
    assert turn is not None and turn.page.id == 99
    ((given_back, why),) = lane.ended(turn, Failed("deadline", "no answer"), 14 * SECOND)
    world.at("10m14s").apply(Delivered(given_back.id, "retry", why.code, why.error))
    assert row.rings_until is None
    world.at("10m19s")
    assert to_lia(world) == ["600s", "619s"]
    alone(world)


def test_a_call_whose_answer_was_lost_is_not_made_again_once_it_was_picked_up():
    world = quiet_world()
    world.fires("Down", service="checkout").at("10m10s")
    row = world.rows(1)[0]
    world.apply(Delivered(row.id, "retry", "deadline", "no answer"))
    world.at("10m14s")
    says(world, "delivered", row)
    assert row.state == "sent"
    world.fires("Slow", service="search").at("12m10s")
    assert to_lia(world) == ["600s"], "she is on the telephone"
    world.at("13m")
    assert to_lia(world) == ["600s", "734s"]
    alone(world)


def test_what_is_said_of_an_earlier_call_ends_no_later_one():
    world = quiet_world()
    world.fires("Down", service="checkout")
    row = world.rows(1)[0]
    world.apply(Delivered(row.id, "retry", "server"))
    world.at("10m5s").apply(Delivered(row.id, "sent", provider_id="CA2"))
    for receipt in ("busy", "no_answer", "over", "failed"):
        world.apply(Receipted(row.id, receipt, "Twilio says so", provider_id="CA1"))
    assert (row.state, row.over_at) == ("sent", None)
    world.apply(Receipted(row.id, "busy", "Twilio says busy", provider_id="CA2"))
    assert row.outcome == "line_busy"


def test_a_page_does_not_wait_for_small_talk_when_there_is_another_way():
    world = World(PLAN)
    world.has("lia", LIA, channel="call")
    world.has("lia", MAIL, channel="email")  # Lia is called about that
    world.left.clear()
    world.fires("Down", service="checkout")
    assert ways(world) == [("0s", MAIL)]
    world.at("2m")
    assert ways(world) == [("0s", MAIL), ("45s", LIA)]
    alone(world)


def test_of_what_waits_for_one_number_the_gravest_is_called_first():
    plan = PLAN.replace(b"}]}\nservices", b"}], other: [{page: zoe, wait: 10m}]}\nservices")
    world = World(plan.replace(b"search: {escalation: shop", b"search: {escalation: other"))
    world.has("lia", LIA, channel="call")
    world.has("zoe", LIA, channel="call")
    world.at("10m").left.clear()
    world.fires("Late", service="orders", severity="warning").at("10m1s")
    world.fires("Full", service="checkout", severity="warning").fires("Down", service="search").at("10m30s")
    says(world, "over", world.rows(1)[0])
    assert calls(world) == [("0s", "lia"), ("30s", "zoe")]
    world.at("12m")
    assert calls(world)[2:] == [("75s", "lia")]


def test_what_waits_for_a_telephone_that_is_removed_goes_another_way_at_once(world: World):
    mails_lia(world)
    world.fires("Down", service="checkout").at("20m5s").fires("Slow", service="search")
    number = world.rows(1)[0].contact
    assert world.asked(RemoveContact(actor="person:lia", contact=number)).ok
    assert ways(world) == [("1200s", LIA), ("1205s", MAIL)]
    alone(world)
