"""``tocsin coverage``: for each service and alert rule, what answers it: by the plan's files, or at a server now."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from tocsin.cli import show
from tocsin.cli.failure import OK, REFUSED
from tocsin.cli.place import DEFAULT_DATA, server_when
from tocsin.cli.words import percent

if TYPE_CHECKING:
    from tocsin.cli.client import Api
    from tocsin.playbooks.coverage import Covered

WEIGHTS = {"act": "rest", "ask": "held", "nothing": "ring"}


@click.command()
@click.argument("place", metavar="[FOLDER]", type=click.Path(path_type=Path), required=False)
@click.option(
    "--plan", "folder", envvar="TOCSIN_PLAN", type=click.Path(path_type=Path), metavar="DIR", show_envvar=True,
    help=f"The plan's folder.  [default: ./{DEFAULT_DATA}/plan]",
)  # fmt: skip
@click.option(
    "--fail-under", type=percent, metavar="PERCENT", help="Exit code 1 when less is answered, such as 80%."
)
@click.option(
    "--counting",
    metavar="ANSWERS",
    help="What counts, such as act,ask,checklist.  [default: as the plan says, else act,ask]",
)
@click.option("--live", is_flag=True, help="Ask a server: as playbooks are trusted now, with what came in 90 days.")
@server_when("live")
@show.json_option
def coverage(
    api: Api | None,
    place: Path | None,
    folder: Path | None,
    fail_under: float | None,
    counting: str | None,
    live: bool,
    as_json: bool,
) -> int:
    """Say which alerts are answered by code.

    For each service and alert rule the plan names: act, ask, suggest, observe, checklist or nothing, as the plan
    starts each playbook. A rule of a probe or heartbeat is answered only by what will find its target. FOLDER is the
    plan's, as with --plan.

    \b
    Examples:
      tocsin coverage
      tocsin coverage --live
      tocsin coverage --fail-under 80% --counting act,ask,checklist
      tocsin coverage --plan deploy/tocsin --json | jq -e 'all(.answer != "nothing")'
    """
    from tocsin.cli.plan import default_folder
    from tocsin.cli.playbook_files import good_plan
    from tocsin.playbooks.coverage import ANSWERS, COUNTING, Covered, Wanted, share, short_of

    counted = tuple(counting.replace(" ", "").split(",")) if counting else ()
    unknown = next((one for one in counted if one not in ANSWERS), None)
    if unknown is not None:
        raise click.UsageError(f"{unknown!r} is no answer: --counting takes {', '.join(ANSWERS)}.")
    if api is not None:
        counted = counted or tuple(api.get("/plan").get("counting", COUNTING))  # not said by an older server
        told = api.get("/coverage")
        rows = [
            Covered(one["service"], one["rule"], one["now"], one["playbook"], why=one["why"]) for one in told
        ]
    else:
        plan, _ = good_plan(place or folder or default_folder())
        rows = plan.covered()
        counted = counted or (plan.coverage.counting if plan.coverage is not None else COUNTING)
        told = [
            {"service": one.service, "rule": one.rule, "answer": one.answer, "playbook": one.playbook} for one in rows
        ]
    short = short_of(rows, Wanted(fail_under, counted)) if fail_under is not None else ""
    code = REFUSED if short else OK
    if as_json:
        show.print_array(told)
        return code
    show.print_table(
        (show.Column("Service"), show.Column("Rule", wide=True), show.Column("Answer"), show.Column("By", wide=True)),
        [_row(one) for one in rows],
    )
    have = share(rows, counted)
    if short:
        show.line(f"{short}.", "ring")
    else:
        show.line(f"{have.answered} of {have.of} are answered by {' or '.join(counted)}: {have.percent:.3g}%.")
    return code


def _row(one: Covered) -> show.Row:
    return one.service, one.rule, show.Cell(one.answer, WEIGHTS.get(one.answer, "mute")), one.playbook or one.why
