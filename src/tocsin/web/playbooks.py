"""Playbooks: what each may do and how it did; a run with its steps; and what people say to one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple
from urllib.parse import quote

from litestar import Request, Response, get, post
from litestar.response import Redirect

from tocsin.alerts.alert import Alert
from tocsin.engine.asking import asked_by
from tocsin.engine.commands import (
    AnswerRun,
    AnyCommand,
    CancelRun,
    CompareRun,
    GiveBackRun,
    SetTrust,
    StartRun,
    TakeOverRun,
)
from tocsin.faces.answering import InService, in_service, resuming
from tocsin.faces.faces import Faces
from tocsin.faces.problem import Problem, not_found
from tocsin.faces.who import Who
from tocsin.incidents.incident import Incident
from tocsin.plan.model import Plan
from tocsin.playbooks.guards import guards_of, say_guard
from tocsin.playbooks.left import Guarding
from tocsin.playbooks.manifest import RUNGS, Rung
from tocsin.playbooks.resuming import RESUMABLE, Word
from tocsin.playbooks.run import Run, Step
from tocsin.playbooks.trust import lower_bound
from tocsin.runtime.line import Weighing
from tocsin.web.graphs import Graph, graph
from tocsin.web.view import View, fields, leads_to, once, view, with_query
from tocsin.web.words import count

RUNS_SHOWN = 20
LATEST = 10
"""So many runs the page of playbooks has below its cards; older ones are a page further."""
FEW = 3
"""Up to so many cards are unfolded, and nobody has to look for one."""
CARDS = 12
"""Up to so many are cards with all that can be done; more are a list that leads to each, on a phone above all."""
LISTED = 25
"""So many a page of that list has."""
LIVE = ("running", "asking", "watching")
TRUSTED: dict[Rung, str] = {"observe": "Observes", "suggest": "Suggests", "ask": "Asks first", "act": "Acts alone"}
CAME_TO = {
    "verified": ("rest", "ok", "Fixed and verified"),
    "done": ("rest", "ok", "Done"),
    "observed": ("mute", "ok", "Observed"),
    "suggested": ("held", "pen", "Suggested a fix"),
    "not_needed": ("mute", "slash", "Nothing to fix"),
    "blocked": ("mute", "slash", "Not run"),
    "cancelled": ("mute", "x", "Stopped"),
    "overtaken": ("mute", "ok", "Not needed any more"),
    "handed_over": ("ring", "bell", "Handed over"),
    "running": ("code", "run", "Runs now"),
    "asking": ("held", "half", "Asks you"),
    "watching": ("watch", "clock", "Fixed, watching"),
}
"""State badges: look, sign and words, by outcome, or by state while it lives."""
VERBS = {"look": "Looked", "fix": "Fixed", "verify": "Verified", "ask": "Asked", "tell": "Said", "when": "Is it meant?"}


GUARDS: dict[Guarding, str] = {
    "rate": "Rate", "budget": "Shared budget", "cooldown": "Cooldown", "blast": "Blast radius", "freeze": "Freeze",
    "breaker": "Breaker", "unless": "Not beside", "lock": "Lock", "person": "People", "target": "Target",
    "midst": "Left half-changed",
}  # fmt: skip


class RunView(NamedTuple):
    """One run as it is drawn."""

    run: Run
    steps: list[Step]
    badge: tuple[str, str, str]
    mine: bool
    """Whether whoever looks may answer it."""
    graphs: list[Graph]
    """What probes measured around it."""
    resumable: bool
    """Whether whoever looks may have it go on, or repeated."""
    taken: bool
    """Whether somebody works on its targets by hand."""
    unsaid: bool
    """Whether whoever looks is asked if what it would have done is what was done."""
    said: bool
    """Whether somebody said so, and whoever looks can say otherwise."""
    before: Weighing | None
    """What is left of its guards while it asks."""


class Card(NamedTuple):
    """One playbook with one service."""

    of: InService
    answers: str
    guards: list[str]
    held: str
    choices: list[tuple[str, list[str]]]
    """Which targets it may be run on now, by parameter, where there are several."""
    asks: list[str]
    """Parameters that have no default: it is run from the command line, where they can be given."""


    @property
    def place(self) -> str:
        """Which one is meant, in forms."""
        return f"{self.of.service}/{self.of.manifest.name}"


class Chosen(NamedTuple):
    """Which playbooks are looked for; "" for any."""

    service: str = ""
    trust: str = ""
    text: str = ""


def _is_meant(card: Card, chosen: Chosen) -> bool:
    if chosen.service not in ("", card.of.service) or chosen.trust not in ("", card.of.rung):
        return False
    manifest = card.of.manifest
    there = f"{manifest.name} {card.of.service} {manifest.about} {card.answers}".casefold()
    return all(word in there for word in chosen.text.casefold().split())


async def runs_of(seen: View, incident: int, alerts: Sequence[Alert] = ()) -> list[RunView]:
    """The runs of an incident, the newest first, with their steps. ``alerts``: its own; a run that no incident began
    is behind the one that says that it asks.
    """
    found = (await seen.faces.read(seen.faces.reads.runs, incident=incident, limit=RUNS_SHOWN)).items
    asking = [number for one in alerts if one.firing and (number := asked_by(one))]
    if asking:
        theirs = await seen.faces.read(seen.faces.reads.runs_by_number, asking[:RUNS_SHOWN])
        found = [*(one for one in theirs.values() if one.state == "asking"), *found]
    return [await _seen(seen, one) for one in found]


async def _seen(seen: View, run: Run) -> RunView:
    steps = await seen.faces.read(seen.faces.reads.steps, run.number)
    approval = run.approval
    mine = approval is not None and seen.who.may("admin" if approval.role == "admin" else "responder")
    responds = seen.who.may("responder")
    series = await seen.faces.read(seen.faces.reads.measured, run.number)
    return RunView(
        run, steps, CAME_TO[run.outcome or run.state], mine,
        graphs=[graph(one, run, seen.reader) for one in series if one.points],
        resumable=responds and run.outcome in RESUMABLE and not run.resumed,
        taken=run.taken_until is not None and run.taken_until > seen.reader.now,
        unsaid=responds and bool(run.would) and (not run.agreement or run.agreed_run > 0),
        said=responds and bool(run.agreement) and not run.agreed_run,
        before=await seen.faces.guards(run.service, run.playbook, run=run.number) if run.state == "asking" else None,
    )  # fmt: skip


async def startable(seen: View, incident: Incident) -> list[InService]:
    """The playbooks a person may have run for an incident."""
    if not incident.open or not seen.who.may("responder"):
        return []
    return in_service(seen.plan, await seen.faces.read(seen.faces.reads.standings), incident.service)


@get("/playbooks")
async def playbooks_page(request: Request[Any, Any, Any], faces: Faces, who: Who) -> Response[bytes]:
    """Every playbook with every service it answers for, and the latest runs."""
    return await _playbooks(await view(request, faces, who))


async def _playbooks(seen: View, code: int = 200, faults: dict[str, str] | None = None) -> Response[bytes]:
    faces, asked = seen.faces, seen.request.query_params
    standings = await faces.read(faces.reads.standings)
    everyone = in_service(seen.plan, standings)
    chosen = Chosen(*(asked.get(name, "").strip() for name in Chosen._fields))
    if faults:  # where it was asked, its form is open
        chosen = Chosen()
    cards = [card for card in (_card(one, seen.plan) for one in everyone) if _is_meant(card, chosen)]
    if faults and len(cards) > CARDS:
        cards = [card for card in cards if {card.place, f"run {card.place}"} & faults.keys()] or cards
    skipped = asked.get("from", "")
    begin = int(skipped) if skipped.isascii() and skipped.isdecimal() and len(skipped) < 6 else 0
    rows = cards[begin : begin + LISTED] if len(cards) > CARDS else []
    following = str(begin + LISTED) if rows and begin + LISTED < len(cards) else ""
    filtered: dict[str, str | None] = dict(chosen._asdict())
    runs = await faces.read(faces.reads.runs, after=asked.get("after") or None, limit=LATEST)
    acting = sum(one.rung == "act" for one in everyone)
    asking = (await faces.read(faces.reads.runs, states=("asking",), limit=RUNS_SHOWN)).items
    if asking:
        headline = f"{count(len(asking), 'run')} {'waits' if len(asking) == 1 else 'wait'} for an answer."
    elif everyone:
        answer = "answers" if len(everyone) == 1 else "answer"
        headline = f"{count(len(everyone), 'playbook')} {answer}, {acting or 'none'} alone."
    else:
        headline = "No playbook answers for a service yet."
    return seen.draw(
        "playbooks.html",
        code=code,
        headline=headline,
        cards=cards,
        rows=rows,
        found=len(cards),
        total=len(everyone),
        services=sorted({one.service for one in everyone}),
        chosen=chosen,
        clear=any(chosen),
        more=with_query("/playbooks", **filtered, **{"from": following}) if following else "",
        first=with_query("/playbooks", **filtered) if rows and begin else "",
        few=FEW,
        trusted=TRUSTED,
        rungs=RUNGS,
        asking=asking,
        runs=[(one, CAME_TO[one.outcome or one.state]) for one in runs.items],
        older=with_query("/playbooks", **filtered, after=runs.next) if runs.next else "",
        newer=with_query("/playbooks", **filtered) if asked.get("after") else "",
        faults=faults or {},
    )


def _card(one: InService, plan: Plan | None) -> Card:
    manifest = one.manifest
    groups = [" ".join(map(str, group)) for group in manifest.answers]
    answers = " or ".join(groups) or (f"nothing; runs at {manifest.schedule}" if manifest.schedule else "nothing")
    standing = one.standing
    of = (standing.held + standing.failed) if standing else 0
    held = f"{standing.held} of {count(of, 'run')} held" if standing and of else "no runs yet on this rung"
    watched = (standing.agreed + standing.differed) if standing else 0
    if standing and watched:
        least = f"at least {lower_bound(standing.agreed, watched):.0%} by Wilson's lower bound"
        agreed = f"people did what it would have done {standing.agreed} of {count(watched, 'time')}, {least}"
        held = f"{held}; {agreed}" if of else agreed
    there = plan.bindings.of(one.service).values() if plan is not None else ()
    of_kind = [(param.name, [it.name for it in there if it.kind == param.kind]) for param in manifest.targets]
    choices = [(name, names) for name, names in of_kind if len(names) > 1]
    asks = [param.name for param in manifest.params if not param.target and not param.default]
    return Card(one, answers, [say_guard(guard) for guard in guards_of(manifest)], held, choices, asks)


@get("/playbooks/{service:str}/{playbook:str}")
async def playbook_page(
    request: Request[Any, Any, Any], faces: Faces, who: Who, service: str, playbook: str
) -> Response[bytes]:
    """One playbook with one service: what is left of its guards, what it lacks for more trust, and its last runs."""
    return await _playbook_page(await view(request, faces, who), service, playbook)


async def _playbook_page(
    seen: View, service: str, playbook: str, code: int = 200, faults: dict[str, str] | None = None
) -> Response[bytes]:
    faces = seen.faces
    found = in_service(seen.plan, await faces.read(faces.reads.standings), service)
    one = next((one for one in found if one.manifest.name == playbook), None)
    if one is None:
        raise not_found(f"playbook {playbook} of {service}")
    target = seen.request.query_params.get("target", "")
    runs = await faces.read(faces.reads.runs, playbook=playbook, service=service, limit=RUNS_SHOWN)
    there = seen.plan.bindings.of(service).values() if seen.plan is not None else ()
    kinds = {param.kind for param in one.manifest.targets}
    return seen.draw(
        "playbook.html",
        code=code,
        faults=faults or {},
        rungs=RUNGS,
        card=_card(one, seen.plan),
        weighing=await faces.guards(service, playbook, target),
        target=target,
        targets=[it.name for it in there if it.kind in kinds] if len(one.manifest.targets) == 1 else [],
        trusted=TRUSTED,
        guards=GUARDS,
        runs=[(run, CAME_TO[run.outcome or run.state]) for run in runs.items],
    )


@get("/runs/{number:int}")
async def run_page(request: Request[Any, Any, Any], faces: Faces, who: Who, number: int) -> Response[bytes]:
    """One run: what it looked at, what it changed, what it came to."""
    return await _run_page(await view(request, faces, who), number)


async def _run_page(seen: View, number: int, code: int = 200, fault: str = "") -> Response[bytes]:
    run = await seen.faces.found(f"run {number}", seen.faces.reads.run, number)
    return seen.draw(
        "run.html", code=code, one=await _seen(seen, run), verbs=VERBS, trusted=TRUSTED, fault=fault, live=LIVE,
        guards=GUARDS, at=f"/runs/{number}",
    )  # fmt: skip


async def _tell(
    request: Request[Any, Any, Any], faces: Faces, who: Who, number: int, command: AnyCommand, done: str
) -> Response[bytes] | Redirect:
    """Tell a run something; what is refused is said on its page."""
    try:
        await faces.submit(command)
    except Problem as problem:
        if problem.status not in (400, 403, 409):
            raise
        return await _run_page(await view(request, faces, who), number, problem.status, problem.detail)
    run = await faces.read(faces.reads.run, number)
    return leads_to(f"/incidents/{run.incident}" if run is not None and run.incident else f"/runs/{number}", done)


@post("/runs/{number:int}/answer", needs="responder", status_code=303)
async def answer(request: Request[Any, Any, Any], faces: Faces, who: Who, number: int) -> Response[bytes] | Redirect:
    """Say yes or no to a fix, or choose."""
    form = await fields(request)
    step = form.get("step", "")
    command = AnswerRun(
        actor=who.actor,
        run=number,
        step=int(step) if step.isdecimal() and len(step) < 6 else 0,
        answer=form.get("answer", ""),
        role=who.role or "viewer",
    )
    return await _tell(request, faces, who, number, command, "answered")


@post("/runs/{number:int}/cancel", needs="responder", status_code=303)
async def cancel(request: Request[Any, Any, Any], faces: Faces, who: Who, number: int) -> Response[bytes] | Redirect:
    """Stop a run."""
    await fields(request)
    return await _tell(request, faces, who, number, CancelRun(actor=who.actor, run=number), "stopped")


@post("/runs/{number:int}/resume", needs="responder", status_code=303)
async def resume(request: Request[Any, Any, Any], faces: Faces, who: Who, number: int) -> Response[bytes] | Redirect:
    """Continue a run at a step, or repeat it."""
    form = await fields(request)
    step, why = form.get("step", ""), " ".join(form.get("why", "").split())
    if not (step.isascii() and step.isdecimal() and len(step) < 6):  # 0 would repeat all of it
        return await _run_page(await view(request, faces, who), number, 400, "Say from which step: 0 is the top")
    at = int(step)
    words: dict[str, Word] = {"again": "again", "done": "done"}
    word = words.get(form.get("word", ""), "")
    try:
        command = await resuming(faces, who.actor, who.role or "viewer", number, why, at, word)
    except Problem as problem:
        if problem.status != 409:
            raise
        return await _run_page(await view(request, faces, who), number, problem.status, problem.detail)
    return await _tell(request, faces, who, number, command, "continued" if at else "repeated")


@post("/runs/{number:int}/take-over", needs="responder", status_code=303)
async def take_over(request: Request[Any, Any, Any], faces: Faces, who: Who, number: int) -> Response[bytes] | Redirect:
    """Work on a run's targets by hand."""
    why = " ".join((await fields(request)).get("why", "").split())
    return await _tell(request, faces, who, number, TakeOverRun(actor=who.actor, run=number, why=why), "taken")


