"""Checklists: which are for an incident, and what people say they did of them."""

from __future__ import annotations

from tocsin.access.actors import called, same
from tocsin.engine import commands as c
from tocsin.engine.commands import refuse
from tocsin.engine.turn import Turn
from tocsin.incidents.incident import Incident, Tick
from tocsin.kernel.reason import Reason
from tocsin.playbooks.checklist import Checklist

LONGEST_WHY = 300


def offer(turn: Turn, incident: Incident) -> None:
    """Say which checklists are for an incident."""
    firing = [turn.state.alerts[id].labels for id in sorted(turn.members(incident).firing)]
    for name in turn.plan.answers.get(incident.service, ()):
        one = turn.plan.checklists.get(name)
        if one is None or name in incident.checklists:
            continue
        if any(one.matches(labels, incident.severity) for labels in firing):
            incident.checklists = (*incident.checklists, name)
            what = f"The checklist “{one.title}” is for this: {len(one.items)} steps"
            turn.enter(incident.number, what, Reason.CHECKLIST_FITS)


def tick(turn: Turn, incident: Incident, command: c.TickStep) -> c.Result:
    """A person did a step. Done by the same person already, it stays as it is."""
    if not incident.open:
        return refuse("conflict", f"Incident #{incident.number} is resolved already")
    checklist = _of(turn, incident, command.checklist)
    item = checklist.item(command.step) if checklist is not None else None
    if checklist is None or item is None:
        return _unknown(incident, command.checklist, command.step)
    ticks = incident.ticks.get(command.checklist, {})
    before = ticks.get(item.id)
    if before is not None and not same(before.by, command.actor):
        who = called(before.by, turn.plan.names)
        return refuse("conflict", f"{who} has ticked it already: {item.text}", "step")
    if before is None:
        made = Tick(command.actor, turn.now, item.text)
        incident.ticks = {**incident.ticks, command.checklist: {**ticks, item.id: made}}
        _enter(turn, incident, command, f"Done: {item.text}", Reason.TICKED)
    return c.Result(ok=True, reason=Reason.TICKED, id=item.id)


def untick(turn: Turn, incident: Incident, command: c.UntickStep) -> c.Result:
    """A person says that a step is not done after all, and why."""
    if not incident.open:
        return refuse("conflict", f"Incident #{incident.number} is resolved already")
    why = command.why.strip()
    if not why or len(why) > LONGEST_WHY or not why.isprintable():
        return refuse("invalid", f"Say why, in up to {LONGEST_WHY} printable characters", "why")
    ticks = incident.ticks.get(command.checklist, {})
    before = ticks.get(command.step)
    if before is None:
        checklist = _of(turn, incident, command.checklist)
        item = checklist.item(command.step) if checklist is not None else None
        if item is None:
            return _unknown(incident, command.checklist, command.step)
        return refuse("conflict", f"Nobody has ticked it: {item.text}", "step")
    left = {id: one for id, one in ticks.items() if id != command.step}
    incident.ticks = {**incident.ticks, command.checklist: left}
    _enter(turn, incident, command, f"Not done after all: {before.text}: {why}", Reason.UNTICKED)
    return c.Result(ok=True, reason=Reason.UNTICKED, id=command.step)


def _of(turn: Turn, incident: Incident, name: str) -> Checklist | None:
    """A checklist that the incident's service has, or that was begun for it."""
    if name in turn.plan.answers.get(incident.service, ()) or name in incident.ticks:
        return turn.plan.checklists.get(name)
    return None


def _unknown(incident: Incident, checklist: str, step: str) -> c.Result:
    return refuse("not_found", f"Incident #{incident.number} has no step {step!r} of a checklist {checklist!r}")


def _enter(turn: Turn, incident: Incident, command: c.TickStep | c.UntickStep, what: str, reason: Reason) -> None:
    turn.enter(incident.number, what, reason, command.actor, checklist=command.checklist, step=command.step)
    turn.save_incident(incident)
