"""Stories of who is told of overrides, swaps and cover requests. They begin on a Monday, 03:00 UTC: people sleep."""

from __future__ import annotations

import pytest

from tests.engine.test_overrides import answers, at, overrides, swaps
from tests.engine.world import World, dump
from tocsin.engine.commands import AnswerOverride, AskCover, AskSwap, CancelOverride
from tocsin.pages.ledger import Page

# `primary` has ana until 04:00, then ben for a day, then ana, by turns. Mornings are at 08:00, five hours in.
PLAN = b"""
tocsin: 1
team: shop
people:
  ana: {name: Ana, email: ana@shop.example}
  ben: {name: Ben, email: ben@shop.example}
  kei: {name: Kei, email: kei@shop.example}
  zoe: {name: Zoe, email: zoe@shop.example}
mail: {server: smtp://localhost:25, from: tocsin@shop.example}
last resort: zoe
findings notice: off
schedules:
  primary:
    layers:
      - {rotate: [ana, ben], every: day, handoff: 04:00, starts: 2026-11-22 with ana}
escalations:
  shop: [{page: primary, wait: 30m, repeat: 3}]
services:
  checkout: {escalation: shop}
routes:
  - {match: ['job="checkout"'], service: checkout}
"""
PAIR = PLAN.replace(
    b"rotate: [ana, ben], every: day, handoff: 04:00, starts: 2026-11-22 with ana", b"rotate: [[ana, ben]]"
)


def told(world: World, person: str) -> list[Page]:
    """What left to somebody and needs no answer, in order."""
    return [page for page in world.told_pages if page.kind == "notice" and page.person == person]


def titles(world: World, person: str) -> list[str]:
    """What it said first."""
    return [page.title for page in told(world, person)]


def left(world: World, person: str) -> list[tuple[str, str]]:
    """When what left to somebody, by which of their methods."""
    return [(clock, address) for clock, who, address, kind in world.left if kind == "notice" and who == person]


def with_a_telephone(plan: bytes, *people: str) -> World:
    """People who can be called, beside the mail the plan knows."""
    world = World(plan)
    for person in people:
        world.has(person, f"https://{person}.example/call")
    world.left.clear()
    world.told_pages.clear()
    return world


def cancels(world: World, id: int = 1, actor: str = "user:ops") -> None:
    """Somebody takes an override back."""
    assert world.asked(CancelOverride(id=id, actor=actor)).ok


# -- when --------------------------------------------------------------------------------------------------------------


def test_nobody_is_woken_for_what_is_days_ahead():
    world = with_a_telephone(PLAN, "ana", "ben", "kei", "zoe")
    swaps(world, ("26h", "27h"), ("50h", "51h"))
    overrides(world, "kei", "30h", "31h", instead_of="ana")
    asked = AskCover(schedule="primary", person="ben", starts_at=at("52h"), ends_at=at("53h"), actor="user:ops")
    assert world.asked(asked).ok
    answers(world, "ben")
    cancels(world)
    assert world.left == [], "it is their night"
    world.at("5h")
    assert {clock for clock, *_ in world.left if _[2] == "notice"} == {"18000s"}
    addresses = {address for who in ("ana", "ben", "kei") for _, address in left(world, who)}
    assert addresses == {"ana@shop.example", "ben@shop.example", "kei@shop.example"}, "by the gentlest of their methods"


def test_by_day_what_is_days_ahead_comes_at_once_and_gently():
    world = with_a_telephone(PLAN, "ben").at("6h")
    swaps(world, ("26h", "27h"), ("50h", "51h"))
    assert left(world, "ben")[-1] == ("21600s", "ben@shop.example")
    assert titles(world, "ben")[-1].startswith("Ana asks you to swap shifts")


@pytest.mark.parametrize(("begins", "when"), [("20m", "0s"), ("4h59m", "0s"), ("5h", "18000s")])
def test_what_begins_before_somebodys_morning_cannot_wait_for_it(begins, when):
    world = with_a_telephone(PLAN, "zoe")
    assert overrides(world, "zoe", begins, "6h").ok
    world.at("5h")
    assert left(world, "zoe")[0] == (when, "https://zoe.example/call" if when == "0s" else "zoe@shop.example")


def test_a_cover_that_is_wanted_tonight_is_asked_for_at_once():
    world = with_a_telephone(PLAN, "ana", "ben")
    asked = AskCover(schedule="primary", person="ana", starts_at=at("30m"), ends_at=at("1h"), actor="user:ops")
    assert world.asked(asked).ok
    assert left(world, "ben") == [("0s", "https://ben.example/call")]


