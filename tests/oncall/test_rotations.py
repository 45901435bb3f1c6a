"""Who is on call: turns, layers, hours, several at once, shadows, offsets."""

from __future__ import annotations

import pytest

from tests.oncall.rotas import names, rota, told, utc
from tocsin.kernel.instant import DAY, HOUR, MINUTE
from tocsin.oncall.override import Cover, absence

SHOP = """
- {rotate: [ana, ben], every: week, handoff: Mon 09:00, starts: 2026-11-16 with ana}
- {rotate: kei, timezone: Asia/Tokyo, only: Mon-Fri 09:00-18:00}
"""


def test_turns_change_at_the_handoff_and_begin_with_who_starts():
    shop = rota("- {rotate: [ana, ben], every: week, handoff: Mon 09:00, starts: 2026-11-16 with ben}", "Europe/Madrid")
    assert told(shop.shifts(utc("2026-11-16 00:00"), utc("2026-11-30 08:00"))) == [
        ("ana", "2026-11-09 08:00", "2026-11-16 08:00"),
        ("ben", "2026-11-16 08:00", "2026-11-23 08:00"),
        ("ana", "2026-11-23 08:00", "2026-11-30 08:00"),
    ]


def test_the_later_layer_counts_while_it_applies():
    """Nights in Madrid are days in Tokyo: kei's hours cut ana's week, and ana has what is left."""
    shop = rota(SHOP, "Europe/Madrid")
    assert told(shop.shifts(utc("2026-11-20 00:00"), utc("2026-11-24 00:00"))) == [
        ("kei", "2026-11-20 00:00", "2026-11-20 09:00"),
        ("ana", "2026-11-20 09:00", "2026-11-23 00:00"),
        ("kei", "2026-11-23 00:00", "2026-11-23 09:00"),
        ("ben", "2026-11-23 09:00", "2026-11-24 00:00"),
    ]


def test_a_shift_is_whole_however_small_a_part_of_it_was_asked_for():
    shop = rota(SHOP, "Europe/Madrid")
    (shift,) = shop.who(utc("2026-11-21 12:00"))
    assert told((shift,)) == [("ana", "2026-11-20 09:00", "2026-11-23 00:00")]
    assert shop.shifts(utc("2026-11-21 12:00"), utc("2026-11-21 12:01")) == (shift,)


@pytest.mark.parametrize(
    ("layer", "at", "person"),
    [
        # weeks: the handoff is the last one on the start day or before it
        ("every: week, handoff: Wed 12:00, starts: 2026-11-16 with ana", "2026-11-16 12:00", "ana"),
        ("every: week, handoff: Wed 12:00, starts: 2026-11-16 with ana", "2026-11-11 11:59", "kei"),
        ("every: week, handoff: Wed 12:00, starts: 2026-11-16 with ana", "2026-11-18 12:00", "ben"),
        ("every: week, handoff: 12:00, starts: 2026-11-18 with ana", "2026-11-25 11:59", "ana"),
        ("every: week, starts: 2026-11-18 with ana", "2026-11-18 09:00", "ana"),
        ("every: week, starts: 2026-11-18 with ana", "2026-11-18 08:59", "kei"),
        ("every: 2 weeks, handoff: Mon 09:00, starts: 2026-11-16 with ben", "2026-11-30 08:59", "ben"),
        ("every: 2 weeks, handoff: Mon 09:00, starts: 2026-11-16 with ben", "2026-11-30 09:00", "kei"),
        # days and hours
        ("every: day, handoff: 17:00, starts: 2026-11-16 with ana", "2026-11-16 17:00", "ana"),
        ("every: day, handoff: 17:00, starts: 2026-11-16 with ana", "2026-11-17 17:00", "ben"),
        ("every: 3 days, handoff: 17:00, starts: 2026-11-16 with ana", "2026-11-19 16:59", "ana"),
        ("every: 12h, handoff: 08:00, starts: 2026-11-16 with ana", "2026-11-16 20:00", "ben"),
        ("every: 12h, handoff: 08:00, starts: 2026-11-16 with ana", "2026-11-16 07:59", "kei"),
        ("every: hour, starts: 2026-11-16 with ana", "2026-11-16 11:30", "kei"),
        # months
        ("every: month, handoff: 1 09:00, starts: 2026-11-16 with ana", "2026-11-01 09:00", "ana"),
        ("every: month, handoff: 1 09:00, starts: 2026-11-16 with ana", "2026-12-01 09:00", "ben"),
        ("every: month, handoff: 31 09:00, starts: 2026-11-16 with ana", "2026-11-30 08:59", "ana"),
        ("every: month, handoff: 31 09:00, starts: 2026-11-16 with ana", "2026-11-30 09:00", "ben"),
        ("every: month, handoff: 31 09:00, starts: 2027-02-28 with ana", "2027-02-28 09:00", "ana"),
        ("every: month, handoff: 31 09:00, starts: 2027-02-27 with ana", "2027-02-28 09:00", "ben"),
        ("every: month, starts: 2026-11-16 with ana", "2026-12-16 09:00", "ben"),
        ("every: 3 months, handoff: 1 00:00, starts: 2026-01-01 with ana", "2026-03-31 23:59", "ana"),
        ("every: 3 months, handoff: 1 00:00, starts: 2026-01-01 with ana", "2025-12-31 23:59", "kei"),
        # without a start turns count from Monday 2000-01-03, with the first
        ("every: week, handoff: Mon 09:00", "2000-01-03 09:00", "ana"),
        ("every: week, handoff: Mon 09:00", "2000-01-10 09:00", "ben"),
        ("every: day", "2000-01-05 09:00", "kei"),
        # turns before the start count backwards
        ("every: week, handoff: Mon 09:00, starts: 2026-11-16 with ana", "1999-01-04 09:00", "ben"),
    ],
)
def test_whose_turn_it_is(layer, at, person):
    assert names(rota(f"- {{rotate: [ana, ben, kei], {layer}}}").who(utc(at))) == [person]


