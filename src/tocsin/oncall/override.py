"""Overrides: somebody takes another's place for a while, whatever the plan's layers say.

Three kinds of one noun: an override counts at once; a swap exchanges two times when the other agrees; a cover request
waits for anybody on the schedule to take it. What has been is never changed: they begin when they are agreed at the
earliest, and end when they are cancelled.
"""

from __future__ import annotations

from collections.abc import Container
from typing import Literal, NamedTuple

from msgspec import Struct

from tocsin.kernel.instant import DAY, Duration, Instant

Kind = Literal["override", "swap", "cover"]
REMEMBERED: Duration = 7 * DAY
"""So long what is over is still known: who had a turn then is asked by the escalations that began in it."""


class Cover(NamedTuple):
    """What an override does to a schedule: ``person`` is on call from ``start`` to ``end``.

    ``instead_of``: only where that person would be; "" in place of everybody, also where nobody would be.
    ``id`` is the override's number; of two, the higher one counts. ``why`` says what people are told about it.
    ``layer``: it lies over the layers before that one alone, and under the others; None over all of them. With nobody
    as ``person`` that layer does not apply then, of which ``instead_of`` has the turn where that is why. With nobody
    and without a layer it takes nobody's place: it says that ``instead_of`` is away.
    """

    id: int
    person: str
    start: Instant
    end: Instant
    instead_of: str = ""
    why: str = ""
    layer: int | None = None

    @property
    def for_absence(self) -> bool:
        """Whether it is there because a calendar says that somebody is away."""
        return self.id < 0 and self.instead_of != ""

    @property
    def away(self) -> str:
        """Who is away then, where that is all it says; else ""."""
        return "" if self.person or self.layer is not None else self.instead_of


def absence(id: int, person: str, start: Instant, end: Instant) -> Cover:
    """That somebody is away from ``start`` to ``end``."""
    return Cover(id, "", start, end, person)


class Override(Struct, kw_only=True, omit_defaults=True):
    """Somebody in another's place, or the wish for it.

    ``person``: who is on call instead; of a cover request nobody has taken yet "". ``instead_of``: whose place it is;
    "" everybody's, also where nobody is on call. ``back``: the time of a swap in which it is the other way round.
    ``judged_at``: when it was looked last what it means for those who wait. ``told_idle``: whoever agreed was told that
    it takes nobody's place.
    ``asked_by`` and ``answered_by`` are actors such as ``person:ana``.
    """

    id: int
    kind: Kind
    schedule: str
    person: str = ""
    instead_of: str = ""
    starts_at: Instant
    ends_at: Instant
    back: tuple[Instant, Instant] | None = None
    reason: str = ""
    asked_by: str
    asked_at: Instant
    agreed_at: Instant | None = None
    declined_at: Instant | None = None
    cancelled_at: Instant | None = None
    answered_by: str = ""
    judged_at: Instant = 0
    told_idle: bool = False

    @property
    def first(self) -> Instant:
        """When it begins, the earlier of a swap's two times."""
        return min(self.starts_at, self.back[0]) if self.back else self.starts_at

    @property
    def last(self) -> Instant:
        """When it is over, the later of a swap's two times."""
        return max(self.ends_at, self.back[1]) if self.back else self.ends_at

    @property
    def over_at(self) -> Instant:
        """When it ends: with its time, or as it was cancelled."""
        return self.last if self.cancelled_at is None else self.cancelled_at

    @property
    def closes_at(self) -> Instant:
        """When it is of no more use: nobody agreed in time, a swap before it would have begun; or it is over for long.
        """
        if self.agreed_at is not None:
            return self.over_at + REMEMBERED
        return self.first if self.kind == "swap" else self.last

    def due(self) -> Instant:
        """When something about it happens next: somebody takes over by it, goes back, or it is of no more use."""
        edges = (edge for cover in self.covers() for edge in (cover.start, cover.end) if edge > self.judged_at)
        return min(edges, default=self.closes_at)

    def state(self, now: Instant) -> Literal["asked", "agreed", "declined", "cancelled", "lapsed", "over"]:
        """How it stands. ``agreed``: in force or to come; ``lapsed``: nobody answered in time."""
        if self.cancelled_at is not None:
            return "cancelled"
        if self.declined_at is not None:
            return "declined"
        if self.agreed_at is None:
            return "asked" if now < self.closes_at else "lapsed"
        return "agreed" if now < self.last else "over"

    def live(self, now: Instant) -> bool:
        """Whether it is in force, to come, or still asked for."""
        return self.state(now) in ("asked", "agreed")

    def idle(self, schedules: Container[str], people: Container[str]) -> str:
        """Why it changes nothing by a plan that has these, though it may be agreed; "" when it does."""
        if self.schedule not in schedules:
            return f"the plan has no schedule {self.schedule}"
        left = [name for name in (self.person, self.instead_of) if name and name not in people]
        return f"{' and '.join(left)} {'are' if len(left) > 1 else 'is'} not in the plan" if left else ""

    def covers(self) -> tuple[Cover, ...]:
        """What it does to its schedule: nothing before it was agreed, nothing after it was cancelled."""
        if self.agreed_at is None:
            return ()
        by = self.asked_by.partition(":")[2] or self.asked_by
        why = f", asked by {by}{f': {self.reason}' if self.reason else ''}"
        parts = [(self.person, self.starts_at, self.ends_at, self.instead_of)]
        if self.back:
            parts.append((self.instead_of, *self.back, self.person))
        end = self.over_at
        cut = [(who, max(low, self.agreed_at), min(high, end), whose) for who, low, high, whose in parts]
        return tuple(
            Cover(self.id, who, low, high, whose, f"{who}{f' for {whose}' if whose else ''}{why}")
            for who, low, high, whose in cut
            if low < high
        )


def covers_by_schedule(overrides: dict[int, Override]) -> dict[str, tuple[Cover, ...]]:
    """What many overrides do, by schedule and in the order of their numbers."""
    found: dict[str, list[Cover]] = {}
    for id in sorted(overrides):
        found.setdefault(overrides[id].schedule, []).extend(overrides[id].covers())
    return {schedule: tuple(covers) for schedule, covers in found.items() if covers}
