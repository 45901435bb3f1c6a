"""``tocsin playbook`` new, schema, lint, test and dry-run: on files alone, without a server."""

from __future__ import annotations

import keyword
import os
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from tocsin.cli import show
from tocsin.cli.dry_run import result, say
from tocsin.cli.failure import OK, REFUSED, NotFound, Refused
from tocsin.cli.place import DEFAULT_DATA, data_option
from tocsin.cli.plan import default_folder
from tocsin.cli.plan_folder import plan_too
from tocsin.cli.playbook_args import typed
from tocsin.cli.text import count
from tocsin.cli.words import label

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tocsin.plan.model import Plan
    from tocsin.plan.reading import Reading
    from tocsin.playbooks.manifest import Manifest
    from tocsin.playbooks.run import Report

SEVERITIES = ("sev1", "sev2", "sev3", "sev4")
_plan_option = click.option(
    "--plan", "folder", envvar="TOCSIN_PLAN", type=click.Path(path_type=Path), metavar="DIR", show_envvar=True,
    help=f"The plan's folder.  [default: ./{DEFAULT_DATA}/plan]",
)  # fmt: skip


@click.command()
@click.argument("name")
@click.option("--yaml", "in_yaml", is_flag=True, help="In YAML: steps of the library, and no Python but its test.")
@click.option("--from", "package", metavar="SOLUTION", help="One that an installed solution brings, in its place.")
@_plan_option
@show.json_option
def new(name: str, in_yaml: bool, package: str | None, folder: Path | None, as_json: bool) -> None:
    """Write a playbook to begin with, and a test of it.

    Into the plan's folder playbooks/.

    \b
    Examples:
      tocsin playbook new free-memory
      tocsin playbook new free-memory --yaml
      tocsin playbook new drain-queue --from acme
    """
    from tocsin.cli.playbook_template import COMPOSED, PLAYBOOK, TEST

    if not re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", name):
        raise Refused(f"{name!r} is no name for a playbook: small letters, digits and hyphens, such as free-memory.")
    place = (folder or default_folder()) / "playbooks"
    word = name.replace("-", "_") + ("_" if keyword.iskeyword(name) else "")
    first = {place / f"{name}.yaml": COMPOSED} if in_yaml else {place / f"{word}.py": PLAYBOOK}
    written = {**first, place / f"test_{word}.py": TEST}
    if package is not None:
        if in_yaml:
            raise Refused("--yaml is for one of Tocsin's own beginnings; --from takes what the solution brings.")
        from tocsin.wiring import playbook_of

        try:
            written = {place / file: text for file, text in playbook_of(package, name).items()}
        except LookupError as error:
            raise Refused(f"{str(error.args[0])[:1].upper()}{str(error.args[0])[1:]}.") from None
    for path in written:
        if path.exists():
            raise Refused(f"{path} exists already.")
    place.mkdir(parents=True, exist_ok=True)
    for path, text in written.items():
        path.write_text(text if package else text.replace("NAME", name).replace("WORD", word))
    if as_json:
        show.print_json({"files": [str(path) for path in written]})
        return
    for path in written:
        show.line(f"Wrote {path}")
    show.line(f"Name it with a service (playbooks: [{name}]), then: tocsin playbook lint", "mute")


@click.command()
def schema() -> None:
    """Print the JSON Schema of a playbook in YAML, for editors.

    \b
    With the YAML language server, write at the top of playbooks/NAME.yaml:
      # yaml-language-server: $schema=playbook.schema.json

    \b
    Examples:
      tocsin playbook schema > playbook.schema.json
    """
    from tocsin.plan.playbook_file import json_schema

    show.print_json(json_schema())


