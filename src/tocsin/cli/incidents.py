"""``tocsin incidents``: list, show, ack, take, reassign, snooze, ask, resolve, note, apply-plan, ledger,
and the checklists."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any

import click

from tocsin.cli import show
from tocsin.cli.checklist import checklist, tick, untick
from tocsin.cli.client import Api, segment
from tocsin.cli.failure import OK, Failure, Refused
from tocsin.cli.ledger import ledger
from tocsin.cli.paged import PAGE_COLUMNS, page_row
from tocsin.cli.place import server_options
from tocsin.cli.text import ago, clock, count, day, person, rough, span, stamp, zone
from tocsin.cli.words import duration, number, time
from tocsin.kernel.instant import MINUTE, SECOND, Instant, format_duration, format_rfc3339

STATES = ("open", "triggered", "acknowledged", "resolved", "all")
SEVERITIES = ("sev1", "sev2", "sev3", "sev4")
ORDERS = ("gravest", "newest")
QUIET = {
    "silenced": "silenced",
    "clearing": "clearing",
    "playbook_runs": "code is on it",
    "playbook_verified": "fixed, watching",
    "waits_for_run": "code waits",
}
"""How a triggered incident stands for which nobody is paged for a while, in the words of the web."""


class Incidents(click.Group):
    """A group that lists when no command of it is named, as ``tocsin alerts`` does."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Put ``list`` where nothing, or only options of the list, stands."""
        alone = not args or (args[0].startswith("-") and args[0] not in ("-h", "--help"))
        if alone and not ctx.resilient_parsing:  # completion asks for what may stand here
            args = ["list", *args]
        return super().parse_args(ctx, args)


@click.group(cls=Incidents)
def incidents() -> None:
    """List, acknowledge and resolve incidents.

    `tocsin incidents` alone is `tocsin incidents list`.
    """


for _command in (ledger, checklist, tick, untick):
    incidents.add_command(_command)


@incidents.command("list")
@click.option(
    "--state",
    type=click.Choice(STATES),
    default="open",
    show_default=True,
    help="open is triggered and acknowledged together.",
)
@click.option("--service", metavar="NAME", help="Only of this service.")
@click.option("--severity", type=click.Choice(SEVERITIES), help="Only of this severity; sev1 is the gravest.")
@click.option(
    "--order",
    type=click.Choice(ORDERS),
    help="Of what is open, what nobody has and is gravest first, or the newest.  "
    "[default: gravest; with --json, and for what is over, newest]",
)
@show.limit_option
@server_options
@show.json_option
def list_incidents(
    api: Api,
    state: str,
    service: str | None,
    severity: str | None,
    order: str | None,
    limit: int | None,
    as_json: bool,
) -> None:
    """List incidents.

    What is open is listed as on the first page of the web: what nobody has before what somebody has, last what is kept
    quiet (its state says why), and of that the gravest first. Everything else, and JSON, begins with the newest.

    \b
    Examples:
      tocsin incidents list
      tocsin incidents list --state all --service checkout
      tocsin incidents list --severity sev1 --json | jq '.[].number'
    """
    ordered = order or ("newest" if as_json or state in ("resolved", "all") else "gravest")
    query = {"state": state, "severity": severity, "order": ordered if ordered != "newest" else None}
    show.print_list(
        api.every_of(service, "/incidents", query, show.asked(limit, as_json)),
        (
            show.Column("#", right=True),
            show.Column("State"),
            show.Column("Sev"),
            show.Column("Service", least=60),
            show.Column("Open", least=80),
            show.Column("Holder", least=100),
            show.Column("Title", wide=True),
        ),
        lambda one: _row(one, api.now),
        as_json=as_json,
        limit=limit,
        empty="No incident is open." if state == "open" and not service and not severity else "No such incident.",
        what="incidents",
    )


