"""Incidents and alerts: lists, one of them, what people do to them, and why somebody was or was not paged."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Annotated, Any, Literal

import msgspec
from litestar import get, post
from litestar.params import QueryParameter
from litestar.response import Stream
from litestar.types import ControllerRouterHandler

from tocsin.api import models as m
from tocsin.api.asking import Cursor, IdempotencyKey, Limit, Number, Severity, SomeNumber, Text, Texts
from tocsin.engine.commands import Acknowledge, AddNote, AddResponders, ApplyPlan, Reassign, Resolve, Snooze
from tocsin.faces.around import around
from tocsin.faces.contacting import as_person
from tocsin.faces.faces import Faces
from tocsin.faces.known import must_be
from tocsin.faces.problem import invalid
from tocsin.faces.who import Who
from tocsin.faces.why import explain_alert, explain_incident
from tocsin.incidents.incident import Incident
from tocsin.kernel.matcher import Matcher, MatcherError, parse_matcher
from tocsin.store.reads import LIMIT, OPEN_STATES, Reads

EXPORT_CHUNK = 50


@get("/incidents", tags=["incidents"])
async def list_incidents(
    faces: Faces,
    limit: Limit = LIMIT,
    in_state: Annotated[
        Literal["open", "triggered", "acknowledged", "resolved", "all"], QueryParameter(name="state")
    ] = "all",
    service: Text = None,
    severity: Severity | None = None,
    text: Text = None,
    order: Literal["newest", "gravest"] = "newest",
    cursor: Cursor = None,
) -> m.Listed[m.PublishedIncident]:
    """List incidents, the newest first. ``text``: words that must all occur in the number, title, service or labels.

    ``order=gravest`` is for what is open, and for people: what nobody has first, what is kept quiet last, of that the
    gravest. Whoever follows its cursors may meet twice, or miss, what changes its state meanwhile; by ``newest``
    everything is met once.
    """
    if order == "gravest" and in_state not in ("open", *OPEN_STATES):
        raise invalid("order", f"only what is open is listed by who must act: state is {in_state}")
    found = await faces.read(
        faces.reads.gravest if order == "gravest" else faces.reads.incidents,
        states=_states(in_state),
        service=service or "",
        severity=severity or "",
        words=text or "",
        after=cursor,
        limit=limit,
    )
    if not found.items:
        await must_be(faces, service)
    return m.listed(found, lambda one: _published(faces, one))


@get("/incidents/{number:int}", tags=["incidents"])
async def read_incident(faces: Faces, number: Number) -> m.IncidentSheet:
    """Read an incident with the first pages of its timeline (newest first), pages, firing alerts and changes."""
    plan = await faces.plan()

    def sheet(reads: Reads) -> m.IncidentSheet | None:
        incident = reads.incident(number)
        if incident is None:
            return None
        return m.sheet_out(
            incident,
            _base(faces),
            faces.settings.paging,
            reads.timeline(number, newest_first=True),
            reads.pages(incident=number),
            reads.alerts(incident=number, state="firing"),
            reads.changes(**around(incident, plan)._asdict()),
        )

    return await faces.found(f"incident #{number}", sheet, faces.reads)


@get("/incidents/{number:int}/alerts", tags=["incidents"])
async def incident_alerts(
    faces: Faces,
    number: Number,
    limit: Limit = LIMIT,
    in_state: Annotated[Literal["firing", "resolved", "all"], QueryParameter(name="state")] = "all",
    cursor: Cursor = None,
) -> m.Listed[m.PublishedAlert]:
    """List an incident's alerts, the newest first."""
    await _incident(faces, number)
    wanted = "" if in_state == "all" else in_state
    found = await faces.read(faces.reads.alerts, incident=number, state=wanted, after=cursor, limit=limit)
    return m.listed(found, m.alert_out)


@get("/incidents/{number:int}/timeline", tags=["incidents"])
async def incident_timeline(
    faces: Faces,
    number: Number,
    limit: Limit = LIMIT,
    order: Literal["oldest", "newest"] = "oldest",
    cursor: Cursor = None,
) -> m.Listed[m.PublishedEntry]:
    """List an incident's timeline, the oldest or the newest line first."""
    await _incident(faces, number)
    found = await faces.read(faces.reads.timeline, number, after=cursor, limit=limit, newest_first=order == "newest")
    return m.listed(found, m.entry_out)


@get("/incidents/{number:int}/pages", tags=["incidents"])
async def incident_pages(
    faces: Faces, number: Number, limit: Limit = LIMIT, cursor: Cursor = None
) -> m.Listed[m.PublishedPage]:
    """List the pages sent for an incident, the newest first."""
    await _incident(faces, number)
    return m.listed(await faces.read(faces.reads.pages, incident=number, after=cursor, limit=limit), m.page_out)


