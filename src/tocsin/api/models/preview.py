"""What a changed plan would change of who is on call, as it is asked for and published."""

from __future__ import annotations

from typing import Annotated, Final

from msgspec import Meta, Struct

from tocsin.access.limits import MOST_BODY
from tocsin.api.models.values import Moment, Span
from tocsin.kernel.instant import format_duration, format_rfc3339
from tocsin.notation.findings import Finding
from tocsin.plan.previewing import Preview
from tocsin.plan.reading import MAX_FILES
from tocsin.playbooks.manifest import MADE

LARGEST_PLAN: Final = MOST_BODY
"""Bytes of a request that carries a plan: as many as any request may have."""


PlanFiles = Annotated[
    dict[Annotated[str, Meta(min_length=1, max_length=300)], str], Meta(min_length=1, max_length=MAX_FILES + len(MADE))
]


class PreviewIn(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A plan to look at. ``files``: its files, by their path in the plan folder; null asks about the server's folder.

    ``onto``: the files take the place of those of the same names in the plan in force, and the others stay.
    """

    files: PlanFiles | None = None
    onto: bool = False


class PublishedTurnChange(Struct, frozen=True, kw_only=True):
    """From ``start`` up to ``end`` other people would be on call; nobody is an empty list."""

    start: Moment
    end: Moment
    before: list[str]
    after: list[str]


class PublishedScheduleChange(Struct, frozen=True, kw_only=True):
    """A schedule by which other people would be on call. ``kind``: new, gone or changed. ``more``: changes left out."""

    name: str
    kind: str
    changes: list[PublishedTurnChange]
    more: int


class PublishedLoad(Struct, frozen=True, kw_only=True):
    """How long a person is on call over all schedules, by the plan in force and by the other."""

    person: str
    before: Span
    after: Span


class PublishedFinding(Struct, frozen=True, kw_only=True):
    """Something to know about a plan: ``level`` is error, warning or notice."""

    level: str
    file: str
    line: int
    column: int
    message: str
    hint: str


class PublishedPreview(Struct, frozen=True, kw_only=True):
    """What a plan would change of who is on call from ``start`` up to ``end``; nothing is changed by asking.

    ``ok``: as far as its files tell it can be put in force. ``asked``: its schedules could be read; else nothing is
    said of them. ``same``: so many schedules do not change. ``people``: over all schedules when they are ``counted``,
    else over those that change, as there were too many. ``findings_new`` and ``findings_gone``: what only one of the
    two plans has. ``unreached``: who would be on call longer and cannot be reached but on the console. ``idle``:
    overrides that would take nobody's place any more. ``unread``: calendars that are read once it is in force.
    ``left_out``: heartbeats that were heard so far, and that nothing would judge any more.
    """

    ok: bool
    asked: bool
    version: str
    in_force: str
    start: Moment
    end: Moment
    schedules: list[PublishedScheduleChange]
    same: int
    people: list[PublishedLoad]
    counted: bool
    findings_new: list[PublishedFinding]
    findings_gone: list[PublishedFinding]
    unreached: list[str]
    idle: list[str]
    unread: list[str]
    left_out: list[str]


def preview_out(
    one: Preview,
    unreached: tuple[str, ...] = (),
    idle: tuple[str, ...] = (),
    unread: tuple[str, ...] = (),
    left_out: tuple[str, ...] = (),
) -> PublishedPreview:
    """A preview as it is published, with what only a server can tell of it."""
    return PublishedPreview(
        ok=one.ok,
        asked=one.asked,
        version=one.after,
        in_force=one.before,
        start=format_rfc3339(one.start),
        end=format_rfc3339(one.end),
        schedules=[
            PublishedScheduleChange(
                name=each.name,
                kind=each.kind,
                changes=[
                    PublishedTurnChange(
                        start=format_rfc3339(change.start),
                        end=format_rfc3339(change.end),
                        before=list(change.before),
                        after=list(change.after),
                    )
                    for change in each.changes
                ],
                more=each.more,
            )
            for each in one.schedules
        ],
        same=one.same,
        people=[
            PublishedLoad(person=each.person, before=format_duration(each.before), after=format_duration(each.after))
            for each in one.people
        ],
        counted=one.counted,
        findings_new=[_finding(each) for each in one.new],
        findings_gone=[_finding(each) for each in one.gone],
        unreached=list(unreached),
        idle=list(idle),
        unread=list(unread),
        left_out=list(left_out),
    )


def _finding(one: Finding) -> PublishedFinding:
    return PublishedFinding(
        level=one.level, file=one.file, line=one.line, column=one.column, message=one.message, hint=one.hint
    )
