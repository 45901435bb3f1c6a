"""What a step is about to do, in the words of an incident's timeline. Nothing is changed here."""

from __future__ import annotations

from collections.abc import Sequence

from tocsin.catalog.people import Person
from tocsin.engine import calling
from tocsin.engine.intending import about_incident, coming, wanted, when
from tocsin.engine.turn import Turn
from tocsin.escalation.decide import Call
from tocsin.incidents.incident import Incident
from tocsin.kernel.instant import say_duration
from tocsin.kernel.reason import Reason
from tocsin.pages.ledger import Page
from tocsin.plan.model import Reached


def step(
    turn: Turn, incident: Incident, call: Call, reached: Sequence[Reached], shadows: Sequence[Person]
) -> tuple[Reason, str]:
    """What a step is about to do, before anything is written: whom it pages, and whose page waits already."""
    length = say_duration(call.next_at - turn.now)
    if not reached and calling.all_answered(turn, incident, call.targets):
        return call.reason, f"The last resort has answered; others are paged again in {length}"
    waiting = {one.person.key: row for one in reached if (row := _still_waits(turn, incident, one.person, call))}
    named = (f"{one.name} ({by})" if by else one.name for one, by in reached if one.key not in waiting)
    names = ", ".join(named) or "nobody"
    if shadows:
        names += f", with a copy to {listed(shadows)}"
    paging = "Paging" if turn.state.counters.paging else "Paging is off; it would have paged"
    reason, said = call.reason, [f"{paging} {names}"]
    if waiting and len(waiting) == len(reached) and not shadows:
        reason, said = (Reason.STILL_WAITS if call.at_step < len(incident.steps) else reason), []
    for one, _ in reached:
        if one.key in waiting:
            row = waiting[one.key]
            leaves = say_duration(max(0, when(row)[0] - turn.now))
            begin = "the" if said else f"{numbered(incident, call.at_step)}: the"
            said.append(f"{begin} page to {one.name} by {row.channel} still waits and leaves in {leaves}")
    return reason, f"{'; '.join(said)}; next in {length} if nobody answers"


def _still_waits(turn: Turn, incident: Incident, person: Person, call: Call) -> Page | None:
    """The page that waits for a person already, when their rules would write down no other one now."""
    about = about_incident(incident, call.reason, call.at_step)
    first = min(coming(turn, person.key, about).values(), key=when, default=None)
    return first if first is not None and not wanted(turn, person, about) else None


def listed(people: Sequence[Person]) -> str:
    """People by name."""
    return ", ".join(person.name for person in people) or "nobody"


def numbered(incident: Incident, step: int) -> str:
    """A step as people count them."""
    return f"Step {step + 1}" if step < len(incident.steps) else "The last resort"
