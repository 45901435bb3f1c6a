"""``tocsin oncall``: who is on call, and who takes whose place."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tocsin.cli import show
from tocsin.cli.client import Api, segment
from tocsin.cli.failure import NotFound, Refused
from tocsin.cli.place import server_or_plan_options
from tocsin.cli.text import rough, stamp
from tocsin.cli.words import time
from tocsin.kernel.instant import Instant, format_rfc3339

if TYPE_CHECKING:
    from tocsin.oncall.roster import Roster


@click.group()
def oncall() -> None:
    """Say who is on call, now and later.

    The plan's schedules say who is on call when; overrides, swaps and covers are made here.
    """


@oncall.command()
@click.argument("schedule", metavar="SCHEDULE")
@click.option("--at", type=time, metavar="TIME", help="When, such as 2026-11-23T03:24Z.  [default: now]")
@server_or_plan_options
@show.json_option
def who(api: Api | None, plan: Path | None, schedule: str, at: Instant | None, as_json: bool) -> None:
    """Say who is on call.

    With --plan the answer comes from the plan's files alone, without a server: overrides are not known then.

    \b
    Examples:
      tocsin oncall who shop-primary
      tocsin oncall who shop-primary --at 2026-12-24T20:00Z --json
      tocsin oncall who shop-primary --plan deploy/tocsin
    """
    if api is not None:
        query = {} if at is None else {"at": format_rfc3339(at)}
        found: list[dict[str, Any]] = api.get(f"/oncall/schedules/{segment(schedule)}/who", query)["items"]
        now = at if at is not None else api.now
    else:
        now = at if at is not None else _now()
        found = _who(_roster(plan, schedule), now)
    if as_json:
        show.print_json(found)
        return
    if not found:
        show.line(f"Nobody is on call by {schedule}.", "ring")
        return
    show.print_table(
        (show.Column("Person"), show.Column("Since", least=80), show.Column("Until"), show.Column("Why", wide=True)),
        [
            (
                str(one["person"]),
                stamp(show.moment(one["since"])),
                _until(show.instant(one["until"]), now),
                str(one["why"]),
            )
            for one in found
        ],
    )


@oncall.command()
@click.argument("schedule", metavar="SCHEDULE")
@click.option("--from", "start", type=time, metavar="TIME", required=True, help="From when.")
@click.option("--to", "end", type=time, metavar="TIME", required=True, help="Up to when; two years later at most.")
@server_or_plan_options
@show.json_option
def shifts(api: Api | None, plan: Path | None, schedule: str, start: Instant, end: Instant, as_json: bool) -> None:
    """List who is on call over a time.

    Shifts are cut where the time asked about begins and ends. Where a clock is set back over a handoff, two people are
    on call. With --plan the answer comes from the plan's files alone: overrides are not known then.

    \b
    Examples:
      tocsin oncall shifts shop-primary --from 2026-12-01T00:00Z --to 2027-01-01T00:00Z
      tocsin oncall shifts shop-primary --from 2026-12-01 --to 2026-12-08 --plan deploy/tocsin --json
    """
    if start >= end:
        raise click.UsageError("--to must be later than --from.")
    if api is not None:
        query = {"from": format_rfc3339(start), "to": format_rfc3339(end)}
        found: list[dict[str, Any]] = api.get(f"/oncall/schedules/{segment(schedule)}/shifts", query)["items"]
    else:
        found = _shifts(_roster(plan, schedule), start, end)
    if as_json:
        show.print_array(found)
        return
    if not found:
        show.line(f"Nobody is on call by {schedule} in that time.", "ring")
        return
    show.print_table(
        (show.Column("From"), show.Column("To"), show.Column("Person"), show.Column("Layer", least=80)),
        [
            (stamp(show.moment(one["start"])), stamp(show.moment(one["end"])), str(one["person"]), str(one["layer"]))
            for one in found
        ],
    )


def _until(until: Instant, now: Instant | None) -> str:
    return f"{stamp(until)} (in {rough(until - now)})" if now is not None and until > now else stamp(until)


# --- offline


def _now() -> Instant:
    from tocsin.runtime.clock import SystemClock

    return SystemClock().now()


def _roster(plan: Path | None, name: str) -> Roster:
    """A schedule of a plan's files. Says on stderr what the files cannot know."""
    from tocsin.plan.findings import nearest
    from tocsin.plan.folder import PlanFolderError, load_folder
    from tocsin.plan.reading import read_plan

    assert plan is not None, "without a server there is a plan"
    try:
        reading = read_plan(load_folder(plan))
    except PlanFolderError as error:
        raise Refused(f"{error}.") from None
    if reading.plan is None:
        first = next(one for one in reading.findings if one.level == "error")
        raise Refused(f"The plan has errors; `tocsin plan check {plan}` lists them. The first:\n{first}")
    found = reading.plan.rosters.get(name)
    if found is None:
        close = nearest(name, reading.plan.rosters)
        known = ", ".join(list(reading.plan.rosters)[:20])
        hint = f"Did you mean {close}?" if close else f"It has {known}." if known else "It has none."
        raise NotFound(f"The plan has no schedule {name}. {hint}")
    click.echo("From the plan's files alone: overrides are not known here.", err=True)
    return found


def _who(roster: Roster, at: Instant) -> list[dict[str, Any]]:
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


def _shifts(roster: Roster, start: Instant, end: Instant) -> list[dict[str, Any]]:
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
