"""What a service listens for besides its probes: heartbeats, and the keys monitors send with."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from tocsin.access.limits import KeyLimits
from tocsin.intake.specs import HeartbeatSpec, KeySpec
from tocsin.kernel.instant import MINUTE, format_duration
from tocsin.notation.findings import Findings, shown
from tocsin.notation.positions import Placed
from tocsin.plan import schema as written
from tocsin.plan.severities import Severities
from tocsin.playbooks.triggers import SOURCE as TRIGGER

Written = tuple[str, written.Service]
"""A service by its name, as it is written."""


def read_heartbeats(
    service: str, said: written.Service, zone: str, severities: Severities
) -> Iterator[HeartbeatSpec]:
    """The signs of life of one service. ``zone``: where its cron lines are meant when they say nothing."""
    for (name, _), beat in said.heartbeats or ():
        if beat is not None:
            yield HeartbeatSpec(
                service=service,
                name=name,
                every=beat.every or 0,
                cron=beat.cron or "",
                timezone=(beat.timezone or zone) if beat.cron else "UTC",
                grace=5 * MINUTE if beat.grace is None else beat.grace,
                severity=severities.known(beat.severity),
                title=beat.title or "",
                alert=beat.alert or (),
            )


def warn_of_heartbeats(said: written.Service, findings: Findings) -> None:
    """Say which of a service's heartbeats an alert cannot keep up with."""
    for (name, at), beat in said.heartbeats or ():
        if beat is not None and beat.alert and beat.every and beat.every < MINUTE:
            often = format_duration(beat.every)
            message = f"heartbeat {shown(name)} is an alert that must come again within {often}"
            hint = "Prometheus says an alert again once a minute: write every: 1m or more"
            findings.warning(at, message, hint)


def read_keys(services: Iterable[Written], findings: Findings) -> Iterator[KeySpec]:
    """All keys, those of triggers too. Each has a secret of its own."""
    secrets: dict[str, Placed[str]] = {}
    for service, said in services:
        for name, key in said.keys or ():
            if key is None or key.secret is None:
                continue
            _check_own_secret(secrets, service, key.secret, findings)
            if key.source == "heartbeat":
                _check_heartbeat_key(name, said, findings)
            yield KeySpec(
                source=key.source or "",
                service=service,
                name=name.value,
                secret=key.secret.value,
                limits=_limits(key.limits),
            )
        for name, trigger in said.triggers or ():
            if trigger is not None and trigger.secret is not None:
                _check_own_secret(secrets, service, trigger.secret, findings)
                yield KeySpec(source=TRIGGER, service=service, name=name.value, secret=trigger.secret.value)


def _check_own_secret(
    secrets: dict[str, Placed[str]], service: str, secret: Placed[str], findings: Findings
) -> None:
    first = secrets.setdefault(secret.value, Placed(service, secret.at))
    if first.at != secret.at:
        message = f"this is already a key of {first.value}, {first.at.seen_from(secret.at)}"
        findings.error(secret.at, message, "every key has a secret of its own")


def _check_heartbeat_key(name: Placed[str], service: written.Service, findings: Findings) -> None:
    """A ping says nothing but its key: the key's name must say which heartbeat it is."""
    beats = [beat.value for beat, _ in service.heartbeats or ()]
    unread = "heartbeats" in service.places and service.heartbeats is None
    if name.value not in beats and not unread:
        hint = findings.nearest(name.value, beats) or "define it under heartbeats"
        message = f"the key {shown(name.value)} is for a heartbeat of that name, and the service has none"
        findings.error(name.at, message, hint)


def _limits(said: written.KeyLimits | None) -> KeyLimits:
    if said is None:
        return KeyLimits()
    return KeyLimits(rate=said.rate, burst=said.burst, body=said.body, alerts=said.alerts)
