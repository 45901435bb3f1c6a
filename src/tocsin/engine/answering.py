"""Answering an incident with code: which playbook, may it run, and how long pages wait for it.

``settling`` asks here before anybody is paged. The hold is armed before a run begins, and only a verified run lets it
go without a page.
"""

from __future__ import annotations

from collections.abc import Mapping

from tocsin.engine import checking, comparing, evidence, guarding, suspecting
from tocsin.engine.standings import incident_of, short, standing_of, under_way
from tocsin.engine.turn import SYSTEM, Turn
from tocsin.incidents.incident import Incident
from tocsin.kernel.instant import say_duration
from tocsin.kernel.reason import Reason
from tocsin.playbooks import trust
from tocsin.playbooks.guards import Blocked
from tocsin.playbooks.manifest import RUNGS, Manifest, Rung
from tocsin.playbooks.run import WATCH, Approval, Outcome, Run
from tocsin.playbooks.targets import Unbound, bind

MOST_TRIED = 12
MOST_STEPS = 200
"""So many steps an incident's escalation has, with all that were put before it."""


def holds(turn: Turn, incident: Incident) -> bool:
    """Whether pages wait for code now. The first time an incident is asked about, a playbook is looked for."""
    if not incident.considered:
        incident.considered = True
        checking.offer(turn, incident)
        consider(turn, incident)
    return incident.hold_until is not None and incident.hold_until > turn.now


def why_held(turn: Turn, incident: Incident) -> Reason:
    """What pages wait for."""
    run = turn.state.runs.get(incident.run)
    return Reason.PLAYBOOK_VERIFIED if run is not None and run.state == "watching" else Reason.PLAYBOOK_RUNS


def consider(turn: Turn, incident: Incident, after: str = "") -> None:
    """Begin the first playbook that answers and is let; say of every other why not. ``after``: of those behind it."""
    names = turn.plan.answers.get(incident.service, ())
    begun: Run | None = None
    for name in names[names.index(after) + 1 if after in names else 0 :]:
        manifest = turn.plan.playbooks.get(name)
        labels = answered_labels(turn, incident, manifest) if manifest is not None else None
        if manifest is None or labels is None:
            continue
        if begun is not None:
            turn.enter(
                incident.number, f"{name} answers this too; {begun.playbook} came first", Reason.PLAYBOOK_STANDS_BY
            )
            continue
        begun = _try(turn, incident, manifest, labels)
    turn.save_incident(incident)


def answered_labels(turn: Turn, incident: Incident, manifest: Manifest) -> Mapping[str, str] | None:
    """The labels of the first firing alert of an incident that a playbook answers."""
    for id in sorted(turn.members(incident).firing):
        labels = turn.state.alerts[id].labels
        if manifest.matches(labels, incident.severity):
            return labels
    return None


def _try(turn: Turn, incident: Incident, manifest: Manifest, labels: Mapping[str, str]) -> Run | None:
    bound = bind(manifest, incident.service, turn.plan.bindings, labels)
    if isinstance(bound, Unbound):
        _not_run(turn, incident, manifest, Blocked(Reason.NO_TARGET, bound.why))
        return None
    run = make(turn, manifest, incident.service, bound, incident=incident, labels=labels)
    no = guarding.guarded(turn, manifest, run)
    if no is not None:
        refuse(turn, run, no)
        _not_run(turn, incident, manifest, no)
        return None
    begin(turn, run, incident)
    return run


def _not_run(turn: Turn, incident: Incident, manifest: Manifest, no: Blocked) -> None:
    sentence = f"{manifest.name} was not run: {no.why}"
    turn.enter(incident.number, sentence, no.reason)
    note(incident, sentence)


def note(incident: Incident, *sentences: str) -> None:
    """Keep sentences for whoever is paged, the weightiest first: a short message has room for little. The newest word
    on a run stands in the place of what it found before.
    """
    kept = (one for one in incident.tried if one not in sentences)
    incident.tried = (*sentences, *kept)[:MOST_TRIED]


def found(run: Run, conclusion: str) -> tuple[str, ...]:
    """What a run came to, and what it found on the way, a sentence each."""
    return (conclusion, *(f"{run.playbook}: {one}" for one in run.findings[1 - MOST_TRIED :]))


def asked(run: Run, approval: Approval) -> str:
    """What whoever is paged reads of a question that waits for an answer."""
    return f"{run.playbook} asks: {approval.question} Answer where the incident is shown"


def settle_question(turn: Turn, run: Run, instead: str = "") -> None:
    """A run asks no more: a page that leaves from now on says what was answered in the question's place, or nothing."""
    incident, approval = incident_of(turn, run), run.approval
    run.approval = None
    if incident is None or approval is None:
        return
    told = (instead if one == asked(run, approval) else one for one in incident.tried)
    incident.tried = tuple(one for one in told if one)
    turn.save_incident(incident)


