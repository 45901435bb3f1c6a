"""How a playbook stands with a service, which run is meant, which incident it answers, and how a step is called."""

from __future__ import annotations

from typing import Final

from tocsin.engine.commands import Result, refuse
from tocsin.engine.turn import Turn
from tocsin.incidents.incident import Incident
from tocsin.kernel.instant import SECOND, say_duration
from tocsin.kernel.reason import Reason
from tocsin.playbooks.manifest import Manifest, Rung
from tocsin.playbooks.run import Run
from tocsin.playbooks.trust import START, Standing

AT: Final = {"look": "in its look", "fix": "in its fix", "verify": "verifying"}


def standing_of(turn: Turn, manifest: Manifest, service: str) -> Standing:
    """How a playbook stands with a service; where its plan starts it when it is new."""
    found = looked_up(turn, manifest, service)
    if (service, manifest.name) not in turn.state.standings:
        turn.state.standings[service, manifest.name] = found
        turn.save_standing(found)
    return found


def looked_up(turn: Turn, manifest: Manifest, service: str) -> Standing:
    """The same, and nothing is kept of it when it is new."""
    return turn.state.standings.get((service, manifest.name)) or Standing(
        service=service,
        playbook=manifest.name,
        rung=manifest.trust.start,
        meaning=manifest.meaning,
        since=turn.now,
        because=START,
    )


def taken(turn: Turn, run: Run, standing: Standing, was: Rung, moved: Reason | None) -> None:
    """Keep what a run did to how its playbook stands. A rung that ``moved`` from what it ``was`` is told on the
    timeline of the incident the run answers.
    """
    turn.save_standing(standing)
    if moved is not None:
        judge_anew(turn, standing)
    incident = incident_of(turn, run)
    if moved is not None and incident is not None:
        what = f"{run.playbook} is now trusted to {standing.rung}, was {was}: {standing.because}"
        turn.enter(incident.number, what, moved, run=str(run.number))


def judge_anew(turn: Turn, standing: Standing) -> None:
    """A playbook is trusted with something else: so is what waits for its turn, and pages with it or not."""
    for number in sorted(turn.state.waiting):
        incident = turn.state.incidents[number]
        if incident.service == standing.service:
            turn.touch(number)


def incident_of(turn: Turn, run: Run) -> Incident | None:
    """The incident a run answers, while it is in memory."""
    return turn.state.incidents.get(run.incident) if run.incident else None


def known(turn: Turn, number: int) -> Run | Result:
    """A run that is kept in mind; else the refusal that says so."""
    run = turn.state.runs.get(number)
    if run is not None:
        return run
    if 0 < number <= turn.state.counters.run:
        return refuse("conflict", f"Run {number} is over and closed")
    return refuse("not_found", f"There is no run {number}")


def under_way(turn: Turn, run: Run) -> str:
    """In which step its process is, as the end of a sentence; "" between two."""
    steps = turn.state.steps.get(run.number, {}).values()
    at = next((one for one in steps if one.state == "begun" and one.attempt == run.attempt and one.verb in AT), None)
    if at is None:
        return ""
    lasted = say_duration(max(SECOND, (turn.now - at.began_at) // SECOND * SECOND))
    return f": it was {AT[at.verb]} {short(at.function)}({at.shown}) for {lasted}"


def short(function: str) -> str:
    """A function as people say it: ``redis.memory`` for ``tocsin.library.redis.memory``."""
    return ".".join(function.rsplit(".", 2)[-2:])
