"""The message a page carries, made from what is known the moment it leaves."""

from __future__ import annotations

from collections.abc import Iterable
from zoneinfo import ZoneInfo

from msgspec.structs import replace

from tocsin.access.actors import called
from tocsin.catalog.people import Person
from tocsin.engine import helping, suspecting
from tocsin.engine.calling import paged_since
from tocsin.engine.state import State
from tocsin.incidents.incident import Incident
from tocsin.kernel.instant import Instant, say_duration, to_datetime
from tocsin.kernel.reason import EXPLAINED, Reason
from tocsin.pages.contacts import CODE_WORKS, code_of, webhook_secret
from tocsin.pages.ledger import PAUSED, Page
from tocsin.pages.links import make_token
from tocsin.pages.loops import mark
from tocsin.pages.message import Message
from tocsin.pages.profiles import profile, signs_own
from tocsin.pages.rendering import began
from tocsin.pages.rules import Reach, quiet_until, reaches
from tocsin.plan.model import PagedNext, Plan
from tocsin.plan.turns import Turns
from tocsin.plan.whom import answered, meant

MOST_LINES = 10
UNANSWERED = frozenset({"notice", "copy", "update", "synthetic"})
"""Kinds of pages that have no link to answer by."""
ABOUT_ONESELF = frozenset({Reason.CONTACT_CODE, Reason.CONTACT_TEST, Reason.CONTACT_FAILING, Reason.DRILL})
"""Reasons of messages that lead to the page on which people say how they are reached."""


def compose(state: State, plan: Plan, page: Page, now: Instant, base: str, key: bytes) -> Message | None:
    """What to send for a page; None when it is not needed any more (acknowledged, resolved, silenced meanwhile).

    The state may be newer than the page: it is read again from the tables after a failed commit. ``key``, the signing
    key, makes links, codes and the signatures of people's own webhooks: none of them is kept anywhere.
    """
    rows = _together(state, page)
    if not any(_wanted(state, row) for row in rows):
        return None
    wanted = [row for row in rows if _wanted(state, row) or _paused(state, row)]
    linked = wanted[0]
    wanted.sort(key=lambda row: _gravity(state, row))
    first = wanted[0]
    person = plan.people.get(page.person)
    message = _message(state, plan, first, linked, person, now, base, key)
    # The row that was handed over names the message, whichever of its incidents is still open.
    message = replace(message, page=page.id, idempotency_key=f"tocsin-page-{page.id}-{page.intended_at}")
    if first.kind == "synthetic":
        known = mark(key, page.id)
        loopback = profile(page.channel).loopback
        lines = (known,) if loopback is not None and loopback.in_words else ()
        return replace(message, kind="notice", idempotency_key=known, person_name="Tocsin", url=base, lines=lines)
    if len(wanted) > 1:
        return _bundle(state, message, wanted)
    if first.reason is Reason.CONTACT_CODE:
        return _code(state, message, first, key)
    return message


def severity(state: State, page: Page) -> str:
    """How grave what a page would say is now: of several incidents the gravest that is still to be told of.

    "" when it is about none.
    """
    rows = _together(state, page)
    return min(_gravity(state, row) for row in [row for row in rows if _wanted(state, row)] or [page])[0]


def awaited(state: State, incidents: Iterable[int]) -> list[Page]:
    """The pages about these that were handed to their channels and have no outcome, each message once."""
    rows = [row for number in incidents for row in list(state.pages_of.get(number, {}).values())]
    ids = {row.bundle or row.id for row in rows if row.state == "intended" and row.handed_at is not None}
    return [page for page in map(state.pages.get, sorted(ids)) if page is not None]


def _together(state: State, page: Page) -> list[Page]:
    """Every row that goes in the message of this one."""
    rows = [page if id == page.id else state.pages.get(id) for id in page.bundled] or [page]
    return [row for row in rows if row is not None]


def _gravity(state: State, page: Page) -> tuple[str, int]:
    """What is graver comes first."""
    incident = state.incidents.get(page.incident)
    return incident.severity if incident is not None else "", page.incident