@click.command()
@click.argument("folder", type=click.Path(path_type=Path), required=False)
@show.json_option
@plan_too
def lint(folder: Path | None, as_json: bool) -> int:
    """Say what is wrong with a plan's playbooks.

    They are imported in a process of their own. FOLDER is the plan's; without it, TOCSIN_PLAN or ./tocsin-data/plan.
    Exit code 0 when nothing is, 1 when something.

    \b
    Examples:
      tocsin playbook lint
      tocsin playbook lint deploy/tocsin --json
    """
    place = folder or default_folder()
    reading, faults = _read(place)
    found = [one for one in reading.findings if one.file.startswith("playbooks/") or one.file in faults]
    wrong = sum(one.level == "error" for one in found)
    playbooks = sorted(reading.plan.playbooks.values(), key=lambda one: one.name) if reading.plan else []
    if as_json:
        show.print_json(
            {
                "ok": not wrong,
                "findings": [
                    {name: getattr(one, name) for name in ("level", "file", "line", "message", "hint")} for one in found
                ],
                "playbooks": [one.name for one in playbooks],
                "hand_over_to": {one.name: one.hand_over_to for one in playbooks if one.hand_over_to},
            }
        )
        return REFUSED if wrong else OK
    for one in found:
        show.line(f"{place / one.file}:{one.line}: {one.level}: {one.message}", "ring" if one.level == "error" else "")
        if one.hint:
            show.line(f"    {one.hint}")
    if wrong:
        show.line(f"{count(wrong, 'error')} to put right.", "ring")
    elif reading.plan is None:
        show.line("The playbooks can be read; the plan around them has errors: tocsin plan check", "held")
    else:
        show.line(f"{count(len(playbooks), 'playbook')}: {', '.join(map(_named, playbooks)) or 'none'}.")
    return REFUSED if wrong else OK


def _named(one: Manifest) -> str:
    return f"{one.name} (hands over to {one.hand_over_to} first)" if one.hand_over_to else one.name


def _read(place: Path) -> tuple[Reading, set[str]]:
    from tocsin.plan.folder import PlanFolderError
    from tocsin.plan.reading import read_plan
    from tocsin.playbooks.manifest import read_manifests
    from tocsin.runtime.clock import SystemClock
    from tocsin.wiring import plan_files, without_clients

    try:
        files = plan_files(place)
    except PlanFolderError as error:
        raise Refused(f"{str(error)[:1].upper()}{str(error)[1:]}.") from None
    reading = read_plan(files, SystemClock().now())
    here = tuple(without_clients(reading.plan)) if reading.plan is not None else ()
    return reading._replace(findings=(*reading.findings, *here)), {fault.file for fault in read_manifests(files).faults}


@click.command(context_settings={"ignore_unknown_options": True})
@click.argument("folder", type=click.Path(path_type=Path), required=False)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
@click.option("--plan", type=click.Path(path_type=Path), metavar="DIR", help="The same as FOLDER.")
@show.json_option
def test(folder: Path | None, arguments: tuple[str, ...], plan: Path | None, as_json: bool) -> int:
    """Run the tests of a plan's playbooks.

    With pytest: playbooks/test_*.py, with the fixture `scene`. Needs pytest beside Tocsin (pipx inject tocsin pytest).
    ARGUMENTS are pytest's own. Exit code 0 when all pass.

    \b
    Examples:
      tocsin playbook test
      tocsin playbook test deploy/tocsin -k memory
      tocsin playbook test -k memory
    """
    if folder is not None and (plan is not None or str(folder).startswith("-")):
        folder, arguments = None, (str(folder), *arguments)  # the first of pytest's own
    place = folder or plan or default_folder()
    if not (place / "playbooks").is_dir():
        raise Refused(f"There is no folder {place / 'playbooks'}.")
    if find_spec("pytest") is None:
        how = "pip install pytest in the environment of Tocsin, or pipx inject tocsin pytest"
        raise Refused(f"The tests run with pytest, and it is not beside Tocsin: {how}.")
    command = [sys.executable, "-m", "pytest", "-q", "--import-mode=importlib", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [*command, *arguments, str(place / "playbooks")], capture_output=as_json, text=True, check=False
    )
    if as_json:
        lines = [line for line in done.stdout.splitlines() if line.strip()]
        told = {"summary": lines[-1] if lines else "", "output": done.stdout + done.stderr}
        show.print_json({"ok": done.returncode == 0, **told})
    return OK if done.returncode == 0 else REFUSED


