"""What a run's process reports, how a run comes to its end, and what time does to it."""

from __future__ import annotations

from collections.abc import Sequence

from tocsin.access.actors import called
from tocsin.engine import (
    about,
    answering,
    asking,
    commands,
    evidence,
    failing,
    guarding,
    holding,
    midst,
    queuing,
    standings,
    telling_targets,
)
from tocsin.engine.commands import Result
from tocsin.engine.inputs import Reported
from tocsin.engine.turn import Turn
from tocsin.incidents.incident import Incident
from tocsin.kernel.instant import say_duration
from tocsin.kernel.reason import Reason
from tocsin.playbooks.left import Blocked
from tocsin.playbooks.manifest import RUNGS
from tocsin.playbooks.run import (
    GRACE,
    MOST_RESULTS,
    MOST_SAID,
    MOST_STEPS,
    TOO_MUCH,
    WATCH,
    Approval,
    Began,
    Finished,
    GaveUp,
    Looking,
    Printed,
    Returned,
    Run,
    Sampled,
    Step,
    Unmatched,
)

MOST_LINES = 60
"""So many steps of a run each get a line on the incident's timeline."""
MOST_INTERRUPTED = 5
UNPROVEN = "it changed something, and nothing verified it"
STOP = Result(ok=False, code="stop", message="this run is over")


def reported(turn: Turn, told: Reported) -> Result:
    """Take what a run's process says. Answers whether it may go on."""
    run = turn.state.runs.get(told.run)
    if run is None:
        return STOP
    if isinstance(told.report, Printed):
        run.output = told.report.text
        turn.save_run(run)
        return Result(ok=True)
    if isinstance(told.report, Sampled):
        evidence.sampled(turn, run, told.report)
        return Result(ok=True)
    if run.state != "running" or run.attempt != told.attempt:
        return STOP
    if isinstance(told.report, Began | Looking | Finished):
        first = bool(told.report.ordinal) and run.first_step_at is None
        if first or run.spoke != run.attempt:
            run.spoke, run.first_step_at = run.attempt, turn.now if first else run.first_step_at
            turn.save_run(run)
    match told.report:
        case Looking() as looking:
            _looks(turn, run, looking)
        case Began() as began:
            return _begins(turn, run, began)
        case Finished() as finished:
            _finished(turn, run, finished)
        case Returned():
            _returned(turn, run)
        case Unmatched() as unmatched:
            _unmatched(turn, run, unmatched.error)
        case GaveUp() as gave_up:
            for sentence in gave_up.findings:
                run.dwell_on(sentence)
            if gave_up.kind == "withheld":
                midst.not_begun(turn, run)
            run.advice = gave_up.next
            run.cut = gave_up.kind == "cut" or (gave_up.kind == "withheld" and not run.unproven)
            quiet = gave_up.kind in ("handed_over", "withheld", "cut")
            run.broke = not quiet and not _carried_in_vain(turn, run)
            _fails(turn, run, gave_up.why)
    return Result(ok=run.state == "running")


# -- steps -------------------------------------------------------------------------------------------------------------


def _begins(turn: Turn, run: Run, began: Began) -> Result:
    known = turn.state.steps.get(run.number, {}).get(began.ordinal)
    if began.ordinal > MOST_STEPS:
        return _ends_here(turn, run, f"it has more than {MOST_STEPS} steps")
    if began.verb == "ask":
        return _asks(turn, run, began)
    if began.verb == "fix":
        no = _may_not_fix(turn, run, began)
        if no is not None:
            return no
    step = _step(turn, run, began)
    if known is not None and known.state == "begun" and known.verb != "look":
        step.began_at = known.began_at  # time a verification has goes on through an interruption
        step.attempt = known.attempt  # and of a fix it is not known whether the first one did it
    turn.save_step(step)
    if began.verb == "fix":
        queuing.changes_here(turn, run)
        run.fixes += 1
        run.unproven = True
        run.verified_at = None
        turn.save_run(run)
        incident = standings.incident_of(turn, run)
        if incident is not None:
            answering.changes(turn, incident)
        _line(turn, run, began.ordinal, f"Fixing: {standings.short(began.function)}({began.shown})")
    left = max(0, step.began_at + began.within - turn.now) if began.within else 0
    return Result(ok=True, reason="go", id=str(left))


