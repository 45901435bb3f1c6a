"""The checklists in an incident's room: who did which step, a button for each, and a way back with a reason."""

from __future__ import annotations

import re
from itertools import groupby
from typing import Any, NamedTuple

from litestar import Request, Response, post
from litestar.response import Redirect

from tocsin.engine.commands import AnyCommand, TickStep, UntickStep
from tocsin.faces.checklists import on_incident
from tocsin.faces.faces import Faces
from tocsin.faces.problem import Problem
from tocsin.faces.who import Who
from tocsin.incidents.incident import Incident
from tocsin.playbooks.checklist import Shown
from tocsin.web.view import View, fields, once

_PIECES = re.compile(r"\[(?P<text>[^\]]+)\]\((?P<url>https?://[^\s()]+)\)|`(?P<code>[^`]+)`")


class Piece(NamedTuple):
    """A part of a step's text. ``url``: where it leads; ``code``: it is to be typed."""

    text: str
    url: str = ""
    code: bool = False


class StepView(NamedTuple):
    """One step as it is drawn. ``runs``: the playbook whose button stands beside it, "" when it may not be run now."""

    number: int
    shown: Shown
    pieces: list[Piece]
    runs: str
    place: str
    """What a fault about it is filed under."""


class ChecklistView(NamedTuple):
    """One checklist: its steps below their headings."""

    name: str
    title: str
    done: int
    total: int
    parts: list[tuple[str, list[StepView]]]


def checklists_of(seen: View, incident: Incident, startable: set[str]) -> list[ChecklistView]:
    """The checklists of an incident. ``startable``: the playbooks whoever looks may have run for it now."""
    made = []
    for one in on_incident(seen.plan, incident):
        steps = [
            StepView(
                number,
                step,
                pieces(step.item.text),
                step.item.playbook if step.item.playbook in startable and step.tick is None else "",
                _place(one.name, step.item.id),
            )
            for number, step in enumerate(one.steps, 1)
        ]
        parts = [(under, list(those)) for under, those in groupby(steps, lambda step: step.shown.item.under)]
        made.append(ChecklistView(one.name, one.title, one.done, len(steps), parts))
    return made


def pieces(text: str) -> list[Piece]:
    """A step's text with its links and what is to be typed told apart. Nothing else of Markdown is read."""
    found: list[Piece] = []
    end = 0
    for match in _PIECES.finditer(text):
        found.append(Piece(text[end : match.start()]))
        found.append(Piece(match["code"], code=True) if match["code"] else Piece(match["text"], match["url"]))
        end = match.end()
    return [one for one in (*found, Piece(text[end:])) if one.text]


def _place(checklist: str, step: str) -> str:
    return f"{checklist}-{step}"


@post("/incidents/{number:int}/tick", needs="responder", status_code=303)
async def tick(request: Request[Any, Any, Any], faces: Faces, who: Who, number: int) -> Response[bytes] | Redirect:
    """A step is done."""
    form = await fields(request)
    checklist, step = form.get("checklist", ""), form.get("step", "")
    command = TickStep(actor=who.actor, incident=number, checklist=checklist, step=step)
    return await _said(request, faces, who, number, command, _place(checklist, step), "ticked")


@post("/incidents/{number:int}/untick", needs="responder", status_code=303)
async def untick(request: Request[Any, Any, Any], faces: Faces, who: Who, number: int) -> Response[bytes] | Redirect:
    """A step is not done after all."""
    form = await fields(request)
    checklist, step = form.get("checklist", ""), form.get("step", "")
    why = " ".join(form.get("why", "").split())
    command = UntickStep(actor=who.actor, incident=number, checklist=checklist, step=step, why=why)
    return await _said(request, faces, who, number, command, _place(checklist, step), "unticked")


async def _said(
    request: Request[Any, Any, Any], faces: Faces, who: Who, number: int, command: AnyCommand, place: str, done: str
) -> Response[bytes] | Redirect:
    from tocsin.web.incidents import refused_here

    try:
        await faces.submit(command, once({**await fields(request), "of": f"{number} {done}"}))
    except Problem as problem:
        return await refused_here(request, faces, who, number, problem, place)
    return Redirect(f"/incidents/{number}?done={done}#checklists", status_code=303)


handlers = [tick, untick]
