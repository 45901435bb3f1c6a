"""Whom an entry of a calendar from elsewhere is about, and who takes the turns of those who are away."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.oncall.rotas import rota, utc
from tocsin.kernel.instant import DAY, HOUR
from tocsin.oncall.coverage import absent
from tocsin.oncall.imported import Busy, Colleague, Names
from tocsin.oncall.roster import Roster, merged
from tocsin.oncall.standing_in import away_covers

PEOPLE = [
    Colleague("ana", "Ana Ruiz", "ana@shop.example"),
    Colleague("ana-m", "Ana Marín", "am@shop.example"),
    Colleague("ben", "Ben Okafor", "ben@shop.example"),
    Colleague("benita", "Benita", ""),
]


@pytest.mark.parametrize(
    ("text", "emails", "who"),
    [
        ("Primary", ("ben@shop.example",), "ben"),
        ("Ana Ruiz", ("ben@shop.example",), "ben"),
        ("Primary", ("ben@shop.example", "am@shop.example"), ""),
        ("On call: ANA MARÍN (first)", (), "ana-m"),
        ("BEN", (), "ben"),
        ("shift of Ben", (), "ben"),
        ("Benita", (), "benita"),
        ("ana-m, nights", (), "ana-m"),
        ("Ana Ruiz and Ben Okafor", (), ""),
        ("team lunch", (), ""),
        ("", (), ""),
        ("mail am@shop.example", (), "ana-m"),
        ("Ana Ruiz (for Benita)", (), ""),
        ("Ana covers Benita", (), ""),
        ("Ben & Benita", (), ""),
        ("kei for Benita", (), "benita"),
        ("Ana Ruiz, and ana again", (), "ana"),
        ("Ana Ruiz / ana-m", (), ""),
        ("On-call: Ana-M.", (), "ana-m"),
        ("On-call: Benita.", (), "benita"),
        ("Nights - Ben Okafor.", (), "ben"),
    ],
)
def test_an_entry_is_about_whom_it_invites_or_names_for_certain(text, emails, who):
    assert Names(PEOPLE).of(Busy(0, 1, False, text, emails)) == who


def test_whoever_has_declined_is_not_on_call_by_the_title_either():
    names = Names(PEOPLE)
    assert names.of(Busy(0, 1, False, "Ben", (), ("ben@shop.example",))) == ""
    assert names.of(Busy(0, 1, False, "Ben", (), ("am@shop.example",))) == "ben", "another has"
    assert names.of(Busy(0, 1, False, "Ben", ("am@shop.example",), ("ben@shop.example",))) == "ana-m"
    assert names.of(Busy(0, 1, False, "Ben")) == "ben"


TEAM = ("ana", "ben", "kei")
DAY_OFF = st.tuples(st.integers(0, 27), st.integers(1, 200))
"""From which day on, and for how many hours."""


@given(st.dictionaries(st.sampled_from(TEAM), st.lists(DAY_OFF, min_size=1, max_size=4)))
def test_nobody_who_is_away_has_a_turn_that_somebody_of_the_layer_could_take(days):
    roster = rota(f"- {{rotate: [{', '.join(TEAM)}], every: week, starts: 2026-11-16 with ana}}")
    start = utc("2026-11-16 00:00")
    away = {
        who: merged(sorted((start + day * DAY, start + day * DAY + hours * HOUR) for day, hours in some))
        for who, some in days.items()
    }
    end = start + 40 * DAY
    covers = tuple(away_covers(roster, away, start, end))
    gone = lambda who, at: any(low <= at < high for low, high in away.get(who, ()))  # noqa: E731
    edges = {start, *(edge for spans in away.values() for span in spans for edge in span)}
    left = set()
    for at in sorted(edges):
        (shift,) = roster.who(at, covers)
        if gone(shift.person, at):
            assert all(gone(who, at) for who in TEAM)
            left.add(at)
        beside = roster.beside(at, 1, covers)
        others = [who for who in TEAM if who != shift.person and not gone(who, at)]
        assert [one.person != shift.person and (one.person in others or not others) for one in beside] == [True]
    told = absent(roster.shifts(start, end, covers), covers, start, end)
    assert {at for at in edges if at < end and any(one.start <= at < one.end for one in told)} == left


def stand_ins(roster: Roster, away: dict[str, list[tuple[int, int]]]) -> list[tuple[str, int, int]]:
    start = utc("2026-11-16 00:00")
    made = away_covers(roster, away, start, start + 7 * DAY)
    return [(one.person, one.start, one.end) for one in made if one.person]


def test_a_stand_in_is_there_for_all_of_it_where_somebody_is():
    roster = rota("- {rotate: [ana, ben, kei], every: week, handoff: Mon 00:00, starts: 2026-11-16 with ana}")
    start = utc("2026-11-16 00:00")
    week, noon = (start, start + 7 * DAY), start + 60 * HOUR
    hour = (noon, noon + HOUR)
    assert stand_ins(roster, {"ana": [week], "ben": [hour]}) == [("kei", *week)]
    both = {"ana": [week], "ben": [hour], "kei": [(start, start + DAY)]}
    assert stand_ins(roster, both) == [("ben", start, noon), ("kei", *hour), ("ben", noon + HOUR, week[1])]
