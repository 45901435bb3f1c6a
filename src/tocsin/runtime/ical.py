"""What an iCalendar file (RFC 5545) says, as entries: recurrences drawn out, exceptions left out. Within bounds.

The libraries that know recurrences and everybody's time zones are an extra: ``tocsin[ical]``.
"""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from itertools import islice
from time import thread_time
from typing import Any, NamedTuple

from tocsin.kernel.instant import DAY, MINUTE, Instant, from_datetime, to_datetime
from tocsin.oncall.imported import AHEAD, BEHIND, Busy
from tocsin.oncall.zone import wall_of

MOST_COMPONENTS = 5_000
MOST_ENTRIES = 2_000
MOST_ADDRESSES = 50
LONGEST_TEXT = 200
TOO_OFTEN = frozenset({"SECONDLY", "MINUTELY"})
TOO_FINE = ("BYMINUTE", "BYSECOND")
MOST_RULES, MOST_VALUES = 10, 400
"""Recurrence rules of one event, and values of one of their parts."""
MOST_STEPS, MOST_STEPS_OF_ALL = 250_000, 1_000_000
"""How many times at most a rule is stepped on from its begin to today: 28 years of hours, some seconds of work."""
NOT_OF_DAYS = ("BYYEARDAY", "BYWEEKNO", "BYSETPOS", "BYEASTER")
WEEK = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")
WITHIN = 15.0
"""Seconds of work for the whole of it."""
CHANGES_ONE, CANCELLED = "RECURRENCE-ID", "CANCELLED"
DATES = ("DTSTART", "DTEND", "DURATION", CHANGES_ONE, "RRULE", "RDATE", "EXDATE")
KEPT = frozenset({*DATES, "UID", "SEQUENCE", "SUMMARY", "STATUS", "ATTENDEE"})


class NotACalendar(ValueError):
    """It cannot be used; the message completes "the calendar …"."""


class Drawn(NamedTuple):
    """What a file says: its entries in order, and how many of its events make no sense and are left out."""

    busy: tuple[Busy, ...]
    unread: int


def entries(raw: bytes, now: Instant) -> Drawn:
    """The entries from forty days ago up to two hundred ahead. Raises NotACalendar, also when no event makes sense.

    What is cancelled is left out.
    """
    try:
        import recurring_ical_events  # noqa: F401  # it is needed for each event, and missed only once
        from icalendar import Calendar
    except ImportError:
        raise NotACalendar("needs two more packages: install tocsin[ical]") from None
    try:
        calendar = Calendar.from_ical(raw)
    except (ValueError, IndexError, KeyError, TypeError, AttributeError) as error:
        raise NotACalendar(f"is no iCalendar file: {str(error)[:200]}") from None
    events = list(islice(calendar.walk("VEVENT"), MOST_COMPONENTS + 1))
    if len(events) > MOST_COMPONENTS:
        raise NotACalendar(f"has more than {MOST_COMPONENTS:,} events")
    series: dict[str, list[Any]] = {}
    for event in events:
        series.setdefault(str(event.get("UID", id(event))), []).append(event)
    busy: list[Busy] = []
    unread, steps, why, began = 0, 0, "", thread_time()
    for group in series.values():
        if thread_time() - began > WITHIN:
            raise NotACalendar("takes too long to draw out")
        try:
            known, lost, cost = _series(group, now)
            if (steps := steps + cost) > MOST_STEPS_OF_ALL:
                raise NotACalendar("takes too long to draw out: its events recur since too long ago")
            drawn = list(islice(_draw(calendar, known, now), MOST_ENTRIES + 1))
        except NotACalendar:
            raise
        except Exception as error:  # noqa: BLE001  # one event that makes no sense to a library takes no other with it
            unread, why = unread + len(group), str(error)[:200]
            continue
        busy, unread = busy + drawn, unread + lost
        if len(busy) > MOST_ENTRIES:
            days = (AHEAD + BEHIND) // (1440 * MINUTE)
            raise NotACalendar(f"has more than {MOST_ENTRIES:,} entries in {days} days")
    if unread == len(events) > 0:
        raise NotACalendar(f"cannot be drawn out: {why}")
    return Drawn(tuple(sorted(busy, key=lambda one: (one.start, one.end, one.text))), unread)