# -- who comes on call now, and who goes -------------------------------------------------------------------------------


def test_whoever_is_put_on_call_now_is_handed_over_to_and_whoever_is_relieved_reads_it_in_the_morning():
    world = with_a_telephone(PLAN, "ana", "kei").fires("Down", job="checkout")
    world.notes(1, "the disk is full")
    assert overrides(world, "kei", "0s", "30m", actor="user:ops", reason="ana is ill").ok
    (kei,) = told(world, "kei")
    assert (kei.title, str(kei.reason)) == (
        "You are on call by primary until Mon 23 Nov 2026 03:30 UTC",
        "shift_begins",
    )
    assert kei.lines == (
        "Handed over by Ana",
        "Kei, asked by ops: ana is ill",
        "#1 checkout, triggered: Down fires: “the disk is full”",
    )
    assert left(world, "kei") == [("0s", "https://kei.example/call")]
    assert told(world, "ana") == []
    world.at("5h")
    ana = told(world, "ana")[0]
    assert ana.title == (
        "Kei is on call for you: primary, Mon 23 Nov 2026 03:00 to Mon 23 Nov 2026 03:30 UTC (ana is ill)"
    )
    assert ana.lines == ("#1 checkout, triggered: Down fires: “the disk is full”",)


def test_whoever_is_on_call_again_because_it_was_taken_back_is_told_at_once():
    world = with_a_telephone(PLAN, "ana", "kei")
    overrides(world, "kei", "0s", "30m", actor="user:ops")
    world.at("10m").fires("Down", job="checkout")
    cancels(world)
    ana = told(world, "ana")[0]
    assert (ana.title, left(world, "ana")[0]) == (
        "You are on call by primary until Mon 23 Nov 2026 04:00 UTC", ("600s", "https://ana.example/call"),
    )  # fmt: skip
    assert ana.lines == ("Handed over by Kei", "Override 1, taken back by ops", "#1 checkout, triggered: Down fires")
    world.at("5h")
    assert titles(world, "kei")[-1] == (
        "Taken back: the plan counts again: primary, Mon 23 Nov 2026 03:00 to Mon 23 Nov 2026 03:30 UTC"
    )


def test_whoever_takes_over_by_their_own_hand_is_told_what_and_not_called():
    world = with_a_telephone(PLAN, "kei")
    world.fires("Down", job="checkout")
    overrides(world, "kei", "0s", "30m", instead_of="ana", actor="person:kei")
    (kei,) = told(world, "kei")
    assert left(world, "kei") == [("0s", "kei@shop.example")]
    assert kei.lines == ("Handed over by Ana", "Kei for Ana, asked by Kei", "#1 checkout, triggered: Down fires")


@pytest.mark.parametrize("actor", ["person:kei (token ci)", "token:this machine"])
def test_whoever_is_put_on_call_by_a_token_is_called_for_nobody_knows_that_they_are_awake(actor):
    world = with_a_telephone(PLAN, "kei")
    overrides(world, "kei", "0s", "30m", instead_of="ana", actor=actor)
    overrides(world, "kei", "40m", "50m", instead_of="ana", actor=actor)
    assert left(world, "kei") == [("0s", "https://kei.example/call")] * 2
    cancels(world, 2, actor)
    cancels(world, 1, actor)
    world.at("5h")
    assert [title.partition(":")[0] for title in titles(world, "kei")[2:]] == ["Taken back"] * 2


def test_nobody_is_handed_over_to_twice():
    """The override ends by itself, and what follows is a handoff like all others."""
    world = World(PLAN)
    overrides(world, "kei", "0s", "30m", actor="user:ops")
    world.at("24h")
    assert [str(page.reason) for page in told(world, "kei")] == ["shift_begins", "shift_ends"]
    assert [str(page.reason) for page in told(world, "ana")] == ["on_call_changed", "shift_begins", "shift_ends"]


def test_who_stays_is_no_one_who_hands_over():
    world = World(PAIR)
    overrides(world, "kei", "0s", "30m", instead_of="ana", actor="user:ops")
    assert told(world, "kei")[0].lines[0] == "Handed over by Ana"
    world.at("5h")
    assert [title for title in titles(world, "ben") if "on call" in title] == []


