"""``tocsin alerts``."""

from __future__ import annotations

from typing import Any

import click

from tocsin.cli import show
from tocsin.cli.client import Api
from tocsin.cli.place import server_options
from tocsin.cli.text import ago
from tocsin.cli.words import matcher
from tocsin.kernel.instant import Instant

STATES = ("firing", "resolved", "all")


@click.command()
@click.argument("list_", metavar="[list]", required=False, type=click.Choice(["list"]))
@click.option("--state", type=click.Choice(STATES), default="firing", show_default=True, help="Which of them.")
@click.option("--service", metavar="NAME", help="Only of this service.")
@click.option("--incident", type=click.IntRange(1), metavar="NUMBER", help="Only of this incident.")
@click.option(
    "--match",
    "matchers",
    type=matcher,
    multiple=True,
    metavar="MATCHER",
    help="Only those whose labels match, such as region=eu or 'alertname=~\"Disk.*\"'; may be repeated.",
)
@show.limit_option
@server_options
@show.json_option
def alerts(
    api: Api,
    list_: str | None,
    state: str,
    service: str | None,
    incident: int | None,
    matchers: tuple[str, ...],
    limit: int | None,
    as_json: bool,
) -> None:
    """List alerts.

    `tocsin alerts` and `tocsin alerts list` are the same. The newest come first.

    \b
    Examples:
      tocsin alerts
      tocsin alerts --service checkout --match region=eu
      tocsin alerts --state all --json
    """
    query = {"state": state, "incident": incident, "matcher": list(matchers)}
    show.print_list(
        api.every_of(service, "/alerts", query, show.asked(limit, as_json)),
        COLUMNS,
        lambda one: row(one, api.now),
        as_json=as_json,
        limit=limit,
        empty="No alert fires." if state == "firing" and not (service or incident or matchers) else "No such alert.",
        what="alerts",
    )


COLUMNS = (
    show.Column("Id", right=True),
    show.Column("State"),
    show.Column("Incident", least=70),
    show.Column("Service", least=60),
    show.Column("Since", least=80),
    show.Column("Title", wide=True),
    show.Column("Labels", least=120, wide=True),
)


def _since(one: dict[str, Any]) -> Instant | None:
    """When it began: a beginning that its sender set in the future counts as when it was heard."""
    began, heard = show.moment(one["starts_at"]), show.moment(one.get("first_seen"))
    return began if began is None or heard is None else min(began, heard)


def row(one: dict[str, Any], now: Instant | None) -> show.Row:
    """An alert as a row under COLUMNS."""
    word = str(one["state"])
    state = show.Cell("silenced", "mute") if word == "firing" and one.get("silences") else show.state(word)
    return (
        str(one["id"]),
        state,
        f"#{one['incident']}" if one.get("incident") else "",
        str(one["service"]),
        ago(_since(one), now),
        str(one["title"]),
        show.labels(one.get("labels") or {}),
    )
