"""The room of one incident: what goes on, why, what happens next, and what a person may do."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, NamedTuple

from litestar import Request, Response, get

from tocsin.alerts.alert import Alert
from tocsin.engine import suspecting
from tocsin.engine.records import HeardChange
from tocsin.faces.around import around
from tocsin.faces.faces import Faces
from tocsin.faces.problem import Problem
from tocsin.faces.who import Who
from tocsin.incidents.incident import Incident
from tocsin.kernel.instant import DAY, HOUR, MINUTE, Duration, Instant, from_datetime, to_datetime
from tocsin.kernel.reason import SAYS_WHY
from tocsin.pages.ledger import Page
from tocsin.store.reads import CursorError, Reads, Slice
from tocsin.web.by_target import places, tries
from tocsin.web.checklists import checklists_of
from tocsin.web.ledger import lines
from tocsin.web.playbooks import GUARDS, TRUSTED, RunView, runs_of, startable
from tocsin.web.view import View, view, with_query
from tocsin.web.whys import whys
from tocsin.web.words import Reader

ALERTS_SHOWN = 20
ALERTS_READ, ALERTS_A_PAGE = 200, 500
CHANGES_SHOWN = 10
ENTRIES_SHOWN = 100
SNOOZES: tuple[tuple[str, Duration], ...] = (("15 min", 15 * MINUTE), ("1 h", HOUR), ("4 h", 4 * HOUR), ("1 d", DAY))
PUT_OFF: tuple[tuple[str, Duration], ...] = (("for 30 min", 30 * MINUTE), ("for 1 h", HOUR), ("for 4 h", 4 * HOUR))
MORNING = 8
"""At this hour of the reader's morning what was put off until then begins again."""


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
    return await room(seen, number)


async def room(
    seen: View, number: int, *, code: int = 200, faults: dict[str, str] | None = None, typed: str = ""
) -> Response[bytes]:
    """Draw it. ``faults``: what was refused, by where it was asked for; ``typed``: the note that is given back."""
    faces, reader = seen.faces, seen.reader
    incident = await faces.found(f"incident {number}", faces.reads.incident, number)
    asked = seen.request.query_params
    everything = asked.get("alerts") == "all"
    alerts = await faces.read(
        firing_first,
        faces.reads,
        number,
        after=asked.get("from") or None if everything else None,
        limit=ALERTS_A_PAGE if everything else ALERTS_READ,
    )
    counted = await faces.firing(number)
    entries = await faces.read(
        faces.reads.timeline, number, newest_first=True, after=asked.get("after") or None, limit=ENTRIES_SHOWN
    )
    pages = await faces.read(faces.reads.pages, incident=number, limit=100)
    changes = await faces.read(
        faces.reads.changes, **around(incident, seen.plan)._asdict(), limit=500 if everything else CHANGES_SHOWN
    )
    ordered = sorted(alerts.items, key=lambda one: (not one.firing, one.severity, -one.id))
    # The core has it at hand; the database is asked when it is away or stands by, and looks at each.
    firing = counted.count if counted is not None else None
    if firing is None:
        firing = await faces.read(faces.reads.firing, number)
    runs, playbooks = await runs_of(seen, number, alerts.items), await startable(seen, incident)
    idle = all(one.run.state in ("watching", "ended") for one in runs)
    return seen.draw(
        "incident.html",
        code=code,
        incident=incident,
        fate=reader.fate(incident, pages.items),
        ended=None if incident.open else reader.ended(incident, pages.items, runs[0].run if runs else None)[1],
        alerts=ordered if everything else ordered[:ALERTS_SHOWN],
        more_alerts=0 if everything else max(0, incident.alerts - ALERTS_SHOWN),
        firing=firing,
        alerts_on=with_query(f"/incidents/{number}", alerts="all", **{"from": alerts.next})
        if everything and alerts.next
        else "",
        alerts_from_the_top=f"/incidents/{number}?alerts=all" if everything and asked.get("from") else "",
        entries=[(stored, reader.who(stored.entry.actor)) for stored in entries.items],
        older=with_query(f"/incidents/{number}", after=entries.next) if entries.next else "",
        newer=f"/incidents/{number}" if asked.get("after") else "",
        changes=changes.items,
        more_changes=changes.next is not None,
        suspect=_suspected(seen, incident, changes.items),
        pages=pages.items,
        ledger=lines(reader, pages.items),
        people_paged=len({page.person for page in pages.items if page.left}),
        pages_left=sum(page.left for page in pages.items),
        steps=_steps(reader, incident, pages.items),
        whys=whys(reader, incident, pages.items),
        snoozes=SNOOZES,
        goes_on=_put_off_until(incident, seen.now),
        hour=HOUR,
        moves=_moves(seen, incident),
        moves_open=asked.get("moves") == "open",
        runs=runs,
        places=places(incident, seen.plan, alerts.items, runs),
        after=_after(incident, runs),
        tries=tries(incident, seen.plan, alerts.items, [one.manifest for one in playbooks]) if idle else [],
        checklists=checklists_of(seen, incident, {one.manifest.name for one in playbooks if idle}),
        trusted=TRUSTED,
        guards=GUARDS,
        faults=faults or {},
        typed=typed,
        says_why=SAYS_WHY,
    )


