"""``tocsin coverage``: for each service and alert rule, what answers it, from the plan's files alone."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from tocsin.cli import show
from tocsin.cli.place import DEFAULT_DATA

if TYPE_CHECKING:
    from tocsin.playbooks.coverage import Covered

WEIGHTS = {"act": "rest", "ask": "held", "nothing": "ring"}


@click.command()
@click.option(
    "--plan", "folder", envvar="TOCSIN_PLAN", type=click.Path(path_type=Path), metavar="DIR", show_envvar=True,
    help=f"The plan's folder.  [default: ./{DEFAULT_DATA}/plan]",
)  # fmt: skip
@show.json_option
def coverage(folder: Path | None, as_json: bool) -> None:
    """Say which alerts are answered by code.

    For each service and alert rule the plan names: act, ask, suggest, observe, checklist or nothing, as the plan
    starts each playbook. What a server has learnt since is in `tocsin playbook list`.

    \b
    Examples:
      tocsin coverage
      tocsin coverage --plan deploy/tocsin --json | jq -e 'all(.answer != "nothing")'
    """
    from tocsin.cli.plan import default_folder
    from tocsin.cli.playbook import good_plan
    from tocsin.playbooks.coverage import covered

    plan, _ = good_plan(folder or default_folder())
    found: list[Covered] = covered(list(plan.services), plan.answers, plan.playbooks, plan.rules(), plan.checklists)
    if as_json:
        show.print_array(
            {"service": one.service, "rule": one.rule, "answer": one.answer, "playbook": one.playbook} for one in found
        )
        return
    show.print_table(
        (show.Column("Service"), show.Column("Rule", wide=True), show.Column("Answer"), show.Column("Playbook")),
        [_row(one) for one in found],
    )


def _row(one: Covered) -> show.Row:
    return one.service, one.rule, show.Cell(one.answer, WEIGHTS.get(one.answer, "mute")), one.playbook
