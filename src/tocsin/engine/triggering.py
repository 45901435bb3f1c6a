"""Runs that another program asks for, with the key of a trigger in the plan.

It is no person: it allows no fix, so trust decides as for an incident; and what it began and cannot finish is heard of.
"""

from __future__ import annotations

from tocsin.engine import answering, commands, guarding
from tocsin.engine.commands import Result
from tocsin.engine.starting import wrong_args
from tocsin.engine.turn import Turn
from tocsin.kernel.reason import Reason
from tocsin.playbooks.run import Run
from tocsin.playbooks.targets import Unbound, bind


def pull(turn: Turn, command: commands.PullTrigger) -> Result:
    """Begin the trigger's playbook on the target that is meant; while it runs there already, answer with that run."""
    place = (command.service, command.trigger)
    trigger = next((one for one in turn.plan.triggers if (one.service, one.name) == place), None)
    manifest = turn.plan.playbooks.get(trigger.playbook) if trigger is not None else None
    if trigger is None or manifest is None or trigger.playbook not in turn.plan.answers.get(trigger.service, ()):
        return commands.refuse("not_found", f"The plan has no trigger {command.trigger} of {command.service} any more")
    stray = next((name for name in command.args if name not in trigger.takes), None)
    if stray is not None:
        known = ", ".join(trigger.takes) or "none"
        return commands.refuse("invalid", f"The sender may not set {stray}; it may set {known}", "args")
    wrong = wrong_args(manifest, command.args)
    if wrong:
        return commands.refuse("invalid", wrong, "args")
    bound = bind(manifest, trigger.service, turn.plan.bindings, command.labels or None, trigger.targets)
    if isinstance(bound, Unbound):
        return commands.refuse("invalid", f"No target fits: {bound.why}", "labels")
    meant = (manifest.name, trigger.service, bound, command.args)
    under_way = next((one for one in turn.state.runs.values() if one.live and _what(one) == meant), None)
    if under_way is not None:
        turn.count("runs", Reason.GUARD_LOCK)
        return Result(ok=True, reason=Reason.GUARD_LOCK, id=str(under_way.number))
    run = answering.make(
        turn, manifest, trigger.service, bound, labels=command.labels, by=command.actor, args=command.args
    )
    no = guarding.guarded(turn, manifest, run)
    if no is not None:
        answering.refuse(turn, run, no)
        return commands.refuse("conflict", f"Not now: {no.why}")
    answering.begin(turn, run, None)
    return Result(ok=True, reason=Reason.PLAYBOOK_RUNS, id=str(run.number))


def _what(run: Run) -> tuple[str, str, dict[str, str], dict[str, str]]:
    return run.playbook, run.service, run.targets, run.args
