"""The list of incidents and the room of one: what goes on, why, what happens next, and what a person does."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, NamedTuple

from litestar import Request, Response, get, post
from litestar.response import Redirect

from tocsin.alerts.alert import Alert
from tocsin.catalog.services import INBOX
from tocsin.engine import suspecting
from tocsin.engine.commands import (
    Acknowledge,
    AddNote,
    AddResponders,
    AnyCommand,
    ApplyPlan,
    Reassign,
    Resolve,
    Snooze,
)
from tocsin.engine.records import HeardChange
from tocsin.faces.around import around
from tocsin.faces.faces import Faces
from tocsin.faces.problem import Problem, not_found
from tocsin.faces.who import Who
from tocsin.incidents.incident import Incident
from tocsin.kernel.instant import DAY, HOUR, MINUTE, Duration, from_datetime, to_datetime
from tocsin.kernel.reason import EXPLAINED, Reason
from tocsin.pages.ledger import Page
from tocsin.store.reads import OPEN_STATES, Reads
from tocsin.web.checklists import checklists_of
from tocsin.web.playbooks import TRUSTED, runs_of, startable
from tocsin.web.view import View, fields, leads_to, once, view, with_query
from tocsin.web.words import Line, Reader, because, count, listed

SHOWN = 50
RESOLVED_SHOWN = 8
RESOLVED_LATELY: Duration = DAY
ALERTS_SHOWN = 20
CHANGES_SHOWN = 10
ENTRIES_SHOWN = 100
SNOOZES: tuple[tuple[str, Duration], ...] = (("15 min", 15 * MINUTE), ("1 h", HOUR), ("4 h", 4 * HOUR), ("1 d", DAY))
PUT_OFF: tuple[tuple[str, Duration], ...] = (("for 30 min", 30 * MINUTE), ("for 1 h", HOUR), ("for 4 h", 4 * HOUR))
MORNING = 8
"""At this hour of the reader's morning what was put off until then begins again."""
STATES = {
    "": OPEN_STATES,
    "triggered": ("triggered",),
    "acknowledged": ("acknowledged",),
    "resolved": ("resolved",),
    "all": (),
}
NOTE_LONGEST = 10_000
QUIET = frozenset({Reason.SILENCED, Reason.CLEARING, Reason.PLAYBOOK_RUNS, Reason.PLAYBOOK_VERIFIED})
"""Why nobody is paged although an incident is triggered."""


class Chosen(NamedTuple):
    """The filters, as the address says them."""

    state: str = ""
    service: str = ""
    severity: str = ""
    text: str = ""

    def link(self, **other: str) -> str:
        """The list with some of them changed."""
        return with_query("/", **{**self._asdict(), **other})


class Group(NamedTuple):
    """Incidents that ask the same of the reader."""

    key: str
    name: str
    note: str
    rows: list[tuple[Incident, Line]]


class Listing(NamedTuple):
    """Everything the list is drawn from, read in one go."""

    incidents: list[Incident]
    next: str | None
    lately: list[Incident]
    pages: dict[int, list[Page]]
    triggered: int
    acknowledged: int
    silences: int
    parked: int


