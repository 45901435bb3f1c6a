"""``tocsin key``: create, list, revoke."""

from __future__ import annotations

from typing import Any

import click

from tocsin.cli import show
from tocsin.cli.client import Api, segment
from tocsin.cli.place import server_options
from tocsin.cli.text import ago
from tocsin.kernel.instant import Instant

SOURCES = ("alertmanager", "pagerduty", "events", "heartbeat")


@click.group()
def key() -> None:
    """Make and revoke the keys monitors send with.

    A key belongs to one source (how the monitor speaks) and one service. It is shown once, when it is made.
    """


@key.command()
@click.option("--source", metavar="KIND", required=True, help=f"How the monitor speaks: {', '.join(SOURCES)}.")
@click.option(
    "--service",
    metavar="NAME",
    required=True,
    help="Service its events belong to. With inbox the plan's routes sort them.",
)
@click.option("--name", metavar="NAME", default="", help="What the key is for, to know it again in lists.")
@click.option("--heartbeat", metavar="NAME", default="", help="For source heartbeat: the plan's heartbeat it feeds.")
@server_options
@show.json_option
def create(api: Api, source: str, service: str, name: str, heartbeat: str, as_json: bool) -> None:
    """Make a key, and show how to use it.

    The key is printed once and cannot be shown again: Tocsin keeps its hash alone.

    \b
    Examples:
      tocsin key create --source alertmanager --service inbox --name "prometheus in Madrid"
      tocsin key create --source heartbeat --service orders-batch --heartbeat nightly
      tocsin key create --source events --service checkout --json
    """
    from tocsin.intake.addresses import sender_url
    from tocsin.web.senders import WHERE, snippet

    body = {"source": source, "service": service, "name": name, "heartbeat": heartbeat}
    made = api.write("POST", "/keys", {field: value for field, value in body.items() if value})
    if as_json:
        show.print_json({field: made[field] for field in ("id", "key", "url")})
        return
    show.line(f"Key {made['id']} for {service}, source {source}. It is shown only now.")
    click.echo()
    show.facts([("key", str(made["key"])), ("url", str(made["url"]))])
    secret, url = str(made["key"]), str(made["url"])
    base = url.removesuffix(sender_url("", source, secret))
    show.heading(WHERE.get(source, "Into the sender."))
    click.echo()
    for each in snippet(source, base, secret).splitlines():
        show.line(f"  {each}" if each else "")


@key.command("list")
@click.option("--service", metavar="NAME", help="Only of this service.")
@click.option("--all", "revoked", is_flag=True, help="Revoked ones too.")
@show.limit_option
@server_options
@show.json_option
def list_keys(api: Api, service: str | None, revoked: bool, limit: int | None, as_json: bool) -> None:
    """List keys, the newest first.

    \b
    Examples:
      tocsin key list
      tocsin key list --service checkout --all --json
    """
    # The API lists every key; which of them are meant is looked at here.
    found = (
        one
        for one in api.every("/keys")
        if (revoked or not one.get("revoked_at")) and (service is None or one["service"] == service)
    )
    wanted = show.asked(limit, as_json)
    from itertools import islice

    show.print_list(
        found if wanted is None else islice(found, wanted),
        (
            show.Column("Id", right=True),
            show.Column("Source"),
            show.Column("Service"),
            show.Column("Ends in", least=60),
            show.Column("Made", least=80),
            show.Column("State", least=70),
            show.Column("Name", wide=True),
        ),
        lambda one: _row(one, api.now),
        as_json=as_json,
        limit=limit,
        empty="There is no key. Make one: tocsin key create --source alertmanager --service inbox",
        what="keys",
    )


def _row(one: dict[str, Any], now: Instant | None) -> show.Row:
    revoked = one.get("revoked_at")
    declared = "in the plan" if one.get("declared") else "in use"
    return (
        str(one["id"]),
        str(one["source"]),
        str(one["service"]),
        f"…{one['hint']}",
        ago(show.moment(one["created_at"]), now),
        show.Cell("revoked", "mute") if revoked else declared,
        " ".join(part for part in (one.get("name"), one.get("heartbeat") and f"({one['heartbeat']})") if part),
    )


@key.command()
@click.argument("id", metavar="ID")
@server_options
@show.json_option
def revoke(api: Api, id: str, as_json: bool) -> None:  # click names it as the argument is named
    """Shut a monitor out.

    What it sends with this key is refused from now on.

    \b
    Examples:
      tocsin key list
      tocsin key revoke 4
    """
    api.write("DELETE", f"/keys/{segment(id)}")
    if as_json:
        show.print_json({"id": id, "revoked": True})
    else:
        show.line(f"Key {id} is revoked.")
