"""Who is paged next: a pure decision over a policy's steps."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from tocsin.escalation.policy import Step
from tocsin.kernel.instant import MINUTE, Instant
from tocsin.kernel.reason import Reason

AFTER_THE_LAST = 30 * MINUTE
"""How long after everybody was paged in vain it begins again from the first step."""


class Call(NamedTuple):
    """Page these now.

    ``step`` and ``round`` are what is paged after them, at ``next_at``; ``lap`` counts whole passes.
    """

    targets: tuple[str, ...]
    at_step: int
    reason: Reason
    step: int
    round: int
    lap: int
    next_at: Instant
    skipped: tuple[int, ...] = ()
    """Steps passed over because they reach nobody."""
    passed: tuple[int, ...] = ()
    """Steps passed over because what they ask for does not hold."""


def escalate(
    steps: tuple[Step, ...],
    step: int,
    round: int,
    lap: int,
    last_resort: tuple[str, ...],
    reachable: Callable[[tuple[str, ...]], bool],
    now: Instant,
    meant: Callable[[Step], bool] = lambda step: True,
) -> Call:
    """Say who is paged now that a step is due, and when the next is.

    A step that reaches nobody, or is not ``meant`` now, is passed over at once. After the last one the last resort is
    paged, and half an hour later it all begins again: an unanswered incident is never left alone. The wait counts from
    now, so that a step that fires late (Tocsin was down) does not make the next one follow on its heels.
    """
    skipped: list[int] = []
    passed: list[int] = []
    while step < len(steps):
        due = steps[step]
        if not meant(due):
            passed.append(step)
            step, round = step + 1, 0
            continue
        if not reachable(due.targets):
            skipped.append(step)
            step, round = step + 1, 0
            continue
        reason = Reason.STEP_REPEATED if round else Reason.REASSIGNED if due.given else Reason.STEP_DUE
        after = (step, round + 1) if round + 1 < due.repeat else (step + 1, 0)
        return Call(due.targets, step, reason, *after, lap, now + due.wait, tuple(skipped), tuple(passed))
    reason = Reason.ESCALATION_EXHAUSTED if len(skipped) + len(passed) < len(steps) else Reason.LAST_RESORT
    return Call(last_resort, len(steps), reason, 0, 0, lap + 1, now + AFTER_THE_LAST, tuple(skipped), tuple(passed))
