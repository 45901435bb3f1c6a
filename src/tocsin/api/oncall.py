"""Who is on call, now, at a time and over a range; and who takes whose place."""

from __future__ import annotations

from typing import Annotated, Literal

from litestar import delete, get, post
from litestar.params import Parameter, QueryParameter
from litestar.types import ControllerRouterHandler

from tocsin.access.credentials import secret_hash
from tocsin.api import models as m
from tocsin.api.asking import Cursor, IdempotencyKey, Limit, Number
from tocsin.engine.commands import AddOverride, AnswerOverride, AskCover, AskSwap, CancelOverride, CreateToken
from tocsin.faces.doubting import doubted
from tocsin.faces.faces import Faces
from tocsin.faces.feeds import FEED, FEED_PATH
from tocsin.faces.problem import Problem, invalid
from tocsin.faces.sessions import derived_secret, fresh_secret
from tocsin.faces.who import Who
from tocsin.kernel.instant import Instant, format_rfc3339
from tocsin.notation.findings import nearest
from tocsin.oncall.asking import clipped, fault_of, fault_of_range, layer_of, on_call, why
from tocsin.oncall.imported import Imported
from tocsin.oncall.override import Cover
from tocsin.oncall.roster import Roster
from tocsin.plan.ahead import ahead
from tocsin.plan.model import Covers, Plan
from tocsin.plan.whom import alike, unknown_tier, whom
from tocsin.store.reads import LIMIT

ItsName = Annotated[str, Parameter(min_length=1, max_length=200)]
At = Annotated[str | None, QueryParameter(name="at", max_length=64, description="An instant, RFC 3339. Default: now.")]
From = Annotated[str, QueryParameter(name="from", max_length=64, description="An instant, RFC 3339.")]
To = Annotated[
    str, QueryParameter(name="to", max_length=64, description="An instant, RFC 3339, two years later at most.")
]
OfSeverity = Annotated[
    Literal["sev1", "sev2", "sev3", "sev4"] | None,
    QueryParameter(name="severity", description="Of incidents of this severity alone."),
]
OfTier = Annotated[
    str | None, QueryParameter(name="tier", max_length=100, description="Of incidents of customers of this tier alone.")
]


# -- who ---------------------------------------------------------------------------------------------------------------


@get("/oncall/schedules", tags=["on call"])
async def list_schedules(faces: Faces, at: At = None) -> m.Listed[m.PublishedSchedule]:
    """List the plan's schedules, each with who is on call by it now, or at an instant."""
    plan = await faces.plan()
    instant = _instant(at, faces.now())
    covers = await faces.covers(instant)
    items = []
    for key, roster in sorted((plan.rosters if plan else {}).items()):
        assert plan is not None, "a plan has the rosters"
        items.append(
            m.PublishedSchedule(
                name=key,
                about=roster.schedule.about,
                timezone=roster.schedule.timezone,
                on_call=_who(roster, instant, plan.covers_for(key, covers)),
            )
        )
    return m.Listed(items, None)


@get("/oncall/schedules/{name:str}/who", tags=["on call"])
async def who_is_on_call(faces: Faces, name: ItsName, at: At = None) -> m.Listed[m.PublishedOnCall]:
    """Say who is on call by a schedule now, or at an instant: nobody, one, or several at once."""
    plan, roster = await _roster(faces, name)
    instant = _instant(at, faces.now())
    covers = plan.covers_for(name, await faces.covers(instant, name))
    return m.Listed(_who(roster, instant, covers), None)


@get("/oncall/schedules/{name:str}/shifts", tags=["on call"])
async def list_shifts(faces: Faces, name: ItsName, start: From, end: To) -> m.Listed[m.PublishedShift]:
    """List the shifts of a schedule over a range, cut where the range begins and ends, in order of their begin."""
    plan, roster = await _roster(faces, name)
    low, high = _range(start, end)
    covers = plan.covers_for(name, await faces.covers(low, name))
    found = await faces.read(clipped, roster, low, high, covers)
    return m.Listed(
        [
            m.PublishedShift(
                person=shift.person,
                start=format_rfc3339(shift.start),
                end=format_rfc3339(shift.end),
                layer=layer_of(roster.schedule, shift),
            )
            for shift in found
        ],
        None,
    )


