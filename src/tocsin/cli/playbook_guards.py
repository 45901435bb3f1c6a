"""``tocsin playbook guards``: what is left of each guard now, and what a playbook lacks for more trust."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import click

from tocsin.cli import show
from tocsin.cli.client import Api, segment
from tocsin.cli.failure import NotFound
from tocsin.cli.place import server_options
from tocsin.cli.text import count, stamp

NEXT = {"suggest": "it suggests", "ask": "it asks first", "act": "it acts alone"}


@click.command()
@click.argument("name", required=False)
@click.option("--service", metavar="NAME", default="", help="Only with one service.")
@click.option("--target", metavar="NAME", default="", help="Only on one target.")
@click.option("--run", "number", type=int, metavar="NUMBER", help="Of a run that lives, instead.")
@server_options
@show.json_option
def guards(api: Api, name: str | None, service: str, target: str, number: int | None, as_json: bool) -> None:
    """Say what is left of the guards of playbooks now.

    For each target it works on, as a run that began this instant would be judged; and what it lacks for more trust.

    \b
    Examples:
      tocsin playbook guards free-memory --service cart-redis
      tocsin playbook guards --json | jq '.[] | select(any(.each[]; .blocks != ""))'
    """
    found = [api.get(f"/runs/{number}/guards")] if number is not None else list(_asked(api, name, service, target))
    if as_json:
        show.print_json(found)
        return
    if not found:
        show.line("No service uses a playbook.")
    for one in found:
        _print(one)


def _asked(api: Api, name: str | None, service: str, target: str) -> Iterator[Any]:
    listed = api.get(f"/playbooks?service={segment(service)}" if service else "/playbooks")
    chosen = [one for one in listed if name in (None, one["name"])]
    if name is not None and not chosen:
        raise NotFound(f"{service or 'No service'} uses {'no' if service else 'a'} playbook {name}.")
    query = f"?target={segment(target)}" if target else ""
    for one in chosen:
        yield api.get(f"/playbooks/{segment(one['service'])}/{segment(one['name'])}/guards{query}")


def _print(one: dict[str, Any]) -> None:
    show.heading(f"{one['playbook']} for {one['service']}: {_climbs(one['climb'])}")
    if not one["pages"]:
        show.line("Tocsin pages nobody yet, so it changes nothing.", "held")
    for each in one["each"]:
        on = ", ".join(each["targets"].values())
        show.line(f"{on or 'Any run'}: {each['blocks'] or 'would run now'}", "held" if each["blocks"] else "")
        for guard in each["guards"]:
            until = f" until {stamp(show.moment(guard['until']))}, then {guard['then']}" if guard["until"] else ""
            rule = f" ({guard['rule']})" if guard["rule"] else ""
            show.line(f"  {guard['kind']:8} {guard['now']}{until}{rule}", "held" if guard["blocks"] else "")
    if one["more"]:
        show.line(f"{count(one['more'], 'more target')}: --target NAME", "mute")


def _climbs(climb: dict[str, Any]) -> str:
    shown = "no runs"
    if climb["tried"]:
        shown = f"{climb['right']} of {climb['tried']} right, at least {climb['at_least']:.0%}"
    if not climb["next"]:
        return f"{climb['trust']} ({shown}; {climb['why']})"
    return f"{climb['trust']} ({shown}; {climb['more']} more in a row that are right, and {NEXT[climb['next']]})"
