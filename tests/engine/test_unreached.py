"""An escalation that reached nobody, because every channel refused for good, begins again soon: the doubling of a
minute, and at once when the plan, a method or who is on call changed. Never a storm.
"""

from __future__ import annotations

from itertools import pairwise

import pytest

from tests.engine.world import START, World, dump
from tocsin.engine.commands import AddOverride, Reassign
from tocsin.engine.state import State
from tocsin.kernel.instant import HOUR, MINUTE, SECOND
from tocsin.pages.ledger import Page

PLAN = b"""
tocsin: 1
team: shop
people:
  ana: {name: Ana, email: ana@shop.example}
  ben: {name: Ben, email: ben@shop.example}
  kei: {name: Kei, email: kei@shop.example}
mail: {server: smtp://localhost:25, from: tocsin@shop.example}
last resort: kei
escalations: {shop: [{page: ana, wait: 5m}, {page: ben, wait: 5m}]}
services: {checkout: {escalation: shop}, search: {escalation: shop}}
"""
OTHER = PLAN.replace(b"localhost:25", b"localhost:26")


def refused(world: World, *but: str, answer: str = "failed auth") -> World:
    """Everybody's channel refuses everything, but these people's."""
    world.answers = lambda page: "sent" if page.person in but else answer
    return world


