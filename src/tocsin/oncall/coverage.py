"""What a schedule leaves uncovered, and who would be called twice. Findings for people; nothing here pages."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from tocsin.kernel.instant import DAY, MINUTE, Instant
from tocsin.oncall.roster import Roster, Shift, Span
from tocsin.oncall.zone import DAY_OF, zone

YEAR = 52 * 7 * DAY
HALF_A_YEAR = 26 * 7 * DAY


class Twice(NamedTuple):
    """One person on call by two schedules at once."""

    person: str
    start: Instant
    end: Instant


def begins(roster: Roster) -> Instant:
    """When the last of a schedule's layers begins to count: findings look ahead from here."""
    return max((zone(layer.timezone).edges(layer.begins)[0] for layer in roster.schedule.layers), default=0)


def gaps_ahead(roster: Roster) -> tuple[Span, ...]:
    """When nobody is on call in the 52 weeks from the schedule's begin, overrides aside."""
    start = begins(roster)
    return roster.left_out(start, start + YEAR)


def effort(roster: Roster) -> int:
    """About how many shifts and windows it takes to look a year ahead: what a plan may make us do has a bound."""
    return sum(
        YEAR // MINUTE // (layer.length.minutes or 28 * DAY_OF * layer.length.months) + 52 * len(layer.only)
        for layer in roster.schedule.layers
    )


def twice(first: Roster, second: Roster) -> Twice | None:
    """The first time in half a year that somebody is on call by both schedules, overrides aside."""
    start = max(begins(first), begins(second))
    end = start + HALF_A_YEAR
    return at_once(first.shifts(start, end), second.shifts(start, end), start)


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
