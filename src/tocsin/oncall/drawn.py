"""What a schedule has drawn up: pieces of time that are asked again and again, by an instant.

Asking costs the same whatever a calendar puts on call and however many covers there are. Covers that are the very ones
asked with before are known by that; equal ones are found by what they say, which means reading them all.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from tocsin.kernel.instant import Instant
from tocsin.oncall.override import Cover

if TYPE_CHECKING:
    from tocsin.oncall.roster import Shift

PIECES_KEPT: Final = 64
SETS_KEPT: Final = 8
"""So many sets of covers are known at once: those in force, and what previews and pages of days ahead ask with."""


class Piece:
    """A piece of time: every shift that has a part in it, and who is on call between any two of their edges."""

    def __init__(self, shifts: tuple[Shift, ...]) -> None:
        self.shifts = shifts
        self._edges = sorted({edge for one in shifts for edge in (one.start, one.end)})
        self._on: dict[int, tuple[Shift, ...]] = {}
        self._people: dict[int, frozenset[str]] = {}

    def who(self, at: Instant) -> tuple[Shift, ...]:
        """Who is on call at an instant, each person once, the shift that began first."""
        return self._between(bisect_right(self._edges, at), at)

    def people(self, at: Instant) -> frozenset[str]:
        """Who they are that are on call at an instant."""
        place = bisect_right(self._edges, at)
        found = self._people.get(place)
        if found is None:
            found = self._people[place] = frozenset(one.person for one in self._between(place, at))
        return found

    def differs(self, people: frozenset[str], start: Instant, end: Instant) -> Instant | None:
        """When, from an instant on and before another, others than these are on call; None when they always are."""
        first, last = bisect_right(self._edges, start), bisect_left(self._edges, end)
        return next((at for at in (start, *self._edges[first:last]) if self.people(at) != people), None)

    def _between(self, place: int, at: Instant) -> tuple[Shift, ...]:
        found = self._on.get(place)
        if found is None:
            each: dict[str, Shift] = {}
            for shift in self.shifts:
                if shift.start <= at < shift.end:
                    each.setdefault(shift.person, shift)
            found = self._on[place] = tuple(each.values())
        return found


class DrawnBy:
    """All that is drawn up by one set of covers. ``layers``: those of them that put nobody on call."""

    def __init__(self, covers: tuple[Cover, ...]) -> None:
        self.covers = covers
        self.layers = tuple(one for one in covers if not one.person)
        self._pieces: dict[int, Piece] = {}

    def piece(self, place: int, draw: Callable[[], tuple[Shift, ...]]) -> Piece:
        """The piece with a number; drawn up when it is not known."""
        found = self._pieces.get(place)
        if found is None:
            if len(self._pieces) >= PIECES_KEPT:
                self._pieces.clear()
            found = self._pieces[place] = Piece(draw())
        return found


class Drawing:
    """What is drawn up by each set of covers that was asked with lately."""

    def __init__(self) -> None:
        self._same: dict[int, DrawnBy] = {}  # by which they are; each is kept in here, so that its place is no other's
        self._equal: dict[tuple[Cover, ...], DrawnBy] = {}

    def by(self, covers: tuple[Cover, ...]) -> DrawnBy:
        """What is drawn up by these."""
        found = self._same.get(id(covers))
        if found is not None and found.covers is covers:
            return found
        found = self._equal.get(covers)
        if found is None:
            if len(self._equal) >= SETS_KEPT:
                self._equal.clear()
                self._same.clear()
            found = self._equal[covers] = self._same[id(covers)] = DrawnBy(covers)
        return found
