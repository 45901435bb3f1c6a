"""What was changed out there around an incident: its service's changes, and those of what it needs."""

from __future__ import annotations

from typing import NamedTuple

from tocsin.engine.suspecting import BEFORE
from tocsin.incidents.incident import Incident
from tocsin.kernel.instant import Instant
from tocsin.plan.model import Plan


class Around(NamedTuple):
    """Which changes are told beside an incident, as ``Reads.changes`` takes them."""

    services: tuple[str, ...]
    since: Instant
    until: Instant | None


def around(incident: Incident, plan: Plan | None) -> Around:
    """From an hour before it opened until it was resolved, on its service and all that this needs."""
    services = plan.with_needs(incident.service) if plan is not None else (incident.service,)
    return Around(services, incident.opened_at - BEFORE, incident.resolved_at)