@get("/oncall/people/{name:str}/shifts", tags=["on call"])
async def list_shifts_of_person(faces: Faces, name: ItsName, start: From, end: To) -> m.Listed[m.PublishedPersonShift]:
    """List the shifts of a person over a range, of every schedule, cut where the range begins and ends."""
    plan = await faces.plan()
    if plan is None or name not in plan.people:
        raise _unknown("person", name, list(plan.people) if plan else [])
    low, high = _range(start, end)
    found = await faces.read(_shifts_of, plan, name, low, high, await faces.covers(low))
    return m.Listed(found, None)


@get("/oncall/services/{name:str}/who", tags=["on call"])
async def who_answers_for_service(
    faces: Faces, name: ItsName, at: At = None, severity: OfSeverity = None, tier: OfTier = None
) -> m.Listed[m.PublishedReached]:
    """Say whom each step of a service's escalations would reach now, or at an instant. Steps count from 1.

    Where severities or customers' tiers are paged differently each way is listed, those alike together.
    """
    instant = _instant(at, faces.now())
    plan, calendars, covers = await _of_service(faces, name, tier, instant)
    turns = await faces.turns(covers)
    return m.Listed(
        [
            m.PublishedReached(
                step=step.number,
                person=one.person.key,
                by=one.by,
                severities=way.severities,
                tiers=way.tiers,
                when=step.when,
                passed=step.passed,
                one_of=step.one_of,
                next=step.one_of and step.turn == one.person.key,
            )
            for way in alike(plan, name, instant, calendars, severity or "", tier or "")
            for step in whom(plan, way, instant, covers, turns)
            for one in step.reached
        ],
        None,
    )


@get("/oncall/services/{name:str}/shifts", tags=["on call"])
async def list_shifts_of_service(
    faces: Faces, name: ItsName, start: From, end: To, severity: OfSeverity = None, tier: OfTier = None
) -> m.Listed[m.PublishedReachedShift]:
    """List whom each step of a service's escalations would page over a range, cut where the range begins and ends.

    Where severities or customers' tiers are paged differently each way is listed, those alike together; of each way in
    order of time, and then of steps. Where a step reaches nobody, and where none does, that is said.
    """
    low, high = _range(start, end)
    plan, calendars, covers = await _of_service(faces, name, tier, low)
    found = await faces.read(ahead, plan, name, low, high, covers, calendars, severity or "", tier or "")
    return m.Listed([one for course in found for one in m.reached_out(course)], None)


@get("/oncall/calendars", tags=["on call"])
async def list_calendars(faces: Faces) -> m.Listed[m.PublishedCalendar]:
    """List the calendars of the plan that are kept elsewhere, and whether they can be read."""
    plan = await faces.plan()
    known = {one.name: one for one in await faces.read(faces.reads.calendars)}
    names = sorted(plan.calendars) if plan else []
    return m.Listed([m.calendar_out(known.get(name) or Imported(name=name)) for name in names], None)


# -- who takes whose place ---------------------------------------------------------------------------------------------


@get("/oncall/overrides", tags=["on call"])
async def list_overrides(
    faces: Faces,
    limit: Limit = LIMIT,
    in_state: Annotated[Literal["live", "all"], QueryParameter(name="state")] = "live",
    cursor: Cursor = None,
) -> m.Listed[m.PublishedOverride]:
    """List overrides, swaps and cover requests, the newest first. ``live``: in force, to come or asked for."""
    now = faces.now()
    found = await faces.read(faces.reads.overrides, now if in_state == "live" else None, after=cursor, limit=limit)
    plan, covers = await faces.plan(), await faces.covers(now)
    return await faces.read(m.listed, found, lambda one: m.override_out(one, now, plan, covers))


@get("/oncall/overrides/{number:int}", tags=["on call"])
async def read_override(faces: Faces, number: Number) -> m.PublishedOverride:
    """Read an override, a swap or a cover request."""
    return await _override(faces, number)


