"""What a schedule leaves uncovered, and who would be called twice. Findings for people; nothing here pages."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from tocsin.kernel.instant import DAY, MINUTE, Instant, say_duration
from tocsin.oncall.moved import pieces
from tocsin.oncall.override import Cover
from tocsin.oncall.roster import Roster, Shift, Span, merged, parts_in
from tocsin.oncall.zone import DAY_OF, set_back, zone

YEAR = 52 * 7 * DAY
SHORT = 4 * 60
"""Turns of fewer minutes hand over at all hours of some day."""


class Twice(NamedTuple):
    """One person on call by two schedules at once."""

    person: str
    start: Instant
    end: Instant


class Absent(NamedTuple):
    """Somebody on call who is away."""

    person: str
    start: Instant
    end: Instant


class Overlap(NamedTuple):
    """More people on call by a schedule than a turn names: of two turns, or by two entries of a calendar."""

    people: tuple[str, ...]
    start: Instant
    end: Instant
    calendar: bool

    @property
    def why(self) -> str:
        """How that comes, as a part of a sentence."""
        cause = "entries of its calendar overlap" if self.calendar else "clocks are set back over the handoff"
        return f"for {say_duration(self.end - self.start)}, as {cause}"


def begins(roster: Roster, now: Instant) -> Instant:
    """From when on findings look ahead: now. Turns count before the start of their layer as well, and page.

    Where nobody says what time it is (0), from when the last of a schedule's layers begins to count.
    """
    starts = (zone(layer.timezone).edges(layer.begins)[0] for layer in roster.schedule.layers)
    return now or max(*starts, 0, 0)


def gaps_ahead(roster: Roster, now: Instant) -> tuple[Span, ...]:
    """When nobody is on call in 52 weeks from now, overrides aside."""
    start = begins(roster, now)
    return roster.left_out(start, start + YEAR)


def overlaps_ahead(roster: Roster, now: Instant) -> tuple[Overlap, ...]:
    """When people of two turns are on call in 52 weeks from now, overrides aside.

    Turns of a few hours are left out: whatever their hours are, one of them ends while clocks are set back.
    """
    if any(0 < layer.length.minutes < SHORT for layer in roster.schedule.layers if len(layer.turns) > 1):
        return ()
    start = begins(roster, now)
    end = start + YEAR
    backs = (span for layer in roster.schedule.layers for span in set_back(layer.timezone, start, end))
    # At no other time are two turns on at once: a year need not be drawn up for the one night of it.
    nights = merged(sorted((max(low - DAY, start), min(high + DAY, end)) for low, high in backs))
    return tuple(one for low, high in nights for one in overlaps(roster.shifts(low, high), low, high))


def absent(shifts: Sequence[Shift], covers: Sequence[Cover], start: Instant, end: Instant) -> tuple[Absent, ...]:
    """When, in a range, somebody is on call who is away: nobody of their layer could take the turn."""
    away: dict[str, list[Span]] = {}
    for cover in covers:
        if cover.away:
            away.setdefault(cover.away, []).append((cover.start, cover.end))
    found = {
        Absent(shift.person, *span)
        for shift in shifts
        for span in parts_in(merged(sorted(away.get(shift.person, ()))), max(shift.start, start), min(shift.end, end))
    }
    return tuple(sorted(found, key=lambda one: (one.start, one.person)))


def overlaps(shifts: Sequence[Shift], start: Instant, end: Instant) -> tuple[Overlap, ...]:
    """When, in a range, people are on call at once who have no turn together. Shifts are in order of their begin.

    Two entries of a calendar for the very same time are meant so: that is how a calendar says that two are on call.
    """
    found: dict[tuple[Instant, Instant], dict[str, bool]] = {}
    together: dict[tuple[int, ...], set[str]] = {}
    for shift in shifts:
        together.setdefault(_turn_of(shift), set()).add(shift.person)
    on: list[Shift] = []
    for shift in shifts:
        on = [one for one in on if one.end > shift.start]
        for one in on:
            low, high = max(one.start, shift.start, start), min(one.end, shift.end, end)
            both = {one.person, shift.person}
            if low < high and not any(both <= together[_turn_of(each)] for each in (one, shift)):
                told = found.setdefault((low, high), {})
                told |= {one.person: one.layer < 0, shift.person: shift.layer < 0}
        on.append(shift)
    return tuple(Overlap(tuple(told), *span, any(told.values())) for span, told in sorted(found.items()))


def _turn_of(shift: Shift) -> tuple[int, ...]:
    """What a shift has in common with those who are meant to be on call beside it."""
    if shift.layer < 0:
        return (-1, shift.override, shift.start, shift.end)
    return (shift.layer, shift.turn)


def effort(roster: Roster) -> int:
    """About how many shifts and windows it takes to look a year ahead: what a plan may make us do has a bound."""
    return sum(
        YEAR // MINUTE // (layer.length.minutes or 28 * DAY_OF * layer.length.months) + 52 * len(layer.only)
        for layer in roster.schedule.layers
    )


def twice(first: Roster, second: Roster, now: Instant) -> Twice | None:
    """The first time in 52 weeks that somebody is on call by both schedules, overrides aside."""
    start = max(begins(first, now), begins(second, now))
    end = start + YEAR
    return at_once(first.shifts(start, end), second.shifts(start, end), start)


def named_too(roster: Roster, person: str, now: Instant) -> Twice | None:
    """The first time in 52 weeks that somebody is on call by a schedule, whom another step names; overrides aside."""
    start = begins(roster, now)
    found = (whom_named(roster.shifts(low, high), person, start) for low, high in pieces(start, start + YEAR))
    return next((one for one in found if one is not None), None)


def whom_named(shifts: Sequence[Shift], person: str, start: Instant) -> Twice | None:
    """The first time from an instant on that somebody has one of some shifts, which are in order of their begin."""
    own = next((one for one in shifts if one.person == person and one.end > start), None)
    return Twice(person, max(own.start, start), own.end) if own is not None else None


def at_once(ours: Sequence[Shift], theirs: Sequence[Shift], start: Instant) -> Twice | None:
    """The first time from an instant on that one person has a shift of both, which are in order of their begin."""
    by_person: dict[str, list[Shift]] = {}
    for shift in theirs:
        by_person.setdefault(shift.person, []).append(shift)
    places = dict.fromkeys(by_person, 0)
    for shift in ours:
        others = by_person.get(shift.person, [])
        place = places.get(shift.person, 0)
        while place < len(others) and others[place].end <= max(shift.start, start):
            place += 1
        if place < len(others):
            places[shift.person] = place
            low, high = max(shift.start, others[place].start, start), min(shift.end, others[place].end)
            if low < high:
                return Twice(shift.person, low, high)
    return None
