"""What is due when: one heap over everything that waits, derived from the nouns themselves and never stored.

A noun says when it is due next; here that is only remembered. A due time that moved later is noticed when the old one
comes up, so refreshing an alert every minute costs nothing.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator
from typing import Literal

from tocsin.kernel.instant import Instant

Kind = Literal["alerts", "heartbeat", "incident", "loop", "notice", "override", "page", "run", "silence", "standing"]
Timer = tuple[Instant, Kind, int | str]


class Timers:
    """A heap of ``(due, kind, id)``; ties break by kind and id, so every run pops in the same order."""

    def __init__(self, due_of: Callable[[Kind, int | str, Instant], Instant | None]) -> None:
        """``due_of`` says when something is due next; what is due by the instant it is told may say any such time."""
        self._due_of = due_of
        self._heap: list[Timer] = []
        self._earliest: dict[tuple[Kind, int | str], Instant] = {}

    def __len__(self) -> int:
        return len(self._earliest)

    def set(self, kind: Kind, id: int | str, due: Instant | None) -> None:
        """Say when something is due next; None when never.

        A later time than before is found when the earlier one pops.
        """
        if due is None:
            return
        known = self._earliest.get((kind, id))
        if known is None or due < known:
            self._earliest[kind, id] = due
            heapq.heappush(self._heap, (due, kind, id))

    def next(self) -> Instant | None:
        """When the next thing is due, None when nothing waits."""
        self._settle()
        return self._heap[0][0] if self._heap else None

    def due(self, now: Instant) -> Iterator[tuple[Kind, int | str]]:
        """Take what is due at ``now``, earliest first. What is taken and due again must be set again."""
        while self._heap and self._heap[0][0] <= now:  # what the heap says is never later than what is so
            self._settle()
            if not self._heap or self._heap[0][0] > now:
                return
            _, kind, id = heapq.heappop(self._heap)
            del self._earliest[kind, id]
            yield kind, id

    def _settle(self) -> None:
        """Bring the top of the heap up to date: drop what is not due any more, put back what is due later."""
        while self._heap:
            due, kind, id = self._heap[0]
            if self._earliest.get((kind, id)) != due:
                heapq.heappop(self._heap)
                continue
            actual = self._due_of(kind, id, due)
            if actual == due or (actual is not None and actual < due):
                return
            heapq.heappop(self._heap)
            del self._earliest[kind, id]
            self.set(kind, id, actual)
