"""Stories of handoffs and of the daily word on what is wrong with schedules. They begin on a Monday, 03:00 UTC."""

from __future__ import annotations

import pytest

from tests.engine.world import START, World, dump, plan_of
from tocsin.engine.commands import AddOverride
from tocsin.engine.engine import Engine
from tocsin.engine.inputs import CalendarRead, Deaf, Unsure
from tocsin.engine.state import State
from tocsin.intake.sources import SOURCES
from tocsin.kernel.instant import HOUR, MINUTE, SECOND
from tocsin.oncall.imported import Busy
from tocsin.pages.ledger import Page

PLAN = b"""
tocsin: 1
team: shop
people:
  ana: {name: Ana, email: ana@shop.example}
  ben: {name: Ben, email: ben@shop.example}
  kei: {name: Kei, email: kei@shop.example, timezone: Asia/Tokyo}
  zoe: {name: Zoe}
mail: {server: smtp://localhost:25, from: tocsin@shop.example}
teams:
  shop: {members: [ana, ben], lead: ben}
last resort: kei
findings notice: off
schedules:
  primary:
    layers:
      - {rotate: [ana, ben], every: day, handoff: 10:00, starts: 2026-11-22 with ana}
escalations:
  shop:
    - {page: primary, wait: 2h}
    - {page: kei, wait: 20h}
services:
  checkout: {escalation: shop}
routes:
  - {match: ['job="checkout"'], service: checkout}
"""
GAPPY = (
    PLAN.replace(b"findings notice: off", b"findings notice: 09:00")
    .replace(
        b"escalations:\n",
        b"""  hours:
    layers:
      - {rotate: zoe, only: Mon-Fri 09:00-18:00}
  second:
    layers:
      - {rotate: [ben, ana], every: day, handoff: 10:00, starts: 2026-11-22 with ana}
escalations:
  office: [{page: hours}, {page: primary}, {page: second}]
""",
    )
    .replace(b"routes:\n", b"  office: {escalation: office}\nroutes:\n")
)


def notices(world: World) -> list[Page]:
    """The messages nobody has to answer."""
    return [page for page in world.told_pages if page.kind == "notice"]


def told(world: World) -> list[tuple[str, str, str]]:
    """When they left, to whom, and what they said first."""
    return [(at, person, kind) for at, person, _, kind in world.left if kind == "notice"]


def test_who_comes_and_who_goes_are_told_what_is_open_and_what_was_noted():
    world = World(PLAN).at("6h")
    world.fires("Down", job="checkout")
    world.acknowledges(1, hold="5h")
    world.notes(1, "the disk is\n full")
    world.at("7h")
    (comes, goes) = notices(world)
    assert told(world) == [("25200s", "ben", "notice"), ("25200s", "ana", "notice")]
    assert comes.title == "You are on call by primary until Tue 24 Nov 2026 10:00 UTC"
    assert comes.lines == (
        "Handed over by Ana",
        "#1 checkout, acknowledged: Down fires: “the disk is full”",
    )
    assert goes.title == "Your shift on primary is over: Ben is on call now"
    assert goes.lines == comes.lines[1:]


def test_nothing_is_told_where_the_plan_says_so():
    off = PLAN.replace(b"  primary:\n", b"  primary:\n    handoff notice: off\n")
    assert notices(World(off).at("3d")) == []


def test_changes_ahead_are_in_the_notice():
    world = World(PLAN).at("6h")
    world.asked(
        AddOverride(
            actor="person:kei", schedule="primary", person="kei", instead_of="ben", reason="dentist",
            starts_at=START + 12 * HOUR, ends_at=START + 13 * HOUR,
        )
    )  # fmt: skip
    world.at("7h")
    comes = next(page for page in notices(world) if page.person == "ben" and page.reason == "shift_begins")
    assert comes.lines[-1] == (
        "Ahead: Mon 23 Nov 2026 15:00 to Mon 23 Nov 2026 16:00 Kei (kei for ben, asked by kei: dentist)"
    )
    world.at("12h")
    assert [(page.person, str(page.reason)) for page in notices(world)[-1:]] == [("ben", "shift_ends")]


