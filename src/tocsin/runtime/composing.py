"""The message a page carries, made from what is known the moment it leaves."""

from __future__ import annotations

from zoneinfo import ZoneInfo

from tocsin.engine.state import State
from tocsin.incidents.incident import Incident
from tocsin.kernel.instant import Instant, to_datetime
from tocsin.kernel.reason import EXPLAINED
from tocsin.pages.ledger import Page
from tocsin.pages.message import Message
from tocsin.plan.model import Plan

MOST_LINES = 10


def compose(state: State, plan: Plan, page: Page, now: Instant, base: str, token: str) -> Message | None:
    """What to send for a page; None when it is not needed any more (acknowledged, resolved, silenced meanwhile).

    The state may be newer than the page: it is read again from the tables after a failed commit.
    """
    if page.state != "intended":
        return None
    person = plan.people.get(page.person)
    incident = state.incidents.get(page.incident)
    wanted = incident is not None and incident.state == "triggered" and incident.paused is None
    if page.kind in ("page", "copy") and not wanted:
        return None
    about = state.pages.get(page.about) if page.kind == "update" else None
    if page.kind == "update" and (about is None or incident is None or incident.state == "triggered"):
        return None
    zone = person.timezone if person else plan.timezone
    return Message(
        page=page.id,
        idempotency_key=f"tocsin-page-{page.id}-{page.intended_at}",
        kind=page.kind,
        person=page.person,
        person_name=person.name if person else page.person,
        address=page.address,
        timezone=zone,
        incident=page.incident,
        title=incident.title if incident else page.title,
        service=incident.service if incident else "",
        severity=incident.severity if incident else "",
        since=incident.opened_at if incident else page.intended_at,
        now=now,
        state=incident.state if incident else "",
        alerts=incident.alerts if incident else 0,
        because=EXPLAINED[page.reason],
        next_step=_next_step(state, plan, incident, zone) if incident else "",
        who=_who(plan, incident) if incident else "",
        replaces=about.provider_id if about else "",
        lines=_lines(state, incident) if incident else (),
        url=f"{base}/{_leads_to(page)}",
        possible_duplicate=page.unsure,
        acknowledge_url=f"{base}/p/{token}" if incident and page.kind == "page" else "",
    )


def _who(plan: Plan, incident: Incident) -> str:
    """The name of the person who has it, or who said that it is over; "" when no person did."""
    actor = {"acknowledged": incident.acknowledged_by, "resolved": incident.resolved_by}.get(incident.state, "")
    kind, _, name = actor.partition(":")
    person = plan.people.get(name) if kind == "person" else None
    return person.name if person else name


def _leads_to(page: Page) -> str:
    if page.incident:
        return f"incidents/{page.incident}"
    return "silences" if page.silence else "oncall"


def _next_step(state: State, plan: Plan, incident: Incident, zone: str) -> str:
    """What happens if nobody answers, as a sentence."""
    next_at, step = incident.next_at, incident.step  # read once: the writer's thread may change them
    if next_at is None:
        return ""
    at = to_datetime(next_at).astimezone(ZoneInfo(zone))  # a clock time: the message may be read much later
    targets = incident.steps[step].targets if step < len(incident.steps) else plan.last_resort
    names = ", ".join(person.name for person in plan.people_of(targets, next_at, state.covers))
    return f"{names or 'The last resort'} is paged at {at:%H:%M:%S} if nobody answers"


def _lines(state: State, incident: Incident) -> tuple[str, ...]:
    members = state.members.get(incident.number)
    if members is None:
        return ()
    ids = sorted(members.firing)[:MOST_LINES]
    return tuple(alert.title for alert in map(state.alerts.get, ids) if alert is not None)