@get("/incidents/{number:int}/changes", tags=["incidents"])
async def incident_changes(
    faces: Faces, number: Number, limit: Limit = LIMIT, cursor: Cursor = None
) -> m.Listed[m.PublishedChange]:
    """List what was changed around an incident, the newest first.

    Changes of its service and of all that this needs, from an hour before it opened until it was resolved.
    """
    those = around(await _incident(faces, number), await faces.plan())
    return m.listed(await faces.read(faces.reads.changes, **those._asdict(), after=cursor, limit=limit), m.change_out)


@post("/incidents/{number:int}/acknowledge", status_code=200, tags=["incidents"], needs="responder")
async def acknowledge(
    faces: Faces, who: Who, number: Number, data: m.AcknowledgeIn | None = None, idempotency_key: IdempotencyKey = None
) -> m.PublishedIncident:
    """Say that you have it. Nobody is paged for it while that holds."""
    hold = m.span(data.hold, "hold") if data else None
    await faces.submit(Acknowledge(actor=who.by, incident=number, hold=hold), idempotency_key or "")
    return _published(faces, await _incident(faces, number))


@post("/incidents/{number:int}/resolve", status_code=200, tags=["incidents"], needs="responder")
async def resolve(
    faces: Faces, who: Who, number: Number, data: m.ResolveIn | None = None, idempotency_key: IdempotencyKey = None
) -> m.PublishedIncident:
    """Say that it is over. What still fires is judged again when the snooze ends."""
    snooze = m.span(data.snooze, "snooze") if data else None
    await faces.submit(Resolve(actor=who.by, incident=number, snooze=snooze), idempotency_key or "")
    return _published(faces, await _incident(faces, number))


@post("/incidents/{number:int}/notes", status_code=201, tags=["incidents"], needs="responder")
async def add_note(
    faces: Faces, who: Who, number: Number, data: m.NoteIn, idempotency_key: IdempotencyKey = None
) -> m.PublishedIncident:
    """Write something on the timeline."""
    await faces.submit(AddNote(actor=who.by, incident=number, text=data.text), idempotency_key or "")
    return _published(faces, await _incident(faces, number))


@post("/incidents/{number:int}/take", status_code=200, tags=["incidents"], needs="responder")
async def take(
    faces: Faces, who: Who, number: Number, data: m.AcknowledgeIn | None = None, idempotency_key: IdempotencyKey = None
) -> m.PublishedIncident:
    """Take it as the person you are, whoever has it now."""
    hold = m.span(data.hold, "hold") if data else None
    await faces.submit(Acknowledge(actor=as_person(who), incident=number, hold=hold), idempotency_key or "")
    return _published(faces, await _incident(faces, number))


@post("/incidents/{number:int}/reassign", status_code=200, tags=["incidents"], needs="responder")
async def reassign(
    faces: Faces, who: Who, number: Number, data: m.ReassignIn, idempotency_key: IdempotencyKey = None
) -> m.PublishedIncident:
    """Give it to somebody: they are paged at once, and the escalation goes on after them."""
    command = Reassign(actor=who.by, incident=number, person=data.person, note=data.note)
    await faces.submit(command, idempotency_key or "")
    return _published(faces, await _incident(faces, number))


@post("/incidents/{number:int}/snooze", status_code=200, tags=["incidents"], needs="responder")
async def snooze(
    faces: Faces, who: Who, number: Number, data: m.SnoozeIn, idempotency_key: IdempotencyKey = None
) -> m.PublishedIncident:
    """Put it off until a set time; then paging begins again."""
    if (data.until is None) == (data.duration is None):
        raise invalid("until", "say either until when or for how long (duration)")
    until, length = m.instant(data.until, "until"), m.span(data.duration, "duration")
    ends = until if until is not None else faces.now() + (length or 0)
    await faces.submit(Snooze(actor=who.by, incident=number, until=ends, note=data.note), idempotency_key or "")
    return _published(faces, await _incident(faces, number))


@post("/incidents/{number:int}/responders", status_code=200, tags=["incidents"], needs="responder")
async def add_responders(
    faces: Faces, who: Who, number: Number, data: m.RespondersIn, idempotency_key: IdempotencyKey = None
) -> m.PublishedIncident:
    """Ask more people for help: they are paged now, and need not take it over from whoever has it."""
    targets = (*(f"person:{name}" for name in data.people), *(f"team:{name}" for name in data.teams))
    command = AddResponders(actor=who.by, incident=number, targets=targets, note=data.note)
    await faces.submit(command, idempotency_key or "")
    return _published(faces, await _incident(faces, number))


@post("/incidents/{number:int}/apply-plan", status_code=200, tags=["incidents"], needs="responder")
async def apply_plan(
    faces: Faces, who: Who, number: Number, idempotency_key: IdempotencyKey = None
) -> m.PublishedIncident:
    """Follow the steps of the plan now in force instead of those it was opened with."""
    await faces.submit(ApplyPlan(actor=who.by, incident=number), idempotency_key or "")
    return _published(faces, await _incident(faces, number))


