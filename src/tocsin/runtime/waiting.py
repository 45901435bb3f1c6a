"""What was handed to the writer and is not told yet: two lanes, and what was taken out of them."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from contextlib import suppress

from tocsin.kernel.instant import SECOND, Instant
from tocsin.runtime.jobs import Job

MOST_WAITING_BYTES = 16 * 1024 * 1024
LONGEST_WAIT = 2 * SECOND


class Waiting:
    """Handed in by any thread, taken by the writer's alone: ``urgent`` goes before ``intake``."""

    def __init__(self) -> None:
        self.urgent: deque[Job] = deque()
        self.intake: deque[Job] = deque()
        self._in_hand: set[Job] = set()
        """What was taken from those that wait, and is not judged yet."""
        self._bytes_in = self._bytes_out = 0  # each written by one thread only

    def __len__(self) -> int:
        return len(self.urgent) + len(self.intake)

    def request(self, job: Job) -> None:
        """Hand in a request."""
        self._bytes_in += job.size
        self.intake.append(job)

    @property
    def bytes(self) -> int:
        """How much the requests that wait hold."""
        return self._bytes_in - self._bytes_out

    def too_much(self, now: Instant) -> bool:
        """Whether more waits than may: requests are refused until it is less."""
        if self.bytes > MOST_WAITING_BYTES:
            return True
        try:
            return now - self.intake[0].since > LONGEST_WAIT
        except IndexError:
            return False

    def take(self, lane: deque[Job]) -> Job:
        """The first of those that wait. Until it is told it stays in hand, whatever goes wrong with it or others."""
        self._in_hand.add(lane[0])
        job = lane.popleft()
        self._bytes_out += job.size
        return job

    def done(self, jobs: Iterable[Job]) -> None:
        """These are told, or have a place of their own."""
        self._in_hand.difference_update(jobs)

    def take_all(self) -> list[Job]:
        """Everything that waits or is in hand, each once, be it for the thread that ended or for whoever found that it
        had.
        """
        left, self._in_hand = list(self._in_hand), set()
        for lane in (self.urgent, self.intake):
            with suppress(IndexError):
                while True:
                    left.append(lane.popleft())
        return left
