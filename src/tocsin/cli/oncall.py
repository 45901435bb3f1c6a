"""``tocsin oncall``: who is on call, and who takes whose place."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from tocsin.cli import show
from tocsin.cli.calendars import calendars, warn_of_calendars
from tocsin.cli.client import Api, segment, sentence
from tocsin.cli.failure import NotFound, Refused
from tocsin.cli.oncall_service import service
from tocsin.cli.place import server_options, server_or_plan_options
from tocsin.cli.text import person as person_of
from tocsin.cli.text import rough, stamp
from tocsin.cli.words import duration, identifier, time, until
from tocsin.kernel.instant import Instant, format_duration, format_rfc3339

if TYPE_CHECKING:
    from tocsin.oncall.roster import Roster

F = TypeVar("F", bound=Callable[..., Any])
_TYPED = {
    "starts_at": "--from", "ends_at": "--to", "back_starts_at": "--back-from", "back_ends_at": "--back-to",
    "duration": "--for", "instead_of": "--instead-of", "reason": "--reason", "other": "PERSON", "person": "PERSON",
}  # fmt: skip
"""The API's fields as people type them."""


@click.group()
def oncall() -> None:
    """Say who is on call, now and later.

    The plan's schedules say who is on call when; overrides, swaps and covers are made here.
    """


