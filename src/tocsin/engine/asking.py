"""What a run asks people, and what they answer."""

from __future__ import annotations

import msgspec

from tocsin.access.actors import called
from tocsin.alerts.alert import Alert
from tocsin.engine import answering, commands, ending, guarding, hearing, holding, standings, telling_targets
from tocsin.engine.commands import Result
from tocsin.engine.turn import Turn
from tocsin.incidents.incident import Work
from tocsin.kernel.instant import say_duration
from tocsin.kernel.reason import Reason
from tocsin.playbooks.guards import locked
from tocsin.playbooks.manifest import Manifest
from tocsin.playbooks.run import Approval, Began, Run

YES, NO = "yes", "no"
ASKS = "asks:"


def permission(turn: Turn, run: Run, began: Began, would: str, manifest: Manifest, default: str) -> Result:
    """Ask whether a run may do a fix, and have its process wait for the answer. ``default``: what counts without."""
    question = f"May it {began.says}?" if began.says else f"May it do {would}?"
    wait(
        turn,
        run,
        Approval(
            step=began.ordinal,
            question=question,
            choices=(YES, NO),
            default=default,
            due=turn.now + manifest.trust.within,
            role=manifest.trust.approve,
            fix=would,
            digest=began.identity,
            does=began.says or began.about,
            undo=began.undo,
        ),
    )
    return Result(ok=True, reason="wait")


def wait(turn: Turn, run: Run, approval: Approval) -> None:
    """Wait for a person: pages go on meanwhile, for they are how a person hears of it."""
    run.state, run.approval = "asking", approval
    run.unheard_at = answering.unheard(turn, run)
    turn.save_run(run)
    holding.wake(turn, run)
    incident = standings.incident_of(turn, run)
    if incident is not None:
        left = say_duration((run.due() or approval.due) - turn.now)
        then = approval.default if run.unheard_at is None else "a person is told, for the incident is over"
        what = f"{run.playbook} asks: {approval.question} Without an answer in {left}: {then}"
        turn.enter(incident.number, what, Reason.APPROVAL_ASKED, run=str(run.number))
        answering.note(incident, *answering.found(run, answering.asked(run, approval)))
        answering.release(turn, incident)
    elif run.unasked:
        # Nobody looks at it: a question that no page carries is one that nobody hears.
        hearing.own_event(
            turn,
            run.service,
            _asking(run),
            f"{run.playbook} asks: {approval.question} Answer run {run.number}"[:300],
            "error",
            {"playbook": run.playbook},
            annotations={"findings": "\n".join(run.findings)[:2000]},
            name="PlaybookAsks",
        )


def _asking(run: Run) -> str:
    return f"{ASKS}{run.number}"


def asked_by(alert: Alert) -> int:
    """The run that asks by an alert of Tocsin's own; 0 when none does."""
    number = alert.key.removeprefix(ASKS)
    return int(number) if alert.source == ending.OWN and number != alert.key and number.isdecimal() else 0


def heard(turn: Turn, run: Run, reason: Reason) -> None:
    """What a run asked is answered, or can be no more: nobody need be called for that."""
    alert = ending.own_alert(turn, turn.plan.service(run.service).key, _asking(run)) if run.unasked else None
    if alert is not None and alert.firing:
        ending.resolve(turn, alert, reason)


def answer(turn: Turn, command: commands.AnswerRun) -> Result:
    """A person answers what a run asks."""
    run = standings.known(turn, command.run)
    if isinstance(run, Result):
        return run
    approval = run.approval
    if run.state != "asking" or approval is None:
        return commands.refuse("conflict", f"Run {run.number} asks nothing now")
    if command.step != approval.step:
        return commands.refuse("conflict", f"Run {run.number} asks at step {approval.step} now: {approval.question}")
    if command.answer not in approval.choices:
        return commands.refuse("invalid", f"Answer one of {', '.join(approval.choices)}", "answer")
    if approval.role == "admin" and command.role != "admin":
        return commands.refuse("forbidden", "The playbook wants an admin's answer")
    who = called(command.actor, turn.plan.names)
    by = guarding.holder(turn, run)
    if by is not None and not (approval.fix and command.answer == NO):
        no = locked(by, run, turn.plan.bindings)
        return commands.refuse("conflict", f"Not now: {no.why}. When that is over it is asked again, if need be")
    heard(turn, run, Reason.APPROVAL_GIVEN)
    if approval.fix and command.answer == NO:
        why = f"{who} said no to {approval.fix}"
        stop_what_waits(turn, run, why)
        answering.end(turn, run, "cancelled", Reason.APPROVAL_GIVEN, why)
        return Result(ok=True, reason=Reason.APPROVAL_GIVEN, id=str(run.number))
    if approval.fix:
        run.approved_by = command.actor
    go_on(turn, run, command.answer, command.actor, Reason.APPROVAL_GIVEN)
    return Result(ok=True, reason=Reason.APPROVAL_GIVEN, id=str(run.number))


def stop_what_waits(turn: Turn, run: Run, why: str) -> None:
    """A person stops a run of code, or says no to it: the same playbook does not begin, or ask, on that system a moment
    later, because another incident waited for it. That one is a person's.
    """
    for number in sorted(turn.state.awaited.get(run.number, ())) if not run.by_hand else ():
        incident = turn.state.incidents[number]
        works, said = dict(incident.works), f"{why} (run {run.number}, for which it waited)"
        for key, work in incident.works.items():
            if work.waiting and (work.awaits, work.playbook) == (run.number, run.playbook):
                works[key] = Work(work.playbook, work.targets, outcome="cancelled", why=said[:200])
                answering.unsaid(incident, work)
                answering.note(incident, f"{work.playbook} was not run: {said}")
                turn.enter(number, f"{work.playbook} was not run: {said}", Reason.RUN_CANCELLED, run=str(run.number))
        if works != incident.works:
            incident.works = works
            telling_targets.tell(turn, incident)
            holding.arm(turn, incident)


def go_on(turn: Turn, run: Run, said: str, actor: str, reason: Reason) -> None:
    """Go on: its process begins again from the top, over what is written down."""
    approval = run.approval
    assert approval is not None
    who = called(actor, turn.plan.names)
    if approval.fix:
        run.approved = {**run.approved, str(approval.step): approval.digest}
    else:
        run.asked[str(approval.step)] = said
        step = turn.state.steps[run.number][approval.step]
        step.state, step.ended_at = "done", turn.now
        step.result, step.said = msgspec.json.encode(said).decode(), f"{said}, said {who}"
        turn.save_step(step)
    answering.settle_question(turn, run, f"{run.playbook} asked: {approval.question} {who} answered: {said}")
    run.state, run.unheard_at = "running", None
    run.attempt += 1
    run.deadline = turn.now + run.patience
    turn.save_run(run)
    holding.wake(turn, run)
    turn.changes.begin[run.number] = run
    incident = standings.incident_of(turn, run)
    if incident is not None:
        what = f"{who} answered {run.playbook}: {said}"
        turn.enter(incident.number, what, reason, actor, run=str(run.number))
        if incident.state == "triggered" and run.rung in ("ask", "act"):
            knows = reason is Reason.APPROVAL_GIVEN or not incident.called  # nobody waits for what nobody answered
            run.holding = not run.let_go and (run.by_hand or (incident.lifted is None and knows))
        answering.release(turn, incident)