@post("/runs/{number:int}/give-back", needs="responder", status_code=303)
async def give_back(request: Request[Any, Any, Any], faces: Faces, who: Who, number: int) -> Response[bytes] | Redirect:
    """Let code work again on what was taken over."""
    await fields(request)
    return await _tell(request, faces, who, number, GiveBackRun(actor=who.actor, run=number), "given-back")


@post("/runs/{number:int}/compare", needs="responder", status_code=303)
async def compare(request: Request[Any, Any, Any], faces: Faces, who: Who, number: int) -> Response[bytes] | Redirect:
    """Say whether what a run would have done is what was done."""
    form = await fields(request)
    words = {"yes": True, "no": False, "undo": None}
    if form.get("same") not in words:
        return await _run_page(await view(request, faces, who), number, 400, "Say whether that was done: yes or no")
    did = " ".join(form.get("did", "").split())
    same = words[form["same"]]
    command = CompareRun(actor=who.actor, run=number, same=same, did=did)
    return await _tell(request, faces, who, number, command, "compared" if same is not None else "unsaid")


async def _refused(
    request: Request[Any, Any, Any], faces: Faces, who: Who, problem: Problem, field: str, form: Mapping[str, str]
) -> Response[bytes]:
    """The page something was asked on, with why it was refused: above, and where it was asked."""
    if problem.status not in (400, 403, 404, 409):
        raise problem
    said = problem.detail.removeprefix(f"{problem.field}: ")
    faults, seen = {"": said, field: said}, await view(request, faces, who)
    if form.get("own"):
        return await _playbook_page(seen, form.get("service", ""), form.get("playbook", ""), problem.status, faults)
    return await _playbooks(seen, problem.status, faults)


