"""Checklists of an incident: read, tick a step, take that back."""

from __future__ import annotations

from typing import Annotated

from litestar import get, post
from litestar.params import Parameter
from litestar.types import ControllerRouterHandler

from tocsin.api import models as m
from tocsin.api.asking import IdempotencyKey, Number
from tocsin.engine.commands import TickStep, UntickStep
from tocsin.faces.checklists import on_incident
from tocsin.faces.faces import Faces
from tocsin.faces.problem import not_found
from tocsin.faces.who import Who

Name = Annotated[str, Parameter(min_length=1, max_length=100)]
PLACE = "/incidents/{number:int}/checklists"


@get(PLACE, tags=["incidents"])
async def list_checklists(faces: Faces, number: Number) -> list[m.PublishedChecklist]:
    """List the checklists that are for an incident, with who did which step."""
    incident = await faces.found(f"incident #{number}", faces.reads.incident, number)
    return [m.checklist_out(one) for one in on_incident(await faces.plan(), incident)]


@post(f"{PLACE}/{{checklist:str}}/{{step:str}}/tick", tags=["incidents"], needs="responder", status_code=200)
async def tick_step(
    faces: Faces, who: Who, number: Number, checklist: Name, step: Name, idempotency_key: IdempotencyKey = None
) -> m.PublishedChecklist:
    """Say that a step is done. 409 when somebody else has said so, or the incident is over."""
    command = TickStep(actor=who.by, incident=number, checklist=checklist, step=step)
    await faces.submit(command, idempotency_key or "")
    return await _one(faces, number, checklist)


@post(f"{PLACE}/{{checklist:str}}/{{step:str}}/untick", tags=["incidents"], needs="responder", status_code=200)
async def untick_step(
    faces: Faces,
    who: Who,
    number: Number,
    checklist: Name,
    step: Name,
    data: m.UntickIn,
    idempotency_key: IdempotencyKey = None,
) -> m.PublishedChecklist:
    """Say that a step is not done after all, and why."""
    command = UntickStep(actor=who.by, incident=number, checklist=checklist, step=step, why=data.why)
    await faces.submit(command, idempotency_key or "")
    return await _one(faces, number, checklist)


async def _one(faces: Faces, number: int, checklist: str) -> m.PublishedChecklist:
    incident = await faces.read(faces.reads.incident, number)
    found = on_incident(await faces.plan(), incident) if incident is not None else []
    one = next((one for one in found if one.name == checklist), None)
    if one is None:
        raise not_found(f"checklist {checklist} of incident #{number}")
    return m.checklist_out(one)


HANDLERS: list[ControllerRouterHandler] = [list_checklists, tick_step, untick_step]
