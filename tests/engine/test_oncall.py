"""Stories of who is paged when schedules say who is on call, told in virtual time with the real engine."""

from __future__ import annotations

from tests.engine.world import World, dump
from tocsin.engine.commands import AddOverride
from tocsin.kernel.instant import HOUR
from tocsin.runtime.composing import compose

# The world begins on Monday 2026-11-23 at 03:00 UTC.
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
schedules:
  primary:
    layers:
      - {rotate: [ana, ben], every: day, handoff: 04:00, starts: 2026-11-22 with ana}
  hours:
    layers:
      - {rotate: kei, only: 05:00-06:00}
  watched:
    layers:
      - {rotate: [ana, ben, kei], every: day, handoff: 04:00, starts: 2026-11-22 with ana, shadow: zoe}
  lone:
    layers:
      - {rotate: kei}
  empty:
    layers:
      - {rotate: kei, only: 05:00-06:00, shadow: zoe}
escalations:
  shop:
    - {page: primary, wait: 30m, repeat: 3}
    - {page: next on watched, wait: 10m}
  office:
    - {page: [hours, next on primary], wait: 5m}
    - {page: ben}
  quiet:
    - {page: hours, wait: 5m}
    - {page: empty, wait: 5m}
    - {page: ben, wait: 5m}
  shadowed:
    - {page: watched, wait: 30m}
    - {page: ben, wait: 30m}
  offset:
    - {page: ana, wait: 5m}
    - {page: next on lone, wait: 5m}
    - {page: kei, wait: 5m}
  turns:
    - {page one of: [team shop], wait: 10m, repeat: 2}
services:
  checkout: {escalation: shop}
  office: {escalation: office}
  quiet: {escalation: quiet}
  shadowed: {escalation: shadowed}
  turns: {escalation: turns}
  offset: {escalation: offset}
routes:
  - {match: ['job="checkout"'], service: checkout}
  - {match: ['job="office"'], service: office}
  - {match: ['job="quiet"'], service: quiet}
  - {match: ['job="shadowed"'], service: shadowed}
  - {match: ['job="turns"'], service: turns}
  - {match: ['job="offset"'], service: offset}
"""


def said(world: World, incident: int = 1) -> list[str]:
    """The lines of an incident's timeline on paging."""
    return [
        entry.what
        for entry in world.timeline
        if entry.incident == incident and ("aging" in entry.what or "nobody" in entry.what)
    ]


def test_who_is_on_call_when_the_step_is_due_is_paged():
    """Ana until 04:00, Ben from then: the second time the step is paged it reaches him."""
    world = World(PLAN).at("45m").fires("Down", job="checkout").at("80m")
    assert world.pages == [("2700s", "ana", 1), ("4500s", "ben", 1)]
    assert said(world) == [
        "Paging Ana (primary, layer 1); next in 30 min if nobody answers",
        "Paging Ben (primary, layer 1); next in 30 min if nobody answers",
    ]


def test_schedules_stay_live_while_an_incident_is_open():
    """The incident keeps its steps; who is on call is asked of the plan in force."""
    world = World(PLAN).fires("Down", job="checkout").at("10m")
    world.put_in_force(PLAN.replace(b"rotate: [ana, ben], every: day, handoff: 04:00, starts: 2026-11-22 with ana",
                                    b"rotate: kei"))  # fmt: skip
    world.at("31m")
    assert [page for page in world.pages if page[2]] == [("0s", "ana", 1), ("1800s", "kei", 1)]


def test_a_step_whose_schedule_has_nobody_on_shift_falls_through_at_once_and_says_so():
    world = World(PLAN).fires("Down", job="quiet").at("1m")
    assert world.pages == [("0s", "ben", 1), ("0s", "zoe", 1)], "the next step, and the last resort beside it"
    assert said(world)[:2] == [
        "Step 1 reaches nobody: nobody is on call by hours",
        "Step 2 reaches nobody: nobody is on call by empty",
    ]
    assert world.told(1)[1:4] == ["nobody_reachable", "nobody_reachable", "step_due"]


