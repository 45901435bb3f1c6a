"""A telephone is called once at a time; a call that nobody takes is made again, and no step is passed over for it."""

from __future__ import annotations

import pytest

from tests.engine.world import START, World, dump
from tocsin.engine.commands import Reassign
from tocsin.engine.inputs import Delivered, Receipted
from tocsin.engine.state import State
from tocsin.kernel.instant import MINUTE, SECOND
from tocsin.pages.ledger import Page, Receipt

LIA, ZOE, MAIL = "+34600000001", "+34600000002", "lia@shop.example"
PLAN = b"""
tocsin: 1
people: {lia: {name: Lia}, zoe: {name: Zoe}}
mail: {server: smtp://localhost:25, from: tocsin@shop.example}
channels: {twilio: {account: AC0123, token: secret:twilio, from: "+34910000000"}}
teams: {shop: {members: [lia, zoe], lead: zoe}}
last resort: zoe
escalations: {shop: [{page: lia, wait: 10m}, {page: zoe, wait: 10m}]}
services:
  checkout: {escalation: shop, team: shop}
  search: {escalation: shop, team: shop}
  orders: {escalation: shop, team: shop}
"""


@pytest.fixture
def world() -> World:
    """Lia and Zoe can be called, and nothing else."""
    world = World(PLAN)
    world.has("lia", LIA, channel="call")
    world.has("zoe", ZOE, channel="call")
    world.at("10m")
    world.left.clear()
    return world


def calls(world: World) -> list[tuple[str, str]]:
    """Whom Tocsin called for incidents, and how many seconds after the first."""
    return [(f"{float(at[:-1]) - 600:g}s", person) for at, person, _, kind in world.left if kind == "page"]


def ways(world: World) -> list[tuple[str, str]]:
    """By which addresses Tocsin paged for incidents, and when."""
    return [(at, address) for at, _, address, kind in world.left if kind == "page"]


def mails_lia(world: World) -> None:
    """Lia gets mail, too; twenty minutes after the start nobody is called."""
    world.has("lia", MAIL, channel="email")
    world.at("20m").left.clear()


def says(world: World, receipt: Receipt, row: Page) -> None:
    """The provider tells what became of a call."""
    world.apply(Receipted(row.id, receipt, f"Twilio says {receipt}" if receipt in ("busy", "no_answer") else ""))


def alone(world: World) -> None:
    """Nothing was forgotten that a restart or a replay would know."""
    whole = dump(world.engine.state)
    assert dump(State(world.loaded())) == whole
    assert dump(world.replayed().state) == whole


def test_a_number_is_called_once_at_a_time_and_the_next_call_says_what_gathered(world: World):
    world.fires("Down", service="checkout").at("10m1s").fires("Slow", service="search").at("10m2s")
    world.fires("Full", service="orders")
    assert calls(world) == [("0s", "lia")]
    waits = world.rows(2)[0]
    assert (waits.state, waits.held) == ("intended", "on_the_phone")
    assert waits.not_before == START + 10 * MINUTE + 45 * SECOND
    world.at("10m30s")
    says(world, "over", world.rows(1)[0])
    assert calls(world) == [("0s", "lia"), ("30s", "lia")]
    assert world.reached == [1, 2, 3], "what gathered is one call"
    alone(world)


def test_a_call_that_is_picked_up_takes_the_line_until_it_is_over(world: World):
    world.fires("Down", service="checkout").at("10m20s")
    says(world, "delivered", world.rows(1)[0])
    world.fires("Slow", service="search").at("11m30s")
    assert calls(world) == [("0s", "lia")]
    says(world, "over", world.rows(1)[0])
    assert calls(world) == [("0s", "lia"), ("90s", "lia")]


def test_where_the_provider_tells_nothing_the_line_is_free_when_it_cannot_ring_any_more(world: World):
    world.fires("Down", service="checkout").at("10m1s").fires("Slow", service="search").at("12m")
    assert calls(world) == [("0s", "lia"), ("45s", "lia")]


def test_two_people_with_one_telephone_are_called_one_after_the_other():
    world = World(PLAN.replace(b"page: lia", b"page: [lia, zoe]"))
    world.has("lia", LIA, channel="call")
    world.has("zoe", LIA, channel="call")
    world.at("10m").left.clear()
    world.fires("Down", service="checkout").at("10m20s")
    says(world, "over", world.rows(1, "lia")[0])
    assert calls(world) == [("0s", "lia"), ("20s", "zoe")]


@pytest.mark.parametrize(("receipt", "why"), [("busy", "line_busy"), ("no_answer", "no_answer")])
def test_who_does_not_pick_up_is_called_again_within_the_step_and_nobody_else_is_woken(
    world: World, receipt: Receipt, why: str
):
    world.fires("Down", service="checkout").at("10m40s")
    says(world, receipt, world.rows(1)[0])
    first = world.rows(1)[0]
    assert (first.state, first.outcome) == ("failed", why)
    assert {row.person for row in world.rows(1)} == {"lia"}
    world.at("11m39s")
    assert calls(world) == [("0s", "lia")]
    world.at("11m40s")
    assert calls(world) == [("0s", "lia"), ("100s", "lia")]
    assert why in world.told(1)
    assert "nobody_reachable" not in world.told(1)
    world.at("12m20s")
    says(world, receipt, world.rows(1)[-1])
    world.at("14m")
    says(world, receipt, world.rows(1)[-1])
    world.at("19m59s")
    assert calls(world) == [("0s", "lia"), ("100s", "lia"), ("200s", "lia")], "three times are enough"
    world.at("20m")
    assert calls(world)[-1] == ("600s", "zoe"), "the step has its time, and the next one comes at its own"
    assert "nobody_reachable" not in world.told(1)
    alone(world)