def put(world: World, person: str, first: int, last: int, instead_of: str = "ben") -> None:
    """Somebody is on call by ``primary`` between two hours after the start."""
    over = AddOverride(
        actor="person:zoe", schedule="primary", person=person, instead_of=instead_of,
        starts_at=START + first * HOUR, ends_at=START + last * HOUR,
    )  # fmt: skip
    assert world.asked(over).ok


def test_the_notice_tells_until_when_somebody_has_it_and_what_is_ahead_in_its_order():
    """Ben's turn is from 10:00 to 10:00. The swap that takes a part of it away was made last, and comes first."""
    world = World(PLAN).at("6h")
    put(world, "kei", 20, 21)
    put(world, "kei", 12, 13)
    world.at("7h")
    (comes,) = [page for page in notices(world) if page.reason == "shift_begins"]
    assert comes.title == "You are on call by primary until Mon 23 Nov 2026 15:00 UTC"
    assert [line[:26] for line in comes.lines[2:]] == ["Ahead: Mon 23 Nov 2026 15:", "Ahead: Mon 23 Nov 2026 23:"]


def test_whoever_stands_in_right_before_their_own_turn_is_told_the_end_of_both():
    world = World(PLAN).at("5h30m")
    put(world, "ben", 6, 7, instead_of="ana")
    world.at("6h")
    (comes,) = [page for page in notices(world) if page.reason == "shift_begins"]
    assert (comes.person, comes.title) == ("ben", "You are on call by primary until Tue 24 Nov 2026 10:00 UTC")


def test_what_is_ahead_is_looked_for_in_all_the_turns_somebody_has_on_end():
    """Ben stands in until his own turn begins; Kei has an hour of that turn, and Zoe half of Kei's."""
    world = World(PLAN).at("5h30m")
    put(world, "ben", 6, 7, instead_of="ana")
    put(world, "kei", 20, 22)
    put(world, "zoe", 21, 22, instead_of="kei")
    world.at("6h")
    (comes,) = [page for page in notices(world) if page.reason == "shift_begins"]
    assert comes.title == "You are on call by primary until Mon 23 Nov 2026 23:00 UTC"
    assert [line.partition(" (")[0] for line in comes.lines[2:]] == [
        "Ahead: Mon 23 Nov 2026 23:00 to Tue 24 Nov 2026 00:00 Kei",
        "Ahead: Tue 24 Nov 2026 00:00 to Tue 24 Nov 2026 01:00 Zoe",
    ]


def test_nobody_is_said_to_take_what_they_do_not_get():
    """A calendar names Ben from 10:00 to 12:00, and lies under the hours that are Ana's."""
    layers = b"""calendars: {low: {ical: https://x.example/low.ics}}
schedules:
  primary:
    layers:
      - {rotate: kei}
      - {calendar: low}
      - {rotate: ana, only: 09:00-17:00}
"""
    before, _, after = PLAN.partition(b"schedules:\n")
    world = World(before + layers + after[after.index(b"escalations:") :])
    world.apply(CalendarRead("low", (Busy(START + 7 * HOUR, START + 9 * HOUR, False, "Ben"),)))
    world.at("6h")
    (ana,) = [page for page in notices(world) if page.person == "ana"]
    assert (ana.title, ana.lines) == (
        "You are on call by primary until Mon 23 Nov 2026 17:00 UTC",
        ("Handed over by Kei", "Nothing is open"),
    )


