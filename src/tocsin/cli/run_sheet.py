"""A run as a command prints it: what it came to and why, and its steps."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from tocsin.cli import show
from tocsin.cli.text import person, stamp


def because(one: dict[str, Any]) -> str:
    """Why it came to what it did, without what it came to: that stands beside it."""
    return str(one["why"]).removeprefix("handed over: ")


def print_run(one: dict[str, Any], as_json: bool) -> None:
    """Print a run, with its steps when they were asked for."""
    if as_json:
        show.print_json(one)
        return
    state = str(one["outcome"] or one["state"]).replace("_", " ")
    about = f" for incident #{one['incident']}" if one["incident"] else ""
    show.heading(f"Run {one['number']} of {one['playbook']}{about}: {state}")
    if one["why"]:
        show.line(because(one))
    if one["continues"]:
        how = f"Continues run {one['continues']} at step {one['from_step']}"
        show.line(f"{how if one['from_step'] else 'Repeats run ' + str(one['continues'])}: {one['because']}")
    for heading, said in (("Suggested next", one["advice"]), ("Suspected change", one["suspected"])):
        if said:
            show.line(f"{heading}: {said}")
    for said in one["measured"]:
        show.line(f"Measured: {said}")
    for step in _steps(one):
        show.line(step)
    for said in one.get("found", ()):
        show.line(f"Found: {said}")
    if one["resumed"]:
        show.line(f"It goes on as run {one['resumed']}")
    if one["taken_by"]:
        until = stamp(show.moment(one["taken_until"]))
        show.line(f"{person(one['taken_by'])} works on its targets by hand until {until}")
    if one.get("left_in_midst"):
        where = " and ".join(one["targets"].values()) or one["service"]
        show.line(f"It left {where} in the midst of a change: code asks before it changes that again.")
        show.line("    To end that, continue, repeat or take over this run or, once you have looked:")
        show.line(f"    tocsin playbook give-back {one['number']}", "mute")
    if one["would"]:
        show.line(f"It would have done {one['would']}: {one['agreed_how'] or 'nobody has said yet what was done'}")
    if one["outcome"] in ("suggested", "observed"):
        it = f"{one['playbook']} ask --service {one['service']}"
        show.line(f"It is not trusted to do that. To let it ask: tocsin playbook trust {it} --why …", "mute")
    if one["approval"] is not None:
        asked = one["approval"]
        show.line(f"Asks: {asked['question']} ({' or '.join(asked['choices'])}; without an answer {asked['default']})")
        if asked["does"]:
            show.line(f"    in code: {asked['fix']}{'; to undo it: ' + asked['undo'] if asked['undo'] else ''}")
        show.line(f"    tocsin playbook answer {one['number']} {asked['choices'][0]} --step {asked['step']}", "mute")


def _steps(one: dict[str, Any]) -> Iterable[str]:
    for step in one.get("steps", ()):
        short = ".".join(str(step["function"]).rsplit(".", 2)[-2:])
        came_to = step["said"] or step["error"] or step["state"]
        did = f"{step['verb']} {short}({step['arguments']})" if step["verb"] != "when" else "asked its own rule"
        yield f"{step['ordinal']:3}. {did}: {came_to}"