def _row(one: dict[str, Any], now: Instant | None) -> show.Row:
    opened, ended = show.instant(one.get("reopened_at") or one["opened_at"]), show.moment(one["resolved_at"])
    until = ended if ended is not None else now
    return (
        str(one["number"]),
        _state(one),
        str(one["severity"]),
        str(one["service"]),
        rough(max(0, until - opened)) if until is not None else stamp(opened),
        person(str(one["acknowledged_by"] if one["state"] != "resolved" else one["resolved_by"])),
        str(one["title"]),
    )


def _state(one: dict[str, Any]) -> show.Cell:
    """The state; of what nobody has and nobody is paged for either, why not."""
    state = str(one["state"])
    word = QUIET.get(str(one["paused"])) if state == "triggered" else None
    return show.Cell(word, "mute") if word else show.state(state)


@incidents.command("show")
@click.argument("incident", metavar="NUMBER", type=number)
@server_options
@show.json_option
def show_incident(api: Api, incident: int, as_json: bool) -> None:
    """Show an incident and everything about it.

    How it stands, its firing alerts, what code tried and found, the pages sent for it, what was changed on its service
    and what it needs, and its timeline with the reason of every step.

    \b
    Examples:
      tocsin incidents show 17
      tocsin incidents show 17 --json | jq '.timeline[] | {at, what, because}'
    """
    found = whole(api, incident)
    if as_json:
        show.print_json(found)
    else:
        _sheet(found, api.now)


def whole(api: Api, incident: int) -> dict[str, Any]:
    """An incident with all of its timeline, pages, firing alerts and changes as arrays, each in the order of time."""
    path = f"/incidents/{segment(incident)}"
    found: dict[str, Any] = api.get(path)
    rest = {
        "timeline": (f"{path}/timeline", {}),
        "pages": (f"{path}/pages", {}),
        "alerts": (f"{path}/alerts", {"state": "firing"}),
        "changes": (f"{path}/changes", {}),
    }
    for name, (where, query) in rest.items():
        first = found[name]
        items: Iterable[dict[str, Any]] = api.every(where, query) if first["next"] else first["items"]
        found[name] = sorted(items, key=lambda one: int(one["id"]))
    return found


def _reopened(one: dict[str, Any], now: Instant | None) -> str:
    if not one["reopened"]:
        return ""
    last = one.get("reopened_at")
    return count(int(one["reopened"]), "time") + (f", last {_when(last, now)}" if last else "")


def _sheet(one: dict[str, Any], now: Instant | None) -> None:
    show.line(f"#{one['number']} {one['title']}", "head")
    show.line(standing(one, now), show.STATE_WEIGHTS.get(str(one["state"]), ""))
    show.facts(
        [
            ("service", str(one["service"])),
            ("customers", str(one.get("customer_tier") or "")),
            ("severity", str(one["severity"])),
            ("urgency", "low" if one["urgency"] == "low" else ""),
            ("asked for help", ", ".join(one["responders"])),
            ("opened", _when(one["opened_at"], now)),
            ("reopened", _reopened(one, now)),
            ("labels", show.labels(one["labels"])),
            ("page", str(one["url"])),
        ]
    )
    if one["alerts"]:
        show.heading(f"{count(len(one['alerts']), 'alert')} firing")
        from tocsin.cli.alerts import COLUMNS, row

        show.print_table(COLUMNS, [row(alert, now) for alert in one["alerts"]])
    if len(one["code"]) > 1 or any(each["outcome"] == "waits" for each in one["code"]):
        show.heading("Code, by target")
        show.print_table(CODE_COLUMNS, [_work(each) for each in one["code"]])
    if one["tried"]:
        show.heading("What code tried and found")
        for said in one["tried"]:
            show.line(f"  {said}")
    if one["pages"]:
        show.heading(count(sum(page["kind"] == "page" for page in one["pages"]), "page"))
        show.print_table(PAGE_COLUMNS, [page_row(page) for page in one["pages"]])
    if one["changes"]:
        show.heading(f"{count(len(one['changes']), 'change')} since an hour before it opened")
        show.print_table(CHANGE_COLUMNS, [_change(change) for change in one["changes"]])
    show.heading("Timeline")
    print_story(
        (show.instant(each["at"]), str(each["what"]), str(each["because"]), str(each["actor"]))
        for each in one["timeline"]
    )


