"""Whom a service would page over a range: what is told of each instant, without a break; gaps and the last resort."""

from __future__ import annotations

import time
from datetime import UTC, datetime

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from tocsin.kernel.instant import DAY, HOUR, Instant, parse_rfc3339
from tocsin.oncall.imported import Busy, Imported
from tocsin.oncall.override import Cover, absence
from tocsin.plan import read_plan
from tocsin.plan.ahead import ahead
from tocsin.plan.model import Plan
from tocsin.plan.whom import alike, kinds, whom

HEAD = b"""
tocsin: 1
timezone: Europe/Madrid
people: {ana: {email: a@b.example}, ben: {email: b@b.example}, kei: {email: k@b.example}, zoe: {email: z@b.example}}
mail: {server: smtp://localhost, from: a@b.example}
last resort: zoe
customer tiers: [gold]
hours:
  office:
    open: [Mon-Fri 09:00-17:00, Tue 22:00 - Wed 02:00]
    timezone: Europe/London
    closed: [2026-11-25]
    holidays: [feasts]
calendars: {feasts: {ical: "https://c.example/feasts.ics"}}
schedules:
  shop:
    layers:
      - {rotate: [ana, ben, kei], every: week, handoff: Mon 09:00, starts: 2026-11-16 with ana, only: Mon-Sat}
      - rotate: [kei, ana]
        every: 12h
        handoff: 08:00
        starts: 2026-11-16 with kei
        timezone: America/New_York
        only: Sat 12:00-20:00
  empty: {layers: [{rotate: ben, starts: 2026-11-16 with ben, only: Sun 00:00-01:00}]}
escalations:
  shop:
    - {page: shop, wait: 5m}
    - {page: next on shop, when: {hours: office}}
    - {page one of: [ben, empty, kei], when: {severity: sev1, hours: outside office}}
  vip: [{page: previous on shop}, {page: [shop, ana]}]
  low: [{page: empty}]
services:
  checkout: {escalation: {sev1: shop, sev2: shop, sev3: low}, escalation for: {gold: vip}}
  plain: {escalation: low}
  inbox: {}
"""
START = parse_rfc3339("2026-10-23T22:00:00Z")
FEASTS = Imported(name="feasts", read_at=START, busy=(Busy(START + 12 * DAY, START + 12 * DAY + 5 * HOUR),))


def plan() -> Plan:
    reading = read_plan({"tocsin.yaml": HEAD})
    assert reading.plan is not None, "\n".join(map(str, reading.findings))
    return reading.plan


PLAN = plan()
OTHER = plan()
"""The same, whose rosters are not asked by what is tested."""


def utc(at: Instant) -> str:
    return f"{datetime.fromtimestamp(at / 1_000_000, UTC):%a %H:%M}"


def told(service: str, start: str, end: str, severity: str = "") -> list[str]:
    (course,) = ahead(PLAN, service, parse_rfc3339(start), parse_rfc3339(end), {}, {}, severity)
    return [
        f"{utc(one.start)} {utc(one.end)} {one.step}{' last' if course.is_last_resort(one) else ''} {one.person or '-'}"
        f" ({one.by})"
        for one in course.stretches
    ]


def test_each_step_is_told_with_who_has_it_when() -> None:
    of = ahead(PLAN, "checkout", parse_rfc3339("2026-11-23T06:00:00Z"), parse_rfc3339("2026-11-23T20:00:00Z"), {}, {},
               "sev2")  # fmt: skip
    assert [(one.severities, one.tiers, len(one.steps)) for one in of] == [
        (("sev2",), ("gold",), 2), (("sev2",), ("",), 3),
    ]  # fmt: skip
    assert [(utc(one.start), utc(one.end), one.step, one.person, one.when) for one in of[1].stretches] == [
        ("Mon 06:00", "Mon 08:00", 1, "ana", ""),
        ("Mon 08:00", "Mon 20:00", 1, "ben", ""),
        ("Mon 09:00", "Mon 17:00", 2, "kei", "the hours office"),
    ]


def test_days_that_are_closed_or_a_feast_are_no_hours() -> None:
    start = parse_rfc3339("2026-11-24T00:00:00Z")
    feast = Busy(start + 2 * DAY + 12 * HOUR, start + 2 * DAY + 13 * HOUR)
    of = ahead(PLAN, "checkout", start, start + 3 * DAY, {}, {"feasts": replace(FEASTS, busy=(feast,))}, "sev2")
    assert [(utc(one.start), utc(one.end)) for one in of[-1].stretches if one.when == "the hours office"] == [
        ("Tue 09:00", "Tue 17:00"), ("Tue 22:00", "Wed 00:00"),
        ("Thu 09:00", "Thu 12:00"), ("Thu 13:00", "Thu 17:00"),
    ]  # fmt: skip


