"""A Silence, and the alerts it keeps quiet."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal

from msgspec import Struct

from tocsin.kernel.instant import MINUTE, Instant
from tocsin.kernel.matcher import Matcher, all_match

SilenceState = Literal["pending", "active", "expired"]
REMIND_BEFORE = 15 * MINUTE
"""So long before its end its author is told; of one shorter than an hour it is a quarter of its length."""


class Silence(Struct, kw_only=True):
    """Alerts that meet all matchers are quiet from ``starts_at`` until ``ends_at``.

    ``origin``: "" silences alerts of every service; else only alerts that came with keys of that service.
    ``begun``: what it covers was judged when it came in force; ``reminded``: the author was told that it ends soon;
    ``closed``: what it kept quiet was judged again at its end.
    """

    id: str
    matchers: tuple[Matcher, ...]
    author: str
    comment: str
    starts_at: Instant
    ends_at: Instant
    created_at: Instant
    updated_at: Instant
    origin: str = ""
    begun: bool = False
    reminded: bool = False
    closed: bool = False

    def state(self, now: Instant) -> SilenceState:
        """Whether it is still to come, in force, or over."""
        return "expired" if now >= self.ends_at else "active" if now >= self.starts_at else "pending"

    def covers(self, labels: Mapping[str, str], origin: str) -> bool:
        """Whether its matchers are met, whatever the time."""
        return (not self.origin or self.origin == origin) and all_match(self.matchers, labels)

    def remind_at(self) -> Instant:
        """When to say that it ends soon."""
        return self.ends_at - min(REMIND_BEFORE, (self.ends_at - self.starts_at) // 4)

    def due(self) -> Instant | None:
        """The next instant at which something changes by itself: its beginning, its reminder or its end."""
        if self.closed:
            return None
        moments = [self.ends_at]
        if not self.begun:
            moments.append(self.starts_at)
        if not self.reminded:
            moments.append(self.remind_at())
        return min(moments)


def everything(matchers: Iterable[Matcher]) -> bool:
    """Whether what has no label at all meets them: they keep quiet whatever they do not except, and a label whose name
    is mistyped excepts nothing. Who sets such a silence says that it is meant.
    """
    return all_match(tuple(matchers), {})


def matching(silences: Iterable[Silence], labels: Mapping[str, str], origin: str, now: Instant) -> tuple[str, ...]:
    """Ids of the silences in force that match, in a fixed order."""
    return tuple(sorted(s.id for s in silences if s.state(now) == "active" and s.covers(labels, origin)))