@get(["/", "/incidents"])
async def incidents_page(request: Request[Any, Any, Any], faces: Faces, who: Who) -> Response[bytes]:
    """Open incidents by who must act, and what was resolved lately; or what the filters in the address choose."""
    asked = request.query_params
    state = asked.get("state", "")
    chosen = Chosen(
        state if state in STATES else "",
        asked.get("service", ""),
        asked.get("severity", ""),
        asked.get("text", "").strip()[:200],
    )
    seen = await view(request, faces, who)
    found = await faces.read(_listing, faces.reads, chosen, asked.get("after") or None, seen.now)
    reader = seen.reader
    shown = found.incidents
    groups = _groups(reader, found)
    filtered = any(chosen[1:])
    # Counted over everything open; with a filter, over what it leaves.
    needed = found.triggered if not filtered else sum(one.state == "triggered" for one in shown)
    held = found.acknowledged if not filtered else sum(one.state == "acknowledged" for one in shown)
    quiet = sum(_kept_quiet(one) for one in shown)
    first, more = _paged_first(seen)
    return seen.draw(
        "incidents.html",
        headline=_headline(reader, chosen, needed - quiet, held, quiet),
        under=_under(reader, found, chosen),
        needed=max(0, needed - quiet),
        tabs=[
            ("", "Open", found.triggered + found.acknowledged),
            ("triggered", "Triggered", found.triggered),
            ("acknowledged", "Acknowledged", found.acknowledged),
            ("resolved", "Resolved", None),
            ("all", "All", None),
        ],
        tab_links={key: chosen.link(state=key) for key in STATES},
        chosen=chosen,
        clear=Chosen(chosen.state).link(),
        services=sorted({*(seen.plan.services if seen.plan else ()), *((chosen.service,) if chosen.service else ())}),
        groups=groups,
        nothing=_nothing(chosen, filtered),
        fresh=not filtered and not chosen.state and not found.lately,
        older=with_query("/", **chosen._asdict(), after=found.next) if found.next else "",
        newer=chosen.link() if asked.get("after") else "",
        first=first,
        first_more=more,
        silences=found.silences,
        parked=found.parked,
    )


def _listing(reads: Reads, chosen: Chosen, after: str | None, now: int) -> Listing:
    sliced = reads.incidents(
        states=STATES[chosen.state],
        service=chosen.service,
        severity=chosen.severity,
        words=chosen.text,
        after=after,
        limit=SHOWN,
    )
    lately: list[Incident] = []
    if chosen.state == "" and after is None:
        recent = reads.incidents(
            states=("resolved",),
            service=chosen.service,
            severity=chosen.severity,
            words=chosen.text,
            limit=RESOLVED_SHOWN,
        )
        lately = [one for one in recent.items if (one.resolved_at or 0) > now - RESOLVED_LATELY]
    counts = reads.open_counts()
    paged = [one.number for one in sliced.items if one.state == "triggered" and one.pages]
    pages = reads.latest_pages(paged, each=10) if paged else {}
    return Listing(
        sliced.items,
        sliced.next,
        lately,
        pages,
        sum(one.triggered for one in counts),
        sum(one.acknowledged for one in counts),
        sum(one.state(now) == "active" for one in reads.silences(now, limit=500).items),
        len(reads.parked(limit=100).items),
    )


def _kept_quiet(incident: Incident) -> bool:
    return incident.state == "triggered" and incident.paused in QUIET


def _groups(reader: Reader, found: Listing) -> list[Group]:
    def rows(those: list[Incident]) -> list[tuple[Incident, Line]]:
        return [(one, reader.now_line(one, found.pages.get(one.number, ()))) for one in those]

    gravest = sorted(found.incidents, key=lambda one: (one.severity, -one.number))
    made = []
    for key, name, note, those in (
        ("need", "Needs a person", "", [one for one in gravest if one.state == "triggered" and not _kept_quiet(one)]),
        ("held", "Somebody has it", "", [one for one in gravest if one.state == "acknowledged"]),
        ("quiet", "Kept quiet", ", nobody is paged", [one for one in gravest if _kept_quiet(one)]),
        ("past", "Resolved", "", [one for one in found.incidents if not one.open]),
        ("lately", "Resolved lately", " in the last 24 h", found.lately),
    ):
        if those:
            many = f"{len(those)}{'+' if found.next and key != 'lately' else ''}"
            made.append(Group(key, name, many + note, rows(those)))
    return made


def _headline(reader: Reader, chosen: Chosen, needed: int, held: int, quiet: int) -> str:
    if chosen.state == "resolved":
        return "What was resolved, newest first."
    return reader.headline(max(0, needed), held, quiet)


def _under(reader: Reader, found: Listing, chosen: Chosen) -> str:
    said = []
    mine = [one for one in found.incidents if one.state == "acknowledged" and reader.is_you(one.acknowledged_by)]
    if mine:
        said.append(f"You have {listed([f'#{one.number}' for one in mine[:5]])}.")
    only = [
        part for part in (chosen.service, chosen.severity.upper(), f"“{chosen.text}”" if chosen.text else "") if part
    ]
    if only:
        said.append(f"Only {listed(only)}.")
    if not found.incidents and found.lately and not only:
        last = max(one.resolved_at or 0 for one in found.lately)
        said.append(f"The last incident was resolved at {reader.minute(last)}.")
    return " ".join(said)