def test_several_are_on_call_at_once():
    shop = rota("- {rotate: [[ana, ben], kei], every: day, handoff: 09:00, starts: 2026-11-16 with ben}")
    assert names(shop.who(utc("2026-11-16 09:00"))) == ["ana", "ben"]
    assert names(shop.who(utc("2026-11-17 09:00"))) == ["kei"]
    assert names(shop.who(utc("2026-11-18 09:00"))) == ["ana", "ben"]


@pytest.mark.parametrize(
    ("only", "inside", "outside"),
    [
        ("Mon-Fri 09:00-18:00", ["2026-11-16 09:00", "2026-11-20 17:59"], ["2026-11-16 08:59", "2026-11-21 12:00"]),
        ("Mon-Fri 09:00-18:00", [], ["2026-11-20 18:00"]),
        ("Mon-Thu 22:00-06:00", ["2026-11-16 22:00", "2026-11-20 05:59"], ["2026-11-16 05:00", "2026-11-20 22:00"]),
        ("Sun 22:00-06:00", ["2026-11-15 22:00", "2026-11-16 05:59"], ["2026-11-16 06:00", "2026-11-15 06:00"]),
        ("22:00-06:00", ["2026-11-16 23:00", "2026-11-16 01:00"], ["2026-11-16 21:59", "2026-11-16 06:00"]),
        ("Sat,Sun", ["2026-11-21 00:00", "2026-11-22 23:59"], ["2026-11-23 00:00", "2026-11-20 23:59"]),
        ("Fri-Mon", ["2026-11-20 00:00", "2026-11-23 23:59"], ["2026-11-24 00:00"]),
        ("Fri 18:00 - Mon 09:00", ["2026-11-20 18:00", "2026-11-23 08:59"], ["2026-11-20 17:59", "2026-11-23 09:00"]),
        ("Mon 09:00-24:00", ["2026-11-16 23:59"], ["2026-11-17 00:00", "2026-11-16 08:59"]),
        ("Mon 09:00 - Mon 09:00", ["2026-11-16 08:59", "2026-11-16 09:00"], []),
    ],
)
def test_hours_of_the_week(only, inside, outside):
    shop = rota(f"- {{rotate: zoe}}\n- {{rotate: ana, only: '{only}'}}")
    assert [names(shop.who(utc(at))) for at in inside] == [["ana"]] * len(inside)
    assert [names(shop.who(utc(at))) for at in outside] == [["zoe"]] * len(outside)


def test_hours_that_meet_are_one_shift():
    shop = rota(
        "- {rotate: ana, every: 4 weeks, starts: 2026-11-02, only: [Fri 18:00-24:00, 'Sat,Sun', Mon 00:00-09:00]}"
    )
    assert told(shop.shifts(utc("2026-11-19 00:00"), utc("2026-11-26 00:00"))) == [
        ("ana", "2026-11-20 18:00", "2026-11-23 09:00")
    ]