def _wanted(state: State, page: Page) -> bool:
    """Whether a page is still to be sent."""
    if page.state != "intended":
        return False
    incident = state.incidents.get(page.incident)
    if page.kind in PAUSED:
        return incident is not None and incident.state == "triggered" and incident.paused is None
    if page.kind == "update":
        return page.about in state.pages and incident is not None and incident.state != "triggered"
    if page.kind == "notice" and page.incident:
        return incident is not None and helping.tells_still(page, incident)
    return page.kind != "help" or (incident is not None and incident.open)


def _paused(state: State, page: Page) -> bool:
    """Whether a page is not needed this moment, and will be if its incident does not end meanwhile.

    A message that goes for others tells of it as well: what went in one message has one outcome.
    """
    incident = state.incidents.get(page.incident)
    return page.state == "intended" and page.kind == "page" and incident is not None and incident.state == "triggered"


def _message(
    state: State, plan: Plan, page: Page, linked: Page, person: Person | None, now: Instant, base: str, key: bytes
) -> Message:
    """``page``: what it is about; ``linked``: the row its link names. Behind the link are all that came with it."""
    incident = state.incidents.get(page.incident) if page.kind != "notice" else None  # that is its own words alone
    contact = state.contacts.get(page.contact)
    about = state.pages.get(page.about) if page.kind == "update" else None
    zone = person.timezone if person else plan.timezone
    run = state.runs.get(incident.told_by) if incident else None
    own = signs_own(page.channel) and (page.kind == "synthetic" or (contact is not None and not contact.declared))
    return Message(
        page=page.id,
        idempotency_key="",
        kind=page.kind,
        person=page.person,
        person_name=person.name if person else page.person,
        address=page.address,
        timezone=zone,
        incident=page.incident if incident else 0,
        title=incident.title if incident else page.title,
        service=incident.service if incident else "",
        severity=incident.severity if incident else "",
        since=incident.since if incident else page.intended_at,
        now=now,
        state=incident.state if incident else "",
        alerts=incident.alerts if incident else 0,
        firing=_firing(state, incident) if incident else 0,
        because=page.why,
        next_step=_next_step(state, plan, incident, page, zone) if incident else "",
        tried=incident.tried if incident else (),
        advice=run.advice if run else "",
        suspected=_suspected(state, plan, incident) if incident else "",
        measured=run.readings if run else (),
        who=_who(plan, incident) if incident else "",
        replaces=about.provider_id if about else "",
        lines=_lines(state, incident) if incident else page.lines,
        url=_url(base, page),
        possible_duplicate=page.unsure,
        acknowledge_url=f"{base}/p/{make_token(key, linked.id)}" if page.kind not in UNANSWERED else "",
        signing=webhook_secret(key, page.contact) if own else "",
        words=plan.messages.get(page.channel) if page.kind == "page" else None,
    )


def _suspected(state: State, plan: Plan, incident: Incident) -> str:
    """The change that was the last before it began, as a sentence."""
    at = suspecting.began(incident)
    change = suspecting.suspect(state.heard, plan.with_needs(incident.service), at)
    return suspecting.said(change, at) if change is not None else ""


def _who(plan: Plan, incident: Incident) -> str:
    """The name of whoever has it, or said that it is over; "" when Tocsin itself found that."""
    actor = {"acknowledged": incident.acknowledged_by, "resolved": incident.resolved_by}.get(incident.state, "")
    return "" if actor == "code" else called(actor, plan.names)


def _url(base: str, page: Page) -> str:
    """Where there is more to read."""
    if page.incident:
        return f"{base}/incidents/{page.incident}"
    if page.silence:
        return f"{base}/silences"
    if page.reason is Reason.HEARTBEAT_UNHEARD:
        return f"{base}/services"
    return f"{base}/you" if page.reason in ABOUT_ONESELF else f"{base}/oncall"


def _bundle(state: State, message: Message, wanted: list[Page]) -> Message:
    """One message for several incidents, the gravest first. Its link answers all of them."""
    incidents = [state.incidents[page.incident] for page in wanted]
    gravest = incidents[0]
    return replace(
        message,
        incidents=len(incidents),
        advice="",
        suspected="",
        measured=(),
        title=f"{len(incidents)} incidents, the gravest: {gravest.title}",
        service="",
        severity=gravest.severity,
        since=min(one.since for one in incidents),
        alerts=sum(one.alerts for one in incidents),
        firing=sum(_firing(state, one) for one in incidents),
        because=_why_one(wanted),
        lines=tuple(_line(state, one, message) for one in incidents[:MOST_LINES]),
        possible_duplicate=any(page.unsure for page in wanted),
    )


