"""On-call shifts, overrides, swaps and cover requests as they are published and asked for."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from tocsin.api.models.values import Moment, Name, Span, moment
from tocsin.kernel.instant import Instant, format_rfc3339
from tocsin.oncall.imported import Imported
from tocsin.oncall.override import Override
from tocsin.plan.ahead import Course
from tocsin.plan.model import Covers, Plan


class PublishedOnCall(Struct, frozen=True, kw_only=True):
    """Somebody who is on call. ``since`` and ``until``: the shift, without a break, by one turn or one override."""

    person: str
    since: Moment
    until: Moment
    why: str


class PublishedShift(Struct, frozen=True, kw_only=True):
    """One person on call from ``start`` up to ``end``, by a layer of the plan or an override."""

    person: str
    start: Moment
    end: Moment
    layer: str


class PublishedSchedule(Struct, frozen=True, kw_only=True):
    """A schedule of the plan, and who is on call by it."""

    name: str
    about: str
    timezone: str
    on_call: list[PublishedOnCall]


class PublishedPersonShift(Struct, frozen=True, kw_only=True):
    """A shift of one person, and the schedule it is of."""

    schedule: str
    start: Moment
    end: Moment
    layer: str


class PublishedReached(Struct, frozen=True, kw_only=True):
    """Whom a step of a service's escalation reaches at an instant. ``by``: the schedule and layer; "" when named.

    ``severities`` and ``tiers``: of which incidents, empty for whichever; ``""`` among the tiers: customers of none.
    ``when``: what the step asks for, "" for nothing; ``passed``: that does not hold then, so it is passed over.
    ``one_of``: the step pages one of the people listed for it, each in turn; ``next``: the one whose turn it is now.
    """

    step: int
    person: str
    by: str
    severities: tuple[str, ...]
    tiers: tuple[str, ...]
    when: str
    passed: bool
    one_of: bool
    next: bool


class PublishedReachedShift(Struct, frozen=True, kw_only=True):
    """As long as a step of a service's escalation pages somebody without a break, for one reason. Else as
    ``PublishedReached``; steps that are passed over then are left out.

    ``person`` "": the step reaches nobody, and the next is asked at once. ``last_resort``: it is asked while no step
    reaches anybody.
    """

    step: int
    person: str
    by: str
    start: Moment
    end: Moment
    severities: tuple[str, ...]
    tiers: tuple[str, ...]
    when: str
    one_of: bool
    last_resort: bool


class PublishedCalendar(Struct, frozen=True, kw_only=True):
    """A calendar that is kept elsewhere. ``failing_since``: since when its source gives nothing usable, and ``error``
    why; null while it can be read. ``read_at``: its last good copy, which counts meanwhile, of so many ``entries``;
    ``unread``: how many of its events made no sense and are left out.
    """

    name: str
    read_at: Moment | None
    failing_since: Moment | None
    error: str
    entries: int
    unread: int


class PublishedOverride(Struct, frozen=True, kw_only=True):
    """Somebody in another's place, or the wish for it. ``state``: asked, agreed, declined, cancelled, lapsed or over.

    ``kind``: override, swap or cover. ``person`` is on call instead of ``instead_of`` ("": of everybody); in the second
    time of a swap, ``back_starts_at`` to ``back_ends_at``, it is the other way round. ``idle``: why it takes nobody's
    place by the plan in force, whatever its state; "" when it does. ``warnings``, in the answer to who asked for it
    alone: why it may be of no use, a sentence each.
    """

    id: int
    kind: str
    schedule: str
    person: str
    instead_of: str
    starts_at: Moment
    ends_at: Moment
    back_starts_at: Moment | None
    back_ends_at: Moment | None
    reason: str
    state: str
    idle: str
    asked_by: str
    asked_at: Moment
    answered_by: str
    agreed_at: Moment | None
    cancelled_at: Moment | None
    warnings: tuple[str, ...] = ()


class NewFeed(Struct, frozen=True, kw_only=True):
    """A calendar's secret address, shown this once. Revoke it as a token, by its id."""

    id: int
    url: str


class OverrideIn(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who is on call instead. Without ``starts_at`` from now; ``instead_of`` somebody, or "" in place of everybody.

    It ends at ``ends_at``, or ``duration`` after its beginning.
    """

    schedule: Name
    person: Name
    starts_at: Moment | None = None
    ends_at: Moment | None = None
    duration: Span | None = None
    instead_of: Annotated[str, Meta(max_length=200)] = ""
    reason: Annotated[str, Meta(max_length=1_000)] = ""


class SwapIn(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Your time on call, for one of somebody else's. It counts when they agree."""

    schedule: Name
    other: Name
    starts_at: Moment
    ends_at: Moment
    back_starts_at: Moment
    back_ends_at: Moment
    reason: Annotated[str, Meta(max_length=1_000)] = ""


class CoverIn(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A time somebody on the schedule is wanted for, in place of ``person``.

    With "" where nobody is on call, else in place of whoever asks, who must be on call all of that time.
    """

    schedule: Name
    starts_at: Moment | None = None
    ends_at: Moment | None = None
    duration: Span | None = None
    person: Annotated[str, Meta(max_length=200)] = ""
    reason: Annotated[str, Meta(max_length=1_000)] = ""


class FeedIn(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whose shifts a calendar shows: those of a schedule or of a person."""

    schedule: Annotated[str, Meta(max_length=200)] = ""
    person: Annotated[str, Meta(max_length=200)] = ""


class AnswerIn(Struct, frozen=True, forbid_unknown_fields=True):
    """Agree to a swap, decline it, or take a cover request."""

    yes: bool = True


def reached_out(course: Course) -> list[PublishedReachedShift]:
    """Whom one way of a service's pages over a range."""
    return [
        PublishedReachedShift(
            step=one.step,
            person=one.person,
            by=one.by,
            start=format_rfc3339(one.start),
            end=format_rfc3339(one.end),
            severities=course.severities,
            tiers=course.tiers,
            when=one.when,
            one_of=one.one_of,
            last_resort=course.is_last_resort(one),
        )
        for one in course.stretches
    ]


def calendar_out(one: Imported) -> PublishedCalendar:
    """A calendar that is kept elsewhere, without what it says."""
    return PublishedCalendar(
        name=one.name,
        read_at=moment(one.read_at),
        failing_since=moment(one.failing_since),
        error=one.error,
        entries=len(one.busy),
        unread=one.unread,
    )


def override_out(
    one: Override, now: Instant, plan: Plan | None, covers: Covers, warnings: tuple[str, ...] = ()
) -> PublishedOverride:
    """An override, a swap or a cover request as it is published, under the plan in force and with all that counts."""
    live = one.state(now) in ("asked", "agreed")
    return PublishedOverride(
        id=one.id,
        kind=one.kind,
        schedule=one.schedule,
        person=one.person,
        instead_of=one.instead_of,
        starts_at=format_rfc3339(one.starts_at),
        ends_at=format_rfc3339(one.ends_at),
        back_starts_at=moment(one.back[0] if one.back else None),
        back_ends_at=moment(one.back[1] if one.back else None),
        reason=one.reason,
        state=one.state(now),
        idle=plan.why_idle(one, covers, now) if plan is not None and live else "",
        asked_by=one.asked_by,
        asked_at=format_rfc3339(one.asked_at),
        answered_by=one.answered_by,
        agreed_at=moment(one.agreed_at),
        cancelled_at=moment(one.cancelled_at),
        warnings=warnings,
    )
