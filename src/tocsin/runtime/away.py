"""A database that takes nothing: when it is tried again, and from when on that is no hiccup any more."""

from __future__ import annotations

from tocsin.kernel.instant import SECOND, Duration

PATIENCE = SECOND
"""So long a database may take nothing before pages leave unrecorded, and whoever waits is told."""
FIRST_TRY_AGAIN = SECOND // 20
LAST_TRY_AGAIN = 2 * SECOND


class Away:
    """A database that takes nothing: since when, and when it is tried again, by the clock that never jumps."""

    def __init__(self, now: Duration) -> None:
        self.since = now
        self.try_at = now
        self.tries = 0
        self.told = False

    def failed(self, now: Duration) -> None:
        """One more try in vain: the next comes later."""
        self.tries += 1
        self.try_at = now + min(FIRST_TRY_AGAIN << min(self.tries, 10), LAST_TRY_AGAIN)

    def over(self, now: Duration) -> bool:
        """Whether it is no hiccup any more."""
        return now - self.since >= PATIENCE
