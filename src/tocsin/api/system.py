"""Services, what monitors sent besides alerts, the ledger, the plan, and how Tocsin is."""

from __future__ import annotations

import base64
from typing import Annotated, Literal

from litestar import Response, delete, get, post
from litestar.params import Parameter, QueryParameter
from litestar.response import Stream
from litestar.types import ControllerRouterHandler

from tocsin.api import models as m
from tocsin.api.asking import Cursor, IdempotencyKey, Limit, Number, SomeNumber, Text
from tocsin.engine.commands import DiscardParked
from tocsin.faces.faces import Faces
from tocsin.faces.known import must_be
from tocsin.faces.live import TooManySubscribers
from tocsin.faces.problem import Problem, not_found, unavailable
from tocsin.faces.who import Who
from tocsin.kernel.instant import format_duration
from tocsin.playbooks.coverage import COUNTING
from tocsin.playbooks.manifest import MADE
from tocsin.store.reads import LIMIT

ServiceName = Annotated[str, Parameter(min_length=1, max_length=200)]


@get("/services", tags=["services"])
async def list_services(faces: Faces) -> m.Listed[m.PublishedService]:
    """List the plan's services, and others that open incidents still name, with how many incidents are open."""
    plan = await faces.plan()
    counts = {one.service: one for one in await faces.read(faces.reads.open_counts)}
    planned = plan.services if plan else {}
    items = []
    for name in sorted(planned.keys() | counts.keys()):
        service, count = planned.get(name), counts.get(name)
        items.append(
            m.PublishedService(
                name=name,
                about=service.about if service else "",
                tier=service.tier if service else None,
                team=service.team if service else "",
                needs=list(service.needs) if service else [],
                escalation=service.escalation if service else "",
                acknowledge_for=format_duration(service.acknowledge_for) if service else None,
                reopen_within=format_duration(service.reopen_within) if service else None,
                planned=service is not None,
                triggered=count.triggered if count else 0,
                acknowledged=count.acknowledged if count else 0,
            )
        )
    return m.Listed(items, None)


@post("/services/{name:str}/events", status_code=202, tags=["services"], needs="responder")
async def send_events(faces: Faces, who: Who, name: ServiceName, body: bytes) -> Response[bytes]:
    """Send events for a service: one object or an array, in the form of ``POST /api/events``. Durable when answered."""
    plan = await faces.plan()
    if plan is None or name not in plan.services:
        raise not_found(f"service {name}")
    heard = await faces.core.events(name, body, who.actor)
    kind = "application/json" if heard.status < 400 else "application/problem+json"
    return Response(heard.body, status_code=heard.status, media_type=kind)


@get("/parked", tags=["records"])
async def list_parked(
    faces: Faces, limit: Limit = LIMIT, discarded: bool = False, cursor: Cursor = None
) -> m.Listed[m.PublishedParked]:
    """List requests that could not be read, the newest first; with ``discarded`` those too that a person has seen."""
    found = await faces.read(faces.reads.parked, discarded=discarded, after=cursor, limit=limit)
    return m.listed(found, lambda one: m.PublishedParked(**m.parked_fields(one)))


@get("/parked/{number:int}", tags=["records"])
async def read_parked(faces: Faces, number: Number) -> m.ParkedSheet:
    """Read a parked request, whole."""
    found = await faces.found(f"parked request {number}", faces.reads.parked_request, number)
    try:
        text, coded = found.request.body.decode(), None
    except UnicodeDecodeError:
        text, coded = None, base64.b64encode(found.request.body).decode()
    return m.ParkedSheet(**m.parked_fields(found), headers=found.request.headers, body=text, body_base64=coded)


@delete("/parked/{number:int}", tags=["records"])
async def discard_parked(faces: Faces, who: Who, number: Number, idempotency_key: IdempotencyKey = None) -> None:
    """Say that a parked request was seen and may go."""
    await faces.submit(DiscardParked(actor=who.actor, id=number), idempotency_key or "")


