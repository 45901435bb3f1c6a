"""``tocsin oncall calendars``, and the word on stderr wherever an answer hangs on a calendar that cannot be read."""

from __future__ import annotations

from typing import Any

import click

from tocsin.cli import show
from tocsin.cli.client import Api
from tocsin.cli.failure import NotFound
from tocsin.cli.place import server_options
from tocsin.cli.text import stamp


@click.command()
@server_options
@show.json_option
def calendars(api: Api, as_json: bool) -> int:
    """List the calendars kept elsewhere, and how reading them goes.

    Exit code 1 when one of them cannot.

    \b
    Examples:
      tocsin oncall calendars
      tocsin oncall calendars --json | jq '.[] | select(.failing_since)'
    """
    found: list[dict[str, Any]] = api.get("/oncall/calendars")["items"]
    bad = int(any(one["failing_since"] for one in found))
    if as_json:
        show.print_array(found)
        return bad
    if not found:
        click.echo("The plan names no calendars.")
        return bad
    show.print_table(
        (show.Column("Calendar"), show.Column("Read"), show.Column("Entries", right=True), show.Column("", wide=True)),
        [
            (
                str(one["name"]),
                stamp(show.moment(one["read_at"])) or "never",
                str(one["entries"]),
                show.Cell(_fault(one), "ring") if one["failing_since"] else _unread(one),
            )
            for one in found
        ],
    )
    return bad


def warn_of_calendars(api: Api) -> None:
    """Say on stderr which calendars cannot be read now: what was answered may be older than it looks."""
    try:
        found: list[dict[str, Any]] = api.get("/oncall/calendars")["items"]
    except NotFound:  # an older server
        return
    for one in found:
        if one["failing_since"]:
            click.echo(show.plain(f"The calendar {one['name']} {_fault(one)}."), err=True)


def _fault(one: dict[str, Any]) -> str:
    kept = "its last copy counts" if one["read_at"] else "it was never read"
    return f"cannot be read since {stamp(show.moment(one['failing_since']))} ({one['error']}); {kept}"


def _unread(one: dict[str, Any]) -> str:
    return f"{one['unread']} events make no sense and are left out" if one["unread"] else ""
