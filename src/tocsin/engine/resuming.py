"""After a hand-over: a person continues a run from a step, repeats it, or takes its targets over.

A continued run is a new one: it has a number of its own, guards count it, and it begins with the steps of the old one
up to the chosen one. What may have been changed already is changed again only when a probe or a person says so.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import structs

from tocsin.access.actors import called, same
from tocsin.access.credentials import may
from tocsin.engine import about, answering, commands, guarding, holding, midst, queuing, running, settling, standings
from tocsin.engine.commands import Result
from tocsin.engine.turn import Turn
from tocsin.incidents.incident import Incident
from tocsin.kernel.instant import HOUR, Duration, say_duration
from tocsin.kernel.reason import Reason
from tocsin.playbooks.manifest import Manifest
from tocsin.playbooks.resuming import MOST_WHY, RESUMABLE, Resumed, Unresumable, resume_at, says_why
from tocsin.playbooks.run import Run, Step
from tocsin.playbooks.targets import Unbound, bind

TAKEN_FOR: Duration = 4 * HOUR
"""So long at most a target is its person's: whoever forgets to give it back does not keep code away for ever."""


def resume(turn: Turn, command: commands.ResumeRun) -> Result:
    """Begin a run that continues another one, or repeats it. Asking for it is allowing its fixes, for whoever may."""
    run = standings.known(turn, command.run)
    if isinstance(run, Result):
        return run
    found = _resumable(turn, run, command)
    if isinstance(found, Result):
        return found
    manifest, incident, resumed = found
    new = answering.make(
        turn, manifest, run.service, run.targets, incident=incident, labels=run.labels, by=command.actor, args=run.args
    )
    new.continues, new.from_step, new.because = run.number, command.step, command.why.strip()
    new.doubt, new.again, new.helped = resumed.doubt, resumed.again, resumed.helped
    new.stood = standings.standing_of(turn, manifest, run.service).rung
    if may(command.role, manifest.trust.approve):
        new.approved_by, new.approved_all = command.actor, True
        new.rung = answering.rung_of(turn, manifest, new)
    no = guarding.guarded(turn, manifest, new)
    if no is not None:
        answering.refuse(turn, new, no)
        return commands.refuse("conflict", f"Not now: {no.why}")
    for step in resumed.steps:
        turn.save_step(structs.replace(step, run=new.number))
    new.fixes = new.carried = sum(step.may_have_changed for step in resumed.steps)
    new.prove(resumed.steps)  # what an earlier run changed is this one's to verify
    run.resumed = new.number
    turn.save_run(run)
    reason = Reason.RUN_CONTINUED if command.step else Reason.RUN_REPEATED
    if incident is not None:
        did = f"Continues run {run.number} from step {command.step}" if command.step else f"Repeats run {run.number}"
        what = f"{did} of {run.playbook} as run {new.number}: {new.because}"
        turn.enter(incident.number, what, reason, command.actor, run=str(new.number))
    queuing.say_who_is_beside(turn, new)
    answering.begin(turn, new, incident if incident is not None and incident.state == "triggered" else None)
    if incident is not None:
        new.whole = about.for_all(turn, incident, new)
        answering.record(turn, incident, new)
    return Result(ok=True, reason=reason, id=str(new.number))


def _resumable(
    turn: Turn, run: Run, command: commands.ResumeRun
) -> tuple[Manifest, Incident | None, Resumed] | Result:
    if run.live:
        return commands.refuse("conflict", f"Run {run.number} is not over: stop it first")
    if run.outcome not in RESUMABLE:
        came_to = run.outcome.replace("_", " ")
        which = "only one that was handed over or stopped, or suggests, goes on"
        return commands.refuse("conflict", f"Run {run.number} came to {came_to}: {which}")
    if run.resumed:
        return commands.refuse("conflict", f"Run {run.number} goes on as run {run.resumed}: continue that one")
    wrong = _unsaid(command.why)
    if wrong is not None:
        return wrong
    manifest = turn.plan.playbooks.get(run.playbook)
    if manifest is None or run.playbook not in turn.plan.answers.get(run.service, ()):
        return commands.refuse("conflict", f"The service {run.service} does not use {run.playbook} any more")
    incident = standings.incident_of(turn, run)
    if run.incident and (incident is None or not incident.open):
        return commands.refuse("conflict", f"Incident #{run.incident} is not open")
    at_it = holding.busy(turn, incident) if incident is not None else None
    if at_it is not None:
        return commands.refuse("conflict", f"Run {at_it.number} of {at_it.playbook} works on it: stop that first")
    bound = bind(manifest, run.service, turn.plan.bindings, None, run.targets)
    if isinstance(bound, Unbound):
        return commands.refuse("conflict", f"No target fits any more: {bound.why}")
    who = called(command.actor, turn.plan.names)
    resumed = resume_at(run, _own(command, run), command.step, command.word, who, turn.now)
    if isinstance(resumed, Unresumable):
        return commands.refuse(resumed.code, resumed.why, resumed.field)
    return manifest, incident, resumed


