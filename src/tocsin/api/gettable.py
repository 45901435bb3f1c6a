"""Alerts and silences as Alertmanager 0.25 shows them: shapes, order, fingerprints."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import msgspec
from litestar import Response

from tocsin.alerts.alert import Alert
from tocsin.kernel.identity import fingerprint
from tocsin.kernel.instant import Instant, format_rfc3339
from tocsin.silences.silence import Silence

_ORDER = {"active": 1, "pending": 2, "expired": 3}


def gettable(one: Alert, now: Instant) -> dict[str, Any]:
    """An alert as it is shown."""
    ends = one.ends_at
    if ends is None or ends < now:
        # Never by time, or its last repetitions changed nothing and were not written down one by one: it fires still.
        ends = now + (one.ttl or 300_000_000)
    return {
        "annotations": one.annotations,
        "endsAt": format_rfc3339(ends),
        "fingerprint": fingerprint_of(one),
        "receivers": [{"name": one.service}],
        "startsAt": format_rfc3339(one.starts_at),
        "status": {
            "inhibitedBy": [],
            "silencedBy": list(one.silences),
            "state": "suppressed" if one.silences else "active",
        },
        "updatedAt": format_rfc3339(one.last_seen),
        **({"generatorURL": one.link} if one.link else {}),
        "labels": one.labels,
    }


def gettable_silence(one: Silence, now: Instant) -> dict[str, Any]:
    """A silence as it is shown."""
    return {
        "id": one.id,
        "status": {"state": one.state(now)},
        "updatedAt": format_rfc3339(one.updated_at),
        "comment": one.comment,
        "createdBy": one.author,
        "endsAt": format_rfc3339(one.ends_at),
        "matchers": [
            {
                "isEqual": m.operator in ("=", "=~"),
                "isRegex": m.operator in ("=~", "!~"),
                "name": m.label,
                "value": m.value,
            }
            for m in one.matchers
        ],
        "startsAt": format_rfc3339(one.starts_at),
    }


def silence_place(one: Silence, now: Instant) -> tuple[int, int]:
    """Where a silence stands in a list."""
    state = one.state(now)
    when = {"active": one.ends_at, "pending": one.starts_at, "expired": -one.ends_at}[state]
    return _ORDER[state], when


def place(one: Alert) -> tuple[Any, ...]:
    # By job, then instance, those without last; then by all labels.
    """Where an alert stands in its group."""
    first = [(label not in one.labels, one.labels.get(label, "")) for label in ("job", "instance")]
    return *first, label_order(one.labels)


def label_order(labels: dict[str, str]) -> tuple[Any, ...]:
    """Alertmanager's order of label sets: the fewer first; where one lacks a name that the other has, the one first."""
    # Of equally many, the one whose first differing name comes later lacks the earlier name: later names sort first.
    return len(labels), [((*(-ord(char) for char in name), 1), value) for name, value in sorted(labels.items())]


def group_labels(one: Alert) -> dict[str, str]:
    """The labels a group was made by: its text is ``name=value`` of each, with commas between."""
    text = f",{one.group},"
    return {name: value for name, value in one.labels.items() if f",{name}={value}," in text}


def fingerprint_of(one: Alert) -> str:
    """What Alertmanager computes for its labels."""
    return _fingerprinted(tuple(sorted(one.labels.items())))


@lru_cache(maxsize=65_536)
def _fingerprinted(labels: tuple[tuple[str, str], ...]) -> str:
    return fingerprint(dict(labels))


def answer(told: Any) -> Response[bytes]:
    """JSON, as it is answered."""
    return Response(msgspec.json.encode(told) + b"\n", media_type="application/json")
