"""What rows of an older version do not say yet, added once when Tocsin starts."""

from __future__ import annotations

from tocsin.engine import answering, holding
from tocsin.engine.turn import Turn
from tocsin.incidents.incident import Incident

_REFUSED = ("client: ", "refused_address: ")
"""How the failures began for which an older version marked a method, whosever fault they were."""


def complete(turn: Turn) -> None:
    """Incidents that an older version began with say what their runs work on, and whether people were called. Contact
    methods it took out of use for what may have been its account's fault are tried once more.

    Of what this version wrote nothing is changed.
    """
    for incident in list(turn.state.incidents.values()):
        if not incident.open:
            continue
        _works(turn, incident)
        _hold(turn, incident)
        if turn.state.counters.paging and (incident.step or incident.round or incident.laps) and not incident.called:
            incident.called = True
            turn.save_incident(incident)
    for contact in turn.state.contacts.values():
        if contact.state == "failing" and contact.failure.startswith(_REFUSED):
            contact.works()
            turn.save_contact(contact)


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
