"""``tocsin silence``: add, list, show, update, expire."""

from __future__ import annotations

from typing import Any

import click

from tocsin.cli import show
from tocsin.cli.client import Api, segment
from tocsin.cli.failure import Failure
from tocsin.cli.place import server_options
from tocsin.cli.text import ago, clean, stamp
from tocsin.cli.words import duration, matcher, time
from tocsin.kernel.instant import Instant, format_duration, format_rfc3339

everything_option = click.option(
    "--everything",
    is_flag=True,
    help="Everything that the matchers do not except is meant, as with team!=web alone.",
)


@click.group()
def silence() -> None:
    """Keep alerts quiet for a while.

    A silence always ends; what still fires then is judged again, and pages.
    """


@silence.command()
@click.argument("matchers", metavar="MATCHER...", nargs=-1, required=True, type=matcher)
@click.option("--for", "lasts", type=duration, metavar="TIME", help="How long, such as 30m, 2h or 1d12h.")
@click.option("--until", type=time, metavar="TIME", help="Until when, such as 2026-11-23T08:00.")
@click.option("--from", "starts", type=time, metavar="TIME", help="From when.  [default: now]")
@click.option(
    "--comment", "--reason", "comment", metavar="TEXT", required=True, help="Why; it is shown wherever somebody asks."
)
@click.option("--author", metavar="NAME", envvar="USER", default="", show_default="$USER", help="Who wants it.")
@everything_option
@server_options
@show.json_option
def add(
    api: Api,
    matchers: tuple[str, ...],
    lasts: int | None,
    until: Instant | None,
    starts: Instant | None,
    comment: str,
    author: str,
    everything: bool,
    as_json: bool,
) -> None:
    """Silence alerts that meet every matcher.

    The answer says how many of the alerts that fire are quiet by it.

    A matcher is label=value, label!=value, label=~pattern or label!~pattern, as Alertmanager writes them; a lone word
    is an alert's name. Quote what the shell would change. What its sender names by a key has it as the label key.

    \b
    Examples:
      tocsin silence add RedisDown instance=cart-1 --for 2h --comment "moving cart-1"
      tocsin silence add 'alertname=~"Disk.*"' --until 2026-11-23T08:00 --comment "clean-up is on Monday"
    """
    body = _times(lasts, until, starts)
    body |= {"matchers": list(matchers), "comment": comment, "author": author}
    body |= {"everything": True} if everything else {}
    _told(api, api.write("POST", "/silences", body), as_json)


@silence.command("list")
@click.option(
    "--state",
    type=click.Choice(["live", "expired", "all"]),
    default="live",
    show_default=True,
    help="live: in force or still to come.",
)
@show.limit_option
@server_options
@show.json_option
def list_silences(api: Api, state: str, limit: int | None, as_json: bool) -> None:
    """List silences, the one that ends last first.

    \b
    Examples:
      tocsin silence list
      tocsin silence list --state expired --json
    """
    show.print_list(
        api.every("/silences", {"state": state}, show.asked(limit, as_json)),
        (
            show.Column("Id"),
            show.Column("State"),
            show.Column("Ends"),
            show.Column("Author", least=80),
            show.Column("Matchers", wide=True),
            show.Column("Comment", least=110, wide=True),
        ),
        lambda one: _row(one, api.now),
        as_json=as_json,
        limit=limit,
        empty="No alert is silenced." if state == "live" else "No such silence.",
        what="silences",
    )


def _row(one: dict[str, Any], now: Instant | None) -> show.Row:
    return (
        str(one["id"]),
        show.state(str(one["state"])),
        ago(show.moment(one["ends_at"]), now),
        str(one["author"]),
        _matchers(one),
        str(one["comment"]),
    )


def _matchers(one: dict[str, Any]) -> str:
    return " ".join(map(str, one["matchers"]))


@silence.command("show")
@click.argument("id", metavar="ID")
@server_options
@show.json_option
def show_silence(api: Api, id: str, as_json: bool) -> None:  # click names it as the argument is named
    """Show a silence.

    \b
    Examples:
      tocsin silence show 6f1c5a0e-3c7f-4d6e-9a51-0f5f8a4f7f10
    """
    one = api.get(f"/silences/{segment(id)}")
    if as_json:
        show.print_json(one)
    else:
        _sheet(one, api.now)