def _series(group: list[Any], now: Instant) -> tuple[list[Any], int, int]:
    """The events of a series to draw, how many of it make no sense, and in how many steps it can be drawn out.

    What was to change one occurrence and makes no sense takes that one away: where it went, nobody can know. The others
    stay. Raises ValueError where the series itself makes none.
    """
    known: list[Any] = []
    lost, steps = 0, 0
    for event in group:
        try:
            steps += _bounded(event, now)
            known.append(event)
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError):
            lost += 1
            if CHANGES_ONE not in event or lost == len(group):
                raise
            known += _taken_away(event)
    return known, lost + _beside([event for event in known if CHANGES_ONE not in event]), steps


def _beside(events: list[Any]) -> int:
    """How many events are lost because they have one name, as of a script that calls every shift the same: of those
    that are equally new the first counts. What is written twice is no loss.
    """
    newest = max((event.get("SEQUENCE", -1) for event in events), default=-1)
    equal = [(event["DTSTART"].dt, event.get("SUMMARY")) for event in events if event.get("SEQUENCE", -1) == newest]
    return sum(one != equal[0] for one in equal)


def _taken_away(event: Any) -> Iterator[Any]:
    """The occurrence that an event was to change, as cancelled; nothing where it does not say which that is."""
    from icalendar import Event
    from icalendar.prop import vDDDTypes

    if CHANGES_ONE in dict(event.errors):
        return
    gone = Event()
    for name in ("UID", "SEQUENCE"):
        if name in event:
            gone[name] = event[name]
    gone[CHANGES_ONE] = event[CHANGES_ONE]
    gone[CHANGES_ONE].params.pop("RANGE", None)  # what it was to say of those that follow makes no sense either
    gone["DTSTART"] = vDDDTypes(event[CHANGES_ONE].dt)
    gone["STATUS"] = CANCELLED
    yield gone


def _bounded(event: Any, now: Instant) -> int:
    """Make an event cheap to draw out, and say in how many steps that can be done. Raises ValueError for what cannot.

    It keeps what is looked at, as far as anybody looks.
    """
    broken = [name for name, _ in event.errors if name in DATES]
    if broken:
        raise ValueError(f"an event's {broken[0]} makes no sense")
    if _backwards(event):
        raise ValueError("an event ends before it begins")
    event.subcomponents = []
    for name in [name for name in event if name not in KEPT]:
        del event[name]
    people = event.get("ATTENDEE")
    if isinstance(people, list):
        event["ATTENDEE"] = people[:MOST_ADDRESSES]
    _cut(event, now)
    found = event.pop("RRULE", [])
    rules = found if isinstance(found, list) else [found]
    if len(rules) > MOST_RULES:
        raise ValueError(f"an event has more than {MOST_RULES} rules")
    start, last = _naive(event["DTSTART"].dt), _naive(to_datetime(now + AHEAD + 2 * DAY))
    steps = [_steps(rule, start, last) for rule in rules]
    kept = [rule for rule in rules if _fits(rule, start, last)]
    if kept:
        event["RRULE"] = kept if len(kept) > 1 else kept[0]
    return sum(steps)


def _backwards(event: Any) -> bool:
    """Whether an event's end is before its begin, which libraries take the other way round."""
    if "DTEND" not in event:
        return "DURATION" in event and bool(event["DURATION"].dt < timedelta())
    ends = [event["DTSTART"].dt, event["DTEND"].dt]
    if all(isinstance(one, datetime) and one.tzinfo is not None for one in ends):
        return bool(ends[1] < ends[0])
    return _naive(ends[1]) < _naive(ends[0])


def _cut(event: Any, now: Instant) -> None:
    """Move a begin and an end that are centuries away to where nobody looks: no library reckons with the year 9999."""
    from icalendar.prop import vDDDTypes

    if "DTEND" not in event:
        return  # it lasts some time from its begin: both stay
    first, last = to_datetime(now - 2 * BEHIND), to_datetime(now + 2 * AHEAD)
    if _naive(event["DTEND"].dt) > _naive(last):
        event["DTEND"] = vDDDTypes(_like(event["DTEND"].dt, last))
    if _naive(event["DTSTART"].dt) < _naive(first) and not {"RRULE", "RDATE"} & set(event):
        event["DTSTART"] = vDDDTypes(_like(event["DTSTART"].dt, first))


def _like(said: date, at: datetime) -> date:
    """A time written as another is: as a day, without a zone, or with one."""
    if not isinstance(said, datetime):
        return at.date()
    return at if said.tzinfo is not None else _naive(at)


