"""The words of schedules: how long a turn is, when it is handed over, from when turns count, which hours are meant."""

from __future__ import annotations

import re
from datetime import date
from typing import Final, NamedTuple

from tocsin.notation.decoder import At, Unfit, Word
from tocsin.notation.findings import shown
from tocsin.notation.words import NAME_PATTERN
from tocsin.oncall.schedule import Length, Window
from tocsin.oncall.zone import DAY_OF, DAYS, HOUR_OF, WEEK_OF

_UNITS: Final = {"h": HOUR_OF, "d": DAY_OF, "w": WEEK_OF, "hour": HOUR_OF, "day": DAY_OF, "week": WEEK_OF}
_STRING: Final = {"type": "string"}
_DAY: Final = "(Mon|Tue|Wed|Thu|Fri|Sat|Sun)"
_TIME: Final = "([01]?[0-9]|2[0-3]):[0-5][0-9]"
_END: Final = f"({_TIME}|24:00)"
_NAMED: Final = r"[a-z][a-z0-9._\-]{0,63}"
"""What names hours where hours may stand: 9-18 is a mistake, and no name."""
_SPAN: Final = re.compile(rf"{_DAY} +{_TIME} *- *{_DAY} +{_END}")


class Handoff(NamedTuple):
    """When turns change: a minute of the day, and the weekday (Monday is 0) or the day of the month where it counts."""

    minute: int
    weekday: int | None = None
    day: int | None = None


class Start(NamedTuple):
    """The day turns count from, and whose turn it is then; "" is the first one's."""

    day: date
    person: str


def _length(text: str) -> Length:
    found = re.fullmatch(r"([0-9]{0,4}) *([a-z]+)", text)
    assert found is not None, "the pattern has this form"
    number, unit = int(found[1] or 1), found[2].removesuffix("s") or "s"
    if unit == "month":
        if not 1 <= number <= 12:
            raise Unfit(f"{shown(text)} is out of bounds here", "a turn lasts from 1 hour to 12 months")
        return Length(months=number)
    minutes = number * _UNITS[unit]
    if not HOUR_OF <= minutes <= 53 * WEEK_OF:
        raise Unfit(f"{shown(text)} is out of bounds here", "a turn lasts from 1 hour to 53 weeks")
    return Length(minutes=minutes)


def _minute(text: str) -> int:
    hours, _, minutes = text.partition(":")
    return int(hours) * HOUR_OF + int(minutes)


def _handoff(text: str) -> Handoff:
    first, _, rest = text.rpartition(" ")
    first = first.strip()
    if first in DAYS:
        return Handoff(_minute(rest), weekday=DAYS.index(first))
    if first:
        day = int(first)
        if not 1 <= day <= 31:
            raise Unfit(f"no month has a day {day}", "write a day from 1 to 31; short months count their last day")
        return Handoff(_minute(rest), day=day)
    return Handoff(_minute(rest))


def _start(text: str) -> Start:
    day, _, person = text.partition(" ")
    try:
        found = date.fromisoformat(day)
    except ValueError:
        raise Unfit(f"there is no day {shown(day)}", "write year, month and day, such as 2026-11-16") from None
    if not 1980 <= found.year < 2200:
        raise Unfit(f"{shown(day)} is out of bounds here", "turns count from a day between 1980 and 2199")
    return Start(found, person.strip().removeprefix("with").strip())


def _hours_or_name(text: str) -> tuple[Window, ...] | str:
    """Windows of the week, or the name of hours that the plan defines."""
    return text if re.fullmatch(_NAMED, text) else _hours(text)


def _hours(text: str) -> tuple[Window, ...]:
    """Windows of the week: ``Mon-Fri 09:00-18:00``, ``Sat, Sun``, ``22:00-06:00``, ``Fri 18:00 - Mon 09:00``."""
    span = _SPAN.fullmatch(text)
    if span:
        begin, end = (part.strip().split() for part in text.split("-"))
        start = DAYS.index(begin[0]) * DAY_OF + _minute(begin[1])
        minutes = (DAYS.index(end[0]) * DAY_OF + _minute(end[1]) - start) % WEEK_OF
        return (Window(start, minutes or WEEK_OF),)
    said, _, hours = text.rpartition(" ") if ":" in text else (text, "", "00:00-24:00")
    begins, _, ends = hours.partition("-")
    start = _minute(begins)
    minutes = (_minute(ends) - start) % DAY_OF or DAY_OF
    return tuple(Window(day * DAY_OF + start, minutes) for day in _days(said.strip()))


def _days(text: str) -> list[int]:
    if not text:
        return list(range(7))
    found: list[int] = []
    for part in re.split(r" *, *", text):
        first, _, last = part.partition("-")
        day, until = DAYS.index(first.strip()), DAYS.index((last or first).strip())
        found += [(day + step) % 7 for step in range((until - day) % 7 + 1)]
    return found


CLOCK: Final = Word(
    "a time of the day or off",
    lambda text: -1 if text == "off" else _minute(text),
    pattern=f"off|{_TIME}",
    write="write a time such as 09:00, or off",
    also=_STRING,
)
LENGTH: Final = At(
    Word(
        "the length of a turn",
        _length,
        pattern="hour|day|week|month|[0-9]{1,4} *(h|d|w|hours?|days?|weeks?|months?)",
        write="write hour, day, week, month, or a number of them, such as 12h, 3 days or 2 weeks",
        also=_STRING,
    )
)
HANDOFF: Final = At(
    Word(
        "a time to hand over",
        _handoff,
        pattern=rf"({_DAY} +|[0-9]{{1,2}} +)?{_TIME}",
        write="write a time with the weekday or the day of the month before it: 09:00, Mon 09:00 or 1 09:00",
        also=_STRING,
    )
)
START: Final = At(
    Word(
        "the day turns count from",
        _start,
        pattern=rf"[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}( +with +{NAME_PATTERN})?",
        write="write a day and whose turn it is then, such as 2026-11-16 with ana",
        also=_STRING,
    )
)
_WEEK: Final = (
    rf"{_DAY}( *- *{_DAY})?( *, *{_DAY}( *- *{_DAY})?){{0,6}}( +{_TIME}-{_END})?"
    rf"|{_TIME}-{_END}|{_DAY} +{_TIME} *- *{_DAY} +{_END}"
)
DAY: Final = At(
    Word(
        "a day",
        lambda text: _start(text).day,
        pattern="[0-9]{4}-[0-9]{2}-[0-9]{2}",
        write="write year, month and day, such as 2026-12-25",
        also=_STRING,
    )
)
HOURS_NAME: Final = At(
    Word(
        "the name of hours",
        lambda text: text,
        pattern=rf"(outside +)?{NAME_PATTERN}",
        write="write a name of `hours`, or `outside` and the name",
    )
)
WINDOWS: Final = Word(
    "hours of the week",
    _hours,
    pattern=_WEEK,
    write="write days and hours, such as Mon-Fri 09:00-18:00",
    also=_STRING,
)
HOURS: Final = At(
    Word(
        "hours of the week",
        _hours_or_name,
        pattern=f"{_WEEK}|{_NAMED}",
        write="write days and hours, such as Mon-Fri 09:00-18:00, 22:00-06:00, Sat,Sun or Fri 18:00 - Mon 09:00",
        also=_STRING,
    )
)
