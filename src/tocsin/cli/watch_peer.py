"""``tocsin watch-peer``: watch another Tocsin, and have this one page when that one is deaf."""

from __future__ import annotations

import asyncio
from typing import Any

import click

from tocsin.cli import show
from tocsin.cli.client import Api, segment
from tocsin.cli.failure import OK, REFUSED, Failure
from tocsin.cli.place import read_address, server_options
from tocsin.cli.words import duration
from tocsin.kernel.instant import SECOND


@click.command("watch-peer")
@click.argument("peer", metavar="URL")
@click.option("--service", default="inbox", show_default=True, metavar="NAME", help="Whose people are paged.")
@click.option(
    "--every", type=duration, default="15s", show_default=True, metavar="TIME", help="How often it is looked."
)
@click.option(
    "--failures",
    type=click.IntRange(1, 100),
    default=3,
    show_default=True,
    metavar="N",
    help="How many failures in a row count.",
)
@click.option("--once", is_flag=True, help="Look once, tell, and end: for cron. The exit code says how it was.")
@server_options
@show.json_option
def watch_peer(
    api: Api, peer: str, service: str, every: int, failures: int, once: bool, as_json: bool
) -> int:
    """Have this Tocsin page when another one is deaf.

    It asks the other's /readyz, which says what its self-audit found. What it finds it tells the server the other
    commands talk to, as an event of a service: that opens an incident and pages, and ends when the other is well again.
    In a plan the same is a probe, which needs no process of its own: {peer: URL}. With --json each look is one line;
    ``told`` says what became of it here.

    \b
    Examples:
      tocsin watch-peer https://tocsin-a.example.com
      tocsin watch-peer https://tocsin-a.example.com --service ops --every 30s
      tocsin watch-peer https://tocsin-a.example.com --once
    """
    if every < SECOND:
        raise click.UsageError("--every is at least 1s.")
    read_address(peer)
    return asyncio.run(_watch(api, peer.rstrip("/"), service, every, 1 if once else failures, once, as_json))


async def _watch(api: Api, url: str, service: str, every: int, failures: int, once: bool, as_json: bool) -> int:
    from tocsin.intake.specs import ProbeSpec
    from tocsin.runtime.clock import SystemClock
    from tocsin.runtime.outbound import Outbound
    from tocsin.wiring import probe

    patience = min(every, 10 * SECOND)
    spec = ProbeSpec(service=service, name="peer", kind="peer", target=url, every=every, timeout=patience)
    outside, clock, failed = Outbound(), SystemClock(), 0
    told: bool | None = None
    try:
        while True:
            checked = await probe("peer")(spec, clock.now(), outside)
            failed = 0 if checked.ok else failed + 1
            deaf, became = failed >= failures, ""
            try:
                if (deaf or checked.ok) and told is not deaf and _tell(api, service, url, deaf, checked.summary, once):
                    told = deaf
                    became = _became(api, service, url) if deaf else ""
            finally:
                _say(checked.summary, checked.ok, became, as_json)
            if once:
                return OK if checked.ok else REFUSED
            await asyncio.sleep(every / SECOND)
    finally:
        await outside.close()


def _say(text: str, ok: bool, became: str, as_json: bool) -> None:
    """A look, and what this Tocsin made of it: that somebody is paged is not left to be found out."""
    if as_json:
        import json

        click.echo(json.dumps({"ok": ok, "text": text} | ({"told": became} if became else {})))
        return
    show.line(text, "" if ok else "ring")
    if became:
        show.line(became)


def _became(api: Api, service: str, url: str) -> str:
    """What our own Tocsin made of what it was told, as a sentence."""
    try:
        found = api.get("/incidents", {"state": "open", "service": service, "text": url, "limit": 20})["items"]
    except Failure:
        found = []
    ours = next((one for one in found if one["labels"].get("peer") == url), None)
    if ours is None:
        return f"This Tocsin was told; whoever answers for {service} is paged, unless the plan or a silence says else."
    paged = ": whoever answers for it is paged" if ours["state"] == "triggered" else ""
    return f"Incident {ours['number']} of {service} is {ours['state']} here for it{paged}."


def _tell(api: Api, service: str, url: str, deaf: bool, text: str, once: bool) -> bool:
    """Tell our own Tocsin. One that cannot be told is told at the next look: a watcher does not end with it."""
    event: dict[str, Any] = {
        "key": f"peer:{url}",
        "title": text,
        "state": "firing" if deaf else "resolved",
        "severity": "critical",
        # No alertname: by it all peers would be one incident, and a second deaf one would page nobody.
        "labels": {"peer": url},
    }
    try:
        api.write("POST", f"/services/{segment(service)}/events", event)
    except Failure as error:
        if once:
            raise
        click.echo(f"Error: this Tocsin could not be told: {error.message}", err=True)
        return False
    return True
