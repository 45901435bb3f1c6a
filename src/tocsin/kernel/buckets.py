"""Token buckets: so many a second, and a few at once."""

from __future__ import annotations

from typing import Protocol

from tocsin.kernel.instant import SECOND, Duration, Instant


class Rate(Protocol):
    """How much a bucket holds: ``rate`` a second, ``burst`` at once."""

    @property
    def rate(self) -> float: ...
    @property
    def burst(self) -> int: ...


class Bucket:
    """A token bucket: ``rate`` requests a second, ``burst`` at once."""

    __slots__ = ("at", "left")

    def __init__(self, limits: Rate, now: Instant) -> None:
        self.left = float(limits.burst)
        self.at = now

    def take(self, limits: Rate, now: Instant) -> bool:
        """Take one; False when there is none."""
        passed = max(0, now - self.at)  # the clock may have been set back
        self.left = min(float(limits.burst), self.left + passed * limits.rate / SECOND)
        self.at = now
        if self.left < 1.0:
            return False
        self.left -= 1.0
        return True

    def give_back(self, limits: Rate) -> None:
        """One that was taken was not needed."""
        self.left = min(float(limits.burst), self.left + 1.0)

    def wait(self, limits: Rate, now: Instant) -> Duration:
        """How long until there is one to take; 0: there is."""
        missing = 1.0 - self.left - max(0, now - self.at) * limits.rate / SECOND
        return max(0, int(missing * SECOND / limits.rate) + 1) if missing > 0 else 0