@post("/playbooks/trust", needs="responder", status_code=303)
async def trust(request: Request[Any, Any, Any], faces: Faces, who: Who) -> Response[bytes] | Redirect:
    """Say what a playbook is trusted with, and why."""
    form = await fields(request)
    place = f"{form.get('service', '')}/{form.get('playbook', '')}"
    command = SetTrust(
        actor=who.actor,
        service=form.get("service", ""),
        playbook=form.get("playbook", ""),
        rung=form.get("rung", ""),
        why=" ".join(form.get("why", "").split()),
        role=who.role or "viewer",
    )
    try:
        await faces.submit(command)
    except Problem as problem:
        return await _refused(request, faces, who, problem, place, form)
    own = f"/playbooks/{quote(command.service)}/{quote(command.playbook)}"
    return leads_to(own if form.get("own") else "/playbooks", "trusted")


@post("/playbooks/run", needs="responder", status_code=303)
async def run_now(request: Request[Any, Any, Any], faces: Faces, who: Who) -> Response[bytes] | Redirect:
    """Have a playbook run for a service, without an incident."""
    form = await fields(request)
    place = f"{form.get('service', '')}/{form.get('playbook', '')}"
    command = StartRun(
        actor=who.actor,
        playbook=form.get("playbook", ""),
        service=form.get("service", ""),
        targets={name.removeprefix("on-"): value for name, value in form.items() if name.startswith("on-")},
        role=who.role or "viewer",
    )
    try:
        result = await faces.submit(command, once(form))
    except Problem as problem:
        return await _refused(request, faces, who, problem, f"run {place}", form)
    return leads_to(f"/runs/{result.id}", "runs")


handlers = [
    playbooks_page, playbook_page, run_now, run_page, answer, cancel, resume, take_over, give_back, compare, trust,
]  # fmt: skip
