"""What one look of a probe found, and the Event it amounts to."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

from msgspec import Struct

from tocsin.intake.bounds import MAX_KEY, bounded_annotations, bounded_labels, cut_identity, first_line
from tocsin.intake.event import Event
from tocsin.intake.specs import ProbeSpec
from tocsin.kernel.identity import texts_json
from tocsin.kernel.instant import Instant
from tocsin.kernel.outside import Outside


class Measured(Struct, frozen=True):
    """The number a look is judged by. ``what``: such as ``memory used``; ``unit``: ``%``, ``s`` or ``bytes``.

    ``limit``: beyond which it fails; None where the number alone fails nothing.
    """

    what: str
    value: float
    unit: str
    limit: float | None = None


class Checked(Struct, frozen=True):
    """What one look found. ``summary``: one sentence a half-asleep person understands. ``facts``: what it rests on.

    ``measured``: the number worth a graph, None when there is none or nothing answered.
    """

    ok: bool
    summary: str
    facts: dict[str, str] = {}
    measured: Measured | None = None


Probe = Callable[[ProbeSpec, Instant, Outside], Awaitable[Checked]]
"""One look. Never raises for what the outside does, and takes no longer than ``spec.timeout``."""


def alert_key(spec: ProbeSpec) -> str:
    """What a probe's alert is known by: ``service/name``, so that moving its target keeps the alert."""
    return f"{spec.service}/{spec.name}"


def as_event(spec: ProbeSpec, checked: Checked, now: Instant, since: Instant | None = None) -> Event:
    """The Event for what was found. It never expires by time: the same probe says when it is over.

    Where the plan gives the probe a title, what was found is the description.

    ``since``: when the first of the failures in a row was seen; ``now`` when left out.
    """
    facts = {**checked.facts, "description": checked.summary} if spec.title else checked.facts
    return Event(
        key=cut_identity(alert_key(spec), MAX_KEY),
        state="resolved" if checked.ok else "firing",
        labels=labels_of(spec),
        annotations_json=texts_json(bounded_annotations(facts)),
        own_title=first_line(spec.title or checked.summary),
        severity=spec.severity,
        starts_at=now if since is None else since,
        ends_at=now if checked.ok else None,
    )


def labels_of(spec: ProbeSpec) -> dict[str, str]:
    """The labels of a probe's alert."""
    return bounded_labels(
        {
            "alertname": f"Probe{spec.kind.capitalize()}Failed",
            "service": spec.service,
            "probe": spec.name,
            "instance": without_credentials(spec.target),
        }
    )


def without_credentials(target: str) -> str:
    """A target as it may be shown: a URL without the user and password in front of its host."""
    try:
        parts = urlsplit(target)
    except ValueError:
        return target
    host = parts.netloc.rpartition("@")[2]
    return parts._replace(netloc=host).geturl() if host != parts.netloc else target
