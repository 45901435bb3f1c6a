"""Who is on call when people are away, a rota is kept elsewhere and others take places by hand, by the manual.

Whose turn it is by the layers says ``clocks``; here lies what goes over that, in the manual's order: entries of a
calendar, stand-ins for those who are away, and what people agreed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import NamedTuple, TypeVar

from bench.simulation.clocks import SECOND, Turn, changes, turns
from bench.simulation.landscape import Away, Entry, Landscape, Turns

_DAY = 86_400 * SECOND


class Cover(NamedTuple):
    """An override as it was asked for. ``instead_of`` "" is everybody."""

    number: int
    person: str
    start: int
    end: int
    instead_of: str


class StandIn(NamedTuple):
    """Somebody in the place of whoever is away."""

    start: int
    end: int
    person: str
    away: str


class Rota:
    """A schedule: its layers, the calendar over them, and when its people are away. Made once for an edition of the
    plan, and asked often: what its calendars say in years is found by the day.
    """

    def __init__(self, layers: tuple[Turns, ...], entries: Sequence[Entry] = (), away: Sequence[Away] = ()) -> None:
        self.layers = layers
        self._entries = _by_day(entries)
        self._away = _by_day(away)
        self._stand_ins = _by_day(stand_ins(layers, away))

    def named(self, at: int) -> set[str]:
        """Whom the calendar over it names."""
        return {one.person for one in _now(self._entries, at)}

    def gone(self, at: int) -> set[str]:
        """Who of its people is away."""
        return {one.person for one in _now(self._away, at)}

    def stand_in(self, at: int) -> list[StandIn]:
        """Who takes somebody's turn, in the order in which they were found."""
        return _now(self._stand_ins, at)


_Timed = TypeVar("_Timed", Away, Entry, StandIn)


def _by_day(spans: Iterable[_Timed]) -> dict[int, list[_Timed]]:
    """Ranges of time by the days (of 24 hours, from the first of all) that they touch, in their order."""
    found: dict[int, list[_Timed]] = {}
    for one in spans:
        for day in range(one.start // _DAY, (one.end - 1) // _DAY + 1):
            found.setdefault(day, []).append(one)
    return found


def _now(found: dict[int, list[_Timed]], at: int) -> list[_Timed]:
    """Those of them in which an instant lies."""
    return [one for one in found.get(at // _DAY, ()) if one.start <= at < one.end]


def rota_of(land: Landscape, name: str) -> Rota:
    """A schedule of a landscape."""
    layers = land.rotas[name]
    people = {person for layer in layers for turn in layer.people for person in turn}
    away = [one for person in sorted(people & land.away.keys()) for one in land.away[person]]
    return Rota(layers, land.entries.get(name, ()), away)


def on_call(rota: Rota, covers: list[Cover], at: int) -> set[str]:
    """Who is on call: whoever the calendar names or else the layers have, with whoever stands in for those who are
    away; over them what was agreed, in the order of the overrides' numbers. What was agreed for somebody's turn takes
    it also from whoever stands in.
    """
    named = rota.named(at)
    on = {(person, "") for person in named or {one.person for one in turns(rota.layers, at)}}
    if not named and rota.gone(at):
        for one in rota.stand_in(at):
            if (one.away, "") in on:
                on = (on - {(one.away, "")}) | {(one.person, one.away)}
    for cover in sorted(one for one in covers if one.start <= at < one.end):
        if not cover.instead_of:
            on = {(cover.person, "")}
        for person, turn_of in sorted(on) if cover.instead_of else ():
            if cover.instead_of in (person, turn_of):
                on = (on - {(person, turn_of)}) | {(cover.person, turn_of if cover.instead_of == person else "")}
    return {person for person, _ in on}


def next_in_line(rota: Rota, covers: list[Cover], at: int) -> set[str]:
    """Who has the first turn after those that are on that is not only of people who are on call themselves, or away."""
    now = turns(rota.layers, at)
    if not now:
        return set()
    layer = rota.layers[now[0].layer]
    busy = {one.person for one in now} | on_call(rota, covers, at)
    gone = rota.gone(at)
    latest = max(one.turn for one in now)
    for others in (busy | gone, busy):
        for later in range(latest + 1, latest + len(layer.people)):
            if free := set(layer.people[later % len(layer.people)]) - others:
                return free
    return set()


class _Part(NamedTuple):
    """A part of somebody's turn in which they are away: when the turn began to be seen, and which place they have."""

    began: int
    place: int
    start: int
    end: int
    turn: Turn


def stand_ins(layers: tuple[Turns, ...], away: Sequence[Away]) -> tuple[StandIn, ...]:
    """Who takes the turns of people who are away: the next in the same layer who is there for all of that time, and on
    call by the schedule in none of it.
    """
    found: list[StandIn] = []
    for part in sorted(part for gone in away for part in _parts(layers, gone)):
        layer, whose = layers[part.turn.layer], part.turn.person
        line = (layer.people[(part.turn.turn + n) % len(layer.people)] for n in range(1, len(layer.people) + 1))
        for one in dict.fromkeys(person for turn in line for person in turn):
            if one != whose and _is_free(layers, away, found, one, part):
                found.append(StandIn(part.start, part.end, one, whose))
                break
        else:
            raise AssertionError(f"a landscape in which nobody can stand in for {whose} at {part.start}")
    return tuple(found)


def _parts(layers: tuple[Turns, ...], gone: Away) -> list[_Part]:
    """What of somebody's turns lies in a time in which they are away, each without a break."""
    found: list[_Part] = []
    for start, end in pairwise(changes(layers, gone.start, gone.end)):
        for place, turn in enumerate(turns(layers, start)):
            if turn.person != gone.person:
                continue
            last = found[-1] if found else None
            if last is not None and last.end == start and last.turn[:3] == turn[:3]:
                found[-1] = last._replace(end=end)
            else:
                found.append(_Part(turn.began, place, start, end, turn))
    return found


def _is_free(
    layers: tuple[Turns, ...], away: Sequence[Away], found: list[StandIn], person: str, part: _Part
) -> bool:
    if any(one.person == person and one.start < part.end and part.start < one.end for one in away):
        return False
    if any(one.person == person and one.start < part.end and part.start < one.end for one in found):
        return False
    moments = changes(layers, part.start, part.end)[:-1]
    return all(turn.person != person for at in moments for turn in turns(layers, at))
