"""Which steps an incident had at an instant, where plans changed meanwhile, and what that meant for a person.

An incident keeps the steps it was opened with until somebody applies the plan then in force to it; its timeline says
from which plan to which.
"""

from __future__ import annotations

from functools import cached_property
from typing import NamedTuple

from tocsin.escalation.policy import Step
from tocsin.faces.why import Sentence
from tocsin.incidents.incident import Entry, Incident
from tocsin.kernel.instant import Instant
from tocsin.kernel.reason import Reason
from tocsin.plan import read_plan
from tocsin.plan.model import Covers, Plan
from tocsin.store.reads import Reads


class PlanThen(NamedTuple):
    """The plan that was in force at an instant; None where it is not known any more, and in ``doubt`` why."""

    plan: Plan | None
    doubt: str = ""


def plan_then(reads: Reads, now: Plan, at: Instant) -> PlanThen:
    """The plan that was in force at an instant. ``now``: the one that is."""
    version = reads.plan_version_at(at)
    if version is None:
        since = reads.plan_kept_at(now.version)
        if since is not None and since <= at:
            return PlanThen(now)
        return PlanThen(None, "which plan was in force then was not written down")
    if version == now.version:
        return PlanThen(now)
    files = reads.plan_files(version)
    if files is None:
        return PlanThen(None, f"the plan that was in force then, {version[:8]}, is not kept any more")
    plan = read_plan(files).plan
    return PlanThen(plan, "" if plan else f"this Tocsin cannot read the plan that was in force then, {version[:8]}")


class Plans:
    """The plan in force, the one that was ``then``, and older ones as they are asked for; each is read once."""

    def __init__(self, reads: Reads, now: Plan, then: PlanThen) -> None:
        self._reads, self.now, self.then, self.doubt = reads, now, then.plan, then.doubt
        self._known: dict[str, Plan | None] = {one.version: one for one in (now, then.plan) if one is not None}

    def of(self, version: str) -> Plan | None:
        """A plan by its version; None when it is not kept, or this Tocsin cannot read it any more."""
        if version not in self._known:
            files = self._reads.plan_files(version) if version else None
            self._known[version] = read_plan(files).plan if files else None
        return self._known[version]


class StepsThen:
    """The steps of one incident at an instant. ``entries``: its timeline, the newest first."""

    def __init__(self, plans: Plans, incident: Incident, entries: list[Entry], at: Instant) -> None:
        self._plans, self._incident, self._at = plans, incident, at
        self._applied = [one for one in entries if one.reason is Reason.PLAN_APPLIED]
        self._paged = [one for one in entries if one.reason in (Reason.STEP_DUE, Reason.STEP_REPEATED)]

    @cached_property
    def then(self) -> tuple[Step, ...]:
        """What it followed then. Those of now, where what was before is not known any more."""
        later = [one for one in self._applied if one.at > self._at]
        before = self._of(later[-1].detail.get("was", "")) if later else None
        return self._incident.steps if before is None else before

    def applied_at(self, at: Instant | None) -> Entry | None:
        """The plan that was applied to it at that very instant."""
        return next((one for one in self._applied if one.at == at), None)

    def meaning(self, steps: tuple[Step, ...], covers: Covers, person: str) -> int | None:
        """Which step, counted from 1, means a person first; None when none does, or it is not known which do.

        Without the plan that was in force then only those mean somebody that name them.
        """
        plan = self._plans.then
        for number, step in enumerate(steps, 1):
            people = plan.people_of(step.targets, self._at, covers) if plan is not None else ()
            if f"person:{person}" in step.targets or any(one.key == person for one in people):
                return number
        return None

    def _at_last(self, covers: Covers, person: str) -> bool:
        """Whether somebody is the last resort, by the plan that was in force then."""
        plan = self._plans.then
        found = plan.people_of(plan.last_resort, self._at, covers) if plan is not None else ()
        return any(one.key == person for one in found)

    def turn_taken(self, number: int) -> Entry | None:
        """When a step that pages one of several paged last, and with it whom; None when it did not, or pages all."""
        if not self.then[number - 1].one:
            return None
        step = str(number)
        return next((one for one in self._paged if one.at <= self._at and one.detail.get("step") == step), None)

    def not_meant(self, covers: Covers, person: str) -> Sentence:
        """Why none of the steps it had then means a person: also because of a plan, if that is so."""
        if self._plans.then is None:
            text = f"Whom its steps meant then is not known: {self._plans.doubt}"
            return Sentence(at=self._at, text=text, reason=Reason.PLAN_NOT_KNOWN)
        last = next((one for one in self._applied if one.at <= self._at), None)
        before = self._of(last.detail.get("was", "")) if last is not None else None
        if last is not None and before is not None and (step := self.meaning(before, covers, person)):
            text = f"None of its steps means {person} since {_named(last)} was applied: step {step} did before"
            return Sentence(at=last.at, text=text, reason=Reason.PLAN_APPLIED, actor=last.actor)
        text = f"None of its steps means {person} at that time"
        later = next((one for one in reversed(self._applied) if one.at > self._at), None)
        if later is not None and (step := self.meaning(self._incident.steps, covers, person)):
            text += f"; {_named(later)} was applied later, and its step {step} does"
        elif later is None and (step := self._in_force(covers, person)):
            text += f": it keeps those of the plan {self._incident.plan[:8]}. Step {step} of the plan now in force does"
        elif later is None and self._at_last(covers, person):
            text = "None of its steps means them, but they are the last resort, and it had not come to that"
            return Sentence(at=self._at, text=text, reason=Reason.NOT_YET)
        return Sentence(at=self._at, text=text, reason=Reason.NOT_MEANT)

    def _in_force(self, covers: Covers, person: str) -> int | None:
        if self._incident.plan in ("", self._plans.now.version):
            return None
        return self.meaning(self._of(self._plans.now.version) or (), covers, person)

    def _of(self, version: str) -> tuple[Step, ...] | None:
        """The steps a plan has for it; None when that plan is not known."""
        plan, one = self._plans.of(version), self._incident
        return plan.steps(one.service, one.severity, one.customer_tier) if plan is not None else None


def _named(applied: Entry) -> str:
    return f"the plan {applied.detail.get('plan', '')[:8]}"
