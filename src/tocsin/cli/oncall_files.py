"""A schedule as a plan's files have it, for ``tocsin oncall --plan``: without a server, overrides and calendars."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tocsin.cli.failure import NotFound, Refused
from tocsin.kernel.instant import Instant, format_rfc3339

if TYPE_CHECKING:
    from tocsin.oncall.roster import Roster


def now() -> Instant:
    """By this machine's clock."""
    from tocsin.runtime.clock import SystemClock

    return SystemClock().now()


def roster(plan: Path | None, name: str) -> Roster:
    """A schedule of a plan's files. Says on stderr what the files cannot know."""
    from tocsin.notation.findings import nearest
    from tocsin.plan.folder import PlanFolderError
    from tocsin.plan.reading import read_plan, read_schedules
    from tocsin.wiring import plan_files

    assert plan is not None, "without a server there is a plan"
    try:
        files = plan_files(plan)
    except PlanFolderError as error:
        raise Refused(f"{error}.") from None
    reading = read_plan(files)
    if reading.plan is None and (who := read_schedules(files)).plan is not None:
        reading = who
        click.echo(f"The plan has errors elsewhere; `tocsin plan check {plan}` lists them.", err=True)
    if reading.plan is None:
        first = next(one for one in reading.findings if one.level == "error")
        raise Refused(f"The plan has errors; `tocsin plan check {plan}` lists them. The first:\n{first}")
    found = reading.plan.rosters.get(name)
    if found is None:
        close = nearest(name, reading.plan.rosters)
        known = ", ".join(list(reading.plan.rosters)[:20])
        hint = f"Did you mean {close}?" if close else f"It has {known}." if known else "It has none."
        raise NotFound(f"The plan has no schedule {name}. {hint}")
    people = (reading.plan.people.get(one) for one in found.schedule.people())
    read = found.schedule.calendars or any(one.holidays for one in people if one is not None)
    calendars = ", nor what the calendars say that it names" if read else ""
    click.echo(f"From the plan's files alone: overrides are not known here{calendars}.", err=True)
    return found


def who_of(roster: Roster, at: Instant) -> list[dict[str, Any]]:
    """Who is on call at an instant, as the API says it."""
    from tocsin.oncall.asking import fault_of, why

    if fault_of(at):
        raise click.UsageError(f"--at: {fault_of(at)}.")
    return [
        {
            "person": shift.person,
            "since": format_rfc3339(shift.start),
            "until": format_rfc3339(shift.end),
            "why": why(roster.schedule, shift),
        }
        for shift in roster.who(at)
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
