"""Whom a service would page in the twelve weeks to come, step by step, as the page On call shows it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

from tocsin.incidents.routes import SEVERITIES
from tocsin.kernel.instant import Instant
from tocsin.oncall.imported import Imported
from tocsin.plan.ahead import Course, Stretch, ahead
from tocsin.plan.model import Plan
from tocsin.web.boards import OWN_AHEAD
from tocsin.web.services import which
from tocsin.web.words import Reader, listed

MOST_WAYS: Final = 8
MOST_TURNS: Final = 60


class PagedTurn(NamedTuple):
    """One line: somebody, or with ``person`` "" nobody, from ``start`` to ``end``. ``always``: all of the time shown.

    ``unreached``: nothing but the console pages them.
    """

    start: Instant
    end: Instant
    person: str
    by: str
    always: bool
    unreached: bool


class PagedStep(NamedTuple):
    """A step and whom it pages when; of so many ``turns`` more, the command line tells."""

    name: str
    last_resort: bool
    turns: list[PagedTurn]
    more: int


class PagedWay(NamedTuple):
    """Incidents that are paged alike; ``of`` says which, "" for all of them."""

    of: str
    steps: list[PagedStep]


class Wanted(NamedTuple):
    """Which incidents are asked about: each "" for whichever; of a service that is not there, nothing is shown."""

    service: str
    severity: str
    tier: str


def wanted(plan: Plan, asked: Mapping[str, str]) -> Wanted:
    """What an address asks about, as far as it is there."""
    service, severity, tier = (asked.get(name, "") for name in Wanted._fields)
    return Wanted(
        service if service in plan.services else "",
        severity if severity in SEVERITIES else "",
        tier if tier in plan.customer_tiers else "",
    )


def paged_ahead(
    plan: Plan, of: Wanted, reader: Reader, calendars: Mapping[str, Imported], reached: Callable[[str], bool]
) -> list[PagedWay]:
    """Whom a service pages from now on. ``reached``: whether a person can be paged by more than the console."""
    start, end = reader.now, reader.now + OWN_AHEAD
    courses = ahead(plan, of.service, start, end, reader.covers, calendars, of.severity, of.tier)
    known: dict[str, bool] = {"": True}

    def turn(one: Stretch) -> PagedTurn:
        if one.person not in known:
            known[one.person] = reached(one.person)
        always = one.start == start and one.end == end
        return PagedTurn(one.start, one.end, one.person, one.by, always, not known[one.person])

    return [
        PagedWay(which(course) if len(courses) > 1 or of.severity or of.tier else "", _steps(course, reader, turn))
        for course in courses
    ]


def stands_in(plan: Plan, service: str, reader: Reader) -> str:
    """Who is paged beside the next step where one of a service's reaches nobody."""
    people = plan.people_of(plan.stand_ins(service), reader.now, reader.covers)
    return listed([reader.name(one.key) for one in people])


def _steps(course: Course, reader: Reader, turn: Callable[[Stretch], PagedTurn]) -> list[PagedStep]:
    found = []
    for number in sorted({one.step for one in course.stretches}):
        its = [one for one in course.stretches if one.step == number]
        last = course.is_last_resort(its[0])
        if last:
            name = "Last resort, while no step reaches anybody"
        else:
            step = course.steps[number - 1]
            asks = f", for {step.when.said}" if step.when.said else ""
            name = f"Step {number}: {reader.step(step) or 'nobody'}{asks}"
        more = max(0, len(its) - MOST_TURNS)
        found.append(PagedStep(name, last, [turn(one) for one in its[:MOST_TURNS]], more))
    return found