def test_a_step_whose_people_have_no_way_to_be_reached_says_that_and_not_that_nobody_is_on_call():
    world = World(PLAN.replace(b"ana: {name: Ana, email: ana@shop.example}", b"ana: {name: Ana}"))
    world.fires("Down", job="checkout").at("1m")
    assert said(world)[0] == "Step 1 reaches nobody: Ana can be reached by nothing"


def test_a_turn_that_nobody_has_is_said_as_what_it_is_while_somebody_is_on_call():
    """Kei alone is on the schedule, and on call: nobody is next on it. Ana reads who is paged in that place."""
    world = World(PLAN)
    world.answers = lambda page: "never"
    world.fires("Down", job="offset")
    (row,) = world.rows(1)
    message = compose(world.engine.state, world.engine.plan, row, world.now, "", b"k")
    assert message is not None
    assert message.next_step == "Kei, Zoe are paged at 03:05:00 if nobody answers"
    world.at("6m")
    assert "Step 2 reaches nobody: nobody is next on lone" in said(world)
    assert world.pages[1:] == [("300s", "kei", 1), ("300s", "zoe", 1)]


def test_a_schedule_that_left_the_plan_has_nobody_on_shift():
    world = World(PLAN).fires("Down", job="checkout").at("10m")
    gone = PLAN.replace(b"  primary:\n", b"  other:\n").replace(b"page: primary", b"page: other")
    world.put_in_force(gone.replace(b"next on primary", b"next on other"))
    world.at("31m")
    assert world.pages[1:] == [("1800s", "ben", 1), ("1800s", "zoe", 1)], "next on watched, and the last resort"
    assert "Step 1 reaches nobody: the plan has no schedule primary" in said(world)


def test_a_step_of_somebody_who_left_the_plan_says_so():
    plan = PLAN.replace(b"{page: kei, wait: 5m}\n  turns", b"{page: [kei, team two], wait: 5m}\n  turns")
    world = World(plan.replace(b"last resort", b"teams: {two: {members: [kei]}}\nlast resort"))
    world.fires("Down", job="offset").at("1m")
    world.put_in_force(PLAN.replace(b"kei", b"max").replace(b"Kei", b"Max"))
    world.at("6m")
    said_of_it = [entry.what for entry in world.timeline]
    assert "Step 3 reaches nobody: kei is not in the plan and the plan has no team two" in said_of_it


def test_the_next_on_a_schedule_is_who_has_the_turn_after():
    world = World(PLAN).fires("Down", job="office").at("1m")
    assert world.pages == [("0s", "ben", 1)]
    assert said(world) == ["Paging Ben (next on primary, layer 1); next in 5 min if nobody answers"]


def test_a_shadow_gets_a_copy():
    world = World(PLAN).fires("Down", job="shadowed").at("1m")
    assert world.pages == [("0s", "ana", 1), ("0s", "zoe", 1)]
    kinds = {page.person: page.kind for page in world.engine.state.pages.values()}
    assert kinds == {"ana": "page", "zoe": "copy"}
    assert said(world) == ["Paging Ana (watched, layer 1), with a copy to Zoe; next in 30 min if nobody answers"]


def test_of_low_urgency_a_shadows_copy_waits_for_their_morning_and_leaves_at_once_when_it_becomes_urgent():
    low = PLAN.replace(b"shadowed: {escalation: shadowed}", b"shadowed: {escalation: shadowed, urgency: {sev3: low}}")
    world = World(low.replace(b"zoe: {name: Zoe", b"zoe: {name: Zoe, timezone: America/New_York"))
    world.at("6h").fires("Slow", job="shadowed", severity="warning").at("6h40m")
    assert {person for _, person, incident in world.pages if incident} == {"ben"}, "09:00 for Ben, 04:00 for Zoe"
    assert [(row.kind, row.held) for row in world.rows(1, "zoe")] == [("copy", "quiet_hours")]
    world.fires("Slow", job="shadowed", severity="critical", host="b")
    assert [row.kind for row in world.rows(1, "zoe")] == ["copy", "copy"], "and is a copy still"
    assert ("24000s", "zoe", 1) in world.pages


