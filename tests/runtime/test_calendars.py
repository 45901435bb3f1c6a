"""Calendars from elsewhere: what an iCalendar file says, and a source that is slow, wrong, too long or gone."""

from __future__ import annotations

import asyncio
import tracemalloc
from datetime import UTC, datetime
from time import process_time

import pytest

from tests.support.catcher import Catcher, Reply
from tests.support.waiting import eventually
from tocsin.engine.inputs import CalendarRead
from tocsin.intake.specs import CalendarSpec
from tocsin.kernel.instant import SECOND, Instant, from_datetime, parse_rfc3339
from tocsin.oncall.imported import AHEAD, BEHIND, Busy
from tocsin.runtime import calendars as reading
from tocsin.runtime.calendars import Calendars
from tocsin.runtime.ical import NotACalendar, entries
from tocsin.runtime.outbound import Outbound

NOW = parse_rfc3339("2026-10-20T10:00:00Z")


def ics(*events: str) -> bytes:
    """A calendar of events, each a few lines."""
    lines = ["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//somebody//else//EN"]
    for number, event in enumerate(events):
        lines += ["BEGIN:VEVENT", f"UID:{number}@else", "DTSTAMP:20260101T000000Z", *event.split("\n"), "END:VEVENT"]
    return "\r\n".join([*lines, "END:VCALENDAR", ""]).encode()


def at(text: str) -> Instant:
    return from_datetime(datetime.fromisoformat(text).replace(tzinfo=UTC))


def test_a_weekly_shift_keeps_its_wall_clock_over_the_change_of_the_clock():
    """Madrid's clocks are set back on 25 October: nine o'clock is an hour later in UTC after it."""
    found = entries(
        ics(
            "DTSTART;TZID=Europe/Madrid:20261019T090000\nDTEND;TZID=Europe/Madrid:20261019T180000\n"
            "RRULE:FREQ=WEEKLY;COUNT=3\nEXDATE;TZID=Europe/Madrid:20261102T090000\nSUMMARY:Ana\n"
            "ATTENDEE;CN=Ana:mailto:Ana@Shop.example"
        ),
        NOW,
    ).busy
    assert found == (
        Busy(at("2026-10-19 07:00"), at("2026-10-19 16:00"), False, "Ana", ("ana@shop.example",)),
        Busy(at("2026-10-26 08:00"), at("2026-10-26 17:00"), False, "Ana", ("ana@shop.example",)),
    )


def test_a_whole_day_is_a_day_of_whoever_it_is_for():
    """Two days in Madrid across the change of the clock are 49 hours."""
    (days,) = entries(ics("DTSTART;VALUE=DATE:20261024\nDTEND;VALUE=DATE:20261026\nSUMMARY:Holidays"), NOW).busy
    start, end = days.span("Europe/Madrid")
    assert (start, end) == (at("2026-10-23 22:00"), at("2026-10-25 23:00"))
    assert days.span("Asia/Tokyo") == (at("2026-10-23 15:00"), at("2026-10-25 15:00"))


def test_who_has_declined_is_not_invited():
    event = "DTSTART:20261021T080000Z\nDTEND:20261021T090000Z\nSUMMARY:On call"
    people = "ATTENDEE;PARTSTAT=DECLINED:mailto:ana@shop.example\nATTENDEE;PARTSTAT=ACCEPTED:mailto:ben@shop.example"
    (both,) = entries(ics(f"{event}\n{people}"), NOW).busy
    assert (both.emails, both.declined) == (("ben@shop.example",), ("ana@shop.example",))
    alone = "ATTENDEE;PARTSTAT=declined:mailto:ana@shop.example"
    (none,) = entries(ics(f"{event}\n{alone}"), NOW).busy
    assert (none.emails, none.declined) == ((), ("ana@shop.example",))


TURNS = "DTSTART:20261019T080000Z\nDTEND:20261020T080000Z\nRRULE:FREQ=WEEKLY;COUNT=4\nSUMMARY:Ana"
TURN = "RECURRENCE-ID:20261026T080000Z"