def test_a_week_that_is_covered_whole_is_always():
    shop = rota("- {rotate: [ana, ben], every: week, starts: 2026-11-16, only: [Mon-Fri, 'Sat,Sun']}")
    assert shop.schedule.layers[0].only == ()


def test_nobody_is_on_call_outside_the_hours():
    shop = rota("- {rotate: ana, only: Mon-Fri 09:00-18:00}")
    assert shop.who(utc("2026-11-21 12:00")) == ()
    assert [(end - start) // HOUR for start, end in shop.gaps(utc("2026-11-20 09:00"), utc("2026-11-24 09:00"))] == [
        63,
        15,
    ]


def test_next_and_previous_are_of_the_layer_that_applies():
    shop = rota("- {rotate: [ana, ben, zoe], every: week, handoff: Mon 09:00, starts: 2026-11-16 with ana}\n"
                "- {rotate: kei, only: Mon-Fri 00:00-06:00}")  # fmt: skip
    assert names(shop.beside(utc("2026-11-17 12:00"), 1)) == ["ben"]
    assert names(shop.beside(utc("2026-11-17 12:00"), -1)) == ["zoe"]
    assert shop.beside(utc("2026-11-17 03:00"), 1) == (), "nobody stands in for themselves"


def test_who_is_away_or_stands_in_is_not_the_next_and_whoever_comes_after_them_is():
    shop = rota("- {rotate: [ana, ben, zoe], every: week, handoff: Mon 09:00, starts: 2026-11-16 with ana}")
    noon = utc("2026-11-17 12:00")
    away = (absence(-1, "ben", utc("2026-11-17 00:00"), utc("2026-11-18 00:00")),)
    assert names(shop.beside(noon, 1, away)) == ["zoe"]
    assert names(shop.beside(utc("2026-11-18 00:00"), 1, away)) == ["ben"], "back again"
    assert names(shop.beside(noon, -1, (absence(-1, "zoe", *away[0][2:4]),))) == ["ben"]
    assert names(shop.who(noon, away)) == ["ana"]
    everybody = tuple(absence(-1, one, *away[0][2:4]) for one in ("ben", "zoe"))
    assert names(shop.beside(noon, 1, everybody)) == ["ben"], "somebody who may answer is better than nobody"
    assert names(shop.beside(noon, -1, everybody)) == ["zoe"]
    instead = (*everybody, Cover(7, "ben", *away[0][2:4]))
    assert names(shop.beside(noon, 1, instead)) == ["zoe"], "ben is on call, away or not"
    standing = (Cover(7, "ben", *away[0][2:4]),)
    assert names(shop.beside(noon, 1, standing)) == ["zoe"], "ben is on call already"


def test_while_two_turns_are_on_the_next_comes_after_both():
    layer = "- {rotate: [ana, ben, zoe], every: day, handoff: 02:30, starts: 2026-10-24 with ana}"
    nights = rota(layer, "Europe/Madrid")
    twice = utc("2026-10-25 00:45")  # 02:45, for the first time
    assert names(nights.who(twice)) == ["ana", "ben"]
    assert names(nights.beside(twice, 1)) == ["zoe"]
    assert names(nights.beside(twice, -1)) == ["zoe"]
    assert names(nights.beside(utc("2026-10-25 00:15"), 1)) == ["ben"]
    assert names(nights.beside(utc("2026-10-25 01:45"), 1)) == ["zoe"]


def test_a_shadow_is_of_the_layer_and_not_on_call():
    shop = rota("- {rotate: [ana, ben], every: day, starts: 2026-11-16 with ana, shadow: [zoe, ben]}\n"
                "- {rotate: kei, only: Sat}")  # fmt: skip
    at = utc("2026-11-16 12:00")
    assert (names(shop.who(at)), shop.shadows(at)) == (["ana"], ("zoe", "ben"))
    assert shop.shadows(at + DAY) == ("zoe",), "ben is on call himself"
    assert shop.shadows(utc("2026-11-21 12:00")) == ()


def test_the_end_of_a_shift_belongs_to_the_next():
    shop = rota("- {rotate: [ana, ben], every: day, handoff: 09:00, starts: 2026-11-16 with ana}")
    at = utc("2026-11-17 09:00")
    assert names(shop.who(at - 1)) == ["ana"]
    assert names(shop.who(at)) == ["ben"]
    assert names(shop.who(at + MINUTE)) == ["ben"]
