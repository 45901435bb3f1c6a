"""A run that no open incident hears of and that a person must know of: an incident of its own, tied to the run.

Tied, its room shows what the run did, and whoever was called has it go on from there.
"""

from __future__ import annotations

from tocsin.engine import answering, ending, hearing, midst
from tocsin.engine.turn import Turn
from tocsin.kernel.reason import Reason
from tocsin.playbooks.run import Run

NAME = "PlaybookFailed"


def tell(turn: Turn, run: Run, why: str) -> None:
    """Open an incident that says what became of a run, or join the one of the same playbook and targets."""
    key = f"{_trouble(run)}#{run.number}"
    hearing.own_event(
        turn,
        run.service,
        key,
        f"{run.playbook} could not finish: {why}"[:300],
        "error",
        {"playbook": run.playbook},
        annotations={"findings": "\n".join(run.findings)[:2000]},
        name=NAME,
    )
    alert = ending.own_alert(turn, turn.plan.service(run.service).key, key)
    incident = turn.state.incidents.get(alert.incident) if alert is not None else None
    if incident is None:
        return
    if run.incident not in (0, incident.number):
        where = f"Run {run.number} of {run.playbook} is told of by incident #{incident.number}, and goes on from there"
        turn.enter(run.incident, where, Reason.HANDED_OVER, run=str(run.number))
    run.incident = incident.number
    turn.save_run(run)
    incident.run = run.number
    conclusion, *rest = answering.found(run, f"{run.playbook} could not finish: {why}")
    answering.note(incident, conclusion, *answering.changed_nothing(turn, run, incident), *rest)
    answering.call_first(turn, run, incident)
    midst.tell(turn, run)
    turn.save_incident(incident)


def made_good(turn: Turn, run: Run) -> None:
    """A run has verified what an earlier one of its playbook, on the same targets, could not: that is over."""
    incident = turn.state.incidents.get(run.incident)
    for id in sorted(turn.members(incident).firing) if incident is not None else ():
        alert = turn.state.alerts[id]
        if alert.source == ending.OWN and alert.key.startswith(f"{_trouble(run)}#"):
            ending.resolve(turn, alert, Reason.PLAYBOOK_VERIFIED)


def _trouble(run: Run) -> str:
    """What makes failed runs alike; ``incidents.routes`` groups by it. The names of targets have no such signs."""
    return f"playbook:{run.playbook}:{','.join(sorted(run.targets.values()))}"