@silence.command()
@click.argument("id", metavar="ID")
@click.option("--for", "lasts", type=duration, metavar="TIME", help="End this long from now.")
@click.option("--until", type=time, metavar="TIME", help="End then.")
@click.option("--comment", "--reason", "comment", metavar="TEXT", help="Why, anew.")
@click.option("--author", metavar="NAME", help="Who wants it, anew.")
@click.option("--matcher", "matchers", type=matcher, multiple=True, metavar="MATCHER", help="Match these instead.")
@everything_option
@server_options
@show.json_option
def update(
    api: Api,
    id: str,  # click names it as the argument is named
    lasts: int | None,
    until: Instant | None,
    comment: str | None,
    author: str | None,
    matchers: tuple[str, ...],
    everything: bool,
    as_json: bool,
) -> None:
    """Change a silence; what is not given stays as it is.

    One that is over, or other matchers, make a new silence with a new id; the answer names it.

    \b
    Examples:
      tocsin silence update 6f1c5a0e-3c7f-4d6e-9a51-0f5f8a4f7f10 --for 1h
    """
    if lasts is None and until is None and comment is None and author is None and not matchers:
        raise click.UsageError("Say what changes: --for, --until, --comment, --author or --matcher.")
    one = api.get(f"/silences/{segment(id)}")
    body = {
        "matchers": list(matchers) or one["matchers"],
        "comment": one["comment"] if comment is None else comment,
        "author": one["author"] if author is None else author,
        "starts_at": one["starts_at"],
        "ends_at": one["ends_at"],
        "origin": one["origin"],
    }
    body |= {"everything": True} if everything else {}
    if lasts is not None and until is not None:
        raise click.UsageError("Say when it ends: either --for 2h or --until 2026-11-23T08:00.")
    if lasts is not None:
        body["ends_at"] = format_rfc3339(api.time() + lasts)
    elif until is not None:
        body["ends_at"] = format_rfc3339(until)
    _told(api, api.write("PUT", f"/silences/{segment(id)}", body), as_json)


@silence.command()
@click.argument("ids", metavar="ID...", nargs=-1, required=True)
@server_options
@show.json_option
def expire(api: Api, ids: tuple[str, ...], as_json: bool) -> None:
    """End silences now.

    What they kept quiet is judged again, and pages if it still fires. All of them are tried: one that cannot be ended
    is named, the others end, and the exit code is that of the first failure.

    \b
    Examples:
      tocsin silence expire 6f1c5a0e-3c7f-4d6e-9a51-0f5f8a4f7f10
    """
    told: list[dict[str, str]] = []
    failed: list[Failure] = []
    for each in dict.fromkeys(ids):
        try:
            api.write("DELETE", f"/silences/{segment(each)}")
        except Failure as error:
            failed.append(error)
            told.append({"id": each, "state": "unchanged", "error": error.message})
        else:
            told.append({"id": each, "state": "expired"})
        if not as_json and "error" not in told[-1]:
            show.line(f"Silence {each} has ended.")
        elif not as_json and len(ids) > 1:
            click.echo(f"Error: {clean(told[-1]['error'])}", err=True)
    if as_json:
        show.print_json(told)
    if failed and (as_json or len(ids) > 1):
        raise click.exceptions.Exit(failed[0].exit_code)
    if failed:
        raise failed[0]


def _times(lasts: int | None, until: Instant | None, starts: Instant | None) -> dict[str, Any]:
    if (lasts is None) == (until is None):
        raise click.UsageError("Say when it ends: either --for 2h or --until 2026-11-23T08:00.")
    body: dict[str, Any] = {} if starts is None else {"starts_at": format_rfc3339(starts)}
    if until is not None:
        return body | {"ends_at": format_rfc3339(until)}
    # The server adds it to its own time, so that this machine's clock does not matter.
    return body | {"duration": format_duration(lasts or 0)}


def _told(api: Api, one: dict[str, Any], as_json: bool) -> None:
    if as_json:
        show.print_json(one)
        return
    _sheet(one, api.now)


def _sheet(one: dict[str, Any], now: Instant | None) -> None:
    show.line(f"Silence {one['id']}", "head")
    ends = show.moment(one["ends_at"])
    show.facts(
        [
            ("state", str(one["state"])),
            ("matchers", _matchers(one)),
            ("from", stamp(show.moment(one["starts_at"]))),
            ("until", f"{stamp(ends)} ({ago(ends, now)})" if now is not None else stamp(ends)),
            ("author", str(one["author"])),
            ("comment", str(one["comment"])),
            ("only of", str(one["origin"])),
            ("quiet now", _quiet(one)),
        ]
    )


def _quiet(one: dict[str, Any]) -> str:
    """How many firing alerts it keeps quiet; "" of one that is over."""
    quiet, firing = one["quiet_now"], one["firing_now"]
    if one["state"] == "expired":
        return ""
    if one["state"] == "pending":
        return "nothing yet: it is still to come"
    if quiet is None or firing is None:
        return "not known: Tocsin's core does not answer, or this node stands by"
    if not quiet:
        return f"nothing that fires ({firing:,} alerts fire)" if firing else "nothing (no alert fires)"
    if quiet >= firing > 1:
        return f"everything that fires: all {firing:,} alerts"
    return f"{quiet:,} of the {firing:,} alerts that fire" if firing > 1 else "the one alert that fires"
