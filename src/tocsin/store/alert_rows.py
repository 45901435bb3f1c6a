"""How alerts lie in the tables: what came together lies together, until something about one of them changes.

- ``alerts``: a row for each alert that came alone, or changed since it was first heard. It counts before all else.
- ``alert_blocks``: alerts as they were first heard, up to ``BLOCK`` with consecutive ids in one row;
  ``alert_block_incidents`` says which incidents they joined. An alert's own row replaces its place in the block.
- ``alert_sightings``: of alerts that were only repeated, when they were heard last, how often, and where their end is
  now, ``STRETCH`` ids in one row. A sighting counts only against a row that says less often.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from sys import intern

import msgspec
from msgspec import Struct

from tocsin.alerts.alert import Alert
from tocsin.kernel.instant import Instant

BLOCK = 256
BLOCK_FROM = 8
"""Fewer new alerts than this in one commit get rows of their own."""
STRETCH = 512


class Sightings(Struct, array_like=True):
    """Alerts of one stretch as they were last heard, by place in each list. All ids lie within one stretch."""

    ids: list[int]
    last_seen: list[Instant]
    counts: list[int]
    ends_at: list[Instant | None]


_alerts = msgspec.json.Decoder(list[Alert]).decode
_pack = msgspec.msgpack.Encoder().encode
_sightings = msgspec.msgpack.Decoder(Sightings).decode


def blocks(new: Sequence[Alert]) -> Iterator[Sequence[Alert]]:
    """New alerts, whose ids are consecutive, as blocks."""
    return (new[start : start + BLOCK] for start in range(0, len(new), BLOCK))


def read_block(body: bytes) -> list[Alert]:
    """The alerts of a block."""
    return _alerts(body)


def sightings(alerts: Iterable[Alert]) -> bytes:
    """What was heard of some alerts of one stretch."""
    some = list(alerts)
    return _pack(
        Sightings([a.id for a in some], [a.last_seen for a in some], [a.count for a in some], [a.ends_at for a in some])
    )


Seen = Mapping[int, tuple[Instant, int, Instant | None]]
"""Last seen, count and end by alert."""


def read_sightings(body: bytes) -> Seen:
    """What ``sightings`` was given."""
    found = _sightings(body)
    return dict(zip(found.ids, zip(found.last_seen, found.counts, found.ends_at, strict=True), strict=True))


def sighted(alert: Alert, seen: Seen) -> Alert:
    """The alert as it was last heard."""
    found = seen.get(alert.id)
    if found is not None and found[1] > alert.count:
        alert.last_seen, alert.count, alert.ends_at = found
    return alert


def alone(alert: Alert) -> Alert:
    """An alert that does not hold on to the row it was read from, and shares the words many have in common."""
    alert.labels_json, alert.annotations_json = alert.labels_json.copy(), alert.annotations_json.copy()
    alert.source, alert.origin, alert.service = intern(alert.source), intern(alert.origin), intern(alert.service)
    alert.severity, alert.group, alert.link = intern(alert.severity), intern(alert.group), intern(alert.link)
    return alert
