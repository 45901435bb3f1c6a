"""``tocsin contact``: list, add, code, verify, test, failing, remove, rules, drill: how a person is reached."""

from __future__ import annotations

from typing import Any

import click

from tocsin.cli import show
from tocsin.cli.client import Api, segment
from tocsin.cli.failure import Refused
from tocsin.cli.place import server_options
from tocsin.cli.text import ago, span
from tocsin.kernel.instant import Instant, parse_duration

person_option = click.option("--person", metavar="PERSON", default="", help="Somebody else's; for admins.")


@click.group()
def contact() -> None:
    """Say how you are reached, and when.

    Contact methods belong to a person and not to the plan: each is proven by a code before pages use it.
    """


COLUMNS = (
    show.Column("ID", right=True),
    show.Column("By"),
    show.Column("State"),
    show.Column("Verified", least=80),
    show.Column("Label", least=60),
    show.Column("Address", wide=True),
    show.Column("Failure", wide=True),
)


@contact.command("list")
@person_option
@server_options
@show.json_option
def list_contacts(api: Api, person: str, as_json: bool) -> None:
    """List contact methods.

    \b
    Examples:
      tocsin contact list
      tocsin contact list --person ben
    """
    found = api.get("/contacts", {"person": person})["items"]
    if as_json:
        show.print_json(found)
    elif not found:
        show.line("There is no contact method: add one with `tocsin contact add`.")
    else:
        show.print_table(COLUMNS, [_row(one, api.now) for one in found])


def _row(one: dict[str, Any], now: Instant | None) -> show.Row:
    weight = {"verified": "", "failing": "ring", "unverified": "mute"}.get(str(one["state"]), "")
    proven = "by the plan" if one["declared"] else ago(show.moment(one["verified_at"]), now)
    state, label = show.Cell("left out" if one["left_at"] else str(one["state"]), weight), str(one["label"])
    where, failure = str(one["address"]), str(one["failure"] or "")
    return str(one["id"]), str(one["channel"]), state, proven, label, where, failure


@contact.command()
@click.argument("channel", metavar="CHANNEL")
@click.argument("address", metavar="ADDRESS")
@click.option("--label", metavar="TEXT", default="", help="What you call it, such as phone.")
@person_option
@server_options
@show.json_option
def add(api: Api, channel: str, address: str, label: str, person: str, as_json: bool) -> None:
    """Add a contact method and send a code there.

    \b
    Examples:
      tocsin contact add email ana@home.example
      tocsin contact add webhook https://push.example/ana --label phone
    """
    made = api.write(
        "POST", "/contacts", {"channel": channel, "address": address, "label": label, "person": person}
    )
    if as_json:
        show.print_json(made)
        return
    if made["signing_secret"]:
        show.line(f"What it gets is signed with this secret, shown only now: {made['signing_secret']}")
    if made["code_until"]:
        show.line(f"A code is on its way to {made['address']}. When it arrives: tocsin contact verify {made['id']}")
    else:
        show.line(f"Added. Too many codes were sent lately; later: tocsin contact code {made['id']}")


@contact.command()
@click.argument("id", metavar="ID", type=int)
@server_options
@show.json_option
def code(api: Api, id: int, as_json: bool) -> None:
    """Send another code to a contact method.

    \b
    Examples:
      tocsin contact code 7
    """
    answer = api.write("POST", f"/contacts/{segment(id)}/code")
    if as_json:
        show.print_json(answer)
    else:
        show.line(f"A code is on its way to {answer['address']}. When it arrives: tocsin contact verify {id}")


@contact.command()
@click.argument("id", metavar="ID", type=int)
@click.argument("digits", metavar="[CODE]", required=False)
@server_options
@show.json_option
def verify(api: Api, id: int, digits: str | None, as_json: bool) -> None:
    """Prove a contact method with the code that arrived.

    Without CODE it is asked for.

    \b
    Examples:
      tocsin contact verify 7
      tocsin contact verify 7 123456
    """
    given: str = digits if digits is not None else click.prompt("Code", err=True)
    answer = api.write("POST", f"/contacts/{segment(id)}/verify", {"code": given})
    if as_json:
        show.print_json(answer)
    else:
        show.line(f"{answer['address']} is verified. Pages use it from now on.")


@contact.command()
@click.argument("id", metavar="ID", type=int)
@server_options
@show.json_option
def test(api: Api, id: int, as_json: bool) -> None:
    """Send a test message by a contact method.

    \b
    Examples:
      tocsin contact test 7
    """
    answer = api.write("POST", f"/contacts/{segment(id)}/test")
    if as_json:
        show.print_json(answer)
    else:
        show.line("A test is on its way.")


