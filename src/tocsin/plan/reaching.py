"""What about escalations will probably surprise: steps that ask for more answers than they can get."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tocsin.catalog.people import Team
from tocsin.escalation.policy import Escalation, Step
from tocsin.notation.findings import Findings
from tocsin.oncall.schedule import Schedule
from tocsin.plan import schema as written


def warn_of_answers(
    files: Sequence[written.PlanFile],
    escalations: Mapping[str, Escalation],
    teams: Mapping[str, Team],
    schedules: Mapping[str, Schedule],
    findings: Findings,
) -> None:
    """Say of which steps so many people have to acknowledge that they never page as many."""
    told: set[str] = set()
    for plan in files:
        for (key, _), steps in plan.escalations or ():
            if key in told or key not in escalations:
                continue
            told.add(key)
            for said, step in zip(steps or (), escalations[key].steps, strict=False):
                most = _most(step, teams, schedules)
                if most is None or most >= step.answers:
                    continue
                people = "one person" if most == 1 else f"{most} people"
                message = f"the step asks for {step.answers} acknowledgements and pages {people} at most"
                hint = "the next steps page until there are enough: page a team or a list here, or ask for fewer"
                findings.warning(said.where("until acknowledged by"), message, hint)


def _most(step: Step, teams: Mapping[str, Team], schedules: Mapping[str, Schedule]) -> int | None:
    """How many people a step pages at once at most; None when that is known only where a calendar is read."""
    if step.one:
        return 1
    named: set[str] = set()
    on_call = 0
    for target in step.targets:
        kind, _, name = target.partition(":")
        if kind == "team":
            named |= set(teams[name].members) if name in teams else set()
        elif kind == "person":
            named.add(name)
        else:
            schedule = schedules.get(name.partition(":")[0])
            if schedule is None or schedule.rotas:
                return None
            on_call += max((len(turn) for layer in schedule.layers for turn in layer.turns), default=0)
    return len(named) + on_call