def test_all_whose_place_is_taken_are_told_when():
    """For everybody from Tuesday 03:00 on: Ben has the first hour of it, Ana the rest."""
    world = World(PLAN)
    overrides(world, "kei", "24h", "26h", actor="user:ops")
    world.at("5h")
    lost = "Kei is on call for you: primary, Tue 24 Nov 2026 0{}:00 to Tue 24 Nov 2026 0{}:00 UTC"
    assert titles(world, "ben")[0] == lost.format(3, 4)
    assert lost.format(4, 5) in titles(world, "ana")
    assert titles(world, "kei") == ["You are on call: primary, Tue 24 Nov 2026 03:00 to Tue 24 Nov 2026 05:00 UTC"]


def test_an_override_for_somebody_tells_the_times_they_have():
    world = World(PLAN)
    overrides(world, "kei", "24h", "80h", instead_of="ana", actor="user:ops")
    world.at("5h")
    times = "primary, Tue 24 Nov 2026 04:00 to Wed 25 Nov 2026 04:00 UTC and 1 more time"
    assert titles(world, "kei") == [f"You are on call for Ana: {times}"]
    assert f"Kei is on call for you: {times}" in titles(world, "ana")


# -- swaps -------------------------------------------------------------------------------------------------------------


def test_who_did_not_answer_a_swap_by_hand_reads_who_takes_the_turn_they_give():
    world = World(PLAN)
    swaps(world, ("26h", "27h"), ("50h", "51h"))
    world.at("5h")
    mine, theirs = (f"{day} Nov 2026 05:00 to {day} Nov 2026 06:00" for day in ("Tue 24", "Wed 25"))
    (override,) = world.engine.state.overrides
    assert world.asked(AnswerOverride(actor="user:admin", id=override, person="ben", yes=True)).ok
    assert titles(world, "ben")[-1] == f"Ana takes over: primary, {theirs} UTC; you take {mine} UTC for it"


def test_a_swap_says_what_is_given_back():
    world = World(PLAN)
    swaps(world, ("26h", "27h"), ("50h", "51h"), reason="opera")
    world.at("5h")
    mine, theirs = (f"{day} Nov 2026 05:00 to {day} Nov 2026 06:00" for day in ("Tue 24", "Wed 25"))
    assert titles(world, "ben")[0] == (
        f"Ana asks you to swap shifts and take over: primary, {mine} UTC; Ana takes {theirs} UTC for it (opera)"
    )
    answers(world, "ben")
    assert titles(world, "ana")[-1] == f"Ben takes over: primary, {mine} UTC; you take {theirs} UTC for it (opera)"
    cancels(world)
    assert titles(world, "ana")[-1] == (
        f"Taken back: the plan counts again: primary, you are on call again {mine} UTC, "
        f"and not any more {theirs} UTC (opera)"
    )
    assert dump(world.replayed().state) == dump(world.engine.state)


def test_both_learn_what_they_have_and_have_no_more_when_a_swap_is_taken_back_half_way():
    """Ana has Ben's Monday, and he her Tuesday; it is noon on Monday."""
    world = World(PLAN)
    swap = AskSwap(
        actor="person:ben", person="ben", other="ana", schedule="primary",
        starts_at=at("1h"), ends_at=at("25h"), back_starts_at=at("25h"), back_ends_at=at("49h"),
    )  # fmt: skip
    assert world.asked(swap).ok
    answers(world, "ana")
    world.at("9h")
    cancels(world)
    tuesday = "Tue 24 Nov 2026 04:00 to Wed 25 Nov 2026 04:00 UTC"
    ben = told(world, "ben")[-1]
    assert ben.title == "You are on call by primary until Tue 24 Nov 2026 04:00 UTC"
    assert ben.lines[:3] == ("Handed over by Ana", "Override 1, taken back by ops", f"Not any more: {tuesday}")
    assert titles(world, "ana")[-1] == (
        f"Taken back: the plan counts again: primary, you are on call again {tuesday}, "
        "and not any more Mon 23 Nov 2026 12:00 to Tue 24 Nov 2026 04:00 UTC"
    )


def test_who_has_the_second_time_of_a_swap_is_named_in_its_reason():
    world = World(PLAN)
    swaps(world, ("26h", "27h"), ("50h", "51h"))
    answers(world, "ben")
    assert [cover.why for cover in world.engine.state.covers["primary"]] == [
        "ben for ana, asked by ana", "ana for ben, asked by ana",
    ]  # fmt: skip


def test_a_swap_that_is_declined_tonight_is_told_tonight():
    world = with_a_telephone(PLAN, "ana")
    swaps(world, ("30m", "50m"), ("2h", "3h"))
    answers(world, "ben", yes=False)
    assert left(world, "ana") == [("0s", "https://ana.example/call")]
    assert titles(world, "ana")[0].startswith("Ben does not want to swap: primary, ")
