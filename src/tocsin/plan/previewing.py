"""What another plan would change of who is on call: one function for the command line, the API and the page.

It asks the schedules that paging asks, with what overrides and calendars say, and compares the answers.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, Literal, NamedTuple

from msgspec import Struct

from tocsin.kernel.instant import DAY, Duration, Instant
from tocsin.notation.findings import Finding
from tocsin.oncall.changed import Change, Held, changes, together
from tocsin.oncall.coverage import YEAR, effort
from tocsin.oncall.moved import held
from tocsin.oncall.override import Cover
from tocsin.oncall.roster import Roster, Span
from tocsin.plan.model import Covers, Plan
from tocsin.plan.reading import plan_version, read_plan, read_schedules

AHEAD: Final[Duration] = 12 * 7 * DAY
MOST_CHANGES: Final = 200
"""So many changes of one schedule are told; the rest is counted."""
MOST_CHANGES_IN_ALL: Final = 5_000
MOST_TURNS: Final = 400_000
"""So many shifts and windows are drawn up for one comparison, two seconds' worth."""
_AT_LEAST: Final = 10
"""What a schedule costs that has hardly a turn."""


class Side(NamedTuple):
    """One of the two plans: its version, the plan where it can be asked, what there is to say about it, and what
    overrides and calendars do to its schedules. ``whole`` false: it has errors, and only its schedules were read.
    """

    version: str
    plan: Plan | None
    findings: tuple[Finding, ...]
    covers: Covers = {}
    whole: bool = True


class ChangedSchedule(Struct, frozen=True, kw_only=True):
    """A schedule by which other people would be on call. ``more``: changes that are counted and not told."""

    name: str
    kind: Literal["new", "gone", "changed"]
    changes: tuple[Change, ...]
    more: int = 0


class Load(NamedTuple):
    """How long a person is on call over all schedules, before and after."""

    person: str
    before: Duration
    after: Duration


class Preview(Struct, frozen=True, kw_only=True):
    """What a plan would change from ``start`` up to ``end``.

    ``ok``: it could be put in force, as far as its files tell. ``asked``: its schedules could be read, so that what is
    said of them counts. ``schedules``: those that change; ``same`` how many do not. ``people``: whose time on call is
    longer or shorter, or who is new or gone. ``new`` and ``gone``: findings that only one of the two plans has.
    """

    before: str
    after: str
    ok: bool
    asked: bool
    start: Instant
    end: Instant
    schedules: tuple[ChangedSchedule, ...]
    same: int
    people: tuple[Load, ...]
    counted: bool
    new: tuple[Finding, ...]
    gone: tuple[Finding, ...]


class TooManyTurns(Exception):
    """Two plans differ by more turns than are compared; the message says how many."""


class _Told:
    """What was found up to now: the schedules that change, and who is on call how long by both plans."""

    def __init__(self) -> None:
        self.schedules: list[ChangedSchedule] = []
        self.had: dict[str, Duration] = {}
        self.has: dict[str, Duration] = {}
        self._left = MOST_CHANGES_IN_ALL

    def count(self, was: Held, becomes: Held) -> None:
        for loads, of in ((self.had, was), (self.has, becomes)):
            for person, length in together(of).items():
                loads[person] = loads.get(person, 0) + length

    def tell(self, name: str, was: Held | None, becomes: Held | None) -> None:
        found = changes(was or {}, becomes or {})
        kind: Literal["new", "gone", "changed"] = "new" if was is None else "gone" if becomes is None else "changed"
        if found or kind != "changed":
            told = tuple(found[: min(MOST_CHANGES, self._left)])
            self._left -= len(told)
            more = len(found) - len(told)
            self.schedules.append(ChangedSchedule(name=name, kind=kind, changes=told, more=more))

    def people(self) -> tuple[Load, ...]:
        people = (Load(one, self.had.get(one, 0), self.has.get(one, 0)) for one in (*self.had, *self.has))
        return tuple(sorted({one for one in people if one.before != one.after}))


def side(files: Mapping[str, bytes], now: Instant) -> Side:
    """A plan out of its files, as one side of a comparison: of one with errors its schedules, if they can be read.

    ``now``: from when on its findings look ahead.
    """
    reading = read_plan(files, now)
    if reading.plan is not None:
        return Side(reading.plan.version, reading.plan, reading.findings)
    return Side(plan_version(files), read_schedules(files).plan, reading.findings, whole=False)


