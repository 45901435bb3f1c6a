"""Calls for help: whom one can reach, and what whoever waits for it is told when it reached somebody by nothing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tocsin.access.actors import person_of
from tocsin.catalog.people import Person
from tocsin.engine import calling, methods
from tocsin.engine.turn import Turn
from tocsin.incidents.incident import Incident
from tocsin.kernel.reason import Reason
from tocsin.pages.ledger import Page


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

    One that is tried again has reached nobody yet either, and whoever waits need not wait an hour to know.
    """
    if row.reason is not Reason.ASKED_FOR_HELP or not incident.open or any(one.may_reach for one in theirs):
        return None
    tried = any(one.state == "intended" for one in theirs)
    if tried and row.attempts > 1:
        return None  # said when the last of these was first refused, which may be this one
    name = turn.plan.names.get(row.person, row.person)
    so_far = "has not reached" if tried else "did not reach"
    how = "; it is tried again" if tried else ", who did not pick up the telephone" if row.rang else ""
    waiting = dict.fromkeys(person_of(one) for one in (row.asked_by, incident.acknowledged_by))
    told = tuple(turn.plan.people[key] for key in waiting if key in turn.plan.people and key != row.person)
    return f"The call for help {so_far} {name}{how}", told


def outlasts(row: Page, incident: Incident) -> bool:
    """Whether a message about an incident goes out whatever becomes of that while it is open: that a call for help
    reached nobody. Nothing that is told later says it.
    """
    return row.reason is Reason.HELP_UNHEARD and incident.open


def tells_still(row: Page, incident: Incident) -> bool:
    """Whether a notice about an incident still says something: that a call for help reached nobody does while it is
    open; how grave it became, to whoever has it.
    """
    return outlasts(row, incident) or (incident.state == "acknowledged" and row.reason is not Reason.HELP_UNHEARD)
