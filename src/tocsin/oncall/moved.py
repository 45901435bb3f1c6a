"""What a change by hand moves: who is on call when they would not have been, and who is not when they would."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from tocsin.kernel.instant import DAY, Duration, Instant
from tocsin.oncall.override import Cover, Override
from tocsin.oncall.roster import Roster, Span, merged, without

PIECE: Duration = 28 * DAY


class Moved(NamedTuple):
    """What a person has now and did not have, and what they had and have no more; each in order."""

    gained: tuple[Span, ...]
    lost: tuple[Span, ...]


def moved(roster: Roster, before: Sequence[Cover], after: Sequence[Cover], ranges: Iterable[Span]) -> dict[str, Moved]:
    """Whose time on call in some ranges is another by other covers, in the order of who had or has it first."""
    spans = list(ranges)
    return differ(held(roster, before, spans), held(roster, after, spans))


def held(roster: Roster, covers: Sequence[Cover], ranges: Iterable[Span]) -> dict[str, list[Span]]:
    """When who is on call in some ranges, each cut to them and in order; people in the order of who has it first."""
    found: dict[str, list[Span]] = {}
    for low, high in (piece for start, end in ranges for piece in pieces(start, end)):
        # Cut to the piece: a roster draws up all that a cover of a year lies over, to tell whole shifts.
        near = [_cut(one, low, high) for one in covers if _meets(one, low, high)]
        for one in roster.shifts(low, high, near):
            found.setdefault(one.person, []).append((max(one.start, low), min(one.end, high)))
    return {person: merged(sorted(spans)) for person, spans in found.items()}


def held_by(roster: Roster, covers: tuple[Cover, ...], start: Instant, end: Instant) -> dict[str, list[Span]]:
    """As ``held``, of one range, by what a roster has drawn up already."""
    found: dict[str, list[Span]] = {}
    for (low, high), piece in roster.drawn(start, end, covers):
        for one in piece.shifts:
            if one.start < high and low < one.end:
                found.setdefault(one.person, []).append((max(one.start, low), min(one.end, high)))
    return {person: merged(sorted(spans)) for person, spans in found.items()}


def in_vain(roster: Roster, override: Override, covers: Sequence[Cover], now: Instant) -> list[Cover]:
    """What of an agreed override takes nobody's place in times to come: whose it was is not on call then.

    What lies over it makes no difference: whoever did that knew of it.
    """
    under = [one for one in covers if one.id <= override.id]
    found = []
    for cover in override.covers():
        low = max(cover.start, now)
        if low >= cover.end or not cover.instead_of:
            continue
        shifts = (
            shift
            for start, end in pieces(low, cover.end)
            for shift in roster.shifts(start, end, [_cut(one, start, end) for one in under if _meets(one, start, end)])
        )
        if all(shift.override != cover.id for shift in shifts):
            found.append(cover._replace(start=low))
    return found


def differ(was: Mapping[str, list[Span]], now: Mapping[str, list[Span]]) -> dict[str, Moved]:
    """Whose time is another, of two tellings of who is on call when."""
    found = {}
    for person in dict.fromkeys((*was, *now)):
        had, has = was.get(person, []), now.get(person, [])
        move = Moved(_beyond(has, had), _beyond(had, has))
        if move.gained or move.lost:
            found[person] = move
    return found


def laid(was: Mapping[str, list[Span]], moves: Mapping[str, Moved], within: Span) -> dict[str, list[Span]]:
    """Who is on call when in a range, after some moves."""
    found = {}
    for person in dict.fromkeys((*was, *moves)):
        move = moves.get(person, Moved((), ()))
        gained = [(max(low, within[0]), min(high, within[1])) for low, high in move.gained]
        has = merged(sorted([*was.get(person, ()), *(one for one in gained if one[0] < one[1])]))
        found[person] = [part for span in has for part in without(span, list(move.lost))]
    return found


def _meets(cover: Cover, low: Instant, high: Instant) -> bool:
    return cover.start < high and low < cover.end


def _cut(cover: Cover, low: Instant, high: Instant) -> Cover:
    return cover._replace(start=max(cover.start, low), end=min(cover.end, high))


def _beyond(spans: list[Span], others: list[Span]) -> tuple[Span, ...]:
    return tuple(part for span in spans for part in without(span, others))


def pieces(start: Instant, end: Instant) -> Iterator[Span]:
    """A range in pieces: of a long one not all covers are looked at for each shift."""
    return ((low, min(low + PIECE, end)) for low in range(start, end, PIECE))
