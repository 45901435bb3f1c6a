"""Unchanged repetitions, gathered until they are journaled together."""

from __future__ import annotations

import threading
from collections.abc import Iterable

from tocsin.engine.inputs import Seen
from tocsin.kernel.instant import SECOND, Instant

BUCKET = 5 * SECOND
SPAN = 1 << 16
"""How many ids one bitmap spans: an alert that fires for months does not make all of them as long as its age."""


class SeenBuffer:
    """Filled by the listener, emptied by the writer. An alert counts once in five seconds."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._heard: dict[Instant, set[int]] = {}

    def __bool__(self) -> bool:
        return bool(self._heard)

    def add(self, alerts: Iterable[int], now: Instant) -> None:
        """These were repeated just now."""
        bucket = now - now % BUCKET
        with self._lock:
            heard = self._heard.get(bucket)
            if heard is None:
                heard = self._heard[bucket] = set()
            heard.update(alerts)

    def take(self) -> list[Seen]:
        """Everything gathered, as inputs: one for each stretch of ids."""
        with self._lock:
            heard, self._heard = self._heard, {}
        stretches: dict[int, dict[Instant, set[int]]] = {}
        for at, ids in sorted(heard.items()):
            if ids and min(ids) // SPAN == max(ids) // SPAN:
                stretches.setdefault(min(ids) // SPAN, {})[at] = ids
                continue
            for id in ids:
                stretches.setdefault(id // SPAN, {}).setdefault(at, set()).add(id)
        found = []
        for _, of in sorted(stretches.items()):
            base = min(map(min, of.values()))
            found.append(Seen(base, tuple((at, bitmap(base, some)) for at, some in of.items())))
        return found


def bitmap(base: int, ids: set[int]) -> bytes:
    """Bit ``n`` is set when ``base + n`` is among the ids, lowest bit of the first byte first."""
    bits = bytearray((max(ids) - base) // 8 + 1)
    for id in ids:
        offset = id - base
        bits[offset >> 3] |= 1 << (offset & 7)
    return bytes(bits)