@get("/pages", tags=["records"])
async def list_pages(
    faces: Faces,
    limit: Limit = LIMIT,
    incident: SomeNumber = None,
    person: Text = None,
    in_state: Annotated[Literal["intended", "sent", "failed", "overtaken"] | None, QueryParameter(name="state")] = None,
    cursor: Cursor = None,
) -> m.Listed[m.PublishedPage]:
    """List the page ledger, the newest first: each attempt to reach a person, written before it was made."""
    found = await faces.read(
        faces.reads.pages, incident=incident, person=person or "", state=in_state or "", after=cursor, limit=limit
    )
    return m.listed(found, m.page_out)


@get("/changes", tags=["records"])
async def list_changes(
    faces: Faces, limit: Limit = LIMIT, service: Text = None, cursor: Cursor = None
) -> m.Listed[m.PublishedChange]:
    """List deploys and other changes, the newest first."""
    found = await faces.read(faces.reads.changes, services=(service,) if service else (), after=cursor, limit=limit)
    if not found.items:
        await must_be(faces, service)
    return m.listed(found, m.change_out)


@get("/heartbeats", tags=["records"])
async def list_heartbeats(faces: Faces) -> m.Listed[m.PublishedHeartbeat]:
    """List heartbeats, by service and name."""
    return m.Listed([m.heartbeat_out(one) for one in await faces.read(faces.reads.heartbeats)], None)


@get("/plan", tags=["plan"])
async def read_plan(faces: Faces) -> m.PublishedPlan:
    """Read the plan in force, as the files it was made of."""

    def read() -> tuple[str, dict[str, bytes] | None]:
        version = faces.reads.plan_version()
        return version, faces.reads.plan_files(version) if version else None

    version, files = await faces.read(read)
    if files is None:
        raise not_found("plan yet")
    written = {name: text.decode(errors="replace") for name, text in files.items() if name not in MADE}
    plan = await faces.plan()
    counting = plan.coverage.counting if plan is not None and plan.coverage is not None else COUNTING
    return m.PublishedPlan(version=version, files=written, counting=list(counting))


@post("/plan/reload", status_code=200, tags=["plan"])
async def reload_plan(faces: Faces, who: Who, idempotency_key: IdempotencyKey = None) -> m.PublishedReload:
    """Read the plan's folder again.

    A plan with errors changes nothing: 422, a problem document that also has the fields of this answer.
    """
    found = await faces.core.reload(who.actor)
    if not found.looked:
        raise unavailable(found.findings[0])
    if not found.ok:
        raise Problem(
            422,
            "plan_refused",
            f"the plan was refused, so {found.version[:12]} stays in force",
            more={"ok": False, "changed": False, "version": found.version, "findings": list(found.findings)},
        )
    return m.PublishedReload(ok=found.ok, changed=found.changed, version=found.version, findings=list(found.findings))


@get("/status", tags=["system"])
async def status(faces: Faces) -> m.PublishedStatus:
    """Say how Tocsin is."""
    return m.status_out(await faces.core.status(), faces.settings.version, faces.settings.public_url)


@get("/events", tags=["system"], media_type="text/event-stream")
async def events(faces: Faces) -> Stream:
    """Follow what changes, as server-sent events: ``changed`` with the numbers of incidents and the kinds of things.

    At most two a second; after ``{"all": true}`` read everything anew. The stream ends after an hour: come back.
    """
    if faces.live.full:
        raise TooManySubscribers
    return Stream(faces.live.events(), media_type="text/event-stream", headers={"X-Accel-Buffering": "no"})


HANDLERS: list[ControllerRouterHandler] = [
    list_services,
    send_events,
    list_parked,
    read_parked,
    discard_parked,
    list_pages,
    list_changes,
    list_heartbeats,
    read_plan,
    reload_plan,
    status,
    events,
]
