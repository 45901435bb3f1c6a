"""A step that reached nobody, so that the next was paged at once, is repeated as it says beside those after it."""

from __future__ import annotations

from tocsin.engine import announcing, calling, methods, paging, unreached
from tocsin.engine.turn import Turn
from tocsin.escalation.decide import Call
from tocsin.incidents.incident import Incident, Owed
from tocsin.kernel.reason import Reason


def repeat(turn: Turn, incident: Incident) -> None:
    """The time has come for a repetition of a step that was passed over. What pages nobody now is not made up for."""
    one = min(incident.owed, key=lambda one: one.at)
    rest = tuple(other for other in incident.owed if other is not one)
    incident.owed = rest
    turn.save_incident(incident)
    step = incident.steps[one.step] if one.step < len(incident.steps) else None
    if step is None or incident.state != "triggered" or incident.paused is not None or not turn.state.counters.paging:
        return
    if one.round + 1 < step.repeat:
        incident.owed = (*rest, Owed(one.step, one.round + 1, turn.now + step.wait))
        turn.save_incident(incident)
    due = incident.step, incident.round, incident.laps, turn.now
    call = Call(step.targets, one.step, Reason.STEP_REPEATED, *due)
    there = calling.behind(turn, incident, step.targets, one.step)  # of its own place, not of what was paged since
    reached = [who for who in calling.whom(turn, incident, call, there) if methods.has_any(turn, who.person.key)]
    people = [who.person for who in reached]
    if not people or calling.unmet(turn, incident, step) or calling.waits_for(turn, incident, people) is not None:
        return
    what = f"Paging {announcing.listed(people)} once more, as step {one.step + 1} says"
    unreached.say(turn, incident, what, Reason.STEP_REPEATED, turns=step.one, step=str(one.step + 1))
    calling.takes_turn(turn, incident, call, reached)
    for person in people:
        paging.page(turn, incident, person, Reason.STEP_REPEATED, one.step)
