"""``tocsin plan``: check and schema work on files alone; show, preview and reload ask a server."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tocsin.cli import show
from tocsin.cli.client import Api
from tocsin.cli.failure import OK, REFUSED, Refused
from tocsin.cli.place import DEFAULT_DATA, server_options
from tocsin.cli.plan_folder import plan_too
from tocsin.cli.plan_preview import preview
from tocsin.cli.text import count

if TYPE_CHECKING:
    from tocsin.notation.findings import Finding
    from tocsin.plan.model import Plan

WHERE = "Say where the plan is: tocsin plan check FOLDER, or TOCSIN_PLAN."
LEVEL_WEIGHTS = {"error": "ring", "warning": "held", "notice": "mute"}


@click.group()
def plan() -> None:
    """Check, show and reload the plan.

    The plan is a folder of YAML files: the people, the services, who is paged and what is listened for.
    """


plan.add_command(preview)


@plan.command()
@click.argument("folder", type=click.Path(path_type=Path), required=False)
@click.option("--strict", is_flag=True, help="Let warnings count as errors.")
@show.json_option
@plan_too
def check(folder: Path | None, strict: bool, as_json: bool) -> int:
    """Check a plan's files, without a server.

    FOLDER is a folder or one file; without it, TOCSIN_PLAN or ./tocsin-data/plan. Findings are printed one a line as
    a compiler does, then what the plan says in words. Exit code 0 when the plan can be used, 1 when not, or when less
    is answered by code than its `coverage` asks for.

    \b
    Examples:
      tocsin plan check
      tocsin plan check deploy/tocsin --strict
      tocsin plan check --json | jq '.findings[] | select(.level == "error")'
    """
    from tocsin.plan.folder import PlanFolderError
    from tocsin.plan.reading import read_plan
    from tocsin.playbooks.manifest import MADE
    from tocsin.runtime.clock import SystemClock
    from tocsin.settings import Settings
    from tocsin.wiring import plan_files, unconfinable, weak_secrets, without_clients

    place = folder or default_folder()
    try:
        files = plan_files(place)
    except PlanFolderError as error:
        said = folder is not None or "TOCSIN_PLAN" in os.environ
        raise Refused(_sentence(str(error)) + ("" if said else f" {WHERE}")) from None
    reading = read_plan(files, SystemClock().now())
    unconfined = unconfinable(reading.plan, files) if reading.plan is not None else []
    clientless = without_clients(reading.plan) if reading.plan is not None else []
    weak = weak_secrets(Settings(Path(DEFAULT_DATA), place), reading.plan, files) if reading.plan is not None else []
    findings = (*reading.findings, *_uncovered(reading.plan), *unconfined, *clientless, *weak)
    written = len(files) - len(MADE & files.keys())  # what its playbooks declare is no file of theirs
    grave = ("error", "warning") if strict else ("error",)
    worst = [finding for finding in findings if finding.level in grave]
    good = reading.plan is not None and not worst
    if as_json:
        show.print_json(
            {
                "ok": good,
                "version": reading.plan.version if reading.plan else None,
                "findings": [
                    {name: getattr(finding, name) for name in ("level", "file", "line", "column", "message", "hint")}
                    for finding in findings
                ],
                "summary": summary(reading.plan, written) if reading.plan else None,
            }
        )
        return OK if good else REFUSED
    above = place.parent if place.is_file() else place
    for finding in findings:
        at = f"{Path(os.path.normpath(above / finding.file))}:{finding.line}:{finding.column}"
        show.line(f"{at}: {finding.level}: {finding.message}", LEVEL_WEIGHTS[finding.level])
        if finding.hint:
            show.line(f"    {finding.hint}")
    if findings:
        click.echo()
    if good and reading.plan is not None:
        show.line(in_words(reading.plan, written))
    else:
        warned = " (warnings count, as --strict asks)" if strict and reading.plan is not None else ""
        show.line(f"This plan is not good: {count(len(worst), 'error')} to put right{warned}.", "ring")
    return OK if good else REFUSED


def _uncovered(plan: Plan | None) -> tuple[Finding, ...]:
    """That less is answered by code than the plan asks for. It keeps a plan out of a repository, not out of force."""
    from tocsin.notation.findings import Finding
    from tocsin.playbooks.coverage import share, short_of

    wanted = plan.coverage if plan is not None else None
    if plan is None or wanted is None:
        return ()
    found = plan.covered()
    message = short_of(found, wanted)
    if not message:
        return ()
    missing = [f"{one.service} {one.rule}" for one in share(found, wanted.counting).missing]
    more = f" and {len(missing) - 3} more" if len(missing) > 3 else ""
    hint = f"not answered so: {'; '.join(missing[:3])}{more} (tocsin coverage)"
    return (Finding("error", wanted.file, wanted.line, wanted.column, message, hint),)


@plan.command()
def schema() -> None:
    """Print the JSON Schema of a plan file, for editors.

    \b
    With the YAML language server, write at the top of a plan file:
      # yaml-language-server: $schema=tocsin.schema.json

    \b
    Examples:
      tocsin plan schema > tocsin.schema.json
    """
    from tocsin.plan.schema import json_schema

    show.print_json(json_schema())


@plan.command("show")
@server_options
@show.json_option
def show_plan(api: Api, as_json: bool) -> None:
    """Print the plan in force, as the files it was read from.

    \b
    Examples:
      tocsin plan show
      tocsin plan show --json | jq -r .version
    """
    found = api.get("/plan")
    if as_json:
        show.print_json(found)
        return
    files = found["files"]
    show.line(f"# Plan {str(found['version'])[:12]}, {count(len(files), 'file')}", "mute")
    for name in sorted(files):
        show.line(f"# --- {name}", "mute")
        click.echo(show.plain(str(files[name]), lines=True).rstrip("\n"))


@plan.command()
@server_options
@show.json_option
def reload(api: Api, as_json: bool) -> int:
    """Have the server read its plan folder again.

    A plan with errors changes nothing: the one in force stays. Exit code 0 when the files are in force, 1 when not.

    \b
    Examples:
      tocsin plan check && tocsin plan reload
    """
    try:
        found = api.write("POST", "/plan/reload")
    except Refused as refused:
        fields = ("ok", "changed", "version", "findings")
        if not all(name in refused.told for name in fields):
            raise
        found = {name: refused.told[name] for name in fields}
    good = bool(found["ok"])
    if as_json:
        show.print_json(found)
        return OK if good else REFUSED
    for finding in found["findings"]:
        for line in str(finding).splitlines():  # what is wrong, and below it what to write instead
            show.line(line)
    version = str(found["version"])[:12]
    if not good:
        show.line(f"The plan was refused; plan {version} stays in force.", "ring")
    elif found["changed"]:
        show.line(f"Plan {version} is in force.", "rest")
    else:
        show.line(f"Nothing changed: plan {version} was in force already.")
    return OK if good else REFUSED


def default_folder() -> Path:
    """Where the plan is when nobody says: TOCSIN_PLAN, else the folder ``tocsin up`` uses."""
    named = os.environ.get("TOCSIN_PLAN")
    return Path(named) if named else Path(os.environ.get("TOCSIN_DATA") or DEFAULT_DATA) / "plan"


def summary(plan: Plan, files: int) -> dict[str, Any]:
    """What a plan holds, counted."""
    return {
        "files": files,
        "people": len(plan.people),
        "teams": len(plan.teams),
        "services": len(plan.services),
        "schedules": len(plan.schedules),
        "escalations": len(plan.escalations),
        "routes": len(plan.routes),
        "probes": len(plan.probes),
        "heartbeats": len(plan.heartbeats),
        "keys": len(plan.keys),
        "mail": plan.mail is not None,
        "channels": sorted(plan.channels),
        "last_resort": list(plan.last_resort),
    }


def in_words(plan: Plan, files: int) -> str:
    """One paragraph: what the plan holds, who is reached how, and what happens when nobody is."""
    kinds = [
        (len(plan.people), "person", "people"),
        (len(plan.teams), "team", ""),
        (len(plan.services), "service", ""),
        (len(plan.schedules), "schedule", ""),
        (len(plan.escalations), "escalation", ""),
        (len(plan.routes), "route", ""),
        (len(plan.probes), "probe", ""),
        (len(plan.heartbeats), "heartbeat", ""),
        (len(plan.keys), "key", ""),
    ]
    told = [f"This plan is good: {count(files, 'file')} with {_listed([count(n, a, b) for n, a, b in kinds if n])}."]
    alone = [
        person.key
        for person in plan.people.values()
        if not any(channel in plan.reaches for channel, _ in person.declared())
    ]
    if plan.mail is None:
        told.append("It names no mail server, so nobody is paged by email.")
    if alone and len(alone) == len(plan.people):
        told.append("Nobody can be paged but on the console.")
    elif alone:
        told.append(f"Only on the console {_listed(sorted(alone))} can be paged.")
    bare = sorted(key for key, service in plan.services.items() if service.escalation not in plan.escalations)
    if bare:
        verb = "pages" if len(bare) == 1 else "page"
        told.append(f"Without an escalation {_listed(bare)} {verb} the last resort at once.")
    names = _listed([target.removeprefix("person:").replace(":", " ") for target in plan.last_resort])
    told.append(f"When nobody else can be reached, {names} {'is' if len(plan.last_resort) == 1 else 'are'} paged.")
    return " ".join(told)


def _listed(words: list[str], most: int = 8) -> str:
    if len(words) > most:
        words = [*words[: most - 1], f"{len(words) - most + 1} more"]
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}{'' if text.endswith('.') else '.'}"
