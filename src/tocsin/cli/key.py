"""``tocsin key``: create, set, list, revoke."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from tocsin.access.limits import KeyLimits, read_rate, read_size, show_rate, show_size
from tocsin.access.limits import show as show_limits
from tocsin.cli import show
from tocsin.cli.client import Api, segment
from tocsin.cli.place import server_options
from tocsin.cli.text import ago
from tocsin.intake.entrances import KINDS
from tocsin.kernel.instant import Instant

DEFAULT = "default"
F = TypeVar("F", bound=Callable[..., Any])


@click.group()
def key() -> None:
    """Make and revoke the keys monitors send with.

    A key belongs to one source (how the monitor speaks) and one service. It is shown once, when it is made.
    """


def limit_options(command: F) -> F:
    """How much a key may send."""
    about = f"; {DEFAULT} as every key."
    for name, metavar, text in (
        ("alerts", "N", "How many alerts one request may hold"),
        ("body", "SIZE", "The longest request, such as 1MB"),
        ("burst", "N", "How many requests may come at once (without it five seconds of the rate)"),
        ("rate", "N/s", "Requests per second, such as 50/s, or 10/m"),
    ):
        command = click.option(f"--{name}", metavar=metavar, help=text + about)(command)
    return command


def _limits(given: dict[str, str | None]) -> dict[str, float | int | None]:
    """What was said of limits, as the API takes it. Raises click.BadParameter."""
    read: dict[str, Callable[[str], float | int]] = {
        "rate": read_rate, "body": read_size, "burst": int, "alerts": int
    }  # fmt: skip
    found: dict[str, float | int | None] = {}
    for name, text in given.items():
        if text is None:
            continue
        try:
            found[name] = None if text == DEFAULT else read[name](text)
            fault = KeyLimits(**{name: found[name]}).fault()  # type: ignore[arg-type]  # each is read as what it is
        except ValueError as error:
            why = str(error) if name in ("rate", "body") else "write a whole number"
            raise click.BadParameter(why, param_hint=f"--{name}") from None
        if fault is not None:
            raise click.BadParameter(fault[1], param_hint=f"--{name}")
    return found


@key.command()
@click.option("--source", metavar="KIND", required=True, help=f"How the monitor speaks: {', '.join(KINDS)}.")
@click.option(
    "--service",
    metavar="NAME",
    required=True,
    help="Service its events belong to. With inbox the plan's routes sort them.",
)
@click.option("--name", metavar="NAME", default="", help="What the key is for, to know it again in lists.")
@click.option("--heartbeat", metavar="NAME", default="", help="For source heartbeat: the plan's heartbeat it feeds.")
@limit_options
@server_options
@show.json_option
def create(api: Api, source: str, service: str, name: str, heartbeat: str, as_json: bool, **limits: str | None) -> None:
    """Make a key, and show how to use it.

    The key is printed once and cannot be shown again: Tocsin keeps its hash alone.

    \b
    Examples:
      tocsin key create --source alertmanager --service inbox --name "prometheus in Madrid"
      tocsin key create --source heartbeat --service orders-batch --heartbeat nightly
      tocsin key create --source events --service checkout --rate 50/s --body 1MB --json
    """
    from tocsin.intake.entrances import sender_url, snippet, where

    body: dict[str, Any] = {"source": source, "service": service, "name": name, "heartbeat": heartbeat}
    body["limits"] = _limits(limits)
    made = api.write("POST", "/keys", {field: value for field, value in body.items() if value})
    if as_json:
        show.print_json({field: made[field] for field in ("id", "key", "url")})
        return
    show.line(f"Key {made['id']} for {service}, source {source}. It is shown only now.")
    click.echo()
    show.facts([("key", str(made["key"])), ("url", str(made["url"]))])
    secret, url = str(made["key"]), str(made["url"])
    base = url.removesuffix(sender_url("", source, secret))
    show.heading(where(source))
    click.echo()
    for each in snippet(source, base, secret).splitlines():
        show.line(f"  {each}" if each else "")


@key.command("set")
@click.argument("id", metavar="ID")
@limit_options
@server_options
@show.json_option
def set_key(api: Api, id: str, as_json: bool, **limits: str | None) -> None:  # click names it as the argument is named
    """Change how much a key may send. It counts at once.

    What is left out stays. A key that the plan declares is limited there.

    \b
    Examples:
      tocsin key set 4 --rate 50/s --alerts 500
      tocsin key set 4 --rate default
    """
    wanted = _limits(limits)
    if not wanted:
        raise click.UsageError("say what to change: --rate, --burst, --body or --alerts")
    changed = api.write("PATCH", f"/keys/{segment(id)}", {"limits": wanted})
    if as_json:
        show.print_json(changed)
    else:
        show.line(f"Key {id} may send {_whole(changed['limits'])}.")


def _whole(limits: dict[str, Any]) -> str:
    rate, size = show_rate(float(limits["rate"])), show_size(int(limits["body"]))
    return f"{rate} ({limits['burst']:,} at once), {limits['alerts']:,} alerts and {size} in one request"


def _own(one: dict[str, Any]) -> str:
    own = {name: one["limits"][name] for name in one.get("limits_set", ())}
    return show_limits(KeyLimits(**own))


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
            show.Column("Limits", least=100),
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
        _own(one) or show.Cell("as every key", "mute"),
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