def _looks(turn: Turn, run: Run, looking: Looking) -> None:
    """It is in a look that lasts: where it is stands there while it does, and when it is late."""
    known = turn.state.steps.get(run.number, {}).get(looking.ordinal)
    if not 0 < looking.ordinal <= MOST_STEPS or (known is not None and not _left_in_look(known)):
        return
    step = _step(turn, run, Began(looking.ordinal, "look", looking.function, looking.digest, looking.shown))
    step.began_at = max(run.started_at, turn.now - looking.since)
    turn.save_step(step)


def _left_in_look(step: Step) -> bool:
    return (step.verb, step.state) == ("look", "begun")


def _carried_in_vain(turn: Turn, run: Run) -> bool:
    """Whether all it did was to see that what an earlier run changed does not hold: that counted against that one."""
    steps = turn.state.steps.get(run.number, {})
    last = steps.get(max((ordinal for ordinal in steps if ordinal <= MOST_STEPS), default=0))
    not_held = last is not None and (last.verb, last.state) == ("verify", "failed")
    return not_held and run.carried > 0 and not run.changed


def _step(turn: Turn, run: Run, began: Began) -> Step:
    return Step(
        run=run.number,
        ordinal=began.ordinal,
        verb=began.verb,
        function=began.function,
        digest=began.digest,
        shown=began.shown,
        began_at=turn.now,
        attempt=run.attempt,
        idempotent=began.idempotent,
        probe=began.probe,
        within=began.within,
    )


def _may_not_fix(turn: Turn, run: Run, began: Began) -> Result | None:
    """Why a fix may not begin now, decided the moment before it would; None when it may."""
    would = f"{standings.short(began.function)}({began.shown})"
    incident = standings.incident_of(turn, run)
    if run.stopping:
        answering.end(turn, run, "cancelled", Reason.RUN_CANCELLED, run.stopping)
        return STOP
    manifest = turn.plan.playbooks.get(run.playbook)
    if manifest is None or run.playbook not in turn.plan.answers.get(run.service, ()):
        who = "the plan has" if manifest is None else f"{run.service} uses"
        return _blocked(turn, run, would, Blocked(Reason.PLAN_CHANGED, f"{who} this playbook no more"))
    run.rung = min(run.rung, answering.rung_of(turn, manifest, run), key=RUNGS.index)
    if run.rung in ("observe", "suggest"):
        if run.fixes:
            return _blocked(turn, run, would, Blocked(Reason.TRUST_FELL, f"it is trusted to {run.rung} now"))
        return _would(turn, run, began, would, incident)
    over = answering.over(turn, run)
    if over and not run.changed:
        answering.end(turn, run, "overtaken", Reason.PLAYBOOK_ENDED, f"the incident is over; {would} was not needed")
        return STOP
    no = (
        guarding.claimed(turn, run)
        or guarding.silenced(turn, run)
        or (None if run.by_hand or run.approved_by else guarding.person_at(turn, run))
        or guarding.guarded_now(turn, run, manifest)
        or _in_doubt(turn, run, began)
    )
    if no is not None:
        return _blocked(turn, run, would, no)
    if run.allowed(began):
        return None
    left = midst.asks_because(turn, run)
    if left or run.rung == "ask":
        if over and not run.unproven:
            return _asks_nobody(turn, run, f"May it do {would}?")
        default = asking.NO if left else manifest.trust.default
        return asking.permission(turn, run, began, would, manifest, default)
    return None


def _asks_nobody(turn: Turn, run: Run, question: str) -> Result:
    """Nobody hears what it asks, or would: what it changed and did not verify is told of."""
    if run.unproven:
        run.cut = True
        _hands_over(turn, run, f"{UNPROVEN}, and the incident is over: nobody hears its question: {question}")
    else:
        why = f"the incident is over; nobody need answer: {question}"
        answering.end(turn, run, "overtaken", Reason.PLAYBOOK_ENDED, why)
    return STOP