def _nothing(chosen: Chosen, filtered: bool) -> str:
    if filtered:
        return "No incident matches these filters."
    return {
        "triggered": "Nothing is triggered.",
        "acknowledged": "Nobody holds an incident.",
        "resolved": "Nothing has been resolved yet.",
        "all": "There has been no incident yet.",
    }.get(chosen.state, "Nothing is open, and nothing was resolved in the last 24 hours.")


def _paged_first(seen: View, most: int = 6) -> tuple[list[tuple[str, str]], int]:
    """Who is paged first, by service; the inbox last."""
    plan = seen.plan
    if plan is None:
        return [], 0
    names = sorted(plan.services, key=lambda name: (name == INBOX, plan.services[name].tier, name))
    first = [(name, seen.reader.targets(plan.steps(name)[0].targets)) for name in names if plan.steps(name)]
    return first[:most], max(0, len(first) - most)


# -- one incident ------------------------------------------------------------------------------------------------------


class StepView(NamedTuple):
    """One step of the escalation as the room shows it."""

    number: int
    names: str
    wait: Duration
    repeat: int
    state: str
    """``done``, ``next`` or ``later``."""
    last_page: Page | None


@get("/incidents/{number:int}")
async def incident_page(request: Request[Any, Any, Any], faces: Faces, who: Who, number: int) -> Response[bytes]:
    """The room of one incident."""
    seen = await view(request, faces, who)
    return await _room(seen, number)


async def _room(
    seen: View, number: int, *, code: int = 200, faults: dict[str, str] | None = None, typed: str = ""
) -> Response[bytes]:
    faces, reader = seen.faces, seen.reader
    incident = await faces.read(faces.reads.incident, number)
    if incident is None:
        raise not_found(f"incident {number}")
    asked = seen.request.query_params
    everything = asked.get("alerts") == "all"
    alerts = await faces.read(faces.reads.alerts, incident=number, limit=500 if everything else 200)
    entries = await faces.read(
        faces.reads.timeline, number, newest_first=True, after=asked.get("after") or None, limit=ENTRIES_SHOWN
    )
    pages = await faces.read(faces.reads.pages, incident=number, limit=100)
    changes = await faces.read(
        faces.reads.changes, **around(incident, seen.plan)._asdict(), limit=500 if everything else CHANGES_SHOWN
    )
    ordered = sorted(alerts.items, key=lambda one: (not one.firing, one.severity, -one.id))
    firing = sum(one.firing for one in ordered)
    runs, playbooks = await runs_of(seen, number), await startable(seen, incident)
    idle = all(not one.run.live for one in runs)
    return seen.draw(
        "incident.html",
        code=code,
        incident=incident,
        fate=reader.fate(incident),
        line=reader.now_line(incident, pages.items),
        alerts=ordered if everything else ordered[:ALERTS_SHOWN],
        more_alerts=0 if everything else max(0, incident.alerts - ALERTS_SHOWN),
        firing=firing,
        firing_more=alerts.next is not None,
        entries=[(stored, reader.who(stored.entry.actor)) for stored in entries.items],
        older=with_query(f"/incidents/{number}", after=entries.next) if entries.next else "",
        newer=f"/incidents/{number}" if asked.get("after") else "",
        changes=changes.items,
        more_changes=changes.next is not None,
        suspect=_suspected(seen, incident, changes.items),
        pages=pages.items,
        people_paged=len({page.person for page in pages.items if page.left}),
        pages_left=sum(page.left for page in pages.items),
        steps=_steps(reader, incident, pages.items),
        whys=_whys(reader, incident, pages.items),
        snoozes=SNOOZES,
        hour=HOUR,
        moves=_moves(seen, incident),
        runs=runs,
        playbooks=playbooks,
        checklists=checklists_of(seen, incident, {one.manifest.name for one in playbooks if idle}),
        trusted=TRUSTED,
        faults=faults or {},
        typed=typed,
    )


