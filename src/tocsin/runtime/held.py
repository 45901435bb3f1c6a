"""How much of requests that have not begun yet lies in memory, of all connections together.

Nobody is known by then. When it becomes too much, whoever has held theirs the longest is given up: a sender in good
health has sent a large body long before.
"""

from __future__ import annotations

from typing import Protocol

import structlog

MOST = 64 * 1024 * 1024
"""Bytes, of all who hold more than"""
LITTLE = 16 * 1024
"""so many, which are let be."""

log = structlog.get_logger("tocsin.listener")


class Holder(Protocol):
    """A connection."""

    peer: str

    def give_up(self) -> None:
        """Let go of what has not begun: others' requests need the room."""
        ...


class Held:
    """Who holds more than a little, the longest first."""

    def __init__(self) -> None:
        self._sizes: dict[Holder, int] = {}
        self.total = 0

    def hold(self, who: Holder, size: int) -> None:
        """A connection has so many bytes of requests that have not begun."""
        was, now = self._sizes.get(who, 0), size if size > LITTLE else 0
        if now == was:
            return
        if now:
            self._sizes[who] = now  # one that is there keeps its place
        else:
            del self._sizes[who]
        self.total += now - was
        while self.total > MOST:
            longest = next(iter(self._sizes))
            self.total -= self._sizes.pop(longest)
            log.warning("given_up", client=longest.peer, why="more is being sent at once than can be kept")
            longest.give_up()
