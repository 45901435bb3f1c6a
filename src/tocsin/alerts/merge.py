"""How two statements about the times of one alert become one, as Alertmanager merges them.

Two Prometheus replicas report the same alert with ends that differ, and one may already say *resolved*
while the other still fires. The rules are those of Alertmanager 0.25 (``types.Alert.Merge`` and the overlap
test of ``provider/mem.Put``).
"""

from __future__ import annotations

from typing import NamedTuple

from tocsin.kernel.instant import Instant


class Span(NamedTuple):
    """From when to when one statement holds an alert to be firing.

    ``ends_at`` None: never by time. ``timeout``: nobody named the end;
    it was set so that the alert expires unless repeated.
    """

    starts_at: Instant
    ends_at: Instant | None
    timeout: bool = False

    def over(self, now: Instant) -> bool:
        """Whether it has ended. An end that is exactly now has passed."""
        return self.ends_at is not None and self.ends_at <= now


def overlap(old: Span, new: Span) -> bool:
    """Whether the new statement speaks of the same firing: it starts or ends strictly inside the old one."""
    ends_inside = _before(old.starts_at, new.ends_at) and _before(new.ends_at, old.ends_at)
    starts_inside = old.starts_at < new.starts_at and _before(new.starts_at, old.ends_at)
    return ends_inside or starts_inside


def merge(old: Span, new: Span, now: Instant) -> Span:
    """The one span that an old and a newer statement make together; labels and annotations are always the newer's.

    Without overlap the newer stands alone: a new firing. Otherwise the earliest start is kept, and

    - if the newer says that it ended, that end holds, unless the old one had ended too and later;
    - if the newer fires, the later of both ends holds, except that an end nobody named (a timeout)
      never outlives a named one.
    """
    if not overlap(old, new):
        return new
    starts_at = min(old.starts_at, new.starts_at)
    if not _before(new.ends_at, old.ends_at):
        return Span(starts_at, new.ends_at, new.timeout)
    if new.over(now):
        keep_old = old.over(now)
    else:
        keep_old = not old.timeout
    # As in Alertmanager, only the time is taken from the old one; whether it counts as a timeout is the newer's word.
    return Span(starts_at, old.ends_at if keep_old else new.ends_at, new.timeout)


def _before(one: Instant | None, other: Instant | None) -> bool:
    """Whether one end comes strictly before the other; None comes after everything."""
    if one is None:
        return False
    return other is None or one < other