def test_entries_of_a_calendar_that_overlap_are_in_the_daily_word():
    plan = PLAN.replace(b"notice: off", b"notice: 09:00").replace(b"  primary:\n", b"  primary:\n    calendar: rota\n")
    world = World(plan.replace(b"teams:\n", b"calendars: {rota: {ical: https://x.example/rota.ics}}\nteams:\n"))
    ana = Busy(START + 20 * HOUR, START + 30 * HOUR, False, "Ana")
    world.apply(CalendarRead("rota", (ana, Busy(START + 29 * HOUR, START + 33 * HOUR, False, "Kei"))))
    world.at("6h")
    (word,) = [page for page in notices(world) if page.reason == "schedule_findings"]
    when = "from Tue 24 Nov 2026 08:00 UTC, for 1 h, as entries of its calendar overlap"
    both = "Kei is on call by primary and all that another step of shop pages, first from Tue 24 Nov 2026 08:00"
    assert word.lines == (f"Ana and Kei are on call by primary at once {when}", f"{both} to Tue 24 Nov 2026 12:00 UTC")


def test_a_notice_waits_for_the_persons_morning():
    """Kei's clock shows 01:00 then."""
    plan = PLAN.replace(b"rotate: [ana, ben]", b"rotate: [ana, kei]").replace(b"handoff: 10:00", b"handoff: 16:00")
    world = World(plan).at("1d")
    assert told(world) == [("46800s", "ana", "notice"), ("72000s", "kei", "notice")]  # 08:00 in Tokyo


@pytest.mark.parametrize("down", ["1s", "3h"])
def test_a_restart_tells_nothing_twice_and_leaves_nothing_out(down):
    world = World(PLAN).at("6h59m59s")
    world.restarted(down)
    world.at("12h").restarted("1m").at("20h")
    assert [page.person for page in notices(world)] == ["ben", "ana"]
    assert dump(State(world.loaded())) == dump(world.engine.state)


def test_the_same_plan_again_moves_nothing_and_another_counts_from_then_on():
    world = World(PLAN).at("6h")
    world.put_in_force(PLAN)
    later = PLAN.replace(b"handoff: 10:00", b"handoff: 11:00")
    world.put_in_force(later)
    world.at("7h30m")
    assert notices(world) == []
    world.at("8h")
    assert [page.person for page in notices(world)] == ["ben", "ana"]
    assert dump(world.replayed().state) == dump(world.engine.state)


@pytest.mark.parametrize("stopped", [True, False])
def test_a_plan_that_changed_while_nothing_ran_counts_like_one_that_changed_before_our_eyes(stopped):
    """Ana was alone; now she and Ben take turns."""
    alone = PLAN.replace(b"rotate: [ana, ben], every: day, handoff: 10:00, starts: 2026-11-22 with ana", b"rotate: ana")
    world = World(alone).at("1h")
    assert world.engine.state.duties["handoff primary"].at is None
    if stopped:
        found = world.plans.setdefault((plan := plan_of(PLAN)).version, plan)
        world.engine = Engine(world.loaded(), found, SOURCES)
    world.put_in_force(PLAN)
    world.at("8h")
    assert [page.person for page in notices(world)] == ["ben", "ana"]
    assert dump(State(world.loaded())) == dump(world.engine.state)


@pytest.mark.parametrize("stopped", [False, True])
def test_whoever_a_plan_puts_on_call_at_once_is_handed_over_to_and_whoever_it_relieves_reads_it_later(stopped: bool):
    """At 04:00 it is kei's, at noon in Tokyo; ana sleeps until 08:00. Nothing is told twice, whenever Tocsin stops."""
    kei = PLAN.replace(b"with ana}", b"with ana}\n      - {rotate: kei, only: 03:00-09:00}")
    world = World(PLAN).at("1h").fires("Down", job="checkout")
    if stopped:
        found = world.plans.setdefault((plan := plan_of(kei)).version, plan)
        world.engine = Engine(world.loaded(), found, SOURCES)
    world.put_in_force(kei)
    (comes,) = notices(world)
    assert (comes.person, comes.title) == ("kei", "You are on call by primary until Mon 23 Nov 2026 18:00 Asia/Tokyo")
    assert comes.lines[:2] == ("Handed over by Ana", "Now, because the plan is another")
    assert comes.lines[2:] == ("#1 checkout, triggered: Down fires",)
    world.put_in_force(kei)
    world.restarted().at("5h")
    assert [(page.person, page.title) for page in notices(world)[1:]] == [
        ("ana", "Your shift on primary is over: Kei is on call now")
    ]
    assert dump(State(world.loaded())) == dump(world.engine.state)


