"""What a person does in an incident's room. What is refused is said there, where it was asked for."""

from __future__ import annotations

from typing import Any

from litestar import Request, Response, post
from litestar.response import Redirect

from tocsin.engine.commands import (
    Acknowledge,
    AddNote,
    AddResponders,
    AnyCommand,
    ApplyPlan,
    Reassign,
    Resolve,
    Snooze,
    StartRun,
    TickStep,
    UntickStep,
)
from tocsin.faces.faces import Faces
from tocsin.faces.problem import Problem
from tocsin.faces.who import Who
from tocsin.kernel.instant import HOUR
from tocsin.kernel.reason import Reason
from tocsin.web.by_target import tried
from tocsin.web.checklists import place_of
from tocsin.web.room import SNOOZES, refused_here, room
from tocsin.web.view import fields, leads_to, once, view

NOTE_LONGEST = 10_000


def _back(form: dict[str, str], number: int, done: str) -> Redirect:
    return leads_to("/" if form.get("back") == "list" else f"/incidents/{number}", done)


@post("/incidents/{number:int}/acknowledge", needs="responder", status_code=303)
async def acknowledge(request: Request[Any, Any, Any], faces: Faces, who: Who, number: int) -> Redirect:
    """Somebody has it, or has it with others who are still asked for."""
    over = request.query_params.get("over") == "1"  # the page it was pressed on may be of before somebody had it
    result = await faces.submit(Acknowledge(actor=who.actor, incident=number, over=over))
    return _back(await fields(request), number, "partly" if result.reason == Reason.ANSWERED else "acknowledged")


@post("/incidents/{number:int}/resolve", needs="responder", status_code=303)
async def resolve(request: Request[Any, Any, Any], faces: Faces, who: Who, number: int) -> Redirect:
    """It is over; while alerts fire, for as long as the snooze says, "" for what the engine takes of itself."""
    form = await fields(request)
    asked = form.get("snooze", "")
    snooze = next((length for _, length in SNOOZES if str(length) == asked), HOUR) if asked else None
    await faces.submit(Resolve(actor=who.actor, incident=number, snooze=snooze))
    return _back(form, number, "resolved")


@post("/incidents/{number:int}/note", needs="responder", status_code=303)
async def note(request: Request[Any, Any, Any], faces: Faces, who: Who, number: int) -> Response[bytes] | Redirect:
    """Write something on the timeline. A refused text is given back to be changed."""
    form = await fields(request)
    text = form.get("text", "").replace("\r\n", "\n")
    fault = (
        "Write something first."
        if not text
        else f"At most {NOTE_LONGEST:,} characters; this has {len(text):,}."
        if len(text) > NOTE_LONGEST
        else ""
    )
    if not fault:
        try:
            await faces.submit(AddNote(actor=who.actor, incident=number, text=text), once({**form, "of": str(number)}))
        except Problem as problem:
            if problem.status != 400:
                raise
            fault = problem.detail
        else:
            return _back(form, number, "noted")
    return await room(await view(request, faces, who), number, code=400, faults={"text": fault}, typed=text)


async def _move(
    request: Request[Any, Any, Any], faces: Faces, who: Who, number: int, command: AnyCommand, place: str, done: str
) -> Response[bytes] | Redirect:
    """Ask for a move; what is refused is said where it was asked for."""
    form = await fields(request)
    try:
        await faces.submit(command, once({**form, "of": f"{number} {place}"}))
    except Problem as problem:
        return await refused_here(request, faces, who, number, problem, place)
    return leads_to(f"/incidents/{number}", done)


def _note_of(form: dict[str, str]) -> str:
    return " ".join(form.get("note", "").split())


@post("/incidents/{number:int}/reassign", needs="responder", status_code=303)
async def reassign(request: Request[Any, Any, Any], faces: Faces, who: Who, number: int) -> Response[bytes] | Redirect:
    """Give it to somebody else, who is paged at once."""
    form = await fields(request)
    command = Reassign(actor=who.actor, incident=number, person=form.get("person", ""), note=_note_of(form))
    return await _move(request, faces, who, number, command, "reassign", "given")