oncall.add_command(calendars)
oncall.add_command(service)


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
        now = _now()
        found = _who(_roster(plan, schedule), now if at is None else at)
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
@click.option("--from", "start", type=time, metavar="TIME", required=True, help="From when.")
@click.option("--to", "end", type=time, metavar="TIME", required=True, help="Up to when; two years later at most.")
@server_options
@show.json_option
def person(api: Api, name: str, start: Instant, end: Instant, as_json: bool) -> None:
    """List a person's shifts, of every schedule.

    \b
    Examples:
      tocsin oncall person ana --from 2026-12-01 --to 2027-01-01
    """
    if start >= end:
        raise click.UsageError("--to must be later than --from.")
    query = {"from": format_rfc3339(start), "to": format_rfc3339(end)}
    found = api.get(f"/oncall/people/{segment(name)}/shifts", query)["items"]
    warn_of_calendars(api)
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
@click.option("--from", "start", type=time, metavar="TIME", required=True, help="From when.")
@click.option("--to", "end", type=time, metavar="TIME", required=True, help="Up to when; two years later at most.")
@server_or_plan_options
@show.json_option
def shifts(api: Api | None, plan: Path | None, schedule: str, start: Instant, end: Instant, as_json: bool) -> None:
    """List who is on call over a time.

    Shifts are cut where the time asked about begins and ends. Where a clock is set back over a handoff, two people are
    on call. With --plan the answer comes from the plan's files alone: overrides, and what calendars say, are not known
    then.

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
        warn_of_calendars(api)
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


# --- who takes whose place


def time_options(command: F) -> F:
    """Give a command the time it is for: ``--from``, and ``--to`` or ``--for``."""
    for option in (
        click.option("--for", "lasts", type=duration, metavar="TIME", help="How long, such as 4h or 2d."),
        click.option("--to", "end", type=until, metavar="TIME", help="Up to when."),
        click.option("--from", "start", type=time, metavar="TIME", help="From when.  [default: now]"),
    ):
        command = option(command)
    return command


def reason_option(command: F) -> F:
    """Give a command ``--reason``."""
    return click.option("--reason", metavar="TEXT", default="", help="Why; it is shown wherever somebody asks.")(
        command
    )


@oncall.command()
@click.argument("schedule", metavar="SCHEDULE")
@click.argument("person", metavar="PERSON")
@time_options
@click.option("--instead-of", metavar="PERSON", default="", help="Only where this person would be on call.")
@reason_option
@server_options
@show.json_option
def override(
    api: Api,
    schedule: str,
    person: str,
    start: Instant | None,
    end: Instant | None,
    lasts: int | None,
    instead_of: str,
    reason: str,
    as_json: bool,
) -> None:
    """Put somebody on call for a while.

    They are on call in place of everybody the plan has on call then, also where it has nobody. It counts at once.

    \b
    Examples:
      tocsin oncall override shop-primary kei --for 4h --reason "ana is on a train"
      tocsin oncall override shop-primary kei --from 2026-12-24T09:00 --to 2026-12-27T09:00 --instead-of ana
    """
    body = _times(start, end, lasts) | {"schedule": schedule, "person": person}
    _told(api, _asked(api, "/oncall/overrides", body | {"instead_of": instead_of, "reason": reason}), as_json)


@oncall.command()
@click.argument("schedule", metavar="SCHEDULE")
@click.argument("other", metavar="PERSON")
@click.option("--from", "start", type=time, metavar="TIME", required=True, help="From when they take over from you.")
@click.option("--to", "end", type=until, metavar="TIME", required=True, help="Up to when.")
@click.option("--back-from", "back_start", type=time, metavar="TIME", required=True, help="From when you take over.")
@click.option("--back-to", "back_end", type=until, metavar="TIME", required=True, help="Up to when.")
@reason_option
@server_options
@show.json_option
def swap(
    api: Api,
    schedule: str,
    other: str,
    start: Instant,
    end: Instant,
    back_start: Instant,
    back_end: Instant,
    reason: str,
    as_json: bool,
) -> None:
    """Ask somebody to swap shifts with you.

    It counts when they accept it, and lapses when they have not before it would begin.

    \b
    Examples:
      tocsin oncall swap shop-primary ben --from 2026-12-24T09:00 --to 2026-12-26T09:00 \\
        --back-from 2026-12-31T09:00 --back-to 2027-01-02T09:00 --reason "family"
    """
    times = {"starts_at": start, "ends_at": end, "back_starts_at": back_start, "back_ends_at": back_end}
    body: dict[str, Any] = {name: format_rfc3339(at) for name, at in times.items()}
    _told(
        api,
        _asked(api, "/oncall/swaps", body | {"schedule": schedule, "other": other, "reason": reason}),
        as_json,
    )


@oncall.command()
@click.argument("schedule", metavar="SCHEDULE")
@time_options
@click.option("--person", metavar="PERSON", default="", help="Whose place is to be taken; without it a gap.")
@reason_option
@server_options
@show.json_option
def cover(
    api: Api,
    schedule: str,
    start: Instant | None,
    end: Instant | None,
    lasts: int | None,
    person: str,
    reason: str,
    as_json: bool,
) -> None:
    """Ask who of a schedule takes a shift, or a gap.

    Everybody else on the schedule is told. It counts when one of them accepts it.

    \b
    Examples:
      tocsin oncall cover shop-primary --person ana --from 2026-12-24T18:00 --to 2026-12-25T09:00
      tocsin oncall cover shop-primary --from 2026-12-26T00:00 --for 9h
    """
    body = _times(start, end, lasts) | {"schedule": schedule, "person": person, "reason": reason}
    _told(api, _asked(api, "/oncall/covers", body), as_json)


@oncall.command()
@click.option(
    "--state",
    type=click.Choice(["live", "all"]),
    default="live",
    show_default=True,
    help="live: in force, to come or asked for.",
)
@show.limit_option
@server_options
@show.json_option
def overrides(api: Api, state: str, limit: int | None, as_json: bool) -> None:
    """List overrides, swaps and cover requests, the newest first.

    \b
    Examples:
      tocsin oncall overrides
      tocsin oncall overrides --state all --json
    """
    show.print_list(
        api.every("/oncall/overrides", {"state": state}, show.asked(limit, as_json)),
        (
            show.Column("Id"),
            show.Column("Kind", least=80),
            show.Column("State"),
            show.Column("Schedule"),
            show.Column("Who"),
            show.Column("From"),
            show.Column("To"),
            show.Column("More", least=110, wide=True),
        ),
        lambda one: (
            str(one["id"]),
            str(one["kind"]),
            show.state("idle" if one["idle"] else str(one["state"])),
            str(one["schedule"]),
            _whose(one),
            stamp(show.moment(one["starts_at"])),
            stamp(show.moment(one["ends_at"])),
            "; ".join(filter(None, (_idle(one), _back(one), str(one["reason"])))),
        ),
        as_json=as_json,
        limit=limit,
        empty="Nobody takes another's place.",
        what="overrides",
    )


@oncall.command()
@click.argument("id", metavar="ID", type=identifier)
@server_options
@show.json_option
def accept(api: Api, id: int, as_json: bool) -> None:  # click names it as the argument is named
    """Agree to a swap you were asked for, or take a cover request.

    \b
    Examples:
      tocsin oncall accept 7
    """
    _told(api, api.write("POST", f"/oncall/overrides/{id}/answer", {"yes": True}), as_json)


@oncall.command()
@click.argument("id", metavar="ID", type=identifier)
@server_options
@show.json_option
def decline(api: Api, id: int, as_json: bool) -> None:  # click names it as the argument is named
    """Decline a swap you were asked for.

    \b
    Examples:
      tocsin oncall decline 7
    """
    _told(api, api.write("POST", f"/oncall/overrides/{id}/answer", {"yes": False}), as_json)


@oncall.command()
@click.argument("id", metavar="ID", type=identifier)
@server_options
@show.json_option
def cancel(api: Api, id: int, as_json: bool) -> None:  # click names it as the argument is named
    """Take back or end an override, a swap or a cover request.

    From now on the plan's layers count again; what was stays.

    \b
    Examples:
      tocsin oncall cancel 7
    """
    api.write("DELETE", f"/oncall/overrides/{id}")
    _told(api, api.get(f"/oncall/overrides/{id}"), as_json)


def _asked(api: Api, path: str, body: dict[str, Any]) -> Any:
    """Ask for a change. A refusal names the options that were typed, and not the fields of the API."""
    try:
        return api.write("POST", path, body)
    except Refused as error:
        field, said = str(error.told.get("field") or ""), str(error.told.get("detail") or "")
        typed = _TYPED | ({"ends_at": "--for"} if "duration" in body else {})
        typed |= {"person": "--person"} if path == "/oncall/covers" else {}
        option = typed.get(field)
        if option is None:
            raise
        told = {**error.told, "field": option, "detail": said.replace(f"{field}:", f"{option}:", 1)}
        raise Refused(sentence(told), told) from None


def _times(start: Instant | None, end: Instant | None, lasts: int | None) -> dict[str, Any]:
    if (lasts is None) == (end is None):
        raise click.UsageError("Say when it ends: either --to 2026-11-23T08:00 or --for 4h.")
    body: dict[str, Any] = {} if start is None else {"starts_at": format_rfc3339(start)}
    # The server adds a length to its own time, so that this machine's clock does not matter.
    return body | ({"ends_at": format_rfc3339(end)} if end is not None else {"duration": format_duration(lasts or 0)})


def _whose(one: dict[str, Any]) -> str:
    who = str(one["person"]) or "somebody"
    return f"{who} for {one['instead_of']}" if one["instead_of"] else who


def _back(one: dict[str, Any]) -> str:
    """What of a swap is given back."""
    if not one["back_starts_at"]:
        return ""
    return f"for {stamp(show.moment(one['back_starts_at']))} to {stamp(show.moment(one['back_ends_at']))}"


def _idle(one: dict[str, Any]) -> str:
    return f"not in force: {one['idle']}" if one["idle"] else ""


def _told(api: Api, one: dict[str, Any], as_json: bool) -> None:
    if as_json:
        show.print_json(one)
        return
    show.line(f"{str(one['kind']).capitalize()} {one['id']}: {_whose(one)} on {one['schedule']}", "head")
    show.facts(
        [
            ("state", str(one["state"])),
            ("but", _idle(one)),
            ("from", stamp(show.moment(one["starts_at"]))),
            ("to", stamp(show.moment(one["ends_at"]))),
            ("back", _back(one).removeprefix("for ")),
            ("reason", str(one["reason"])),
            ("asked by", person_of(str(one["asked_by"]))),
            ("answered by", person_of(str(one["answered_by"]))),
        ]
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
