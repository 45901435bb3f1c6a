"""An incident is paged from its first step again: whoever had it has it no more."""

from __future__ import annotations

from tocsin.engine import helping, ledger
from tocsin.engine.turn import Turn
from tocsin.incidents.incident import Incident
from tocsin.kernel.reason import Reason


def begin(turn: Turn, incident: Incident, reason: Reason) -> None:
    """Page from the first step, now. What was still to be told to whoever had it is overtaken."""
    incident.state, incident.reason = "triggered", reason
    incident.acknowledged_by, incident.answers = "", {}
    incident.acknowledged_at = incident.acknowledged_until = None
    incident.step = incident.round = incident.laps = 0
    incident.owed = ()
    incident.next_at = turn.now
    incident.resume_at = incident.clear_at = incident.waits = None
    incident.paused = incident.paused_until = None
    for row in ledger.rows(turn, incident.number):
        if row.kind == "notice" and row.state == "intended" and not helping.outlasts(row, incident):
            ledger.finish(turn, row, "overtaken", Reason.OVERTAKEN)
    turn.touch(incident.number)
    turn.save_incident(incident)


def untold(turn: Turn, incident: Incident, said: str) -> None:
    """It is more than it was when somebody took it or put it off, and none of these knows: it is as if nobody had."""
    turn.enter(incident.number, f"{said}: paging begins again", Reason.CHANGED)
    begin(turn, incident, Reason.CHANGED)
