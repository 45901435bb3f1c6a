"""Who is on call at an instant, and who over a range: one computation for both, so that what is shown is what pages.

A shift is as long as one person is on call by one turn of one layer (or one override) without a break: it begins at
the first instant its wall clock shows the time of its begin, and ends at the last one that shows its end. Where a clock
is set back over a handoff both people are on call, and no instant is left out.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby, islice
from typing import Final, NamedTuple

from tocsin.kernel.instant import DAY, Instant
from tocsin.oncall.drawn import Drawing, Piece
from tocsin.oncall.override import Cover
from tocsin.oncall.schedule import Layer, Schedule
from tocsin.oncall.zone import DAY_OF, MONDAY, WEEK_OF, wall_of, zone

_LOOKED_AHEAD: Final = 366 * DAY

Span = tuple[Instant, Instant]
"""From the first instant up to, and without, the second."""


class Shift(NamedTuple):
    """One person on call from ``start`` up to ``end``.

    ``layer`` counts from 0 in the schedule, and ``turn`` in the layer; ``override`` is the number of the override that
    made it, else 0, and negative where a calendar from elsewhere did. ``turn_of``: whose turn it is, where somebody
    stands in who is not away; "" elsewhere.
    """

    person: str
    start: Instant
    end: Instant
    layer: int
    turn: int
    override: int = 0
    turn_of: str = ""

    @property
    def by(self) -> str:
        """What put them there other than a layer: ``override`` or ``calendar``; "" when a layer did."""
        return "override" if self.override > 0 else "calendar" if self.override < 0 else ""


class Roster:
    """A schedule that can be asked. Remembers what it was asked about lately, a stretch of time at once."""

    def __init__(self, schedule: Schedule) -> None:
        self.schedule = schedule
        for layer in schedule.layers:
            zone(layer.timezone)  # read now, not when somebody has to be paged
        short = any(0 < layer.length.minutes < DAY_OF // 4 for layer in schedule.layers)
        few = all(not layer.only and layer.length.minutes % WEEK_OF == 0 for layer in schedule.layers)
        self._stretch = DAY if short else 28 * DAY if few else 7 * DAY
        """So much is drawn up at once: not many shifts, and not the same one every day."""
        self._drawing = Drawing()

    def who(self, at: Instant, covers: tuple[Cover, ...] = ()) -> tuple[Shift, ...]:
        """Who is on call at an instant, each person once; () for nobody."""
        return self._drawn(at, covers).who(at)

    def drawn(
        self, start: Instant, end: Instant, covers: tuple[Cover, ...] = ()
    ) -> Iterator[tuple[Span, Piece]]:
        """A range in the pieces that are drawn up at once, each as far as it lies in the range.

        For what is asked again and again: other than by ``shifts`` a piece is drawn up once.
        """
        at = start
        while at < end:
            over = min((at // self._stretch + 1) * self._stretch, end)
            yield (at, over), self._drawn(at, covers)
            at = over

    def edges(
        self, start: Instant, end: Instant, covers: tuple[Cover, ...] = (), *, beside: bool = False
    ) -> set[Instant]:
        """Every instant within a range from which on ``who`` may say something else; ``beside``: or ``beside`` may."""
        asked = {covers, self._drawing.by(covers).layers} if beside else {covers}
        found = {
            edge
            for by in asked
            for _, piece in self.drawn(start, end, by)
            for one in piece.shifts
            for edge in (one.start, one.end)
        }
        if beside:
            found |= {edge for one in covers if one.away for edge in (one.start, one.end)}
        return {edge for edge in found if start < edge < end}

    def _drawn(self, at: Instant, covers: tuple[Cover, ...]) -> Piece:
        """The piece of time that an instant lies in."""
        place = at // self._stretch
        start = place * self._stretch
        return self._drawing.by(covers).piece(place, lambda: self.shifts(start, start + self._stretch, covers))

    def until(self, shift: Shift, covers: tuple[Cover, ...] = ()) -> Instant | None:
        """Until when whoever has a shift stays on call without a break, by shifts that follow it too; None: a year on.

        Where a swap or an override takes a part of it away, that is where the part begins.
        """
        end = shift.end
        while end < shift.start + _LOOKED_AHEAD:
            further = max((one.end for one in self.who(end, covers) if one.person == shift.person), default=end)
            if further <= end:
                return end
            end = further
        return None

    def shifts(self, start: Instant, end: Instant, covers: Sequence[Cover] = ()) -> tuple[Shift, ...]:
        """Every shift that has a part in the range, whole, in order of their begin."""
        near = [one for one in covers if one.start < end and start < one.end]
        low = min([start, *(one.start for one in near)])
        high = max([end, *(one.end for one in near)])
        planned = self._shifts(low, high, _shut(covers))
        low = min([low, *(shift.start for shift in planned)])
        high = max([high, *(shift.end for shift in planned)])
        # A year of a calendar's covers may be asked about a day: those that touch no shift of it change nothing.
        found = covered(planned, [one for one in covers if one.person and one.start < high and low < one.end])
        return tuple(shift for shift in found if shift.start < end and start < shift.end)

    def gaps(self, start: Instant, end: Instant, covers: Sequence[Cover] = ()) -> tuple[Span, ...]:
        """The parts of a range in which nobody is on call."""
        shifts = self.shifts(start, end, covers)
        return tuple(without((start, end), merged(sorted((shift.start, shift.end) for shift in shifts))))

    def left_out(self, start: Instant, end: Instant) -> tuple[Span, ...]:
        """The parts of a range no layer is meant for, which is when nobody is on call, overrides aside."""
        if any(not layer.only for layer in self.schedule.layers):
            return ()
        meant = sorted(span for layer in self.schedule.layers for span in _windows(layer, start, end))
        return tuple(without((start, end), merged(meant)))

    def beside(self, at: Instant, steps: int, covers: tuple[Cover, ...] = ()) -> tuple[Shift, ...]:
        """Who has the turn so many turns after (or before) the one that is on at an instant, in the same layer.

        Overrides move no turns, but who is on call by one is not the next: nobody stands in for themselves. Nor is
        whoever is away: it goes on in the same direction to the first turn of somebody who can be asked. While all of
        the others are away it is the first of them: somebody who may answer is better than nobody. While two turns are
        on because a clock is set back, the next comes after both.
        """
        planned = self._planned(at, covers)
        if not planned:
            return ()
        layer = self.schedule.layers[planned[0].layer]
        own = [shift for shift in planned if shift.layer == planned[0].layer]
        now = max(own, key=_turn) if steps > 0 else min(own, key=_turn)
        on = {shift.person for shift in (*planned, *self.who(at, covers))}
        for others in (on | away(at, covers), on):
            for further in range(len(layer.turns)):
                turn = now.turn + steps + (further if steps > 0 else -further)
                people = [one for one in layer.people(turn) if one not in others]
                if people:
                    return tuple(Shift(one, now.start, now.end, now.layer, turn) for one in people)
        return ()

    def shadows(self, at: Instant, covers: tuple[Cover, ...] = ()) -> tuple[str, ...]:
        """Who gets a copy of what is paged at an instant."""
        planned = self._planned(at, covers)
        if not planned:
            return ()
        on_call = {shift.person for shift in planned}
        return tuple(one for one in self.schedule.layers[planned[0].layer].shadows if one not in on_call)

    def _planned(self, at: Instant, covers: tuple[Cover, ...]) -> tuple[Shift, ...]:
        """Who is on call by the layers, whoever takes their places; without layers that are closed."""
        return self.who(at, self._drawing.by(covers).layers)

    def _shifts(self, start: Instant, end: Instant, shut: Mapping[int, list[Span]]) -> list[Shift]:
        """What the layers make of a range. A layer is seen where none above it applies."""
        found: list[Shift] = []
        above: list[int] = []
        for place in range(len(self.schedule.layers) - 1, -1, -1):
            layer = self.schedule.layers[place]
            own = own_shifts(layer, place, start, end, shut.get(place, ()))
            if above and own:
                low, high = min(shift.start for shift in own), max(shift.end for shift in own)
                hidden = merged(
                    sorted(
                        span
                        for one in above
                        for span in _windows(self.schedule.layers[one], low, high, shut.get(one, ()))
                    )
                )
                own = [
                    _part(shift, *piece)
                    for shift in own
                    for piece in without((shift.start, shift.end), hidden)
                    if piece[0] < end and start < piece[1]
                ]
            found += own
            if not layer.only:
                break
            above.append(place)
        found.sort(key=_by_begin)
        return found


def away(at: Instant, covers: Iterable[Cover]) -> set[str]:
    """Who is away at an instant."""
    return {one.away for one in covers if one.away and one.start <= at < one.end}


def covered(shifts: list[Shift], covers: Sequence[Cover]) -> list[Shift]:
    """Shifts after overrides, the later override over the earlier one.

    Covers of one number that stand in for everybody are one layer: they lie over what was there, not over each other.
    """
    for (_, for_one), group in groupby(sorted(covers, key=_number), key=lambda one: (one.id, bool(one.instead_of))):
        if not for_one:
            shifts = _under(shifts, list(group))
            continue
        for cover in group:
            shifts = [part for shift in shifts for part in _given(shift, cover)]
    return sorted(shifts, key=_by_begin)


def _shut(covers: Sequence[Cover]) -> dict[int, list[Span]]:
    """When layers do not apply, by layer.

    One whose people are away applies all the same while an override gives the turn to somebody who is there.
    """
    closing = [one for one in covers if not one.person and one.layer is not None]
    if not closing:
        return {}
    given: dict[str, list[Span]] = {}
    for one in covers:
        if one.id > 0 and one.instead_of:
            given.setdefault(one.instead_of, []).append((one.start, one.end))
    given = {person: merged(sorted(spans)) for person, spans in given.items()}
    found: dict[int, tuple[list[Span], list[Span]]] = {}
    for one in closing:
        shut, taken = found.setdefault(one.layer or 0, ([], []))
        shut.append((one.start, one.end))
        taken += parts_in(given.get(one.instead_of, []), one.start, one.end)
    return {layer: less(shut, taken) for layer, (shut, taken) in found.items()}


def _under(shifts: list[Shift], layer: list[Cover]) -> list[Shift]:
    """Shifts where a layer of covers leaves them, and the layer, as far as layers above it leave that."""
    place = layer[0].layer
    above = [] if place is None else [shift for shift in shifts if shift.layer >= place]
    hidden = merged(sorted((one.start, one.end) for one in layer))
    seen = [
        _part(shift, start, end)
        for shift in shifts
        if place is None or shift.layer < place
        for start, end in without((shift.start, shift.end), hidden)
    ]
    taken = merged(sorted((shift.start, shift.end) for shift in above))
    own = [
        Shift(one.person, start, end, -1, 0, one.id)
        for one in layer
        for start, end in without((one.start, one.end), taken)
    ]
    return [*seen, *above, *own]


def _given(shift: Shift, cover: Cover) -> Iterator[Shift]:
    """A shift, without the part of it that a cover gives to somebody else; and that part.

    It gives what somebody has on call, and what was their turn before somebody stood in for them because they are
    away: what was agreed for a turn counts, whether or not the calendar of whose turn it is says the same.
    """
    whose = cover.instead_of
    if shift.end <= cover.start or cover.end <= shift.start or whose not in (shift.person, shift.turn_of):
        yield shift
        return
    start, end = max(shift.start, cover.start), min(shift.end, cover.end)
    if shift.start < start:
        yield shift._replace(end=start)
    if end < shift.end:
        yield shift._replace(start=end)
    turn_of = shift.turn_of if whose == shift.person else ""
    if cover.id < 0:
        turn_of = shift.turn_of or shift.person
    yield Shift(cover.person, start, end, shift.layer, shift.turn, cover.id, turn_of)


def _part(shift: Shift, start: Instant, end: Instant) -> Shift:
    """A shift, or what is left of it. Many are whole, and making one anew is what drawing up a calendar costs."""
    if start == shift.start and end == shift.end:
        return shift
    return Shift(shift.person, start, end, shift.layer, shift.turn, shift.override, shift.turn_of)


def _number(cover: Cover) -> int:
    return cover.id


def _turn(shift: Shift) -> int:
    return shift.turn


def _by_begin(shift: Shift) -> tuple[Instant, int, int]:
    return shift.start, -shift.layer, shift.turn


def own_shifts(layer: Layer, place: int, start: Instant, end: Instant, shut: Sequence[Span] = ()) -> list[Shift]:
    """The shifts of one layer that have a part in a range, as if it were alone."""
    found: list[Shift] = []
    turns = _turns(layer, start, end)
    windows = _windows(layer, start, end, shut) if layer.only else None
    for turn, begin, over in turns:
        spans = [(begin, over)] if windows is None else parts_in(windows, begin, over)
        for low, high in spans:
            if low < end and start < high:
                found += [Shift(person, low, high, place, turn) for person in layer.people(turn)]
    return found


def _turns(layer: Layer, start: Instant, end: Instant) -> Iterator[tuple[int, Instant, Instant]]:
    """The turns that have a part in a range: number, begin and end. Found by reckoning, not by counting up to it."""
    edges = zone(layer.timezone).edges
    turn = layer.turn(zone(layer.timezone).shows(start))
    while edges(layer.begin(turn))[1] > start:
        turn -= 1  # where the clock is set back, the turn before is still on
    begin = edges(layer.begin(turn))[0]
    while begin < end:
        following = edges(layer.begin(turn + 1))
        if begin < following[1]:  # else the clock skipped the whole of it
            yield turn, begin, following[1]
        turn, begin = turn + 1, following[0]


def _windows(layer: Layer, start: Instant, end: Instant, shut: Sequence[Span] = ()) -> list[Span]:
    """When a layer with hours applies, as far as that has a part in a range; whole, in order, without overlaps.

    ``shut``: when it does not, beside its closed days.
    """
    edges = zone(layer.timezone).edges
    week = (zone(layer.timezone).shows(start) - MONDAY) // WEEK_OF - 2  # a window is at most a week long
    found: list[Span] = []
    while True:
        monday = MONDAY + week * WEEK_OF
        for window in layer.only:
            begin = edges(monday + window.start)[0]
            if begin >= end:
                return [span for span in _open(layer, found, shut) if start < span[1]]
            over = edges(monday + window.start + window.minutes)[1]
            if found and begin <= found[-1][1]:
                found[-1] = found[-1][0], max(found[-1][1], over)
            elif begin < over:
                found.append((begin, over))
        week += 1


def _open(layer: Layer, windows: list[Span], shut: Sequence[Span]) -> list[Span]:
    """Windows without the days, and other times, at which the layer does not apply."""
    if not layer.closed and not shut:
        return windows
    edges = zone(layer.timezone).edges
    walls = (wall_of(day) for day in layer.closed)
    closed = merged(sorted([*((edges(wall)[0], edges(wall + DAY_OF)[1]) for wall in walls), *shut]))
    return [piece for window in windows for piece in without(window, closed)]


def parts_in(windows: list[Span], start: Instant, end: Instant) -> list[Span]:
    """The parts of windows that lie in a range. They are in order, and without overlaps."""
    first = max(bisect_right(windows, (start, start)) - 1, 0)
    found = []
    for low, high in islice(windows, first, None):
        if low >= end:
            break
        if start < high:
            found.append((max(low, start), min(high, end)))
    return found


def without(span: Span, hidden: list[Span]) -> list[Span]:
    """What is left of a range."""
    start, end = span
    found = []
    for low, high in parts_in(hidden, start, end):
        if start < low:
            found.append((start, low))
        start = high
    if start < end:
        found.append((start, end))
    return found


def less(spans: Iterable[Span], hidden: Iterable[Span]) -> list[Span]:
    """Ranges without the parts of others, both in any order."""
    gone = merged(sorted(hidden))
    return [part for span in merged(sorted(spans)) for part in without(span, gone)]


def merged(spans: Iterable[Span]) -> list[Span]:
    """Ranges in order of their begin, with those that meet or overlap made one."""
    found: list[Span] = []
    for start, end in spans:
        if found and start <= found[-1][1]:
            found[-1] = found[-1][0], max(found[-1][1], end)
        else:
            found.append((start, end))
    return found
