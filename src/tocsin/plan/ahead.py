"""Whom a service's escalations would page over a range, step by step: by ``whom``, wherever that may change."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import NamedTuple

from tocsin.escalation.policy import Step
from tocsin.kernel.instant import Instant
from tocsin.oncall.hours import edges, is_open
from tocsin.oncall.imported import Imported, shut_by
from tocsin.plan.model import Covers, Plan
from tocsin.plan.whom import Alike, Way, asked, holds, kinds, together


class Stretch(NamedTuple):
    """As long as a step pages a person without a break, for one reason.

    ``person`` "": it is not passed over and reaches nobody, so the next one is asked at once. ``step`` counts from 1;
    the one behind the last is the last resort, which is asked while none of them reaches anybody. ``one_of``: one of
    several is paged, in turn. ``by``: the schedule and layer that has them on call; "" when they are named.
    """

    start: Instant
    end: Instant
    step: int
    person: str
    by: str
    when: str
    one_of: bool


class Course(NamedTuple):
    """Incidents of a service that are paged alike over a range: severities and tiers as ``Alike`` has them.

    ``steps``: the escalation. ``stretches``: in order of time, then of steps.
    """

    severities: tuple[str, ...]
    tiers: tuple[str, ...]
    steps: tuple[Step, ...]
    stretches: tuple[Stretch, ...]

    def is_last_resort(self, one: Stretch) -> bool:
        """Whether it is the last resort that is asked."""
        return one.step > len(self.steps)


_Opened = tuple[bool, ...]
"""Which of the hours that are asked are open."""
_Piece = tuple[Instant, Instant, _Opened]


def ahead(
    plan: Plan,
    service: str,
    start: Instant,
    end: Instant,
    covers: Covers,
    calendars: Mapping[str, Imported] | None = None,
    severity: str = "",
    tier: str = "",
) -> list[Course]:
    """Whom a service's escalations would page in a range: for each way in which they are, whom when.

    Steps that are passed over, as their hours are shut, page nobody and are left out for that long; labels are not
    asked. At each instant it is what ``whom`` says of it.
    """
    steps = {kind: plan.steps(service, *kind) for kind in kinds(plan, service, severity, tier)}
    every = tuple(dict.fromkeys(step for way in steps.values() for step in way))
    names = tuple(dict.fromkeys(step.when.hours for step in every if step.when.hours in plan.hours))
    pieces = _pieces(plan, every, names, start, end, covers, calendars or {})
    states = tuple(dict.fromkeys(state for _, _, state in pieces))

    def ways(level: str, one: str) -> tuple[Way, ...]:
        """How they are paged in each state of the hours."""
        return tuple(
            (
                steps[level, one],
                tuple(not holds(each.when, level, one, is_it.get(each.when.hours)) for each in steps[level, one]),
            )
            for is_it in (dict(zip(names, state, strict=True)) for state in states)
        )

    return [
        Course(
            severities,
            tiers,
            by_state[0][0],
            tuple(_stretches(plan, pieces, dict(zip(states, by_state, strict=True)), covers)),
        )
        for severities, tiers, by_state in together(plan, service, severity, tier, ways)
    ]


def _pieces(
    plan: Plan,
    steps: tuple[Step, ...],
    names: tuple[str, ...],
    start: Instant,
    end: Instant,
    covers: Covers,
    calendars: Mapping[str, Imported],
) -> list[_Piece]:
    """A range in pieces in which nothing changes, each with which hours are open."""
    cuts = {start, end}
    known: dict[str, tuple[list[Instant], list[bool]]] = {}
    for name in names:
        hours, shut = plan.hours[name], shut_by(plan.hours[name], calendars)
        own = [start, *edges(hours, start, end, shut)]
        known[name] = own, [is_open(hours, at, shut) for at in own]
        cuts.update(own)
    asked: dict[str, bool] = {}
    for target in {target for step in steps for target in step.targets}:  # no schedule is a last resort
        kind, _, name = target.partition(":")
        key, _, offset = name.partition(":")
        if kind == "schedule" and key in plan.rosters:
            asked[key] = asked.get(key, False) or bool(offset)
    for key, beside in asked.items():
        cuts |= plan.rosters[key].edges(start, end, plan.covers_for(key, covers), beside=beside)

    def state(at: Instant) -> _Opened:
        return tuple(states[bisect_right(own, at) - 1] for own, states in known.values())

    return [(low, high, state(low)) for low, high in pairwise(sorted(cuts))]


def _stretches(plan: Plan, pieces: list[_Piece], ways: Mapping[_Opened, Way], covers: Covers) -> Iterator[Stretch]:
    """Whom one way pages in each piece, those that follow each other as one."""
    open_: dict[tuple[int, str, str, str, bool], Instant] = {}
    found: list[Stretch] = []

    def close(gone: list[tuple[int, str, str, str, bool]], at: Instant) -> None:
        found.extend(Stretch(open_.pop(one), at, *one) for one in gone)

    for low, _, state in pieces:
        now = {
            (each.number, person, by, each.when, each.one_of)
            for each in asked(plan, Alike((), (), *ways[state]), low, covers)
            if not each.passed
            for person, by in [(one.person.key, one.by) for one in each.reached] or [("", "")]
        }
        close([one for one in open_ if one not in now], low)
        for one in now:
            open_.setdefault(one, low)
    close(list(open_), pieces[-1][1])
    yield from sorted(found, key=lambda one: (one.start, one.step, one.end, one.person))
