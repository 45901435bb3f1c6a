"""Who is on call: now, at a time, and over a range."""

from __future__ import annotations

from typing import Annotated

from litestar import get
from litestar.params import Parameter, QueryParameter
from litestar.types import ControllerRouterHandler

from tocsin.api import models as m
from tocsin.faces.faces import Faces
from tocsin.faces.problem import Problem, invalid
from tocsin.kernel.instant import Instant, format_rfc3339
from tocsin.oncall.asking import clipped, fault_of, fault_of_range, layer_of, why
from tocsin.oncall.roster import Roster, Shift
from tocsin.oncall.schedule import Schedule
from tocsin.plan.findings import nearest

ScheduleName = Annotated[str, Parameter(min_length=1, max_length=200)]
At = Annotated[str | None, QueryParameter(name="at", max_length=64, description="An instant, RFC 3339. Default: now.")]
From = Annotated[str, QueryParameter(name="from", max_length=64, description="An instant, RFC 3339.")]
To = Annotated[
    str, QueryParameter(name="to", max_length=64, description="An instant, RFC 3339, two years later at most.")
]


@get("/oncall/schedules", tags=["on call"])
async def list_schedules(faces: Faces, at: At = None) -> m.Listed[m.PublishedSchedule]:
    """List the plan's schedules, each with who is on call by it now, or at an instant."""
    plan = await faces.plan()
    instant = _instant(at, faces.now())
    return m.Listed(
        [
            m.PublishedSchedule(
                name=key,
                about=roster.schedule.about,
                timezone=roster.schedule.timezone,
                on_call=_who(roster, instant),
            )
            for key, roster in sorted((plan.rosters if plan else {}).items())
        ],
        None,
    )


@get("/oncall/schedules/{name:str}/who", tags=["on call"])
async def who_is_on_call(faces: Faces, name: ScheduleName, at: At = None) -> m.Listed[m.PublishedOnCall]:
    """Say who is on call by a schedule now, or at an instant: nobody, one, or several at once."""
    roster = await _roster(faces, name)
    return m.Listed(_who(roster, _instant(at, faces.now())), None)


@get("/oncall/schedules/{name:str}/shifts", tags=["on call"])
async def list_shifts(faces: Faces, name: ScheduleName, start: From, end: To) -> m.Listed[m.PublishedShift]:
    """List the shifts of a schedule over a range, cut where the range begins and ends, in order of their begin."""
    roster = await _roster(faces, name)
    low, high = m.instant(start, "from"), m.instant(end, "to")
    assert low is not None, "a text was given"
    assert high is not None, "a text was given"
    fault = fault_of_range(low, high)
    if fault:
        raise invalid("to", fault)
    found = await faces.read(clipped, roster, low, high)
    return m.Listed([_shift(roster.schedule, shift) for shift in found], None)


async def _roster(faces: Faces, name: str) -> Roster:
    plan = await faces.plan()
    rosters = plan.rosters if plan else {}
    if name not in rosters:
        close = nearest(name, rosters)
        raise Problem(404, "not_found", f"there is no schedule {name}" + (f"; did you mean {close}?" if close else ""))
    return rosters[name]


def _instant(text: str | None, now: Instant) -> Instant:
    at = m.instant(text, "at")
    at = now if at is None else at
    if fault_of(at):
        raise invalid("at", fault_of(at))
    return at


def _who(roster: Roster, at: Instant) -> list[m.PublishedOnCall]:
    return [
        m.PublishedOnCall(
            person=shift.person,
            since=format_rfc3339(shift.start),
            until=format_rfc3339(shift.end),
            why=why(roster.schedule, shift),
        )
        for shift in roster.who(at)
    ]


def _shift(schedule: Schedule, shift: Shift) -> m.PublishedShift:
    return m.PublishedShift(
        person=shift.person,
        start=format_rfc3339(shift.start),
        end=format_rfc3339(shift.end),
        layer=layer_of(schedule, shift),
    )


HANDLERS: list[ControllerRouterHandler] = [list_schedules, who_is_on_call, list_shifts]