def _in_doubt(turn: Turn, run: Run, began: Began) -> Blocked | None:
    """Whether an earlier run may have done this very fix, and nothing can tell. Of one with a probe that is asked."""
    if began.idempotent or began.probe:
        return None
    left = midst.may_have_done(turn, run, began.identity)
    if left is not None:
        run.find(midst.how_to_end(left))
    elif not run.continues or began.identity not in run.wary:
        return None
    which = f"run {left.number}" if left is not None else "an earlier run"
    return Blocked(Reason.HANDED_OVER, f"{which} may have done it already, and doing it twice may do harm")


def _would(turn: Turn, run: Run, began: Began, would: str, incident: Incident | None) -> Result:
    run.would, run.would_do = would[:MOST_SAID], began.function
    run.find(f"It would have done {would}")
    if run.rung == "suggest":
        if incident is not None:
            answering.note(incident, *answering.found(run, f"{run.playbook} suggests {would}"))
        answering.end(turn, run, "suggested", Reason.PLAYBOOK_ENDED, f"suggests {would}")
    else:
        answering.end(turn, run, "observed", Reason.PLAYBOOK_ENDED, f"would have done {would}")
    return STOP


def _blocked(turn: Turn, run: Run, would: str, no: Blocked) -> Result:
    run.cut = run.cut or not run.unproven  # what it changed before holds: that it may do no more is not its failure
    _hands_over(turn, run, f"{would} was not done: {no.why}", no.reason)
    return STOP


def _asks(turn: Turn, run: Run, began: Began) -> Result:
    answer = run.asked.get(str(began.ordinal))
    if answer is not None:
        return Result(ok=True, reason="answered", message=answer)
    if run.stopping:
        answering.end(turn, run, "cancelled", Reason.RUN_CANCELLED, run.stopping)
        return STOP
    if answering.over(turn, run) and not run.unproven:
        return _asks_nobody(turn, run, began.function)
    turn.save_step(_step(turn, run, began))
    role = began.role or "responder"
    due = turn.now + began.within
    asking.wait(turn, run, Approval(began.ordinal, began.function, began.choices, began.default, due, role))
    return Result(ok=True, reason="wait")


def _finished(turn: Turn, run: Run, ended: Finished) -> None:
    steps = turn.state.steps.get(run.number, {})
    step = steps.get(ended.ordinal)
    held = sum(len(one.result.encode()) for one in steps.values() if one is not step)
    too_much = held + len(ended.result.encode()) > MOST_RESULTS
    if step is not None and _left_in_look(step) and (step.attempt, step.digest) != (run.attempt, ended.digest):
        step = None  # an earlier process was in a look there
    undone = ended.undone and step is not None and step.attempt == run.attempt  # else the first may have done it
    if step is None:
        began = Began(ended.ordinal, ended.verb, ended.function, ended.digest, ended.shown)
        step = _step(turn, run, began)
        if ended.verb == "fix":  # an earlier run did it, says its probe
            step.probe = True
            run.fixes, run.unproven, run.verified_at = run.fixes + 1, True, None
            run.carried += 1
    step.state = "done" if ended.ok else "failed"
    step.ended_at = turn.now
    step.result = "null" if too_much else ended.result
    step.said, step.error, step.samples = ended.said, ended.error, ended.samples
    turn.save_step(step)
    if undone:
        midst.refused(turn, run, step)
    if ended.verb == "when":
        _judged(turn, run, ended.error)
    else:
        run.find(step.sentence)
        _line(turn, run, ended.ordinal, step.sentence)
    if ended.verb == "verify" and ended.ok:
        run.unproven, run.verified_at = False, turn.now
    turn.save_run(run)
    if run.stopping:
        answering.end(turn, run, "cancelled", Reason.RUN_CANCELLED, run.stopping)
    elif too_much:
        run.broke = True
        _fails(turn, run, TOO_MUCH)


def _judged(turn: Turn, run: Run, error: str) -> None:
    """Its rule was asked: whether it came to an answer is shown where the playbook is."""
    manifest = turn.plan.playbooks.get(run.playbook)
    if manifest is None or run.meaning != manifest.meaning:
        return
    standing = standings.standing_of(turn, manifest, run.service)
    if standing.rule_error != error:
        standing.rule_error = error
        turn.save_standing(standing)