CODE_COLUMNS = (show.Column("Target"), show.Column("Playbook"), show.Column("Run"), show.Column("Came to", wide=True))


def _work(work: dict[str, Any]) -> show.Row:
    outcome = str(work["outcome"] or "under way").replace("_", " ")
    why = str(work["why"]).removeprefix("handed over: ") if work["outcome"] != "verified" else ""
    if (until := show.moment(work["until"])) is not None:
        return (*_where(work), f"{why}, at most until {stamp(until)}")
    return (*_where(work), f"{outcome}: {why}" if why else outcome)


def _where(work: dict[str, Any]) -> tuple[str, str, str]:
    return " and ".join(work["targets"]) or "the service", str(work["playbook"]), str(work["run"] or "")


CHANGE_COLUMNS = (show.Column("At"), show.Column("Service"), show.Column("Change", wide=True))


def _change(change: dict[str, Any]) -> show.Row:
    what = str(change["summary"])
    if change["link"]:
        what += f" {change['link']}"
    return stamp(show.moment(change["at"])), str(change["service"]), what


def print_story(told: Iterable[tuple[Instant, str, str, str]]) -> None:
    """Print what happened, oldest first: time, what, who; and on the next line because of what."""
    today = ""
    for at, what, because, actor in told:
        if day(at) != today:
            today = day(at)
            show.line(f"  {today}, {zone(at)}", "mute")
        who = person(actor)
        show.line(f"  {clock(at)}  {what}{f' ({who})' if who and who not in what else ''}")
        if because:
            show.line(f"            because {because}", "mute")


def _when(value: object, now: Instant | None) -> str:
    at = show.moment(value)
    return f"{stamp(at)} ({ago(at, now)})" if now is not None and at is not None else stamp(at)


def standing(one: dict[str, Any], now: Instant | None) -> str:
    """One sentence or two: where an incident stands, and what happens if nobody acts."""
    state = str(one["state"])
    if state == "resolved":
        by = person(str(one["resolved_by"]))
        told = f"Resolved {ago(show.moment(one['resolved_at']), now)}{f' by {by}' if by else ''}: {one['because']}."
        snoozed = show.moment(one["snoozed_until"])
        return f"{told} What still fires is judged again {_then(snoozed, now)}." if snoozed else told
    if state == "acknowledged":
        who, since = person(str(one["acknowledged_by"])), show.moment(one["acknowledged_at"])
        long = now - since if now is not None and since is not None else 0
        told = f"{who} has had it for {rough(long)}." if long >= 2 * SECOND else f"{who} has it."
        until = show.moment(one["acknowledged_until"])
        if one["paused"] == "paging_off":
            return f"{told} Nobody is paged: Tocsin runs with paging off."
        return f"{told} Paging goes on {_then(until, now)} if it is not resolved by then." if until else told
    clear, paused = show.moment(one["clear_at"]), one["paused"]
    if clear is not None:
        return f"Every alert has ended; it resolves {_then(clear, now)} if they stay quiet."
    if paused:
        from tocsin.kernel.reason import EXPLAINED, Reason

        # A newer server may have reasons this version has no words for.
        why = EXPLAINED[Reason(paused)] if paused in set(Reason) else str(paused)
        until = show.moment(one["paused_until"])
        return f"Nobody is paged now: {why}{f', until {stamp(until)} ({ago(until, now)})' if until else ''}."
    due = show.moment(one["next_page_at"])
    if due is not None and one.get("waits") == "reached_nobody":
        return f"Nobody was reached. Paging begins again {_then(due, now)}."
    if due is not None and one.get("waits"):
        return f"Of low urgency: the next page goes out {_then(due, now)}, not at night."
    answered = list(one.get("answered_by") or ())
    if answered:
        of = f"{len(answered)} of {one['answers_needed']} who are asked for"
        told = f"{' and '.join(answered)} {'have' if len(answered) > 1 else 'has'} answered, {of}."
        return f"{told} The next page goes out {_then(due, now)} if nobody else does." if due else told
    return f"Nobody has it. The next page goes out {_then(due, now)} if nobody answers." if due else "Nobody has it."


