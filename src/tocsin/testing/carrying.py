"""Carries runs out in the test's own process and in virtual time, and can be killed at any point of their journal."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any

from tocsin.engine.commands import Result
from tocsin.engine.inputs import Reported
from tocsin.kernel.instant import SECOND, Instant
from tocsin.playbooks.carrying import carry_out
from tocsin.playbooks.language import About, Declared, Fix, Look
from tocsin.playbooks.run import Began, GaveUp, Looking, Report, Run, Step
from tocsin.playbooks.session import Answered, Ended, Go, Reply, Session, Start, Stop, Wait


class Killed(BaseException):
    """Tocsin and the run's process end here, as by ``kill -9``."""


class Unfaked(BaseException):
    """A look or fix has no fake. No ``except`` of a playbook, and no outcome a test may be glad of, hides it."""


class Carrier:
    """Carries out one run after the other.

    ``apply`` has the engine judge a report; ``rest`` lets virtual time pass until an instant; ``instead``: fakes by the
    name of the look or fix; ``fakes_alone``: what has none is not called. ``kill_at``: at which point of the journal to
    be killed, counted from 1 over all runs; each report has one before it is written down and one after.
    """

    def __init__(
        self,
        apply: Callable[[Reported], Result | None],
        now: Callable[[], Instant],
        rest: Callable[[Instant], None],
        instead: dict[str, Callable[..., Any]],
        fakes_alone: bool = False,
    ) -> None:
        self._fakes_alone = fakes_alone
        self.apply, self.now, self.rest, self.instead = apply, now, rest, instead
        self.redact: Callable[[str], str] = str
        """Takes secrets out of what is written down."""
        self.kill_at = 0
        self.points = 0
        self.halted: set[tuple[int, int]] = set()

    def carry(self, found: Declared, run: Run, attempt: int, steps: Sequence[Step], about: About) -> None:
        """Carry a run's attempt out to where it ends. Raises Killed, and Unfaked."""
        wire = _Wire(self, run.number, attempt, tuple(run.targets.values()))
        reading = dict.fromkeys(run.targets.values(), "fake:reading")
        session = Session(
            wire, steps, reading, self.redact, self._called, run.wary, since=run.from_step, approved=run.approved
        )
        start = Start(run.playbook, about, run.targets, run.args, {}, tuple(steps))
        left = carry_out(session, found, start)
        if left is not None:
            try:
                wire.tell(left)
            except Ended:
                return
        self.apply(Reported(run.number, attempt, GaveUp("lost", "its process ended before it was done")))

    def _called(self, what: Look[..., Any] | Fix[..., Any]) -> Callable[..., Any]:
        found = self.instead.get(what.name)
        if found is None and self._fakes_alone:
            raise Unfaked(what.name)
        return found or what.function

    def point(self) -> None:
        """One more point at which it may be killed."""
        self.points += 1
        if self.points == self.kill_at:
            raise Killed


class _Wire:
    def __init__(self, carrier: Carrier, run: int, attempt: int, targets: Collection[str]) -> None:
        self._carrier, self._run, self._attempt, self._targets = carrier, run, attempt, targets

    def begin(self, began: Began) -> Reply:
        result = self._apply(began)
        if result is None or not result.ok:
            return Stop(result.message if result else "")
        match result.reason:
            case "wait":
                return Wait()
            case "answered":
                return Answered(result.message)
        return Go(int(result.id or 0), dict.fromkeys(self._targets, "fake:fixing"))

    def tell(self, report: Report) -> None:
        self._apply(report)

    def looks(self, looking: Looking) -> None:
        """A look takes no virtual time."""

    def clock(self) -> float:
        return self._carrier.now() / SECOND

    def rest(self, seconds: float) -> None:
        self._alive()
        self._carrier.rest(self._carrier.now() + int(seconds * SECOND))
        self._alive()

    def _alive(self) -> None:
        if (self._run, self._attempt) in self._carrier.halted:
            raise Ended  # its process was ended

    def _apply(self, report: Report) -> Result | None:
        self._alive()
        self._carrier.point()
        result = self._carrier.apply(Reported(self._run, self._attempt, report))
        self._carrier.point()
        return result