def _why_one(pages: list[Page]) -> str:
    """Why pages go out as one message, as a clause after "because"."""
    if profile(pages[0].channel).rings and all(page.held is not Reason.BUNDLED for page in pages):
        return "they came while this number could not be reached, so one call tells of them all"
    return EXPLAINED[Reason.BUNDLED]


def _line(state: State, incident: Incident, message: Message) -> str:
    """One of several: how grave, which, what, since when."""
    since = began(incident.since, message.now, message.timezone)
    return f"{incident.severity.upper()} #{incident.number} {incident.service}: {incident.title}, since {since}"


def _code(state: State, message: Message, page: Page, key: bytes) -> Message | None:
    """The message that carries a code: made here, from the seed, and nowhere else. None when it was answered."""
    contact = state.contacts.get(page.contact)
    if contact is None or not contact.seed:
        return None
    code = code_of(key, contact.id, contact.seed)
    works = f"It works for {say_duration(CODE_WORKS)}. If you did not ask for it, do nothing."
    return replace(message, title=f"{code} is your code for Tocsin", lines=(works,))


def _next_step(state: State, plan: Plan, incident: Incident, page: Page, zone: str) -> str:
    """What happens if nobody answers, as a sentence."""
    next_at, step = incident.next_at, incident.step  # read once: the writer's thread may change them
    if next_at is None or page.kind == "help":
        return ""
    since = paged_since(incident, list(state.pages_of.get(incident.number, {}).values()), step)
    is_meant, gone = meant(plan, incident, next_at, state.calendars, state.covers, since), answered(incident, next_at)
    due = plan.paged_next(incident.service, incident.steps, step, next_at, state.covers, since, is_meant, gone)
    names, several, then = _paged_next(state, plan, incident, due, next_at)
    at = to_datetime(then).astimezone(ZoneInfo(zone))  # a clock time: the message may be read much later
    return f"{names} {'are' if several else 'is'} paged at {at:%H:%M:%S} if nobody answers"


def _paged_next(state: State, plan: Plan, incident: Incident, due: PagedNext, at: Instant) -> tuple[str, bool, Instant]:
    """The names of those whom the next step pages, whether they are several, and when that is.

    Of low urgency whoever sleeps then is paged in their morning, and is not named beside those who are awake.
    """
    able = frozenset(one.key for one in due.people if reaches(state.contacts_by(one.key), plan.reaches))
    turn = Turns(state.counters.rounds, able).next(due.step, due.people)
    asleep: dict[str, Instant] = {}
    for one in due.people if incident.urgency == "low" else ():
        reach = state.reaches.get(one.key) or Reach(person=one.key)
        if (morning := quiet_until(reach, one.timezone, at)) is not None:
            asleep[one.key] = morning
    beside = [one.name for one in due.beside]
    if turn and len(due.people) > 1:
        names = f"One of {', '.join(one.name for one in due.people)} ({plan.names[turn]} next)"
        return ", ".join([names, *beside]), bool(beside), asleep.get(turn, at)
    first = min(asleep.values()) if asleep and len(asleep) == len(due.people) else None
    paged = [one.name for one in due.people if (asleep.get(one.key) == first if first else one.key not in asleep)]
    named = [*paged, *beside]
    return ", ".join(named) or "The last resort", len(named) > 1, first or at


def _firing(state: State, incident: Incident) -> int:
    members = state.members.get(incident.number)
    return len(members.told) if members is not None else 0


def _lines(state: State, incident: Incident) -> tuple[str, ...]:
    members = state.members.get(incident.number)
    if members is None:
        return ()
    ids = members.told[:MOST_LINES]
    firing = (alert for alert in map(state.alerts.get, ids) if alert is not None)
    # What is the headline already makes room for what was found.
    return tuple((alert.title == incident.title and alert.detail) or alert.title for alert in firing)