@contact.command()
@click.argument("id", metavar="ID", type=int)
@click.option("--why", metavar="TEXT", default="", help="Such as: the phone is lost.")
@server_options
@show.json_option
def failing(api: Api, id: int, why: str, as_json: bool) -> None:
    """Say that a contact method does not work.

    Pages use the others until a code proves it again.

    \b
    Examples:
      tocsin contact failing 7 --why "the phone is lost"
    """
    answer = api.write("POST", f"/contacts/{segment(id)}/failing", {"why": why})
    if as_json:
        show.print_json(answer)
    else:
        show.line(f"Pages do not use {answer['address']} while there is another.")


@contact.command()
@click.argument("id", metavar="ID", type=int)
@server_options
@show.json_option
def remove(api: Api, id: int, as_json: bool) -> None:
    """Remove a contact method.

    \b
    Examples:
      tocsin contact remove 7
    """
    api.write("DELETE", f"/contacts/{segment(id)}")
    if as_json:
        show.print_json({"id": id, "removed": True})
    else:
        show.line(f"Contact method {id} is removed.")


def way(text: str) -> dict[str, Any]:
    """``7`` or ``7=2m``: a contact method, and how long after the page began it is used."""
    number, _, after = text.partition("=")
    if not number.isascii() or not number.isdigit() or len(number) > 18:
        raise click.BadParameter(f"{text!r} names no contact method: write its ID, such as 7 or 7=2m.")
    try:
        parse_duration(after or "0s")
    except ValueError as error:
        raise click.BadParameter(f"{error}.") from None
    return {"contact": int(number), "after": after or "0s"}


@contact.command()
@click.option("--high", type=way, multiple=True, metavar="ID[=TIME]", help="For high urgency; may be repeated.")
@click.option("--low", type=way, multiple=True, metavar="ID[=TIME]", help="For low urgency; may be repeated.")
@click.option("--quiet", metavar="FROM-UNTIL", help="Quiet hours for low urgency, such as 22:00-08:00, or none.")
@click.option("--bundle-after", type=click.IntRange(1, 20), help="So many pages go out one by one.")
@click.option("--bundle-within", metavar="TIME", help="More of them within this time go out together; 0s: never.")
@click.option("--reset", is_flag=True, help="As for everybody; other options are set on top of that.")
@person_option
@server_options
@show.json_option
def rules(
    api: Api,
    high: tuple[dict[str, Any], ...],
    low: tuple[dict[str, Any], ...],
    quiet: str | None,
    bundle_after: int | None,
    bundle_within: str | None,
    reset: bool,
    person: str,
    as_json: bool,
) -> None:
    """Show or change which method is used when.

    What is not given stays as it is.

    \b
    Examples:
      tocsin contact rules
      tocsin contact rules --high 7 --high 9=2m --high 4=4m
      tocsin contact rules --quiet 21:30-07:00 --bundle-after 1
      tocsin contact rules --reset
    """
    given: dict[str, Any] = {}
    if high:
        given["high"] = list(high)
    if low:
        given["low"] = list(low)
    if quiet is not None:
        given["quiet_from"], given["quiet_until"] = _quiet(quiet)
    if bundle_after is not None:
        given["bundle_after"] = bundle_after
    if bundle_within is not None:
        given["bundle_within"] = bundle_within
    if given or reset:
        now: dict[str, Any] = {} if reset else api.get("/reach", {"person": person})
        now.pop("person", None)
        found = api.write("PUT", "/reach", {**now, **given, "person": person})
    else:
        found = api.get("/reach", {"person": person})
    if as_json:
        show.print_json(found)
        return
    for urgency in ("high", "low"):
        ways = ", ".join(_said(one) for one in found[urgency])
        show.line(f"{urgency} urgency: {ways or 'as for everybody'}")
    same = found["quiet_from"] == found["quiet_until"]
    show.line("quiet hours: " + ("none" if same else f"{found['quiet_from']} to {found['quiet_until']}"))
    many = found["bundle_within"] != "0s"
    show.line(
        f"many pages: the first {found['bundle_after']} one by one, more within {found['bundle_within']} together"
        if many
        else "many pages: one by one"
    )


def _said(one: dict[str, Any]) -> str:
    after = parse_duration(one["after"])
    return f"{one['contact']} {'at once' if not after else 'after ' + span(after)}"


def _quiet(text: str) -> tuple[str, str]:
    if text == "none":
        return "00:00", "00:00"
    begins, dash, ends = text.partition("-")
    if not dash:
        raise Refused("Quiet hours are two times of the day, such as 22:00-08:00, or none.")
    return begins.strip(), ends.strip()


@contact.command()
@person_option
@server_options
@show.json_option
def drill(api: Api, person: str, as_json: bool) -> None:
    """Page yourself now, to see what a page is like.

    By your own rules, until you answer; nobody else is paged.

    \b
    Examples:
      tocsin contact drill
    """
    answer = api.write("POST", "/drill", {"person": person})
    if as_json:
        show.print_json(answer)
    else:
        show.line("The page is on its way. Answer it as you would at night.")
