"""Stories of steps that ask for something, of several who must answer, and of policies by severity and hours."""

from __future__ import annotations

import msgspec
import pytest

from tests.engine.world import START, World, dump
from tocsin.engine.commands import Acknowledge, AddOverride, ApplyPlan, Reassign, SetReach
from tocsin.engine.inputs import CalendarRead, Delivered
from tocsin.kernel.instant import DAY, HOUR, MINUTE, Duration
from tocsin.oncall.imported import Busy
from tocsin.pages.rules import Reach

# They begin on Monday 2026-11-23 at 03:00 UTC.
PLAN = b"""
tocsin: 1
team: shop
people:
  ana: {name: Ana, email: ana@shop.example}
  ben: {name: Ben, email: ben@shop.example}
  kei: {name: Kei, email: kei@shop.example, timezone: Asia/Tokyo}
  zoe: {name: Zoe, email: zoe@shop.example}
mail: {server: smtp://localhost:25, from: tocsin@shop.example}
last resort: zoe
calendars: {days-off: {ical: https://calendar.example/days-off.ics}}
hours:
  office: {open: Mon-Fri 09:00-17:00, closed: 2026-11-24, holidays: days-off}
schedules:
  desk:
    handoff notice: off
    layers: [{rotate: kei}, {rotate: ana, only: office}]
escalations:
  asking:
    - {page: ana, when: {hours: office}, wait: 5m}
    - {page: ben, when: {severity: [sev1], match: customer_tier=gold}, wait: 5m}
    - {page: kei, wait: 5m}
  grave: [{page: [ana, ben], wait: 10m}]
  pair: [{page: [ana, ben], wait: 10m, until acknowledged by: 2}, {page: kei, wait: 10m}]
services:
  one: {escalation: asking}
  two: {escalation: {sev1: grave, sev3: asking}}
  three: {escalation: pair, acknowledge for: 1h}
  four: {escalation: asking, urgency: low, hours: office}
  desk: {escalation: grave}
"""


def paged(world: World) -> list[tuple[str, str]]:
    return [(at, person) for at, person, address, kind in world.left if kind == "page"]


def test_a_step_that_asks_for_other_hours_or_labels_is_passed_over_at_once():
    world = World(PLAN).fires("Down", service="one", severity="warning").at("4m")
    assert paged(world) == [("0s", "kei")]
    assert world.told(1).count("step_not_meant") == 2
    what = [entry.what for entry in world.timeline if entry.reason == "step_not_meant"]
    assert what == [
        "Step 1 is passed over: it is for the hours office",
        'Step 2 is passed over: it is for sev1, customer_tier="gold"',
    ]
    world.at("6h").fires("Slow", service="one", customer_tier="gold").at("6h6m")
    assert {("21600s", "ana"), ("21900s", "ben")} <= set(paged(world))


def test_of_an_incident_that_is_opened_again_the_labels_count_that_opened_it_again():
    world = World(PLAN).fires("Down", service="one", customer_tier="silver")
    assert paged(world) == [("0s", "kei")]
    world.at("1m").resolves("Down", service="one", customer_tier="silver")
    world.at("5m").fires("Down", service="one", customer_tier="gold")
    assert world.incident(1).reopened == 1 and world.incident(1).labels["customer_tier"] == "gold"
    assert paged(world)[1:] == [("300s", "ben")]


def test_when_no_step_is_for_it_the_last_resort_is_paged():
    plan = PLAN.replace(b"    - {page: kei, wait: 5m}\n  grave", b"  grave")
    assert paged(World(plan).fires("Down", service="one")) == [("0s", "zoe")]


def test_holidays_of_a_calendar_close_the_hours_and_closed_days_a_layer():
    world = World(PLAN)
    world.apply(CalendarRead("days-off", (Busy(START + 8 * HOUR, START + 9 * HOUR, False, "all hands"),)))
    world.at("8h30m").fires("Down", service="one")
    assert paged(world) == [("30600s", "kei")]
    rosters = world.engine.plan.rosters
    assert [shift.person for shift in rosters["desk"].who(START + 8 * HOUR)] == ["ana"]
    assert [shift.person for shift in rosters["desk"].who(START + 32 * HOUR)] == ["kei"]  # Tuesday is closed


def test_low_urgency_waits_for_the_hours_of_its_service():
    """Until Wednesday at nine when it comes on Monday evening: Tuesday is closed."""
    world = World(PLAN).at("16h").fires("Down", service="four")
    assert (world.incident(1).waits, world.incident(1).next_at) == ("closed_hours", START + 54 * HOUR)
    world.at("54h")
    assert paged(world) == [("194400s", "ana")]


