"""Incidents that wait, of low urgency for hours or a morning, or for another try because nobody was reached: judged
again when what they wait for may have changed.
"""

from __future__ import annotations

from collections.abc import Hashable
from itertools import groupby

from tocsin.engine import calling, methods, paging, rising
from tocsin.engine.turn import Turn
from tocsin.incidents.incident import Incident
from tocsin.kernel.instant import Instant
from tocsin.kernel.reason import Reason
from tocsin.pages.ledger import Page


def judge_again(turn: Turn, *, news: bool = True) -> None:
    """A calendar was read, somebody took another's place, or quiet hours are others: what would wait otherwise now is
    asked anew before the turn ends, and what is paused when it goes on. Others wait on, and nothing is written of them.

    ``news``: whether anybody may be reached who was not before. What reached nobody is tried again then.
    """
    known: dict[Hashable, tuple[Instant, Reason] | None] = {}
    for incident in _waiting(turn):
        if incident.waits is Reason.REACHED_NOBODY:
            if news:
                rising.wait_no_longer(turn, incident)
            continue
        alike = _alike(incident)  # a hundred thousand may wait, and those alike wait alike
        if alike not in known:
            known[alike] = calling.waits(turn, incident)
        if incident.paused is not None or known[alike] != (incident.next_at, incident.waits):
            rising.wait_no_longer(turn, incident)


def reachable(turn: Turn, person: str) -> None:
    """Somebody has a method that works: what reached nobody, and pages them, is tried again before the turn ends."""
    plan, covers = turn.plan, turn.state.covers
    for incident in _waiting(turn):
        if incident.waits is not Reason.REACHED_NOBODY:
            continue
        targets = (target for step in incident.steps for target in step.targets)
        asked = (*targets, *plan.last_resort, *plan.stand_ins(incident.service))
        if any(one.key == person for one in plan.people_of(asked, turn.now, covers)):
            rising.wait_no_longer(turn, incident)


def quiet_hours_changed(turn: Turn, person: str) -> None:
    """Somebody's quiet hours are others: what waits for their morning, and the methods behind it, waits for the new
    one, or leaves now.
    """
    someone = turn.plan.people[person]
    begins = methods.morning(turn, someone) or turn.now
    theirs = [page for page in turn.state.pages.values() if page.person == person and _waits(page)]
    for _, alike in groupby(sorted(theirs, key=_written), key=_written):
        pages = list(alike)
        mornings = [page.next_at for page in pages if page.held is Reason.QUIET_HOURS and page.next_at is not None]
        if mornings and min(mornings) != begins:
            _move(turn, pages, min(mornings), begins)
    judge_again(turn)


def _waits(page: Page) -> bool:
    """Whether it was not tried so far, or waits for the morning since it was refused."""
    return page.waiting or (page.refused and page.handed_at is None and page.held is Reason.QUIET_HOURS)


def _written(page: Page) -> tuple[int, str, Instant]:
    return page.incident, page.kind, page.intended_at


def _move(turn: Turn, pages: list[Page], was: Instant, begins: Instant) -> None:
    for page in pages:
        if page.next_at is not None and page.next_at >= was:
            page.next_at += begins - was
            page.not_before = page.next_at
            turn.save_page(page)
    for page in pages:
        if _waits(page) and page.next_at is not None and page.next_at <= turn.now:
            paging.due(turn, page)


def plan_changed(turn: Turn) -> None:
    """Another plan: beside other hours it may have made alerts urgent, also those that wait for a night only later.

    What somebody has, or put off, is asked when that ends.
    """
    low = [one for one in turn.state.incidents.values() if one.state == "triggered" and one.urgency == "low"]
    for incident in low:
        if incident.plan != turn.plan.version:  # else Tocsin starts again, and its urgency is what this plan says
            rising.follow_plan(turn, incident)
    judge_again(turn)


def _alike(incident: Incident) -> Hashable:
    """All that tells whom a step that is due would page, and when."""
    asked = (matcher.label for step in incident.steps for matcher in step.when.match)
    return (
        (incident.service, incident.severity, incident.customer_tier, incident.urgency, incident.steps),
        (incident.step, incident.round, incident.laps, tuple(incident.answers)),
        tuple(incident.labels.get(label, "") for label in asked),
    )


def _waiting(turn: Turn) -> list[Incident]:
    return [one for one in turn.state.incidents.values() if one.state == "triggered" and one.waits is not None]