def test_whoever_a_calendar_puts_on_call_at_once_is_handed_over_to():
    plan = PLAN.replace(b"  primary:\n", b"  primary:\n    calendar: rota\n")
    world = World(plan.replace(b"teams:\n", b"calendars: {rota: {ical: https://x.example/rota.ics}}\nteams:\n")).at(
        "6h"
    )
    for _ in range(2):
        world.apply(CalendarRead("rota", (Busy(START, START + 8 * HOUR, False, "Kei"),)))
    assert [(page.person, page.lines[:2]) for page in notices(world)] == [
        ("kei", ("Handed over by Ana", "Now, because the calendar rota says so")),
        ("ana", ("Now, because the calendar rota says so", "Nothing is open")),
    ]
    assert dump(world.replayed().state) == dump(world.engine.state)


def test_holidays_that_a_plan_gives_somebody_move_the_next_handoff():
    calendar = b"calendars: {off: {ical: https://x.example/off.ics}}\n"
    before = PLAN.replace(b"teams:\n", calendar + b"hours: {h: {open: Mon 09:00-17:00, holidays: off}}\nteams:\n")
    world = World(before)
    world.apply(CalendarRead("off", (Busy(START + 2 * HOUR, START + 4 * HOUR, False, "away"),)))
    world.put_in_force(before.replace(b"ana@shop.example}", b"ana@shop.example, holidays: off}"))
    assert world.engine.state.duties["handoff primary"].at == START + 2 * HOUR
    world.at("6h")
    assert {page.person for page in notices(world)} == {"ana", "ben"}


def test_a_handoff_that_is_due_is_told_though_the_plan_changed_meanwhile():
    world = World(PLAN).at("6h59m")
    world.now += 2 * HOUR
    world.put_in_force(PLAN.replace(b"last resort: kei", b"last resort: ben"))
    world.at("9h30m")
    assert [page.person for page in notices(world)] == ["ben", "ana"]


ANA_AND_BEN = b"rotate: [ana, ben], every: day, handoff: 10:00, starts: 2026-11-22 with ana"


@pytest.mark.parametrize("layer", [b"rotate: kei", ANA_AND_BEN.replace(b"ana", b"kei").replace(b"10:00", b"11:00")])
def test_whoever_a_plan_puts_on_call_while_a_handoff_is_due_is_told_and_so_is_who_was_before(layer: bytes):
    """It is stopped from 09:59 to 10:10, and then another plan counts: it is Kei's, not Ben's."""
    world = World(PLAN).at("6h59m")
    last, world.now = world.now, world.now + 11 * MINUTE
    found = world.plans.setdefault((plan := plan_of(PLAN.replace(ANA_AND_BEN, layer))).version, plan)
    world.engine = Engine(world.loaded(), found, SOURCES)
    world.apply(Deaf(last, world.now))
    world.put_in_force(PLAN.replace(ANA_AND_BEN, layer))
    world.apply(Unsure())
    world.at("7h30m")
    assert [(page.person, page.lines[:2]) for page in notices(world)] == [
        ("kei", ("Handed over by Ana", "Now, because the plan or a calendar is another")),
        ("ana", ("Nothing is open",)),
    ]
    assert dump(State(world.loaded())) == dump(world.engine.state)


