"""Escalation policies as the plan writes them and as an incident keeps them."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

from tocsin.kernel.instant import MINUTE, Duration
from tocsin.kernel.matcher import Matcher, all_match


class When(Struct, frozen=True):
    """What a step asks for. ``severity``: one of these; ``hours``: named ones that are open, or shut with ``outside``;
    ``match``: of the incident's labels; ``tiers``: the customer's is one of these. What is empty asks for nothing.
    """

    severity: tuple[str, ...] = ()
    hours: str = ""
    outside: bool = False
    match: tuple[Matcher, ...] = ()
    tiers: tuple[str, ...] = ()

    @property
    def said(self) -> str:
        """What it asks for, in words: ``sev1, gold customers, region="eu", the hours office``; "" when nothing."""
        hours = f"{'outside' if self.outside else 'the hours'} {self.hours}"
        tiers = [f"{' or '.join(self.tiers)} customers"] if self.tiers else []
        return ", ".join([*self.severity, *tiers, *map(str, self.match), *([hours] if self.hours else [])])

    def met(self, severity: str, tier: str, labels: Mapping[str, str], is_open: bool | None) -> bool:
        """Whether all of it holds. ``is_open`` None: nobody knows the hours any more, and they ask for nothing."""
        if self.severity and severity not in self.severity:
            return False
        if self.tiers and tier not in self.tiers:
            return False
        if self.hours and is_open is not None and is_open is self.outside:
            return False
        return all_match(self.match, labels)


class Step(Struct, frozen=True):
    """Page these, then wait. ``targets`` are ``"person:ana"``, ``"team:shop"``, ``"schedule:shop-primary"``,
    ``"schedule:shop-primary:next"`` or ``"schedule:shop-primary:previous"``.

    ``repeat`` is how many times the step is paged in all (1 or more), ``wait`` apart. ``one``: of the people behind the
    targets only one is paged, each in turn. ``when``: else it is passed over. ``answers``: so many people have to
    acknowledge; the highest of an incident's steps counts. ``given``: who put it in by hand and why, as a clause; ""
    for one of the plan. ``handed``: a playbook that handed over put it before those. ``round_of``: where people take
    turns, the escalation and the step's number there.
    """

    targets: tuple[str, ...]
    wait: Duration = 5 * MINUTE
    repeat: int = 1
    one: bool = False
    when: When = When()
    answers: int = 1
    given: str = ""
    round_of: str = ""
    handed: bool = False

    @property
    def put_in(self) -> bool:
        """Whether a person or code put it among the plan's steps of an incident."""
        return self.handed or self.given != ""


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

    def named_beside(self) -> list[tuple[str, str]]:
        """Schedules, and people who are all that another step pages: while they are on call it pages nobody else.

        Without steps for some incidents alone, which are there to page somebody once more.
        """
        found = [
            (target[9:], step.targets[0][7:])
            for step in self.steps
            if len(step.targets) == 1 and step.targets[0].startswith("person:") and step.when == When()
            for other in self.steps
            for target in other.targets
            if target.startswith("schedule:") and ":" not in target[9:]
        ]
        return list(dict.fromkeys(found))
