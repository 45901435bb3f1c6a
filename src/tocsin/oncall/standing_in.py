"""Who takes the turns of people who are away, as covers that lie under what people agree on by hand.

Somebody of the same layer takes the place, the next in line of those who are neither on call by the schedule already
nor by one that is paged just before or after it, as far as there is such a one. A layer of which nobody is there does
not apply where one below it has somebody who is.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Final

from tocsin.kernel.instant import Instant
from tocsin.oncall.imported import AWAY, SHUT
from tocsin.oncall.override import Cover, absence
from tocsin.oncall.roster import Roster, Shift, Span, less, merged, own_shifts, parts_in

When = Mapping[str, list[Span]]
"""When each of some people is away, or on call: in order and without overlaps."""
StandIn = tuple[str, Instant, Instant]
"""Somebody, from when and to when."""
_ALONE: Final[When] = {}


def away_covers(
    roster: Roster,
    away: When,
    start: Instant,
    end: Instant,
    under: Sequence[Cover] = (),
    beside: When = _ALONE,
) -> Iterator[Cover]:
    """Who takes the turns of people who are away, for as long as it lasts; when layers do not apply because all of
    their people are away; and when people are, so that nobody asks them as the next.

    ``under``: when layers do not apply for another reason, and what rotas from elsewhere say. ``beside``: when people
    are on call by schedules that are paged before or after this one.

    Where everybody is away the turn stays whose it is: somebody who may answer is better than nobody.
    """
    ours = [one for one in roster.schedule.people() if one in away]
    if not ours:
        return
    for person in ours:
        yield from (absence(AWAY, person, *span) for span in parts_in(away[person], start, end))
    closed = list(_closed(roster, away, start, end, under))
    yield from closed
    planned = roster.shifts(start, end, [*(one for one in under if not one.person), *closed])
    taken: dict[str, list[Span]] = {}
    for shift in planned:
        taken.setdefault(shift.person, []).append((shift.start, shift.end))
    taken = {person: merged(spans) for person, spans in taken.items()}
    number = AWAY
    for shift in planned:
        for low, high in parts_in(away.get(shift.person, []), shift.start, shift.end):
            for other, since, until in _stand_ins(_in_line(roster, shift), (away, taken, beside), low, high):
                if not _any(taken, other, since, until):
                    insort(taken.setdefault(other, []), (since, until))
                number += 1
                yield Cover(number, other, since, until, shift.person, f"{shift.person} is away")


def _closed(roster: Roster, away: When, start: Instant, end: Instant, under: Sequence[Cover]) -> Iterator[Cover]:
    """When layers with hours do not apply because all of their people are away, and somebody below them is not."""
    below: list[Span] = []
    for place, layer in enumerate(roster.schedule.layers):
        rotas = [one for one in under if one.person and one.layer == place]
        below += [part for one in rotas for part in less([(one.start, one.end)], away.get(one.person, []))]
        below = merged(sorted(below))
        shut = merged(sorted((one.start, one.end) for one in under if not one.person and one.layer == place))
        own = own_shifts(layer, place, start, end, shut)
        people = {one for turn in layer.turns for one in turn}
        there = merged(sorted(part for one in people for part in less([(start, end)], away.get(one, []))))
        applies = merged(sorted((shift.start, shift.end) for shift in own))
        gone = less([(start, end)], there)
        if layer.only:
            for shift in own if gone and below else ():
                for span in parts_in(gone, shift.start, shift.end):
                    for low, high in parts_in(below, *span):
                        yield Cover(SHUT - place, "", low, high, shift.person, "", place)
        else:
            below = []  # it hides whatever is under it
        below += less(applies, gone)


def _in_line(roster: Roster, shift: Shift) -> list[str]:
    """Who may take somebody's place: the others of the layer, those with the next turn first."""
    layer = roster.schedule.layers[shift.layer]
    turns = range(shift.turn + 1, shift.turn + 1 + len(layer.turns))
    return [one for one in dict.fromkeys(one for turn in turns for one in layer.people(turn)) if one != shift.person]


def _stand_ins(people: list[str], busy: tuple[When, ...], low: Instant, high: Instant) -> Iterator[StandIn]:
    """Who of some takes a place: the first who can for all of it, else for each piece of it the first who can then.

    ``busy``: why one cannot, the reason that counts least last: for what is left over it does not count.
    """
    if not busy or not people:
        return
    whole = _first(people, busy, low, high)
    if whole:
        yield whole, low, high
        return
    edges = {
        edge for when in busy for one in people for span in parts_in(when.get(one, []), low, high) for edge in span
    }
    pieces: list[StandIn] = []
    for start, end in pairwise(sorted({low, *edges, high})):
        other = _first(people, busy, start, end)
        if pieces and pieces[-1][0] == other:
            pieces[-1] = other, pieces[-1][1], end
        else:
            pieces.append((other, start, end))
    for other, start, end in pieces:
        if other:
            yield other, start, end
        else:
            yield from _stand_ins(people, busy[:-1], start, end)


def _first(people: list[str], busy: tuple[When, ...], low: Instant, high: Instant) -> str:
    return next((one for one in people if not any(_any(when, one, low, high) for when in busy)), "")


def _any(when: When, person: str, low: Instant, high: Instant) -> bool:
    """Whether somebody is away, or on call, at some time of a range."""
    return person in when and bool(parts_in(when[person], low, high))