def test_whoever_is_put_on_call_by_hand_while_a_handoff_is_due_is_told_once():
    """Ana's turn was over a minute ago, and would be Ben's."""
    world = World(PLAN).at("6h59m")
    world.now += 2 * MINUTE
    over = AddOverride(
        actor="person:zoe", schedule="primary", person="kei", starts_at=world.now, ends_at=world.now + HOUR
    )
    assert world.asked(over).ok
    world.at("7h30m")
    assert [(page.person, str(page.reason)) for page in notices(world)] == [
        ("kei", "shift_begins"), ("ben", "on_call_changed"), ("ana", "shift_ends"),
    ]  # fmt: skip
    assert dump(State(world.loaded())) == dump(world.engine.state)
    world.at("9h")
    assert [(page.person, str(page.reason)) for page in notices(world)[3:]] == [
        ("ben", "shift_begins"), ("kei", "shift_ends"),
    ]  # fmt: skip


def called(world: World) -> list[tuple[str, str, str]]:
    """When whose telephone rang or mail came, and what it said."""
    left = [(clock, address) for clock, _, address, kind in world.left if kind == "notice"]
    return [(*one, page.title) for one, page in zip(left, notices(world), strict=True)]


def with_telephones(plan: bytes, offset: str) -> World:
    """Everybody can be called, and it is so late."""
    world = World(plan)
    for person in ("ana", "ben", "kei"):
        world.has(person, f"https://{person}.example/call")
    world.at(offset)
    world.left.clear()
    world.told_pages.clear()
    return world


FROM_FIVE = PLAN.replace(b", timezone: Asia/Tokyo", b"").replace(b"10:00", b"04:00")
"""Ben has it from 04:00 on, and everybody sleeps until 08:00."""


@pytest.mark.parametrize("stopped", [False, True])
@pytest.mark.parametrize(("hours", "calls"), [(b"05:10-09:00", True), (b"07:59-09:00", True), (b"08:00-09:00", False)])
def test_whom_a_plan_puts_on_call_before_their_morning_is_called_when_it_is_new(
    stopped: bool, hours: bytes, calls: bool
):
    world = with_telephones(FROM_FIVE, "2h")
    kei = FROM_FIVE.replace(b"with ana}", b"with ana}\n      - {rotate: kei, only: " + hours + b"}")
    if stopped:
        found = world.plans.setdefault((plan := plan_of(kei)).version, plan)
        world.engine = Engine(world.loaded(), found, SOURCES)
    for _ in range(2):
        world.put_in_force(kei)
        start, end = (clock.decode() for clock in hours.split(b"-"))
        title = f"You are on call: primary, Mon 23 Nov 2026 {start} to Mon 23 Nov 2026 {end} UTC"
        assert called(world) == [("7200s", "https://kei.example/call", title)] * calls
    world.at("5h30m")
    (handoff,) = [page for page in notices(world) if page.reason == "shift_begins" and page.person == "kei"]
    assert handoff.lines[0] == "Handed over by Ben", "of the rest she reads by the handoff"
    assert dump(State(world.loaded())) == dump(world.engine.state)
    assert dump(world.replayed().state) == dump(world.engine.state)


def test_whose_turn_a_plan_makes_longer_before_their_morning_is_called():
    """Kei had the hour until 06:00, and has it until 07:00: the second handoff from now is another."""
    six, seven = (
        FROM_FIVE.replace(b"with ana}", b"with ana}\n      - {rotate: kei, only: 05:00-%d:00}" % end) for end in (6, 7)
    )
    world = with_telephones(six, "1h30m")
    world.put_in_force(seven)
    title = "You are on call: primary, Mon 23 Nov 2026 06:00 to Mon 23 Nov 2026 07:00 UTC"
    assert called(world) == [("5400s", "https://kei.example/call", title)]


