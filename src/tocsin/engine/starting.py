"""Runs that no incident begins, and what playbooks are trusted with: by hand, by a schedule, by the plan."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

import msgspec
from cronsim import CronSim

from tocsin.access.actors import called
from tocsin.access.credentials import may
from tocsin.engine import about, answering, choosing, commands, guarding, holding, queuing, standings
from tocsin.engine.commands import Result
from tocsin.engine.turn import Turn
from tocsin.incidents.incident import Incident
from tocsin.kernel.instant import HOUR, Duration, Instant, from_datetime, say_duration, to_datetime
from tocsin.kernel.reason import Reason
from tocsin.playbooks import trust
from tocsin.playbooks.left import Blocked
from tocsin.playbooks.manifest import RUNGS, Manifest
from tocsin.playbooks.targets import Unbound, bind
from tocsin.playbooks.trust import Standing

LATEST: Final[Duration] = HOUR
"""So long after it was due a schedule's run is begun still."""


def start(turn: Turn, command: commands.StartRun) -> Result:
    """A person has a playbook run. Asking for it is allowing its fixes, when they are in the role for that."""
    manifest = turn.plan.playbooks.get(command.playbook)
    if command.playbook in turn.plan.checklists:
        return commands.refuse("invalid", f"{command.playbook} is a checklist: people tick its steps", "playbook")
    if manifest is None:
        return commands.refuse("not_found", f"The plan has no playbook {command.playbook!r}", "playbook")
    incident = turn.state.incidents.get(command.incident) if command.incident else None
    if command.incident and (incident is None or not incident.open):
        return commands.refuse("conflict", f"Incident #{command.incident} is not open", "incident")
    service = incident.service if incident is not None else command.service
    if command.service and command.service != service:
        return commands.refuse("invalid", f"Incident #{command.incident} is of {service}", "service")
    if not service:
        return commands.refuse("invalid", "Say which service or incident it is for", "service")
    if command.playbook not in turn.plan.answers.get(service, ()):
        return commands.refuse("invalid", f"The service {service} does not use {command.playbook}", "service")
    at_it = holding.busy(turn, incident) if incident is not None else None
    if at_it is not None:
        return commands.refuse("conflict", f"Run {at_it.number} of {at_it.playbook} works on it: stop that first")
    labels = _labels_meant(turn, incident, manifest, command.targets)
    if isinstance(labels, Unbound):
        return commands.refuse("invalid", labels.why, "targets")
    bound = bind(manifest, service, turn.plan.bindings, labels, command.targets)
    if isinstance(bound, Unbound):
        return commands.refuse("invalid", f"No target fits: {bound.why}", "targets")
    wrong = wrong_args(manifest, command.args)
    if wrong:
        return commands.refuse("invalid", wrong, "args")
    run = answering.make(
        turn, manifest, service, bound, incident=incident, labels=labels, by=command.actor, args=command.args
    )
    no = guarding.guarded(turn, manifest, run)
    if no is not None:
        answering.refuse(turn, run, no)
        return commands.refuse("conflict", f"Not now: {no.why}")
    if may(command.role, manifest.trust.approve):
        run.approved_by, run.approved_all = command.actor, True
    queuing.say_who_is_beside(turn, run)
    answering.begin(turn, run, incident if incident is not None and incident.state == "triggered" else None)
    if incident is not None:
        run.whole = about.for_all(turn, incident, run)
        answering.record(turn, incident, run)
    return Result(ok=True, reason=Reason.PLAYBOOK_RUNS, id=str(run.number))


def _labels_meant(
    turn: Turn, incident: Incident | None, manifest: Manifest, named: Mapping[str, str]
) -> Mapping[str, str] | Unbound | None:
    if incident is None:
        return None
    return choosing.meant(turn, incident, manifest, named) or incident.labels


def wrong_args(manifest: Manifest, args: Mapping[str, str]) -> str:
    """What is wrong with parameters; "" when nothing is."""
    kinds = {one.name: one for one in manifest.params if not one.target}
    types: dict[str, type] = {"text": str, "number": float, "whole number": int, "flag": bool}
    for name, raw in args.items():
        if name not in kinds:
            return f"The playbook {manifest.name} has no parameter {name}"
        try:
            msgspec.json.decode(raw, type=types[kinds[name].kind])
        except (msgspec.MsgspecError, KeyError):
            return f"The parameter {name} is a {kinds[name].kind}"
    missing = [name for name, one in kinds.items() if not one.default and name not in args]
    return f"The playbook {manifest.name} needs {' and '.join(missing)}" if missing else ""


