"""Calendars from elsewhere: a rota that is kept in another program, and when people are away.

What was read of one is kept as its last good copy, and counts while its source is away. It comes down to covers: an
imported rota lies over a schedule's layers, people who are away give their turns to somebody who is not
(``standing_in``), and over both lie the overrides people make.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from msgspec import Struct

from tocsin.kernel.instant import DAY, Duration, Instant
from tocsin.oncall.hours import Hours
from tocsin.oncall.override import Cover
from tocsin.oncall.zone import DAY_OF, zone

BEHIND: Final[Duration] = 40 * DAY
AHEAD: Final[Duration] = 200 * DAY
"""How far around the time of reading a calendar's entries are kept."""
STALE_AFTER: Final[Duration] = DAY
"""A source that has been away for longer is something to be told of."""
AWAY: Final = -1_000_000
ROTA: Final = -2_000_000
SHUT: Final = -3_000_000
"""Numbers of covers that stand for entries, below those of overrides: of two covers the higher number counts."""
_WORD: Final = re.compile(r"\w+")


class Busy(Struct, frozen=True):
    """One entry. ``wall``: its times are minutes of a wall clock, since it names no zone (whole days do not).

    ``text`` is its summary; ``emails`` those of the people it invites, ``declined`` of those who have said no.
    """

    start: int
    end: int
    wall: bool = False
    text: str = ""
    emails: tuple[str, ...] = ()
    declined: tuple[str, ...] = ()

    def span(self, timezone: str) -> tuple[Instant, Instant]:
        """From when to when it is, with wall clocks of a zone: as long as the clock shows it."""
        if not self.wall:
            return self.start, self.end
        edges = zone(timezone).edges
        return edges(self.start)[0], edges(self.end)[1]


class Imported(Struct, kw_only=True, omit_defaults=True):
    """A calendar as it was read last. ``failing_since``: since when its source gives nothing usable, and ``error`` why.

    ``read_at``: when it was read, None when it never could be; ``unread``: how many of its events made no sense then.
    """

    name: str
    read_at: Instant | None = None
    failing_since: Instant | None = None
    error: str = ""
    busy: tuple[Busy, ...] = ()
    unread: int = 0

    def spans(self, timezone: str) -> Iterator[tuple[Busy, Instant, Instant]]:
        """Each entry, from when and to when it is by a zone's clocks, as far as it lies in the days that are kept.

        An entry may last from the year 1 to 9999. Those days hang on when it was read, not on when it is asked: what
        is drawn up after a restart is what was there before it.
        """
        if self.read_at is None:
            return
        low, high = self.read_at - BEHIND, self.read_at + AHEAD
        shows = zone(timezone).shows
        floor, ceiling = shows(low) - DAY_OF, shows(high) + DAY_OF
        for busy in self.busy:
            cut = Busy(max(busy.start, floor), min(busy.end, ceiling), wall=True) if busy.wall else busy
            if cut.start >= cut.end:
                continue  # of a wall clock, and long over
            start, end = cut.span(timezone)
            if max(start, low) < min(end, high):
                yield busy, max(start, low), min(end, high)

    def stale(self, now: Instant) -> bool:
        """Whether its source has been away for too long, or was never there."""
        return self.failing_since is not None and (self.read_at is None or now - self.failing_since > STALE_AFTER)


def shut_by(hours: Hours, calendars: Mapping[str, Imported]) -> list[tuple[Instant, Instant]]:
    """When the holidays of named hours close them, as far as their calendars were read."""
    known = (calendars[name] for name in hours.holidays if name in calendars)
    return [(start, end) for calendar in known for _, start, end in calendar.spans(hours.timezone)]


class Colleague(Struct, frozen=True):
    """What an entry may call somebody."""

    key: str
    name: str
    email: str


MOST_KNOWN = 100_000
"""So many entries are remembered with whom they are about."""