def test_each_severity_has_its_escalation_and_one_that_becomes_graver_takes_that():
    world = World(PLAN).fires("Down", service="two", severity="warning").at("1m")
    assert paged(world) == [("0s", "kei")]
    world.fires("Down", service="two", severity="critical", instance="b")
    assert paged(world)[1:] == [("60s", "ana"), ("60s", "ben")]
    assert "The escalation for sev1 applies" in [entry.what for entry in world.timeline]


def test_paging_goes_on_until_enough_people_have_it():
    world = World(PLAN).fires("Down", service="three").at("1m")
    first = world.asked(Acknowledge(incident=1, actor="person:ana"))
    assert (first.ok, first.reason, world.incident(1).state) == (True, "answered", "triggered")
    world.at("10m")
    assert paged(world) == [("0s", "ana"), ("0s", "ben"), ("600s", "kei")]
    second = world.asked(Acknowledge(incident=1, actor="person:kei"))
    assert (second.reason, world.incident(1).state) == ("acknowledged", "acknowledged")
    world.at("1h9m")
    assert len(paged(world)) == 3
    world.at("1h10m")  # it ran out: everybody is asked anew
    assert paged(world)[3:] == [("4200s", "ana"), ("4200s", "ben")]


def test_the_same_person_twice_is_one_and_when_nobody_else_is_left_one_is_enough():
    pair = b"page: [ana, ben], wait: 10m, until acknowledged by: 2}, {page: kei, wait: 10m}"
    plan = PLAN.replace(pair, b"page: ana, wait: 10m, until acknowledged by: 5}")
    plan = plan.replace(b"last resort: zoe", b"last resort: ben")
    world = World(plan).fires("Down", service="three")
    for _ in range(2):
        assert world.asked(Acknowledge(incident=1, actor="person:ana")).reason == "answered"
    assert world.asked(Acknowledge(incident=1, actor="person:ben")).reason == "acknowledged"


def test_a_graver_incident_with_hours_does_not_wait_for_them():
    plan = PLAN.replace(b"urgency: low, hours", b"urgency: {sev3: low}, hours")
    world = World(plan).at("16h").fires("Down", service="four", severity="warning").at("17h")
    assert paged(world) == []
    world.fires("Down", service="four", severity="critical", instance="b")
    assert paged(world) == [("61200s", "kei")]


def has_it(world: World, person: str, hold: Duration | None = None) -> str:
    return str(world.asked(Acknowledge(incident=1, actor=f"person:{person}", hold=hold)).reason)


def test_an_answer_of_several_ends_and_whoever_gave_it_is_paged_again():
    world = World(PLAN).fires("Down", service="three").at("1m")
    assert has_it(world, "ana") == "answered"
    world.at("1h").left.clear()
    world.at("2h")
    first = next(at for at, person in paged(world) if person == "ana")
    assert 61 * 60 <= int(first[:-1]) <= 2 * 3600
    assert world.told(1).count("acknowledgement_ended") == 1


def test_an_answer_holds_for_as_long_as_was_asked_and_again_when_it_is_given_again():
    world = World(PLAN).fires("Down", service="three").at("1m")
    has_it(world, "ana", 3 * HOUR)
    world.at("2h")
    has_it(world, "ana", 3 * HOUR)
    world.left.clear()
    world.at("4h59m")
    assert "ana" not in {person for _, person in paged(world)}
    world.at("6h")
    assert "ana" in {person for _, person in paged(world)}


def test_it_is_acknowledged_when_everybody_who_could_be_paged_has_answered_meanwhile():
    """Ben has it when Ana answers; at four Ana takes over, and nobody else is left."""
    plan = PLAN.replace(b"page: [ana, ben], wait: 10m, until acknowledged by: 2}, {page: kei, wait: 10m}",
                        b"page: [ana, turns], wait: 10m, until acknowledged by: 2}")  # fmt: skip
    turns = b"schedules:\n  turns:\n    handoff notice: off\n"
    turns += b"    layers: [{rotate: [ben, ana], every: day, handoff: '04:00', starts: 2026-11-22 with ben}]"
    plan = plan.replace(b"schedules:", turns).replace(b"last resort: zoe", b"last resort: ana")
    world = World(plan).at("30m").fires("Down", service="three").at("31m")
    assert has_it(world, "ana") == "answered"
    world.at("59m")
    assert [person for _, person in paged(world)][:2] == ["ana", "ben"]
    world.at("1h21m")
    one = world.incident(1)
    assert (one.state, one.acknowledged_by) == ("acknowledged", "person:ana")
    assert one.acknowledged_until == START + 91 * MINUTE, "for as long as Ana said, not anew"
    assert not any(entry.what.startswith("Paging nobody") for entry in world.timeline)
    world.left.clear()
    world.at("91m")
    assert paged(world) == [("5460s", "ana")]


