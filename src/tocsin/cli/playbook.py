"""``tocsin playbook``: what asks a server, and the others, which have files of their own, put together."""

from __future__ import annotations

from typing import Any

import click

from tocsin.cli import show
from tocsin.cli.client import Api, segment
from tocsin.cli.failure import OK, REFUSED
from tocsin.cli.place import server_options
from tocsin.cli.playbook_args import typed
from tocsin.cli.playbook_files import ON_FILES
from tocsin.cli.playbook_guards import guards
from tocsin.cli.playbook_library import library
from tocsin.cli.run_resuming import RESUMING
from tocsin.cli.run_sheet import because, print_run
from tocsin.cli.text import ago
from tocsin.cli.words import label

TRUST_WEIGHTS = {"act": "rest", "ask": "held", "suggest": "mute", "observe": "mute"}
WAIT = 0.2


@click.group()
def playbook() -> None:
    """Answer known problems with code.

    A playbook is a Python function, or steps in YAML, in the plan's folder playbooks/; docs/playbooks/ begins with the
    first one.
    """


@playbook.command("list")
@click.option("--service", metavar="NAME", help="Only those of one service.")
@server_options
@show.json_option
def list_playbooks(api: Api, service: str | None, as_json: bool) -> None:
    """List playbooks, each with what it is trusted to do.

    \b
    Examples:
      tocsin playbook list
      tocsin playbook list --service cart-redis --json
    """
    query = f"?service={segment(service)}" if service else ""
    found = api.get(f"/playbooks{query}")
    if as_json:
        show.print_array(found)
        return
    if not found:
        show.line("No service uses a playbook." if not service else f"{service} uses no playbook.")
        return
    show.print_table(
        (
            show.Column("Service"),
            show.Column("Playbook"),
            show.Column("Trust"),
            show.Column("Held", least=80),
            show.Column("Trusted so", least=120),
            show.Column("Hands over to", least=130),
            show.Column("Guards", least=150, wide=True),
            show.Column("What it does", least=100, wide=True),
        ),
        [_row(one) for one in found],
    )


def _row(one: dict[str, Any]) -> show.Row:
    trust = str(one["trust"])
    return (
        str(one["service"]),
        str(one["name"]),
        show.Cell(trust, TRUST_WEIGHTS[trust]),
        _held(one),
        str(one["because"]),
        str(one["hand_over_to"]),
        "; ".join(one["guards"]),
        str(one["about"]),
    )


def _held(one: dict[str, Any]) -> str:
    """Of runs that changed something, how many held; of those that only watched, with how many people agreed."""
    watched = one["agreed"] + one["differed"]
    held = f"{one['held']} of {one['held'] + one['failed']}"
    return f"{one['agreed']} of {watched} as people did" if watched else held


@playbook.command()
@click.argument("name")
@click.option("--service", metavar="NAME", default="", help="For which service.")
@click.option("--incident", type=int, metavar="NUMBER", default=0, help="For which open incident.")
@click.option("--target", "targets", type=label, multiple=True, metavar="PARAMETER=TARGET", help="May be repeated.")
@click.option("--arg", "args", type=label, multiple=True, metavar="NAME=VALUE", help="Another parameter.")
@click.option("--wait", is_flag=True, help="Wait for its end; exit code 1 unless it did what it was run for.")
@server_options
@show.json_option
def run(
    api: Api,
    name: str,
    service: str,
    incident: int,
    targets: tuple[tuple[str, str], ...],
    args: tuple[tuple[str, str], ...],
    wait: bool,
    as_json: bool,
) -> int:
    """Run a playbook now.

    Asking for it is allowing its fixes, when you are in the role for that and it is trusted to ask or to act; on
    observe and suggest it ends before the first one, whoever runs it.

    \b
    Examples:
      tocsin playbook run free-memory --service cart-redis --wait
      tocsin playbook run free-memory --incident 17
    """
    if not service and not incident:
        raise click.UsageError("Say what it is for: --service NAME or --incident NUMBER.")
    body: dict[str, Any] = {"playbook": name, "service": service, "incident": incident, "targets": dict(targets)}
    if args:
        there = next((one for one in api.get("/playbooks") if one["name"] == name), None)
        kinds = {one["name"]: one["kind"] for one in there["params"]} if there is not None else {}
        body["args"] = typed(name, kinds, args) if there is not None else dict(args)  # the server says that it is none
    options = {"service": "--service", "incident": "--incident", "targets": "--target", "args": "--arg"}
    one = api.write("POST", "/runs", body, options)
    number = int(one["number"])
    while wait and one["state"] == "running":
        import time

        time.sleep(WAIT)
        one = api.get(f"/runs/{number}")
    sheet = api.get(f"/runs/{number}")
    print_run(sheet, as_json)
    return OK if not wait or sheet["outcome"] in ("verified", "done") or sheet["state"] == "watching" else REFUSED


