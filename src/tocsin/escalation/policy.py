"""Escalation policies as the plan writes them and as an incident keeps them."""

from __future__ import annotations

from msgspec import Struct

from tocsin.kernel.instant import MINUTE, Duration


class Step(Struct, frozen=True):
    """Page these, then wait. ``targets`` are ``"person:ana"``, ``"team:shop"``, ``"schedule:shop-primary"``,
    ``"schedule:shop-primary:next"`` or ``"schedule:shop-primary:previous"``.

    ``repeat`` is how many times the step is paged in all (1 or more), ``wait`` apart. ``one``: of the people behind the
    targets only one is paged, each in turn.
    """

    targets: tuple[str, ...]
    wait: Duration = 5 * MINUTE
    repeat: int = 1
    one: bool = False


class Escalation(Struct, frozen=True):
    """An ordered list of steps. An incident keeps a copy of the steps it was opened with."""

    key: str
    steps: tuple[Step, ...]

    def successive(self) -> list[tuple[str, str]]:
        """Schedules that are paged one after the other, in different steps; each pair once.

        Without ``next`` and ``previous``: who has those turns is never who is on call.
        """
        by_step = [[one[9:] for one in step.targets if one.startswith("schedule:")] for step in self.steps]
        found = [
            (first, second)
            for place, firsts in enumerate(by_step)
            for first in firsts
            for seconds in by_step[place + 1 :]
            for second in seconds
            if first != second and ":" not in first + second
        ]
        return list(dict.fromkeys(found))
