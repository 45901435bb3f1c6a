"""Answering an incident with code: a run begins, ends, and is handed over with what it found.

``choosing`` says which run is next. The hold is armed before one begins (``holding``), and only verified runs let it go
without a page.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from msgspec.structs import replace

from tocsin.engine import about, comparing, evidence, guarding, holding, midst, suspecting, telling_targets
from tocsin.engine.standings import incident_of, short, standing_of, taken
from tocsin.engine.state import AFTER_DEAFNESS
from tocsin.engine.turn import SYSTEM, Turn
from tocsin.engine.wanted import key_of
from tocsin.incidents.incident import Incident, Work
from tocsin.kernel.instant import Duration, Instant, say_duration
from tocsin.kernel.reason import Reason
from tocsin.playbooks import trust
from tocsin.playbooks.guards import took
from tocsin.playbooks.left import Blocked
from tocsin.playbooks.manifest import RUNGS, Manifest, Rung
from tocsin.playbooks.run import MOST_SAID, WATCH, Approval, Outcome, Run

MOST_TRIED = 12
LEFT_OUT = " earlier lines left out: "
CHANGED_NOTHING = "It changed nothing"
PUT_OFF = "it was put off when the incident was resolved"
PEOPLE_THERE: Final = frozenset({Reason.GUARD_PERSON, Reason.GUARD_SILENCE})
"""What a run is handed over for because people are at it: nobody is put before them, and it is no failure."""
MOST_STEPS = 200
"""So many steps an incident's escalation has, with all that were put before it."""


def note(incident: Incident, *sentences: str) -> None:
    """Keep sentences for whoever is paged, the weightiest first: a short message has room for little. The newest word
    on a run stands in the place of what it found before.
    """
    cut = tuple(one.rpartition(LEFT_OUT)[2] for one in sentences if LEFT_OUT in one)  # of a run only the newest such
    kept = (one for one in incident.tried if one not in sentences and not (cut and one.endswith(cut)))
    incident.tried = (*sentences, *kept)[:MOST_TRIED]


def unsaid(incident: Incident, work: Work | None) -> None:
    """What waited for its turn waits no more: nobody reads that it does."""
    if work is not None and work.waiting:
        incident.tried = tuple(one for one in incident.tried if one != work.why)


