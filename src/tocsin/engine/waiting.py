"""Incidents of low urgency that wait for hours or a morning: judged again when what they wait for may have changed."""

from __future__ import annotations

from tocsin.engine import hearing, paging
from tocsin.engine.turn import Turn
from tocsin.incidents.incident import Incident
from tocsin.kernel.reason import Reason


def judge_again(turn: Turn) -> None:
    """A calendar was read: what would wait otherwise now is asked anew before the turn ends, and what is paused when it
    goes on. Others wait on, and nothing is written of them.
    """
    for incident in _waiting(turn):
        if incident.paused is not None or paging.waits(turn, incident) != (incident.next_at, incident.waits):
            hearing.wait_no_longer(turn, incident)


def plan_changed(turn: Turn) -> None:
    """Another plan: beside other hours it may have made alerts urgent."""
    for incident in _waiting(turn):
        firing = (turn.state.alerts[id] for id in sorted(turn.members(incident).firing))
        if any(hearing.urgency(turn, alert) == "high" for alert in firing):
            hearing.make_urgent(turn, incident, Reason.PLAN_CHANGED)
    judge_again(turn)


def _waiting(turn: Turn) -> list[Incident]:
    return [one for one in turn.state.incidents.values() if one.state == "triggered" and one.waits is not None]
