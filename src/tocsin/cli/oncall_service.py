"""``tocsin oncall service``: whom a service's escalations would page."""

from __future__ import annotations

from itertools import groupby
from typing import Any

import click

from tocsin.cli import show
from tocsin.cli.calendars import warn_of_calendars
from tocsin.cli.client import Api, segment
from tocsin.cli.place import server_options
from tocsin.cli.words import time
from tocsin.kernel.instant import Instant, format_rfc3339


@click.command()
@click.argument("name", metavar="SERVICE")
@click.option("--at", type=time, metavar="TIME", help="When, such as 2026-11-23T03:24Z.  [default: now]")
@click.option(
    "--severity",
    type=click.Choice(["sev1", "sev2", "sev3", "sev4"], case_sensitive=False),
    help="For incidents of this severity alone.",
)
@click.option("--tier", metavar="TIER", help="For incidents of customers of this tier alone.")
@server_options
@show.json_option
def service(api: Api, name: str, at: Instant | None, severity: str | None, tier: str | None, as_json: bool) -> None:
    """Say whom each step of a service's escalations would reach.

    Where severities, or customers' tiers, are paged differently, each way is shown, those alike together. A step that
    asks for what does not hold then, such as hours that are shut, is passed over, and says so. Of a step that pages one
    of several each is shown, and whose turn it is.

    \b
    Examples:
      tocsin oncall service checkout
      tocsin oncall service checkout --severity sev1 --tier gold
      tocsin oncall service checkout --at 2026-12-24T20:00Z --json
    """
    query = {"severity": severity, "tier": tier, "at": format_rfc3339(at) if at is not None else None}
    asked = {key: value for key, value in query.items() if value is not None}
    found = api.get(f"/oncall/services/{segment(name)}/who", asked)["items"]
    warn_of_calendars(api)
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
        _print(rows)


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
