"""Whether the loop that hears monitors goes on: what stops a process stops none of the clocks.

SIGSTOP, a paused container, a frozen group of processes, a starved host: the wall clock and the monotonic one
go on together, so only a beat that does not come tells of it.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from typing import NamedTuple

from tocsin.kernel.instant import SECOND, Duration
from tocsin.runtime.clock import Clock

EVERY = 1.0
"""Seconds from one beat to the next."""
STOPPED = 5 * SECOND
"""Without a beat for longer than this, nothing could be heard: what comes within it waits in the sockets, unharmed."""

HEED = 30
"""So many beats after a stop, half a minute of going on, what is read may have come in it. Counted in beats and not in
time: a loop that is stopped again and again gets on with what waits each time it goes on, and only then."""


class Silence(NamedTuple):
    """No beat came from so long ago to so long ago. ``continued``: it goes on from the one told before."""

    start: Duration
    end: Duration
    continued: bool


class Pulse:
    """Beaten by the event loop, felt by the writer's thread before it concludes anything from absence."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._last: Duration | None = None
        """The latest beat, or up to when its absence was told; None before the first."""
        self._told: Duration | None = None
        self._missed: list[tuple[Duration, Duration, bool]] = []
        # The rest is the loop's own, without a lock.
        self._beat: Duration | None = None
        self._beats = 0
        self._stops: deque[tuple[Duration, int]] = deque()
        """When each stop began that is still heeded, and at which beat it was over: at most one for each beat."""

    def beat(self) -> None:
        """The loop goes on."""
        now = self._clock.awake()
        self._goes_on(now)
        with self._lock:
            self._miss(now)
            self._last = now

    def felt(self) -> list[Silence]:
        """In which times until now nothing could be heard; each is told once, oldest first.

        Whichever of the two threads goes on first after a stop: the one that beats leaves a note, the one that feels
        sees for itself.
        """
        now = self._clock.awake()
        with self._lock:
            self._miss(now)
            missed, self._missed = self._missed, []
        return [Silence(now - start, now - end, continued) for start, end, continued in missed]

    def stopped(self) -> Duration | None:
        """How long ago the stop began in which what the loop reads now may have come; None when there was none lately.

        Of several in a row the first that is heeded still: what waited through all of them may not be read yet.
        """
        beat = self._beat
        if beat is None:
            return None
        now = self._clock.awake()
        if now - beat > STOPPED:  # what waited is read before the loop's timers ring
            self._goes_on(now)
        return now - self._stops[0][0] if self._stops else None

    def _goes_on(self, now: Duration) -> None:
        last, self._beat = self._beat, now
        self._beats += 1
        while self._stops and self._beats - self._stops[0][1] > HEED:
            self._stops.popleft()
        if last is not None and now - last > STOPPED:
            self._stops.append((last, self._beats))

    def _miss(self, now: Duration) -> None:
        last = self._last
        if last is not None and now - last > STOPPED:
            self._missed.append((last, now, last == self._told))
            self._last = self._told = now

    async def run(self) -> None:
        """Beat until cancelled."""
        while True:
            self.beat()
            await asyncio.sleep(EVERY)
