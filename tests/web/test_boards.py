"""What the page On call shows of a schedule whose layers give one person turns one after the other."""

from __future__ import annotations

from zoneinfo import ZoneInfo

import pytest
from msgspec import structs

from tocsin.kernel.instant import DAY, HOUR, parse_rfc3339
from tocsin.oncall.override import Cover
from tocsin.oncall.roster import Roster
from tocsin.plan import read_plan
from tocsin.plan.model import Plan
from tocsin.web.boards import board, hour_by_hour, monday_of, own_first, own_turns, stints, turns, weeks
from tocsin.web.words import Reader

NOW = parse_rfc3339("2026-11-26T02:00:00Z")  # Thu, 03:00 in Madrid


@pytest.fixture(scope="module")
def plan() -> Plan:
    """Ben has every working night, and on Thursday the day as well. Nobody has weekends."""
    found = read_plan(
        {
            "tocsin.yaml": b"""
tocsin: 1
timezone: Europe/Madrid
people: {ana: {email: a@b.example}, ben: {email: b@b.example}}
mail: {server: smtp://localhost, from: a@b.example}
schedules:
  platform:
    layers:
      - {name: days, rotate: [ana, ben], every: day, handoff: 09:00, starts: 2026-11-25 with ana,
         only: Mon-Fri 09:00-18:00}
      - {name: nights, rotate: ben, only: Mon-Fri 18:00-09:00}
"""
        }
    ).plan
    assert found is not None
    return found


def reader(plan: Plan) -> Reader:
    return Reader(now=NOW, zone=ZoneInfo("Europe/Madrid"), plan=plan, person="ana")


def test_one_layer_after_another_is_one_stint_and_an_override_another(plan: Plan) -> None:
    roster = plan.rosters["platform"]
    said = [(one.start, one.end, one.person, one.by, one.layers) for one in stints(roster, NOW, NOW + DAY, ())]
    nine = parse_rfc3339("2026-11-27T08:00:00Z")
    assert said[0] == (parse_rfc3339("2026-11-25T17:00:00Z"), nine, "ben", "", ("nights", "days"))
    cover = Cover(id=1, person="ben", start=NOW + HOUR, end=NOW + 2 * HOUR, instead_of="")
    found = stints(roster, NOW, NOW + DAY, (cover,))
    assert [(one.by, one.end) for one in found] == [("", NOW + HOUR), ("override", NOW + 2 * HOUR), ("", nine)]


def test_an_override_in_the_place_of_one_person_is_one_stint_over_all_their_turns(plan: Plan) -> None:
    roster, end = plan.rosters["platform"], NOW + 18 * HOUR
    first, second = Cover(1, "ana", NOW + HOUR, end, "ben"), Cover(2, "ana", end, end + HOUR, "ben")
    found = [(one.by, one.start, one.end) for one in stints(roster, NOW, NOW + DAY, (first, second))][1:3]
    assert found == [("override", NOW + HOUR, end), ("override", end, end + HOUR)]


def test_the_card_says_until_when_without_a_break_and_who_is_next_is_somebody_else(plan: Plan) -> None:
    one = board(plan, "platform", (), reader(plan), lambda person: True)
    (ben,) = one.now
    assert (ben.person, ben.end) == ("ben", parse_rfc3339("2026-11-27T08:00:00Z"))
    assert (one.until, [shift.person for shift in one.then]) == (ben.end, ["ana"])


def test_the_list_and_the_bars_are_of_stints_and_a_gap_is_a_bar_among_them(plan: Plan) -> None:
    roster: Roster = plan.rosters["platform"]
    first = turns(roster, (), reader(plan), NOW)[0]
    assert (first.person, first.layer) == ("ben", "nights and days")
    drawn = weeks(roster, (), reader(plan), monday_of("", reader(plan)))
    assert [week.lines for week in drawn] == [1, 1, 1, 1], "a gap that lasts into a week has no line of its own"
    assert next(bar.kind for bar in drawn[1].bars) == "gap"


@pytest.mark.parametrize(
    ("asked", "begins"),
    [
        ("", "2026-11-23"), ("nonsense", "2026-11-23"), ("2020-01-01", "2026-11-23"), ("2026-12-24", "2026-12-21"),
        ("2026-12-24T09:00", "2026-12-21"), ("9999-12-31", "2027-11-22"), ("2026-13-40", "2026-11-23"),
    ],
)  # fmt: skip
def test_a_calendar_begins_where_it_is_asked_to_within_a_year(plan: Plan, asked: str, begins: str) -> None:
    assert str(monday_of(asked, reader(plan))) == begins


