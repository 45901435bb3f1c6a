"""What rows of an older version do not say yet, added once when Tocsin starts."""

from __future__ import annotations

from tocsin.engine import answering, holding, midst, settling
from tocsin.engine.state import COMPLETED
from tocsin.engine.turn import Turn
from tocsin.incidents.incident import Incident

_REFUSED = ("client: ", "refused_address: ")
"""How the failures began for which an older version marked a method, whosever fault they were."""


def complete(turn: Turn) -> None:
    """Incidents that an older version began with say what their runs work on, whether people were called, and since
    when they go on; resolved ones, what was put off with them. Runs say what they left in the midst of a change.
    Contact methods it took out of use for what may have been its account's fault are tried once more.

    Of what this version wrote nothing is changed.
    """
    for incident in list(turn.state.incidents.values()):
        if not incident.open:
            _put_off(turn, incident)
            continue
        _since(turn, incident)
        _works(turn, incident)
        _hold(turn, incident)
        if turn.state.counters.paging and (incident.step or incident.round or incident.laps) and not incident.called:
            incident.called = True
            turn.save_incident(incident)
    before, turn.state.counters.completed = turn.state.counters.completed, COMPLETED
    if before < COMPLETED:
        midst.of_before(turn)
    for contact in turn.state.contacts.values() if before < 1 else ():
        if contact.state == "failing" and contact.failure.startswith(_REFUSED):
            contact.works()
            turn.save_contact(contact)


def _put_off(turn: Turn, incident: Incident) -> None:
    """An older version knew until when something was put off, and not what, nor that all of it had ended."""
    if incident.snoozed_until is None or incident.snoozed is not None:
        return
    incident.clear_at, incident.snoozed = None, settling.put_off(turn, incident)
    settling.settle(turn, incident)


def _since(turn: Turn, incident: Incident) -> None:
    """An older version did not keep when something was opened again. That is not known now either, and no page is taken
    for one of before, whose answer would not count; since when what fires was heard can be told.
    """
    if not incident.reopened or incident.reopened_at is not None or incident.began_at is not None:
        return
    heard = [turn.state.alerts[id].first_seen for id in turn.members(incident).firing if id in turn.state.alerts]
    if heard:
        incident.began_at = max(incident.opened_at, min(heard))
        turn.save_incident(incident)


def _works(turn: Turn, incident: Incident) -> None:
    """Runs that live; of those that ended it is known to belong to this opening only where there was no other."""
    if not incident.run or incident.works:
        return
    for run in [run for run in turn.state.runs.values() if run.incident == incident.number]:
        told = run.trouble != incident.group  # it failed elsewhere, and this incident only tells of it
        if not told and (run.live or not incident.reopened):
            run.opening = incident.reopened
            turn.save_run(run)
            answering.record(turn, incident, run)


def _hold(turn: Turn, incident: Incident) -> None:
    """An older version had pages wait for the one run there was."""
    if incident.hold_until is None or incident.held_since is not None:
        return
    for run in holding.at_work(turn, incident):
        if run.rung in ("ask", "act") and run.state != "asking":
            run.holding = True
            turn.save_run(run)
            incident.held_since = run.started_at if incident.held_since is None else incident.held_since
    turn.save_incident(incident)