# -- a run begins ------------------------------------------------------------------------------------------------------


def make(
    turn: Turn,
    manifest: Manifest,
    service: str,
    targets: Mapping[str, str],
    *,
    incident: Incident | None = None,
    labels: Mapping[str, str] | None = None,
    by: str = SYSTEM,
    args: Mapping[str, str] | None = None,
) -> Run:
    """A new run, with a number and the rung that counts now. It has not begun."""
    counters = turn.state.counters
    counters.run += 1
    return Run(
        number=counters.run,
        playbook=manifest.name,
        service=service,
        plan=turn.plan.version,
        meaning=manifest.meaning,
        targets=dict(targets),
        args=dict(args or {}),
        incident=incident.number if incident else 0,
        labels=dict(labels or {}),
        trouble=incident.group if incident else "",
        by=by,
        rung=rung(turn, manifest, service),
        started_at=turn.now,
        deadline=turn.now + manifest.hand_over_after,
        patience=manifest.hand_over_after,
    )



def rung(turn: Turn, manifest: Manifest, service: str) -> Rung:
    """What a playbook may do now. Where Tocsin pages nobody it changes nothing either."""
    if not turn.state.counters.paging:
        return "observe"
    return trust.stands(manifest, standing_of(turn, manifest, service))


def rung_of(turn: Turn, manifest: Manifest, run: Run) -> Rung:
    """What a run may do now. Whoever has one go on or repeated, and may say yes to its fixes, says so to this one run:
    it asks nobody, however little its playbook was trusted then. The plan's ceiling stays, and trust that falls, or
    code that is changed, while it runs stops it.
    """
    now = rung(turn, manifest, run.service)
    standing = standing_of(turn, manifest, run.service)
    same = (standing.rung, standing.meaning) == (run.stood, run.meaning) and standing.since <= run.started_at
    if run.continues and run.approved_all and same and turn.state.counters.paging:
        lent = min("ask", manifest.trust.ceiling, key=RUNGS.index)
        return max(now, lent, key=RUNGS.index)
    return now


def refuse(turn: Turn, run: Run, no: Blocked) -> None:
    """A run that no guard lets begin is written down all the same."""
    run.state, run.outcome, run.why, run.ended_at = "ended", "blocked", no.why, turn.now
    turn.changes.runs[run.number] = run  # no guard counts it, so it is not kept in mind: a storm makes many
    turn.count("runs", no.reason)


def begin(turn: Turn, run: Run, incident: Incident | None) -> None:
    """Hold pages first, when it may change something; then have its process begun, once that is written down."""
    turn.state.runs[run.number] = run
    turn.save_run(run)
    turn.changes.begin[run.number] = run
    turn.count("runs", Reason.PLAYBOOK_RUNS)
    if incident is None:
        return
    incident.run = run.number
    if run.rung in ("ask", "act"):
        incident.hold_until = run.deadline
        what = f"{run.playbook} runs; a person is called in {say_duration(run.patience)} if it has not fixed it"
    else:
        what = f"{run.playbook} runs to {run.rung}; nobody waits for it"
    reason = Reason.PLAYBOOK_RUNS if run.rung in ("ask", "act") else Reason.PLAYBOOK_WATCHES
    turn.enter(incident.number, what, reason, run.by, run=str(run.number))
    turn.save_incident(incident)


# -- a run ends --------------------------------------------------------------------------------------------------------



def end(turn: Turn, run: Run, outcome: Outcome, reason: Reason, why: str) -> None:
    """A run comes to its end: its process too, its incident's pages wait no longer, and it counts as evidence."""
    if run.state == "running":
        turn.changes.halt[run.number, run.attempt] = None
    turn.changes.begin.pop(run.number, None)
    run.state, run.outcome, run.why, run.ended_at = "ended", outcome, why, turn.now
    settle_question(turn, run)
    run.stop_by = None
    if outcome == "verified":
        comparing.done_by_hand(turn, run)
    turn.state.steps.pop(run.number, None)
    turn.save_run(run)
    turn.count("runs", reason)
    incident = incident_of(turn, run)
    if incident is not None:
        turn.enter(incident.number, f"{run.playbook}: {why}", reason, run=str(run.number))
        release(turn, incident, run)
    manifest = turn.plan.playbooks.get(run.playbook)
    if manifest is None:
        return
    standing = standing_of(turn, manifest, run.service)
    was = standing.rung
    moved = trust.ended(manifest, standing, run, turn.now)
    turn.save_standing(standing)
    if moved is not None and incident is not None:
        what = f"{run.playbook} is now trusted to {standing.rung}, was {was}: {standing.because}"
        turn.enter(incident.number, what, moved, run=str(run.number))


def release(turn: Turn, incident: Incident, run: Run) -> None:
    """Pages wait no longer for a run."""
    if incident.run == run.number and incident.hold_until is not None:
        incident.hold_until = None
    turn.save_incident(incident)
    turn.touch(incident.number)


