"""Clocks that are set forward and back, in every zone there is: nobody is ever left out, and overlaps are as told."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from functools import cache
from importlib.resources import files

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.oncall.rotas import names, rota, told, utc
from tocsin.kernel.instant import DAY, HOUR, MINUTE, SECOND, Instant, from_datetime, parse_rfc3339
from tocsin.oncall.roster import Roster
from tocsin.oncall.schedule import Layer, Length, Schedule, Window, joined
from tocsin.oncall.zone import DAY_OF, WEEK_OF, said, wall_of, zone, zones

FROM, TO = from_datetime(datetime(2000, 1, 1, tzinfo=UTC)), from_datetime(datetime(2041, 1, 1, tzinfo=UTC))


def test_where_the_clock_is_set_back_over_a_handoff_both_are_on_call():
    """02:30 comes twice on 25 October: ben begins at the first, ana ends at the last."""
    shop = rota("- {rotate: [ana, ben], every: day, handoff: 02:30, starts: 2026-10-24 with ana}", "Europe/Madrid")
    assert told(shop.shifts(utc("2026-10-24 12:00"), utc("2026-10-26 00:00"))) == [
        ("ana", "2026-10-24 00:30", "2026-10-25 01:30"),
        ("ben", "2026-10-25 00:30", "2026-10-26 01:30"),
    ]
    assert names(shop.who(utc("2026-10-25 01:00"))) == ["ana", "ben"]


def test_a_handoff_the_clock_skips_is_when_it_is_set_forward():
    """02:30 does not come on 29 March: both sides are 01:00 UTC, when 02:00 becomes 03:00."""
    shop = rota("- {rotate: [ana, ben], every: day, handoff: 02:30, starts: 2026-03-28 with ana}", "Europe/Madrid")
    assert told(shop.shifts(utc("2026-03-28 12:00"), utc("2026-03-29 12:00"))) == [
        ("ana", "2026-03-28 01:30", "2026-03-29 01:00"),
        ("ben", "2026-03-29 01:00", "2026-03-30 00:30"),
    ]


def test_a_turn_is_as_long_as_the_wall_clock_says():
    """A day at the change is 25 or 23 hours long; 12 h turns stay at 08:00 and 20:00."""
    shop = rota("- {rotate: [ana, ben], every: 12h, handoff: 08:00, starts: 2026-10-24 with ana}", "Europe/Madrid")
    assert told(shop.shifts(utc("2026-10-24 18:00"), utc("2026-10-25 19:00"))) == [
        ("ben", "2026-10-24 18:00", "2026-10-25 07:00"),
        ("ana", "2026-10-25 07:00", "2026-10-25 19:00"),
    ]


def test_half_an_hour_of_lord_howe():
    shop = rota(
        "- {rotate: [ana, ben], every: day, handoff: 01:45, starts: 2026-04-04 with ana}", "Australia/Lord_Howe"
    )
    assert told(shop.shifts(utc("2026-04-04 10:00"), utc("2026-04-05 00:00"))) == [
        ("ana", "2026-04-03 14:45", "2026-04-04 15:15"),
        ("ben", "2026-04-04 14:45", "2026-04-05 15:15"),
    ]


def test_the_day_apia_skipped():
    """There was no 30 December 2011: its turn has no instant, and those around it meet."""
    shop = rota("- {rotate: [ana, ben, kei], every: day, handoff: 09:00, starts: 2011-12-29 with ana}", "Pacific/Apia")
    assert told(shop.shifts(utc("2011-12-29 20:00"), utc("2011-12-31 19:00"))) == [
        ("ana", "2011-12-29 19:00", "2011-12-30 10:00"),
        ("ben", "2011-12-30 10:00", "2011-12-30 19:00"),
        ("kei", "2011-12-30 19:00", "2011-12-31 19:00"),
    ]


def test_a_time_somebody_writes_may_be_two_instants():
    madrid = zone("Europe/Madrid")
    assert madrid.written(datetime(2026, 10, 25, 2, 30, 5)) == (  # as it is written on a form
        utc("2026-10-25 00:30") + 5 * SECOND, utc("2026-10-25 01:30") + 5 * SECOND,
    )  # fmt: skip
    at = utc("2026-10-25 01:30")
    assert madrid.written(datetime(2026, 10, 25, 1, 30, tzinfo=UTC)) == (at, at)


def test_hours_begin_at_the_first_and_end_at_the_last():
    shop = rota("- {rotate: zoe}\n- {rotate: ana, only: Sun 02:30-02:45}", "Europe/Madrid")
    assert told(
        tuple(s for s in shop.shifts(utc("2026-10-24 22:00"), utc("2026-10-25 22:00")) if s.person == "ana")
    ) == [("ana", "2026-10-25 00:30", "2026-10-25 01:45")]


def test_zone_data_is_the_bundled_one():
    """As many zones as the package has, read from it."""
    assert "Europe/Madrid" in zones()
    assert len(zones()) > 500
    with pytest.raises(ValueError, match="no time zone"):
        zone("../../etc/passwd")


@cache
def changes(name: str) -> tuple[Instant, ...]:
    """When the clocks of a zone are changed, 2000 to 2040, to the second."""
    clock = zone(name)

    def offset(at: Instant) -> timedelta:
        found = clock.local(at).utcoffset()
        assert found is not None
        return found

    found, at, before = [], FROM, offset(FROM)
    while at < TO:
        after = offset(at + DAY)
        if after != before:
            low, high = at // SECOND, (at + DAY) // SECOND
            while high - low > 1:
                middle = (low + high) // 2
                low, high = (middle, high) if offset(middle * SECOND) == before else (low, middle)
            found.append(high * SECOND)
        at, before = at + DAY, after
    return tuple(found)


def one_of_each() -> list[str]:
    """Zones with clocks of their own: names for the same data are looked at once."""
    seen: dict[bytes, str] = {}
    for name in sorted(zones()):
        seen.setdefault(files("tzdata.zoneinfo").joinpath(*name.split("/")).read_bytes(), name)
    return list(seen.values())


def turns(name: str, minutes: int, begins: int) -> Roster:
    """Three people taking turns of that length."""
    layer = Layer(
        name="a", turns=(("ana",), ("ben",), ("kei",)), length=Length(minutes=minutes), begins=begins, timezone=name
    )
    return Roster(Schedule(key="shop", layers=(layer,)))


@pytest.mark.parametrize("part", range(4))
def test_no_instant_is_unowned_at_any_change_of_any_clock(part):
    """All zones, all changes 2000 to 2040; turns of an hour, and of a day that is handed over in the changed hour."""
    changed = 0
    for name in one_of_each()[part::4]:
        clock = zone(name)
        hourly = turns(name, 60, wall_of(date(2000, 1, 3)))
        for at in changes(name):
            changed += 1
            in_it = min(clock.shows(at), clock.shows(at - 1)) + 10  # a time that is skipped, or that comes twice
            daily = turns(name, DAY_OF, in_it)
            for roster, around in ((hourly, 3 * HOUR), (daily, 30 * HOUR)):
                start, end = at - around, at + around
                assert roster.gaps(start, end) == (), (name, at)
                shifts = roster.shifts(start, end)
                assert all(shift.start < shift.end for shift in shifts)
                for asked in (at - HOUR, at - 1, at, at + 1, at + 10 * MINUTE, at + HOUR):
                    inside = [shift for shift in shifts if shift.start <= asked < shift.end]
                    assert {shift.person for shift in inside} == set(names(roster.who(asked))), (name, asked)
                    assert set(roster.who(asked)) <= set(inside)
    assert changed > 1_000, "there are clocks that change in this part"


@given(st.sampled_from(sorted(zones())), st.integers(0, 41 * 366 * DAY_OF))
def test_edges_are_the_first_and_the_last_time_a_clock_shows_it(name, minute):
    clock, wall = zone(name), wall_of(date(2000, 1, 1)) + minute
    first, last = clock.edges(wall)
    after = clock.edges(wall + 1)
    assert first <= last
    assert first <= after[0]
    assert last <= after[1]
    if clock.shows(first) == wall:
        assert clock.shows(first - 1) < wall or clock.shows(first - 1) > wall
        assert clock.shows(last) == wall
    else:  # skipped: the clock jumps over it at that very instant
        assert first == last
        assert clock.shows(first - 1) < wall < clock.shows(first)


ZONES = [
    "UTC", "Europe/Madrid", "Europe/Dublin", "Africa/Casablanca", "Australia/Lord_Howe", "Pacific/Apia",
    "America/New_York", "Asia/Kathmandu", "Antarctica/Troll", "Asia/Tehran", "Pacific/Chatham",
]  # fmt: skip


@st.composite
def layers(draw, name: str) -> Layer:
    people = draw(st.lists(st.sampled_from(["ana", "ben", "kei", "zoe"]), min_size=1, max_size=4))
    months = draw(st.sampled_from([0, 0, 0, 1, 2]))
    windows = draw(st.lists(st.builds(Window, st.integers(0, WEEK_OF - 1), st.integers(15, 3 * DAY_OF)), max_size=4))
    return Layer(
        name=name,
        turns=tuple((one,) for one in people),
        length=Length(months=months) if months else Length(minutes=draw(st.sampled_from([60, 720, 1440, 4320, 10080]))),
        begins=wall_of(date(2026, 1, 1)) + draw(st.integers(0, 400 * DAY_OF)),
        day=draw(st.integers(1, 31)),
        timezone=draw(st.sampled_from(ZONES)),
        only=joined(windows),
    )


ROSTERS = st.integers(1, 3).flatmap(
    lambda count: st.tuples(*(layers(f"layer {n + 1}") for n in range(count))).map(
        lambda found: Roster(Schedule(key="shop", layers=found))
    )
)


@given(ROSTERS, st.integers(FROM, TO), st.lists(st.integers(0, 20 * DAY), min_size=1, max_size=8))
def test_what_is_shown_is_what_pages(roster, start, asked):
    """Who at an instant are those whose shifts contain it, whatever range the shifts were asked for."""
    near, far = roster.shifts(start, start + 20 * DAY), roster.shifts(start - 9 * DAY, start + 33 * DAY)
    assert set(near) == {shift for shift in far if shift.start < start + 20 * DAY and start < shift.end}
    gaps = roster.gaps(start, start + 20 * DAY)
    for offset in asked:
        at = start + offset
        if offset == 20 * DAY:
            continue
        inside = [shift for shift in near if shift.start <= at < shift.end]
        assert set(roster.who(at)) <= set(inside)
        assert set(names(roster.who(at))) == {shift.person for shift in inside}
        assert (roster.who(at) == ()) == any(low <= at < high for low, high in gaps)


@given(ROSTERS, st.integers(FROM, TO))
def test_away_from_changes_of_the_clock_the_walls_decide(roster, at):
    """Counted another way: the last layer in whose hours the clock is, and the turn the clock is in."""
    expected: list[str] = []
    for layer in reversed(roster.schedule.layers):
        if any(abs(change - at) < 2 * DAY for change in changes(layer.timezone)):
            return
        wall = zone(layer.timezone).shows(at)
        minute = (wall - wall_of(date(2026, 11, 16))) % WEEK_OF
        hours = [(minute - window.start) % WEEK_OF < window.minutes for window in layer.only]
        if not layer.only or any(hours):
            turn = next(
                turn for turn in range(layer.turn(wall) - 1, layer.turn(wall) + 2) if layer.begin(turn + 1) > wall
            )
            expected = list(layer.people(turn))
            break
    assert names(roster.who(at)) == expected


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        ("2026-10-25T00:30:00Z", "Sun 25 Oct 2026 02:30 (UTC+2)"),
        ("2026-10-25T01:30:00Z", "Sun 25 Oct 2026 02:30 (UTC+1)"),
        ("2026-10-24T23:59:00Z", "Sun 25 Oct 2026 01:59"),
        ("2026-10-25T02:00:00Z", "Sun 25 Oct 2026 03:00"),
        ("2027-03-28T01:00:00Z", "Sun 28 Mar 2027 03:00"),
    ],
)
def test_a_time_that_the_clock_shows_twice_says_which_it_is(at: str, expected: str) -> None:
    assert said(parse_rfc3339(at), "Europe/Stockholm") == expected


def test_an_offset_of_no_whole_hours_is_said_whole() -> None:
    assert said(parse_rfc3339("2026-04-04T14:45:00Z"), "Australia/Lord_Howe") == "Sun 5 Apr 2026 01:45 (UTC+11)"
    assert said(parse_rfc3339("2026-04-04T15:15:00Z"), "Australia/Lord_Howe") == "Sun 5 Apr 2026 01:45 (UTC+10:30)"