@post("/oncall/overrides", tags=["on call"], needs="responder")
async def add_override(
    faces: Faces, who: Who, data: m.OverrideIn, idempotency_key: IdempotencyKey = None
) -> m.PublishedOverride:
    """Put somebody on call for a while, over all layers of the plan."""
    starts, ends = _time(data, faces.now())
    command = AddOverride(
        actor=who.by,
        schedule=data.schedule,
        person=data.person,
        starts_at=starts,
        ends_at=ends,
        instead_of=data.instead_of,
        reason=data.reason,
    )
    result = await faces.submit(command, idempotency_key or "")
    return await _override(faces, int(result.id), warned=True)


@post("/oncall/swaps", tags=["on call"], needs="responder")
async def ask_swap(
    faces: Faces, who: Who, data: m.SwapIn, idempotency_key: IdempotencyKey = None
) -> m.PublishedOverride:
    """Ask somebody to swap shifts with you. It counts when they agree, and lapses when they do not in time."""
    names = ("starts_at", "ends_at", "back_starts_at", "back_ends_at")
    times = {name: m.instant(getattr(data, name), name) or 0 for name in names}
    command = AskSwap(
        actor=who.acting,
        schedule=data.schedule,
        person=_person(who),
        other=data.other,
        reason=data.reason,
        **times,
    )
    result = await faces.submit(command, idempotency_key or "")
    return await _override(faces, int(result.id), warned=True)


@post("/oncall/covers", tags=["on call"], needs="responder")
async def ask_cover(
    faces: Faces, who: Who, data: m.CoverIn, idempotency_key: IdempotencyKey = None
) -> m.PublishedOverride:
    """Ask who of a schedule takes a time. It counts when somebody does."""
    starts, ends = _time(data, faces.now())
    command = AskCover(
        actor=who.acting,
        schedule=data.schedule,
        starts_at=starts,
        ends_at=ends,
        person=data.person,
        reason=data.reason,
    )
    result = await faces.submit(command, idempotency_key or "")
    return await _override(faces, int(result.id), warned=True)


@post("/oncall/overrides/{number:int}/answer", status_code=200, tags=["on call"], needs="responder")
async def answer_override(
    faces: Faces, who: Who, number: Number, data: m.AnswerIn | None = None, idempotency_key: IdempotencyKey = None
) -> m.PublishedOverride:
    """Agree to a swap you were asked for, decline it, or take a cover request."""
    yes = (data or m.AnswerIn()).yes
    command = AnswerOverride(actor=who.acting, id=number, person=_person(who), yes=yes)
    await faces.submit(command, idempotency_key or "")
    return await _override(faces, number, warned=yes)


@delete("/oncall/overrides/{number:int}", tags=["on call"], needs="responder")
async def cancel_override(faces: Faces, who: Who, number: Number, idempotency_key: IdempotencyKey = None) -> None:
    """Take back or end an override, a swap or a cover request. From now on the plan's layers count again."""
    await faces.submit(CancelOverride(actor=who.by, id=number), idempotency_key or "")


@post("/oncall/feeds", tags=["on call"], needs="viewer")
async def create_feed(faces: Faces, who: Who, data: m.FeedIn, idempotency_key: IdempotencyKey = None) -> m.NewFeed:
    """Make the secret address of a calendar (iCalendar) with the shifts of a schedule or a person."""
    plan = await faces.plan()
    if bool(data.schedule) == bool(data.person):
        raise invalid("schedule", "say either schedule or person")
    kind, name = ("schedule", data.schedule) if data.schedule else ("person", data.person)
    known = [] if plan is None else list(plan.schedules if data.schedule else plan.people)
    if name not in known:
        raise invalid(kind, f"there is no {kind} {name}")
    secret = fresh_secret()
    if idempotency_key is not None:
        secret = derived_secret(faces.signing_key, "feed", who.actor, idempotency_key)
    assert who.user is not None
    command = CreateToken(
        actor=who.actor, hash=secret_hash(secret), kind=FEED, user=who.user.name, name=f"{kind}:{name}"
    )
    result = await faces.submit(command, idempotency_key or "")
    return m.NewFeed(id=int(result.id), url=faces.link(f"{FEED_PATH}{secret}.ics"))


