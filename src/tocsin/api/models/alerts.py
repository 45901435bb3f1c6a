"""Alerts as the API publishes them."""

from __future__ import annotations

from msgspec import Struct

from tocsin.alerts.alert import Alert
from tocsin.api.models.values import Moment, moment
from tocsin.kernel.identity import fingerprint
from tocsin.kernel.instant import (
    format_rfc3339,
)
from tocsin.kernel.reason import EXPLAINED


class PublishedAlert(Struct, frozen=True, kw_only=True):
    """An alert. ``fingerprint`` is what Alertmanager computes for its labels. ``origin``: the service of its key."""

    id: int
    fingerprint: str
    title: str
    state: str
    severity: str
    service: str
    origin: str
    source: str
    key: str
    group: str
    labels: dict[str, str]
    annotations: dict[str, str]
    link: str
    reason: str
    because: str
    routed: str
    starts_at: Moment
    ends_at: Moment | None
    first_seen: Moment
    last_seen: Moment
    resolved_at: Moment | None
    stale: bool
    count: int
    incident: int | None
    silences: list[str]


def alert_out(one: Alert) -> PublishedAlert:
    """An alert."""
    return PublishedAlert(
        id=one.id,
        fingerprint=fingerprint(one.labels),
        title=one.title,
        state=one.state,
        severity=one.severity,
        service=one.service,
        origin=one.origin,
        source=one.source,
        key=one.key,
        group=one.group,
        labels=one.labels,
        annotations=one.annotations,
        link=one.link,
        reason=str(one.reason),
        because=EXPLAINED[one.reason],
        routed=str(one.routed),
        starts_at=format_rfc3339(one.starts_at),
        ends_at=moment(one.ends_at),
        first_seen=format_rfc3339(one.first_seen),
        last_seen=format_rfc3339(one.last_seen),
        resolved_at=moment(one.resolved_at),
        stale=one.stale,
        count=one.count,
        incident=one.incident or None,
        silences=list(one.silences),
    )