def hand_over(turn: Turn, run: Run, why: str, reason: Reason = Reason.HANDED_OVER) -> None:
    """Call a person at once, with everything that was found."""
    begun = [one for one in turn.state.steps.get(run.number, {}).values() if one.state == "begun"]
    for step in begun:
        if step.verb == "fix":
            run.find(f"It is not known whether {short(step.function)}({step.shown}) was done: it had begun")
    incident = incident_of(turn, run)
    run.advice = evidence.advice(turn, run)
    at = suspecting.began(incident) if incident is not None else run.started_at
    change = suspecting.suspect(turn.state.heard, turn.plan.with_needs(run.service), at)
    run.suspected = suspecting.said(change, at) if change is not None else ""
    if incident is not None:
        conclusion, *rest = found(run, f"{run.playbook} could not finish: {why}")
        note(incident, conclusion, *(["It changed nothing"] if not run.fixes else []), *rest)
        if incident.paused in (Reason.PLAYBOOK_RUNS, Reason.PLAYBOOK_VERIFIED):
            # At once and from the first step, also when somebody was paged before: they know nothing of this yet.
            incident.step = incident.round = 0
            incident.resume_at = turn.now
        call_first(turn, run, incident)
    run.find(why)
    end(turn, run, "handed_over", reason, f"handed over: {why}")


def call_first(turn: Turn, run: Run, incident: Incident) -> None:
    """Put those the playbook hands over to before everybody else. Whoever was to be paged is, after them.

    Nothing, when it hands over to nobody else, when somebody has the incident, or when it only watched.
    """
    manifest = turn.plan.playbooks.get(run.playbook)
    to = manifest.hand_over_to if manifest is not None else ""
    steps = turn.plan.escalations[to].steps if to in turn.plan.escalations else ()
    if not steps or incident.state != "triggered" or run.rung not in ("ask", "act"):
        return
    if incident.steps[: len(steps)] == steps:
        return  # by a run before this one
    if len(steps) + len(incident.steps) > MOST_STEPS:
        return  # given away, again and again: those who are to be paged have heard of it
    incident.steps = (*steps, *incident.steps)
    incident.step = incident.round = 0
    incident.answers, incident.waits = {}, None
    turn.enter(incident.number, f"Handed over to the escalation {to}", Reason.HANDED_OVER, run=str(run.number))
    if incident.paused is None:
        incident.next_at = turn.now
    else:
        incident.resume_at = turn.now


def incident_over(turn: Turn, incident: Incident) -> None:
    """An incident is resolved: a run that waits or watches ends; one that changed something goes on to verify it."""
    incident.hold_until = None
    for number in sorted(set().union(*turn.state.claimed.values())):
        taken = turn.state.runs[number]
        if taken.incident == incident.number:
            taken.taken_until = None  # whoever worked on it by hand is done
            turn.save_run(taken)
    run = turn.state.runs.get(incident.run)
    if run is not None and not run.live:
        comparing.ask(turn, incident, run)
    if run is None or not run.live:
        return
    if run.state == "watching" and not turn.members(incident).firing:
        _held(turn, run)
    elif run.state in ("watching", "asking"):
        end(turn, run, "overtaken", Reason.PLAYBOOK_ENDED, "the incident is over")
    elif not run.fixes:
        stop(turn, run, "the incident is over")


def _held(turn: Turn, run: Run) -> None:
    run.find("The alerts ended")
    end(turn, run, "verified", Reason.PLAYBOOK_ENDED, "fixed and verified, and the alerts ended")


def hold_over(turn: Turn, incident: Incident) -> None:
    """The time pages may wait is over, whatever became of the run."""
    incident.hold_until = None
    run = turn.state.runs.get(incident.run)
    due = run.due() if run is not None and run.state in ("running", "watching") else None
    if run is not None and due is not None and due <= turn.now:
        late(turn, run)
    turn.save_incident(incident)
    turn.touch(incident.number)


def late(turn: Turn, run: Run) -> None:
    """A run's time is over."""
    incident = incident_of(turn, run)
    if run.state == "watching" and (incident is None or not turn.members(incident).firing):
        _held(turn, run)
    elif run.state == "watching":
        hand_over(turn, run, f"it held, but alerts still fire {say_duration(WATCH)} later", Reason.NOT_CLEARED)
    elif run.stopping:
        end(turn, run, "cancelled", Reason.RUN_CANCELLED, run.stopping)
    else:
        run.broke = True
        why = f"it did not end within {say_duration(run.patience)}{under_way(turn, run)}"
        hand_over(turn, run, why)


def stop(turn: Turn, run: Run, why: str) -> None:
    """Have a run end before it changes anything more."""
    run.stopping = why
    turn.save_run(run)