def set_trust(turn: Turn, command: commands.SetTrust) -> Result:
    """A person with the role says what a playbook is trusted with, and why."""
    manifest = turn.plan.playbooks.get(command.playbook)
    if manifest is None or command.playbook not in turn.plan.answers.get(command.service, ()):
        return commands.refuse(
            "not_found", f"The service {command.service} does not use a playbook {command.playbook!r}"
        )
    if command.rung not in RUNGS:
        return commands.refuse("invalid", f"Trust is one of {', '.join(RUNGS)}", "rung")
    if RUNGS.index(command.rung) > RUNGS.index(manifest.trust.ceiling):
        return commands.refuse("invalid", f"The plan lets it go no higher than {manifest.trust.ceiling}", "rung")
    if not command.why.strip() or len(command.why) > 300:
        return commands.refuse("invalid", "Say why, in up to 300 characters", "why")
    if not may(command.role, manifest.trust.approve):
        return commands.refuse("forbidden", "The playbook wants an admin for that")
    standing = standings.standing_of(turn, manifest, command.service)
    who = called(command.actor, turn.plan.names)
    trust.move(standing, command.rung, f"{who}: {command.why.strip()}", turn.now)
    turn.save_standing(standing)
    standings.judge_anew(turn, standing)
    turn.count("trust", Reason.TRUST_SET)
    return Result(ok=True, reason=Reason.TRUST_SET, id=command.rung)


# -- the plan, and schedules -------------------------------------------------------------------------------------------


def plan_changed(turn: Turn) -> list[str]:
    """A playbook whose code or targets mean something else, or that the plan starts lower, is trusted less; schedules
    that are new count from now. Says which fell, and how to put them back as far as their ceiling lets them.
    """
    fell = []
    for service, names in turn.plan.answers.items():
        for name in names:
            manifest = turn.plan.playbooks.get(name)
            if manifest is None:
                continue
            standing = standings.standing_of(turn, manifest, service)
            was = standing.rung
            kinds = {param.kind for param in manifest.targets}
            there = [one for one in turn.plan.bindings.of(service).values() if one.kind in kinds]
            why = trust.edited(manifest, standing, there, turn.now)
            if why:
                turn.count("trust", Reason.TRUST_FELL)
                said = f"{name} of {service} is trusted to {standing.rung} now, not to {was}: {why}"
                back = min(was, manifest.trust.ceiling, key=RUNGS.index)
                if back != standing.rung:
                    said += f". To put it back: tocsin playbook trust {name} {back} --service {service} --why …"
                fell.append(said)
            _schedule(turn, manifest, standing)
            turn.save_standing(standing)
    for (service, name), standing in turn.state.standings.items():
        if standing.next_at is not None and name not in turn.plan.answers.get(service, ()):
            standing.next_at, standing.schedule = None, ""
            turn.save_standing(standing)
    return fell


def _schedule(turn: Turn, manifest: Manifest, standing: Standing) -> None:
    """A schedule that is as it was keeps its time, also one that passed while Tocsin was down. In the row of an older
    version it is not said which it was: it is taken for the one of now.
    """
    said = f"{manifest.schedule} {manifest.timezone}" if manifest.schedule else ""
    kept = standing.next_at is not None and standing.schedule in ("", said)
    standing.schedule = said
    if said and kept:
        return
    standing.next_at = _next(manifest, turn.now) if said else None


def _next(manifest: Manifest, after: Instant) -> Instant:
    local: datetime = to_datetime(after).astimezone(ZoneInfo(manifest.timezone))
    return from_datetime(next(CronSim(manifest.schedule, local)))


def scheduled(turn: Turn, id: str) -> None:
    """A playbook's schedule says that it is time: once for each target of its kind. What was due while Tocsin was down
    is begun once, late; when that is long ago it is written down that it was not begun.
    """
    service, _, name = id.partition("/")
    standing = turn.state.standings[service, name]
    manifest = turn.plan.playbooks.get(name)
    due, standing.next_at = standing.next_at, None
    late = turn.now - due if due is not None else 0
    missed = Blocked(Reason.SCHEDULE_MISSED, f"it was due {say_duration(late)} ago, when Tocsin was down")
    if manifest is not None and manifest.schedule:
        standing.next_at = _next(manifest, turn.now)
        for wanted in _each_target(turn, manifest, service):
            bound = bind(manifest, service, turn.plan.bindings, None, wanted)
            if isinstance(bound, Unbound):
                run = answering.make(turn, manifest, service, {}, by="schedule")
                answering.refuse(turn, run, Blocked(Reason.NO_TARGET, bound.why))
                continue
            run = answering.make(turn, manifest, service, bound, by="schedule")
            no = missed if late > LATEST else guarding.guarded(turn, manifest, run)
            if no is not None:
                answering.refuse(turn, run, no)
            else:
                answering.begin(turn, run, None)
    turn.save_standing(standing)


def _each_target(turn: Turn, manifest: Manifest, service: str) -> list[dict[str, str]]:
    if len(manifest.targets) != 1:
        return [{}]
    param = manifest.targets[0]
    return [
        {param.name: one.name} for one in turn.plan.bindings.of(service).values() if one.kind == param.kind
    ] or [{}]