def _line(turn: Turn, run: Run, ordinal: int, what: str) -> None:
    if run.incident and ordinal <= MOST_LINES:
        turn.enter(run.incident, what[:600], Reason.PLAYBOOK_STEP, f"playbook:{run.playbook}", run=str(run.number))


# -- its end -----------------------------------------------------------------------------------------------------------


def _returned(turn: Turn, run: Run) -> None:
    incident = standings.incident_of(turn, run)
    if run.verified_at is not None and not run.unproven:
        failing.made_good(turn, run)
        midst.made_good(turn, run)
    if run.unproven:
        _fails(turn, run, UNPROVEN)
    elif run.verified_at is not None and run.fixes and incident is not None and about.still_fires(turn, incident, run):
        if incident.open:
            _watch(turn, run, incident)
        else:
            why = "it held, and the incident is over, but alerts still fire"
            answering.end(turn, run, "overtaken", Reason.PLAYBOOK_ENDED, why)
    elif run.verified_at is not None and run.fixes:
        answering.end(turn, run, "verified", Reason.PLAYBOOK_VERIFIED, "fixed and verified")
    elif incident is not None:
        answering.note(incident, *answering.found(run, f"{run.playbook} found nothing it could fix"))
        answering.end(turn, run, "not_needed", Reason.PLAYBOOK_ENDED, "found nothing it could fix")
        queuing.give_time(turn, run, incident)
    else:
        answering.end(turn, run, "done", Reason.PLAYBOOK_ENDED, "done")


def _watch(turn: Turn, run: Run, incident: Incident) -> None:
    """Verified: its alerts get time to end, and pages wait for that."""
    run.state, run.watch_until = "watching", turn.now + WATCH
    turn.save_run(run)
    known = run.by_hand and not run.let_go
    run.holding = run.holding or (known and run.rung in ("ask", "act"))  # also while somebody has it
    what = f"{run.playbook} fixed it and saw that it holds; its alerts get {say_duration(WATCH)} to end"
    turn.enter(incident.number, what, Reason.PLAYBOOK_VERIFIED, run=str(run.number))
    telling_targets.tell(turn, incident)
    holding.arm(turn, incident)
    holding.wake(turn, run)


def _unmatched(turn: Turn, run: Run, error: str) -> None:
    """It is not meant; or its rule came to no answer, which is no match, and for everybody to see."""
    incident = standings.incident_of(turn, run)
    if error:
        why = f"its rule came to no answer, which counts as no match: {error}"
        turn.count("rules", Reason.RULE_ERROR)
        if incident is not None:
            answering.note(incident, f"{run.playbook} was not run: {why}")
        answering.end(turn, run, "not_needed", Reason.RULE_ERROR, why)
    else:
        answering.end(turn, run, "not_needed", Reason.PLAYBOOK_ENDED, "it says itself that it is not meant for this")
    if incident is not None and incident.open and not run.by_hand:
        answering.record(turn, incident, run, "unmatched")  # whoever had it run is there, and knows


def _ends_here(turn: Turn, run: Run, why: str) -> Result:
    _fails(turn, run, why)
    return STOP


def _fails(turn: Turn, run: Run, why: str) -> None:
    if run.stopping:
        answering.end(turn, run, "cancelled", Reason.RUN_CANCELLED, run.stopping)
        return
    _hands_over(turn, run, why + standings.under_way(turn, run), Reason.HANDED_OVER)


def _hands_over(turn: Turn, run: Run, why: str, reason: Reason = Reason.HANDED_OVER) -> None:
    """Call a person: by the run's incident, or, when it has none that is open and must be heard, by one of its own."""
    incident = standings.incident_of(turn, run)
    answering.hand_over(turn, run, why, reason)
    unheard = run.unasked and reason not in answering.PEOPLE_THERE  # whoever works there is awake, and knows more
    if (unheard or run.fixes) and (incident is None or not incident.open):
        # No open incident hears of it, and nobody looks at it, or something may be worse than it was.
        failing.tell(turn, run, why)


