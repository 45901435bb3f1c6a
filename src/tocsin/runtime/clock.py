"""The real clock: the only place that asks the machine for the time."""

from __future__ import annotations

import time
from typing import Protocol

from tocsin.kernel.instant import Duration, Instant


class Clock(Protocol):
    """Tells the time. Tests hand in one of their own."""

    def now(self) -> Instant:
        """The wall clock, UTC."""
        ...

    def awake(self) -> Duration:
        """Time since some start that only counts while this machine ran."""
        ...


class SystemClock:
    """The machine's clocks."""

    def now(self) -> Instant:
        """The wall clock, UTC."""
        return time.time_ns() // 1_000

    def awake(self) -> Duration:
        """The monotonic clock, which stands still while the machine sleeps."""
        return time.monotonic_ns() // 1_000
