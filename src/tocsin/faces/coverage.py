"""For every face: what answers each alert rule, as planned and as trusted now, and how often it has come."""

from __future__ import annotations

from typing import NamedTuple

from tocsin.catalog.services import INBOX
from tocsin.faces.answering import in_service
from tocsin.faces.faces import Faces
from tocsin.kernel.instant import DAY, Duration, Instant
from tocsin.plan.model import Plan
from tocsin.playbooks.coverage import Covered, Rule
from tocsin.store.reads import Trouble

LOOKED_BACK: Duration = 90 * DAY


class Answered(NamedTuple):
    """A rule: what answers it as the plan starts each playbook, and ``now``; how many incidents it opened lately."""

    planned: Covered
    now: Covered
    came: int
    last: Instant | None


async def coverage(faces: Faces, plan: Plan | None, now: Instant) -> list[Answered]:
    """Every rule the plan knows of, and every alert that opened an incident in the last 90 days; by service."""
    if plan is None:
        return []
    standings = await faces.read(faces.reads.standings)
    trusted = {(one.service, one.manifest.name): one.rung for one in in_service(plan, standings)}
    troubles = await faces.read(faces.reads.troubles, now - LOOKED_BACK)
    seen = [_rule(one) for one in troubles if one.service in plan.services and one.labels.get("alertname")]
    planned = plan.covered(seen)
    live = plan.covered(seen, lambda service, playbook: trusted[service, playbook])
    known = [*plan.rules(), *seen]
    found = []
    for one, today in zip(planned, live, strict=True):
        rule = next((rule for rule in known if (rule.service, rule.text) == (one.service, one.rule)), None)
        meant = [t for t in troubles if rule and t.service == rule.service and rule.told.items() <= t.labels.items()]
        if (one.service, one.rule) != (INBOX, "any"):
            last = max((trouble.last for trouble in meant), default=None)
            found.append(Answered(one, today, sum(trouble.count for trouble in meant), last))
    return found


def _rule(one: Trouble) -> Rule:
    return Rule(one.service, {"alertname": one.labels["alertname"]}, one.labels, one.severity)