def test_whoever_answered_is_paged_anew_when_it_becomes_graver():
    plan = PLAN.replace(b"{sev1: grave, sev3: asking}", b"{sev1: grave, sev3: pair}")
    plan = plan.replace(b"grave: [{page: [ana, ben]", b"grave: [{page: ana")
    world = World(plan).fires("Down", service="two", severity="warning").at("1m")
    assert has_it(world, "ana") == "answered"
    world.left.clear()
    world.at("2m").fires("Down", service="two", severity="critical", instance="b")
    assert paged(world) == [("120s", "ana")]


def test_whoever_answered_is_paged_when_it_is_given_to_them():
    world = World(PLAN).fires("Down", service="three").at("1m")
    has_it(world, "ana")
    world.left.clear()
    assert world.asked(Reassign(incident=1, actor="person:ben", person="ana")).ok
    assert paged(world) == [("60s", "ana")]


@pytest.mark.parametrize("at", ["1m", "12m"])
def test_whom_it_was_given_to_has_it_alone_whatever_its_steps_ask_for(at):
    """The first step asks for two: nobody of it is paged any more, and nothing else is said."""
    world = World(PLAN).fires("Down", service="three").at(at)
    assert world.asked(Reassign(incident=1, actor="person:ana", person="zoe")).ok
    assert has_it(world, "zoe") == "acknowledged"
    assert world.incident(1).acknowledged_by == "person:zoe"


def test_a_step_that_reaches_only_those_who_answered_is_passed_over():
    """Ben has only the console: once Ana has answered, nobody would hear of it for ten minutes."""
    pair = b"page: [ana, ben], wait: 10m, until acknowledged by: 2}"
    plan = PLAN.replace(pair, pair[:-1] + b", repeat: 2}").replace(
        b"{name: Ben, email: ben@shop.example}", b"{name: Ben}"
    )
    world = World(plan).fires("Down", service="three").at("1m")
    has_it(world, "ana")
    world.left.clear()
    world.at("10m")
    assert set(paged(world)) == {("600s", "kei"), ("600s", "zoe")}
    assert "nobody_reachable" in world.told(1)


def test_a_step_whose_others_are_refused_has_reached_nobody_though_somebody_answered():
    world = World(PLAN)
    world.answers = lambda page: "never" if page.person == "ben" else "sent"
    world.fires("Down", service="three").at("1m")
    has_it(world, "ana")
    world.left.clear()
    world.at("2m").apply(Delivered(world.rows(1, "ben")[0].id, "failed", "address", "550 no such mailbox"))
    assert ("120s", "kei") in paged(world)


SEASON = CalendarRead("days-off", (Busy(START, START + 200 * DAY, False, "Project season"),))


def closed_for_long(**more: str) -> World:
    """Incident 1 waits 200 days for the hours of its service. It is Monday, ten o'clock."""
    world = World(PLAN)
    world.apply(SEASON)
    world.at("7h").fires("Down", service="four", **more)
    assert (world.incident(1).waits, world.incident(1).next_at) == ("closed_hours", START + 200 * DAY + 6 * HOUR)
    return world


def test_what_waits_for_hours_is_paged_at_once_when_the_calendar_is_corrected():
    world = closed_for_long().at("8h")
    world.apply(SEASON)
    world.apply(CalendarRead("days-off", error="it answered 503"))
    assert world.told(1).count("closed_hours") == 1, "read again, and nothing is new"
    world.apply(CalendarRead("days-off", ()))
    assert paged(world) == [("28800s", "ana")]
    assert world.incident(1).waits is None


def test_what_waits_for_hours_waits_for_the_new_ones_when_a_calendar_changes():
    world = closed_for_long().at("8h")
    world.apply(CalendarRead("days-off", (Busy(START, START + 9 * HOUR, False, "Breakfast"),)))
    assert (world.incident(1).waits, world.incident(1).next_at) == ("closed_hours", START + 9 * HOUR)
    world.at("9h")
    assert paged(world) == [("32400s", "ana")]