@playbook.command()
@click.argument("name", required=False)
@click.option("--service", metavar="NAME", help="Only runs for one service.")
@click.option("--incident", type=int, metavar="NUMBER", help="Only runs for one incident.")
@click.option("--run", "number", type=int, metavar="NUMBER", help="One run, with its steps.")
@show.limit_option
@server_options
@show.json_option
def history(
    api: Api,
    name: str | None,
    service: str | None,
    incident: int | None,
    number: int | None,
    limit: int | None,
    as_json: bool,
) -> None:
    """List runs, the newest first; or show one with its steps.

    \b
    Examples:
      tocsin playbook history free-memory
      tocsin playbook history --run 17
    """
    if number is not None:
        print_run(api.get(f"/runs/{number}"), as_json)
        return
    show.print_list(
        api.every("/runs", {"playbook": name, "service": service, "incident": incident}, show.asked(limit, as_json)),
        (
            show.Column("Run"),
            show.Column("Started"),
            show.Column("Playbook"),
            show.Column("Incident", least=80),
            show.Column("Came to"),
            show.Column("Because", least=100, wide=True),
        ),
        lambda one: (
            str(one["number"]),
            ago(show.moment(one["started_at"]), api.now),
            str(one["playbook"]),
            f"#{one['incident']}" if one["incident"] else "",
            str(one["outcome"] or one["state"]).replace("_", " "),
            because(one),
        ),
        as_json=as_json,
        limit=limit,
        empty="No playbook has run." if not (name or service or incident) else "No run of that.",
        what="runs",
    )


@playbook.command()
@click.argument("number", type=int)
@click.argument("answer")
@click.option("--step", metavar="N", type=click.IntRange(1), required=True, help="The step it asks at, as it is shown.")
@server_options
@show.json_option
def answer(api: Api, number: int, answer: str, step: int, as_json: bool) -> None:
    """Answer what a run asks.

    Yes or no to its fix, or one of its choices. One yes is for one fix: refused when it asks something else by now.

    \b
    Examples:
      tocsin playbook answer 17 yes --step 2
    """
    api.write("POST", f"/runs/{number}/answer", {"answer": answer, "step": step})
    print_run(api.get(f"/runs/{number}"), as_json)


@playbook.command()
@click.argument("number", type=int)
@server_options
@show.json_option
def cancel(api: Api, number: int, as_json: bool) -> None:
    """Stop a run before it begins with anything more.

    Ten seconds later its process is ended.

    \b
    Examples:
      tocsin playbook cancel 17
    """
    api.write("POST", f"/runs/{number}/cancel")
    print_run(api.get(f"/runs/{number}"), as_json)


@playbook.command()
@click.argument("name")
@click.argument("rung", metavar="TRUST", type=click.Choice(["observe", "suggest", "ask", "act"]))
@click.option("--service", metavar="NAME", required=True, help="For which service.")
@click.option("--why", metavar="TEXT", required=True, help="Why; it is shown beside it.")
@server_options
@show.json_option
def trust(api: Api, name: str, rung: str, service: str, why: str, as_json: bool) -> None:
    """Say what a playbook is trusted to do for a service.

    Observe, suggest, ask or act; never above the ceiling its code declares.

    \b
    Examples:
      tocsin playbook trust free-memory act --service cart-redis --why "forty runs held"
    """
    found = api.write("PUT", f"/playbooks/{segment(service)}/{segment(name)}/trust", {"trust": rung, "why": why})
    if as_json:
        show.print_json(found)
    else:
        show.line(f"{name} is trusted to {found['trust']} for {service}.")


for command in (*ON_FILES, library, guards, *RESUMING):
    playbook.add_command(command)
