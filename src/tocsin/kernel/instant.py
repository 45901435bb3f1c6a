"""Points in time and spans of time, as integers of microseconds.

An ``Instant`` counts microseconds since 1970-01-01T00:00:00Z; a ``Duration`` counts microseconds.
Both are plain ``int``: they go into a database, a heap and a hash as they are, and cannot carry a zone by accident.
Wall clocks and zones belong to the room that needs them (heartbeats with a cron line).
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache

Instant = int
Duration = int

MILLISECOND: Duration = 1_000
SECOND: Duration = 1_000_000
MINUTE: Duration = 60 * SECOND
HOUR: Duration = 60 * MINUTE
DAY: Duration = 24 * HOUR
WEEK: Duration = 7 * DAY

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_ONE = timedelta(microseconds=1)
_UNITS = {"ms": MILLISECOND, "s": SECOND, "m": MINUTE, "h": HOUR, "d": DAY, "w": WEEK}
_DURATION = re.compile(r"(?:\d+(?:ms|[smhdw]))+")
_PART = re.compile(r"(\d+)(ms|[smhdw])")


def from_datetime(moment: datetime) -> Instant:
    """Microseconds since the epoch for an aware datetime; a naive one is refused with ValueError.

    Year 1, which Go's clients send for "not set", becomes a large negative number.
    """
    if moment.tzinfo is None:
        raise ValueError("a time needs a zone, such as the Z in 2026-11-22T03:24:00Z")
    return (moment - _EPOCH) // _ONE


def to_datetime(instant: Instant) -> datetime:
    """The aware UTC datetime of an instant."""
    return _EPOCH + timedelta(microseconds=instant)


def parse_rfc3339(text: str) -> Instant:
    """Read ``2026-11-22T03:24:00.5Z`` or with an offset. Raises ValueError, also for a time without a zone."""
    return from_datetime(datetime.fromisoformat(text))


def format_rfc3339(instant: Instant) -> str:
    """Write ``2026-11-22T03:24:00.500Z``: UTC, always milliseconds, so that texts sort as the instants do."""
    return to_datetime(instant).replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"


def parse_duration(text: str) -> Duration:
    """Read ``90s``, ``5m`` or ``1h30m`` (units ms, s, m, h, d, w). Raises ValueError for anything else."""
    if not _DURATION.fullmatch(text):
        raise ValueError(f"{text!r} is not a duration: write a number and a unit, such as 90s, 5m, 1h30m or 2d")
    return sum(int(number) * _UNITS[unit] for number, unit in _PART.findall(text))


@lru_cache(maxsize=4_096)
def say_duration(duration: Duration) -> str:
    """A span as people say it, in its two largest units: ``2 min 27 s``, ``1 h``, ``3 d 4 h``.

    Less than a second is ``0 s``.
    """
    parts = []
    rest = max(duration, 0)
    for unit, size in (("d", DAY), ("h", HOUR), ("min", MINUTE), ("s", SECOND)):
        count, rest = divmod(rest, size)
        if count:
            parts.append(f"{count} {unit}")
    return " ".join(parts[:2]) or "0 s"


def format_duration(duration: Duration) -> str:
    """Write a span as ``parse_duration`` reads it, largest units first: ``1h30m``, ``0s``."""
    if duration < 0:
        return "-" + format_duration(-duration)
    parts = []
    for unit, size in (("w", WEEK), ("d", DAY), ("h", HOUR), ("m", MINUTE), ("s", SECOND), ("ms", MILLISECOND)):
        count, duration = divmod(duration, size)
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts) or "0s"
