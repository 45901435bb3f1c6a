"""``tocsin plan preview``: who would be on call differently, before a changed plan is in force."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from tocsin.access.limits import MOST_BODY
from tocsin.cli import show
from tocsin.cli.client import Api
from tocsin.cli.failure import OK, REFUSED, Refused
from tocsin.cli.place import server_unless
from tocsin.cli.text import count, rough, span, stamp
from tocsin.kernel.instant import parse_duration

MOST_SHOWN = 40
"""So many changes of one schedule are printed; --json has more."""
_WEIGHTS = {"error": "ring", "warning": "held", "notice": "mute"}


@click.command()
@click.option(
    "--plan",
    "folder",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="The changed plan, a folder or one file on this machine.  [default: the server's own plan folder]",
)
@click.option(
    "--against",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Compare with the plan in this folder or file, without a server.",
)
@server_unless("against")
@show.json_option
def preview(api: Api | None, folder: Path | None, against: Path | None, as_json: bool) -> int:
    """Say who would be on call differently by a changed plan.

    The next twelve weeks of the plan in force are compared with those of the changed plan: each schedule's turns that
    change, and what `plan check` says of one of the two alone. Nothing is changed. With a server its overrides and
    calendars count; with --against they are not known. Exit code 0 when the plan can be put in force, 1 when not.

    \b
    Examples:
      tocsin plan preview
      tocsin plan preview --plan deploy/tocsin
      tocsin plan preview --plan deploy/tocsin --json | jq '.schedules[].changes'
      tocsin plan preview --plan deploy/tocsin --against /srv/tocsin/plan
    """
    if api is None:
        if folder is None:
            raise click.UsageError("--against goes with --plan: name both plans.")
        assert against is not None, "without a server there is another plan"
        found = _offline(folder, against)
    else:
        found = _asked(api, folder)
    if as_json:
        show.print_json(found)
    else:
        _print(found)
    return OK if found["ok"] else REFUSED


def _asked(api: Api, folder: Path | None) -> Any:
    if folder is None:
        return api.write("POST", "/plan/preview", {})
    asked = {"files": _texts(folder)}
    if len(json.dumps(asked)) > MOST_BODY:
        hint = "compare it with a copy of the plan in force, without the server: --against"
        raise Refused(f"The plan has more than the {MOST_BODY // 1024**2} MB that can be sent to a server; {hint}.")
    return api.write("POST", "/plan/preview", asked)


def _files(folder: Path) -> Mapping[str, bytes]:
    from tocsin.plan.folder import PlanFolderError
    from tocsin.wiring import plan_files

    try:
        return plan_files(folder)
    except PlanFolderError as error:
        raise Refused(f"{str(error)[:1].upper()}{str(error)[1:]}.") from None


def _texts(folder: Path) -> dict[str, str]:
    try:
        return {name: content.decode() for name, content in _files(folder).items()}
    except UnicodeDecodeError:
        raise Refused(f"A file is not UTF-8; `tocsin plan check {folder}` says which.") from None


def _offline(folder: Path, against: Path) -> Any:
    import msgspec

    from tocsin.api.models.preview import preview_out
    from tocsin.plan.previewing import TooManyTurns, preview, side
    from tocsin.runtime.clock import SystemClock

    click.echo("From the plans' files alone: overrides and calendars are not known here.", err=True)
    now = SystemClock().now()
    try:
        found = preview(side(_files(against), now), side(_files(folder), now), now)
    except TooManyTurns as error:
        raise Refused(f"{str(error)[:1].upper()}{str(error)[1:]}.") from None
    return msgspec.to_builtins(preview_out(found))


def _print(found: dict[str, Any]) -> None:
    if found["version"] == found["in_force"]:
        show.line("Nothing would change: these are the files that are in force.", "rest")
        return
    if not found["asked"]:
        show.line("Nothing can be said of its schedules: they have errors.", "ring")
    elif not found["schedules"]:
        until = f"until {_day(found['end'])}"
        show.line(f"The same people would be on call by {_schedules(found['same'])} {until}.", "rest")
    else:
        same = f"; {_schedules(found['same'])} would not change" if found["same"] else ""
        changed = _schedules(len(found["schedules"]))
        show.line(f"By {changed} other people would be on call until {_day(found['end'])}{same}.", "head")
    for one in found["schedules"]:
        _print_schedule(one)
    if found["people"]:
        of = "" if found["counted"] else ", by the schedules that change"
        show.heading(f"On call in these twelve weeks{of}")
        show.print_table(
            (show.Column("Person"), show.Column("Now"), show.Column("Then")),
            [(str(one["person"]), _length(one["before"]), _length(one["after"])) for one in found["people"]],
        )
    _print_findings("New with it", found["findings_new"])
    _print_findings("Gone with it", found["findings_gone"])
    for person in found["unreached"]:
        show.line(f"{person} would be on call and cannot be reached but on the console.", "held")
    for sentence in (*found["idle"], *found["left_out"]):
        show.line(f"{sentence}.", "held")
    for name in found["unread"]:
        show.line(f"The calendar {name} is read once the plan is in force: what it says is not known yet.", "held")
    if not found["ok"]:
        show.line("This plan has errors and cannot be put in force.", "ring")


def _print_schedule(one: dict[str, Any]) -> None:
    show.heading({"new": f"{one['name']} (new)", "gone": f"{one['name']} (gone)"}.get(one["kind"], one["name"]))
    changes = one["changes"]
    show.print_table(
        (show.Column("From"), show.Column("Until"), show.Column("Now"), show.Column("Then", wide=True)),
        [
            (_time(each["start"]), _time(each["end"]), _people(each["before"]), _people(each["after"]))
            for each in changes[:MOST_SHOWN]
        ],
    )
    more = len(changes) - MOST_SHOWN + one["more"]
    if more > 0 and changes:
        show.line(f"and {count(more, 'more change')}", "mute")


def _print_findings(title: str, findings: list[dict[str, Any]]) -> None:
    if not findings:
        return
    show.heading(title)
    for one in findings:
        place = f"{one['file']}:{one['line']}:{one['column']}"
        show.line(f"{place}: {one['level']}: {one['message']}", _WEIGHTS.get(one["level"], ""))
        if one["hint"]:
            show.line(f"    {one['hint']}")


def _schedules(number: int) -> str:
    return count(number, "schedule")


def _people(names: list[str]) -> str:
    return ", ".join(names) or "nobody"


def _length(text: str) -> str:
    length = parse_duration(text) if text not in ("0s", "0") else 0
    return rough(length) if length else span(0)


def _time(value: str) -> str:
    return stamp(show.instant(value))


def _day(value: str) -> str:
    return stamp(show.instant(value)).partition(" ")[0]
