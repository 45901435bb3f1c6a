"""Alerts end: what a source, a person or time says is over. What Tocsin raised about itself is found here as well."""

from __future__ import annotations

from tocsin.alerts.alert import Alert
from tocsin.engine.turn import Turn
from tocsin.kernel.identity import keyed
from tocsin.kernel.instant import Instant
from tocsin.kernel.reason import Reason

OWN = "tocsin"
"""The source of alerts that Tocsin raises about itself. They end when a person resolves their incident, but for that of
a heartbeat that is late.
"""


def own_alert(turn: Turn, service: str, key: str) -> Alert | None:
    """The alert that ``own_event`` raised on a service under that key."""
    return turn.state.known_of(OWN, service).get(keyed(key))


def resolve(turn: Turn, alert: Alert, reason: Reason, ended: Instant | None = None) -> None:
    """An alert ends. Its incident is settled before the turn is over."""
    state = turn.state
    alert.state, alert.reason = "resolved", reason
    alert.resolved_at = turn.now
    alert.ends_at = min(ended, turn.now) if ended is not None else turn.now
    if reason is Reason.SOURCE_RESOLVED:
        alert.last_seen = turn.now
    state.active_by_key[alert.key_id] -= 1
    members = state.members.get(alert.incident)
    if members is not None:
        members.firing.discard(alert.id)
        members.silenced.discard(alert.id)
    alert.silences = ()
    turn.save_alert(alert)
    turn.count("alerts", reason)
    turn.touch(alert.incident)