# -- how ---------------------------------------------------------------------------------------------------------------


async def _roster(faces: Faces, name: str) -> tuple[Plan, Roster]:
    plan = await faces.plan()
    if plan is None or name not in plan.rosters:
        raise _unknown("schedule", name, list(plan.rosters) if plan else [])
    return plan, plan.rosters[name]


async def _of_service(
    faces: Faces, name: str, tier: str | None, since: Instant
) -> tuple[Plan, dict[str, Imported], Covers]:
    """The plan that has a service and a tier, what its calendars say, and who takes whose place from then on."""
    plan = await faces.plan()
    if plan is None or name not in plan.services:
        raise _unknown("service", name, list(plan.services) if plan else [])
    if tier is not None and (fault := unknown_tier(plan, tier)):
        raise invalid("tier", fault)
    return plan, await faces.calendars(), await faces.covers(since)


def _unknown(kind: str, name: str, known: list[str]) -> Problem:
    close = nearest(name, known)
    return Problem(404, "not_found", f"there is no {kind} {name}" + (f"; did you mean {close}?" if close else ""))


def _instant(text: str | None, now: Instant) -> Instant:
    at = m.instant(text, "at")
    at = now if at is None else at
    if fault_of(at):
        raise invalid("at", fault_of(at))
    return at


def _range(start: str, end: str) -> tuple[Instant, Instant]:
    low, high = m.instant(start, "from"), m.instant(end, "to")
    assert low is not None, "a text was given"
    assert high is not None, "a text was given"
    fault = fault_of_range(low, high)
    if fault:
        raise invalid("to", fault)
    return low, high


def _time(data: m.OverrideIn | m.CoverIn, now: Instant) -> tuple[Instant, Instant]:
    starts = m.instant(data.starts_at, "starts_at")
    starts = now if starts is None else starts
    ends, lasts = m.instant(data.ends_at, "ends_at"), m.span(data.duration, "duration")
    if (ends is None) == (lasts is None):
        raise invalid("ends_at", "say either ends_at or duration")
    return starts, starts + lasts if ends is None and lasts is not None else ends or 0


def _person(who: Who) -> str:
    return who.user.person if who.user else ""


def _who(roster: Roster, at: Instant, covers: tuple[Cover, ...]) -> list[m.PublishedOnCall]:
    return [
        m.PublishedOnCall(
            person=shift.person,
            since=format_rfc3339(shift.start),
            until=format_rfc3339(shift.end),
            why=why(roster.schedule, shift, covers),
        )
        for shift in on_call(roster, at, covers)
    ]


def _shifts_of(plan: Plan, person: str, low: Instant, high: Instant, covers: Covers) -> list[m.PublishedPersonShift]:
    found = [
        (shift.start, key, shift.end, layer_of(roster.schedule, shift))
        for key, roster in plan.rosters.items()
        for shift in clipped(roster, low, high, plan.covers_for(key, covers))
        if shift.person == person
    ]
    return [
        m.PublishedPersonShift(schedule=key, start=format_rfc3339(start), end=format_rfc3339(end), layer=layer)
        for start, key, end, layer in sorted(found)
    ]


async def _override(faces: Faces, number: int, *, warned: bool = False) -> m.PublishedOverride:
    found = await faces.found(f"override {number}", faces.reads.override, number)
    now, plan = faces.now(), await faces.plan()
    covers = await faces.covers(now, found.schedule)
    warnings = [one.said for one in await doubted(faces, plan, found, covers)] if warned else []
    return m.override_out(found, now, plan, covers, tuple(warnings))


HANDLERS: list[ControllerRouterHandler] = [
    list_schedules,
    who_is_on_call,
    list_shifts,
    list_shifts_of_person,
    who_answers_for_service,
    list_shifts_of_service,
    list_calendars,
    list_overrides,
    read_override,
    add_override,
    ask_swap,
    ask_cover,
    answer_override,
    cancel_override,
    create_feed,
]
