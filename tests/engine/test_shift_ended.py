"""A page that its channel refuses for now is tried again, but not beyond its person's shift: whoever is on call by then
is paged in their place.
"""

from __future__ import annotations

from tests.engine.world import START, World, dump
from tocsin.engine.commands import AddOverride
from tocsin.engine.inputs import Receipted
from tocsin.kernel.instant import MINUTE
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
schedules: {p: {handoff notice: off, layers: [{rotate: [ana, ben], every: hour, handoff: 00:00,
  starts: 2026-11-23 with ben}]}}
escalations: {shop: [{page: p, wait: 55m}, {page: kei, wait: 55m}]}
services: {checkout: {escalation: shop}, search: {escalation: shop}}
"""


def down(world: World, until: str, *people: str) -> World:
    """These people's mail is refused for now until then, in minutes."""

    def answers(page: Page) -> str:
        dead = page.person in (people or (page.person,)) and world.now < START + int(until) * MINUTE
        return "retry" if dead and page.kind == "page" else "sent"

    world.answers = answers
    return world


def left(world: World) -> list[tuple[int, str]]:
    """What left, by minute, that its channel took."""
    rows = sorted((row.left_at, row.person) for row in world.rows(1) if row.left_at is not None)
    return [((at - START) // MINUTE, person) for at, person in rows]


def test_ana_is_on_call_until_sixty():
    world = World(PLAN).at("59m").fires("Down", service="checkout").at("2h")
    assert left(world)[0] == (59, "ana")


def test_who_is_on_call_now_is_paged_and_not_whoever_went_home():
    world = down(World(PLAN).at("59m"), "70", "ana").fires("Down", service="checkout").at("2h")
    assert "ana" not in [person for _, person in left(world)] and (60, "ben") in left(world)
    said = [entry.what for entry in world.timeline if entry.incident == 1]
    assert "The shift of Ana ended before a page could leave: paging Ben" in said
    assert [row.outcome for row in world.rows(1, "ana")] == ["relieved"]
    assert dump(world.replayed().state) == dump(world.engine.state)


def test_where_everybodys_mail_is_down_it_is_the_one_on_call_when_it_is_up_again():
    world = down(World(PLAN).at("59m"), "70").fires("Down", service="checkout").at("80m")
    assert sorted(person for _, person in left(world)) == ["ben", "kei"]


def test_whose_shift_goes_on_is_tried_on():
    world = down(World(PLAN).at("59m"), "70", "ana").fires("Down", service="checkout").at("59m30s")
    world.put_in_force(PLAN.replace(b"rotate: [ana, ben]", b"rotate: [ana]").replace(b" with ben", b" with ana"))
    assert (74, "ana") in left(world.at("80m"))


def test_where_nobody_is_on_call_by_then_it_is_tried_on():
    world = down(World(PLAN).at("59m"), "70", "ana").fires("Down", service="checkout").at("59m30s")
    world.put_in_force(PLAN.replace(b"with ben}", b"with ben, only: Mon 00:00-04:00}"))
    assert (74, "ana") in left(world.at("80m"))


def test_where_whoever_is_on_call_by_then_can_be_reached_by_nothing_it_is_tried_on():
    plan = PLAN.replace(b"ben: {name: Ben, email: ben@shop.example}", b"ben: {name: Ben}")
    world = down(World(plan).at("59m"), "70", "ana").fires("Down", service="checkout").at("80m")
    assert (74, "ana") in left(world)


def test_what_reached_her_in_her_shift_by_another_method_is_enough():
    world = World(PLAN).at("50m")
    world.has("ana", "https://hooks.example/ana")
    world.answers = lambda page: "retry" if page.person == "ana" and page.channel == "email" else "sent"
    world.at("59m").fires("Down", service="checkout").at("75m")
    assert [person for _, person in left(world)] == ["ana"]


def test_of_a_message_about_several_each_goes_to_who_is_on_call():
    world = down(World(PLAN).at("59m"), "70", "ana")
    for n in range(6):
        world.fires(f"Down{n}", service="checkout", host=str(n))
    world.at("2h")
    for n in range(1, 7):
        people = {row.person for row in world.rows(n) if row.left}
        assert "ana" not in people and "ben" in people, n


def test_an_override_that_ends_is_the_end_of_a_shift():
    world = down(World(PLAN.replace(b"page: kei", b"page: ben").replace(b"resort: kei", b"resort: ben")), "40", "kei")
    made = AddOverride(
        actor="person:kei", schedule="p", person="kei", starts_at=world.now + MINUTE, ends_at=world.now + 20 * MINUTE
    )
    assert world.asked(made).ok
    world.at("19m").fires("Down", service="checkout").at("39m")
    assert "ana" in [person for _, person in left(world)] and not any(row.left for row in world.rows(1, "kei"))


NEXT = PLAN.replace(b"page: p, wait: 55m}, {page: kei, wait: 55m", b"page: p, wait: 5m}, {page: next on p, wait: 5m")
"""Whoever is on call, and then whoever is next."""


def test_whoever_comes_on_call_keeps_the_page_they_got_as_the_next_though_the_last_resort_was_paged_since():
    world = down(World(NEXT).at("50m"), "70", "ben").fires("Down", service="checkout").at("80m")
    assert [person for _, person in left(world)] == ["ana", "kei", "ben"]
    assert [row.outcome for row in world.rows(1, "ben")] == ["sent"]
    assert dump(world.replayed().state) == dump(world.engine.state)


def test_what_is_owed_of_a_step_for_the_next_goes_to_whom_it_meant_though_they_came_on_call():
    plan = NEXT.replace(b"page: p, wait: 5m", b"page: p, wait: 2m")
    plan = plan.replace(b"next on p, wait", b"next on p, repeat: 3, wait")
    world = down(World(plan).at("54m"), "57", "ben").fires("Down", service="checkout").at("80m")
    assert left(world) == [(54, "ana"), (56, "kei"), (57, "ben"), (61, "ben"), (66, "ben")]


def test_so_do_they_where_whoever_was_on_call_before_was_passed_over():
    plan = NEXT.replace(b"ana: {name: Ana, email: ana@shop.example}", b"ana: {name: Ana}")
    world = down(World(plan).at("50m"), "70", "ben").fires("Down", service="checkout").at("79m")
    assert [person for _, person in left(world)] == ["kei", "kei", "ben"]


def test_whoever_was_on_call_and_is_next_now_gives_way_to_who_is_on_call():
    world = down(World(NEXT).at("59m"), "70", "ana").fires("Down", service="checkout").at("80m")
    assert [row.outcome for row in world.rows(1, "ana")] == ["relieved"]
    assert left(world)[0] == (59, "ben")


def test_two_that_change_places_keep_their_pages():
    layer = b"{rotate: [ana, ben], every: hour, handoff: 00:00, starts: 2026-11-23 with ben}"
    both = b"schedules: {s: {handoff notice: off, layers: [" + layer + b"]}, "
    plan = NEXT.replace(b"next on p", b"s").replace(b"schedules: {", both.replace(b"with ben", b"with ana"))
    world = down(World(plan).at("50m"), "70", "ben").fires("Down", service="checkout").at("80m")
    assert [person for _, person in left(world)] == ["ana", "kei", "ben"]


def test_who_comes_on_call_is_paged_though_a_page_reached_them_before_somebody_took_it():
    alone = PLAN.replace(b"wait: 55m}, {page: kei, wait: 55m}]", b"wait: 55m}]")
    world = World(alone.replace(b"escalation: shop}, search", b"escalation: shop, acknowledge for: 59m}, search"))
    down(world.at("5m").fires("Down", service="checkout").at("6m"), "600", "ben").acknowledges(1)
    world.at("124m")
    assert left(world) == [(5, "ana"), (65, "kei"), (95, "kei"), (120, "ana")]


def test_nobody_is_paged_twice_who_was_paged_beside_them():
    plan = PLAN.replace(b"page: p, wait: 55m", b"page: [p, ben], wait: 55m")
    world = down(World(plan).at("59m"), "70", "ana").fires("Down", service="checkout").at("80m")
    assert left(world) == [(59, "ben")] and [row.outcome for row in world.rows(1, "ana")] == ["relieved"]


def test_outside_of_the_hours_a_step_asks_for_nobody_comes_in_their_place():
    plan = PLAN.replace(b"{page: p, wait: 55m}", b"{page: p, wait: 55m, when: {hours: office}}")
    world = World(plan.replace(b"escalations:", b"hours: {office: {open: Mon 00:00-04:00}}\nescalations:"))
    down(world.at("59m"), "70", "ana").fires("Down", service="checkout").at("2h")
    assert left(world) == [(59, "kei"), (74, "ana"), (114, "kei")]


def test_a_shadows_copy_that_is_refused_for_now_is_tried_on_and_nobodys_shift_is_said_to_have_ended():
    world = World(PLAN.replace(b"with ben}", b"with ben, shadow: kei}")).at("30m")
    world.answers = lambda page: "retry" if page.kind == "copy" and world.now < START + 40 * MINUTE else "sent"
    world.fires("Down", service="checkout").at("50m")
    assert [row.outcome for row in world.rows(1, "kei")] == ["sent"]
    assert not any("shift" in entry.what for entry in world.timeline)


CALLED = PLAN.replace(
    b"\nmail:", b'\nchannels: {twilio: {account: AC0123, token: secret:twilio, from: "+34910000000"}}\nmail:'
).replace(b"ana: {name: Ana, email: ana@shop.example}", b"ana: {name: Ana}")
ANA = "+34600000001"


def rings_in_vain(world: World) -> None:
    """Nobody takes the last call to Ana."""
    row = [one for one in world.told_pages if one.channel == "call"][-1]
    world.apply(Receipted(row.id, "no_answer", "Twilio says no_answer"))


def test_who_did_not_pick_up_is_not_called_again_beyond_their_shift_and_who_is_on_call_now_is_paged():
    world = World(CALLED).at("50m")
    world.has("ana", ANA, channel="call")
    world.at("59m").fires("Down", service="checkout").at("59m40s")
    rings_in_vain(world)
    world.at("80m")
    assert left(world) == [(60, "ben")]
    assert "The shift of Ana ended before they picked up the telephone: paging Ben" in [e.what for e in world.timeline]
    assert [row.outcome for row in world.rows(1, "ana")] == ["no_answer", "relieved"]
    assert dump(world.replayed().state) == dump(world.engine.state)


def test_nor_is_who_has_the_mail_of_that_page():
    world = World(CALLED.replace(b"ana: {name: Ana}", b"ana: {name: Ana, email: ana@shop.example}")).at("50m")
    world.has("ana", ANA, channel="call")
    world.at("59m").fires("Down", service="checkout").at("59m40s")
    rings_in_vain(world)
    assert left(world.at("80m")) == [(59, "ana"), (60, "ben")]


def test_who_did_not_pick_up_is_called_again_where_nobody_else_can_be_reached_by_then():
    world = World(CALLED.replace(b"ben: {name: Ben, email: ben@shop.example}", b"ben: {name: Ben}")).at("50m")
    world.has("ana", ANA, channel="call")
    world.at("59m").fires("Down", service="checkout").at("59m40s")
    rings_in_vain(world)
    assert left(world.at("80m")) == [(60, "ana")]


def test_nobody_is_called_about_what_is_anothers_by_now_beside_what_is_still_theirs():
    plan = CALLED.replace(b"search: {escalation: shop}", b"search: {escalation: still}")
    world = World(plan.replace(b"escalations: {", b"escalations: {still: [{page: ana, wait: 55m}], ")).at("50m")
    world.has("ana", ANA, channel="call")
    world.at("59m").fires("Slow", service="search").fires("Down", service="checkout").at("59m40s")
    rings_in_vain(world)
    world.at("60m20s")
    rings_in_vain(world)
    world.at("61m20s")
    assert [row.outcome for row in world.rows(1, "ana")] == ["no_answer", "no_answer", "sent"]
    assert [row.outcome for row in world.rows(2, "ana")] == ["no_answer", "relieved"]
    assert [row.left for row in world.rows(2, "ben")] == [True]


def test_whose_shift_ends_while_it_rings_gets_no_other_message_and_who_is_on_call_is_paged_at_once():
    world = World(CALLED.replace(b"ana: {name: Ana}", b"ana: {name: Ana, email: ana@shop.example}")).at("50m")
    world.has("ana", ANA, channel="call")
    world.at("59m30s").fires("Down", service="checkout").at("60m10s")
    rings_in_vain(world)
    assert next(row.outcome for row in world.rows(1, "ana")) == "no_answer"
    assert not any(row.left for row in world.rows(1, "ana")) and [row.left for row in world.rows(1, "ben")] == [True]
    assert left(world.at("80m")) == [(60, "ben")]
    assert dump(world.replayed().state) == dump(world.engine.state)
