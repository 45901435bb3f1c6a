"""Coverage: which alerts are answered by code, and which wake a person with nothing prepared."""

from __future__ import annotations

from typing import Any

from litestar import Request, Response, get

from tocsin.faces.coverage import Answered, coverage
from tocsin.faces.faces import Faces
from tocsin.faces.who import Who
from tocsin.playbooks.coverage import COUNTING, share
from tocsin.web.playbooks import TRUSTED
from tocsin.web.view import view
from tocsin.web.words import count

FIRST = 5
"""So many holes are named above the table."""


@get("/coverage")
async def coverage_page(request: Request[Any, Any, Any], faces: Faces, who: Who) -> Response[bytes]:
    """Every alert rule and what answers it, what nothing answers first."""
    seen = await view(request, faces, who)
    rows = await coverage(faces, seen.plan, seen.now)
    counting = seen.plan.coverage.counting if seen.plan is not None and seen.plan.coverage is not None else COUNTING
    least = seen.plan.coverage.least if seen.plan is not None and seen.plan.coverage is not None else None
    have = share([one.now for one in rows], counting)
    holes = sorted((one for one in rows if one.now.answer == "nothing"), key=lambda one: -one.came)
    come = [one for one in holes if one.came]
    return seen.draw(
        "coverage.html",
        headline=_headline(rows, holes),
        share=have,
        by=" or ".join(counting),
        least=least,
        holes=come[:FIRST],
        more=max(0, len(come) - FIRST),
        rows=sorted(rows, key=lambda one: (one.planned.service, one.planned.rule)),
        trusted=TRUSTED,
    )


def _headline(rows: list[Answered], holes: list[Answered]) -> str:
    if not rows:
        return "No alert rule is known yet."
    if not holes:
        return "Every alert rule has an answer prepared."
    wake = "wakes" if len(holes) == 1 else "wake"
    return f"{count(len(holes), 'alert rule')} {wake} a person with nothing prepared."


handlers = [coverage_page]
