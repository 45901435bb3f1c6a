"""Calendars from elsewhere: a rota that is kept in another program, and when people are away.

What was read of one is kept as its last good copy, and counts while its source is away. It comes down to covers: an
imported rota lies over a schedule's layers, people who are away give their turns to the next in line who is not, and
over both lie the overrides people make.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from msgspec import Struct

from tocsin.kernel.instant import DAY, HOUR, Duration, Instant
from tocsin.oncall.override import Cover
from tocsin.oncall.roster import Roster, Shift
from tocsin.oncall.zone import zone

BEHIND: Final[Duration] = 40 * DAY
AHEAD: Final[Duration] = 200 * DAY
"""How far around the time of reading a calendar's entries are kept."""
STALE_AFTER: Final[Duration] = DAY
"""A source that has been away for longer is something to be told of."""
_AWAY: Final = -1_000_000
_ROTA: Final = -2_000_000
"""Numbers of covers that stand for entries, below those of overrides: of two covers the higher number counts."""


class Busy(Struct, frozen=True):
    """One entry. ``wall``: its times are minutes of a wall clock, since it names no zone (whole days do not).

    ``text`` is its summary; ``emails`` those of the people it names.
    """

    start: int
    end: int
    wall: bool = False
    text: str = ""
    emails: tuple[str, ...] = ()

    def span(self, timezone: str) -> tuple[Instant, Instant]:
        """From when to when it is, with wall clocks of a zone: as long as the clock shows it."""
        if not self.wall:
            return self.start, self.end
        edges = zone(timezone).edges
        return edges(self.start)[0], edges(self.end)[1]


class Imported(Struct, kw_only=True, omit_defaults=True):
    """A calendar as it was read last. ``failing_since``: since when its source gives nothing usable, and ``error`` why.

    ``read_at``: when it was read, None when it never could be.
    """

    name: str
    read_at: Instant | None = None
    failing_since: Instant | None = None
    error: str = ""
    busy: tuple[Busy, ...] = ()

    def stale(self, now: Instant) -> bool:
        """Whether its source has been away for too long, or was never there."""
        return self.failing_since is not None and (self.read_at is None or now - self.failing_since > STALE_AFTER)


class Colleague(Struct, frozen=True):
    """What an entry may call somebody."""

    key: str
    name: str
    email: str
    timezone: str


def named_in(busy: Busy, people: Iterable[Colleague]) -> str:
    """Whom an entry is about: by the mail address of somebody it invites, else by what its text calls them: their
    whole name or address, the plan's name for them, their first name. "" when that is not certain.
    """
    everybody = list(people)
    invited = [one.key for one in everybody if one.email and one.email.lower() in busy.emails]
    if len(invited) == 1:
        return invited[0]
    text = busy.text.casefold().strip()
    exact = [one.key for one in everybody if text and text in {one.key, one.name.casefold(), one.email.lower()}]
    if exact:
        return exact[0] if len(exact) == 1 else ""
    words = set(re.findall(r"\w[\w.\-]*", text))
    whole = [one.key for one in everybody if _says(text, one.name) or _says(text, one.email)]
    keys = [one.key for one in everybody if one.key in words]
    first = [one.key for one in everybody if one.name.casefold().partition(" ")[0] in words]
    said = whole or keys or first
    return said[0] if len(said) == 1 else ""


def _says(text: str, name: str) -> bool:
    """Whether a text has a name in it, as words of its own."""
    return bool(name) and re.search(rf"(?<!\w){re.escape(name.casefold())}(?!\w)", text) is not None


def rota_covers(schedule: str, calendar: Imported, people: Iterable[Colleague], timezone: str) -> Iterator[Cover]:
    """An imported rota over everything the layers say: each entry puts whom it names on call."""
    everybody = list(people)
    names: dict[tuple[str, tuple[str, ...]], str] = {}
    number = _ROTA
    together: dict[tuple[Instant, Instant], list[str]] = {}
    for busy in calendar.busy:
        asked = busy.text, busy.emails
        if asked not in names:
            names[asked] = named_in(busy, everybody)
        start, end = busy.span(timezone)
        if names[asked] and start < end:
            together.setdefault((start, end), []).append(names[asked])
    for (start, end), who in sorted(together.items()):
        number += 1
        yield Cover(number, who[0], start, end, "", f"the calendar {calendar.name}")


def away_covers(
    roster: Roster, away: Mapping[str, list[tuple[Instant, Instant]]], start: Instant, end: Instant
) -> Iterator[Cover]:
    """Who takes the turns of people who are away: the next in the same layer who is not, for as long as it lasts.

    Where everybody is away the turn stays whose it is: somebody who may answer is better than nobody.
    """
    ours = [one for one in roster.schedule.people() if one in away]
    if not ours:
        return
    number = _AWAY
    for shift in roster.shifts(start, end):
        for low, high in _within(away.get(shift.person, ()), shift):
            number += 1
            other = _next_there(roster, shift, away, low, high)
            if other:
                yield Cover(number, other, low, high, shift.person, f"{shift.person} is away")


def _next_there(
    roster: Roster, shift: Shift, away: Mapping[str, list[tuple[Instant, Instant]]], low: Instant, high: Instant
) -> str:
    layer = roster.schedule.layers[shift.layer]
    for step in range(1, len(layer.turns)):
        for one in layer.people(shift.turn + step):
            if one != shift.person and not any(a < high and low < b for a, b in away.get(one, ())):
                return one
    return ""


def _within(spans: Iterable[tuple[Instant, Instant]], shift: Shift) -> Iterator[tuple[Instant, Instant]]:
    for low, high in spans:
        if low < shift.end and shift.start < high:
            yield max(low, shift.start), min(high, shift.end)


def unnamed(calendar: Imported, people: Iterable[Colleague], now: Instant) -> list[Busy]:
    """Entries to come that name nobody: their time is left to the layers."""
    everybody = list(people)
    ahead = (one for one in calendar.busy if one.wall or now < one.end < now + 14 * DAY + HOUR)
    return [one for one in ahead if not named_in(one, everybody)]
