"""Unchanged repetitions, gathered until they are journaled together."""

from __future__ import annotations

import threading
from collections.abc import Iterable

from tocsin.engine.inputs import Seen
from tocsin.kernel.instant import SECOND, Instant

BUCKET = 5 * SECOND


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

    def take(self) -> Seen | None:
        """Everything gathered, as an input; None when there is nothing."""
        with self._lock:
            heard, self._heard = self._heard, {}
        if not heard:
            return None
        base = min(min(ids) for ids in heard.values())
        return Seen(base, tuple((at, bitmap(base, heard[at])) for at in sorted(heard)))


def bitmap(base: int, ids: set[int]) -> bytes:
    """Bit ``n`` is set when ``base + n`` is among the ids, lowest bit of the first byte first."""
    bits = bytearray((max(ids) - base) // 8 + 1)
    for id in ids:
        offset = id - base
        bits[offset >> 3] |= 1 << (offset & 7)
    return bytes(bits)