def _own(command: commands.ResumeRun, run: Run) -> Sequence[Step]:
    return sorted((one for one in command.recorded if one.run == run.number), key=lambda one: one.ordinal)


def _unsaid(why: str) -> Result | None:
    if not says_why(why):
        return commands.refuse("invalid", f"Say why, in up to {MOST_WHY} printable characters", "why")
    return None


# -- a person works on it ----------------------------------------------------------------------------------------------


def take_over(turn: Turn, command: commands.TakeOverRun) -> Result:
    """A person does it by hand: the run stops, they have its incident, and code changes nothing on its targets."""
    run = standings.known(turn, command.run)
    if isinstance(run, Result):
        return run
    wrong = _unsaid(command.why)
    if wrong is not None:
        return wrong
    held = next((one for one in guarding.claims_on(turn, run) if not same(one.taken_by, command.actor)), None)
    if held is not None:
        who = called(held.taken_by, turn.plan.names)
        why = f"{who} works on it already: it has to be given back first (run {held.number})"
        return commands.refuse("conflict", why)
    incident = standings.incident_of(turn, run)
    if run.incident and (incident is None or not incident.open):
        return commands.refuse("conflict", f"Incident #{run.incident} is not open")
    if incident is not None and not (
        incident.state == "acknowledged" and same(incident.acknowledged_by, command.actor)
    ):
        settling.answer(turn, incident, command.actor, None)  # before the run ends: nobody else is paged for that
    if run.live:
        running.stop_for(turn, run, f"taken over by {called(command.actor, turn.plan.names)}")
    _claim(turn, run, command.actor)
    if incident is not None:
        on = " and ".join(run.targets.values()) or run.service
        what = f"Works on {on} by hand, for at most {say_duration(TAKEN_FOR)}: {command.why.strip()}"
        turn.enter(incident.number, what, Reason.RUN_TAKEN_OVER, command.actor, run=str(run.number))
        turn.save_incident(incident)
        turn.touch(incident.number)
    turn.count("runs", Reason.RUN_TAKEN_OVER)
    return Result(ok=True, reason=Reason.RUN_TAKEN_OVER, id=str(run.number))


def _claim(turn: Turn, run: Run, actor: str) -> None:
    """An older claim goes into this one only when this covers all of it, and for as long: the same incident's."""
    for older in list(guarding.claims_on(turn, run)):
        if older is not run and older.incident == run.incident and set(older.holds) <= set(run.holds):
            older.taken_until = None
            turn.save_run(older)
    run.taken_by, run.taken_until = actor, turn.now + TAKEN_FOR
    turn.save_run(run)
    midst.goes_on(turn, run, actor)


def give_back(turn: Turn, command: commands.GiveBackRun) -> Result:
    """Nobody works on a run's targets by hand any more."""
    run = standings.known(turn, command.run)
    if isinstance(run, Result):
        return run
    taken = run.taken_until is not None and run.taken_until > turn.now
    if not taken and not midst.given_back(turn, run, command.actor):
        why = f"Nobody has taken over run {run.number}, and it left nothing in the midst of a change"
        return commands.refuse("conflict", why)
    run.taken_until = None
    turn.save_run(run)
    incident = standings.incident_of(turn, run)
    if incident is not None:
        turn.enter(incident.number, _given_back(turn, run), Reason.RUN_GIVEN_BACK, command.actor)
    turn.count("runs", Reason.RUN_GIVEN_BACK)
    return Result(ok=True, reason=Reason.RUN_GIVEN_BACK, id=str(run.number))


def _given_back(turn: Turn, run: Run) -> str:
    on = " and ".join(run.targets.values()) or run.service
    still = next(guarding.claims_on(turn, run), None)
    if still is None:
        return f"Code may work on {on} again"
    who, there = called(still.taken_by, turn.plan.names), " and ".join(still.targets.values()) or still.service
    return f"Gives {on} back; {who} works on {there} by hand still (took over run {still.number})"