def bounded(before: Side, after: Side, ahead: Duration = AHEAD) -> None:
    """Raise TooManyTurns where looking at them would take too long; also what calendars do to the schedules of the
    second, which whoever knows the calendars reckons before they compare.
    """
    names = [name for name in _names(before, after) if _differs(before, after, name)]
    turns = sum(_turns(one, name, ahead) for one in (before, after) for name in names)
    plan = after.plan
    if plan is not None and plan.calendars:
        turns += sum(_turns(after, name, YEAR) for name in names if _has_holidays(plan, name))
    _bound(turns)


def preview(before: Side, after: Side, now: Instant, ahead: Duration = AHEAD) -> Preview:
    """Compare two plans, from now on. Raises TooManyTurns.

    Schedules that are the same on both sides are drawn up once, to count who is on call how long; when there are too
    many of them, only those that change are counted.
    """
    end = now + ahead
    names = _names(before, after) if after.plan is not None else []
    differing = [name for name in names if _differs(before, after, name)]
    same = [name for name in names if not _differs(before, after, name)]
    turns = sum(_turns(one, name, ahead) for one in (before, after) for name in differing)
    _bound(turns)
    told = _Told()
    for name in differing:
        was, becomes = _held(before, name, (now, end)), _held(after, name, (now, end))
        told.count(was or {}, becomes or {})
        told.tell(name, was, becomes)
    counted = turns + sum(_turns(after, name, ahead) for name in same) <= MOST_TURNS
    for name in same if counted else ():
        held = _held(after, name, (now, end)) or {}
        told.count(held, held)
    return Preview(
        before=before.version,
        after=after.version,
        ok=after.whole,
        asked=after.plan is not None,
        start=now,
        end=end,
        schedules=tuple(told.schedules),
        same=len(names) - len(told.schedules),
        people=told.people(),
        counted=counted,
        new=_only(after.findings, before.findings),
        gone=_only(before.findings, after.findings),
    )


def _names(*sides: Side) -> list[str]:
    return list(dict.fromkeys(name for one in sides if one.plan is not None for name in one.plan.rosters))


def _roster(one: Side, name: str) -> Roster | None:
    return one.plan.rosters.get(name) if one.plan is not None else None


def _covers(one: Side, name: str) -> tuple[Cover, ...]:
    return one.plan.covers_for(name, one.covers) if one.plan is not None else ()


def _differs(before: Side, after: Side, name: str) -> bool:
    """Whether other people may be on call by a schedule: it is written otherwise, or other covers lie over it."""
    was, becomes = _roster(before, name), _roster(after, name)
    if was is None or becomes is None:
        return True
    return was.schedule.layers != becomes.schedule.layers or _covers(before, name) != _covers(after, name)


def _has_holidays(plan: Plan, name: str) -> bool:
    roster = plan.rosters.get(name)
    people = (plan.people.get(one) for one in (roster.schedule.people() if roster is not None else ()))
    return any(one.holidays for one in people if one is not None)


def _turns(one: Side, name: str, ahead: Duration) -> int:
    """About how many shifts and windows it takes to draw a schedule up."""
    roster = _roster(one, name)
    if roster is None:
        return 0
    widest = max((len(turn) for layer in roster.schedule.layers for turn in layer.turns), default=1)
    return _AT_LEAST + effort(roster) * widest * ahead // YEAR


def _bound(turns: int) -> None:
    if turns > MOST_TURNS:
        raise TooManyTurns(
            f"the schedules that change have about {turns:,} turns, and {MOST_TURNS:,} are compared at most: "
            "look at fewer changes at once"
        )


def _held(one: Side, name: str, span: Span) -> dict[str, list[Span]] | None:
    roster = _roster(one, name)
    return held(roster, _covers(one, name), [span]) if roster is not None else None


def _only(ours: Sequence[Finding], theirs: Iterable[Finding]) -> tuple[Finding, ...]:
    """Findings that the others are not. Where they stand is another place as soon as a line is put in above them."""
    known = {_said(one) for one in theirs}
    return tuple(one for one in ours if _said(one) not in known)


def _said(one: Finding) -> tuple[str, str, str]:
    return one.level, one.message, one.hint