def _suspected(seen: View, incident: Incident, changes: list[HeardChange]) -> int:
    """The id of the change that is suspected, 0 when none is."""
    services = seen.plan.with_needs(incident.service) if seen.plan is not None else (incident.service,)
    found = suspecting.suspect(changes, services, suspecting.began(incident))
    return found.id if found is not None else 0


def _steps(reader: Reader, incident: Incident, pages: list[Page]) -> list[StepView]:
    made = []
    for index, step in enumerate(incident.steps):
        last = next((page for page in pages if page.kind == "page" and page.step == index), None)
        state = "later"
        if (
            incident.state == "triggered"
            and incident.paused is None
            and incident.next_at is not None
            and index == incident.step
        ):
            state = "next"
        elif last is not None:
            state = "done"
        only = f", only for {step.when.said}" if step.when.said else ""
        made.append(StepView(index + 1, reader.targets(step.targets) + only, step.wait, step.repeat, state, last))
    if reader.plan is not None and incident.open:
        last = next((page for page in pages if page.kind == "page" and page.step >= len(incident.steps)), None)
        upcoming = incident.state == "triggered" and incident.paused is None and incident.step >= len(incident.steps)
        state = "next" if upcoming else "done" if last else "later"
        made.append(StepView(0, reader.targets(reader.plan.last_resort), 30 * MINUTE, 1, state, last))
    return made


def _whys(reader: Reader, incident: Incident, pages: list[Page]) -> list[tuple[str, str]]:
    """Why each person was paged, or was not: the reader first."""
    plan = reader.plan
    if plan is None:
        return []
    in_steps: dict[str, int] = {}
    for index, step in enumerate(incident.steps):
        for person in plan.people_of(step.targets, reader.now, reader.covers):
            in_steps.setdefault(person.key, index)
    people = dict.fromkeys(
        [
            *([reader.person] if reader.person in plan.people else []),
            *(page.person for page in reversed(pages)),
            *in_steps,
        ]
    )
    said = []
    for key in list(people)[:20]:
        you = key == reader.person
        name, was, has = ("You", "were", "have") if you else (reader.name(key), "was", "has")
        theirs = [page for page in pages if page.person == key and page.kind == "page"]
        mine = [page for page in theirs if not page.planned] or theirs
        left = [page for page in mine if page.state != "overtaken" or page.left]
        if left:
            newest = left[0]
            times = "" if len(left) == 1 else f", {count(len(left), 'page')} in all"
            how = {
                "sent": f"{was} paged",
                "intended": f"{'are' if you else 'is'} {'to be' if left[0].planned else 'being'} paged",
                "overtaken": f"{was} paged, too late to be held back,",
                "failed": "could not be reached",
            }[newest.state]
            if newest.refused:
                how = "could not be reached yet"
            said.append((f"{name} {how} at {reader.clock(newest.intended_at)}{times}", because(newest.reason)))
        elif mine:
            said.append(
                (f"{name} {has} not been paged: the page was held back", because(mine[0].outcome or mine[0].reason))
            )
        elif key not in in_steps:
            said.append((f"{name} {was} not paged", f"no step for {incident.service} names {'you' if you else name}"))
        elif incident.state == "acknowledged":
            by = reader.who(incident.acknowledged_by)
            earlier = f"{'you' if by.you else by.name} acknowledged before step {in_steps[key] + 1} was due"
            said.append((f"{name} {was} not paged", earlier))
        elif incident.state == "resolved":
            said.append((f"{name} {was} not paged", f"it was resolved before step {in_steps[key] + 1} was due"))
        elif incident.paused is not None:
            said.append((f"{name} {was} not paged", EXPLAINED[incident.paused]))
        else:
            when = ""
            if incident.next_at is not None and in_steps[key] == incident.step:
                when = f", due at {reader.clock(incident.next_at)}"
            turn = f"{'you are' if you else name + ' is'} in step {in_steps[key] + 1}{when}"
            said.append((f"{name} {has} not been paged yet", turn))
    return said


class Moves(NamedTuple):
    """What the forms beside the button offer: whom else to give it to or ask, until when to put it off."""

    people: list[tuple[str, str]]
    teams: list[str]
    lengths: tuple[tuple[str, Duration], ...]
    mornings: list[tuple[str, int]]
    newer_plan: str
    """The version in force, when the incident follows another."""


