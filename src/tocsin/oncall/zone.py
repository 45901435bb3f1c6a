"""Wall clocks: what a clock on a wall in a zone shows at an instant, and when it shows a time.

A ``Wall`` counts minutes on such a clock since 1970-01-01 00:00, as if no clock was ever changed. Zone data comes from
the bundled ``tzdata`` package, never from the machine, so that a plan means the same everywhere.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, timedelta
from functools import cache, lru_cache
from importlib.resources import files
from typing import Final
from zoneinfo import ZoneInfo

from tocsin.kernel.instant import DAY, MINUTE, SECOND, Instant, from_datetime, to_datetime

Wall = int

HOUR_OF: Final = 60
DAY_OF: Final = 24 * 60
WEEK_OF: Final = 7 * DAY_OF
"""Lengths of an hour, a day and a week on a wall clock, in minutes."""

DAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
MONDAY: Final[Wall] = 4 * DAY_OF
"""Monday 1970-01-05, 00:00: weeks on a wall clock count from here."""

EARLIEST: Final = from_datetime(to_datetime(0).replace(year=1980))
LATEST: Final = from_datetime(to_datetime(0).replace(year=2200))
"""Who is on call can be asked from 1980 up to 2200."""

_EPOCH: Final = datetime(1970, 1, 1)  # noqa: DTZ001  # a wall clock has no zone
_KEPT: Final = 4_096


@cache
def zones() -> frozenset[str]:
    """The names of all time zones, from the bundled zone data, so that a plan reads alike on every machine."""
    names = files("tzdata").joinpath("zones").read_text("utf-8").split()
    return frozenset(names) - {"Factory"}


class Zone:
    """The wall clocks of one zone."""

    def __init__(self, name: str) -> None:
        if name not in zones():
            raise ValueError(f"there is no time zone {name!r}")
        with files("tzdata.zoneinfo").joinpath(*name.split("/")).open("rb") as data:
            self._info = ZoneInfo.from_file(data, key=name)
        self._edges: dict[Wall, tuple[Instant, Instant]] = {}

    def shows(self, instant: Instant) -> Wall:
        """What the clock shows, in whole minutes."""
        local = to_datetime(instant).astimezone(self._info).replace(tzinfo=None)
        return (local - _EPOCH) // timedelta(minutes=1)

    def local(self, instant: Instant) -> datetime:
        """The aware datetime of an instant in this zone."""
        return to_datetime(instant).astimezone(self._info)

    def written(self, said: datetime) -> tuple[Instant, Instant]:
        """The first and the last instant that somebody may mean by a time: what begins then, and what ends then.

        One that has an offset of its own is one instant. Raises OverflowError beyond the calendar.
        """
        if said.tzinfo is not None:
            at = from_datetime(said)
            return at, at
        wall, beyond = divmod(said - _EPOCH, timedelta(minutes=1))
        rest = beyond // timedelta(microseconds=1)
        first, last = self.edges(wall)
        return first + rest, last + rest

    def edges(self, wall: Wall) -> tuple[Instant, Instant]:
        """The first and the last instant at which the clock shows a time: what begins then, and what ends then.

        They differ when the clock is set back over that time. A time that the clock skips has one instant for both:
        the one at which it is set forward. Both grow with ``wall``, so that turns that meet on the wall never leave
        an instant between them.
        """
        found = self._edges.get(wall)
        if found is None:
            if len(self._edges) >= _KEPT:
                self._edges.clear()
            found = self._edges[wall] = self._find(wall)
        return found

    def _find(self, wall: Wall) -> tuple[Instant, Instant]:
        local = (_EPOCH + timedelta(minutes=wall)).replace(tzinfo=self._info)
        early, late = _offset(local), _offset(local.replace(fold=1))
        first = wall * MINUTE - early // timedelta(microseconds=1)
        if early == late:
            return first, first
        last = wall * MINUTE - late // timedelta(microseconds=1)
        if first < last:
            return first, last
        forward = set_forward(last, first, self.local)
        return forward, forward


def set_forward(before: Instant, after: Instant, local: Callable[[Instant], datetime]) -> Instant:
    """The second between two instants at which a clock was set forward. ``local``: what it shows."""
    low, high = before // SECOND, after // SECOND
    offset = local(low * SECOND).utcoffset()
    while high - low > 1:
        middle = (low + high) // 2
        if local(middle * SECOND).utcoffset() == offset:
            low = middle
        else:
            high = middle
    return high * SECOND


@lru_cache(maxsize=1_000)
def set_back(name: str, start: Instant, end: Instant) -> tuple[tuple[Instant, Instant], ...]:
    """The days, counted from an instant, in which the clocks of a zone are set back, in a range."""
    local = zone(name).local
    days = ((at, min(at + DAY, end)) for at in range(start, end, DAY))
    return tuple((low, high) for low, high in days if _offset(local(high)) < _offset(local(low)))


def _offset(local: datetime) -> timedelta:
    offset = local.utcoffset()
    assert offset is not None, "every zone has an offset at every time"
    return offset


@cache
def zone(name: str) -> Zone:
    """The zone of that name, read once. Raises ValueError for a name that is none."""
    return Zone(name)


def wall_of(day: date, minute: int = 0) -> Wall:
    """Midnight of a day on a wall clock, and so many minutes."""
    return (day - _EPOCH.date()).days * DAY_OF + minute


def day_of(wall: Wall) -> date:
    """The day a wall clock is in."""
    return _EPOCH.date() + timedelta(days=wall // DAY_OF)


def said(instant: Instant, name: str) -> str:
    """An instant as a clock and a calendar on a wall show it: ``Mon 16 Nov 2026 09:00``; with its offset where the
    clock shows that time twice.
    """
    local = zone(name).local(instant)
    return f"{DAYS[local.weekday()]} {local.day} {MONTHS[local.month - 1]} {local:%Y %H:%M}{which(local)}"


def which(local: datetime) -> str:
    """Of a time that a clock shows twice which of the two it is: `` (UTC+2)``, to go behind it; "" of any other."""
    return f" ({offset(local)})" if _offset(local.replace(fold=0)) != _offset(local.replace(fold=1)) else ""


def offset(local: datetime) -> str:
    """How far a clock is from UTC at a time: ``UTC+2``, ``UTC-3:30``."""
    seconds = int(_offset(local).total_seconds())
    hours, minutes = divmod(abs(seconds) // 60, 60)
    return f"UTC{'-' if seconds < 0 else '+'}{hours}" + (f":{minutes:02d}" if minutes else "")
