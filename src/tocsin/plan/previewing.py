"""What another plan would change of who is on call: one function for the command line, the API and the page.

It asks the schedules that paging asks, with what overrides and calendars say, and compares the answers.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, Literal, NamedTuple

from msgspec import Struct

from tocsin.kernel.instant import DAY, Duration, Instant
from tocsin.oncall.changed import Change, changes, together
from tocsin.oncall.moved import held
from tocsin.plan.findings import Finding
from tocsin.plan.model import Covers, Plan
from tocsin.plan.reading import plan_version, read_plan, read_schedules

AHEAD: Final[Duration] = 12 * 7 * DAY
MOST_CHANGES: Final = 200
"""So many changes of one schedule are told; the rest is counted."""


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
    new: tuple[Finding, ...]
    gone: tuple[Finding, ...]


def side(files: Mapping[str, bytes]) -> Side:
    """A plan out of its files, as one side of a comparison: of one with errors its schedules, if they can be read."""
    reading = read_plan(files)
    if reading.plan is not None:
        return Side(reading.plan.version, reading.plan, reading.findings)
    return Side(plan_version(files), read_schedules(files).plan, reading.findings, whole=False)


def preview(before: Side, after: Side, now: Instant, ahead: Duration = AHEAD) -> Preview:
    """Compare two plans, from now on."""
    end = now + ahead
    schedules: list[ChangedSchedule] = []
    had: dict[str, Duration] = {}
    has: dict[str, Duration] = {}
    names = _names(before.plan, after.plan) if after.plan is not None else []
    for name in names:
        was, becomes = _held(before, name, (now, end)), _held(after, name, (now, end))
        for loads, of in ((had, was), (has, becomes)):
            for person, length in together(of or {}).items():
                loads[person] = loads.get(person, 0) + length
        found = changes(was or {}, becomes or {})
        kind: Literal["new", "gone", "changed"] = "new" if was is None else "gone" if becomes is None else "changed"
        if found or kind != "changed":
            more = max(0, len(found) - MOST_CHANGES)
            schedules.append(
                ChangedSchedule(name=name, kind=kind, changes=tuple(found[:MOST_CHANGES]), more=more)
            )
    people = [Load(one, had.get(one, 0), has.get(one, 0)) for one in dict.fromkeys((*had, *has))]
    return Preview(
        before=before.version,
        after=after.version,
        ok=after.whole,
        asked=after.plan is not None,
        start=now,
        end=end,
        schedules=tuple(schedules),
        same=len(names) - len(schedules),
        people=tuple(sorted(one for one in people if one.before != one.after)),
        new=_only(after.findings, before.findings),
        gone=_only(before.findings, after.findings),
    )


def _names(*plans: Plan | None) -> list[str]:
    return list(dict.fromkeys(name for plan in plans if plan is not None for name in plan.rosters))


def _held(one: Side, name: str, span: tuple[Instant, Instant]) -> dict[str, list[tuple[Instant, Instant]]] | None:
    roster = one.plan.rosters.get(name) if one.plan is not None else None
    if one.plan is None or roster is None:
        return None
    return held(roster, one.plan.covers_for(name, one.covers), [span])


def _only(ours: Sequence[Finding], theirs: Iterable[Finding]) -> tuple[Finding, ...]:
    """Findings that the others are not. Where they stand is another place as soon as a line is put in above them."""
    known = {_said(one) for one in theirs}
    return tuple(one for one in ours if _said(one) not in known)


def _said(one: Finding) -> tuple[str, str, str]:
    return one.level, one.message, one.hint
