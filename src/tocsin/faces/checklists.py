"""The checklists of an incident, with who did which step: what every face shows of them."""

from __future__ import annotations

from typing import NamedTuple

from tocsin.incidents.incident import Incident
from tocsin.plan.model import Plan
from tocsin.playbooks.checklist import Shown, shown


class OnIncident(NamedTuple):
    """One checklist as it stands on an incident."""

    name: str
    title: str
    steps: list[Shown]

    @property
    def done(self) -> int:
        """How many of its steps are ticked."""
        return sum(one.tick is not None for one in self.steps)


def on_incident(plan: Plan | None, incident: Incident) -> list[OnIncident]:
    """The checklists that are for an incident, or were begun for it, in the order of its service's playbooks.

    One that came into the plan after it opened is among them while it is open.
    """
    known = plan.checklists if plan is not None else {}
    named = plan.answers.get(incident.service, ()) if plan is not None and incident.open else ()
    later = [name for name in named if name in known and known[name].matches(incident.labels, incident.severity)]
    found = []
    for name in dict.fromkeys((*incident.checklists, *incident.ticks, *later)):
        steps = shown(known.get(name), incident.ticks.get(name, {}))
        if steps:
            found.append(OnIncident(name, known[name].title if name in known else name, steps))
    return found