def _moves(seen: View, incident: Incident) -> Moves | None:
    plan, reader = seen.plan, seen.reader
    if plan is None or not incident.open or not seen.who.may("responder"):
        return None
    mornings: list[tuple[str, int]] = []
    today = to_datetime(seen.now).astimezone(reader.zone)
    for day in range(8):
        local = (today + timedelta(days=day)).replace(hour=MORNING, minute=0, second=0, microsecond=0, fold=0)
        at = from_datetime(local)
        monday = day > 1 and local.weekday() == 0
        if at - seen.now >= MINUTE and (not mornings or monday):
            mornings.append((f"until {reader.minute(at)}", at))
    return Moves(
        sorted(
            ((one.key, one.name) for one in plan.people.values() if one.key != reader.person), key=lambda pair: pair[1]
        ),
        sorted(plan.teams),
        PUT_OFF,
        mornings,
        plan.version if plan.version != incident.plan else "",
    )


def _back(form: dict[str, str], number: int, done: str) -> Redirect:
    return leads_to("/" if form.get("back") == "list" else f"/incidents/{number}", done)


@post("/incidents/{number:int}/acknowledge", needs="responder", status_code=303)
async def acknowledge(request: Request[Any, Any, Any], faces: Faces, who: Who, number: int) -> Redirect:
    """Somebody has it, or has it with others who are still asked for."""
    result = await faces.submit(Acknowledge(actor=who.actor, incident=number))
    return _back(await fields(request), number, "partly" if result.reason == Reason.ANSWERED else "acknowledged")


@post("/incidents/{number:int}/resolve", needs="responder", status_code=303)
async def resolve(request: Request[Any, Any, Any], faces: Faces, who: Who, number: int) -> Redirect:
    """It is over; while alerts fire, for as long as the snooze says."""
    form = await fields(request)
    snooze = next((length for _, length in SNOOZES if str(length) == form.get("snooze")), HOUR)
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
    return await _room(await view(request, faces, who), number, code=400, faults={"text": fault}, typed=text)


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


async def refused_here(
    request: Request[Any, Any, Any], faces: Faces, who: Who, number: int, problem: Problem, place: str
) -> Response[bytes]:
    """The room again, with what was refused said where it was asked for."""
    if problem.status not in (400, 409):
        raise problem
    said = problem.detail.removeprefix(f"{problem.field}: ")
    faults = {place: f"{said[:1].upper()}{said[1:]}{'' if said.endswith('.') else '.'}"}
    return await _room(await view(request, faces, who), number, code=problem.status, faults=faults)


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
    command = AddResponders(
        actor=who.actor, incident=number, targets=(form.get("target", ""),), note=_note_of(form)
    )
    return await _move(request, faces, who, number, command, "help", "asked")


@post("/incidents/{number:int}/apply-plan", needs="responder", status_code=303)
async def apply_plan(
    request: Request[Any, Any, Any], faces: Faces, who: Who, number: int
) -> Response[bytes] | Redirect:
    """Follow the plan now in force."""
    command = ApplyPlan(actor=who.actor, incident=number)
    return await _move(request, faces, who, number, command, "apply", "applied")


def quiet_reason(reader: Reader, alert: Alert, incident: Incident | None) -> str:
    """Why an alert pages nobody at this moment, or "" when it does."""
    if not alert.firing:
        return because(alert.reason)
    if alert.silences:
        return EXPLAINED[Reason.SILENCED]
    if alert.reason is Reason.COUNTS_AS_HEARTBEAT:
        return because(alert.reason)
    if incident is None:
        return because(alert.reason)
    if incident.state == "acknowledged":
        by = reader.who(incident.acknowledged_by)
        return f"{'you have' if by.you else by.name + ' has'} #{incident.number}"
    if incident.state == "resolved":
        return because(incident.reason)
    if incident.paused is not None:
        return EXPLAINED[incident.paused]
    return ""


handlers = [
    incidents_page,
    incident_page,
    acknowledge,
    resolve,
    note,
    reassign,
    snooze,
    ask_for_help,
    apply_plan,
]