def firing_first(reads: Reads, number: int, *, after: str | None = None, limit: int) -> Slice[Alert]:
    """The alerts of an incident: those that fire, then those that have ended, of each the newest first."""
    state, dash, place = (after or "firing-").partition("-")
    if state not in ("firing", "resolved") or not dash:
        raise CursorError(f"{after!r} is not a cursor: use the `next` of the page before")
    found: list[Alert] = []
    if state == "firing":
        part = reads.alerts(incident=number, state="firing", after=place or None, limit=limit)
        if part.next is not None:
            return Slice(part.items, f"firing-{part.next}")
        found, place = part.items, ""
    room = limit - len(found)
    rest = reads.alerts(incident=number, state="resolved", after=place or None, limit=max(room, 1))
    if not room:
        return Slice(found, "resolved-" if rest.items else None)
    return Slice([*found, *rest.items], f"resolved-{rest.next}" if rest.next is not None else None)


def _put_off_until(incident: Incident, now: Instant) -> Instant | None:
    """Until when a snooze goes on beside what opened it again: what who resolves it finds chosen. None when an hour is
    no less.
    """
    until = incident.snoozed_until if incident.open else None
    return until if until is not None and until - now > HOUR else None


def _after(incident: Incident, runs: list[RunView]) -> RunView | None:
    """The run that a person does something with: what is at it now, else the last that was handed over."""
    newest = next(iter(runs), None)
    if newest is None or newest.run.state in ("running", "asking"):
        return newest
    return next((one for one in runs if one.run.number == incident.told_by), newest)


def _suspected(seen: View, incident: Incident, changes: list[HeardChange]) -> int:
    """The id of the change that is suspected, 0 when none is."""
    services = seen.plan.with_needs(incident.service) if seen.plan is not None else (incident.service,)
    found = suspecting.suspect(changes, services, suspecting.began(incident))
    return found.id if found is not None else 0


def _steps(reader: Reader, incident: Incident, pages: list[Page]) -> list[StepView]:
    made = []
    place = reader.next_place(incident)
    for index, step in enumerate(incident.steps):
        theirs = [page for page in pages if page.kind == "page" and page.step == index]
        last = next((page for page in theirs if page.may_reach), theirs[0] if theirs else None)
        state = "later"
        if (
            incident.state == "triggered"
            and incident.paused is None
            and incident.next_at is not None
            and index == place
        ):
            state = "next"
        elif last is not None:
            state = "done"
        only = f", only for {step.when.said}" if step.when.said else ""
        made.append(StepView(index + 1, reader.step(step) + only, step.wait, step.repeat, state, last))
    if reader.plan is not None and incident.open:
        last = next((page for page in pages if page.kind == "page" and page.step >= len(incident.steps)), None)
        upcoming = incident.state == "triggered" and incident.paused is None and place >= len(incident.steps)
        state = "next" if upcoming else "done" if last else "later"
        made.append(StepView(0, reader.targets(reader.plan.last_resort), 30 * MINUTE, 1, state, last))
    return made


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


async def refused_here(
    request: Request[Any, Any, Any], faces: Faces, who: Who, number: int, problem: Problem, place: str
) -> Response[bytes]:
    """The room again, with what was refused said where it was asked for."""
    if problem.status not in (400, 409):
        raise problem
    said = problem.detail.removeprefix(f"{problem.field}: ")
    faults = {place: f"{said[:1].upper()}{said[1:]}{'' if said.endswith('.') else '.'}"}
    return await room(await view(request, faces, who), number, code=problem.status, faults=faults)


handlers = [incident_page]
