"""``tocsin oncall service``: whom a service's escalations would page."""

from __future__ import annotations

from itertools import groupby
from pathlib import Path
from typing import Any

import click

from tocsin.cli import oncall_files as files
from tocsin.cli import show
from tocsin.cli.calendars import warn_of_calendars
from tocsin.cli.client import Api, segment
from tocsin.cli.oncall_range import range_of
from tocsin.cli.place import server_or_plan_options
from tocsin.cli.text import stamp
from tocsin.cli.words import time
from tocsin.kernel.instant import Instant, format_rfc3339


@click.command()
@click.argument("name", metavar="SERVICE")
@click.option("--at", type=time, metavar="TIME", help="When, such as 2026-11-23T03:24Z.  [default: now]")
@click.option("--weeks", type=click.IntRange(1, 104), metavar="N", help="List whom it would page for so many weeks.")
@click.option("--from", "start", type=time, metavar="TIME", help="List it from then on.  [default: now]")
@click.option("--to", "end", type=time, metavar="TIME", help="List it up to then; two years later at most.")
@click.option(
    "--severity",
    type=click.Choice(["sev1", "sev2", "sev3", "sev4"], case_sensitive=False),
    help="For incidents of this severity alone.",
)
@click.option("--tier", metavar="TIER", help="For incidents of customers of this tier alone.")
@server_or_plan_options
@show.json_option
def service(
    api: Api | None,
    plan: Path | None,
    name: str,
    at: Instant | None,
    weeks: int | None,
    start: Instant | None,
    end: Instant | None,
    severity: str | None,
    tier: str | None,
    as_json: bool,
) -> None:
    """Say whom each step of a service's escalations would reach.

    Where severities, or customers' tiers, are paged differently, each way is shown, those alike together. A step that
    asks for what does not hold then, such as hours that are shut, is passed over, and says so. Of a step that pages one
    of several each is shown, and whose turn it is.

    With --weeks, --from or --to it is whom they would page when, step by step, over that time (twelve weeks unless said
    otherwise); steps that are passed over are left out for as long, and where a step reaches nobody, that is said. With
    --plan the answer comes from the plan's files alone: overrides, turns taken so far, and what calendars say, are not
    known then.

    \b
    Examples:
      tocsin oncall service checkout
      tocsin oncall service checkout --severity sev1 --tier gold
      tocsin oncall service checkout --at 2026-12-24T20:00Z --json
      tocsin oncall service checkout --weeks 12 --plan deploy/tocsin
    """
    if at is not None and (weeks, start, end) != (None, None, None):
        raise click.UsageError("Ask about one time (--at), or list a stretch of it (--weeks, --from, --to).")
    if weeks is not None and end is not None:
        raise click.UsageError("Say either --weeks or --to.")
    span = None if (weeks, start, end) == (None, None, None) else range_of(start, end, api, weeks)
    if api is not None:
        found = _asked(api, name, at, span, {"severity": severity, "tier": tier})
    else:
        whole = files.service_plan(plan, name, tier)
        if span is not None:
            found = files.reached_over(whole, name, *span, severity, tier)
        else:
            found = files.reached_of(whole, name, files.now() if at is None else at, severity, tier)
    if as_json:
        show.print_array(found)
        return
    if not found:
        show.line(f"No step of {name} reaches anybody then, and nor does the last resort.", "ring")
        return
    ways = [list(rows) for _, rows in groupby(found, key=lambda one: (one["severities"], one["tiers"]))]
    for rows in ways:
        if len(ways) > 1 or rows[0]["severities"] or rows[0]["tiers"]:
            show.heading(_of(rows[0]))
        (_print if span is None else _print_ranged)(rows)


def _asked(
    api: Api, name: str, at: Instant | None, span: tuple[Instant, Instant] | None, of: dict[str, str | None]
) -> list[dict[str, Any]]:
    """What a server says of an instant, or of a stretch of time."""
    query = {key: value for key, value in of.items() if value is not None}
    if span is not None:
        query |= {"from": format_rfc3339(span[0]), "to": format_rfc3339(span[1])}
    elif at is not None:
        query["at"] = format_rfc3339(at)
    path = f"/oncall/services/{segment(name)}/{'who' if span is None else 'shifts'}"
    found: list[dict[str, Any]] = api.get(path, query)["items"]
    warn_of_calendars(api)
    return found


def _print_ranged(rows: list[dict[str, Any]]) -> None:
    columns = [show.Column("From"), show.Column("To"), show.Column("Step", right=True), show.Column("Person")]
    asks = any(one["when"] for one in rows)
    show.print_table(
        (*columns, show.Column("By", wide=True), *([show.Column("For", wide=True)] if asks else [])),
        [
            (
                stamp(show.moment(one["start"])),
                stamp(show.moment(one["end"])),
                f"{one['step']}, one of" if one["one_of"] else str(one["step"]),
                str(one["person"]) if one["person"] else show.Cell("nobody", "ring"),
                _by(one),
                *([str(one["when"])] if asks else []),
            )
            for one in rows
        ],
    )


def _by(one: dict[str, Any]) -> str:
    """Why they are paged then, and what follows where nobody is."""
    if one["person"]:
        return str(one["by"] or "named in the plan")
    if one["last_resort"]:
        return "so nobody is paged"
    return "whoever is next is asked at once, the team's lead and the last resort as well"


def _print(rows: list[dict[str, Any]]) -> None:
    columns = [show.Column("Step", right=True), show.Column("Person"), show.Column("By")]
    asks = any(one["when"] for one in rows)
    show.print_table(
        (*columns, *([show.Column("For", wide=True)] if asks else [])),
        [
            (
                f"{one['step']}, one of" if one["one_of"] else str(one["step"]),
                show.Cell(str(one["person"]), "mute") if one["passed"] else str(one["person"]),
                f"{one['by'] or 'named in the plan'}{', whose turn it is' if one['next'] else ''}",
                *([f"{one['when']}{': passed over' if one['passed'] else ''}"] if asks else []),
            )
            for one in rows
        ],
    )


def _of(one: dict[str, Any]) -> str:
    """Which incidents are meant: ``SEV1, SEV2``; ``SEV1, gold or silver customers``; ``Customers of no tier``."""
    severities = ", ".join(level.upper() for level in one["severities"])
    named = " or ".join(tier for tier in one["tiers"] if tier)
    tiers = [f"{named} customers"] if named else []
    tiers += ["customers of no tier"] if "" in one["tiers"] else []
    said = ", ".join(filter(None, [severities, " or ".join(tiers)])) or "Every incident"
    return said[:1].upper() + said[1:]
