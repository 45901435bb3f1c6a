"""What of an override may be of no use, as the store knows people's contact methods."""

from __future__ import annotations

from functools import cache

from tocsin.faces.faces import Faces
from tocsin.oncall.override import Override
from tocsin.pages.rules import reaches
from tocsin.plan.doubts import Doubt, doubts
from tocsin.plan.model import Covers, Plan


async def doubted(faces: Faces, plan: Plan | None, one: Override, covers: Covers) -> list[Doubt]:
    """Why an override, a swap or a cover request may be of no use, by the plan in force and with all that counts."""
    if plan is None:
        return []
    ready = plan.reaches

    @cache
    def reached(person: str) -> bool:
        return reaches(faces.reads.contacts(person), ready)

    return await faces.read(doubts, plan, one, covers, faces.now(), reached)
