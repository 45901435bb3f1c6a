"""Why a firing alert pages nobody at this very moment, and when that ends.

There is always an answer, or something is wrong.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from tocsin.alerts.alert import Alert
from tocsin.engine.state import State
from tocsin.kernel.instant import Instant
from tocsin.kernel.reason import Reason


class Quiet(NamedTuple):
    """A named reason, and the instant it ends at the latest."""

    reason: Reason
    until: Instant


def why_quiet(state: State, alert: Alert, now: Instant) -> Quiet | None:
    """The reason a firing alert is quiet now and when that ends; None when there is none, which must never be."""
    incident = state.incidents.get(alert.incident)
    if incident is None:
        return _without_incident(state, alert)
    if incident.state == "resolved":
        until = incident.snoozed_until
        return Quiet(Reason.SNOOZED, until) if until is not None else None
    if incident.paused is not None and incident.paused_until is not None:
        return Quiet(incident.paused, incident.paused_until)
    if incident.state == "acknowledged":
        return (
            Quiet(Reason.ACKNOWLEDGED, incident.acknowledged_until) if incident.acknowledged_until is not None else None
        )
    if incident.next_at is None:
        return None
    reason = incident.waits or Reason.WAITING_FOR_ANSWER if state.counters.paging else Reason.PAGING_OFF
    return Quiet(Reason.SILENCED if alert.silences else reason, incident.next_at)


def _without_incident(state: State, alert: Alert) -> Quiet | None:
    if alert.reason is Reason.COUNTS_AS_HEARTBEAT:
        # It is kept quiet for as long as it keeps coming; when it stops, its heartbeat is late and pages.
        return Quiet(alert.reason, alert.ends_at if alert.ends_at is not None else alert.last_seen)
    ends = [state.silences[id].ends_at for id in alert.silences if id in state.silences]
    return Quiet(Reason.SILENCED, max(ends)) if ends else None


def unexplained(state: State, now: Instant, alerts: Iterable[Alert] | None = None) -> list[int]:
    """Firing alerts (of those given, else of all) that are quiet without a reason, or whose reason has run out."""
    found = []
    for alert in list(state.alerts.values()) if alerts is None else alerts:
        if not alert.firing:
            continue
        quiet = why_quiet(state, alert, now)
        if quiet is None or (quiet.until < now and quiet.reason is not Reason.COUNTS_AS_HEARTBEAT):
            found.append(alert.id)
    return found
