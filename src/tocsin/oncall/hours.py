"""Business hours: named hours of the week in a zone, without the days somebody said are closed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from msgspec import Struct

from tocsin.kernel.instant import DAY, Instant
from tocsin.oncall.schedule import Window
from tocsin.oncall.zone import DAY_OF, MONDAY, WEEK_OF, wall_of, zone

_LOOKED_AHEAD = 400 * DAY

Span = tuple[Instant, Instant]


class Hours(Struct, frozen=True, kw_only=True):
    """Named hours. ``open``: windows of the week by the clock of ``timezone``, () is always; ``closed``: whole days.

    ``holidays``: calendars from elsewhere whose entries close as well.
    """

    key: str
    timezone: str
    open: tuple[Window, ...] = ()
    closed: tuple[date, ...] = ()
    holidays: tuple[str, ...] = ()

    def shut_days(self) -> list[Span]:
        """The closed days as instants."""
        edges = zone(self.timezone).edges
        walls = (wall_of(day) for day in self.closed)
        return [(edges(wall)[0], edges(wall + DAY_OF)[1]) for wall in walls]


def is_open(hours: Hours, at: Instant, holidays: Sequence[Span] = ()) -> bool:
    """Whether they are open at an instant. Where a clock is set back they close at the last time it shows their end."""
    if any(low <= at < high for low, high in (*hours.shut_days(), *holidays)):
        return False
    if not hours.open:
        return True
    return any(low <= at < high for low, high in _near(hours, at))


def edges(hours: Hours, start: Instant, end: Instant, holidays: Sequence[Span] = ()) -> list[Instant]:
    """Every instant within a range at which they may open or shut, in order."""
    found = [*hours.shut_days(), *holidays]
    at = start
    while hours.open and at < end + 7 * DAY:
        found += _near(hours, at)
        at += 7 * DAY
    return sorted({edge for span in found for edge in span if start < edge < end})


def opens(hours: Hours, at: Instant, holidays: Sequence[Span] = ()) -> Instant | None:
    """When they are open next, from an instant on; None when they are not within four hundred days."""
    shut = [*hours.shut_days(), *holidays]
    end = at + _LOOKED_AHEAD
    while at < end:
        closed = max((high for low, high in shut if low <= at < high), default=None)
        if closed is not None:
            at = closed
        elif not hours.open or any(low <= at < high for low, high in _near(hours, at)):
            return at
        else:
            at = min(low for low, _ in _near(hours, at) if low > at)
    return None


def _near(hours: Hours, at: Instant) -> list[Span]:
    """The windows of the week an instant is in, and of those beside it."""
    place = zone(hours.timezone)
    week = MONDAY + (place.shows(at) - MONDAY) // WEEK_OF * WEEK_OF
    starts = [(week + step * WEEK_OF + one.start, one.minutes) for step in (-1, 0, 1) for one in hours.open]
    return [(place.edges(start)[0], place.edges(start + minutes)[1]) for start, minutes in starts]