def test_a_schedule_with_another_name_tells_who_comes_by_it_and_who_is_no_more():
    """Ben had it; he goes on by the new name and hears nothing, or it is Kei's."""
    world = with_telephones(FROM_FIVE, "2h")
    world.put_in_force(FROM_FIVE.replace(b"primary", b"first"))
    assert called(world) == []
    world.put_in_force(FROM_FIVE.replace(b"primary", b"second").replace(b"rotate: [ana, ben]", b"rotate: [ana, kei]"))
    title = "You are on call by second until Tue 24 Nov 2026 04:00 UTC"
    assert called(world) == [("7200s", "https://kei.example/call", title)]
    assert notices(world)[0].lines[0] == "Handed over by Ben"
    world.at("5h")
    ben = [page.title for page in notices(world) if page.person == "ben"]
    assert ben[-1] == "Your shift on first is over: the plan has no such schedule any more"
    assert len(ben) == 2, "and by the handoff at 04:00 that he came"
    assert dump(world.replayed().state) == dump(world.engine.state)


def test_a_schedule_that_is_new_tells_who_is_on_call_by_it_and_the_first_plan_tells_nobody():
    world = with_telephones(FROM_FIVE, "2h")
    more = b"  second:\n    layers: [{rotate: [[kei, ben]]}]\nescalations:\n"
    world.put_in_force(FROM_FIVE.replace(b"escalations:\n", more))
    assert called(world) == [("7200s", "https://kei.example/call", "You are on call by second")]
    world.at("5h")
    assert [page.person for page in notices(world)][1:] == ["ben", "ana", "ben"], "he is on call anyhow, and may sleep"


def test_a_calendar_with_another_name_calls_nobody_before_it_is_read():
    def plan(name: bytes) -> bytes:
        read = FROM_FIVE.replace(b"  primary:\n", b"  primary:\n    calendar: " + name + b"\n")
        return read.replace(b"teams:\n", b"calendars: {" + name + b": {ical: https://x.example/rota.ics}}\nteams:\n")

    world = World(plan(b"rota"))
    busy = (Busy(START, START + 30 * HOUR, False, "Kei"),)
    world.apply(CalendarRead("rota", busy))
    world.at("6h")
    world.left.clear()
    world.told_pages.clear()
    world.put_in_force(plan(b"other"))
    assert [one.person for one in notices(world)] == [], "it is Ben's by the layers"
    world.now += SECOND
    world.restarted()
    world.put_in_force(plan(b"other"))
    world.apply(CalendarRead("other", busy))
    assert notices(world) == [], "it was Kei's and is"
    world.put_in_force(plan(b"third"))
    world.apply(CalendarRead("third", (), error="gone"))
    assert [(one.person, one.lines[:2]) for one in notices(world)] == [
        ("ben", ("Handed over by Kei", "Now, because the calendar third says so")),
        ("kei", ("Now, because the calendar third says so", "Nothing is open")),
    ]
    assert dump(State(world.loaded())) == dump(world.engine.state)
    assert dump(world.replayed().state) == dump(world.engine.state)


def stop(world: World, text: bytes, minutes: int) -> None:
    """It is stopped for some minutes, and then another plan counts."""
    last, world.now = world.now, world.now + minutes * MINUTE
    found = world.plans.setdefault((plan := plan_of(text)).version, plan)
    world.engine = Engine(world.loaded(), found, SOURCES)
    world.apply(Deaf(last, world.now))
    world.put_in_force(text)
    world.apply(Unsure())
    world.ring(world.now)


def same(world: World) -> None:
    """A restart and a replay know the same."""
    assert dump(State(world.loaded())) == dump(world.engine.state)
    assert dump(world.replayed().state) == dump(world.engine.state)


@pytest.mark.parametrize(("begins", "at"), [("59m", "4200s"), ("40m", "3060s")])
def test_whom_a_plan_puts_on_call_later_in_the_night_is_called_though_a_handoff_was_due(begins: str, at: str):
    """It is stopped for eleven minutes, over the handoff at 04:00 or before it."""
    world = with_telephones(FROM_FIVE, begins)
    stop(world, FROM_FIVE.replace(b"with ana}", b"with ana}\n      - {rotate: kei, only: 05:10-09:00}"), 11)
    title = "You are on call: primary, Mon 23 Nov 2026 05:10 to Mon 23 Nov 2026 09:00 UTC"
    assert called(world) == [(at, "https://kei.example/call", title)]
    world.at("4h30m")
    assert len(called(world)) == 1, "and Ben, who came as he was to, sleeps"
    same(world)


