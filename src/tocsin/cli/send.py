"""``tocsin send``."""

from __future__ import annotations

import os
import shlex
from typing import Any

import click

from tocsin.cli import show
from tocsin.cli.client import Api, segment
from tocsin.cli.place import server_options
from tocsin.cli.words import duration, label
from tocsin.kernel.instant import format_rfc3339


@click.command()
@click.option("--service", metavar="NAME", default="inbox", show_default=True, help="Service it is about.")
@click.option("--title", metavar="TEXT", help="What is wrong, in words people understand.  [default: A test event]")
@click.option("--severity", metavar="WORD", help="Such as critical, warning or info; the plan maps it to sev1 to sev4.")
@click.option("--key", metavar="TEXT", help="What makes events the same problem; --resolve needs it, or the labels.")
@click.option("--label", "labels", type=label, multiple=True, metavar="NAME=VALUE", help="A label; may be repeated.")
@click.option(
    "--annotation",
    "annotations",
    type=label,
    multiple=True,
    metavar="NAME=VALUE",
    help="Something to know that does not tell problems apart; may be repeated.",
)
@click.option("--link", metavar="URL", help="Where there is more to see.")
@click.option("--for", "lasts", type=duration, metavar="TIME", help="It ends by itself after this, such as 10m.")
@click.option("--resolve", is_flag=True, help="Say that it is over.")
@server_options
@show.json_option
def send(
    api: Api,
    service: str,
    title: str | None,
    severity: str | None,
    key: str | None,
    labels: tuple[tuple[str, str], ...],
    annotations: tuple[tuple[str, str], ...],
    link: str | None,
    lasts: int | None,
    resolve: bool,
    as_json: bool,
) -> None:
    """Send an event to a service, to test or from a script.

    It is judged like any other: it opens an incident and pages as the plan says. A resolution of what does not fire
    changes nothing; that is said, and is no failure.

    \b
    Examples:
      tocsin send --service checkout --severity critical --key try-1
      tocsin send --service checkout --key try-1 --resolve
      tocsin send --service db --title "Restore failed" --severity error --label host=db1 --label job=restore
    """
    if resolve and not key and not labels:
        raise click.UsageError("--resolve needs the --key or the --label of what is over.")
    if resolve and lasts is not None:
        raise click.UsageError("--resolve and --for do not go together.")
    if not key and not labels:
        # With a key of its own a repetition after a broken connection is the same event, and it can be resolved.
        key = f"cli-{os.urandom(6).hex()}"
    event: dict[str, Any] = {
        "title": title or ("Resolved from the command line" if resolve else "A test event"),
        "state": "resolved" if resolve else "firing",
        "key": key,
        "severity": severity,
        "labels": dict(labels),
        "annotations": dict(annotations),
        "link": link,
    }
    if lasts is not None:
        # Counted from the server's time, so that this machine's clock does not matter.
        event["ends_at"] = format_rfc3339(api.time() + lasts)
    body = {name: value for name, value in event.items() if value}
    found = api.write("POST", f"/services/{segment(service)}/events", body)
    if as_json:
        # The key is told when nobody else knows it: without it the event cannot be resolved.
        show.print_json({**found, "key": key} if key else found)
        return
    if found.get("not_firing"):
        what = f"the key {key}" if key else "these labels"
        show.line(f"Nothing that fires for {service} has {what}: nothing was resolved.")
        return
    show.line(f"{'Resolution' if resolve else 'Event'} taken for {service}.")
    if not resolve:
        named = [part for name, value in labels for part in ("--label", f"{name}={value}")]
        again = ["--key", key] if key else named
        show.line(f"When it is over: {shlex.join(['tocsin', 'send', '--service', service, *again, '--resolve'])}")