def ring_those_of(turn: Turn, incident: Incident) -> None:
    """The time that an incident's pages wait is over: first, what they wait for and that is due in this instant too."""
    for run in (*holding.at_work(turn, incident), *holding.awaited(turn, incident)):
        due = run.due() if run.state in ("running", "watching") else None
        if due is not None and due <= turn.now:
            ring(turn, run)


def ring(turn: Turn, run: Run) -> None:
    """Time has come for a run."""
    if run.state == "ended":
        if not midst.keeps(turn, run):
            turn.state.forget_run(run)
            turn.changes.runs[run.number] = run
    elif run.state == "asking":
        _late_answer(turn, run)
    elif run.state == "watching":
        answering.late(turn, run)
    elif run.stopping:
        answering.end(turn, run, "cancelled", Reason.RUN_CANCELLED, run.stopping)
    else:
        _fails(turn, run, answering.overdue(turn, run))


def _late_answer(turn: Turn, run: Run) -> None:
    approval = run.approval
    assert approval is not None
    asking.heard(turn, run, Reason.APPROVAL_LATE)
    incident = standings.incident_of(turn, run)
    ended = bool(run.incident) and (incident is None or not incident.open)
    stops = bool(approval.fix) and approval.default == asking.NO
    if run.unproven and ended and (stops or answering.over(turn, run)):
        _asks_nobody(turn, run, approval.question)
        return
    if stops:
        why = f"nobody answered in time: {approval.question}"
        answering.end(turn, run, "cancelled", Reason.APPROVAL_LATE, why)
        if run.unasked:
            failing.tell(turn, run, why)  # it says what is so, in place of a question that takes no answer any more
        return
    if run.only_asks and (by := guarding.holder(turn, run)) is not None:
        queuing.withdraw(turn, run, by)  # nobody is there to be asked again
        return
    asking.go_on(turn, run, approval.default, "nobody in time", Reason.APPROVAL_LATE)


def again(turn: Turn, runs: Sequence[int] | None = None) -> None:
    """Tocsin starts again: processes of runs have ended with it, and go on from what is written down.

    ``runs``: only these had one.
    """
    for run in list(turn.state.runs.values()):
        if run.state != "running" or (runs is not None and run.number not in runs):
            continue
        doubt = [
            step
            for step in turn.state.steps.get(run.number, {}).values()
            if step.verb == "fix" and step.state == "begun" and not (step.idempotent or step.probe)
        ]
        run.attempt += 1
        run.interrupted += 1
        if run.stopping:
            answering.end(turn, run, "cancelled", Reason.RUN_CANCELLED, run.stopping)
        elif doubt:
            what = f"{standings.short(doubt[0].function)}({doubt[0].shown})"
            run.cut = True
            _fails(turn, run, f"Tocsin stopped while {what} was under way, and doing it twice may do harm")
        elif run.interrupted >= MOST_INTERRUPTED:
            _fails(turn, run, f"it was interrupted {MOST_INTERRUPTED} times")
        else:
            turn.save_run(run)
            turn.changes.begin[run.number] = run


# -- what people say ---------------------------------------------------------------------------------------------------


def cancel(turn: Turn, command: commands.CancelRun) -> Result:
    """A person stops a run: at once when it waits, else before it begins with anything more, or after a grace."""
    run = standings.known(turn, command.run)
    if isinstance(run, Result):
        return run
    if not run.live:
        return commands.refuse("conflict", f"Run {run.number} has ended already")
    stop_for(turn, run, f"cancelled by {called(command.actor, turn.plan.names)}")
    return Result(ok=True, reason=Reason.RUN_CANCELLED, id=str(run.number))


def stop_for(turn: Turn, run: Run, why: str) -> None:
    """End a run because a person wants it to: at once when it waits, else before it begins with anything more."""
    asking.heard(turn, run, Reason.RUN_CANCELLED)
    asking.stop_what_waits(turn, run, why)
    incident = standings.incident_of(turn, run)
    if incident is not None and incident.open:
        incident.lifted = Reason.RUN_CANCELLED  # and code begins nothing more there by itself
        turn.save_incident(incident)
    if run.state != "running":
        answering.end(turn, run, "cancelled", Reason.RUN_CANCELLED, why)
    else:
        run.stop_by = turn.now + GRACE
        answering.stop(turn, run, why)