@pytest.mark.parametrize("name", [b"primary", b"other"])
def test_whoever_was_to_be_relieved_and_is_not_is_called_though_the_schedule_has_another_name(name: bytes):
    world = with_telephones(FROM_FIVE, "59m")
    stays = FROM_FIVE.replace(b"with ana}", b"with ana}\n      - {rotate: ana, only: 04:00-09:00}")
    stop(world, stays.replace(b"primary", name), 11)
    title = f"You are on call by {name.decode()} until Mon 23 Nov 2026 09:00 UTC"
    assert called(world) == [("4200s", "https://ana.example/call", title)]
    assert notices(world)[0].lines[0] == "You were on call already, and go on"
    same(world)


def test_a_schedule_with_another_name_leaves_a_handoff_that_was_due_to_the_morning():
    world = with_telephones(FROM_FIVE, "59m")
    stop(world, FROM_FIVE.replace(b"primary", b"other"), 11)
    assert called(world) == []
    world.at("5h30m")
    assert [(page.person, str(page.reason)) for page in notices(world)] == [
        ("ben", "shift_begins"), ("ana", "shift_ends"),
    ]  # fmt: skip
    same(world)


ROTA = FROM_FIVE.replace(b"  primary:\n", b"  primary:\n    calendar: rota\n").replace(
    b"teams:\n", b"calendars: {rota: {ical: https://x.example/rota.ics}}\nteams:\n"
)


def test_a_handoff_waits_for_a_calendar_that_is_yet_to_be_read():
    """By the layers it would be Kei's; the calendar says that it is Ana's, who was to be relieved at 04:00."""
    world = with_telephones(FROM_FIVE, "59m")
    stop(world, ROTA.replace(b"rotate: [ana, ben]", b"rotate: [ben, kei]").replace(b"with ana", b"with ben"), 11)
    assert called(world) == []
    world.restarted("1s")
    world.ring(world.now)
    assert called(world) == []
    world.apply(CalendarRead("rota", (Busy(START, START + 6 * HOUR, False, "Ana"),)))
    world.ring(world.now)
    title = "You are on call by primary until Mon 23 Nov 2026 09:00 UTC"
    assert called(world) == [("4201s", "https://ana.example/call", title)]
    world.at("5h30m")
    assert len(notices(world)) == 1
    assert dump(world.replayed().state) == dump(world.engine.state)


def test_a_plan_without_the_calendar_tells_the_handoff_that_waited_for_it():
    world = with_telephones(FROM_FIVE, "59m")
    stop(world, ROTA, 11)
    world.put_in_force(FROM_FIVE)
    world.at("5h30m")
    assert [(page.person, str(page.reason)) for page in notices(world)] == [
        ("ben", "shift_begins"), ("ana", "shift_ends"),
    ]  # fmt: skip
    same(world)


def test_a_change_by_hand_while_a_handoff_waits_for_a_calendar_is_told_once():
    world = with_telephones(FROM_FIVE, "59m")
    stop(world, ROTA, 11)
    for start, end in ((0, 10), (60, 90)):
        over = AddOverride(
            actor="person:zoe", schedule="primary", person="kei",
            starts_at=world.now + start * MINUTE, ends_at=world.now + end * MINUTE,
        )  # fmt: skip
        assert world.asked(over).ok
    before = len(notices(world))
    world.apply(CalendarRead("rota", ()))
    world.ring(world.now)
    assert notices(world)[before:] == []
    same(world)


