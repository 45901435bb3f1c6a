"""What could not be judged for a fault of our own: what becomes of each, and which timers are passed over for it."""

from __future__ import annotations

import structlog
from msgspec import structs

from tocsin.engine.engine import EngineFault
from tocsin.engine.inputs import Decided, Delivered, PlanChange, Quarantine, Received
from tocsin.runtime.jobs import Job

log = structlog.get_logger("tocsin.writer")

MOST_SKIPPED = 100
LAST_WORD = "fault"
"""The kind of a quarantine that only tells: what it names is no timer of the engine."""


class Unjudged:
    """``skip``: ``(kind, id)`` of timers that cannot be judged and could not be set aside either."""

    def __init__(self) -> None:
        self.skip: tuple[tuple[str, str], ...] = ()
        self._faults: list[Quarantine] = []

    def __bool__(self) -> bool:
        return bool(self._faults)

    def take(self) -> list[Quarantine]:
        """What is to be set aside next, each once."""
        taken, self._faults = self._faults, []
        return taken

    def put(self, job: Job, fault: EngineFault) -> bool:
        """Turn what could not be judged into something that can, or leave it; says whether to apply it again.

        A request is kept unread. A timer, an outcome or another input of our own is left: whoever waits for it is told,
        and it becomes a quarantine in the next turn, which pages the last resort. When not even that can be judged,
        the timer is passed over, so that it holds up no other.
        """
        log.error("judging_failed", kind=fault.kind, id=fault.id, error=fault.error)
        why = fault.error[:500]
        match job.input:
            case Received(aside=""):
                job.input = structs.replace(job.input, aside=why)
                job.heard = None
                return True
            case Received() | Decided() | PlanChange():
                pass  # whoever sent it is told
            case Quarantine() as one:
                if one.kind != LAST_WORD and (one.kind, one.id) not in self.skip:
                    self.skip = (*self.skip, (one.kind, one.id))[-MOST_SKIPPED:]
                    self._faults.append(Quarantine(LAST_WORD, f"{one.kind} {one.id}", one.error))
            case Delivered():
                self._faults.append(Quarantine("page", str(job.input.page), why))
            case _:
                self._faults.append(Quarantine(fault.kind, fault.id, why))
        return False
