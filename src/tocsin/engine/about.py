"""Which of an incident's firing alerts a run is there to end."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set
from typing import NamedTuple

from tocsin.engine import holding
from tocsin.engine.turn import Turn
from tocsin.engine.wanted import Chain, key_of
from tocsin.incidents.incident import Incident
from tocsin.kernel.identity import label_text
from tocsin.playbooks.run import Run


def chains(turn: Turn, incident: Incident) -> Mapping[Chain, Set[int]]:
    """An incident's firing alerts by what answers them."""
    state = turn.state
    firing = turn.members(incident).firing
    return state.wanted.chains(turn.plan, incident, firing, state.alerts, state.counters.alert)


def wanting(turn: Turn, incident: Incident, keys: Iterable[str]) -> Mapping[Chain, Set[int]]:
    """Those of an incident's firing alerts that are answered by what has one of these keys: in a storm few of all."""
    state = turn.state
    firing = turn.members(incident).firing
    return state.wanted.wanting(keys, turn.plan, incident, firing, state.alerts, state.counters.alert)


class Fires(NamedTuple):
    """What an incident's firing alerts ask for: ``keys`` of wishes, the ``locks`` of their targets. ``others``: some
    fire that no playbook answers.
    """

    keys: Set[str]
    locks: Set[str]
    others: bool


def fires(turn: Turn, incident: Incident) -> Fires:
    """What is asked for now, by silenced alerts too."""
    firing = turn.members(incident).firing
    there = [chain for chain, ids in chains(turn, incident).items() if not ids.isdisjoint(firing)]
    wishes = {wish for chain in there for wish in chain}
    return Fires({wish.key for wish in wishes}, {lock for wish in wishes for lock in wish.holds}, () in there)


def still_fires(turn: Turn, incident: Incident, run: Run, found: Fires | None = None) -> bool:
    """Whether an alert fires that a run is there to end: one that its playbook answers with its targets, for a run that
    a person began any about these; or one that no playbook answers. ``found``: what fires, where it is known.

    Such an alert may be a consequence of any of them: the last run that is left waits for it.
    """
    firing = turn.members(incident).firing
    if run.whole or not firing or not turn.plan.answers.get(incident.service):
        return bool(firing)
    found = found or fires(turn, incident)
    if key_of(run.playbook, run.targets.values()) in found.keys:
        return True
    if not run.by_hand and _same_labels(turn, firing, run):
        return True
    if run.by_hand and not found.locks.isdisjoint(run.holds):
        return True
    return found.others and not any(one is not run for one in holding.at_work(turn, incident))


def began_for(turn: Turn, incident: Incident, run: Run) -> set[int]:
    """The firing alerts that a run of code is there to end: what its playbook answers with its targets, and the one it
    began for.
    """
    firing, key = turn.members(incident).firing, key_of(run.playbook, run.targets.values())
    there = chains(turn, incident).items()
    meant = {id for chain, ids in there if any(wish.key == key for wish in chain) for id in ids}
    return (meant & firing) | _same_labels(turn, firing, run)


def _same_labels(turn: Turn, firing: Set[int], run: Run) -> set[int]:
    """The alert it began for, if it still fires, though today it is asked of others, or of nobody."""
    alerts = turn.state.alerts
    text = label_text(run.labels)
    return {id for id in firing if bytes(alerts[id].labels_json) == text}


def for_all(turn: Turn, incident: Incident, run: Run) -> bool:
    """Whether a run that a person began is there for all of an incident's alerts: for none is about its targets."""
    mine, firing = set(run.holds), turn.members(incident).firing
    there = (chain for chain, ids in chains(turn, incident).items() if not ids.isdisjoint(firing))
    return not any(mine.intersection(wish.holds) for chain in there for wish in chain)
