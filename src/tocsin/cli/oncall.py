"""``tocsin oncall``: who is on call, and who takes whose place."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from tocsin.cli import oncall_files as files
from tocsin.cli import show
from tocsin.cli.calendars import calendars, warn_of_calendars
from tocsin.cli.client import Api, segment
from tocsin.cli.oncall_covering import COMMANDS
from tocsin.cli.oncall_range import from_option, range_of, to_option
from tocsin.cli.oncall_service import service
from tocsin.cli.place import server_options, server_or_plan_options
from tocsin.cli.text import rough, stamp
from tocsin.cli.words import time
from tocsin.kernel.instant import Instant, format_rfc3339


@click.group()
def oncall() -> None:
    """Say who is on call, now and later.

    The plan's schedules say who is on call when; overrides, swaps and covers are made here.
    """


oncall.add_command(calendars)
oncall.add_command(service)
for each in COMMANDS:
    oncall.add_command(each)


@oncall.command()
@click.argument("schedule", metavar="SCHEDULE")
@click.option("--at", type=time, metavar="TIME", help="When, such as 2026-11-23T03:24Z.  [default: now]")
@server_or_plan_options
@show.json_option
def who(api: Api | None, plan: Path | None, schedule: str, at: Instant | None, as_json: bool) -> None:
    """Say who is on call.

    With --plan the answer comes from the plan's files alone, without a server: overrides, and what calendars say, are
    not known then.

    \b
    Examples:
      tocsin oncall who shop-primary
      tocsin oncall who shop-primary --at 2026-12-24T20:00Z --json
      tocsin oncall who shop-primary --plan deploy/tocsin
    """
    if api is not None:
        query = {} if at is None else {"at": format_rfc3339(at)}
        found: list[dict[str, Any]] = api.get(f"/oncall/schedules/{segment(schedule)}/who", query)["items"]
        warn_of_calendars(api)
        now = api.now
    else:
        now = files.now()
        found = files.who_of(files.roster(plan, schedule), now if at is None else at)
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


@oncall.command("list")
@click.option("--at", type=time, metavar="TIME", help="When, such as 2026-11-23T03:24Z.  [default: now]")
@server_options
@show.json_option
def list_schedules(api: Api, at: Instant | None, as_json: bool) -> None:
    """List the plan's schedules and who is on call by each.

    \b
    Examples:
      tocsin oncall list
      tocsin oncall list --at 2026-12-24T20:00Z --json
    """
    found = api.get("/oncall/schedules", {} if at is None else {"at": format_rfc3339(at)})["items"]
    warn_of_calendars(api)
    if as_json:
        show.print_array(found)
        return
    if not found:
        click.echo("The plan has no schedules.")
        return
    now = api.now
    show.print_table(
        (show.Column("Schedule"), show.Column("Person"), show.Column("Until"), show.Column("About", least=100)),
        [
            (
                str(one["name"]),
                str(who["person"]) if who else show.Cell("nobody", "ring"),
                _until(show.instant(who["until"]), now) if who else "",
                str(one["about"]),
            )
            for one in found
            for who in one["on_call"] or [None]
        ],
    )


@oncall.command()
@click.argument("name", metavar="PERSON")
@from_option
@to_option
@server_or_plan_options
@show.json_option
def person(
    api: Api | None, plan: Path | None, name: str, start: Instant | None, end: Instant | None, as_json: bool
) -> None:
    """List a person's shifts, of every schedule.

    Those of the next twelve weeks, or over a time. With --plan the answer comes from the plan's files alone: overrides,
    and what calendars say, are not known then.

    \b
    Examples:
      tocsin oncall person ana
      tocsin oncall person ana --from 2026-12-01 --to 2027-01-01
      tocsin oncall person ana --plan deploy/tocsin
    """
    start, end = range_of(start, end, api)
    if api is not None:
        query = {"from": format_rfc3339(start), "to": format_rfc3339(end)}
        found: list[dict[str, Any]] = api.get(f"/oncall/people/{segment(name)}/shifts", query)["items"]
        warn_of_calendars(api)
    else:
        found = files.shifts_of_person(plan, name, start, end)
    if as_json:
        show.print_array(found)
        return
    if not found:
        click.echo(f"{name} is not on call in that time.")
        return
    show.print_table(
        (show.Column("From"), show.Column("To"), show.Column("Schedule"), show.Column("Layer", least=80)),
        [
            (stamp(show.moment(one["start"])), stamp(show.moment(one["end"])), str(one["schedule"]), str(one["layer"]))
            for one in found
        ],
    )


@oncall.command()
@click.argument("schedule", metavar="SCHEDULE")
@from_option
@to_option
@server_or_plan_options
@show.json_option
def shifts(
    api: Api | None, plan: Path | None, schedule: str, start: Instant | None, end: Instant | None, as_json: bool
) -> None:
    """List who is on call in the next twelve weeks, or over a time.

    Shifts are cut where the time asked about begins and ends. Where a clock is set back over a handoff, two people are
    on call. With --plan the answer comes from the plan's files alone: overrides, and what calendars say, are not known
    then.

    \b
    Examples:
      tocsin oncall shifts shop-primary
      tocsin oncall shifts shop-primary --from 2026-12-01T00:00Z --to 2027-01-01T00:00Z
      tocsin oncall shifts shop-primary --from 2026-12-01 --to 2026-12-08 --plan deploy/tocsin --json
    """
    start, end = range_of(start, end, api)
    if api is not None:
        query = {"from": format_rfc3339(start), "to": format_rfc3339(end)}
        found: list[dict[str, Any]] = api.get(f"/oncall/schedules/{segment(schedule)}/shifts", query)["items"]
        warn_of_calendars(api)
    else:
        found = files.shifts_of(files.roster(plan, schedule), start, end)
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


@oncall.command()
@click.option("--schedule", metavar="SCHEDULE", default="", help="The shifts of this schedule.")
@click.option("--person", metavar="PERSON", default="", help="The shifts of this person.")
@server_options
@show.json_option
def feed(api: Api, schedule: str, person: str, as_json: bool) -> None:
    """Make a calendar's secret address (iCalendar).

    Calendar programs subscribe to it. It is shown this once; `tocsin user revoke ID` makes it useless.

    \b
    Examples:
      tocsin oncall feed --person ana
      tocsin oncall feed --schedule shop-primary --json | jq -r .url
    """
    if bool(schedule) == bool(person):
        raise click.UsageError("Say whose shifts: either --schedule or --person.")
    made = api.write("POST", "/oncall/feeds", {"schedule": schedule} if schedule else {"person": person})
    if as_json:
        show.print_json(made)
        return
    show.line(str(made["url"]))
    click.echo(f"This is shown only now. `tocsin user revoke {made['id']}` makes it useless.", err=True)


def _until(until: Instant, now: Instant | None) -> str:
    return f"{stamp(until)} (in {rough(until - now)})" if now is not None and until > now else stamp(until)
