"""What Tocsin does by itself for schedules, in its own time: telling people of handoffs, and teams of what is wrong."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Final

from msgspec import Struct

from tocsin.kernel.instant import DAY, Instant
from tocsin.oncall.override import Cover
from tocsin.oncall.roster import Roster
from tocsin.oncall.zone import DAY_OF, zone

FINDINGS: Final = "findings"
"""The name of the daily word on what is wrong; a handoff has its schedule's, behind a mark."""
_HANDOFF: Final = "handoff "
_LOOKED_AHEAD: Final = (8 * DAY, 32 * DAY, 400 * DAY)
"""How far ahead a handoff is looked for: nearly always it is in the first."""


class Duty(Struct, kw_only=True, omit_defaults=True):
    """One of them: ``at``, when it is due next, or None when there is nothing to do.

    ``on``: who was on call by the schedule when it was reckoned, in order of their names; None when nobody looked yet.
    """

    name: str
    at: Instant | None = None
    on: tuple[str, ...] | None = None

    @property
    def schedule(self) -> str:
        """The schedule whose handoffs it tells of; "" for the daily word."""
        return self.name.removeprefix(_HANDOFF) if self.name.startswith(_HANDOFF) else ""


def handoff_of(schedule: str) -> str:
    """The name of a schedule's duty."""
    return f"{_HANDOFF}{schedule}"


def next_handoff(roster: Roster, covers: Sequence[Cover], after: Instant) -> Instant | None:
    """When somebody else is on call next, after an instant; None when nobody comes and nobody goes for a year."""
    seen = after
    for ahead in _LOOKED_AHEAD:
        shifts = roster.shifts(seen - DAY, after + ahead, covers)
        moments = sorted({edge for one in shifts for edge in (one.start, one.end) if seen - DAY < edge < after + ahead})
        for low, high in pairwise([seen, *(edge for edge in moments if edge > seen)]):
            before, now = ({one.person for one in shifts if one.start <= at < one.end} for at in (low, high))
            if before != now:
                return high
        seen = max([after, *moments])
    return None


def next_clock(minute: int, timezone: str, after: Instant) -> Instant:
    """When the clock on the wall shows a time of the day next; where it skips that, when it jumps over it."""
    place = zone(timezone)
    wall = place.shows(after) // DAY_OF * DAY_OF + minute
    while (at := place.edges(wall)[0]) <= after:
        wall += DAY_OF
    return at
