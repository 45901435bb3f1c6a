"""Calendars at secret addresses: whoever has one reads its shifts and nothing else, until it is revoked."""

from __future__ import annotations

from typing import Annotated, Any

from litestar import Response, get
from litestar.handlers import HTTPRouteHandler
from litestar.params import Parameter

from tocsin.access.credentials import secret_hash
from tocsin.faces.faces import Faces
from tocsin.faces.problem import not_found
from tocsin.kernel.instant import DAY, Duration
from tocsin.oncall.asking import layer_of, unbroken, why
from tocsin.oncall.calendar import Event, written
from tocsin.plan.model import Covers, Plan

FEED = "feed"
"""The kind of token a calendar's address holds. It signs nobody in; its name says what it shows."""
FEED_PATH = "/calendar/"
BEFORE: Duration = 28 * DAY
AFTER: Duration = 182 * DAY
MOST = 5_000
"""How many shifts a calendar holds at most: those that come first."""

Secret = Annotated[str, Parameter(min_length=20, max_length=200)]


@get(FEED_PATH + "{secret:str}", needs="anyone")
async def feed(faces: Faces, secret: Secret) -> Response[bytes]:
    """The shifts of a person or a schedule, four weeks back and half a year ahead, as an iCalendar file."""
    digest = secret_hash(secret.removesuffix(".ics"))
    found = await faces.read(faces.reads.bearer, digest)
    plan = await faces.plan()
    if found is None or plan is None:
        raise not_found("such calendar")
    token, user = found
    if token.kind != FEED or token.revoked_at is not None or user.disabled_at is not None:
        raise not_found("such calendar")
    now = faces.now()
    covers = await faces.covers(now - BEFORE)
    body = await faces.read(calendar_of, plan, token.name, covers, now)
    if body is None:
        raise not_found("such calendar")
    headers = {
        "Cache-Control": "private, max-age=900",
        "Content-Disposition": 'inline; filename="oncall.ics"',
        "X-Robots-Tag": "noindex",
    }
    return Response(body, media_type="text/calendar", headers=headers)


def calendar_of(plan: Plan, of: str, covers: Covers, now: int) -> bytes | None:
    """The calendar of ``person:ana`` or ``schedule:shop``; None when the plan has none such any more."""
    kind, _, name = of.partition(":")
    if name not in (plan.people if kind == "person" else plan.schedules):
        return None
    events: list[Event] = []
    for key, roster in plan.rosters.items():
        if kind == "schedule" and key != name:
            continue
        its = plan.covers_for(key, covers)
        for shift in unbroken(roster.schedule, roster.shifts(now - BEFORE, now + AFTER, its)):
            if kind == "person" and shift.person != name:
                continue
            person = plan.people[shift.person].name
            summary = f"On call: {key}" if kind == "person" else f"{person} ({key})"
            layer = layer_of(roster.schedule, shift)
            same = f"{key} {shift.person} {layer} {shift.turn} {shift.start}"
            events.append(Event(same, summary, shift.start, shift.end, why(roster.schedule, shift, its)))
    events.sort(key=lambda event: (event.start, event.summary))
    title = f"{plan.people[name].name} on call" if kind == "person" else f"{name}, on call"
    return written(title, events[:MOST], now)


handlers: list[Any] = [feed]
assert isinstance(feed, HTTPRouteHandler)