def test_the_persons_next_method_is_used_at_once(world: World):
    mails_lia(world)
    world.fires("Down", service="checkout").at("20m40s")
    says(world, "no_answer", world.rows(1)[0])
    assert ways(world) == [("1200s", LIA), ("1240s", MAIL)]
    world.at("21m40s")
    assert ways(world)[-1] == ("1300s", LIA)


def test_what_fails_beside_a_telephone_that_rings_passes_no_step_over(world: World):
    mails_lia(world)
    world.answers = lambda page: "failed address" if page.channel == "email" else "sent"
    world.fires("Down", service="checkout").at("20m40s")
    says(world, "no_answer", world.rows(1)[0])
    world.at("25m")
    assert {row.person for row in world.rows(1)} == {"lia"}
    assert "nobody_reachable" not in world.told(1)


def test_an_answer_ends_the_calling(world: World):
    world.fires("Down", service="checkout").at("10m40s")
    says(world, "no_answer", world.rows(1)[0])
    world.acknowledges(1)
    world.at("15m")
    assert calls(world) == [("0s", "lia")]


def test_a_call_that_was_not_needed_any_more_takes_no_line(world: World):
    world.answers = lambda page: "never"
    world.fires("Down", service="checkout").fires("Slow", service="search")
    world.acknowledges(1)
    world.answers = lambda page: "sent"
    world.apply(Delivered(world.rows(1)[0].id, "unneeded"))
    assert calls(world) == [("0s", "lia"), ("0s", "lia")]
    alone(world)


def test_a_number_that_does_not_exist_reaches_nobody(world: World):
    world.fires("Down", service="checkout").at("10m5s")
    says(world, "failed", world.rows(1)[0])
    assert calls(world)[-1] == ("5s", "zoe")
    assert "nobody_reachable" in world.told(1)


def test_a_storm_on_one_number_is_two_calls(world: World):
    """Of a message about many incidents only one call is kept in mind, and none of them when it is over."""
    for number in range(40):
        world.fires(f"Down{number}", service="checkout")
    assert calls(world) == [("0s", "lia")]
    assert len(world.engine.state.calls.on_hold[LIA]) == 39
    world.at("10m30s")
    says(world, "over", world.rows(1)[0])
    assert calls(world) == [("0s", "lia"), ("30s", "lia")]
    assert sorted(world.reached) == list(range(1, 41))
    assert len(world.engine.state.calls.ringing[LIA]) == 1
    says(world, "over", world.told_pages[-1])
    assert LIA not in world.engine.state.calls.ringing
    alone(world)


def test_pages_of_another_persons_number_are_not_held(world: World):
    plan = PLAN.replace(b"page: lia", b"page: [lia, zoe]")
    world.put_in_force(plan)
    world.fires("Down", service="checkout")
    assert calls(world) == [("0s", "lia"), ("0s", "zoe")]


def test_a_number_that_rings_is_not_called_again_though_what_it_rings_for_is_over_and_done(world: World):
    world.put_in_force(PLAN.replace(b"checkout: {", b"checkout: {reopen within: 0s, "))
    world.fires("Down", service="checkout").at("10m10s").resolves("Down", service="checkout").at("10m12s")
    world.fires("Slow", service="search")
    assert calls(world) == [("0s", "lia")], "it rings"
    says(world, "over", world.rows(1)[0])
    assert calls(world) == [("0s", "lia"), ("12s", "lia")]
    alone(world)
    world.at("12m")
    assert 1 not in world.engine.state.incidents


REPEATS = PLAN.replace(b"zoe: {name: Zoe}", b"zoe: {name: Zoe}, ben: {name: Ben, email: ben@shop.example}").replace(
    b"[{page: lia, wait: 10m}, {page: zoe, wait: 10m}]", b"[{page: ben, wait: 1m, repeat: 5}, {page: lia, wait: 20m}]"
)
"""Ben is paged once a minute; his mail is refused, so that Lia is called at once, and he is paged on beside her."""


@pytest.mark.parametrize("rings", [5, 30, 59])
def test_a_repetition_owed_of_the_step_before_ends_no_calling_again(rings: int):
    world = World(REPEATS)
    world.has("lia", LIA, channel="call")
    first: list[int] = []

    def answers(page: Page) -> str:
        first[:] = first or [page.id] if page.person == "ben" and page.kind == "page" else first
        return "failed client" if page.id in first else "sent"

    world.at("10m").left.clear()
    world.answers = answers
    world.fires("Down", service="checkout")
    heard: set[int] = set()
    for second in range(600, 1200):
        world.at(f"{second}s")
        for row in world.rows(1, "lia"):
            if row.left_at is not None and row.id not in heard and world.now - row.left_at >= rings * SECOND:
                heard.add(row.id)
                says(world, "no_answer", row)
    again = rings + 60
    assert [at for at, person in calls(world) if person == "lia"] == ["0s", f"{again}s", f"{2 * again}s"]
    assert [at for at, person in calls(world) if person == "ben"] == ["0s", "60s", "120s", "180s", "240s"]


def test_whoever_was_called_is_not_called_again_once_it_was_given_to_somebody(world: World):
    world.fires("Down", service="checkout").at("20m").at("30m")
    (last,) = (row for row in world.rows(1, "zoe") if row.reason == "escalation_exhausted")
    assert world.asked(Reassign(actor="person:zoe", incident=1, person="lia")).ok
    says(world, "no_answer", last)
    world.at("35m")
    assert len([one for one in calls(world) if one[1] == "zoe"]) == 2