def _then(at: Instant | None, now: Instant | None) -> str:
    if at is None or now is None:
        return f"at {stamp(at)}"
    return f"in {span(at - now) if at - now < 10 * MINUTE else rough(at - now)}" if at > now else "any moment"


@incidents.command()
@click.argument("numbers", metavar="NUMBER...", type=number, nargs=-1, required=True)
@click.option("--for", "hold", type=duration, metavar="TIME", help="How long it holds, such as 30m.")
@server_options
@show.json_option
def ack(api: Api, numbers: tuple[int, ...], hold: int | None, as_json: bool) -> int:
    """Acknowledge incidents: nobody is paged while that holds.

    \b
    Examples:
      tocsin incidents ack 17
      tocsin incidents ack 17 18 --for 30m
    """
    body = {} if hold is None else {"hold": format_duration(hold)}
    return _each(api, numbers, "acknowledge", body, as_json)


why_option = click.option("--why", metavar="TEXT", default="", help="For the timeline.")


@incidents.command()
@click.argument("numbers", metavar="NUMBER...", type=number, nargs=-1, required=True)
@click.option("--for", "hold", type=duration, metavar="TIME", help="How long it holds, such as 30m.")
@server_options
@show.json_option
def take(api: Api, numbers: tuple[int, ...], hold: int | None, as_json: bool) -> None:
    """Take incidents as the person you are, whoever has them.

    \b
    Examples:
      tocsin incidents take 17
    """
    body = {} if hold is None else {"hold": format_duration(hold)}
    _each(api, numbers, "take", body, as_json)


@incidents.command()
@click.argument("incident", metavar="NUMBER", type=number)
@click.argument("to", metavar="PERSON")
@why_option
@server_options
@show.json_option
def reassign(api: Api, incident: int, to: str, why: str, as_json: bool) -> None:
    """Give an incident to somebody.

    They are paged at once, and the escalation goes on after them.

    \b
    Examples:
      tocsin incidents reassign 17 kei --why "knows the bank"
    """
    _each(api, (incident,), "reassign", {"person": to, "note": why}, as_json)


@incidents.command()
@click.argument("incident", metavar="NUMBER", type=number)
@click.option("--for", "length", type=duration, metavar="TIME", help="For so long, such as 4h.")
@click.option("--until", type=time, metavar="TIME", help="Until then.")
@why_option
@server_options
@show.json_option
def snooze(api: Api, incident: int, length: int | None, until: int | None, why: str, as_json: bool) -> None:
    """Put an open incident off until a set time.

    Paging begins again then.

    \b
    Examples:
      tocsin incidents snooze 17 --for 4h
      tocsin incidents snooze 17 --until 2026-11-23T08:00 --why "fixed by the morning job"
    """
    if (length is None) == (until is None):
        raise click.UsageError("Say either --for how long or --until when.")
    ends = {"until": format_rfc3339(until)} if until is not None else {"duration": format_duration(length or 0)}
    _each(api, (incident,), "snooze", {**ends, "note": why}, as_json)


