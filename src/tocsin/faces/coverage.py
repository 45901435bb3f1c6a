"""For every face: what answers each alert rule, as planned and as trusted now, and how often it has come."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
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
    return await asyncio.to_thread(_answered, plan, troubles, trusted)  # of thousands it takes a while


def _answered(plan: Plan, troubles: list[Trouble], trusted: Mapping[tuple[str, str], str]) -> list[Answered]:
    counts, seen = _counted(plan.rules(), [one for one in troubles if one.service in plan.services])
    planned = plan.covered(seen)
    live = plan.covered(seen, lambda service, playbook: trusted[service, playbook])
    found = []
    for one, today in zip(planned, live, strict=True):
        if (one.service, one.rule) != (INBOX, "any"):
            meant = counts.get((one.service, one.rule), [])
            last = max((trouble.last for trouble in meant), default=None)
            found.append(Answered(one, today, sum(trouble.count for trouble in meant), last))
    return found


Counts = dict[tuple[str, str], list[Trouble]]
"""What has come of a rule, by its service and text."""


def _counted(rules: list[Rule], troubles: list[Trouble]) -> tuple[Counts, list[Rule]]:
    """What has come of each rule, and the rules of what none of these is about: by its name, as the newest one was."""
    known: dict[tuple[str, str], list[Rule]] = {}
    for rule in rules:
        known.setdefault((rule.service, rule.told.get("alertname", "")), []).append(rule)
    counts: Counts = {}
    seen: dict[tuple[str, str], Rule] = {}
    for one in troubles:  # newest first
        named = one.labels.get("alertname", "")
        about = [rule for name in {named, ""} for rule in known.get((one.service, name), [])]
        meant = [rule for rule in about if rule.told.items() <= one.labels.items()]
        if not meant and named:
            meant = [seen.setdefault((one.service, named), _rule(one))]
        for rule in meant:
            counts.setdefault((rule.service, rule.text), []).append(one)
    return counts, list(seen.values())


def _rule(one: Trouble) -> Rule:
    return Rule(one.service, {"alertname": one.labels["alertname"]}, one.labels, one.severity)