@pytest.mark.parametrize(
    ("changed", "days"),
    [
        (f"{TURN}\nDTSTART:20261027T080000Z\nDTEND:20261027T070000Z", [19, 2, 9]),
        (f"{TURN}\nDTSTART:20261027T080000Z\nDURATION:-PT1H", [19, 2, 9]),
        (f"{TURN}\nDTSTART:never", [19, 2, 9]),
        (f"{TURN}\nSUMMARY:without a begin", [19, 2, 9]),
        (f"{TURN}\nDTSTART:20261027T080000Z\nRRULE:FREQ=SECONDLY", [19, 2, 9]),
        (f"{TURN.replace(':', ';RANGE=THISANDFUTURE:')}\nDTSTART:20261027T080000Z\nDTEND:20261027T070000Z", [19, 2, 9]),
        ("RECURRENCE-ID:some day\nDTSTART:20261027T080000Z\nDTEND:20261027T090000Z", [19, 26, 2, 9]),
    ],
)
def test_a_changed_turn_that_makes_no_sense_takes_no_other_with_it(changed, days):
    """Where it was moved to, nobody can know: it is nobody's. The rest of the rota is who it was."""
    both = ics(TURNS, changed).replace(b"UID:1@else", b"UID:0@else")
    found = entries(both, NOW)
    assert [datetime.fromtimestamp(one.start / SECOND, UTC).day for one in found.busy] == days
    assert found.unread == 1
    alone = entries(ics("DTSTART:20261021T080000Z\nDTEND:20261021T090000Z", changed), NOW)
    assert (len(alone.busy), alone.unread) == (1, 1)


@pytest.mark.parametrize(
    ("second", "drawn", "unread"),
    [
        ("DTSTART:20261022T080000Z\nDTEND:20261022T090000Z\nSUMMARY:Ben", ["Ana"], 1),
        ("DTSTART:20261021T080000Z\nDTEND:20261021T090000Z\nSUMMARY:Ben", ["Ana"], 1),
        ("DTSTART:20261022T080000Z\nDTEND:20261022T090000Z\nSEQUENCE:1\nSUMMARY:Ben", ["Ben"], 0),
        ("DTSTART:20261021T080000Z\nDTEND:20261021T090000Z\nSUMMARY:Ana", ["Ana"], 0),
        ("RECURRENCE-ID:20261021T080000Z\nDTSTART:20261022T080000Z\nDTEND:20261022T090000Z\nSUMMARY:Ben", ["Ben"], 0),
    ],
)
def test_of_events_of_one_name_one_counts_and_the_others_are_told(second, drawn, unread):
    """As of a script that calls every shift the same. What is written anew, or twice, is no loss."""
    first = "DTSTART:20261021T080000Z\nDTEND:20261021T090000Z\nSUMMARY:Ana"
    found = entries(ics(first, second).replace(b"UID:1@else", b"UID:0@else"), NOW)
    assert ([one.text for one in found.busy], found.unread) == (drawn, unread)


@pytest.mark.parametrize(
    "times",
    [
        "DTSTART:20261022T090000Z\nDTEND:20261021T090000Z",
        "DTSTART;TZID=Europe/Madrid:20261022T110000\nDTEND:20261022T085959Z",
        "DTSTART;VALUE=DATE:20261022\nDTEND;VALUE=DATE:20261021",
        "DTSTART:20261022T090000\nDTEND:20261022T080000",
        "DTSTART:20261022T090000Z\nDURATION:-PT1H",
    ],
)
def test_what_ends_before_it_begins_is_left_out_and_told(times):
    good = "DTSTART:20261023T080000Z\nDTEND:20261023T090000Z\nSUMMARY:Ben"
    found = entries(ics(f"{times}\nSUMMARY:Ana", good), NOW)
    assert ([one.text for one in found.busy], found.unread) == (["Ben"], 1)


