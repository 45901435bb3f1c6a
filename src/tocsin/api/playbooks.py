"""Playbooks and their runs: list, read, start, answer, cancel; and what each is trusted with."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from litestar import get, post, put
from litestar.params import Parameter, QueryParameter
from litestar.types import ControllerRouterHandler

from tocsin.api import models as m
from tocsin.api.asking import Cursor, IdempotencyKey, Limit, Number, SomeNumber, Text
from tocsin.engine.commands import AnswerRun, CancelRun, CompareRun, GiveBackRun, SetTrust, StartRun, TakeOverRun
from tocsin.faces.answering import in_service, resuming
from tocsin.faces.coverage import coverage
from tocsin.faces.faces import Faces
from tocsin.faces.problem import Problem, not_found, unavailable
from tocsin.faces.who import Who
from tocsin.playbooks.run import Run
from tocsin.runtime.line import Weighing
from tocsin.store.reads import LIMIT

PlaybookName = Annotated[str, Parameter(min_length=1, max_length=100)]
LIVE = ("running", "asking", "watching")


@get("/playbooks", tags=["playbooks"])
async def list_playbooks(faces: Faces, service: Text = None) -> list[m.PublishedPlaybook]:
    """List playbooks, once for each service they answer for, in the order in which they are tried."""
    plan, standings = await faces.plan(), await faces.read(faces.reads.standings)
    found = in_service(plan, standings, service or "")
    if not found:
        await _known(faces, None, service, None)
    return [m.playbook_out(one.manifest, one.service, one.standing, one.rung) for one in found]


@get("/playbooks/{service:str}/{playbook:str}/guards", tags=["playbooks"])
async def read_guards(
    faces: Faces, service: PlaybookName, playbook: PlaybookName, target: Text = None
) -> m.PublishedGuards:
    """Read what is left of a playbook's guards now, for each target of the service or for one.

    Measured as for a run that would begin this instant: what ``blocks`` says is what such a run, or its first fix, is
    refused for.
    """
    what = f"target {target!r}" if target else "guards"
    return _weighed(await faces.guards(service, playbook, target or ""), f"{what} of {playbook} for {service}")


@get("/runs/{number:int}/guards", tags=["playbooks"])
async def read_run_guards(faces: Faces, number: Number) -> m.PublishedGuards:
    """Read what is left of the guards of a run that lives. What one that is over took from them is in its ``took``."""
    run = await _run(faces, number)
    if not run.live:
        raise Problem(409, "conflict", f"Run {number} is over: see what it took from its guards")
    return _weighed(await faces.guards(run.service, run.playbook, run=number), f"guards of run {number}")


def _weighed(found: Weighing, what: str) -> m.PublishedGuards:
    if found.why:
        raise unavailable(found.why)
    if found.guards is None:
        raise not_found(what)
    return m.guards_out(found.guards)


@get("/coverage", tags=["playbooks"])
async def list_coverage(faces: Faces) -> list[m.PublishedAnswer]:
    """List what answers each alert rule: those the plan knows of, and those that opened an incident in 90 days."""
    return [m.answer_out(one) for one in await coverage(faces, await faces.plan(), faces.now())]


@put("/playbooks/{service:str}/{playbook:str}/trust", tags=["playbooks"], needs="responder")
async def set_trust(
    faces: Faces,
    who: Who,
    service: PlaybookName,
    playbook: PlaybookName,
    data: m.TrustIn,
    idempotency_key: IdempotencyKey = None,
) -> m.PublishedPlaybook:
    """Say what a playbook is trusted to do for a service. Never above what its plan allows."""
    command = SetTrust(
        actor=who.by, service=service, playbook=playbook, rung=data.trust, why=data.why, role=who.role or "viewer"
    )
    await faces.submit(command, idempotency_key or "")
    plan, standings = await faces.plan(), await faces.read(faces.reads.standings)
    one = next((one for one in in_service(plan, standings, service) if one.manifest.name == playbook), None)
    if one is None:
        raise not_found(f"playbook {playbook} of {service}")
    return m.playbook_out(one.manifest, one.service, one.standing, one.rung)


@get("/runs", tags=["playbooks"])
async def list_runs(
    faces: Faces,
    limit: Limit = LIMIT,
    in_state: Annotated[Literal["live", "ended", "all"], QueryParameter(name="state")] = "all",
    playbook: Text = None,
    service: Text = None,
    incident: SomeNumber = None,
    cursor: Cursor = None,
) -> m.Listed[m.PublishedRun]:
    """List runs, the newest first. ``live``: under way, waiting for an answer, or watching their fix."""
    found = await faces.read(
        faces.reads.runs,
        incident=incident,
        playbook=playbook or "",
        service=service or "",
        states={"live": LIVE, "ended": ("ended",), "all": ()}[in_state],
        after=cursor,
        limit=limit,
    )
    if not found.items:
        await _known(faces, playbook, service, incident)
    return m.listed(found, m.run_out)


async def _known(faces: Faces, playbook: str | None, service: str | None, incident: int | None) -> None:
    """Raise the problem that says so when nothing is found because nothing has that name or number."""
    plan = await faces.plan()
    if playbook and (plan is None or playbook not in plan.playbooks):
        raise not_found(f"playbook {playbook!r}")
    if service and (plan is None or service not in plan.services):
        raise not_found(f"service {service!r}")
    if incident and await faces.read(faces.reads.incident, incident) is None:
        raise not_found(f"incident #{incident}")


@get("/runs/{number:int}", tags=["playbooks"])
async def read_run(faces: Faces, number: Number) -> m.RunSheet:
    """Read a run with its steps."""
    return m.run_sheet_out(await _run(faces, number), await faces.read(faces.reads.steps, number))


@post("/runs", tags=["playbooks"], needs="responder")
async def start_run(
    faces: Faces, who: Who, data: m.StartRunIn, idempotency_key: IdempotencyKey = None
) -> m.PublishedRun:
    """Run a playbook now. Whoever asks for it allows its fixes, when they are in the role for that."""
    command = StartRun(
        actor=who.by,
        playbook=data.playbook,
        service=data.service,
        incident=data.incident,
        targets=data.targets,
        args={name: msgspec.json.encode(value).decode() for name, value in data.args.items()},
        role=who.role or "viewer",
    )
    result = await faces.submit(command, idempotency_key or "")
    return m.run_out(await _run(faces, int(result.id)))


@post("/runs/{number:int}/answer", tags=["playbooks"], needs="responder", status_code=200)
async def answer_run(
    faces: Faces, who: Who, number: Number, data: m.AnswerRunIn, idempotency_key: IdempotencyKey = None
) -> m.PublishedRun:
    """Answer what a run asks: ``yes`` or ``no`` to its fix, or one of its choices. 409 when it asks something else."""
    command = AnswerRun(actor=who.by, run=number, step=data.step, answer=data.answer, role=who.role or "viewer")
    await faces.submit(command, idempotency_key or "")
    return m.run_out(await _run(faces, number))


@post("/runs/{number:int}/cancel", tags=["playbooks"], needs="responder", status_code=200)
async def cancel_run(faces: Faces, who: Who, number: Number, idempotency_key: IdempotencyKey = None) -> m.PublishedRun:
    """Stop a run before it begins with anything more. Ten seconds later its process is ended."""
    await faces.submit(CancelRun(actor=who.by, run=number), idempotency_key or "")
    return m.run_out(await _run(faces, number))


@post("/runs/{number:int}/continue", tags=["playbooks"], needs="responder", status_code=200)
async def continue_run(
    faces: Faces, who: Who, number: Number, data: m.ContinueRunIn, idempotency_key: IdempotencyKey = None
) -> m.PublishedRun:
    """Continue a run that was handed over or stopped, or carry out what one suggests: as a new run, from a step on.

    The steps before it stand. A change that may have happened is made again only when its probe or ``word`` says so.
    """
    command = await resuming(faces, who.by, who.role or "viewer", number, data.why, data.step, data.word)
    result = await faces.submit(command, idempotency_key or "")
    return m.run_out(await _run(faces, int(result.id)))


@post("/runs/{number:int}/repeat", tags=["playbooks"], needs="responder", status_code=200)
async def repeat_run(
    faces: Faces, who: Who, number: Number, data: m.RepeatRunIn, idempotency_key: IdempotencyKey = None
) -> m.PublishedRun:
    """Repeat a run from its top, as a new one, on the same targets."""
    command = await resuming(faces, who.by, who.role or "viewer", number, data.why, 0, data.word)
    result = await faces.submit(command, idempotency_key or "")
    return m.run_out(await _run(faces, int(result.id)))


@post("/runs/{number:int}/take-over", tags=["playbooks"], needs="responder", status_code=200)
async def take_over_run(
    faces: Faces, who: Who, number: Number, data: m.TakeOverRunIn, idempotency_key: IdempotencyKey = None
) -> m.PublishedRun:
    """Work on a run's targets by hand: it stops, you have its incident, and code changes nothing there meanwhile.

    Until the incident is over, it is given back, or four hours have passed.
    """
    await faces.submit(TakeOverRun(actor=who.by, run=number, why=data.why), idempotency_key or "")
    return m.run_out(await _run(faces, number))


@post("/runs/{number:int}/give-back", tags=["playbooks"], needs="responder", status_code=200)
async def give_back_run(
    faces: Faces, who: Who, number: Number, idempotency_key: IdempotencyKey = None
) -> m.PublishedRun:
    """Let code work again on what was taken over."""
    await faces.submit(GiveBackRun(actor=who.by, run=number), idempotency_key or "")
    return m.run_out(await _run(faces, number))


@post("/runs/{number:int}/compare", tags=["playbooks"], needs="responder", status_code=200)
async def compare_run(
    faces: Faces, who: Who, number: Number, data: m.CompareRunIn, idempotency_key: IdempotencyKey = None
) -> m.PublishedRun:
    """Say whether what a run that only watched would have done is what was done. It counts for the playbook's trust."""
    command = CompareRun(actor=who.by, run=number, same=data.same, did=data.did)
    await faces.submit(command, idempotency_key or "")
    return m.run_out(await _run(faces, number))


async def _run(faces: Faces, number: int) -> Run:
    return await faces.found(f"run {number}", faces.reads.run, number)


HANDLERS: list[ControllerRouterHandler] = [
    list_playbooks,
    read_guards,
    list_coverage,
    set_trust,
    list_runs,
    read_run,
    read_run_guards,
    start_run,
    answer_run,
    cancel_run,
    continue_run,
    repeat_run,
    take_over_run,
    give_back_run,
    compare_run,
]
