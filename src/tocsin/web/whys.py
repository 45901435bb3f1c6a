"""Why each person of an incident was paged, or was not, as its room says it."""

from __future__ import annotations

from typing import Final

from tocsin.faces.why import step_called
from tocsin.incidents.incident import Incident
from tocsin.kernel.reason import EXPLAINED, Reason
from tocsin.pages.ledger import CALLED, CALLS, Page, PageKind
from tocsin.web.words import Reader, because, count

TURNS: Final = frozenset({Reason.STEP_DUE, Reason.STEP_REPEATED})
"""Why a page is of somebody whose turn it was, and not beside them."""
MOST_PEOPLE: Final = 20
DONE: Final[dict[PageKind, tuple[str, str]]] = {
    "page": ("paged", "reached"),
    "help": ("asked for help", "reached with the call for help"),
    "copy": ("sent a copy", "reached with a copy"),
}
"""What was done with somebody by each of ``CALLS``, and what they were not where it failed."""
Why = tuple[str, str]
"""What happened, and because of what."""


def whys(reader: Reader, incident: Incident, pages: list[Page]) -> list[Why]:
    """Of each person: the reader first, then those who were paged, asked for help or sent a copy, then who stands in
    the steps, and the last resort.
    """
    plan = reader.plan
    if plan is None:
        return []
    in_steps: dict[str, int] = {}
    for index, targets in enumerate((*(step.targets for step in incident.steps), plan.last_resort)):
        for person in plan.people_of(targets, reader.now, reader.covers):
            in_steps.setdefault(person.key, index)
    people = dict.fromkeys(
        [
            *([reader.person] if reader.person in plan.people else []),
            *(page.person for page in reversed(pages) if page.kind in CALLS),
            *in_steps,
        ]
    )
    said = []
    for key in list(people)[:MOST_PEOPLE]:
        called = [_called(reader, key, kind, theirs) for kind in CALLS if (theirs := _of(pages, key, kind))]
        said += called or [_not_paged(reader, incident, pages, key, in_steps.get(key))]
    return said


def _of(pages: list[Page], person: str, kind: PageKind) -> list[Page]:
    """A person's pages of a kind, the newest first; what waits yet only where there is nothing else."""
    theirs = [page for page in pages if page.person == person and page.kind == kind]
    return [page for page in theirs if not page.planned] or theirs


def _subject(reader: Reader, person: str) -> tuple[str, str, str]:
    """How sentences on a person begin: their name, and what was and has is."""
    return ("You", "were", "have") if person == reader.person else (reader.name(person), "was", "has")


def _called(reader: Reader, person: str, kind: PageKind, mine: list[Page]) -> Why:
    """Of one who was to be paged, asked for help or sent a copy. ``mine``: their pages of it, the newest first."""
    name, was, has = _subject(reader, person)
    (done, reached), (one, several) = DONE[kind], CALLED[kind]
    left = [page for page in mine if page.state != "overtaken" or page.left]
    if left:
        newest = left[0]
        times = "" if len(left) == 1 else f", {count(len(left), one, several)} in all"
        how = {
            "sent": f"{was} {done}",
            "intended": f"{'are' if person == reader.person else 'is'} {'to be' if newest.planned else 'being'} {done}",
            "overtaken": f"{was} {done}, too late to be held back,",
            "failed": f"could not be {reached}",
        }[newest.state]
        if newest.refused:
            how = f"could not be {reached} yet"
        at = newest.left_at or (newest.next_at if newest.planned else None) or newest.intended_at
        lost = newest.error.rstrip(".") if newest.state == "failed" or newest.refused else ""
        return f"{name} {how} at {reader.clock(at)}{times}", lost or _because(reader, newest)
    if tried := next((page for page in mine if page.error), None):
        return f"{name} could not be {reached} by {tried.channel}", tried.error
    return f"{name} {has} not been {done}: the {one} was held back", because(mine[0].outcome or mine[0].reason)


def _because(reader: Reader, page: Page) -> str:
    """Why a page was written down, as a clause."""
    if page.kind == "copy":
        who = "you shadow" if page.person == reader.person else f"{reader.name(page.person)} shadows"
        return f"{who} whoever was paged"
    return page.because or because(page.reason)


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
        earlier = f"{'you' if by.you else by.name} acknowledged before {step_called(step, len(incident.steps))} was due"
        return f"{name} {was} not paged", earlier
    if incident.state == "resolved":
        return f"{name} {was} not paged", f"it was resolved before {step_called(step, len(incident.steps))} was due"
    if incident.paused is not None:
        return f"{name} {was} not paged", EXPLAINED[incident.paused]
    due = incident.next_at if step == reader.next_place(incident) else None
    asks = incident.steps[step].when.said if step < len(incident.steps) else ""
    when = f", due at {reader.clock(due)}" if due is not None else f", for {asks}" if asks else ""
    place = step_called(step, len(incident.steps))
    stands = f"{'you are' if you else name + ' is'}{' in' if step < len(incident.steps) else ''} {place}"
    return f"{name} {has} not been paged yet", f"{stands}{when}"


def _turn_taken(incident: Incident, step: int, pages: list[Page]) -> Page | None:
    """The last page of a step that pages one of several; None when it has not, or pages all."""
    if step >= len(incident.steps):
        return None
    of_step = (page for page in pages if page.kind == "page" and page.step == step and page.reason in TURNS)
    return next(of_step, None) if incident.steps[step].one else None
