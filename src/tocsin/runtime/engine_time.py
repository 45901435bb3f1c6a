"""The engine's time: the instants at which inputs are judged, and the times in which nothing could be heard."""

from __future__ import annotations

import structlog

from tocsin.engine.inputs import Deaf
from tocsin.kernel.instant import SECOND, Instant
from tocsin.runtime.clock import Clock
from tocsin.runtime.pulse import Pulse

log = structlog.get_logger("tocsin.writer")

JUMPED = 30 * SECOND


class EngineTime:
    """Goes on by a clock that may jump, and beside one that never does. Asked by the writer's thread alone."""

    def __init__(self, clock: Clock, applied: Instant) -> None:
        """``applied``: the instant of what was judged last."""
        self._clock = clock
        self.pulse = Pulse(clock)
        """Beaten by whoever hears; never beaten, it says nothing."""
        self._paced = self._ran = clock.awake()
        self.latest = self._gauged = max(clock.now(), applied)

    def now(self, applied: Instant) -> Instant:
        """The instant of what is applied next: never before the last one's, ``applied``.

        When the clock was set back, time goes on at half its pace until the clock has caught up: standing still
        would keep everybody from being paged for that long.
        """
        wall, ran = self._clock.now(), self._clock.awake()
        passed, self._paced = ran - self._paced, ran
        self.latest = max(wall, self.latest + max(0, passed) // 2)
        return max(applied, self.latest)

    def unheard(self) -> list[Deaf]:
        """A suspended machine, a clock that jumped forward and a process that was stopped could hear nothing.

        Of a jump only what the engine's time skipped counts: a clock set back and right again skips little of it or
        nothing.
        """
        latest, ran = self.latest, self._paced
        gap = (latest - self._gauged) - (ran - self._ran)
        start, self._gauged, self._ran = self._gauged, latest, ran
        stopped = self.pulse.felt()
        if gap > JUMPED:
            return [Deaf(min([start, *(latest - one.start for one in stopped)]), latest)]
        for one in stopped:
            log.warning("was_stopped", seconds=(one.start - one.end) // SECOND)
        return [Deaf(latest - one.start, latest - one.end, one.continued) for one in stopped]
