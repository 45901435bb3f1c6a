"""What Tocsin does by itself for schedules, in its own time: telling people of handoffs, and teams of what is wrong."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from msgspec import Struct

from tocsin.kernel.instant import DAY, Instant
from tocsin.oncall.override import Cover
from tocsin.oncall.roster import Roster, Span, merged
from tocsin.oncall.zone import DAY_OF, zone

FINDINGS: Final = "findings"
"""The name of the daily word on what is wrong; a handoff has its schedule's, behind a mark."""
_HANDOFF: Final = "handoff "
_LOOKED_AHEAD: Final = 400 * DAY
"""How far ahead a handoff is looked for."""
REMEMBERED: Final = DAY
"""How far from the next handoff on it is remembered who comes."""

Stretch = tuple[str, Instant, Instant]
"""Somebody on call from the first instant up to, and without, the second."""


def stretches(times: Mapping[str, Sequence[Span]]) -> tuple[Stretch, ...]:
    """Who is on call when, as one list in the order of time."""
    found = ((person, start, end) for person, spans in times.items() for start, end in spans)
    return tuple(sorted(found, key=lambda one: (one[1], one[0])))


class Duty(Struct, kw_only=True, omit_defaults=True):
    """One of them: ``at``, when it is due next, or None when there is nothing to do.

    ``on``: who was on call by the schedule when it was reckoned, in order of their names; None when nobody looked yet.
    They are until ``at``. ``ahead``: who is for a day from then on, when. ``quiet``: nobody is told of it.
    """

    name: str
    at: Instant | None = None
    on: tuple[str, ...] | None = None
    ahead: tuple[Stretch, ...] | None = None
    quiet: bool = False

    @property
    def schedule(self) -> str:
        """The schedule whose handoffs it tells of; "" for the daily word."""
        return self.name.removeprefix(_HANDOFF) if self.name.startswith(_HANDOFF) else ""

    def known_until(self, now: Instant) -> Instant:
        """Until when it is remembered who was to be on call, a day ahead of now at most."""
        if self.on is None:
            return now
        if self.at is None:
            return now + REMEMBERED
        return min(now, self.at) + REMEMBERED if self.ahead is not None else min(self.at, now + REMEMBERED)

    def remembered(self, low: Instant, high: Instant) -> dict[str, list[Span]]:
        """Who was to be on call in a range, and when, as far as it is remembered."""
        spans = [(one, low, high if self.at is None else self.at) for one in self.on or ()]
        found: dict[str, list[Span]] = {}
        for person, start, end in (*spans, *(self.ahead or ())):
            if max(start, low) < min(end, high):
                found.setdefault(person, []).append((max(start, low), min(end, high)))
        return {person: merged(sorted(theirs)) for person, theirs in found.items()}


def handoff_of(schedule: str) -> str:
    """The name of a schedule's duty."""
    return f"{_HANDOFF}{schedule}"


def next_handoff(roster: Roster, covers: tuple[Cover, ...], after: Instant) -> Instant | None:
    """When somebody else is on call next, after an instant; None when nobody comes and nobody goes for a year."""
    had: frozenset[str] | None = None
    for (low, high), piece in roster.drawn(after, after + _LOOKED_AHEAD, covers):
        had = piece.people(low) if had is None else had
        at = piece.differs(had, low, high)
        if at is not None:
            return at
    return None


def next_clock(minute: int, timezone: str, after: Instant) -> Instant:
    """When the clock on the wall shows a time of the day next; where it skips that, when it jumps over it."""
    place = zone(timezone)
    wall = place.shows(after) // DAY_OF * DAY_OF + minute
    while (at := place.edges(wall)[0]) <= after:
        wall += DAY_OF
    return at