class Names:
    """What entries may call people, looked up rather than searched for: a plan may have thousands."""

    def __init__(self, people: Iterable[Colleague]) -> None:
        self._invited: dict[str, list[str]] = {}
        self._exact: dict[str, set[str]] = {}
        self._keys: set[str] = set()
        self._first: dict[str, list[str]] = {}
        self._whole: dict[str, list[tuple[str, str]]] = {}  # by the first word of what is looked for
        self._known: dict[tuple[str, tuple[str, ...], tuple[str, ...]], str] = {}
        for one in people:
            name, email = one.name.casefold(), one.email.lower()
            self._keys.add(one.key)
            self._first.setdefault(name.partition(" ")[0], []).append(one.key)
            if email:
                self._invited.setdefault(email, []).append(one.key)
            for said in {one.key, name, email}:
                self._exact.setdefault(said, set()).add(one.key)
            for said in {name, email.casefold()} - {""}:
                word = _WORD.search(said)
                self._whole.setdefault(word[0] if word else "", []).append((said, one.key))

    def of(self, busy: Busy) -> str:
        """Whom an entry is about: by the mail address of somebody it invites, else by what its text calls them: their
        whole name or address, the plan's name for them, their first name. "" when that is not certain, as where the
        text calls one person by their whole name and another by their first; nor when whom the text calls has declined.
        """
        asked = busy.text, busy.emails, busy.declined
        if asked not in self._known:
            if len(self._known) >= MOST_KNOWN:
                self._known.clear()
            self._known[asked] = self._find(busy)
        return self._known[asked]

    def _find(self, busy: Busy) -> str:
        invited = {key for email in busy.emails for key in self._invited.get(email, ())}
        if len(invited) == 1:
            return invited.pop()
        named = self._named(busy.text.casefold().strip())
        declined = {key for email in busy.declined for key in self._invited.get(email, ())}
        return named if named not in declined else ""

    def _named(self, text: str) -> str:
        """Whom a text, in small letters, calls by their name; "" when that is nobody, or not certain."""
        exact = self._exact.get(text, set()) if text else set()
        if exact:
            return next(iter(exact)) if len(exact) == 1 else ""
        whole = {one for word in {"", *_WORD.findall(text)} for one in self._whole.get(word, ())}
        said: set[str] = set()
        rest = text
        for length in sorted({len(name) for name, _ in whole}, reverse=True):  # of Ana Ruiz, Ana is not said beside her
            these = [one for one in whole if len(one[0]) == length and _says(rest, one[0])]
            said |= {key for _, key in these}
            for name, _ in these:
                rest = rest.replace(name, " , ")
        for found in re.findall(r"\w[\w.\-]*", rest):
            word = found if found in self._keys else found.rstrip(".-")  # a sentence may end with it
            said |= {word} if word in self._keys else set(self._first.get(word, ()))
        return said.pop() if len(said) == 1 else ""


def _says(text: str, name: str) -> bool:
    """Whether a text has a name in it, as words of its own."""
    at = text.find(name)
    while at >= 0:
        if not _WORD.match(text[at - 1 : at]) and not _WORD.match(text[at + len(name) : at + len(name) + 1]):
            return True
        at = text.find(name, at + 1)
    return False


def rota_covers(
    calendar: Imported, names: Names, timezone: str, place: int = 0, layer: int | None = None
) -> Iterator[Cover]:
    """An imported rota over everything the layers say, or over those before one of them: each entry puts whom it names
    on call. Of a schedule's rotas the one with the higher ``place`` counts.

    They have one number, so that they lie over the layers and not over each other: where entries overlap, everybody
    they name is on call.
    """
    named = {(start, end, names.of(busy)) for busy, start, end in calendar.spans(timezone)}
    for start, end, who in sorted(named):
        if who:
            yield Cover(ROTA + place, who, start, end, "", f"the calendar {calendar.name}", layer)


def shut_covers(layer: int, spans: Iterable[tuple[Instant, Instant]]) -> Iterator[Cover]:
    """A layer does not apply while calendars say that its hours are closed: what is below it counts then."""
    for start, end in spans:
        yield Cover(SHUT - layer, "", start, end, "", "", layer)


def unnamed(calendar: Imported, names: Names, timezone: str, now: Instant) -> list[Busy]:
    """Entries of the two weeks to come that name nobody: their time is left to the layers."""
    soon = (busy for busy, start, end in calendar.spans(timezone) if now < end and start < now + 14 * DAY)
    return [busy for busy in soon if not names.of(busy)]
