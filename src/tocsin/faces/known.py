"""Whether a service that somebody names is one: a wrong name must not look like a service that is well."""

from __future__ import annotations

from tocsin.faces.faces import Faces
from tocsin.faces.problem import not_found
from tocsin.notation.findings import nearest

NAMED = 20
"""So many services are named to whoever named none."""


async def no_such(faces: Faces, service: str) -> bool:
    """Whether neither the plan nor any incident has a service: the plan may have it no more, and it something still."""
    plan = await faces.plan()
    if plan is not None and service in plan.services:
        return False
    return not (await faces.read(faces.reads.incidents, service=service, limit=1)).items


async def must_be(faces: Faces, service: str | None) -> None:
    """Raise the problem that says so when something was asked of a service that is none."""
    if service and await no_such(faces, service):
        plan = await faces.plan()
        names = sorted(plan.services) if plan is not None else []
        near = nearest(service, names)
        hint = f"did you mean {near}?" if near else f"there are {', '.join(names[:NAMED])}"
        raise not_found(f"service {service!r}; {hint}")