def test_a_persons_twelve_weeks_are_those_of_all_schedules_in_order(plan: Plan) -> None:
    found = own_turns(plan, "ana", {}, reader(plan))
    assert {key for key, _ in found} == {"platform"}
    assert {turn.person for _, turn in found} == {"ana"}
    assert found[-1][1].start > NOW + 80 * DAY
    assert [turn.start for _, turn in found] == sorted(turn.start for _, turn in found)


def hourly(every: str) -> Plan:
    """Three people, one after the other, for so long each."""
    found = read_plan(
        {
            "tocsin.yaml": b"tocsin: 1\ntimezone: Europe/Madrid\npeople: {ana: {}, ben: {}, kei: {}}\n"
            b"schedules: {desk: {layers: [{rotate: [ana, ben, kei], every: %s, starts: 2026-11-23}]}}\n"
            % every.encode()
        }
    ).plan
    assert found is not None
    return found


def test_short_turns_are_drawn_a_day_a_line(plan: Plan) -> None:
    """A line for a week has no room for an hour; days that are over are not drawn, and clocks move no column."""
    desk = hourly("hour")
    now = reader(desk)
    monday = monday_of("2026-11-26", now)
    drawn = hour_by_hour(desk.rosters["desk"], (), now, monday, turns(desk.rosters["desk"], (), now, NOW))
    assert [(drawn[0].name, drawn[0].today), (drawn[-1].name, len(drawn))] == [("Thu 26 Nov", True), ("Sun 20 Dec", 25)]
    assert all(len(day.bars) == 24 and day.lines == 1 for day in drawn)
    assert [bar.name for bar in drawn[0].bars[:4]] == ["You", "ben", "kei", "You"]
    assert (drawn[0].now, drawn[1].now) == (12.5, None), "three in the morning"
    change = monday_of("2027-03-28", now)  # in that night clocks go forward
    order = turns(desk.rosters["desk"], (), now, NOW)
    (day,) = [one for one in hour_by_hour(desk.rosters["desk"], (), now, change, order) if one.name == "Sun 28 Mar"]
    assert len(day.bars) == 23 and {25.0, 50.0, 75.0} <= {bar.left for bar in day.bars}


@pytest.mark.parametrize("every", ["6h", "day", "week"])
def test_turns_with_room_for_a_name_are_drawn_a_week_a_line(every: str) -> None:
    desk = hourly(every)
    roster, now = desk.rosters["desk"], reader(desk)
    assert hour_by_hour(roster, (), now, monday_of("", now), turns(roster, (), now, NOW)) == []


def test_the_readers_own_schedules_come_first() -> None:
    """By which they are on call, then in which they take turns; the rest as the plan has it."""
    found = read_plan(
        {
            "tocsin.yaml": b"tocsin: 1\npeople: {ana: {}, ben: {}}\nschedules:\n"
            b"  other: {layers: [{rotate: ben}]}\n"
            b"  later: {layers: [{rotate: [ben, ana], every: week, starts: 2026-11-23 with ben}]}\n"
            b"  own: {layers: [{rotate: ana}]}\n  last: {layers: [{rotate: ben}]}\n"
        }
    ).plan
    assert found is not None
    boards = [board(found, key, (), reader(found), lambda person: True) for key in found.rosters]
    assert [one.key for one in own_first(boards)] == ["own", "later", "other", "last"]
    assert [one.steady for one in boards] == [True, False, True, True], "the same person as far as one looks"


def test_a_bar_too_short_for_a_name_has_the_first_letter_of_one_from_right_to_left_too(plan: Plan) -> None:
    people = {**plan.people, "ben": structs.replace(plan.people["ben"], name="يوسف الحسيني")}
    looks = reader(structs.replace(plan, people=people))
    bars = weeks(plan.rosters["platform"], (), looks, monday_of(looks.date(NOW), looks))[0].bars
    assert {bar.name for bar in bars} == {"You", "يوسف", "Nobody"}
    assert any(bar.title.startswith("\u2068يوسف\u2069, ") for bar in bars)