def _steps(rule: Any, start: datetime, last: datetime) -> int:
    """How often a rule is stepped on until nobody looks any more. Raises ValueError for what is beyond all bounds."""
    often = _often(rule)
    if often in TOO_OFTEN or any(part in rule for part in TOO_FINE):
        raise ValueError("an event recurs more often than once an hour")
    if any(isinstance(values, list) and len(values) > MOST_VALUES for values in rule.values()):
        raise ValueError("an event's rule is too long")
    if any(int(number) < 1 for part in ("INTERVAL", "COUNT") for number in rule.get(part, [])):
        raise ValueError("an event recurs after no time")
    if often not in ("YEARLY", "MONTHLY") and any(part in rule for part in NOT_OF_DAYS):
        raise ValueError("an event's rule is none of the standard's")
    until = min([last, *(_naive(at) for at in rule.get("UNTIL", []))])
    steps = max((until - start).days + 1, 1) * (24 if often == "HOURLY" else max(len(set(rule.get("BYHOUR", []))), 1))
    if steps > MOST_STEPS:
        raise ValueError("an event recurs since too long ago")
    return steps


def _fits(rule: Any, start: datetime, last: datetime) -> bool:
    """Whether a rule of hours or days comes true before nobody looks any more. What never does would be tried, hour by
    hour, up to the year 9999.
    """
    often = _often(rule)
    if often not in ("HOURLY", "DAILY"):
        return True
    months, days = _numbers(rule, "BYMONTH"), _numbers(rule, "BYMONTHDAY")
    hours = _numbers(rule, "BYHOUR") if often == "HOURLY" else set()
    of_week = {str(day).upper()[-2:] for day in rule.get("BYDAY", [])}
    every = timedelta(hours=1) if often == "HOURLY" else timedelta(days=1)
    step = every * int(rule.get("INTERVAL", [1])[0])
    at = start
    while at <= last:
        if (
            (not months or at.month in months)
            and (not days or at.day in days or at.day - monthrange(at.year, at.month)[1] - 1 in days)
            and (not hours or at.hour in hours)
            and (not of_week or WEEK[at.weekday()] in of_week)
        ):
            return True
        at += step
    return False


def _often(rule: Any) -> str:
    return str(rule["FREQ"][0]).upper()


def _numbers(rule: Any, part: str) -> set[int]:
    return {int(number) for number in rule.get(part, [])}


def _naive(at: date) -> datetime:
    """What the clock on the wall shows."""
    return at.replace(tzinfo=None) if isinstance(at, datetime) else datetime.combine(at, time())


def _draw(calendar: Any, group: list[Any], now: Instant) -> Iterator[Busy]:
    """The entries of one series: an event that may recur, and what was changed of it."""
    from icalendar import Calendar
    from recurring_ical_events import of

    alone = Calendar(calendar)  # what it says of itself, such as a zone for all of it
    alone.subcomponents = group
    start, end = to_datetime(now - BEHIND), to_datetime(now + AHEAD)
    for series in of(alone, components=["VEVENT"]).series:
        for occurrence in series.between(start, end):
            yield from _entry(occurrence.as_component(False))


def _entry(event: Any) -> Iterator[Busy]:
    if str(event.get("STATUS", "")).upper() == CANCELLED or event.get("DTSTART") is None:
        return
    start, end = event.start, event.end
    text = " ".join(str(event.get("SUMMARY", "")).split())[:LONGEST_TEXT]
    emails, declined = (tuple(sorted(_emails(event, declined=no))) for no in (False, True))
    if isinstance(start, datetime) and start.tzinfo is not None and isinstance(end, datetime):
        low, high = from_datetime(start.astimezone(UTC)), from_datetime(end.astimezone(UTC))
        wall = False
    else:
        low, high, wall = _wall(start), _wall(end), True
    if low < high:
        yield Busy(low, high, wall, text, emails, declined)


def _emails(event: Any, *, declined: bool) -> Iterator[str]:
    """The addresses of those an event invites, but for those who have said no: of these when asked for them."""
    people = event.get("ATTENDEE", [])
    for one in people if isinstance(people, list) else [people]:
        if (str(getattr(one, "params", {}).get("PARTSTAT", "")).upper() == "DECLINED") is not declined:
            continue
        address = str(one).strip().lower()
        if address.startswith("mailto:"):
            yield address.removeprefix("mailto:")


def _wall(at: date | datetime) -> int:
    """Minutes on a wall clock: of a whole day its beginning, of a time without a zone that time."""
    if not isinstance(at, datetime):
        return wall_of(at)
    midnight = datetime.combine(at.date(), time(), at.tzinfo)
    return wall_of(at.date(), (at - midnight) // timedelta(minutes=1))
