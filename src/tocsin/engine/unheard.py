"""Heartbeats that the plan has and nobody ever heard of: an address that is in no job, or a wrong one. Its absence is
no alarm, for nothing ran yet that could have stopped; but somebody is told, once.
"""

from __future__ import annotations

from tocsin.alerts.heartbeats import Heartbeat, next_due
from tocsin.engine import handing
from tocsin.engine.turn import Turn
from tocsin.intake.specs import HeartbeatSpec
from tocsin.kernel.instant import DAY, Duration
from tocsin.kernel.reason import Reason
from tocsin.oncall.zone import said

WIRED_WITHIN: Duration = DAY
"""So long at least whoever declares one has to put its address where it belongs."""


def declared(turn: Turn, spec: HeartbeatSpec, heart: Heartbeat, *, anew: bool) -> None:
    """The plan has it. ``anew``: it says otherwise than before when the first sign of life is to come."""
    if heart.state != "new" or (heart.declared_at is not None and (heart.due is None or not anew)):
        return
    if heart.declared_at is None:
        heart.declared_at = turn.now
    first = next_due(spec, heart.declared_at)
    heart.due = max(first, heart.declared_at + WIRED_WITHIN, turn.now)


def tell(turn: Turn, spec: HeartbeatSpec, heart: Heartbeat) -> None:
    """It should have been heard by now: tell whoever answers for its service, in their morning."""
    zone = turn.plan.timezone
    since = f"since {said(heart.declared_at, zone)} {zone}" if heart.declared_at is not None else "so far"
    title = f"The heartbeat {spec.name} of {spec.service} was not heard once {since}"
    comes = "alerts that count as it" if spec.alert else "the job that calls its address"
    lines = [f"Look whether {comes}, with its key, reached Tocsin: until then its absence alarms nobody"]
    for name in handing.answerable(turn, (spec.service,)):
        person = turn.plan.people.get(name)
        if person is not None:
            handing.tell(turn, person, Reason.HEARTBEAT_UNHEARD, title, lines)
    turn.count("heartbeats", Reason.HEARTBEAT_UNHEARD)
