"""What is answered to whoever asks who is on call: shifts as people mean them."""

from __future__ import annotations

from tests.oncall.rotas import rota, told, utc
from tocsin.faces.feeds import calendar_of
from tocsin.kernel.instant import MINUTE
from tocsin.oncall.asking import clipped, on_call
from tocsin.oncall.override import Cover
from tocsin.oncall.roster import Roster
from tocsin.plan import read_plan

DESK = "{rotate: kei, only: Mon-Fri 08:00-17:00, timezone: Asia/Tokyo}"
SHOP = f"- {{rotate: [ana, ben], every: week, handoff: Mon 09:00, starts: 2026-11-16 with ana}}\n- {DESK}"
MONDAY = ("kei", "2026-11-29 23:00", "2026-11-30 08:00")


def listed(roster: Roster, start: str, end: str, *covers: Cover) -> list[tuple[str, str, str]]:
    return told(tuple(clipped(roster, utc(start), utc(end), covers)))


def test_a_layer_of_one_turn_is_not_parted_by_a_handoff_to_the_same_people():
    """Its turns would change on Mondays at nine, an hour after it begins to apply."""
    assert listed(rota(SHOP), "2026-11-29 12:00", "2026-11-30 12:00") == [
        ("ben", "2026-11-29 12:00", "2026-11-29 23:00"),
        MONDAY,
        ("ben", "2026-11-30 08:00", "2026-11-30 09:00"),
        ("ana", "2026-11-30 09:00", "2026-11-30 12:00"),
    ]


def test_who_is_on_call_is_so_for_all_of_that_shift():
    for at in ("2026-11-29 23:00", "2026-11-29 23:59", "2026-11-30 00:00", "2026-11-30 07:59"):
        assert told(on_call(rota(SHOP), utc(at))) == [MONDAY]


def test_a_turn_of_several_is_one_shift_for_each_though_a_handoff_of_every_hour_stands_there():
    desk = rota("- {rotate: [[ana, ben]], every: hour, only: 08:00-11:00}")
    assert listed(desk, "2026-11-30 00:00", "2026-12-01 00:00") == [
        ("ana", "2026-11-30 08:00", "2026-11-30 11:00"),
        ("ben", "2026-11-30 08:00", "2026-11-30 11:00"),
    ]
    assert [one[1:] for one in told(on_call(desk, utc("2026-11-30 10:30")))] == [
        ("2026-11-30 08:00", "2026-11-30 11:00")
    ] * 2


def test_an_override_over_that_handoff_is_one_and_parts_what_it_lies_in():
    cover = Cover(1, "zoe", utc("2026-11-29 23:30"), utc("2026-11-30 02:00"), "kei")
    assert listed(rota(SHOP), "2026-11-29 23:00", "2026-11-30 08:00", cover) == [
        ("kei", "2026-11-29 23:00", "2026-11-29 23:30"),
        ("zoe", "2026-11-29 23:30", "2026-11-30 02:00"),
        ("kei", "2026-11-30 02:00", "2026-11-30 08:00"),
    ]
    assert told(on_call(rota(SHOP), utc("2026-11-30 01:00"), (cover,))) == [
        ("zoe", "2026-11-29 23:30", "2026-11-30 02:00")
    ]


def test_an_override_is_one_shift_though_it_lies_over_turns_and_over_who_stands_in():
    """Kei takes Ana's place for three weeks of hers, in which Ana is away for two days, for whom Ben stands in."""
    hers = rota("- {rotate: [ana, [ana, ben], ana], every: week, handoff: Mon 09:00, starts: 2026-11-16 with ana}")
    start, end = utc("2026-11-17 00:00"), utc("2026-12-03 00:00")
    away = Cover(-9, "ben", utc("2026-11-18 00:00"), utc("2026-11-20 00:00"), "ana")
    covers = (away, Cover(1, "kei", start, end, "ana"))
    keis = [("kei", "2026-11-17 00:00", "2026-12-03 00:00")]
    assert [one for one in listed(hers, "2026-11-16 00:00", "2026-12-07 00:00", *covers) if one[0] == "kei"] == keis
    for at in ("2026-11-17 00:00", "2026-11-19 12:00", "2026-11-25 12:00", "2026-12-02 23:59"):
        assert [one for one in told(on_call(hers, utc(at), covers)) if one[0] == "kei"] == keis


def test_an_override_in_the_place_of_whoever_is_there_by_another_is_one_as_well():
    covers = (
        Cover(1, "ben", utc("2026-11-25 00:00"), utc("2026-11-26 00:00")),
        Cover(2, "kei", utc("2026-11-24 00:00"), utc("2026-11-27 00:00"), "ben"),
    )
    keis = ("kei", "2026-11-24 00:00", "2026-11-27 00:00")
    nights = rota("- {rotate: [ana, ben], every: week, handoff: Mon 09:00, starts: 2026-11-23 with ben}")
    assert keis in listed(nights, "2026-11-23 00:00", "2026-11-28 00:00", *covers)
    assert told(on_call(nights, utc("2026-11-25 12:00"), covers)) == [keis]


def test_where_people_take_turns_a_handoff_parts_also_what_is_one_persons():
    rotation = rota("- {rotate: [ana, ben, ana], every: day, handoff: 09:00, starts: 2026-11-30 with ana}")
    assert listed(rotation, "2026-12-02 10:00", "2026-12-04 08:00") == [
        ("ana", "2026-12-02 10:00", "2026-12-03 09:00"),
        ("ana", "2026-12-03 09:00", "2026-12-04 08:00"),
    ]


def test_over_a_clock_that_is_set_back_it_is_one_shift_that_does_not_overlap_itself():
    night = rota("- {rotate: kei, handoff: Sun 02:30, only: Sun 00:00-06:00}", "Europe/Madrid")
    assert listed(night, "2026-10-24 12:00", "2026-10-25 12:00") == [("kei", "2026-10-24 22:00", "2026-10-25 05:00")]
    at = utc("2026-10-25 00:45")
    assert told(on_call(night, at)) == told(on_call(night, at + 30 * MINUTE)) == [
        ("kei", "2026-10-24 22:00", "2026-10-25 05:00")
    ]


def test_what_applies_all_week_is_parted_by_the_week():
    always = rota("- {rotate: kei}")
    week = [("kei", "2026-11-23 09:00", "2026-11-30 09:00"), ("kei", "2026-11-30 09:00", "2026-12-07 09:00")]
    assert listed(always, "2026-11-23 09:00", "2026-12-07 09:00") == week
    assert told(on_call(always, utc("2026-11-29 12:00"))) == week[:1]


def test_a_calendar_program_is_given_the_same():
    text = f"tocsin: 1\npeople: {{kei: {{email: kei@shop.example}}}}\nschedules:\n  shop: {{layers: [{DESK}]}}\n"
    plan = read_plan({"tocsin.yaml": text.encode()}).plan
    assert plan is not None
    lines = calendar_of(plan, "schedule:shop", {}, utc("2026-11-26 12:00"))
    assert lines is not None
    assert lines.count(b"\r\nDTSTART:20261129T230000Z\r\nDTEND:20261130T080000Z\r\n") == 1
    assert b"\r\nDTSTART:20261130T000000Z\r\n" not in lines
