"""What an iCalendar file (RFC 5545) says, as entries: recurrences drawn out, exceptions left out. Within bounds.

The libraries that know recurrences and everybody's time zones are an extra: ``tocsin[ical]``.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from itertools import islice
from typing import Any

from tocsin.kernel.instant import MINUTE, Instant, from_datetime, to_datetime
from tocsin.oncall.imported import AHEAD, BEHIND, Busy
from tocsin.oncall.zone import wall_of

MOST_COMPONENTS = 5_000
MOST_ENTRIES = 2_000
LONGEST_TEXT = 200
TOO_OFTEN = frozenset({"SECONDLY", "MINUTELY"})


class NotACalendar(ValueError):
    """It cannot be used; the message completes "the calendar …"."""


def entries(raw: bytes, now: Instant) -> tuple[Busy, ...]:
    """The entries from forty days ago up to two hundred ahead, in order. Raises NotACalendar.

    What is cancelled is left out.
    """
    try:
        from icalendar import Calendar
        from recurring_ical_events import of
    except ImportError:
        raise NotACalendar("needs two more packages: install tocsin[ical]") from None
    try:
        calendar = Calendar.from_ical(raw)
    except (ValueError, IndexError, KeyError, TypeError, AttributeError) as error:
        raise NotACalendar(f"is no iCalendar file: {str(error)[:200]}") from None
    _bounded(calendar)
    start, end = to_datetime(now - BEHIND), to_datetime(now + AHEAD)
    try:
        query = of(calendar, components=["VEVENT"], skip_bad_series=True)
        found = list(islice(query.between(start, end), MOST_ENTRIES + 1))
    except (ValueError, TypeError, KeyError, OverflowError, AttributeError) as error:
        raise NotACalendar(f"cannot be drawn out: {str(error)[:200]}") from None
    if len(found) > MOST_ENTRIES:
        raise NotACalendar(f"has more than {MOST_ENTRIES:,} entries in {(AHEAD + BEHIND) // (1440 * MINUTE)} days")
    read = (busy for one in found for busy in _entry(one))
    return tuple(sorted(read, key=lambda one: (one.start, one.end, one.text)))


def _bounded(calendar: Any) -> None:
    """Refuse what would take for ever to draw out."""
    components = list(islice(calendar.walk("VEVENT"), MOST_COMPONENTS + 1))
    if len(components) > MOST_COMPONENTS:
        raise NotACalendar(f"has more than {MOST_COMPONENTS:,} events")
    for one in components:
        rules = one.get("RRULE", [])
        for rule in rules if isinstance(rules, list) else [rules]:
            if TOO_OFTEN & {str(word).upper() for word in rule.get("FREQ", [])}:
                raise NotACalendar("has an event that recurs more often than once an hour")


def _entry(event: Any) -> Iterator[Busy]:
    if str(event.get("STATUS", "")).upper() == "CANCELLED" or event.get("DTSTART") is None:
        return
    start, end = event.start, event.end
    text = " ".join(str(event.get("SUMMARY", "")).split())[:LONGEST_TEXT]
    emails = tuple(sorted(_emails(event)))
    if isinstance(start, datetime) and start.tzinfo is not None and isinstance(end, datetime):
        low, high = from_datetime(start.astimezone(UTC)), from_datetime(end.astimezone(UTC))
        wall = False
    else:
        low, high, wall = _wall(start), _wall(end), True
    if low < high:
        yield Busy(low, high, wall, text, emails)


def _emails(event: Any) -> Iterator[str]:
    people = event.get("ATTENDEE", [])
    for one in people if isinstance(people, list) else [people]:
        address = str(one).strip().lower()
        if address.startswith("mailto:"):
            yield address.removeprefix("mailto:")


def _wall(at: date | datetime) -> int:
    """Minutes on a wall clock: of a whole day its beginning, of a time without a zone that time."""
    if not isinstance(at, datetime):
        return wall_of(at)
    midnight = datetime.combine(at.date(), time(), at.tzinfo)
    return wall_of(at.date(), (at - midnight) // timedelta(minutes=1))