def test_what_waits_is_paged_when_the_plan_makes_it_urgent_or_opens_the_hours():
    for plan in (
        PLAN.replace(b"urgency: low, hours: office", b"urgency: high"),
        PLAN.replace(b"urgency: low, hours: office", b"urgency: low"),
        PLAN.replace(b", holidays: days-off", b""),
    ):
        world = closed_for_long().at("8h")
        world.put_in_force(plan)
        assert len(paged(world)) == 1, plan
        assert world.incident(1).waits is None
        assert world.replayed().state.incidents[1].next_at == world.incident(1).next_at


def test_what_waits_while_silenced_is_paged_when_the_silence_ends_if_the_hours_changed_meanwhile():
    world = closed_for_long()
    world.silences('alertname="Down"', for_="2h")
    world.at("8h").apply(CalendarRead("days-off", ()))
    assert paged(world) == []
    world.at("9h")
    assert paged(world) == [("32400s", "ana")]


def test_a_step_that_is_still_to_come_asks_nobody_for_more_answers():
    """One answer ends the paging at a step that asks for one, whatever the next would have asked for."""
    steps = b"{page: [ana, ben], wait: 10m, until acknowledged by: 2}, {page: kei, wait: 10m}"
    turned = b"{page: kei, wait: 10m}, {page: [ana, ben], wait: 10m, until acknowledged by: 2}"
    world = World(PLAN.replace(steps, turned)).fires("Down", service="three").at("1m")
    assert has_it(world, "kei") == "acknowledged"
    world.at("30m")
    assert paged(world) == [("0s", "kei")]


def test_whoever_is_nobody_of_the_plan_counts_once():
    """A token or a user without a person is one of the two who are asked for, not both."""
    world = World(PLAN).fires("Down", service="three").at("1m")
    for actor in ("token:deploys", "token:deploys"):
        assert str(world.asked(Acknowledge(incident=1, actor=actor)).reason) == "answered"
    assert world.incident(1).state == "triggered"
    assert has_it(world, "ben") == "acknowledged"


def test_what_a_persons_token_answers_is_their_answer():
    """Once, however they say it; and they are not paged again while others are."""
    world = World(PLAN).fires("Down", service="three").at("1m")
    for actor in ("person:ben (token ci)", "person:ben", "person:ben (token laptop)"):
        assert str(world.asked(Acknowledge(incident=1, actor=actor)).reason) == "answered"
    assert set(world.incident(1).answers) == {"ben"}
    assert has_it(world, "kei") == "acknowledged"


AWAKE = b"""
tocsin: 1
team: shop
people:
  ana: {name: Ana, email: ana@shop.example}
  kei: {name: Kei, email: kei@shop.example, timezone: Asia/Tokyo}
mail: {server: smtp://localhost:25, from: tocsin@shop.example}
schedules: {desk: {handoff notice: off, layers: [{rotate: ana}]}}
escalations: {desk: [{page: desk, wait: 10m}], both: [{page: [ana, kei], wait: 10m}]}
services: {one: {escalation: desk, urgency: low}, two: {escalation: both, urgency: low}}
"""


def test_what_waits_for_a_morning_is_paged_in_the_input_that_puts_somebody_on_call_who_is_awake():
    """It is three o'clock with Ana, and noon with Kei. What is taken back is judged again as well."""
    world = World(AWAKE).fires("Down", service="one")
    assert (world.incident(1).waits, world.incident(1).next_at) == ("quiet_hours", START + 5 * HOUR)
    over = AddOverride(actor="person:ana", schedule="desk", person="kei", starts_at=START, ends_at=START + HOUR)
    assert world.asked(over).ok
    assert paged(world) == [("0s", "kei")]
    assert world.incident(1).waits is None
    assert world.replayed().state.incidents[1].next_at == world.incident(1).next_at


def test_an_override_that_is_only_asked_for_or_is_for_another_time_leaves_what_waits_alone():
    world = World(AWAKE).fires("Down", service="one")
    later = AddOverride(
        actor="person:ana", schedule="desk", person="kei", starts_at=START + HOUR, ends_at=START + 2 * HOUR
    )
    assert world.asked(later).ok
    assert (paged(world), world.told(1).count("quiet_hours")) == ([], 1)


