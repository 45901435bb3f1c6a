"""Why each person of an incident was paged, or was not, as its room says it."""

from __future__ import annotations

from typing import Final

from tocsin.incidents.incident import Incident
from tocsin.kernel.reason import EXPLAINED, Reason
from tocsin.pages.ledger import Page
from tocsin.web.words import Reader, because, count

TURNS: Final = frozenset({Reason.STEP_DUE, Reason.STEP_REPEATED})
"""Why a page is of somebody whose turn it was, and not beside them."""
MOST_PEOPLE: Final = 20
Why = tuple[str, str]
"""What happened, and because of what."""


def whys(reader: Reader, incident: Incident, pages: list[Page]) -> list[Why]:
    """Of each person: the reader first, then those who were paged, then who stands in the steps."""
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
    for key in list(people)[:MOST_PEOPLE]:
        theirs = [page for page in pages if page.person == key and page.kind == "page"]
        mine = [page for page in theirs if not page.planned] or theirs
        said.append(_paged(reader, key, mine) if mine else _not_paged(reader, incident, pages, key, in_steps.get(key)))
    return said


def _subject(reader: Reader, person: str) -> tuple[str, str, str]:
    """How sentences on a person begin: their name, and what was and has is."""
    return ("You", "were", "have") if person == reader.person else (reader.name(person), "was", "has")


def _paged(reader: Reader, person: str, mine: list[Page]) -> Why:
    """Of one who was to be paged. ``mine``: their pages, the newest first."""
    name, was, has = _subject(reader, person)
    left = [page for page in mine if page.state != "overtaken" or page.left]
    if left:
        newest = left[0]
        times = "" if len(left) == 1 else f", {count(len(left), 'page')} in all"
        how = {
            "sent": f"{was} paged",
            "intended": f"{'are' if person == reader.person else 'is'} {'to be' if newest.planned else 'being'} paged",
            "overtaken": f"{was} paged, too late to be held back,",
            "failed": "could not be reached",
        }[newest.state]
        if newest.refused:
            how = "could not be reached yet"
        at = newest.left_at or (newest.next_at if newest.planned else None) or newest.intended_at
        lost = newest.error.rstrip(".") if newest.state == "failed" or newest.refused else ""
        return f"{name} {how} at {reader.clock(at)}{times}", lost or because(newest.reason)
    if tried := next((page for page in mine if page.error), None):
        return f"{name} could not be reached by {tried.channel}", tried.error
    return f"{name} {has} not been paged: the page was held back", because(mine[0].outcome or mine[0].reason)


def _not_paged(reader: Reader, incident: Incident, pages: list[Page], person: str, step: int | None) -> Why:
    """Of one whom no page was for. ``step``: the first that names them, None when none does."""
    name, was, has = _subject(reader, person)
    you = person == reader.person
    if step is None:
        return f"{name} {was} not paged", f"no step for {incident.service} names {'you' if you else name}"
    if (taken := _turn_taken(incident, step, pages)) is not None:
        whose = "your" if taken.person == reader.person else f"{reader.name(taken.person)}'s"
        return f"{name} {was} not paged", f"step {step + 1} pages one of several, and it was {whose} turn"
    if incident.state == "acknowledged":
        by = reader.who(incident.acknowledged_by)
        earlier = f"{'you' if by.you else by.name} acknowledged before step {step + 1} was due"
        return f"{name} {was} not paged", earlier
    if incident.state == "resolved":
        return f"{name} {was} not paged", f"it was resolved before step {step + 1} was due"
    if incident.paused is not None:
        return f"{name} {was} not paged", EXPLAINED[incident.paused]
    due = incident.next_at if step == incident.step else None
    when = f", due at {reader.clock(due)}" if due is not None else ""
    return f"{name} {has} not been paged yet", f"{'you are' if you else name + ' is'} in step {step + 1}{when}"


def _turn_taken(incident: Incident, step: int, pages: list[Page]) -> Page | None:
    """The last page of a step that pages one of several; None when it has not, or pages all."""
    of_step = (page for page in pages if page.kind == "page" and page.step == step and page.reason in TURNS)
    return next(of_step, None) if incident.steps[step].one else None