@incidents.command()
@click.argument("incident", metavar="NUMBER", type=number)
@click.argument("people", metavar="[PERSON]...", nargs=-1)
@click.option("--team", "teams", metavar="NAME", multiple=True, help="Everyone in a team; may be repeated.")
@why_option
@server_options
@show.json_option
def ask(api: Api, incident: int, people: tuple[str, ...], teams: tuple[str, ...], why: str, as_json: bool) -> None:
    """Ask more people for help with an incident.

    They are paged now; whoever has the incident keeps it.

    \b
    Examples:
      tocsin incidents ask 17 kei
      tocsin incidents ask 17 --team shop --why "all hands"
    """
    if not people and not teams:
        raise click.UsageError("Say whom to ask: a person, or --team NAME.")
    _each(api, (incident,), "responders", {"people": list(people), "teams": list(teams), "note": why}, as_json)


@incidents.command("apply-plan")
@click.argument("incident", metavar="NUMBER", type=number)
@server_options
@show.json_option
def apply_plan(api: Api, incident: int, as_json: bool) -> None:
    """Have an incident follow the plan now in force.

    Without this it follows the plan it was opened under. What nobody has is paged from the first step.

    \b
    Examples:
      tocsin incidents apply-plan 17
    """
    _each(api, (incident,), "apply-plan", {}, as_json)


@incidents.command()
@click.argument("numbers", metavar="NUMBER...", type=number, nargs=-1, required=True)
@click.option(
    "--snooze",
    type=duration,
    metavar="TIME",
    help="While alerts still fire: when they are judged again.  [default: 1h]",
)
@server_options
@show.json_option
def resolve(api: Api, numbers: tuple[int, ...], snooze: int | None, as_json: bool) -> int:
    """Resolve incidents.

    What still fires then is judged again after a while, and pages.

    \b
    Examples:
      tocsin incidents resolve 17
      tocsin incidents resolve 17 --snooze 4h
    """
    body = {} if snooze is None else {"snooze": format_duration(snooze)}
    return _each(api, numbers, "resolve", body, as_json)


@incidents.command()
@click.argument("incident", metavar="NUMBER", type=number)
@click.argument("words", metavar="TEXT...", nargs=-1)
@server_options
@show.json_option
def note(api: Api, incident: int, words: tuple[str, ...], as_json: bool) -> None:
    """Write something on an incident's timeline.

    Without TEXT it is read from stdin.

    \b
    Examples:
      tocsin incidents note 17 "Moved traffic to eu-west"
      kubectl get pods | tocsin incidents note 17
    """
    text = " ".join(words) if words else _stdin()
    if not text.strip():
        raise Refused("A note needs a text.")
    answer = api.write("POST", f"/incidents/{segment(incident)}/notes", {"text": text})
    if as_json:
        show.print_json(answer)
    else:
        show.line(f"Written on the timeline of #{incident}.")


def _stdin() -> str:
    if sys.stdin.isatty():
        raise click.UsageError("Say what to write down, or pipe it in.")
    return sys.stdin.read(100_000).rstrip("\n")


def _each(api: Api, numbers: tuple[int, ...], verb: str, body: dict[str, Any], as_json: bool) -> int:
    """Do it for each incident, whatever became of the others. Returns the exit code: that of the first failure.

    A server that does not answer or takes no orders is not asked again; those left are named.
    """
    done: list[dict[str, Any]] = []
    code = OK
    for place, each in enumerate(numbers, 1):
        try:
            done.append(api.write("POST", f"/incidents/{segment(each)}/{verb}", body))
        except Failure as failure:
            code = code or failure.exit_code
            named = len(numbers) == 1 or f"#{each}" in failure.message
            (failure if named else Failure(f"#{each}: {failure.message}")).show()
            if isinstance(failure, Refused):
                continue
            if numbers[place:]:
                click.echo(f"Not tried: {', '.join(f'#{left}' for left in numbers[place:])}.", err=True)
            break
        if not as_json:
            show.line(f"#{each} {done[-1]['title']}")
            show.line(f"  {standing(done[-1], api.now)}")
    if as_json and (done or len(numbers) > 1):
        show.print_json(done)
    return code