def test_a_step_that_reaches_nobody_is_told_and_so_is_the_last_resort() -> None:
    assert told("plain", "2026-11-21T23:30:00Z", "2026-11-22T02:00:00Z") == [
        "Sat 23:30 Sun 00:00 1 ben (empty, layer 1)",
        "Sun 00:00 Sun 02:00 1 - ()",
        "Sun 00:00 Sun 02:00 2 last zoe (last resort)",
    ]
    assert told("inbox", "2026-11-21T22:30:00Z", "2026-11-22T02:00:00Z") == ["Sat 22:30 Sun 02:00 1 zoe ()"]


def test_who_is_on_call_for_turns_on_end_has_one_stretch_and_each_override_its_own() -> None:
    start = parse_rfc3339("2026-11-22T00:00:00Z")
    covers = {"empty": (Cover(7, "kei", start, start + HOUR),)}
    (course,) = ahead(PLAN, "plain", start - DAY, start + DAY, covers)
    assert [(utc(one.start), one.person, one.by) for one in course.stretches if one.person] == [
        ("Sat 00:00", "zoe", "last resort"), ("Sat 23:00", "ben", "empty, layer 1"),
        ("Sun 00:00", "kei", "empty, override 7"), ("Sun 01:00", "zoe", "last resort"),
    ]  # fmt: skip


OFFSETS = st.integers(0, 12 * 7 * 24 * 4).map(lambda one: START + one * HOUR // 4)


@st.composite
def covers(draw: st.DrawFn) -> tuple[Cover, ...]:
    found = []
    for number in range(1, draw(st.integers(0, 4)) + 1):
        low = draw(OFFSETS)
        high = low + draw(st.integers(1, 400)) * HOUR // 2
        who, whose = draw(st.sampled_from(["ana", "ben", "kei", "zoe"])), draw(st.sampled_from(["", "ana", "ben"]))
        found.append(absence(-number, who, low, high) if draw(st.booleans()) else Cover(number, who, low, high, whose))
    return tuple(sorted(found))


@settings(max_examples=40, deadline=None)
@given(
    start=OFFSETS,
    days=st.integers(1, 40),
    laid=covers(),
    at=st.lists(st.floats(0, 1), min_size=4, max_size=12),
    severity=st.sampled_from(["", "sev1", "sev3"]),
    service=st.sampled_from(["checkout", "checkout", "plain"]),
)
def test_at_each_instant_it_is_what_is_told_of_that_instant(
    start: Instant, days: int, laid: tuple[Cover, ...], at: list[float], severity: str, service: str
) -> None:
    by_schedule = {"shop": laid, "empty": laid[:1]}
    end = start + days * DAY
    courses = ahead(PLAN, service, start, end, by_schedule, {"feasts": FEASTS}, severity)
    edges = {one.start for course in courses for one in course.stretches}
    asked = {start + int(one * (end - 1 - start)) for one in at} | edges | {one - 1 for one in edges if one > start}
    for level, tier in kinds(PLAN, service, severity):
        (course,) = [
            one for one in courses if level in (one.severities or (level,)) and tier in (one.tiers or (tier,))
        ]  # fmt: skip
        for instant in asked:
            way = next(
                one
                for one in alike(PLAN, service, instant, {"feasts": FEASTS}, level)
                if tier in (one.tiers or (tier,))
            )  # fmt: skip
            fresh = {
                (step.number, each.person.key, each.by, step.when, step.one_of)
                for step in whom(OTHER, way, instant, by_schedule)
                if not step.passed
                for each in step.reached
            }
            said = {
                (one.step, one.person, one.by, one.when, one.one_of)
                for one in course.stretches
                if one.start <= instant < one.end and one.person
            }
            assert said == fresh, (level, tier, utc(instant))


def test_of_each_step_something_is_told_of_every_instant() -> None:
    """Whoever is asked has an answer: a person, or that there is nobody."""
    end = START + 84 * DAY
    for course in ahead(PLAN, "checkout", START, end, {}, {"feasts": FEASTS}):
        at = START
        for one in sorted(course.stretches):
            assert one.start <= at, "nothing is said from there on"
            assert START <= one.start < one.end <= end
            at = max(at, one.end)
        assert at == end


def test_twelve_weeks_of_a_service_take_no_time_to_speak_of() -> None:
    """A tenth of a second is what people may wait; hourly turns over two years do not go on for ever."""
    began = time.process_time()
    ahead(plan(), "checkout", START, START + 84 * DAY, {}, {"feasts": FEASTS})
    assert time.process_time() - began < 1, "ten times what it is meant to take, for a busy machine"