@click.command("dry-run")
@click.argument("name")
@click.option("--service", metavar="NAME", help="For which service.  [default: the one that uses it]")
@click.option("--target", "targets", type=label, multiple=True, metavar="PARAMETER=TARGET", help="May be repeated.")
@click.option("--label", "labels", type=label, multiple=True, metavar="NAME=VALUE", help="A label of the alert.")
@click.option("--severity", type=click.Choice(SEVERITIES), help="The incident's, where the playbook asks.")
@click.option("--title", metavar="TEXT", default="", help="The incident's, likewise.")
@click.option("--arg", "args", type=label, multiple=True, metavar="NAME=VALUE", help="Another parameter.")
@_plan_option
@data_option
@show.json_option
def dry_run(
    name: str,
    service: str | None,
    targets: tuple[tuple[str, str], ...],
    labels: tuple[tuple[str, str], ...],
    severity: str | None,
    title: str,
    args: tuple[tuple[str, str], ...],
    folder: Path | None,
    data: Path | None,
    as_json: bool,
) -> int:
    """Diagnose for real, and say what the fix would do. Nothing is changed.

    Runs apart from the server, with the plan's files and this machine's secrets for reading. Exit code 0 when it came
    to a fix or to its end, 1 when it could not.

    \b
    Examples:
      tocsin playbook dry-run free-memory --label instance=cart-1
      tocsin playbook dry-run free-memory --service cart-redis --target server=main --json
    """
    from tocsin.playbooks.targets import Unbound, bind
    from tocsin.settings import Settings
    from tocsin.wiring import dry_run as carry_out

    place = folder or default_folder()
    plan, files = good_plan(place)
    manifest = plan.playbooks.get(name)
    using = [key for key, names in plan.answers.items() if name in names]
    if manifest is None:
        raise NotFound(f"There is no playbook {name}.")
    if service and service not in using:
        raise NotFound(f"The service {service} does not use {name}.")
    if not using:
        raise NotFound(f"No service uses the playbook {name}: name it with one (playbooks: [{name}]).")
    of = service or using[0]
    bound = bind(manifest, of, plan.bindings, dict(labels) if labels else None, dict(targets))
    if isinstance(bound, Unbound):
        raise Refused(f"No target fits: {bound.why} (--target PARAMETER=TARGET).")
    given = _defaults(manifest) | _given(manifest, args)
    told: list[Report] = []

    def tell(report: Report) -> None:
        told.append(report)
        if not as_json:
            say(report)

    command = os.environ.get("TOCSIN_SECRETS_COMMAND", "")
    settings = Settings(data=data or Path(DEFAULT_DATA), plan=place, secrets_command=command)
    try:
        status, output = carry_out(
            settings, files, plan, manifest, of, bound, given, dict(labels), tell, title, severity or ""
        )
    except (LookupError, OSError) as error:
        raise Refused(f"{error.args[0]}.") from None
    return result(told, status, output, as_json)


def good_plan(place: Path) -> tuple[Plan, dict[str, bytes]]:
    """A plan without errors, and its files. Raises Refused."""
    from tocsin.plan.folder import PlanFolderError
    from tocsin.plan.reading import read_plan
    from tocsin.wiring import plan_files

    try:
        files = plan_files(place)
    except PlanFolderError as error:
        raise Refused(f"{str(error)[:1].upper()}{str(error)[1:]}.") from None
    plan = read_plan(files).plan
    if plan is None:
        raise Refused(f"The plan in {place} has errors; `tocsin plan check {place}` lists them.")
    return plan, files


def _given(manifest: Manifest, args: Sequence[tuple[str, str]]) -> dict[str, str]:
    """The parameters as JSON, each as the playbook says it is. Raises Refused."""
    import msgspec

    kinds = {one.name: one.kind for one in manifest.params if not one.target}
    return {name: msgspec.json.encode(one).decode() for name, one in typed(manifest.name, kinds, args).items()}


def _defaults(manifest: Manifest) -> dict[str, str]:
    return {one.name: one.default for one in manifest.params if not one.target and one.default}


ON_FILES: Final = (new, schema, lint, test, dry_run)