def minutes(world: World) -> list[int]:
    """When Ana was tried, in minutes: when each pass of the escalation began."""
    asked = dict.fromkeys(row.intended_at for row in world.rows(1, "ana"))
    return [(at - START) // MINUTE for at in asked]


def tries(world: World, person: str) -> list[int]:
    """When somebody was paged, each page once, also of what is not in memory any more."""
    return sorted({row.id: row.intended_at for row in world.told_pages if row.person == person}.values())


def said(world: World) -> list[str]:
    return [entry.what for entry in world.timeline if entry.incident == 1]


def test_it_begins_again_after_a_minute_and_then_twice_as_late_each_time():
    world = refused(World(PLAN)).fires("Down", service="checkout").at("35m")
    assert minutes(world) == [0, 1, 2, 4, 8, 16, 26]
    first = said(world).index("Paging begins again in 1 min")
    assert said(world)[first - 2 : first] == [
        "Paging Kei; next in 30 min if nobody answers",
        "The last resort reached nobody",
    ]
    assert said(world)[-1] == "Paging begins again in 10 min"
    assert dump(world.replayed().state) == dump(world.engine.state)


def test_it_is_the_same_over_a_day_and_never_a_storm():
    world = refused(World(PLAN)).fires("Down", service="checkout").at("1d")
    gaps = [later - before for before, later in zip(minutes(world), minutes(world)[1:], strict=False)]
    assert max(gaps) == 10 and len(minutes(world)) < 160


@pytest.mark.parametrize("answer", ["failed auth", "retry"])
def test_what_reached_nobody_a_day_ago_is_let_go(answer):
    world = refused(World(PLAN), answer=answer).fires("Down", service="checkout").at("1d")
    kept, tried = len(world.rows(1)), len(tries(world, "ana"))
    world.at("3d")
    assert len(world.rows(1)) < kept + 10 and len(tries(world, "ana")) > 2 * tried
    gap = 10 * MINUTE if answer == "failed auth" else 30 * MINUTE
    assert {later - before for before, later in pairwise(tries(world, "ana")[6:])} == {gap}
    assert dump(State(world.loaded())) == dump(world.engine.state)
    assert dump(world.replayed().state) == dump(world.engine.state)
    refused(world, "ana", "ben", "kei").at("73h")
    assert world.rows(1)[-1].left


def test_the_first_pass_after_the_mend_reaches_and_then_people_have_their_usual_time():
    world = refused(World(PLAN)).fires("Down", service="checkout").at("50s")
    refused(world, "ana", "ben", "kei").at("1h")
    left = [(clock, person) for clock, person, _, _ in world.left if float(clock[:-1]) >= 50]
    assert left[:4] == [("60s", "ana"), ("360s", "ben"), ("660s", "kei"), ("2460s", "ana")]


@pytest.mark.parametrize("plan", [OTHER, PLAN])
def test_a_plan_put_in_force_has_it_tried_at_once(plan):
    """The same plan, too: a secret that was mended is said by no other."""
    world = refused(World(PLAN)).fires("Down", service="checkout").at("20m")
    refused(world, "ana")
    world.left.clear()
    world.put_in_force(plan)
    assert [(clock, person) for clock, person, _, _ in world.left] == [("1200s", "ana")]
    assert dump(world.replayed().state) == dump(world.engine.state)


def test_a_method_that_is_proved_has_it_tried_at_once():
    world = refused(World(PLAN)).fires("Down", service="checkout").at("20m")
    world.answers = lambda page: "sent" if page.channel == "webhook" else "failed auth"
    world.has("ben", "https://hooks.example/ben")
    assert ("1200s", "ben", "https://hooks.example/ben", "page") in world.left


def test_a_method_of_somebody_it_never_pages_changes_nothing():
    people = PLAN.replace(b"mail: {", b"  zoe: {name: Zoe}\nmail: {")
    world = refused(World(people)).fires("Down", service="checkout").at("20m")
    before = minutes(world)
    world.answers = lambda page: "sent" if page.channel == "webhook" else "failed auth"
    world.has("zoe", "https://hooks.example/zoe")
    assert minutes(world) == before


def test_nobody_has_any_method_and_whoever_proves_one_hears_of_it_at_once():
    mute = PLAN.replace(b", email: ana@shop.example", b"").replace(b", email: kei@shop.example", b"")
    mute = mute.replace(b"page: ben, wait: 5m", b"page: ana, wait: 9m")
    world = World(mute).fires("Down", service="checkout").at("45s")
    world.left.clear()
    world.has("ana", "https://hooks.example/ana")
    assert [(clock, person) for clock, person, _, kind in world.left if kind == "page"] == [("45s", "ana")]


def test_what_is_refused_for_now_is_tried_again_by_itself_and_the_half_hour_stands():
    world = refused(World(PLAN), answer="retry").fires("Down", service="checkout").at("40m")
    assert minutes(world) == [0, 30]


def test_where_a_step_reached_somebody_the_half_hour_stands_though_the_last_resort_reached_nobody():
    world = refused(World(PLAN), "ana", "ben").fires("Down", service="checkout").at("45m")
    assert minutes(world) == [0, 40]
    assert "The last resort reached nobody" in said(world)


def test_a_page_that_leaves_late_gives_whoever_it_is_to_the_usual_time():
    def answers(page: Page) -> str:
        if page.person != "kei":
            return "failed auth"
        return "retry" if world.now < START + 20 * SECOND else "sent"

    world = World(PLAN)
    world.answers = answers
    world.fires("Down", service="checkout").at("20m")
    assert minutes(world) == [0] and world.rows(1, "kei")[-1].left_at == START + 35 * SECOND


def test_one_who_takes_it_or_a_silence_ends_it():
    world = refused(World(PLAN)).fires("Down", service="checkout").at("90s")
    world.acknowledges(1)
    assert minutes(world.at("59m")) == [0, 1]
    world = refused(World(PLAN)).fires("Down", service="checkout").at("90s")
    world.silences('alertname="Down"', for_="40m")
    assert minutes(world.at("40m")) == [0, 1]
    assert len(minutes(world.at("45m"))) > 2


def test_with_paging_off_nothing_is_tried_again():
    world = World(PLAN, paging=False).fires("Down", service="checkout").at("29m")
    assert len(minutes(world)) == 1


def test_who_comes_on_call_is_paged_at_once():
    plan = PLAN.replace(b"escalations:", b"schedules: {p: {layers: [{rotate: [ana]}]}}\nescalations:")
    plan = plan.replace(b"page: ana, wait: 5m", b"page: p, wait: 5m").replace(b"page: ben", b"page: ana")
    world = refused(World(plan), "ben").fires("Down", service="checkout").at("20m")
    world.left.clear()
    made = AddOverride(
        actor="person:ben", schedule="p", person="ben", starts_at=world.now, ends_at=world.now + HOUR
    )  # fmt: skip
    assert world.asked(made).ok
    assert ("1200s", "ben", "ben@shop.example", "page") in world.left


ALONE = PLAN.replace(b"[{page: ana, wait: 5m}, {page: ben, wait: 5m}]", b"[{page: ana, wait: 5m, repeat: 10}]").replace(
    b"last resort: kei", b"last resort: ana"
)
REPEATED = PLAN.replace(b"[{page: ana, wait: 5m}, {page: ben, wait: 5m}]", b"[%s]" % b", ".join(
    (b"{page: ana, wait: 5m, repeat: 3}", b"{page: ben, wait: 9m}")
))  # fmt: skip


def refuses_first(world: World, answer: str = "failed client") -> World:
    """The first message of all is refused, and no other."""
    first: list[int] = []

    def answers(page: Page) -> str:
        first[:] = first or [page.id]
        return answer if page.id == first[0] else "sent"

    world.answers = answers
    return world


def asked(world: World) -> list[tuple[int, str]]:
    """Who was reached when, in minutes."""
    return [(int(float(clock[:-1])) // 60, person) for clock, person, _, _ in world.left]


def test_one_refusal_throws_no_written_repetition_away():
    world = refuses_first(World(ALONE)).fires("Down", service="checkout").at("29m")
    assert asked(world) == [(0, "ana"), (0, "ana"), *((at, "ana") for at in (5, 10, 15, 20, 25))]
    assert dump(world.replayed().state) == dump(world.engine.state)


@pytest.mark.parametrize("answer", ["failed client", "failed auth"])
def test_the_next_step_is_paged_at_once_and_the_first_is_repeated_beside_it_as_often_as_it_says(answer):
    world = refuses_first(World(REPEATED), answer).fires("Down", service="checkout").at("38m")
    assert [one for one in asked(world) if one[1] == "ana"] == [(0, "ana"), (5, "ana"), (10, "ana")]
    assert (0, "ben") in asked(world) and (9, "kei") in asked(world)
    assert asked(world.at("39m"))[-1] == (39, "ana")
    assert "Paging Ana once more, as step 1 says" in said(world)


def test_where_the_address_itself_is_dead_it_is_left_alone():
    world = refuses_first(World(REPEATED), "failed address").fires("Down", service="checkout").at("29m")
    assert [one for one in asked(world) if one[1] == "ana"] == [(0, "ana")]


@pytest.mark.parametrize("ends", ["acknowledged", "given away", "resolved", "silenced"])
def test_what_ends_paging_ends_the_repetitions(ends):
    world = refuses_first(World(REPEATED)).fires("Down", service="checkout").at("2m")
    if ends == "acknowledged":
        world.acknowledges(1)
    elif ends == "given away":
        assert world.asked(Reassign(actor="person:ben", incident=1, person="kei")).ok
    elif ends == "resolved":
        world.resolves("Down", service="checkout")
    else:
        world.silences('alertname="Down"', for_="20m")
    assert [one for one in asked(world.at("12m")) if one[1] == "ana"] == [(0, "ana")]


def test_a_restart_forgets_no_repetition():
    world = refuses_first(World(REPEATED)).fires("Down", service="checkout").at("2m").restarted().at("11m")
    assert [one for one in asked(world) if one[1] == "ana"][-2:] == [(5, "ana"), (10, "ana")]


@pytest.mark.parametrize("answer", ["failed auth", "retry"])
def test_what_every_pass_says_again_is_on_the_timeline_twice_and_then_it_is_counted(answer):
    world = refused(World(PLAN), answer=answer).fires("Down", service="checkout").at("8h")
    lines = said(world)
    assert len(lines) < 30 and lines.count("Paging Ana; next in 5 min if nobody answers") == 2
    counted = [line for line in lines if line.startswith("Nobody was reached in ")]
    assert counted[:3] == [f"Nobody was reached in {count} passes so far" for count in (2, 4, 8)]
    passes = len(set(tries(world, "ana")))
    refused(world, "ana", "ben", "kei").at("9h")
    assert f"The page to Ana by email left, the first in {passes + (answer == 'failed auth')} passes" in said(world)
    world.at("12h")
    assert said(world).count("Paging Ana; next in 5 min if nobody answers") > 4, "people are paged, and are told of"
    assert dump(State(world.loaded())) == dump(world.engine.state)
    assert dump(world.replayed().state) == dump(world.engine.state)


def test_what_is_new_in_a_pass_that_reaches_nobody_is_said():
    world = refused(World(PLAN)).fires("Down", service="checkout").at("1h")
    world.put_in_force(PLAN.replace(b"kei: {name: Kei, email: kei@shop.example}", b"kei: {name: Kei}"))
    world.at("2h")
    assert "Paging Kei; next in 30 min if nobody answers" in said(world)
    before = len(said(world))
    assert world.asked(Reassign(actor="person:ben", incident=1, person="ana")).ok
    assert "Paging Ana; next in 5 min if nobody answers" in said(world)[before:]


def test_where_one_of_several_is_reached_each_pass_says_whom_it_pages():
    world = refused(World(PLAN), "ana").fires("Down", service="checkout").at("8h")
    assert said(world).count("Paging Ana; next in 5 min if nobody answers") > 8
    assert not any(line.startswith("Nobody was reached in") for line in said(world))


def test_where_paging_is_off_each_pass_says_whom_it_would_have_paged():
    world = World(PLAN, paging=False).fires("Down", service="checkout").at("8h")
    assert said(world).count("Paging is off; it would have paged Ana; next in 5 min if nobody answers") > 8
    assert not any(line.startswith("Nobody was reached in") for line in said(world))


def test_whose_turn_it_was_is_said_of_each_pass():
    """Why somebody was not paged then is told by it."""
    turns = PLAN.replace(b"{page: ana, wait: 5m}", b"{page one of: [ana, ben], wait: 5m}")
    world = refused(World(turns)).fires("Down", service="checkout").at("8h")
    named = [line for line in said(world) if line.startswith("Paging ") and "next in 5 min" in line]
    assert named.count("Paging Ana; next in 5 min if nobody answers") > 20
