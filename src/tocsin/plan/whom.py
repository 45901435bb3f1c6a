"""Whom a service's escalations would page at an instant: by severity and customers' tier, those alike together."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from msgspec.structs import replace

from tocsin.escalation.policy import Step, When
from tocsin.incidents.routes import SEVERITIES
from tocsin.kernel.instant import Instant
from tocsin.oncall.hours import is_open
from tocsin.oncall.imported import Imported, shut_by
from tocsin.plan.model import Covers, Plan, Reached
from tocsin.plan.turns import NOBODY, Turns

LAST_RESORT = "last resort"


class StepWhom(NamedTuple):
    """Whom one step would page. ``number`` counts from 1. ``passed``: what it asks for does not hold then, so it is
    passed over; labels, which only an incident has, are not asked. ``one_of``: it pages one of these, and whoever has
    the ``turn`` if it did so now.
    """

    number: int
    when: str
    passed: bool
    reached: tuple[Reached, ...]
    one_of: bool = False
    turn: str = ""


class Alike(NamedTuple):
    """Incidents of a service that are paged alike: of these severities, for customers of these tiers.

    No severity or no tier: whichever; ``""`` among the tiers: customers of none.
    """

    severities: tuple[str, ...]
    tiers: tuple[str, ...]
    steps: tuple[Step, ...]
    passed: tuple[bool, ...]


_Way = tuple[tuple[Step, ...], tuple[bool, ...]]
"""Steps, and which of them are passed over."""


def alike(
    plan: Plan,
    service: str,
    at: Instant | None = None,
    calendars: Mapping[str, Imported] | None = None,
    severity: str = "",
    tier: str = "",
) -> list[Alike]:
    """The different ways in which incidents of a service are paged: of one severity or tier alone when they are given.

    ``at``: whether the steps' hours are open then is asked, too; None: no step is passed over.
    """
    by_tier: dict[tuple[tuple[_Way, tuple[str, ...]], ...], list[str]] = {}
    for one in (tier,) if tier else _tiers(plan, service):
        found: dict[_Way, list[str]] = {}
        for level in (severity,) if severity else SEVERITIES:
            steps = plan.steps(service, level, one)
            passed = tuple(
                at is not None and not _holds(plan, step.when, level, one, at, calendars or {}) for step in steps
            )
            found.setdefault((steps, passed), []).append(level)
        by_tier.setdefault(tuple((way, tuple(levels)) for way, levels in found.items()), []).append(one)
    return [
        Alike(
            () if len(levels) == len(SEVERITIES) else levels,
            () if len(by_tier) == 1 and not tier else tuple(tiers),
            steps,
            passed,
        )
        for ways, tiers in by_tier.items()
        for (steps, passed), levels in ways
    ]


def _tiers(plan: Plan, service: str) -> tuple[str, ...]:
    """Of which tiers the customers of a service's incidents can be; of none where no alert has to say it."""
    return plan.customer_tiers if plan.service(service).customer_tier else (*plan.customer_tiers, "")


def whom(plan: Plan, one: Alike, at: Instant, covers: Covers, turns: Turns = NOBODY) -> list[StepWhom]:
    """Whom each step of a way would page at an instant; steps that reach nobody are left out.

    The last resort, when none of them pages anybody: whoever is asked has an answer.
    """
    found = []
    for number, (step, passed) in enumerate(zip(one.steps, one.passed, strict=True), 1):
        reached = plan.reached_by(step.targets, at, covers)
        turn = turns.next(step, (each.person for each in reached))
        found.append(StepWhom(number, step.when.said, passed, reached, step.one and len(reached) > 1, turn))
    if not any(each.reached and not each.passed for each in found):
        last = tuple(
            each._replace(by=f"{LAST_RESORT}{', ' if each.by else ''}{each.by}")
            for each in plan.reached_by(plan.last_resort, at, covers)
        )
        found.append(StepWhom(len(one.steps) + 1, "", False, last))
    return [each for each in found if each.reached]


def _holds(plan: Plan, when: When, severity: str, tier: str, at: Instant, calendars: Mapping[str, Imported]) -> bool:
    hours = plan.hours.get(when.hours) if when.hours else None
    is_it = is_open(hours, at, shut_by(hours, calendars)) if hours is not None else None
    return replace(when, match=()).met(severity, tier, {}, is_it)