def test_a_moved_and_a_cancelled_occurrence_are_as_their_calendar_says():
    found = entries(
        ics(
            "DTSTART:20261020T080000Z\nDTEND:20261020T090000Z\nRRULE:FREQ=DAILY;COUNT=2\nSUMMARY:Ben",
            "DTSTART:20261030T080000Z\nDTEND:20261030T090000Z\nSTATUS:CANCELLED\nSUMMARY:Kei",
        ).replace(
            b"END:VCALENDAR",
            b"BEGIN:VEVENT\r\nUID:0@else\r\nDTSTAMP:20260101T000000Z\r\nRECURRENCE-ID:20261021T080000Z\r\n"
            b"DTSTART:20261021T120000Z\r\nDTEND:20261021T130000Z\r\nSUMMARY:Zoe\r\nEND:VEVENT\r\nEND:VCALENDAR",
        ),
        NOW,
    ).busy
    said = [(one.text, one.start) for one in found]
    assert said == [("Ben", at("2026-10-20 08:00")), ("Zoe", at("2026-10-21 12:00"))]


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        (b"<html>sign in</html>", "no iCalendar"),
        (b"", "no iCalendar"),
        (ics("DTSTART:20200101T000000Z\nDTEND:20200101T000001Z\nRRULE:FREQ=SECONDLY"), "more often"),
        (ics("DTSTART:20200101T000000Z\nDURATION:PT30M\nRRULE:FREQ=HOURLY"), "more than 2,000"),
        (ics("DTSTART:00020101T000000Z\nDURATION:PT30M\nRRULE:FREQ=HOURLY"), "too long ago"),
        (ics(*["DTSTART:20100101T000000Z\nDURATION:PT30M\nRRULE:FREQ=HOURLY;COUNT=9"] * 9), "too long ago"),
        (ics("DTSTART:20261101T000000Z\nRRULE:FREQ=FOO"), "RRULE makes no sense"),
        (ics(*["DTSTART:20200101T000000Z"] * 5_001), "more than 5,000"),
    ],
)
def test_what_cannot_be_used_is_refused_with_a_sentence(raw, why):
    with pytest.raises(NotACalendar, match=why):
        entries(raw, NOW)


@pytest.mark.parametrize(
    "bad",
    [
        "DTSTART:20261021T000000Z\nRRULE:FREQ=HOURLY;BYYEARDAY=400",
        "DTSTART:20261021T000000Z\nRRULE:FREQ=FOO",
        "DTSTART:20261021T000000Z\nRRULE:INTERVAL=2",
        "DTSTART:20261021T000000Z\nRRULE:FREQ=DAILY;INTERVAL=0",
        "DTSTART:20261021T000000Z\nDTEND:20261021T010000Z\nRRULE:FREQ=HOURLY;BYMINUTE=0,2,4,6,8",
        "DTSTART:20261021T000000Z\nDTEND:20261021T010000Z\nRRULE:FREQ=DAILY;BYHOUR=99",
        "DTSTART:20261021T000000Z\nDTEND:then",
        "DTEND:20261021T000000Z",
    ],
)
def test_one_event_that_makes_no_sense_takes_no_other_with_it(bad):
    good = "DTSTART:20261022T080000Z\nDTEND:20261022T090000Z\nSUMMARY:Ben"
    found = entries(ics(bad, good, bad), NOW)
    assert [one.text for one in found.busy] == ["Ben"]
    assert found.unread == 2


def test_an_entry_up_to_the_last_year_is_one():
    ends = entries(ics("DTSTART:20261021T000000Z\nDTEND:99991231T235959Z\nSUMMARY:Ana"), NOW)
    days = entries(ics("DTSTART;VALUE=DATE:00010101\nDTEND;VALUE=DATE:99991231\nSUMMARY:Ana"), NOW)
    weekly = "DTSTART:20261021T000000Z\nDTEND:99991231T000000Z\nRRULE:FREQ=WEEKLY;COUNT=2\nSUMMARY:Ana"
    again = entries(ics(weekly), NOW)
    assert [one.start for one in ends.busy] == [at("2026-10-21 00:00")]
    assert [one.start for one in again.busy] == [at("2026-10-21 00:00"), at("2026-10-28 00:00")]
    for found in (ends, days, again):
        assert not found.unread
        assert all(one.span("Asia/Tokyo")[1] > NOW + AHEAD for one in found.busy)
    assert days.busy[0].span("Asia/Tokyo")[0] < NOW - BEHIND


@pytest.mark.parametrize(
    "rule",
    [
        "DTSTART:20261021T000000Z\nRRULE:FREQ=HOURLY;BYMONTH=2;BYMONTHDAY=30",
        "DTSTART:20261021T000000Z\nRRULE:FREQ=HOURLY;BYMONTH=2;BYMONTHDAY=30;COUNT=3",
        "DTSTART;VALUE=DATE:20261021\nRRULE:FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30",
        "DTSTART;TZID=Europe/Madrid:20261021T000000\nRRULE:FREQ=HOURLY;BYMONTH=2;BYMONTHDAY=30;UNTIL=99980101T000000Z",
        "DTSTART:20261021T000000\nRRULE:FREQ=HOURLY;BYMONTH=2;BYMONTHDAY=30",
    ],
)
def test_a_rule_that_never_fits_a_day_is_not_tried_for_ever(rule):
    """The first time of a series counts, whether or not its rule fits it."""
    began = process_time()
    found = entries(ics(f"{rule}\nSUMMARY:Ana\nDURATION:P1D"), NOW)
    assert process_time() - began < 2.0
    assert [one.text for one in found.busy] == ["Ana"]


