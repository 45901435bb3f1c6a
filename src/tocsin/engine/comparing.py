"""What a playbook that only watches would have done, beside what a person did: evidence, one way or the other.

Nobody's silence counts: a run is compared when a person says so, or does the same, or something else, by way of code
for the same incident. What a person says counts more than what was done.
"""

from __future__ import annotations

from itertools import islice

from tocsin.access.actors import called
from tocsin.engine import commands, standings
from tocsin.engine.commands import Result
from tocsin.engine.turn import Turn
from tocsin.incidents.incident import Incident
from tocsin.kernel.reason import Reason
from tocsin.playbooks import trust
from tocsin.playbooks.run import Agreement, Run

LOOKED_AT = 20
"""So many of a playbook's last runs on a target are looked through for one that only watched."""
MOST_DID = 300


def compare(turn: Turn, command: commands.CompareRun) -> Result:
    """A person says whether what they did is what the playbook would have done. The last word counts, and can be taken
    back: a slip would stay evidence for ever.
    """
    run = standings.known(turn, command.run)
    if isinstance(run, Result):
        return run
    if not run.would:
        return commands.refuse("conflict", f"Run {run.number} did not end before a fix: there is nothing to compare")
    if command.same is None:
        return _unsaid(turn, run, command.actor)
    if len(command.did) > MOST_DID or not command.did.isprintable():
        return commands.refuse("invalid", f"Say what you did in up to {MOST_DID} printable characters", "did")
    who, did = called(command.actor, turn.plan.names), command.did.strip()
    how = f"{who} says that this was done" if command.same else f"{who} says that something else was done"
    how = f"{how}: {did}" if did else how
    verdict: Agreement = "agreed" if command.same else "differed"
    if (run.agreement, run.agreed_how) != (verdict, how):
        _judged(turn, run, verdict, command.actor, how)
    return Result(ok=True, reason=run.agreement, id=str(run.number))


def _unsaid(turn: Turn, run: Run, actor: str) -> Result:
    if not run.agreement:
        return commands.refuse("conflict", f"Nobody has said what was done instead of run {run.number}")
    _take_back(turn, run)
    was, run.agreement, run.agreed_by, run.agreed_how, run.agreed_run = run.agreed_how, "", "", "", 0
    run.agreed_at = None
    turn.save_run(run)
    if standings.incident_of(turn, run) is not None:
        what = f"{called(actor, turn.plan.names)} takes back what was said of run {run.number} of {run.playbook}: {was}"
        turn.enter(run.incident, what, Reason.SHADOW_ASKED, actor, run=str(run.number))
    return Result(ok=True, reason=Reason.SHADOW_ASKED, id=str(run.number))


def _take_back(turn: Turn, run: Run) -> None:
    """What was said of a run counts no more."""
    manifest = turn.plan.playbooks.get(run.playbook)
    if manifest is None or not run.agreement:
        return
    standing = standings.standing_of(turn, manifest, run.service)
    was = standing.rung
    standings.taken(turn, run, standing, was, trust.taken_back(standing, run, turn.now))


def done_by_hand(turn: Turn, run: Run) -> None:
    """A run that a person began was verified: compare what it changed with what others would have changed there.

    To be asked while its steps are still in mind. One without an incident may be about any trouble, or none.
    """
    steps = turn.state.steps.get(run.number, {}).values()
    did = {step.function for step in steps if step.verb == "fix" and step.state == "done"}
    if not run.by_hand or not run.incident or not did:
        return
    for other in _watchers(turn, run):
        same = other.would_do in did
        what = " and ".join(sorted(map(standings.short, did)))
        how = f"run {run.number} of {run.playbook}, begun by {called(run.by, turn.plan.names)}, did {what}"
        _judged(turn, other, "agreed" if same else "differed", run.by, how, run.number)


def _watchers(turn: Turn, run: Run) -> list[Run]:
    """Runs that only watched the same incident, on a target that this one worked on, and were not compared yet."""
    found: dict[int, Run] = {}
    for name in turn.plan.answers.get(run.service, ()):
        for lock in run.locks:
            for one in islice(turn.state.remembered.own_on(name, lock), LOOKED_AT):
                if one.would and not one.agreement and one.incident == run.incident:
                    found[one.number] = one
    return list(found.values())


def _judged(turn: Turn, run: Run, agreement: Agreement, actor: str, how: str, by_run: int = 0) -> None:
    manifest = turn.plan.playbooks.get(run.playbook)
    standing = standings.standing_of(turn, manifest, run.service) if manifest is not None else None
    _take_back(turn, run)
    run.agreed_run = by_run
    run.agreement, run.agreed_by, run.agreed_how, run.agreed_at = agreement, actor, how, turn.now
    turn.save_run(run)
    reason = Reason.SHADOW_AGREED if agreement == "agreed" else Reason.SHADOW_DIFFERED
    incident = standings.incident_of(turn, run)
    if incident is not None:
        beside = "as" if agreement == "agreed" else "unlike"
        what = f"{beside.capitalize()} {run.playbook} would have done ({run.would}): {how}"
        turn.enter(incident.number, what, reason, actor, run=str(run.number))
    turn.count("runs", reason)
    if manifest is None or standing is None:
        return
    was = standing.rung
    standings.taken(turn, run, standing, was, trust.compared(manifest, standing, run, turn.now))


def ask(turn: Turn, incident: Incident, run: Run) -> None:
    """An incident is over that a person answered: ask what they did, when a playbook would have done something."""
    answered = incident.first_acknowledged_at is not None or not incident.resolved_by.startswith("code")
    if run.would and not run.agreement and answered:
        what = f"{run.playbook} would have done {run.would}. Is that what was done? Say so at run {run.number}"
        turn.enter(incident.number, what, Reason.SHADOW_ASKED, run=str(run.number))
