"""``tocsin incidents checklist``, ``tick`` and ``untick``: runbooks that people carry out."""

from __future__ import annotations

from typing import Any

import click

from tocsin.cli import show
from tocsin.cli.client import Api, segment
from tocsin.cli.failure import NotFound
from tocsin.cli.place import server_options
from tocsin.cli.text import ago, person
from tocsin.cli.words import number

name_option = click.option("--checklist", metavar="NAME", default="", help="Which, when there are several.")


@click.command()
@click.argument("incident", metavar="NUMBER", type=number)
@server_options
@show.json_option
def checklist(api: Api, incident: int, as_json: bool) -> None:
    """Show an incident's checklists.

    And who did which step.

    \b
    Examples:
      tocsin incidents checklist 17
    """
    found = api.get(f"/incidents/{incident}/checklists")
    if as_json:
        show.print_array(found)
        return
    if not found:
        show.line(f"No checklist is for incident #{incident}.")
    for one in found:
        _print(api, incident, one)


@click.command()
@click.argument("incident", metavar="NUMBER", type=number)
@click.argument("step", metavar="STEP", type=number)
@name_option
@server_options
@show.json_option
def tick(api: Api, incident: int, step: int, checklist: str, as_json: bool) -> None:
    """Say that a step of a checklist is done.

    STEP is its number, as `tocsin incidents checklist` shows it. Your name and the time stand beside it from then on.

    \b
    Examples:
      tocsin incidents tick 17 3
      tocsin incidents tick 17 3 --checklist cart-down
    """
    one, id = _step(api, incident, step, checklist)
    _said(api, incident, api.write("POST", f"{_place(incident, one)}/{segment(id)}/tick"), as_json)


@click.command()
@click.argument("incident", metavar="NUMBER", type=number)
@click.argument("step", metavar="STEP", type=number)
@click.option("--why", metavar="TEXT", required=True, help="Why; it is on the timeline.")
@name_option
@server_options
@show.json_option
def untick(api: Api, incident: int, step: int, why: str, checklist: str, as_json: bool) -> None:
    """Say that a step of a checklist is not done after all.

    \b
    Examples:
      tocsin incidents untick 17 3 --why "it came back"
    """
    one, id = _step(api, incident, step, checklist)
    _said(api, incident, api.write("POST", f"{_place(incident, one)}/{segment(id)}/untick", {"why": why}), as_json)


def _place(incident: int, checklist: str) -> str:
    return f"/incidents/{incident}/checklists/{segment(checklist)}"


def _step(api: Api, incident: int, step: int, named: str) -> tuple[str, str]:
    """The checklist and the id of a step, by its number."""
    found = api.get(f"/incidents/{incident}/checklists")
    fits = [one for one in found if named in ("", one["name"])]
    if not fits:
        raise NotFound(f"No checklist{f' {named}' if named else ''} is for incident #{incident}.")
    if len(fits) > 1:
        names = ", ".join(str(one["name"]) for one in fits)
        raise click.UsageError(f"Incident #{incident} has several checklists: say which (--checklist {names}).")
    id = next((str(one["id"]) for one in fits[0]["steps"] if one["number"] == step), "")
    if not id:
        raise NotFound(f"{fits[0]['name']} has no step {step}; it has {len(fits[0]['steps'])}.")
    return str(fits[0]["name"]), id


def _said(api: Api, incident: int, one: dict[str, Any], as_json: bool) -> None:
    if as_json:
        show.print_json(one)
    else:
        _print(api, incident, one)


def _print(api: Api, incident: int, one: dict[str, Any]) -> None:
    show.heading(f"{one['title']} ({one['name']}): {one['done']} of {len(one['steps'])} done")
    under = ""
    for step in one["steps"]:
        if step["under"] != under:
            under = str(step["under"])
            show.line(f"  {under}", "mute")
        mark = "x" if step["done_by"] else " "
        show.line(f"  [{mark}] {step['number']:2}. {step['text']}")
        if step["done_by"]:
            show.line(f"          {person(str(step['done_by']))}, {ago(show.moment(step['done_at']), api.now)}", "mute")
        for line in str(step["detail"]).splitlines():
            show.line(f"          {line}", "mute")
        if step["playbook"] and not step["done_by"]:
            show.line(f"          tocsin playbook run {step['playbook']} --incident {incident}", "mute")
