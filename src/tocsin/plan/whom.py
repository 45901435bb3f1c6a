"""Whom a service's escalations would page at an instant: by severity and customers' tier, those alike together."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from itertools import groupby
from operator import itemgetter
from typing import NamedTuple, TypeVar

from msgspec.structs import replace

from tocsin.escalation.policy import Step, When
from tocsin.incidents.incident import Incident
from tocsin.incidents.routes import SEVERITIES
from tocsin.kernel.instant import Instant
from tocsin.oncall.hours import is_open
from tocsin.oncall.imported import Imported, shut_by
from tocsin.plan.model import Covers, Paged, Plan, Reached
from tocsin.plan.turns import NOBODY, Turns

LAST_RESORT = "last resort"
_NOT_PAGED: Paged = {}


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


Way = tuple[tuple[Step, ...], tuple[bool, ...]]
"""Steps, and which of them are passed over."""
T = TypeVar("T")


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

    def way(level: str, one: str) -> Way:
        steps = plan.steps(service, level, one)
        return steps, tuple(
            at is not None and not holds(step.when, level, one, opened(plan, step.when.hours, at, calendars or {}))
            for step in steps
        )

    return [
        Alike(severities, tiers, steps, passed)
        for severities, tiers, (steps, passed) in together(plan, service, severity, tier, way)
    ]


def together(
    plan: Plan, service: str, severity: str, tier: str, way: Callable[[str, str], T]
) -> list[tuple[tuple[str, ...], tuple[str, ...], T]]:
    """The different ways in which a service's incidents are paged, each with its severities and tiers, as ``Alike``
    has them. ``way``: how those of one severity and tier are.
    """
    by_tier: dict[tuple[tuple[T, tuple[str, ...]], ...], list[str]] = {}
    for one, those in groupby(kinds(plan, service, severity, tier), key=itemgetter(1)):
        found: dict[T, list[str]] = {}
        for level, _ in those:
            found.setdefault(way(level, one), []).append(level)
        by_tier.setdefault(tuple((its, tuple(levels)) for its, levels in found.items()), []).append(one)
    return [
        (
            () if len(levels) == len(SEVERITIES) else levels,
            () if len(by_tier) == 1 and not tier else tuple(tiers),
            its,
        )
        for ways, tiers in by_tier.items()
        for its, levels in ways
    ]


def unknown_tier(plan: Plan, tier: str) -> str:
    """Why a tier cannot be asked about; "" when it can."""
    if tier in plan.customer_tiers:
        return ""
    known = ", ".join(plan.customer_tiers)
    return f"the plan has {f'the tiers {known}' if known else 'no customer tiers'}, and not {tier}"


def kinds(plan: Plan, service: str, severity: str = "", tier: str = "") -> list[tuple[str, str]]:
    """The severities and customers' tiers a service's incidents can have, tier by tier; "" for customers of none, of
    which there are some unless an alert has to say a tier.
    """
    tiers = plan.customer_tiers if plan.service(service).customer_tier else (*plan.customer_tiers, "")
    return [(level, one) for one in ((tier,) if tier else tiers) for level in ((severity,) if severity else SEVERITIES)]


def whom(plan: Plan, one: Alike, at: Instant, covers: Covers, turns: Turns = NOBODY) -> list[StepWhom]:
    """Whom each step of a way would page at an instant; steps that reach nobody are left out.

    The last resort, when none of them pages anybody: whoever is asked has an answer.
    """
    return [each for each in asked(plan, one, at, covers, turns) if each.reached]


def asked(plan: Plan, one: Alike, at: Instant, covers: Covers, turns: Turns = NOBODY) -> list[StepWhom]:
    """As ``whom``, with the steps, and the last resort, that reach nobody."""
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
    return found


def holds(when: When, severity: str, tier: str, is_it: bool | None) -> bool:
    """Whether what a step asks for holds; labels, which only an incident has, are not asked. ``is_it``: ``opened``."""
    return replace(when, match=()).met(severity, tier, {}, is_it)


def meant(
    plan: Plan,
    incident: Incident,
    at: Instant,
    calendars: Mapping[str, Imported],
    covers: Covers,
    since: Paged = _NOT_PAGED,
) -> Callable[[Step], bool]:
    """Whether what a step asks for holds for an incident as it is now, at an instant, and somebody in it has not
    answered by then: else it is passed over.
    """
    gone = answered(incident, at)

    def is_meant(step: Step) -> bool:
        is_it = opened(plan, step.when.hours, at, calendars)
        if not step.when.met(incident.severity, incident.customer_tier, incident.labels, is_it):
            return False
        people = plan.people_of(step.targets, at, covers, since) if gone else ()
        return not people or any(one.key not in gone for one in people)

    return is_meant


def answered(incident: Incident, at: Instant) -> frozenset[str]:
    """Who has answered an incident that asks for several, and is not paged for it at an instant for that."""
    return frozenset(person for person, until in incident.answers.items() if until > at)


def next_place(
    plan: Plan | None, incident: Incident, now: Instant, calendars: Mapping[str, Imported], covers: Covers
) -> int:
    """The place of the step that is paged next for an incident: those that are not for it when it is due are passed
    over. Behind the last one it is the last resort's.
    """
    if plan is None:
        return incident.step
    is_meant, steps = meant(plan, incident, max(incident.next_at or 0, now), calendars, covers), incident.steps
    return next((at for at in range(incident.step, len(steps)) if is_meant(steps[at])), len(steps))


def nobody_behind(plan: Plan, targets: Iterable[str]) -> str:
    """Says of targets that reach nobody why, as a clause: ``nobody is next on shop-primary``, or that an incident's
    step is for whom the plan does not have any more; "" for people who are there.
    """
    found: dict[str, list[str]] = {}
    gone: list[str] = []
    for target in targets:
        kind, _, name = target.partition(":")
        key, _, offset = name.partition(":")
        if kind == "person" and name not in plan.people:
            gone.append(f"{plan.names.get(name, name)} is not in the plan")
        elif (kind == "team" and name not in plan.teams) or (kind == "schedule" and key not in plan.schedules):
            gone.append(f"the plan has no {kind} {key}")
        elif kind == "schedule":
            found.setdefault(f"{offset} on" if offset else "on call by", []).append(key)
    clauses = [f"{how} {' and '.join(dict.fromkeys(keys))}" for how, keys in found.items()]
    return " and ".join([*dict.fromkeys(gone), *([f"nobody is {' or '.join(clauses)}"] if clauses else [])])


def next_step(
    plan: Plan | None, incident: Incident, now: Instant, calendars: Mapping[str, Imported], covers: Covers
) -> Step:
    """That step, or the last resort, without those of its people who have answered: these are not paged."""
    place = next_place(plan, incident, now, calendars, covers)
    last = Step(plan.last_resort if plan is not None else ())
    step = incident.steps[place] if place < len(incident.steps) else last
    at = max(incident.next_at or 0, now)
    gone = answered(incident, at)
    people = [one.key for one in plan.people_of(step.targets, at, covers)] if plan is not None and gone else []
    left = tuple(f"person:{key}" for key in people if key not in gone)
    return replace(step, targets=left) if left and len(left) < len(people) else step


def opened(plan: Plan, hours: str, at: Instant, calendars: Mapping[str, Imported]) -> bool | None:
    """Whether named hours are open at an instant; None where there are none of that name."""
    named = plan.hours.get(hours) if hours else None
    return is_open(named, at, shut_by(named, calendars)) if named is not None else None