def test_a_shadow_is_never_the_only_one_reached():
    """Ana's page fails, Zoe's copy arrives: the step reached nobody, and the next one follows at once."""
    world = World(PLAN)
    world.answers = lambda page: "failed" if page.person == "ana" else "sent"
    world.fires("Down", job="shadowed").at("1m")
    assert [who for _, who, _ in world.pages if who != "zoe"] == ["ana", "ben"]
    assert "nobody_reachable" in world.told(1)


def test_a_copy_that_fails_changes_nothing():
    world = World(PLAN)
    world.answers = lambda page: "failed" if page.kind == "copy" else "sent"
    world.fires("Down", job="shadowed").at("20m")
    assert world.pages == [("0s", "ana", 1), ("0s", "zoe", 1)]
    assert "nobody_reachable" not in world.told(1)


def test_an_acknowledgement_overtakes_copies_too():
    world = World(PLAN)
    world.answers = lambda page: "never" if page.kind == "copy" else "sent"
    world.fires("Down", job="shadowed").at("1m")
    world.acknowledges(1)
    assert {page.kind: page.state for page in world.engine.state.pages.values()} == {
        "page": "sent", "copy": "overtaken",
    }  # fmt: skip


def test_one_of_several_is_paged_in_turn():
    """From incident to incident, and from one time to the next."""
    world = World(PLAN)
    for place in range(5):
        world.fires(f"Down{place}", job="turns")
    assert [(person, incident) for _, person, incident in world.pages] == [
        ("ana", 1), ("ben", 2), ("kei", 3), ("zoe", 4), ("ana", 5),
    ]  # fmt: skip
    world.at("10m")
    assert [(person, incident) for _, person, incident in world.pages[5:]] == [
        ("ben", 1), ("kei", 2), ("zoe", 3), ("ana", 4), ("ben", 5),
    ]  # fmt: skip


def test_the_journal_again_pages_the_same_people():
    world = World(PLAN).at("45m").fires("Down", job="checkout").fires("Up", job="shadowed").at("3h")
    replayed = world.replayed()
    assert {id: page.person for id, page in replayed.state.pages.items()} == {
        id: page.person for id, page in world.engine.state.pages.items()
    }
    assert world.restarted().engine.state.pages.keys() == replayed.state.pages.keys()


HANDED_OVER = PLAN.replace(
    b"  offset:\n    - {page: ana, wait: 5m}\n    - {page: next on lone, wait: 5m}\n",
    b"  offset:\n    - {page: watched, wait: 5m}\n    - {page: next on watched, wait: 5m}\n",
).replace(b"checkout: {escalation: shop}", b"checkout: {escalation: offset}")


def test_a_handoff_between_two_steps_passes_nobody_over_and_pages_nobody_twice():
    """Two minutes before Ben has the turn Ana is paged; the next after hers is Ben's, who is on call by then."""
    world = World(HANDED_OVER)
    answers, world.answers = world.answers, lambda page: "never"
    world.at("58m").fires("Down", job="checkout")
    (first,) = (row for row in world.rows(1) if row.kind == "page")
    message = compose(world.engine.state, world.engine.plan, first, world.now, "https://t.example", b"k")
    assert message is not None
    assert message.next_step == "Ben is paged at 04:03:00 if nobody answers"
    world.answers = answers
    world.at("1h20m")
    assert [(when, who) for when, who, _ in world.pages if who != "zoe"] == [
        ("3480s", "ana"), ("3780s", "ben"), ("4080s", "kei")
    ]  # fmt: skip


def test_who_comes_on_call_between_two_steps_other_than_by_turns_is_paged_beside_the_next():
    world = World(HANDED_OVER)
    world.fires("Down", job="checkout").at("2m")
    world.asked(AddOverride(actor="x", schedule="watched", person="zoe", starts_at=world.now, ends_at=world.now + HOUR))
    world.at("5m")
    assert [(when, who) for when, who, _ in world.pages if when == "300s"] == [("300s", "ben"), ("300s", "zoe")]
    assert "Paging Ben (next on watched, layer 1), Zoe (watched, override 1)" in said(world)[-1]
    assert dump(world.replayed().state) == dump(world.engine.state)
