"""Proof of pages: an incident's ledger as a document, synthetic pages, and why a person was or was not paged."""

from __future__ import annotations

from typing import Annotated

from litestar import Response, get
from litestar.params import Parameter, QueryParameter
from litestar.types import ControllerRouterHandler

from tocsin.api import models as m
from tocsin.api.asking import Number
from tocsin.api.models import proof as published
from tocsin.faces.faces import Faces
from tocsin.faces.problem import invalid, not_found
from tocsin.faces.proof import ledger, loops
from tocsin.faces.why_person import explain_person
from tocsin.faces.why_plan import plan_then
from tocsin.oncall.asking import fault_of
from tocsin.pages.exported import LedgerRow, as_csv

At = Annotated[str | None, QueryParameter(name="at", max_length=64, description="An instant, RFC 3339. Default: now.")]
PersonName = Annotated[str, Parameter(min_length=1, max_length=200)]


@get("/incidents/{number:int}/ledger", tags=["incidents"])
async def read_ledger(faces: Faces, number: Number) -> m.Listed[LedgerRow]:
    """Export the page ledger of an incident, the oldest page first: why, to whom, by which method, what came of it."""
    return m.Listed(await _ledger(faces, number), None)


@get("/incidents/{number:int}/ledger.csv", tags=["incidents"], media_type="text/csv")
async def read_ledger_as_csv(faces: Faces, number: Number) -> Response[bytes]:
    """Export the same as CSV, with a head."""
    name = f'attachment; filename="incident-{number}-ledger.csv"'
    content = as_csv(await _ledger(faces, number))
    return Response(content, media_type="text/csv; charset=utf-8", headers={"content-disposition": name})


async def _ledger(faces: Faces, number: int) -> list[LedgerRow]:
    return await faces.found(f"incident #{number}", ledger, faces.reads, number)


@get("/synthetic-pages", tags=["records"])
async def list_synthetic(faces: Faces) -> m.Listed[published.PublishedSynthetic]:
    """List how the synthetic page of each channel goes."""
    return m.Listed([published.synthetic_out(one) for one in await faces.read(loops, faces.reads)], None)


@get("/why/person/{name:str}", tags=["incidents"])
async def why_person(faces: Faces, name: PersonName, at: At = None) -> published.PublishedPersonExplanation:
    """Say why a person was or was not paged around an instant: on call or not, and what each open incident meant."""
    plan = await faces.plan()
    asked = m.instant(at, "at")
    instant = faces.now() if asked is None else asked
    fault = fault_of(instant) or ("that time is yet to come" if instant > faces.now() else "")
    then = await faces.read(plan_then, faces.reads, plan, instant) if plan is not None and not fault else None
    known = plan.people.keys() | (then.plan.people.keys() if then and then.plan else ()) if plan is not None else ()
    if plan is None or name not in known:
        raise not_found(f"person {name!r} in the plan")
    if fault:
        raise invalid("at", fault)
    covers = await faces.covers(instant, plan=then.plan if then is not None else None)
    return published.person_out(await faces.read(explain_person, faces.reads, plan, covers, name, instant, then))


HANDLERS: list[ControllerRouterHandler] = [read_ledger, read_ledger_as_csv, list_synthetic, why_person]
