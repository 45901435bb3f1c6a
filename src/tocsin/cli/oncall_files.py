"""Who is on call as a plan's files have it, for ``tocsin oncall --plan``: without a server, overrides and calendars."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tocsin.cli.failure import NotFound, Refused
from tocsin.kernel.instant import Instant, format_rfc3339

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from tocsin.oncall.roster import Roster
    from tocsin.plan.model import Plan
    from tocsin.plan.reading import Reading


def now() -> Instant:
    """By this machine's clock."""
    from tocsin.runtime.clock import SystemClock

    return SystemClock().now()


def roster(plan: Path | None, name: str) -> Roster:
    """A schedule of a plan's files. Says on stderr what the files cannot know."""
    whole = _schedules(plan)
    found = whole.rosters.get(name)
    if found is None:
        raise _unknown("schedule", name, whole.rosters)
    people = (whole.people.get(one) for one in found.schedule.people())
    _say_what_is_unknown(bool(found.schedule.calendars) or any(one.holidays for one in people if one is not None))
    return found


def _schedules(plan: Path | None) -> Plan:
    """The people and schedules of a plan's files, whatever is wrong elsewhere in them."""
    from tocsin.plan.reading import read_schedules

    assert plan is not None, "without a server there is a plan"
    files = _files(plan)
    reading = _read(files)
    if reading.plan is None and (who := read_schedules(files)).plan is not None:
        reading = who
        click.echo(f"The plan has errors elsewhere; `tocsin plan check {plan}` lists them.", err=True)
    return _whole(reading, plan)


def service_plan(plan: Path | None, name: str, tier: str | None) -> Plan:
    """The plan of files that has a service and a tier. Says on stderr what the files cannot know."""
    from tocsin.plan.whom import unknown_tier

    assert plan is not None, "without a server there is a plan"
    whole = _whole(_read(_files(plan)), plan)
    if name not in whole.services:
        raise _unknown("service", name, whole.services)
    if tier is not None and (fault := unknown_tier(whole, tier)):
        raise Refused(f"--tier: {fault}.")
    _say_what_is_unknown(bool(whole.calendars))
    return whole


def _files(plan: Path) -> Mapping[str, bytes]:
    from tocsin.plan.folder import PlanFolderError
    from tocsin.wiring import plan_files

    try:
        return plan_files(plan)
    except PlanFolderError as error:
        raise Refused(f"{str(error)[:1].upper()}{str(error)[1:]}.") from None


def _read(files: Mapping[str, bytes]) -> Reading:
    from tocsin.plan.reading import read_plan

    return read_plan(files)


def _whole(reading: Reading, plan: Path) -> Plan:
    if reading.plan is None:
        first = next(one for one in reading.findings if one.level == "error")
        raise Refused(f"The plan has errors; `tocsin plan check {plan}` lists them. The first:\n{first}")
    return reading.plan


def _unknown(kind: str, name: str, names: Iterable[str]) -> NotFound:
    from tocsin.notation.findings import nearest

    listed = list(names)
    close = nearest(name, listed)
    known = ", ".join(listed[:20])
    hint = f"Did you mean {close}?" if close else f"It has {known}." if known else "It has none."
    return NotFound(f"The plan has no {kind} {name}. {hint}")


def _say_what_is_unknown(calendars: bool) -> None:
    more = ", nor what the calendars say that it names" if calendars else ""
    click.echo(f"From the plan's files alone: overrides are not known here{more}.", err=True)


def who_of(roster: Roster, at: Instant) -> list[dict[str, Any]]:
    """Who is on call at an instant, as the API says it."""
    from tocsin.oncall.asking import fault_of, on_call, why

    if fault_of(at):
        raise click.UsageError(f"--at: {fault_of(at)}.")
    return [
        {
            "person": shift.person,
            "since": format_rfc3339(shift.start),
            "until": format_rfc3339(shift.end),
            "why": why(roster.schedule, shift),
        }
        for shift in on_call(roster, at)
    ]


def shifts_of(roster: Roster, start: Instant, end: Instant) -> list[dict[str, Any]]:
    """Who is on call over a time, as the API says it."""
    from tocsin.oncall.asking import clipped, fault_of_range, layer_of

    if fault_of_range(start, end):
        raise click.UsageError(f"--from, --to: {fault_of_range(start, end)}.")
    return [
        {
            "person": shift.person,
            "start": format_rfc3339(shift.start),
            "end": format_rfc3339(shift.end),
            "layer": layer_of(roster.schedule, shift),
        }
        for shift in clipped(roster, start, end)
    ]


def shifts_of_person(plan: Path | None, name: str, start: Instant, end: Instant) -> list[dict[str, Any]]:
    """A person's shifts of every schedule of a plan's files over a time, as the API says it."""
    whole = _schedules(plan)
    if name not in whole.people:
        raise _unknown("person", name, whole.people)
    found = [
        (one["start"], key, one["end"], one["layer"])
        for key, roster in whole.rosters.items()
        for one in shifts_of(roster, start, end)
        if one["person"] == name
    ]
    _say_what_is_unknown(bool(whole.calendars))
    return [{"schedule": key, "start": low, "end": high, "layer": layer} for low, key, high, layer in sorted(found)]


def reached_of(plan: Plan, service: str, at: Instant, severity: str | None, tier: str | None) -> list[dict[str, Any]]:
    """Whom each step of a service's escalations would reach at an instant, as the API says it.

    Nobody's turn is known: ``next`` is false of everybody.
    """
    from tocsin.oncall.asking import fault_of
    from tocsin.plan.whom import alike, whom

    if fault_of(at):
        raise click.UsageError(f"--at: {fault_of(at)}.")
    return [
        {
            "step": step.number,
            "person": one.person.key,
            "by": one.by,
            "severities": list(way.severities),
            "tiers": list(way.tiers),
            "when": step.when,
            "passed": step.passed,
            "one_of": step.one_of,
            "next": False,
        }
        for way in alike(plan, service, at, {}, severity or "", tier or "")
        for step in whom(plan, way, at, {})
        for one in step.reached
    ]


def reached_over(
    plan: Plan, service: str, start: Instant, end: Instant, severity: str | None, tier: str | None
) -> list[dict[str, Any]]:
    """Whom each step of a service's escalations would page over a time, as the API says it."""
    from tocsin.oncall.asking import fault_of_range
    from tocsin.plan.ahead import ahead

    if fault_of_range(start, end):
        raise click.UsageError(f"--from, --to: {fault_of_range(start, end)}.")
    return [
        {
            "step": one.step,
            "person": one.person,
            "by": one.by,
            "start": format_rfc3339(one.start),
            "end": format_rfc3339(one.end),
            "severities": list(course.severities),
            "tiers": list(course.tiers),
            "when": one.when,
            "one_of": one.one_of,
            "last_resort": course.is_last_resort(one),
        }
        for course in ahead(plan, service, start, end, {}, {}, severity or "", tier or "")
        for one in course.stretches
    ]
