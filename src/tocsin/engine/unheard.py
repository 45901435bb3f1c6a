"""Heartbeats that the plan has and nobody ever heard of: an address that is in no job, or a wrong one. Its absence is
no alarm, for nothing ran yet that could have stopped; but somebody is told, once.
"""

from __future__ import annotations

from tocsin.alerts.heartbeats import Heartbeat, next_due
from tocsin.engine import handing
from tocsin.engine.turn import Turn
from tocsin.intake.specs import HeartbeatSpec
from tocsin.kernel.instant import DAY, HOUR, Duration
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


def tell(turn: Turn, heart: Heartbeat) -> None:
    """It should have been heard by now: tell whoever answers for its service, in their morning; with it what should be
    within the hour, for a plan that is new may have fifty.
    """
    others = sorted(turn.state.heartbeats.items())
    soon = [one for _, one in others if one.state == "new" and one.due is not None and one.due <= turn.now + HOUR]
    told: dict[str, list[Heartbeat]] = {}
    for one in [heart, *soon]:
        one.due = None
        turn.state.timers.set("heartbeat", f"{one.service}/{one.name}", None)
        turn.changes.heartbeats[one.service, one.name] = one
        turn.count("heartbeats", Reason.HEARTBEAT_UNHEARD)
        for name in handing.answerable(turn, (one.service,)):
            told.setdefault(name, []).append(one)
    for name, theirs in told.items():
        person = turn.plan.people.get(name)
        if person is not None:
            title, lines = _said(turn, theirs)
            handing.tell(turn, person, Reason.HEARTBEAT_UNHEARD, title, lines)


def _said(turn: Turn, those: list[Heartbeat]) -> tuple[str, list[str]]:
    """The title of a notice, and its lines."""
    zone = turn.plan.timezone
    since = [f"since {said(one.declared_at, zone)} {zone}" if one.declared_at else "so far" for one in those]
    if len(those) == 1:
        title = f"The heartbeat {those[0].name} of {those[0].service} was not heard once {since[0]}"
        look = "Look whether its address is in the job, or what fires for it comes with its key"
        return title, [f"{look}: until it is heard its absence alarms nobody"]
    lines = [f"{one.name} of {one.service}, {then}" for one, then in zip(those, since, strict=True)]
    return f"{len(those)} heartbeats were not heard once: until they are their absence alarms nobody", lines
