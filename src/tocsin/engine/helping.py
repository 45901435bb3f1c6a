"""Calls for help: whom one can reach, and what whoever waits for it is told when it reached somebody by nothing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tocsin.access.actors import person_of
from tocsin.catalog.people import Person
from tocsin.engine import calling, ledger, methods
from tocsin.engine.turn import Turn
from tocsin.incidents.incident import Incident
from tocsin.kernel.instant import MINUTE, Duration, Instant
from tocsin.kernel.reason import Reason
from tocsin.pages.ledger import Page

ANSWERED_WITHIN: Duration = 10 * MINUTE
"""So long whoever was asked for help has to answer, by whichever of their methods, until who asked is told."""
TOLD = frozenset({Reason.HELP_UNHEARD, Reason.HELP_UNANSWERED})
"""What whoever waits for help is told of it."""


def mute(turn: Turn, people: Iterable[Person]) -> list[Person]:
    """Those of whom nobody can ask for help, for nothing reaches them. In a trial the console does."""
    trial = calling.on_trial(turn)
    return [] if trial else [one for one in people if not methods.has_any(turn, one.key)]


def by_nothing(people: Sequence[Person]) -> str:
    """Says of people that nothing reaches them."""
    return f"{' and '.join(one.name for one in people)} can be reached by nothing"


def unheard(turn: Turn, incident: Incident, row: Page, theirs: Sequence[Page]) -> tuple[str, tuple[Person, ...]] | None:
    """A page that asked for help did not get through, and there is no other method: what is said of that, and to whom:
    who asked for it, and who has the incident. None when one of ``theirs``, the pages of that call to that person, may
    reach them, or all is said.

    One that is tried again has reached nobody yet either, nor has a telephone that is called again: whoever waits need
    not wait for the last try to know, and hears when that was in vain as well. When it was the last hope, what was to
    be said of silence is not said besides.
    """
    if row.reason is not Reason.ASKED_FOR_HELP or not incident.open or any(_may_reach(one) for one in theirs):
        return None
    tried = any(one.state == "intended" for one in theirs)
    rang_before = row.rang and sum(one.rang and one.contact == row.contact for one in theirs) > 1
    if tried and (row.attempts > 1 or rang_before):
        return None  # said when the last of these was first refused, or first rang in vain, which may be this one
    name = turn.plan.names.get(row.person, row.person)
    so_far = "has not reached" if tried else "did not reach"
    how = f"{', who did not pick up the telephone' if row.rang else ''}{'; it is tried again' if tried else ''}"
    if not tried and not any(_hopes(one) for one in ledger.rows(turn, incident.number)):
        drop_promise(turn, incident)  # that nobody comes is known now
    return f"The call for help {so_far} {name}{how}", waiting(turn, incident, row.asked_by, (row.person,))


def waiting(turn: Turn, incident: Incident, asked_by: str, asked: Sequence[str]) -> tuple[Person, ...]:
    """Who waits for those who were asked: who asked for them, and who has the incident."""
    keys = dict.fromkeys(person_of(one) for one in (asked_by, incident.acknowledged_by))
    return tuple(turn.plan.people[key] for key in keys if key in turn.plan.people and key not in asked)


def came(turn: Turn, incident: Incident, person: str) -> None:
    """Somebody comes to help, or takes the incident: what calls them for help is not needed any more. Where they are of
    those who were asked last, nobody is told either that nobody comes.
    """
    theirs = [row for row in ledger.rows(turn, incident.number) if row.kind == "help" and row.person == person]
    for row in theirs:
        if row.state == "intended":
            ledger.finish(turn, row, "overtaken", Reason.OVERTAKEN)
    if theirs:
        drop_promise(turn, incident, max((row.intended_at for row in theirs if not row.instead_of), default=0))


def drop_promise(turn: Turn, incident: Incident, made_by: Instant | None = None) -> None:
    """What was to be said if nobody comes is not said; ``made_by``: only what was promised by then."""
    by = turn.now if made_by is None else made_by
    for row in ledger.rows(turn, incident.number):
        if row.reason is Reason.HELP_UNANSWERED and row.waiting and row.intended_at <= by:
            ledger.finish(turn, row, "overtaken", Reason.OVERTAKEN)


def _hopes(row: Page) -> bool:
    """Whether somebody may still come by this call for help."""
    return row.kind == "help" and (row.left or row.state == "intended")


def _may_reach(row: Page) -> bool:
    """Whether a call for help left, or is on its first way out, and is none that is made again."""
    return row.may_reach and not (row.waiting and row.held is Reason.CALLED_AGAIN)


def outlasts(row: Page, incident: Incident) -> bool:
    """Whether a message about an incident goes out whatever becomes of that while it is open: that a call for help
    reached nobody. Nothing that is told later says it.
    """
    return row.reason is Reason.HELP_UNHEARD and incident.open


def tells_still(row: Page, incident: Incident) -> bool:
    """Whether a notice about an incident still says something: that a call for help reached nobody, or that nobody
    comes, does while it is open; how grave it became, to whoever has it.
    """
    return incident.open if row.reason in TOLD else incident.state == "acknowledged"
