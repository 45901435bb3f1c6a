"""Heartbeats: which one a ping or an alert is a sign of life of, and what it means."""

from __future__ import annotations

from tocsin.alerts.alert import Alert
from tocsin.alerts.heartbeats import Heartbeat, beaten
from tocsin.engine import ending
from tocsin.engine.turn import Turn
from tocsin.intake.event import Beat
from tocsin.intake.specs import HeartbeatSpec
from tocsin.kernel.instant import Instant
from tocsin.kernel.matcher import all_match
from tocsin.kernel.reason import Reason

MISSING = "HeartbeatMissing"
"""The name of the alert of a heartbeat that is late or failed."""


def heartbeat_of(turn: Turn, labels: dict[str, str]) -> HeartbeatSpec | None:
    """The heartbeat that an alert with these labels is a sign of life of, when it is one."""
    return next((spec for spec in turn.plan.heartbeat_alerts if all_match(spec.alert, labels)), None)


def beat_by(turn: Turn, alert: Alert, at: Instant) -> None:
    """What counts as a heartbeat beats each time it is heard."""
    spec = heartbeat_of(turn, alert.labels) if alert.reason is Reason.COUNTS_AS_HEARTBEAT else None
    if spec is not None:
        take_beat(turn, spec, "ok", at)


def name_of(spec: HeartbeatSpec) -> str:
    """What the alert of a heartbeat is known by."""
    return named(spec.service, spec.name)


def named(service: str, heartbeat: str) -> str:
    """The same, of one that the plan may not have."""
    return f"heartbeat:{service}/{heartbeat}"


def undefined(service: str, heartbeat: str) -> str:
    """The same, of one that is heard though the plan does not define it: another trouble than that it is missing."""
    return f"unknown heartbeat:{service}/{heartbeat}"


def is_missing(turn: Turn, alert: Alert) -> bool:
    """Whether an alert of Tocsin's own is of a heartbeat that is late: only a sign of life ends that."""
    if alert.labels.get("alertname") != MISSING:
        return False
    heart = turn.state.heartbeats.get((alert.origin, alert.labels["heartbeat"]))
    return heart is not None and heart.state == "late"


def take_beat(
    turn: Turn, spec: HeartbeatSpec, kind: str, at: Instant, exit_code: int | None = None, body: str = ""
) -> Reason | None:
    """Take one sign of life, and end the heartbeat's alert when it says so. What it means, if that is something new."""
    heart = turn.state.heartbeats.get((spec.service, spec.name))
    if heart is None:
        heart = turn.state.heartbeats[spec.service, spec.name] = Heartbeat(service=spec.service, name=spec.name)
    meaning = beaten(heart, spec, kind, at, exit_code, body)
    turn.changes.heartbeats[spec.service, spec.name] = heart
    turn.state.timers.set("heartbeat", f"{spec.service}/{spec.name}", heart.due)
    turn.count("heartbeats", meaning or Reason.HEARD_AGAIN)
    if meaning is Reason.HEARTBEAT_BACK:
        alert = ending.own_alert(turn, spec.service, name_of(spec))
        if alert is not None and alert.firing:
            ending.resolve(turn, alert, Reason.HEARTBEAT_BACK)
    return meaning


def heard_meanwhile(turn: Turn, place: tuple[str, str], beat: Beat) -> Instant | None:
    """A sign of life of what the plan leaves out: it counts when the plan has it again. Since when it is left out, None
    of what was never heard.
    """
    heart, kind = turn.state.heartbeats.get(place), beat.kind
    if heart is None or heart.left_at is None or kind == "start":
        return heart.left_at if heart is not None else None
    heart.last, heart.started, heart.state = turn.now, None, "failed" if kind == "fail" else "up"
    heart.exit_code, heart.body = beat.exit_code, beat.body
    heart.beats += 1
    heart.alarms = kind == "fail"
    turn.changes.heartbeats[place] = heart
    return heart.left_at
