"""``tocsin oncall override``, ``swap``, ``cover`` and what belongs to them: who takes whose place."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from tocsin.cli import show
from tocsin.cli.client import Api, sentence
from tocsin.cli.failure import Refused
from tocsin.cli.place import server_options
from tocsin.cli.text import person as person_of
from tocsin.cli.text import stamp
from tocsin.cli.words import duration, identifier, time, until
from tocsin.kernel.instant import Instant, format_duration, format_rfc3339

F = TypeVar("F", bound=Callable[..., Any])
_TYPED = {
    "starts_at": "--from", "ends_at": "--to", "back_starts_at": "--back-from", "back_ends_at": "--back-to",
    "duration": "--for", "instead_of": "--instead-of", "reason": "--reason", "other": "PERSON", "person": "PERSON",
}  # fmt: skip
"""The API's fields as people type them."""


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


@click.command()
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


@click.command()
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


@click.command()
@click.argument("schedule", metavar="SCHEDULE")
@time_options
@click.option("--person", metavar="PERSON", default="", help="Whose place is to be taken.  [default: a gap, or you]")
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
      tocsin oncall cover shop-primary --for 3h --reason "dentist"
      tocsin oncall cover shop-primary --person ana --from 2026-12-24T18:00 --to 2026-12-25T09:00
      tocsin oncall cover shop-primary --from 2026-12-26T00:00 --for 9h
    """
    body = _times(start, end, lasts) | {"schedule": schedule, "person": person, "reason": reason}
    _told(api, _asked(api, "/oncall/covers", body), as_json)


@click.command()
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


@click.command()
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


@click.command()
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


@click.command()
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
    for warning in one.get("warnings", ()):  # an older server says none
        click.echo(show.plain(f"Warning: {warning}."), err=True)
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


COMMANDS = (override, swap, cover, overrides, accept, decline, cancel)