@get("/alerts", tags=["alerts"])
async def list_alerts(
    faces: Faces,
    limit: Limit = LIMIT,
    in_state: Annotated[Literal["firing", "resolved", "all"], QueryParameter(name="state")] = "firing",
    service: Text = None,
    incident: SomeNumber = None,
    matcher: Texts = None,
    cursor: Cursor = None,
) -> m.Listed[m.PublishedAlert]:
    """List alerts, the newest first. ``matcher`` may be given several times: ``instance=~"cart-.*"``.

    With matchers a page may be shorter than asked, or empty, and still have a ``next``.
    """
    found = await faces.read(
        faces.reads.alerts,
        state="" if in_state == "all" else in_state,
        service=service or "",
        incident=incident,
        matchers=_matchers(matcher or []),
        after=cursor,
        limit=limit,
    )
    if not found.items:
        await must_be(faces, service)
    return m.listed(found, m.alert_out)


@get("/alerts/{number:int}", tags=["alerts"])
async def read_alert(faces: Faces, number: Number) -> m.PublishedAlert:
    """Read an alert."""
    found = await faces.found(f"alert {number}", faces.reads.alert, number)
    return m.alert_out(found)


@get("/why/incident/{number:int}", tags=["incidents"])
async def why_incident(faces: Faces, number: Number) -> m.PublishedExplanation:
    """Say why somebody was or was not paged for an incident: the recorded decisions in order, and how it stands now."""
    plan, covers = await faces.plan(), await faces.covers()
    found = await faces.found(f"incident #{number}", explain_incident, faces.reads, number, faces.now(), plan, covers)
    return m.explanation_out(found)


@get("/why/alert/{number:int}", tags=["alerts"])
async def why_alert(faces: Faces, number: Number) -> m.PublishedExplanation:
    """Say why somebody was or was not paged for an alert."""
    plan, covers = await faces.plan(), await faces.covers()
    found = await faces.found(f"alert {number}", explain_alert, faces.reads, number, faces.now(), plan, covers)
    return m.explanation_out(found)


@get("/export/incidents", tags=["incidents"], media_type="application/jsonl")
async def export_incidents(
    faces: Faces,
    in_state: Annotated[
        Literal["open", "triggered", "acknowledged", "resolved", "all"], QueryParameter(name="state")
    ] = "all",
    service: Text = None,
) -> Stream:
    """Export incidents with their whole timelines and pages as JSON lines, the newest first.

    Every few dozen lines are read in a snapshot of their own: an export of any size holds nothing up.
    """
    await must_be(faces, service)
    return Stream(_lines(faces, _states(in_state), service or ""), media_type="application/jsonl")


async def _lines(faces: Faces, states: Sequence[str], service: str) -> AsyncIterator[bytes]:
    cursor: str | None = None
    while True:
        lines, cursor = await faces.read(_chunk, faces.reads, states, service, cursor, faces)
        yield lines
        if cursor is None:
            return


def _chunk(
    reads: Reads, states: Sequence[str], service: str, cursor: str | None, faces: Faces
) -> tuple[bytes, str | None]:
    found = reads.incidents(states=states, service=service, after=cursor, limit=EXPORT_CHUNK)
    lines = bytearray()
    for incident in found.items:
        told: dict[str, Any] = msgspec.to_builtins(_published(faces, incident))
        told["timeline"] = _all(lambda after, n=incident.number: reads.timeline(n, after=after, limit=500), m.entry_out)
        told["pages"] = _all(
            lambda after, n=incident.number: reads.pages(incident=n, after=after, limit=500), m.page_out
        )
        lines += msgspec.json.encode(told) + b"\n"
    return bytes(lines), found.next


def _all(read: Any, publish: Any) -> list[Any]:
    items: list[Any] = []
    cursor: str | None = None
    while True:
        found = read(cursor)
        items += [publish(one) for one in found.items]
        cursor = found.next
        if cursor is None:
            return items


def _states(word: str) -> Sequence[str]:
    return OPEN_STATES if word == "open" else () if word == "all" else (word,)


def _base(faces: Faces) -> str:
    return faces.settings.public_url.rstrip("/")


def _published(faces: Faces, one: Incident) -> m.PublishedIncident:
    return m.incident_out(one, _base(faces), faces.settings.paging)


async def _incident(faces: Faces, number: int) -> Incident:
    return await faces.found(f"incident #{number}", faces.reads.incident, number)


def _matchers(texts: list[str]) -> tuple[Matcher, ...]:
    found = []
    for text in texts:
        try:
            found.append(parse_matcher(text))
        except MatcherError as error:
            raise invalid("matcher", str(error)) from None
    return tuple(found)


HANDLERS: list[ControllerRouterHandler] = [
    list_incidents,
    read_incident,
    incident_alerts,
    incident_timeline,
    incident_pages,
    incident_changes,
    acknowledge,
    resolve,
    add_note,
    take,
    reassign,
    snooze,
    add_responders,
    apply_plan,
    list_alerts,
    read_alert,
    why_incident,
    why_alert,
    export_incidents,
]
