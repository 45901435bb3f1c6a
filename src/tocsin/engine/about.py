"""Which of an incident's firing alerts a run is there to end."""

from __future__ import annotations

from collections.abc import Mapping, Set

from tocsin.engine import holding
from tocsin.engine.turn import Turn
from tocsin.engine.wanted import Chain
from tocsin.incidents.incident import Incident
from tocsin.playbooks.run import Run


def chains(turn: Turn, incident: Incident) -> Mapping[Chain, Set[int]]:
    """An incident's firing alerts by what answers them."""
    state = turn.state
    firing = turn.members(incident).firing
    return state.wanted.chains(turn.plan, incident, firing, state.alerts, state.counters.alert)


def still_fires(turn: Turn, incident: Incident, run: Run) -> bool:
    """Whether an alert fires that a run is there to end: about its targets, or about nothing a playbook answers.

    Such an alert may be a consequence of any of them: the last run that is left waits for it.
    """
    firing = turn.members(incident).firing
    if run.whole or not firing or not turn.plan.answers.get(incident.service):
        return bool(firing)
    found, mine = chains(turn, incident), set(run.holds)
    for chain, ids in found.items():
        if not ids.isdisjoint(firing) and any(mine.intersection(wish.holds) for wish in chain):
            return True
    alone = not any(one is not run for one in holding.at_work(turn, incident))
    return alone and not firing.isdisjoint(found.get((), frozenset()))


def for_all(turn: Turn, incident: Incident, run: Run) -> bool:
    """Whether a run that a person began is there for all of an incident's alerts: for none is about its targets."""
    mine = set(run.holds)
    return not any(mine.intersection(wish.holds) for chain in chains(turn, incident) for wish in chain)
