"""``tocsin playbook library``: the solutions a step may name, and the playbooks that packages bring."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from tocsin.cli import show
from tocsin.cli.failure import NotFound

if TYPE_CHECKING:
    from tocsin.playbooks.offered import Described


@click.command()
@click.argument("name", required=False)
@show.json_option
def library(name: str | None, as_json: bool) -> None:
    """List the solutions of this machine, or what one can do.

    Tocsin's own, and those of packages installed beside it. NAME is one of them.

    \b
    Examples:
      tocsin playbook library
      tocsin playbook library redis
      tocsin playbook library --json | jq '.[] | select(.package != "") | .name'
    """
    from tocsin.wiring import solutions

    found = solutions(name or "")
    if not found:
        raise NotFound(f"There is no solution {name}; there are {', '.join(one.name for one in solutions())}.")
    if as_json:
        show.print_json([{**one._asdict(), "steps": [step._asdict() for step in one.steps]} for one in found])
    elif name is None:
        columns = (show.Column("Solution"), show.Column("Of"), show.Column("Works on"), show.Column("About", wide=True))
        show.print_table(columns, [_row(one) for one in found])
    else:
        for one in found:
            _print(one)


def _row(one: Described) -> show.Row:
    about = show.Cell(one.wrong, "ring") if one.wrong else one.about
    return (one.name, one.package or "Tocsin", ", ".join(one.works_on), about)


def _print(one: Described) -> None:
    show.line(f"{one.name}, of {one.package or 'Tocsin'}: {one.about}")
    if one.wrong:
        show.line(one.wrong, "ring")
    if one.works_on:
        show.line(f"Works on: {', '.join(one.works_on)}", "mute")
    for step in one.steps:
        show.line(f"  {step.verb:4} {one.name}.{step.name}{step.takes}")
        show.line(f"       {step.about}", "mute")
    for name in one.playbooks:
        show.line(f"A playbook it brings: tocsin playbook new {name} --from {one.name}")