def test_handoff_notices_that_are_switched_on_call_nobody_who_is_on_call_already():
    off = FROM_FIVE.replace(b"  primary:\n", b"  primary:\n    handoff notice: off\n")
    world = with_telephones(off, "2h")
    world.put_in_force(FROM_FIVE)
    assert called(world) == []
    world.put_in_force(off)
    kei = FROM_FIVE.replace(b"rotate: [ana, ben]", b"rotate: [ana, kei]")
    world.put_in_force(kei.replace(b"  primary:\n", b"  primary:\n    handoff notice: off\n"))
    world.put_in_force(kei)
    world.put_in_force(off.replace(b"primary", b"other"))
    world.at("5h30m")
    assert [page.person for page in notices(world)] == ["kei"], "her shift by primary is over, which was on"
    same(world)


KEI_AND_BEN = FROM_FIVE.replace(b"rotate: [ana, ben]", b"rotate: [kei, ben]").replace(b"with ana", b"with kei")


@pytest.mark.parametrize(
    ("primary", "second", "calls"),
    [
        (FROM_FIVE, b"ana, only: 05:10-07:00", ["ana"]),  # until 04:00 she has the other
        (FROM_FIVE, b"ben, only: 05:10-07:00", []),
        (KEI_AND_BEN, b"ana", ["kei", "ana"]),  # she loses the other by this
        (KEI_AND_BEN, b"kei, only: 03:00-04:00", ["kei"]),
    ],
)
def test_only_whoever_other_schedules_have_for_all_of_it_may_sleep(primary: bytes, second: bytes, calls: list[str]):
    """It is 03:30, and a schedule is new."""
    world = with_telephones(FROM_FIVE, "30m")
    more = b"  a_second:\n    layers: [{rotate: " + second + b"}]\nescalations:\n"
    world.put_in_force(primary.replace(b"escalations:\n", more))
    assert [address for _, address, _ in called(world)] == [f"https://{one}.example/call" for one in calls]
    same(world)


def test_the_end_of_a_schedule_is_told_though_another_waits_for_a_calendar():
    second = b"  second:\n    layers: [{rotate: kei}]\nescalations:\n"
    world = with_telephones(ROTA.replace(b"escalations:\n", second), "2h")
    world.put_in_force(ROTA)
    world.at("5h30m")
    assert ("kei", "shift_ends") in [(page.person, str(page.reason)) for page in notices(world)]


def test_the_teams_lead_is_told_once_a_day_what_is_wrong():
    world = World(GAPPY).at("8h")
    (word,) = [page for page in notices(world) if page.reason == "schedule_findings"]
    assert (word.person, word.title) == ("ben", "3 things are wrong with who is on call")
    assert [line.partition(" from ")[0] for line in word.lines] == [
        "Nobody is on call by hours",
        "Zoe is on call by hours and can be reached by nothing but the console",
        "Ana is on call by primary and second at once, first",
    ]
    world.restarted("10s").at("29h59m")
    assert len([page for page in notices(world) if page.reason == "schedule_findings"]) == 1
    world.at("30h")
    assert len([page for page in notices(world) if page.reason == "schedule_findings"]) == 2


@pytest.mark.parametrize(
    "service",
    [
        b"{escalation: shop, escalation for: {gold: office}, team: shop}",
        b"{escalation: {sev1: office, sev2: shop}, team: shop}",
    ],
)
def test_the_lead_answers_for_a_schedule_that_only_some_customers_or_severities_page(service: bytes):
    plan = GAPPY.replace(b"{escalation: office}", service).replace(b"team: shop\n", b"customer tiers: [gold]\n", 1)
    world = World(plan).at("8h")
    (word,) = [page for page in notices(world) if page.reason == "schedule_findings"]
    assert (word.person, word.lines[0].partition(" from ")[0]) == ("ben", "Nobody is on call by hours")
    assert [name for name in world.engine.plan.services if world.engine.plan.asks(name, "hours")] == ["office"]


def test_nothing_wrong_is_no_message():
    world = World(PLAN.replace(b"findings notice: off", b"findings notice: 09:00")).at("3d")
    assert {str(page.reason) for page in notices(world)} == {"shift_begins", "shift_ends"}
