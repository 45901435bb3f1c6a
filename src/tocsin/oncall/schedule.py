"""Schedules as the plan writes them: layers of people who take turns, and the hours a layer is meant for."""

from __future__ import annotations

from calendar import monthrange
from datetime import date

from msgspec import Struct

from tocsin.kernel.instant import DAY, Duration
from tocsin.oncall.zone import WEEK_OF, Wall, day_of, wall_of

LONGEST_TURN: Duration = 372 * DAY
"""A turn lasts twelve months or 53 weeks at most."""


class Length(Struct, frozen=True):
    """How long a turn lasts on a wall clock: so many minutes, or so many months; one of them is 0."""

    minutes: int = 0
    months: int = 0


class Window(Struct, frozen=True):
    """Hours of the week a layer is meant for: minutes after Monday 00:00 on its wall clock, and how many."""

    start: int
    minutes: int


class Layer(Struct, frozen=True, kw_only=True):
    """People who take turns.

    ``turns``: who is on call together in each turn, at least one person. ``begins``: when turn 0, the first of them,
    begins on the zone's wall clocks; turns before it count backwards. ``day``: the day of the month turns of months
    begin on, or the month's last when it has fewer.
    ``closed``: whole days on which a layer with hours does not apply.
    ``holidays``: calendars from elsewhere whose entries close it as well.
    ``only``: without overlaps and in order; () is always. ``shadows`` get a copy of every page, and never count.
    """

    name: str
    turns: tuple[tuple[str, ...], ...]
    length: Length
    begins: Wall
    timezone: str
    day: int = 1
    only: tuple[Window, ...] = ()
    closed: tuple[date, ...] = ()
    shadows: tuple[str, ...] = ()
    holidays: tuple[str, ...] = ()

    def begin(self, turn: int) -> Wall:
        """When a turn begins on the wall clock, and the one before it ends."""
        if not self.length.months:
            return self.begins + turn * self.length.minutes
        first = day_of(self.begins)
        year, month = divmod(first.year * 12 + first.month - 1 + turn * self.length.months, 12)
        day = min(self.day, monthrange(year, month + 1)[1])
        return wall_of(date(year, month + 1, day), self.begins % (24 * 60))

    def turn(self, wall: Wall) -> int:
        """Which turn it is when the wall clock shows this."""
        if not self.length.months:
            return (wall - self.begins) // self.length.minutes
        first, now = day_of(self.begins), day_of(wall)
        turn = ((now.year - first.year) * 12 + now.month - first.month) // self.length.months
        return turn if self.begin(turn) <= wall else turn - 1

    def people(self, turn: int) -> tuple[str, ...]:
        """Who has a turn."""
        return self.turns[turn % len(self.turns)]


class Schedule(Struct, frozen=True, kw_only=True):
    """Who is on call when. Of its layers the last one that applies at an instant counts.

    ``timezone`` is the one it is shown in. ``handoff_notice``: whether those who come and go are told.
    ``calendar``: the imported one that lies over its layers, of which there may then be none. ``between``: others, each
    over so many of the first layers and under the rest.
    """

    key: str
    layers: tuple[Layer, ...]
    timezone: str = "UTC"
    about: str = ""
    handoff_notice: bool = True
    calendar: str = ""
    between: tuple[tuple[int, str], ...] = ()

    @property
    def rotas(self) -> tuple[tuple[int | None, str], ...]:
        """The imported calendars that put people on call, the lowest first: over which layers, None over all."""
        return (*self.between, *([(None, self.calendar)] if self.calendar else []))

    @property
    def calendars(self) -> frozenset[str]:
        """Every calendar from elsewhere that has a say in it, except by the holidays of people."""
        return frozenset(name for _, name in self.rotas) | {name for one in self.layers for name in one.holidays}

    def people(self) -> tuple[str, ...]:
        """Everybody who ever has a turn, each once, in order."""
        return tuple(dict.fromkeys(one for layer in self.layers for turn in layer.turns for one in turn))


def joined(windows: list[Window]) -> tuple[Window, ...]:
    """Windows in order, with those that meet or overlap made one; () when they leave nothing of the week out."""
    spans: list[list[int]] = []
    for window in sorted(windows, key=lambda one: one.start):
        if spans and window.start <= spans[-1][1]:
            spans[-1][1] = max(spans[-1][1], window.start + window.minutes)
        else:
            spans.append([window.start, window.start + window.minutes])
    # What runs over the week's end meets the windows of Monday.
    while len(spans) > 1 and spans[-1][1] - WEEK_OF >= spans[0][0]:
        spans[-1][1] = max(spans[-1][1], spans[0][1] + WEEK_OF)
        del spans[0]
    if spans and spans[0][1] - spans[0][0] >= WEEK_OF:
        return ()
    return tuple(Window(start, end - start) for start, end in spans)
