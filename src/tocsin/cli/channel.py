"""``tocsin channel``: the ways people are reached, by the plan's files alone; a test uses this machine's secrets."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tocsin.cli import show
from tocsin.cli.client import Api
from tocsin.cli.failure import OK, REFUSED, NotFound, Refused
from tocsin.cli.place import DEFAULT_DATA, data_option, server_options
from tocsin.cli.plan import default_folder
from tocsin.cli.text import ago, count

if TYPE_CHECKING:
    from tocsin.catalog.people import Person
    from tocsin.plan.model import Plan
    from tocsin.settings import Settings

_plan_option = click.option(
    "--plan",
    "folder",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="The plan's folder or file.  [default: TOCSIN_PLAN or ./tocsin-data/plan]",
)


@click.group()
def channel() -> None:
    """See and test the ways people are reached.

    How each one is set up is in docs/channels.
    """


@channel.command("list")
@_plan_option
@show.json_option
def list_channels(folder: Path | None, as_json: bool) -> None:
    """List the channels and whom the plan reaches by each.

    What people added themselves is theirs: `tocsin contact list`.

    \b
    Examples:
      tocsin channel list
      tocsin channel list --plan deploy/tocsin --json | jq '.[] | select(.ready)'
    """
    from tocsin.pages.profiles import owned, profile, profiles

    plan = _plan(folder)
    rows = []
    for name, one in sorted(profiles().items()):
        ready = name in plan.reaches or not one.real
        people = [p.key for p in plan.people.values() if ready and name in dict(p.declared())]
        rows.append({"channel": name, "ready": ready, "people": people, "follows": one.follows})
    if as_json:
        show.print_json(rows)
        return
    for row in rows:
        listed = ", ".join(map(str, row["people"])) if isinstance(row["people"], list) else ""
        lacks = f"not set up: add {_lacking(profile(str(row['channel'])).needs)} to the plan"
        none = "nobody by the plan; people add their own" if row["channel"] in owned() else "nobody"
        show.line(f"{row['channel']:<10} {listed or (none if row['ready'] else lacks)}")


@channel.command()
@server_options
@show.json_option
def synthetic(api: Api, as_json: bool) -> int:
    """Say how the synthetic page of each channel goes.

    Tocsin pages itself through the channels the plan names, and the page must come back.

    Exit code 0 when none is missing, 1 otherwise.

    \b
    Examples:
      tocsin channel synthetic
      tocsin channel synthetic --json | jq '.[] | select(.state == "missing")'
    """
    found = api.get("/synthetic-pages")["items"]
    if as_json:
        show.print_json(found)
    elif not found:
        show.line("The plan has no synthetic page: add `synthetic page: {every: 1h, email: …}` to it.")
    for one in found if not as_json else ():
        came, following = show.moment(one["came_at"]), show.moment(one["next_at"])
        last = f"the last took {one['took']} and was back {ago(came, api.now)}" if came else "none has come back yet"
        then = f"; the next leaves {ago(following, api.now)}" if following else ""
        show.line(f"{one['channel']:<10} {one['state']}, {last}{then}", "ring" if one["state"] == "missing" else "")
        if one["failure"]:
            show.line(f"           {one['failure']}.", "mute")
    return REFUSED if any(one["state"] == "missing" for one in found) else OK


@channel.command()
@click.argument("name")
@click.option(
    "--kind", type=click.Choice(["page", "notice", "update"]), default="page", show_default=True, help="What is sent."
)
@click.option("--person", metavar="KEY", help="To whom.  [default: the first whom the plan reaches by it]")
@_plan_option
@data_option
@show.json_option
def preview(name: str, kind: str, person: str | None, folder: Path | None, data: Path | None, as_json: bool) -> None:
    """Print what a channel would send, for an invented incident. Nothing is sent.

    \b
    Examples:
      tocsin channel preview email
      tocsin channel preview slack --kind update
    """
    from tocsin.pages.sample import sample
    from tocsin.runtime.clock import SystemClock
    from tocsin.runtime.outbound import Outbound
    from tocsin.wiring import channels

    plan, settings = _plan(folder), _settings(folder, data)
    made = channels(settings, plan, Outbound(), bytes(32)).get(name)
    if made is None:
        raise NotFound(_unknown(name))
    who, address = _whom(plan, name, person)
    if not address:
        raise Refused(f"The plan does not say how to reach {person or 'anybody'} by {name}.")
    text = made.preview(sample(kind, who, address, SystemClock().now(), settings.base_url, plan.messages.get(name)))
    if as_json:
        show.print_json({"channel": name, "kind": kind, "content": text})
    else:
        click.echo(text.rstrip("\n"))


@channel.command()
@click.argument("name")
@click.option("--person", required=True, metavar="KEY", help="Whom to send it to.")
@_plan_option
@data_option
@click.option("--public-url", envvar="TOCSIN_PUBLIC_URL", metavar="URL", help="Tocsin's address, as its pages name it.")
@show.json_option
def test(
    name: str, person: str, folder: Path | None, data: Path | None, public_url: str | None, as_json: bool
) -> int:
    """Send a person a message that says it is a test.

    Prints what the provider answered.

    Runs apart from the server, with the plan's files and the secrets of this machine: TOCSIN_SECRET_… or the folder
    secrets in the data folder. It is no page: nothing is written to the ledger. Exit code 1 when it was not taken.

    \b
    Examples:
      tocsin channel test matrix --person ana
      TOCSIN_SECRET_SLACK=xoxb-… tocsin channel test slack --person ana --plan deploy/tocsin
    """
    import msgspec

    from tocsin.pages.message import Failed, Sent
    from tocsin.pages.profiles import theirs
    from tocsin.pages.sample import trial
    from tocsin.runtime.clock import SystemClock
    from tocsin.wiring import named_secrets, send_once

    plan, settings = _plan(folder), _settings(folder, data, public_url or "")
    settings.ask_for(named_secrets(plan))
    if person not in plan.people:
        raise NotFound(f"The plan has no person {person!r}.")
    who, address = _whom(plan, name, person)
    if not address or name in theirs():
        own = "what people add themselves is tried by `tocsin contact test`"
        raise Refused(f"The plan does not say how to reach {person} by {name}; {own}.")
    answer = asyncio.run(send_once(settings, plan, name, trial(who, address, SystemClock().now(), settings.base_url)))
    if answer is None:
        raise NotFound(_unknown(name))
    if as_json:
        told = msgspec.to_builtins(answer)
        told.pop("retry_after", None)
        show.print_json({"channel": name, "person": person, "sent": isinstance(answer, Sent), **told})
    elif isinstance(answer, Failed):
        again = "Trying again cannot help." if answer.permanent else "It may pass: a page would be tried again."
        show.line(f"Not sent: {answer.error}. {again}", "ring")
    else:
        named = f" It calls it {answer.provider_id}." if answer.provider_id else ""
        show.line(f"Sent: the provider took it.{named} Look whether it arrived.", "rest")
    return OK if isinstance(answer, Sent) else REFUSED


def _plan(folder: Path | None) -> Plan:
    from tocsin.plan.folder import PlanFolderError
    from tocsin.plan.reading import read_plan
    from tocsin.wiring import plan_files

    place = folder or default_folder()
    try:
        reading = read_plan(plan_files(place))
    except PlanFolderError as error:
        raise Refused(f"{str(error)[:1].upper()}{str(error)[1:]}.") from None
    if reading.plan is None:
        errors = sum(finding.level == "error" for finding in reading.findings)
        raise Refused(f"The plan in {place} has {count(errors, 'error')}: `tocsin plan check` names them.")
    return reading.plan


def _settings(folder: Path | None, data: Path | None, public_url: str = "") -> Settings:
    from tocsin.settings import Settings

    command = os.environ.get("TOCSIN_SECRETS_COMMAND", "")
    return Settings(
        data=data or Path(DEFAULT_DATA), plan=folder, public_url=public_url, secrets_command=command
    )


def _whom(plan: Plan, name: str, person: str | None) -> tuple[Person, str]:
    """The person, and their address by this channel, "" when the plan names none."""
    from tocsin.pages.profiles import profiles

    if person is not None and person not in plan.people:
        raise NotFound(f"The plan has no person {person!r}.")
    people = [plan.people[person]] if person else list(plan.people.values())
    reached = [(one, dict(one.declared()).get(name, "")) for one in people]
    who, address = next(((one, at) for one, at in reached if at), reached[0])
    nowhere = name in profiles() and profiles()[name].address is None
    return who, address or (who.key if nowhere else "")  # these have no address in a plan


def _unknown(name: str) -> str:
    from tocsin.pages.profiles import profile, profiles

    if need := profile(name).needs:
        return f"The plan does not set {name} up: add {_lacking(need)} to it."
    return f"There is no channel {name!r}; there are {', '.join(sorted(profiles()))}."


def _lacking(need: str) -> str:
    """What a plan lacks, as it is written there."""
    return "mail" if need == "mail" else f"channels: {{{need}: …}}"
