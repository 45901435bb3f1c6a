"""``tocsin status``."""

from __future__ import annotations

import shlex

import click

from tocsin.cli.client import Api
from tocsin.cli.failure import OK, UNREACHABLE, Failure
from tocsin.cli.place import server_options
from tocsin.cli.show import facts, json_option, line, moment, print_json
from tocsin.cli.text import ago, count

MOST_NAMED = 5


@click.command()
@server_options
@json_option
def status(api: Api, as_json: bool) -> int:
    """Say how the server is.

    Exit code 0 when it is ready and its last self-audit passed, 3 otherwise.

    \b
    Examples:
      tocsin status
      tocsin status --json
    """
    found = api.get("/status")
    audit = found.get("audit") or []
    well = bool(found.get("ready")) and not audit
    if as_json:
        print_json(found)
        return OK if well else UNREACHABLE
    incidents = int(found.get("incidents_open", 0))
    alerts = int(found.get("alerts_live", 0))
    if not found.get("ready"):
        line(f"Tocsin at {api.place.url} is not ready.", "ring")
    elif audit:
        line(f"Tocsin at {api.place.url} runs, but its self-audit found faults.", "ring")
    else:
        line(f"Tocsin at {api.place.url} runs and hears.", "rest")
    if not found.get("paging", True):
        line("Paging is off: nobody is paged.", "held")
    elif found.get("console_only"):
        line("Only the console is paged: nobody of the plan has another way to be reached that counts now.", "held")
    elif moment(found.get("real_channel_proven_at")) is None:
        line("No page by email or webhook has been acknowledged yet, so it is not known that anybody is woken.", "held")
    refused = found.get("plan_refused") or []
    if refused:
        check = shlex.join(["tocsin", "plan", "check", *filter(None, [str(found.get("plan_folder") or "")])])
        line(f"The plan on disk has errors; the last good one is in force. `{check}` says all of:", "ring")
        line(f"  {refused[0]}", "ring")
    unheard = _unheard(api)
    if unheard:
        more = f" and {len(unheard) - MOST_NAMED:,} more" if len(unheard) > MOST_NAMED else ""
        line(f"Not heard from yet: {', '.join(unheard[:MOST_NAMED])}{more}. Is its address in the job?", "held")
    for fault in audit:
        line(f"  {fault}", "ring")
    facts(
        [
            ("open", count(incidents, "incident")),
            ("known", count(alerts, "alert")),
            ("started", ago(moment(found.get("started_at")), api.now)),
            ("audited", ago(moment(found.get("audit_at")), api.now)),
            ("plan", str(found.get("plan_version") or "")[:12]),
            ("version", str(found.get("version") or "")),
        ]
    )
    return OK if well else UNREACHABLE


def _unheard(api: Api) -> list[str]:
    """The heartbeats of the plan of which nothing was ever heard, as far as that can be read now."""
    try:
        found = api.get("/heartbeats")["items"]
    except Failure:  # how the server is can be said without its database
        return []
    return [f"{one['name']} of {one['service']}" for one in found if one["state"] == "new"]
