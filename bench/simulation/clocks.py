"""Who is on call, reckoned a second time from what the manual says: point by point, with Python's own time zones.

Shares no line with ``tocsin.oncall``: what both get wrong alike would have to be wrong in the manual.
"""

from __future__ import annotations

from bisect import bisect_right
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import NamedTuple
from zoneinfo import ZoneInfo

from bench.simulation.landscape import Turns

SECOND = 1_000_000
NEVER = 1 << 62
_DAY = 86_400 * SECOND
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_STEP = timedelta(microseconds=1)


class Turn(NamedTuple):
    """Somebody's turn that is on: when it began, which layer, which turn of it."""

    began: int
    layer: int
    turn: int
    person: str


place_of = lru_cache(ZoneInfo)
"""A zone by its name. The library itself remembers eight, and reads the file of any other again."""


def moment(at: int) -> datetime:
    """An instant (microseconds) in UTC."""
    return _EPOCH + at * _STEP


def instant(when: datetime) -> int:
    """The instant (microseconds) of an aware datetime."""
    return (when - _EPOCH) // _STEP


def wall(at: int, zone: str) -> datetime:
    """What a clock on a wall shows, without its zone."""
    return moment(at).astimezone(place_of(zone)).replace(tzinfo=None)


@lru_cache(maxsize=30_000)
def edges(shown: datetime, zone: str) -> tuple[int, int]:
    """The first and the last instant a wall clock shows a time; where it skips the time, the one it jumps at."""
    place = place_of(zone)
    as_if_utc = instant(shown.replace(tzinfo=UTC))
    offsets = {moment(as_if_utc + days * 36 * 3_600 * SECOND).astimezone(place).utcoffset() for days in (-1, 0, 1)}
    guesses = [as_if_utc - offset // _STEP for offset in offsets if offset is not None]
    found = [guess for guess in guesses if wall(guess, zone) == shown]
    if found:
        return min(found), max(found)
    low = instant((shown - timedelta(hours=26)).replace(tzinfo=UTC)) // SECOND
    high = instant((shown + timedelta(hours=26)).replace(tzinfo=UTC)) // SECOND
    while high - low > 1:  # the second at which the clock first shows a later time
        middle = (low + high) // 2
        if moment(middle * SECOND).astimezone(place).replace(tzinfo=None) < shown:
            low = middle
        else:
            high = middle
    return high * SECOND, high * SECOND


def _begin(layer: Turns, turn: int) -> datetime:
    minute = timedelta(minutes=layer.minute)
    first = datetime.combine(layer.starts, datetime.min.time())
    if layer.length:
        return first + minute + timedelta(minutes=layer.length) * turn
    months = first.year * 12 + first.month - 1 + turn
    return datetime(months // 12, months % 12 + 1, first.day) + minute


def _near(layer: Turns, shown: datetime) -> int:
    """The turn that is on when the wall clock shows this, or one beside it."""
    if layer.length:
        return (shown - _begin(layer, 0)) // timedelta(minutes=layer.length)
    return shown.year * 12 + shown.month - layer.starts.year * 12 - layer.starts.month


@lru_cache(maxsize=30_000)
def _span(layer: Turns, turn: int) -> tuple[int, int]:
    """From when until when a turn is on."""
    return edges(_begin(layer, turn), layer.zone)[0], edges(_begin(layer, turn + 1), layer.zone)[1]


_alone: dict[Turns, tuple[int, int, list[tuple[int, int]]]] = {}
"""What was last found of a layer, and from when until when nothing else is."""


def _on(layer: Turns, at: int) -> tuple[int, int, list[tuple[int, int]]]:
    """The turns that are on at an instant, with when each began; and from when until when no others are."""
    known = _alone.get(layer)
    if known is not None and known[0] <= at < known[1]:
        return known
    near = _near(layer, wall(at, layer.zone))
    around = [(turn, *_span(layer, turn)) for turn in (near - 1, near, near + 1)]
    found = [(turn, began) for turn, began, over in around if began <= at < over]
    low = max(edge for _, *span in around for edge in span if edge <= at)
    known = _alone[layer] = low, min(edge for _, *span in around for edge in span if edge > at), found
    return known


@lru_cache(maxsize=30_000)
def _office(day: date, zone: str) -> tuple[int, int]:
    """From when until when offices are open on a day."""
    nine, six = (datetime.combine(day, datetime.min.time()) + timedelta(hours=hour) for hour in (9, 18))
    return edges(nine, zone)[0], edges(six, zone)[1]


def _applies(layer: Turns, at: int) -> tuple[int, int, bool]:
    """Whether a layer for office hours (Monday to Friday, nine to six) is meant now, and from when until when it is so
    at least: a day at most.
    """
    today = wall(at, layer.zone).date()
    days = (today + timedelta(days=back) for back in (-1, 0, 1))
    spans = [_office(day, layer.zone) for day in days if day.weekday() < 5]
    edges = [at - _DAY, at + _DAY, *(edge for span in spans for edge in span)]
    applies = any(opens <= at < closes for opens, closes in spans)
    return max(edge for edge in edges if edge <= at), min(edge for edge in edges if edge > at), applies


_whose: dict[tuple[Turns, ...], tuple[int, int, list[Turn]]] = {}
"""What was last found of layers, and from when until when nothing else is."""


def turns(layers: tuple[Turns, ...], at: int) -> list[Turn]:
    """Whose turn it is by the layers: of several that apply the last one counts, whole."""
    known = _whose.get(layers)
    if known is not None and known[0] <= at < known[1]:
        return known[2]
    low, high, found = at - _DAY, at + _DAY, []
    for place in range(len(layers) - 1, -1, -1):
        layer = layers[place]
        applies = True
        if layer.only:
            since, until, applies = _applies(layer, at)
            low, high = max(low, since), min(high, until)
        if applies:
            since, until, on = _on(layer, at)
            low, high = max(low, since), min(high, until)
            found = [
                Turn(began, place, turn, person)
                for turn, began in on
                for person in layer.people[turn % len(layer.people)]
            ]
            found.sort(key=lambda one: (one.began, one.turn))
            break
    _whose[layers] = low, high, found
    return found


def changes(layers: tuple[Turns, ...], start: int, end: int) -> list[int]:
    """A range with every instant in it at which whose turn it is may be another: between two of them it is not."""
    found = {start, end}
    for layer in layers:
        first, last = (wall(at, layer.zone) for at in (start, end))
        spans = [_span(layer, turn) for turn in range(_near(layer, first) - 1, _near(layer, last) + 2)]
        if layer.only:
            days = (last.date() - first.date()).days
            spans += [_office(first.date() + timedelta(days=n), layer.zone) for n in range(-1, days + 2)]
        found |= {edge for span in spans for edge in span if start < edge < end}
    return sorted(found)


def morning(zone: str, at: int) -> int | None:
    """When somebody's quiet hours (22:00 to 08:00 by their clock) that hold now are over; None outside them."""
    shown = wall(at, zone)
    if 8 <= shown.hour < 22:
        return None
    day = shown.date() + timedelta(days=1 if shown.hour >= 22 else 0)
    return edges(datetime.combine(day, datetime.min.time()) + timedelta(hours=8), zone)[0]


def within(spans: list[tuple[int, int]], at: int) -> bool:
    """Whether an instant lies in one of some ranges, which are in order and apart."""
    place = bisect_right(spans, (at, NEVER)) - 1
    return place >= 0 and spans[place][0] <= at < spans[place][1]