def test_edited_quiet_hours_count_for_what_waits_for_a_morning():
    """The incident that waits as a whole, and Ana's page beside Kei's, which left at once."""
    world = World(AWAKE).fires("Down", service="one").fires("Slow", service="two")
    assert paged(world) == [("0s", "kei")]
    later = SetReach(actor="person:ana", reach=Reach(person="ana", quiet_from=22 * 60, quiet_until=9 * 60))
    assert world.asked(later).ok
    assert world.incident(1).next_at == START + 6 * HOUR
    assert [page.not_before for page in world.rows(2, "ana")] == [START + 6 * HOUR]
    world.left.clear()
    none = SetReach(actor="person:ana", reach=Reach(person="ana", quiet_from=0, quiet_until=0))
    assert world.asked(none).ok
    assert paged(world) == [("0s", "ana"), ("0s", "ana")]


TIERED = b"""
tocsin: 1
team: shop
people:
  ana: {name: Ana, email: ana@shop.example}
  ben: {name: Ben, email: ben@shop.example}
  kei: {name: Kei, email: kei@shop.example}
mail: {server: smtp://localhost:25, from: tocsin@shop.example}
customer tiers: [gold, silver]
customer tier label: plan
escalations:
  usual: [{page: ana, when: {customer tier: gold}, wait: 5m}, {page: kei, wait: 10m}]
  vip: [{page: ben, wait: 10m}]
services:
  one: {escalation: usual}
  two: {escalation: {sev1: usual}, escalation for: {gold: vip}, customer tier: silver}
"""


def test_a_step_for_customers_of_a_tier_is_passed_over_where_no_alert_is_about_one():
    world = World(TIERED).fires("Down", service="one", plan="silver")
    assert (paged(world), world.incident(1).customer_tier) == ([("0s", "kei")], "silver")
    what = [entry.what for entry in world.timeline if entry.reason == "step_not_meant"]
    assert what == ["Step 1 is passed over: it is for gold customers"]
    world.at("1m").fires("Slow", service="one", plan="Gold")
    assert paged(world)[1:] == [("60s", "ana")], "however the monitor writes it"


def test_a_customer_of_a_higher_tier_takes_an_incident_to_their_escalation():
    """By the label of an alert that joins; without one it is the service's. A lower one moves nothing."""
    world = World(TIERED).fires("Down", service="two", instance="a")
    assert (paged(world), world.incident(1).customer_tier) == ([("0s", "kei")], "silver")
    world.at("1m").fires("Down", service="two", instance="b", plan="gold")
    assert paged(world)[1:] == [("60s", "ben")]
    told = [entry.what for entry in world.timeline]
    assert "Now gold customers are concerned, and not silver alone" in told
    assert "The escalation for gold customers applies" in told
    world.at("2m").fires("Down", service="two", instance="c", plan="silver")
    world.at("3m").fires("Down", service="two", instance="d", plan="bronze")
    assert (len(paged(world)), world.incident(1).customer_tier) == (2, "gold")
    assert dump(world.replayed().state) == dump(world.engine.state)


def test_a_plan_that_knows_no_such_tier_any_more_pages_as_for_anybody_once_it_is_applied():
    world = World(TIERED).fires("Down", service="two", plan="gold")
    assert paged(world) == [("0s", "ben")]
    world.put_in_force(TIERED.replace(b"[gold, silver]", b"[platinum, silver]").replace(b"gold", b"platinum"))
    assert world.at("1m").asked(ApplyPlan(incident=1, actor="person:ana")).ok
    assert (world.incident(1).customer_tier, paged(world)[1:]) == ("silver", [("60s", "kei")])


@pytest.mark.parametrize("restart", [False, True])
def test_what_waits_is_judged_again_when_an_override_begins_and_when_it_ends(restart):
    """Kei takes over at four, when it is one in the afternoon with her; what comes while she has it is hers at once."""
    world = World(AWAKE).fires("Down", service="one")
    later = AddOverride(
        actor="person:ana", schedule="desk", person="kei", starts_at=START + HOUR, ends_at=START + 2 * HOUR
    )
    assert world.asked(later).ok
    if restart:
        world.at("59m").restarted("2s")
    world.at("1h1m")
    assert paged(world) == [("3600s", "kei")]
    swapped = AWAKE.replace(b"rotate: ana", b"rotate: kei")
    world = World(swapped)
    back = msgspec.structs.replace(later, person="ana")
    assert world.asked(msgspec.structs.replace(back, starts_at=START)).ok
    world.at("1m").fires("Down", service="one").at("1h")
    assert paged(world) == []
    world.at("2h5m")
    assert paged(world) == [("7200s", "kei")]
    assert dump(world.replayed().state) == dump(world.engine.state)