@post("/incidents/{number:int}/snooze", needs="responder", status_code=303)
async def snooze(request: Request[Any, Any, Any], faces: Faces, who: Who, number: int) -> Response[bytes] | Redirect:
    """Put it off: for a while, or until the morning that was offered."""
    form = await fields(request)
    kind, _, value = form.get("until", "").partition("-")
    size = int(value[:18]) if value.isascii() and value.isdigit() else 0
    until = size if kind == "at" else faces.now() + size
    command = Snooze(actor=who.actor, incident=number, until=until, note=_note_of(form))
    return await _move(request, faces, who, number, command, "snooze", "put-off")


@post("/incidents/{number:int}/help", needs="responder", status_code=303)
async def ask_for_help(
    request: Request[Any, Any, Any], faces: Faces, who: Who, number: int
) -> Response[bytes] | Redirect:
    """Ask a person or a team for help."""
    form = await fields(request)
    command = AddResponders(actor=who.actor, incident=number, targets=(form.get("target", ""),), note=_note_of(form))
    return await _move(request, faces, who, number, command, "help", "asked")


@post("/incidents/{number:int}/apply-plan", needs="responder", status_code=303)
async def apply_plan(
    request: Request[Any, Any, Any], faces: Faces, who: Who, number: int
) -> Response[bytes] | Redirect:
    """Follow the plan now in force."""
    command = ApplyPlan(actor=who.actor, incident=number)
    return await _move(request, faces, who, number, command, "apply", "applied")


@post("/incidents/{number:int}/tick", needs="responder", status_code=303)
async def tick(request: Request[Any, Any, Any], faces: Faces, who: Who, number: int) -> Response[bytes] | Redirect:
    """A step is done."""
    form = await fields(request)
    checklist, step = form.get("checklist", ""), form.get("step", "")
    command = TickStep(actor=who.actor, incident=number, checklist=checklist, step=step)
    return await _tick(request, faces, who, number, command, place_of(checklist, step), "ticked")


@post("/incidents/{number:int}/untick", needs="responder", status_code=303)
async def untick(request: Request[Any, Any, Any], faces: Faces, who: Who, number: int) -> Response[bytes] | Redirect:
    """A step is not done after all."""
    form = await fields(request)
    checklist, step = form.get("checklist", ""), form.get("step", "")
    why = " ".join(form.get("why", "").split())
    command = UntickStep(actor=who.actor, incident=number, checklist=checklist, step=step, why=why)
    return await _tick(request, faces, who, number, command, place_of(checklist, step), "unticked")


async def _tick(
    request: Request[Any, Any, Any], faces: Faces, who: Who, number: int, command: AnyCommand, place: str, done: str
) -> Response[bytes] | Redirect:
    try:
        await faces.submit(command, once({**await fields(request), "of": f"{number} {done}"}))
    except Problem as problem:
        return await refused_here(request, faces, who, number, problem, place)
    return Redirect(f"/incidents/{number}?done={done}#checklists", status_code=303)


@post("/incidents/{number:int}/run", needs="responder", status_code=303)
async def run_for(request: Request[Any, Any, Any], faces: Faces, who: Who, number: int) -> Response[bytes] | Redirect:
    """Have a playbook run for an incident."""
    named, targets = tried((await fields(request)).get("playbook", ""))
    command = StartRun(actor=who.actor, playbook=named, incident=number, targets=targets, role=who.role or "viewer")
    try:
        await faces.submit(command)
    except Problem as problem:
        return await refused_here(request, faces, who, number, problem, "run")
    return leads_to(f"/incidents/{number}", "runs")


handlers = [
    acknowledge,
    resolve,
    note,
    reassign,
    snooze,
    ask_for_help,
    apply_plan,
    tick,
    untick,
    run_for,
]
