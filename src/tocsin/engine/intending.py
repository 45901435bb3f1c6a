"""Pages before they leave: by which of a person's methods one is meant to go and when, and its row of the ledger."""

from __future__ import annotations

from typing import NamedTuple

from tocsin.catalog.people import Person
from tocsin.engine import ledger, methods
from tocsin.engine.turn import Turn
from tocsin.incidents.incident import Incident
from tocsin.kernel.instant import Instant
from tocsin.kernel.reason import Reason
from tocsin.pages.ledger import Page, PageKind
from tocsin.pages.rules import Planned, avoiding

BY_NAME = frozenset({Reason.ASKED_FOR_HELP})
"""What somebody asks of people by name, and now, waits for no morning, however little urgent the incident is."""


class About(NamedTuple):
    """What rows of the ledger are written for: an incident, or nothing. ``about``: the page an update follows."""

    incident: int
    title: str
    reason: Reason
    step: int = 0
    kind: PageKind = "page"
    urgency: str = "high"
    about: int = 0
    because: str = ""
    asked_by: str = ""


def about_incident(
    incident: Incident, reason: Reason, step: int, kind: PageKind = "page", because: str = "", asked_by: str = ""
) -> About:
    """What a page about an incident is written down for."""
    urgency = incident.urgency if kind == "page" and reason not in BY_NAME else "high"
    return About(incident.number, incident.title, reason, step, kind, urgency, because=because, asked_by=asked_by)


def _apart(turn: Turn, incident: int, person: str, planned: list[Planned]) -> list[Planned]:
    """Who is told that a channel loses pages is told by another one first, when they have any."""
    alerts = {loop.channel: turn.state.alerts.get(loop.alert) for loop in turn.state.counters.loops.values()}
    lost = {channel for channel, one in alerts.items() if one is not None and one.firing and one.incident == incident}
    return avoiding(lost, planned, methods.able(turn, person)) if lost else planned


def coming(turn: Turn, person: str, about: About) -> dict[int, Page]:
    """What was written down before for a person and has not been tried, by contact method."""
    rows = ledger.rows(turn, about.incident)
    return {one.contact: one for one in rows if one.person == person and one.kind == about.kind and one.waiting}


def wanted(turn: Turn, person: Person, about: About) -> list[tuple[Planned, Instant, Page | None]]:
    """By which methods a person is paged and when, and what that takes the place of; not what is due sooner anyway."""
    quiet = methods.morning(turn, person) if about.urgency == "low" else None
    before, found = coming(turn, person.key, about), []
    for planned in _apart(turn, about.incident, person.key, methods.planned(turn, person.key, about.urgency)):
        at = (quiet or turn.now) + planned.after
        known = before.get(planned.contact.id if planned.contact else 0)
        if known is None or not (known.gathers or (known.next_at is not None and known.next_at <= at)):
            found.append((planned, at, known))
    return found


def row_of(
    turn: Turn, person: str, planned: Planned, about: About, at: Instant, held: Reason | None = None, silence: str = ""
) -> Page:
    """Write a page down, to leave at an instant; ``held``: what it waits for until then."""
    turn.state.counters.page += 1
    row = Page(
        id=turn.state.counters.page,
        incident=about.incident,
        person=person,
        channel=planned.channel,
        address=planned.address,
        kind=about.kind,
        title=about.title,
        reason=about.reason,
        step=about.step,
        contact=planned.contact.id if planned.contact else 0,
        held=held,
        not_before=at if held else None,
        intended_at=turn.now,
        next_at=at,
        silence=silence,
        about=about.about,
        because=about.because,
        asked_by=about.asked_by,
    )
    turn.state.add_page(row)  # with its timer
    turn.changes.pages[row.id] = row
    if about.kind not in ("notice", "copy", "update"):
        turn.count("pages", about.reason)
    return row


def when(row: Page) -> tuple[Instant, int]:
    """By this pages are ordered in time."""
    return row.next_at or 0, row.id
