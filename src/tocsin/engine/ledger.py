"""The ledger's rows while they are in memory: which belong together, and how one comes to its end."""

from __future__ import annotations

from tocsin.engine.state import State
from tocsin.engine.turn import Turn
from tocsin.incidents.incident import Incident
from tocsin.kernel.instant import MINUTE, Duration, Instant
from tocsin.kernel.reason import Reason
from tocsin.pages.ledger import Page, PageState
from tocsin.pages.profiles import CONSOLE

BUNDLE_LOOKED_AT: Duration = 15 * MINUTE
"""So often it is looked whether what came in one message with pages of an incident that is over is over as well."""


def rows(turn: Turn, incident: int) -> list[Page]:
    """The pages of an incident, oldest first."""
    pages = turn.state.pages_of.get(incident)
    return list(pages.values()) if pages else []


def finish(turn: Turn, row: Page, state: PageState, outcome: Reason) -> None:
    """A page comes to its end."""
    row.state = state
    row.outcome = outcome
    row.next_at = None
    row.finished_at = turn.now
    turn.save_page(row)
    turn.count("page_outcomes", outcome)


def lingers_until(turn: Turn, incident: Incident) -> Instant | None:
    """Until when at least an incident that is over is kept for its pages; None when nothing needs them any more.

    Somebody still has to be told that it is over, a call of its rings, or the message that one of its pages stands for
    told of others that are open: what comes of it, and who answers it, is heard by that page.
    """
    theirs = rows(turn, incident.number)
    if any(row.state == "intended" for row in theirs):
        return turn.now + MINUTE
    rings = max((row.rings_until or 0 for row in theirs), default=0)
    if rings > turn.now:
        return rings
    incidents = turn.state.incidents
    others = (one for row in theirs for one in together(turn, row) if one is not row)
    still_open = (one.incident in incidents and incidents[one.incident].open for one in others)
    return turn.now + BUNDLE_LOOKED_AT if any(still_open) else None


def answered(turn: Turn, row: Page) -> None:
    """A page's own link was used. One that came by a real channel proves that people can be reached."""
    if row.answered_at is None:
        row.answered_at = turn.now
        turn.save_page(row)
        if row.channel != CONSOLE and turn.state.counters.proven_at is None:
            turn.state.counters.proven_at = turn.now


def alike(turn: Turn, row: Page) -> list[Page]:
    """The pages of the same incident and kind to the same place, oldest first. What is about none has none like it."""
    pages = rows(turn, row.incident) if row.incident else []
    return [
        one
        for one in pages
        if one.person == row.person
        and one.kind == row.kind
        and one.channel == row.channel
        and one.address == row.address
    ]


def of_round(turn: Turn, row: Page) -> list[Page]:
    """A person's pages about the same, of the same kind, since their step was paged that one of them belongs to."""
    theirs = [one for one in rows(turn, row.incident) if one.person == row.person and one.kind == row.kind]
    begun = [one.intended_at for one in theirs if one.step == row.step and not one.instead_of and one.id <= row.id]
    began = max(begun, default=row.intended_at)
    return [one for one in theirs if one.intended_at >= began]


def rang_before(turn: Turn, row: Page) -> bool:
    """Whether a page is a telephone's that is called again because nobody picked it up."""
    before = turn.state.pages.get(row.instead_of)
    return before is not None and before.rang and before.contact == row.contact


def newer(turn: Turn, row: Page) -> Page | None:
    """A newer page about the same to the same place that has left, or is tried."""
    others = (one for one in alike(turn, row) if one.id > row.id)
    return next((one for one in others if one.left or (one.state == "intended" and not one.waiting)), None)


def together(turn: Turn, page: Page) -> list[Page]:
    """Every page that went in the message of this one."""
    return [turn.state.pages[id] for id in page.bundled if id in turn.state.pages] or [page]


def told_with(state: State, page: Page) -> list[Page]:
    """Every page in memory of the message that this one went in, whichever of them stands for it; itself at least."""
    first = state.pages.get(page.bundle, page)
    rows = [state.pages[id] for id in first.bundled if id in state.pages]
    return rows if any(row.id == page.id for row in rows) else [page]


def still_tells(state: State, page: Page) -> list[Page]:
    """Of ``told_with`` what is of the trouble that its incident has now, and not of what was over before."""
    incidents = state.incidents
    rows = ((row, incidents.get(row.incident)) for row in told_with(state, page))
    return [row for row, one in rows if one is None or not one.opened_after(row.intended_at)]