def test_what_an_event_has_beside_is_not_kept_once_for_each_time_it_recurs():
    """Two thousand people are invited every six hours, for 240 days."""
    people = "\n".join(f"ATTENDEE:mailto:person.number{n:05d}@example.com" for n in range(2_000))
    long = "DTSTART:20260901T000000Z\nDURATION:PT1H\nRRULE:FREQ=HOURLY;INTERVAL=6\nSUMMARY:Ana\n"
    raw = ics(long + people)
    tracemalloc.start()
    try:
        found = entries(raw, NOW)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert {len(one.emails) for one in found.busy} == {50}
    assert peak < 25_000_000


async def test_a_source_that_misbehaves_is_said_to_and_harms_nothing(monkeypatch):
    monkeypatch.setattr(reading, "WITHIN", 0.3)
    monkeypatch.setattr(reading, "LONGEST", 5_000)
    good = ics("DTSTART:20261020T080000Z\nDTEND:20261020T090000Z\nSUMMARY:Ben")
    outside = Outbound()
    catcher = Catcher()
    try:
        hands = Calendars({}, _nothing, outside=outside, secret=_secrets, now=lambda: NOW)
        spec = CalendarSpec(name="rota", url=f"{catcher.url}/rota.ics")
        replies = (
            Reply(200, good), Reply(404, b"gone"), Reply(200, b"x" * 6_000), Reply(200, good, delay=2.0),
            Reply(reset=True), Reply(200, b"BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\n"),
        )  # fmt: skip
        said = []
        for reply in replies:
            catcher.replies.append(reply)
            read = await hands.look(spec)
            said.append("" if not read.error else read.error.split(":")[0])
            assert read.error or len(read.busy) == 1
        assert said[:3] == ["", "it answered 404", "it is longer than 0 MB"]
        assert said[3:5] == ["it did not answer", "it did not answer"]
        assert said[5].startswith("it ")
        lost = await hands.look(CalendarSpec(name="rota", url="secret:lost"))
        assert lost == CalendarRead("rota", error="there is no secret lost")
    finally:
        catcher.close()
        await outside.close()


async def test_the_guard_lets_no_calendar_reach_a_clouds_metadata():
    outside = Outbound()
    try:
        hands = Calendars({}, _nothing, outside=outside, secret=_secrets, now=lambda: NOW)
        read = await hands.look(CalendarSpec(name="x", url="http://169.254.169.254/latest.ics"))
        assert "169.254.169.254" in read.error
    finally:
        await outside.close()


async def test_only_what_is_news_is_told():
    told: list[CalendarRead] = []

    async def submit(read: CalendarRead) -> None:
        told.append(read)

    outside, catcher = Outbound(), Catcher()
    catcher.default = Reply(200, ics("DTSTART:20261020T080000Z\nDTEND:20261020T090000Z\nSUMMARY:Ben"))
    specs = {"rota": CalendarSpec(name="rota", url=f"{catcher.url}/rota.ics", every=SECOND // 20)}
    hands = Calendars(specs, submit, outside=outside, secret=_secrets, now=lambda: NOW)
    task = asyncio.create_task(hands.run())
    try:
        assert await hands.faults(5) == []
        await asyncio.to_thread(catcher.wait_for, 4)
        assert [read.error for read in told] == [""]
        catcher.default = Reply(500)
        await asyncio.to_thread(eventually, lambda: len(told) == 2)
        assert told[1].error == "it answered 500"
        assert await hands.faults(5) == ["warning: the calendar rota cannot be read: it answered 500"]
        catcher.default = Reply(200, ics(), delay=5.0)
        hands.replace({"new": CalendarSpec(name="new", url=f"{catcher.url}/new.ics")})
        assert await hands.faults(0.01) == ["warning: the calendar new cannot be read: it did not answer yet"]
        hands.replace({})
        assert await hands.faults(0) == []
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        catcher.close()
        await outside.close()


async def _nothing(read: CalendarRead) -> None: ...


def _secrets(reference: str) -> str:
    raise LookupError(f"there is no secret {reference.removeprefix('secret:')}")