def found(run: Run, conclusion: str, *first: str) -> tuple[str, ...]:
    """What a run came to, and what it found on the way, a sentence each; of too many the newest, ``first`` first, and
    how many they are that are left out.
    """
    first = first[: MOST_TRIED // 2]
    rest = [one for one in run.findings if one not in first]
    room = MOST_TRIED - 2 - len(first)
    if len(rest) + run.left_out > room:
        newest = rest[1 - room :]
        rest = [f"… {len(rest) + run.left_out - len(newest):,}{LEFT_OUT}run {run.number} has them", *newest]
    return (conclusion, *(f"{run.playbook}: {one}" for one in (*first, *rest)))


def doubt(turn: Turn, run: Run) -> list[str]:
    """Of which fixes nobody knows whether they were done, as its run ends now, a sentence each: it keeps them."""
    begun = [one for one in turn.state.steps.get(run.number, {}).values() if (one.verb, one.state) == ("fix", "begun")]
    said = [f"It is not known whether {short(one.function)}({one.shown}) was done: it had begun" for one in begun]
    for sentence in said:
        run.find(sentence)
    return [one[:MOST_SAID] for one in said]


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
    run = Run(
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
        opening=incident.reopened if incident else 0,
        by=by,
        rung=rung(turn, manifest, service),
        started_at=turn.now,
        deadline=turn.now + manifest.hand_over_after,
        patience=manifest.hand_over_after,
    )
    run.doubt = midst.doubted(turn, run)
    return run


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
    if run.by_hand:
        midst.goes_on(turn, run, run.by)
    if incident is None:
        return
    where = f" on {' and '.join(run.targets.values())}" if incident.works and run.targets else ""
    record(turn, incident, run)
    if run.rung not in ("ask", "act"):
        what = f"{run.playbook} runs{where} to {run.rung}; nobody waits for it"
    elif run.by_hand or holding.may_hold(turn, incident):
        run.holding = True
        until = run.deadline if run.by_hand else min(run.deadline, holding.ends(turn.plan, incident, turn.now))
        left = say_duration(until - turn.now)
        what = f"{run.playbook} runs{where}; a person is called in {left} if it has not fixed it"
    else:
        what = f"{run.playbook} runs{where}; nobody waits for it"
    reason = Reason.PLAYBOOK_RUNS if run.holding else Reason.PLAYBOOK_BESIDE
    turn.enter(incident.number, what, reason, run.by, run=str(run.number))
    if run.rung in ("ask", "act") and not run.holding and incident.lifted is None and not incident.called:
        _limit(turn, incident)
    holding.arm(turn, incident)


def record(turn: Turn, incident: Incident, run: Run, outcome: str = "") -> None:
    """Keep with an incident what a run does on its targets, or came to."""
    names = tuple(run.targets.values())
    known = incident.works.get(key := key_of(run.playbook, names))
    if known is not None and known.run > run.number:
        return  # another one went on there
    unsaid(incident, known)
    before = _before(turn, incident, run)
    if before is not None:
        run = before
    if run.live:
        incident.run = run.number
    work = Work(run.playbook, names, run.number, outcome or run.outcome, run.why[:200])
    incident.works = {**incident.works, key: work}
    if incident.open:
        telling_targets.tell(turn, incident)
    turn.save_incident(incident)
    turn.touch(incident.number)


def _before(turn: Turn, incident: Incident, run: Run) -> Run | None:
    """What code came to there in this opening, when a run that a person began found that it was not needed."""
    if run.outcome != "not_needed" or not run.by_hand:
        return None
    opening = (incident.number, incident.reopened)
    for one in turn.state.remembered.answers_to(run.service, run.playbook, incident.group):
        if (one.incident, one.opening, one.by_hand, one.targets) == (*opening, False, run.targets):
            return one
    return None


# -- a run ends --------------------------------------------------------------------------------------------------------


def end(turn: Turn, run: Run, outcome: Outcome, reason: Reason, why: str) -> None:
    """A run comes to its end: its process too, its incident's pages wait no longer, and it counts as evidence."""
    if run.state == "running":
        turn.changes.halt[run.number, run.attempt] = None
    turn.changes.begin.pop(run.number, None)
    run.state, run.outcome, run.why, run.ended_at = "ended", outcome, why, turn.now
    settle_question(turn, run)
    if outcome != "handed_over" and (doubted := doubt(turn, run)):
        run.advice = evidence.advice(turn, run)
        if (told := incident_of(turn, run)) is not None:
            note(told, *found(run, f"{run.playbook}: {why}", *doubted))
            turn.save_incident(told)
    run.stop_by = None
    if outcome == "verified":
        comparing.done_by_hand(turn, run)
    midst.inherit(turn, run)
    run.unsure = midst.unsure(turn.state.steps.pop(run.number, {}).values(), run)
    turn.save_run(run)
    turn.count("runs", reason)
    holding.wake(turn, run)
    incident = incident_of(turn, run)
    if incident is not None:
        turn.enter(incident.number, f"{run.playbook}: {why}", reason, run=str(run.number))
        midst.tell(turn, run)
        record(turn, incident, run)
        release(turn, incident)
    manifest = turn.plan.playbooks.get(run.playbook)
    if manifest is None:
        return
    run.took = took(guarding.situation(turn, manifest, run), run)
    standing = standing_of(turn, manifest, run.service)
    was = standing.rung
    taken(turn, run, standing, was, trust.ended(manifest, standing, run, turn.now))


def release(turn: Turn, incident: Incident) -> None:
    """Pages wait no longer for a run that asks or has ended; perhaps they do for others."""
    holding.arm(turn, incident)
    if holding.runs_out(turn, incident):
        _limit(turn, incident)


def hand_over(turn: Turn, run: Run, why: str, reason: Reason = Reason.HANDED_OVER) -> None:
    """Call a person at once, with everything that was found."""
    doubted = doubt(turn, run)
    incident = incident_of(turn, run)
    run.advice = evidence.advice(turn, run)
    at = suspecting.began(incident) if incident is not None else run.started_at
    change = suspecting.suspect(turn.state.heard, turn.plan.with_needs(run.service), at)
    run.suspected = suspecting.said(change, at) if change is not None else ""
    if incident is not None:
        where = f" on {' and '.join(run.targets.values())}" if len(incident.works) > 1 and run.targets else ""
        conclusion, *rest = found(run, f"{run.playbook} could not finish{where}: {why}", *doubted)
        note(incident, conclusion, *changed_nothing(turn, run, incident), *rest)
        if reason is not Reason.GUARD_SILENCE:  # else what is heard is still code's; the rest has its turn when it is
            holding.lift(turn, incident, reason)
        if reason not in PEOPLE_THERE:
            call_first(turn, run, incident)
    run.cut = run.cut or reason in PEOPLE_THERE
    run.find(why)
    end(turn, run, "handed_over", reason, f"handed over: {why}")


def changed_nothing(turn: Turn, run: Run, incident: Incident) -> tuple[str, ...]:
    """That code changed nothing since an incident was opened, as long as that is so of all its runs."""
    works = (turn.state.runs.get(work.run) for work in incident.works.values())
    fixed = incident.fixes or any(one is not None and one.fixes for one in (run, *works))
    return () if fixed else (CHANGED_NOTHING,)


def changes(turn: Turn, incident: Incident) -> None:
    """Code changes something: what was said of an earlier run is not so any more, and will not be of a later one."""
    incident.fixes += 1
    incident.tried = tuple(one for one in incident.tried if one != CHANGED_NOTHING)
    turn.save_incident(incident)


def call_first(turn: Turn, run: Run, incident: Incident) -> None:
    """Put those the playbook hands over to before everybody else. Whoever was to be paged is, after them.

    Nothing, when it hands over to nobody else, when somebody has the incident, or when it only watched.
    """
    manifest = turn.plan.playbooks.get(run.playbook)
    to = manifest.hand_over_to if manifest is not None else ""
    steps = turn.plan.escalations[to].steps if to in turn.plan.escalations else ()
    steps = tuple(replace(step, handed=True) for step in steps)
    if not steps or incident.state != "triggered" or run.rung not in ("ask", "act"):
        return
    if incident.steps[: len(steps)] == steps:
        return  # by a run before this one
    if len(steps) + len(incident.steps) > MOST_STEPS:
        return  # given away, again and again: those who are to be paged have heard of it
    incident.steps = (*steps, *incident.steps)
    incident.step = incident.round = 0
    incident.waits = None  # who has answered already has it still, and counts: decision 89
    turn.enter(incident.number, f"Handed over to the escalation {to}", Reason.HANDED_OVER, run=str(run.number))
    if incident.paused is None:
        incident.next_at = turn.now
    else:
        incident.resume_at = turn.now


def opened_again(turn: Turn, incident: Incident, *, early: bool) -> None:
    """An incident is open again: code may try each target once more, but where a run is at it still.

    ``early``: by an alert that is not among those that were put off, while these fire. Code leaves them as they are:
    what it did there, that somebody stopped it or works there by hand, holds on, and it begins nothing there.
    """
    live = {run.number for run in holding.at_work(turn, incident)}
    kept = set(incident.put_off) if early else set()
    begun = {key: work for key, work in incident.works.items() if not work.waiting}
    works = {key: work for key, work in begun.items() if work.run in live or key in kept}
    for key in incident.put_off if early else ():
        playbook, _, names = key.partition(" ")
        targets = tuple(names.split(",")) if names else ()
        works.setdefault(key, Work(playbook, targets, outcome="put_off", why=PUT_OFF))
    incident.works, incident.put_off = works, incident.put_off if early else ()
    incident.run = max(live, default=0)
    stopped = early and incident.lifted is Reason.RUN_CANCELLED
    incident.lifted = Reason.RUN_CANCELLED if stopped else None
    incident.called, incident.held, incident.held_since = False, 0, None
    incident.fixes = incident.fixes if early else 0
    for run in holding.at_work(turn, incident):
        if run.state == "asking" and run.approval is not None:
            run.unheard_at = None
            turn.save_run(run)
            note(incident, *found(run, asked(run, run.approval)))
    if not early:
        given_back(turn, incident)


def given_back(turn: Turn, incident: Incident) -> None:
    """Whoever worked by hand on what an incident is about is done."""
    for number in sorted(set().union(*turn.state.claimed.values())):
        taken = turn.state.runs[number]
        if taken.incident == incident.number:
            taken.taken_until = None
            turn.save_run(taken)


def incident_over(turn: Turn, incident: Incident, put_off: tuple[str, ...] = ()) -> None:
    """An incident is resolved: runs that wait or watch end; one that changed something goes on to verify it.

    ``put_off``: as the incident keeps it, when its alerts are.
    """
    incident.hold_until = incident.held_since = None
    incident.put_off = put_off
    midst.resolved(turn, incident)
    if incident.snoozed_until is None:
        given_back(turn, incident)
    for number in sorted({incident.run, *(work.run for work in incident.works.values())}):
        done = turn.state.runs.get(number)
        if done is not None and not done.live:
            comparing.ask(turn, incident, done)
    for run in holding.at_work(turn, incident):
        if run.state == "watching" and not about.still_fires(turn, incident, run):
            held(turn, run)
        elif run.state == "asking" and run.unproven:
            run.unheard_at = unheard(turn, run)
            turn.save_run(run)
        elif run.state in ("watching", "asking"):
            end(turn, run, "overtaken", Reason.PLAYBOOK_ENDED, "the incident is over")
        elif not run.fixes:
            stop(turn, run, "the incident is over")


def over(turn: Turn, run: Run) -> bool:
    """Whether what a run is for is over, so that no page would carry what it asks. Whoever began one looks at it."""
    incident = incident_of(turn, run)
    for_it = bool(run.incident) and (bool(run.continues) or not run.by_hand)
    return for_it and (incident is None or not incident.open)


def unheard(turn: Turn, run: Run) -> Instant | None:
    """When somebody is told of a run that asks while what it is for is over; None when that is not so. An alert that is
    gone may be back in a moment, and the question with it; a person who resolves it means it, and is there.
    """
    if not over(turn, run):
        return None
    incident = incident_of(turn, run)
    return turn.now + (WATCH if incident is not None and incident.resolved_by == SYSTEM else 0)


def held(turn: Turn, run: Run) -> None:
    """It was verified, and its alerts have ended."""
    run.find("The alerts ended")
    if run.spoilt_by:
        why = f"it was fixed and verified, and the alerts ended; run {run.spoilt_by} changed something there too"
        end(turn, run, "overtaken", Reason.CHANGED_BESIDE, why)
        return
    end(turn, run, "verified", Reason.PLAYBOOK_ENDED, "fixed and verified, and the alerts ended")


def plan_changed(turn: Turn) -> None:
    """Another plan: what is waited for is judged by it at once. A fix of which it would not be heard whether it lasts,
    because the plan has its target or its playbook no more, is evidence of nothing.
    """
    for number in sorted(turn.state.at_work.keys() | turn.state.waiting):
        incident = turn.state.incidents.get(number)
        if incident is None or not incident.open:
            continue
        if number in turn.state.waiting:
            turn.touch(number)
        for run in holding.at_work(turn, incident):
            gone = guarding.gone(turn, run) if run.state == "watching" else ""
            if gone:
                why = f"it was fixed and verified, but {gone}: whether it lasts is not known"
                end(turn, run, "overtaken", Reason.PLAN_CHANGED, why)
        if incident.hold_until is not None and incident.hold_until > turn.now:
            release(turn, incident)


def deafened(turn: Turn, length: Duration, moved: Duration) -> None:
    """Until now nothing could be heard, and nobody could answer: alerts of what was fixed have so much longer to end,
    people to say yes or no, and monitors their time to speak again. Pages wait for that no longer than they may in all.

    ``length``: how long that was; ``moved``: with monitors' time.
    """
    for run in turn.state.runs.values():
        if run.state == "watching":
            run.watch_until = max((run.watch_until or 0) + length, turn.now + AFTER_DEAFNESS)
            run.quiet_at = run.quiet_at + moved if run.quiet_at is not None else None
        elif run.state == "asking" and run.approval is not None:
            run.approval.due += length
            run.unheard_at = run.unheard_at + length if run.unheard_at is not None else None
        else:
            continue
        turn.save_run(run)
    for number in sorted(turn.state.at_work):
        incident = turn.state.incidents.get(number)
        if incident is None or not incident.open:
            continue
        if any(run.state == "watching" for run in holding.at_work(turn, incident)):
            release(turn, incident)
    for number in sorted(turn.state.waiting):
        incident = turn.state.incidents[number]
        incident.works = {key: _given_time(turn, work, length) for key, work in incident.works.items()}
        release(turn, incident)


def _given_time(turn: Turn, work: Work, length: Duration) -> Work:
    """What another run had fixed has so much longer to end, too. What waits follows the run that it waits for, and what
    had its time before that has no other.
    """
    if work.waiting or work.pages_until <= turn.now - length:
        return work
    return replace(work, pages_until=max(work.pages_until + length, turn.now + AFTER_DEAFNESS))


def hold_over(turn: Turn, incident: Incident) -> None:
    """The time pages may wait is over, whatever became of the runs; or that of one of several that they wait for."""
    holding.arm(turn, incident)
    if holding.runs_out(turn, incident):
        _limit(turn, incident)
    elif said := holding.waited_out(turn, incident):
        note(incident, said)
        holding.lift(turn, incident, Reason.CODE_LIMIT, said)
    holding.lapse(turn, incident)


def _limit(turn: Turn, incident: Incident) -> None:
    said = holding.limit_said(turn, incident)
    note(incident, said)
    telling_targets.tell(turn, incident)
    holding.lift(turn, incident, Reason.CODE_LIMIT, said)


def late(turn: Turn, run: Run) -> None:
    """The alerts of what is watched have ended, or had their time to."""
    incident = incident_of(turn, run)
    if incident is None or not about.still_fires(turn, incident, run):
        held(turn, run)
    elif run.watch_until is not None and run.watch_until > turn.now:
        run.quiet_at = None
        turn.save_run(run)
    else:
        too = f", and run {run.spoilt_by} changed something there too" if run.spoilt_by else ""
        run.cut = run.cut or bool(run.spoilt_by)
        hand_over(turn, run, f"it held, but alerts still fire {say_duration(WATCH)} later{too}", Reason.NOT_CLEARED)


def overdue(turn: Turn, run: Run) -> str:
    """Why a run has not ended in its time. It counts against its playbook unless its process was never heard of, which
    may have waited for others, or Tocsin itself was down meanwhile.
    """
    began = run.deadline - run.patience
    within = say_duration(run.patience)
    if any(end > began and start < run.deadline for start, end in turn.state.counters.deaf):
        run.cut = True
        return f"it did not end within {within}, and Tocsin was stopped or starved in that time"
    if run.spoke != run.attempt:
        return f"its process had not begun within {within}: other runs may have kept it waiting"
    run.broke = True
    return f"it did not end within {within}{'' if run.first_step_at is not None else ': it came to no step'}"


def stop(turn: Turn, run: Run, why: str) -> None:
    """Have a run end before it changes anything more."""
    run.stopping = why
    turn.save_run(run)
