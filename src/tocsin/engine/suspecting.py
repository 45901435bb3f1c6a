"""Which change out there is suspected: the last one before an incident began, on its service or what that needs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tocsin.engine.records import HeardChange
from tocsin.incidents.incident import Incident
from tocsin.kernel.instant import HOUR, Instant, say_duration

BEFORE = HOUR
"""How long before an incident began a change may have been its cause."""
MOST_HEARD = 200
"""So many changes are kept in mind, the latest."""


def began(incident: Incident) -> Instant:
    """When the trouble of an incident began; of one that was reopened, when it came back."""
    return incident.since


def suspect(changes: Iterable[HeardChange], services: Sequence[str], at: Instant) -> HeardChange | None:
    """The last change before ``at``, at most an hour, on one of these services; of several at once on the first."""
    those = [one for one in changes if one.service in services and at - BEFORE <= one.at <= at]
    return max(those, key=lambda one: (one.at, -services.index(one.service), one.id), default=None)


def said(change: HeardChange, at: Instant) -> str:
    """A suspected change in a sentence."""
    before = say_duration(at - change.at)
    return f"{change.service}: {change.summary}, {before} before it began"
