"""What became of each target of an incident that has several, as one sentence for whoever is paged."""

from __future__ import annotations

from tocsin.engine import about
from tocsin.engine.turn import Turn
from tocsin.incidents.incident import Incident, Work

BEGINS = "By target: "
NAMED = 8
"""So many targets that came to the same are named; the others are counted."""
MOST = 500
_SAID = {
    "": "being worked on",
    "watching": "fixed and verified, its alerts have yet to end",
    "asking": "waits for an answer",
    "verified": "fixed and verified",
    "blocked": "not begun",
    "unmatched": "not meant for it",
    "put_off": "not begun",
    "waits": "waits for its turn",
    "handed_over": "not fixed",
    "not_needed": "nothing to fix there",
    "observed": "only observed",
    "suggested": "a fix is suggested",
    "cancelled": "stopped",
    "overtaken": "over before its end",
    "done": "done",
}


def sentence(turn: Turn, incident: Incident) -> str:
    """What was done on each; "" when it has not two of them."""
    yet = _yet(turn, incident)
    there = [one for one in incident.works.values() if one.targets]
    if len({name for one in there for name in one.targets} | set(yet)) < 2:
        return ""
    groups: dict[str, list[str]] = {}
    for one in there:
        groups.setdefault(_came_to(turn, one), []).append(" and ".join(one.targets))
    for name in yet:
        groups.setdefault("not begun yet", []).append(name)
    said = "; ".join(f"{_named(names)}: {came_to}" for came_to, names in groups.items())
    return f"{BEGINS}{said}"[:MOST]


def tell(turn: Turn, incident: Incident) -> None:
    """Put the sentence behind the weightiest word of what whoever is paged reads, in place of what it said before."""
    kept = tuple(one for one in incident.tried if not one.startswith(BEGINS))
    said = sentence(turn, incident)
    incident.tried = (*kept[:1], said, *kept[1:]) if said else kept


def _came_to(turn: Turn, work: Work) -> str:
    run = turn.state.runs.get(work.run)
    state = run.state if run is not None and run.state in ("watching", "asking") and not work.outcome else work.outcome
    said = f"{_SAID[state]} ({work.playbook}"
    if work.waiting:
        return f"{_SAID[state]} ({work.why[:160]})"
    if work.outcome in ("blocked", "handed_over", "cancelled", "overtaken", "put_off") and work.why:
        return f"{said}: {work.why.removeprefix('handed over: ')[:120]})"
    return f"{said})"


def _named(names: list[str]) -> str:
    more = len(names) - NAMED
    return ", ".join(names[:NAMED]) + (f" and {more} more" if more > 0 else "")


def _yet(turn: Turn, incident: Incident) -> list[str]:
    """The targets that alerts fire about and code has not begun with."""
    found, firing = about.chains(turn, incident), turn.members(incident).firing
    known = {(one.playbook, one.targets) for one in incident.works.values()}
    names: dict[str, None] = {}
    for chain, ids in found.items():
        if chain and not ids.isdisjoint(firing) and not any((one.playbook, one.names) in known for one in chain):
            names |= dict.fromkeys(chain[0].names)
    return sorted(names)
