"""``tocsin why``."""

from __future__ import annotations

import re
from typing import Any

import click

from tocsin.cli import show
from tocsin.cli.client import Api, segment
from tocsin.cli.failure import NotFound
from tocsin.cli.incidents import print_story
from tocsin.cli.paged import became
from tocsin.cli.place import server_options
from tocsin.cli.text import ago, clock, count, stamp
from tocsin.cli.words import time
from tocsin.kernel.instant import Instant, format_rfc3339

_NUMBER = re.compile(r"(?:(incident|alert)s?\s*)?#?(\d{1,18})", re.IGNORECASE)


@click.command()
@click.argument("what", metavar="ALERT|INCIDENT", nargs=-1)
@click.option("--person", metavar="KEY", help="Why this person was, or was not, paged; instead of an incident.")
@click.option("--at", type=time, metavar="TIME", help="Around when, with --person.  [default: now]")
@server_options
@show.json_option
def why(api: Api, what: tuple[str, ...], person: str | None, at: Instant | None, as_json: bool) -> None:
    """Say why somebody was, or was not, paged.

    Name an incident by its number, an alert as `alert 42`, or an alert by its alertname: then the newest of that name
    is meant. Every decision is printed with its reason, and how it stands now. With --person: what was paged to that
    person around a time, who was on call, and what each incident that was open then meant for them.

    \b
    Examples:
      tocsin why 17
      tocsin why alert 42
      tocsin why RedisDown
      tocsin why --person ana --at 2026-11-22T03:24
    """
    if what and person is not None:
        raise click.UsageError("Name an incident or an alert, or a person with --person, and not both.")
    if not what and not person:
        raise click.UsageError("Name an incident or an alert, or a person with --person.")
    if at is not None and person is None:
        raise click.UsageError("--at goes with --person.")
    if person is not None:
        _person(api, person, at, as_json)
        return
    asked = " ".join(what).strip()
    found, others = _find(api, asked)
    if as_json:
        show.print_json(found)
        return
    _print(found, api)
    if others:
        numbers = ", ".join(f"alert {each}" for each in others)
        click.echo(f"\nOlder alerts of that name: {numbers}.", err=True)


def _person(api: Api, person: str, at: Instant | None, as_json: bool) -> None:
    found = api.get(f"/why/person/{segment(person)}", {"at": format_rfc3339(at)} if at is not None else {})
    if as_json:
        show.print_json(found)
        return
    then = show.instant(found["at"])
    show.line(f"{found['person']} around {stamp(then)}", "head")
    show.line("A page to them left." if found["paged"] else "No page to them left.", "" if found["paged"] else "held")
    if found.get("older"):
        show.line(f"Judged by the plan that was in force then, {str(found['plan'])[:8]}.", "mute")
    for one in found["on_call"]:
        show.line(f"They were on call by {one['schedule']}: {one['because']}.")
    if found.get("doubt"):
        show.line(f"Whether they were on call is not known: {found['doubt']}.", "held")
    elif not found["on_call"]:
        show.line("They were on call by no schedule.")
    if found["pages"]:
        show.heading("Pages")
        print_story(
            (show.instant(each["intended_at"]), _page_told(each), str(each["because"]), "") for each in found["pages"]
        )
    show.heading("Incidents that were open")
    for one in found["incidents"]:
        show.line(f"  #{one['incident']} {one['title']} ({one['service']})")
        for each in (one["stood"], one["person"]):
            show.line(f"    {clock(show.instant(each['at']))}  {_ends(str(each['text']), each)}")
            show.line(f"              because {each['because']}", "mute")
    if not found["incidents"]:
        show.line("  None.")
    if found["more"]:
        show.line("  And more, which are not told of here.", "mute")


def _page_told(page: dict[str, Any]) -> str:
    from tocsin.pages.ledger import called

    of = f" for incident #{page['incident']}" if page["incident"] else ""
    return f"A {called(page['kind'])} by {page['channel']}{of}: {became(page)}"


def _find(api: Api, asked: str) -> tuple[dict[str, Any], list[int]]:
    numbered = _NUMBER.fullmatch(asked)
    if numbered is None:
        return _by_name(api, asked)
    kind, number = (numbered[1] or "").lower(), numbered[2]
    if kind:
        return api.get(f"/why/{kind}/{number}"), []
    try:
        return api.get(f"/why/incident/{number}"), []
    except NotFound:
        try:
            return api.get(f"/why/alert/{number}"), []
        except NotFound:
            raise NotFound(f"There is neither an incident nor an alert {number}.") from None


def _by_name(api: Api, name: str) -> tuple[dict[str, Any], list[int]]:
    from tocsin.kernel.matcher import Matcher

    query = {"state": "all", "matcher": [str(Matcher("alertname", "=", name))]}
    ids = [int(one["id"]) for one in api.every("/alerts", query, limit=6)]
    if not ids:
        raise NotFound(
            f"No alert has the alertname {name}, and by titles none is looked for. "
            "`tocsin alerts --state all` lists them: take one by its ID, as `alert 42`."
        )
    return api.get(f"/why/alert/{segment(ids[0])}"), ids[1:]


def _print(found: dict[str, Any], api: Api) -> None:
    name = f"#{found['id']}" if found["of"] == "incident" else f"Alert {found['id']}"
    show.line(f"{name} {found['title']}", "head")
    if found["of"] == "alert" and found["incident"]:
        show.line(f"It is in incident #{found['incident']}.")
    show.line("Somebody was paged." if found["paged"] else "Nobody was paged.", "" if found["paged"] else "held")
    click.echo()
    print_story(
        (show.instant(each["at"]), _ends(str(each["text"]), each), str(each["because"]), "")
        for each in found["sentences"]
    )
    now = found["now"]
    show.heading("Now")
    show.line(f"  {now['text']}, because {now['because']}.")
    until = show.moment(now["until"])
    if until is not None:
        what = "The quiet ends" if found["quiet"] else "That is due"
        show.line(f"  {what} {ago(until, api.now)}, at {stamp(until)}.")
    decisions = count(len(found["sentences"]), "decision")
    show.line(f"  {decisions} on record.", "mute")


def _ends(text: str, sentence: dict[str, Any]) -> str:
    until = show.moment(sentence["until"])
    return f"{text}, until {stamp(until)}" if until is not None else text
