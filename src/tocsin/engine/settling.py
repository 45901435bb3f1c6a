"""An incident's moves: acknowledged, resolved, reopened, and settled after its alerts changed.

``settle`` is where quiet ends: whatever an input did to an incident's alerts, it is asked once,
before the turn is over, whether somebody must be paged now, and if not, why not and until when.
"""

from __future__ import annotations

from tocsin.access.actors import called, person_of, same
from tocsin.engine import (
    anew,
    answering,
    calling,
    choosing,
    following,
    helping,
    holding,
    methods,
    midst,
    paging,
    queuing,
    releasing,
    unreached,
)
from tocsin.engine.state import Members
from tocsin.engine.turn import SYSTEM, Turn
from tocsin.incidents.incident import Incident, Snoozed
from tocsin.kernel.instant import HOUR, MINUTE, SECOND, Duration, Instant, say_duration
from tocsin.kernel.reason import Reason
from tocsin.kernel.stretches import stretches

DEFAULT_SNOOZE: Duration = HOUR
LEAVES_AFTER: Duration = MINUTE
"""So long an incident stays open of which the plan leaves out what it is about, and goes on if the plan has it again: a
rename, or a checkout in two steps, costs whoever has it nothing.
"""
SAID_ELSEWHERE = holding.FOR_CODE | {Reason.CLEARING}
"""Reasons to pause that have a line of their own on the timeline, when they begin and when they end."""


def reopens(incident: Incident, now: Instant) -> bool:
    """Whether trouble of the same group still returns to this resolved incident."""
    return incident.keep_until is not None and now <= incident.keep_until


def settle(turn: Turn, incident: Incident) -> None:
    """Bring an incident in line with its alerts: clearing, kept quiet, or paging."""
    _settle_snooze(turn, incident)
    if not incident.open:
        turn.save_incident(incident)
        return
    choosing.tend(turn, incident)
    members = turn.members(incident)
    if incident.number in turn.state.waiting and (incident.state != "triggered" or not members.loud):
        queuing.stop_waiting(turn, incident)
    if not members.firing:
        _clear(turn, incident)
        return
    incident.ends_for = None
    if incident.clear_at is not None:
        incident.clear_at = None
        turn.enter(incident.number, "Fires again before it was resolved", Reason.FIRING_AGAIN)
    if not members.loud:
        pause(turn, incident, Reason.SILENCED, quiet_until(turn, members))
    elif incident.state == "acknowledged":
        incident.paused = incident.paused_until = None
    elif choosing.holds(turn, incident):
        assert incident.hold_until is not None
        pause(turn, incident, choosing.why_held(turn, incident), incident.hold_until)
    else:
        resume(turn, incident)
    turn.save_incident(incident)


def is_steady(turn: Turn, incident: Incident) -> bool:
    """Whether ``settle`` finds nothing to do for an open incident that more alerts joined, which fire and are heard:
    somebody has it, or it is paged in its time; nothing of it is put off, and no code is or may be at work on it.
    """
    return (
        incident.paused is None
        and incident.clear_at is None
        and incident.snoozed is None
        and (incident.state == "acknowledged" or (incident.next_at is not None and incident.next_at > turn.now))
        and incident.considered
        and incident.hold_until is None
        and incident.number not in turn.state.at_work
        and not incident.works
        and not turn.plan.answers.get(incident.service)
    )


def quiet_until(turn: Turn, members: Members) -> Instant:
    """When the first of an incident's silenced alerts is not silenced any more."""
    kinds = {turn.state.alerts[id].silences for id in members.silenced}
    return min((max(turn.state.silences[s].ends_at for s in kind) for kind in kinds), default=turn.now)


def pause(turn: Turn, incident: Incident, reason: Reason, until: Instant) -> None:
    """Stop paging for a named reason, until a written time. Where the escalation stood is kept, and what has not left
    waits: an alert that ends and returns within seconds must not cost anybody their page.
    """
    if incident.next_at is not None:
        incident.resume_at, incident.next_at = incident.next_at, None
    if incident.paused is not reason:
        turn.count("decisions", reason)
        if reason not in SAID_ELSEWHERE:
            turn.enter(incident.number, _why_paused(turn, incident), reason)
        _silence_over(turn, incident)  # what pauses it now is something else
    incident.paused, incident.paused_until = reason, until


def _why_paused(turn: Turn, incident: Incident) -> str:
    """Whose silence pauses an incident, so that the timeline still says it when the silence is long gone."""
    for id in sorted(turn.members(incident).silenced):
        for name in turn.state.alerts[id].silences:
            silence = turn.state.silences[name]
            return f"Paging is paused by a silence of {silence.author}: {silence.comment}"
    return "Paging is paused"


def resume(turn: Turn, incident: Incident) -> None:
    """Go on paging where it stood, at once when that time has passed."""
    was = incident.paused
    if was is not None:
        anew = _silence_over(turn, incident)
        incident.paused = incident.paused_until = None
        if was not in SAID_ELSEWHERE:
            why = Reason.SILENCE_ENDED if was is Reason.SILENCED else Reason.FIRING_AGAIN
            turn.enter(incident.number, f"Paging goes on{', from the first step' if anew else ''}", why)
        if (step := releasing.off_duty(turn, incident)) is not None:
            incident.step, incident.round, incident.next_at = step, 0, turn.now
    if incident.next_at is None:
        incident.next_at = max(incident.resume_at or turn.now, turn.now)
    incident.resume_at = None
    if incident.next_at <= turn.now and not paging.escalate_now(turn, incident):
        _nobody_left(turn, incident)
    elif was is not None:
        releasing.go_on(turn, incident)


def _silence_over(turn: Turn, incident: Incident) -> bool:
    """A silence pauses it no more. One that outlasted where the escalation stood has it begin from the first step, as
    when an acknowledgement runs out: nobody was expected to answer meanwhile, and another may be on call by now.
    """
    if incident.paused is not Reason.SILENCED or not calling.outlasted(turn, incident):
        return False
    releasing.call_off(turn, incident)
    incident.step = incident.round = incident.laps = 0
    incident.resume_at, incident.waits = turn.now, None
    return True


def begin_anew(turn: Turn, incident: Incident) -> None:
    """It is quiet by a silence, and an alert came that nobody was ever paged for: that is paged like the first of an
    incident. It is quiet no more, so that a second one changes nothing.
    """
    releasing.call_off(turn, incident)
    incident.paused = incident.paused_until = None
    releasing.go_on(turn, incident)
    incident.laps = 0
    first = _by_the_plan_of_now(turn, incident)
    _page_from(turn, incident, first, "An alert that the silence does not cover: paging begins anew")


def _by_the_plan_of_now(turn: Turn, incident: Incident) -> int:
    """Have the steps be those the plan has now, with those that somebody, or code, put in. Which of them is first: whom
    it was given to last, else the first of all.
    """
    steps, plan = incident.steps, turn.plan.steps(incident.service, incident.severity, incident.customer_tier)
    given = [place for place, step in enumerate(steps) if step.given]
    last = max((place for place in given if place <= incident.step), default=given[0] if given else None)
    incident.plan = turn.plan.version
    if tuple(step for step in steps if not step.put_in) == plan:
        return last or 0
    to = (steps[last],) if last is not None else ()
    incident.steps = (*to, *(step for step in steps if step.handed), *plan)
    return 0


def _nobody_left(turn: Turn, incident: Incident) -> None:
    """Fewer have answered than are asked for, but nobody else is left: it is acknowledged for as long as they hold."""
    who, until = max(incident.answers.items(), key=lambda one: one[1])
    because = ": everybody who could be paged has answered"
    acknowledge(turn, incident, who if ":" in who else f"person:{who}", hold=until - turn.now, because=because)


def _clear(turn: Turn, incident: Incident) -> None:
    """Every alert has ended: resolve, at once or after the quiet its sources ask for."""
    if incident.clear_at is None:
        quiet = max(incident.quiet, LEAVES_AFTER) if incident.ends_for else incident.quiet
        if quiet == 0:
            resolve(turn, incident, SYSTEM, Reason.ALL_CLEAR)
            return
        incident.clear_at = turn.now + quiet
        pause(turn, incident, Reason.CLEARING, incident.clear_at)
        unless = "unless the plan has it again" if incident.ends_for else "if they stay quiet"
        what = f"Every alert has ended; resolved in {say_duration(quiet)} {unless}"
        turn.enter(incident.number, what, Reason.CLEARING)
    turn.save_incident(incident)


def _settle_snooze(turn: Turn, incident: Incident) -> None:
    """What was put off is over when all of it has ended, and stayed quiet for as long as its sources ask: also when
    another alert has opened the incident meanwhile.
    """
    if incident.snoozed is None:
        return
    if incident.snoozed.among(turn.members(incident).firing):
        incident.snoozed.over_at = None
    elif incident.snoozed.over_at is not None:
        return  # it has its time; also what the plan left out, whatever its source asks
    elif incident.quiet == 0:
        snooze_over(turn, incident)
    else:
        incident.snoozed.over_at = turn.now + incident.quiet


def snooze_over(turn: Turn, incident: Incident) -> None:
    """Nothing is put off any more: what fires from now on is trouble that nobody has seen."""
    incident.snoozed_until = incident.snoozed = None
    turn.enter(incident.number, "All that was put off has ended", Reason.ALL_CLEAR)
    if not incident.open:
        answering.given_back(turn, incident)
    turn.save_incident(incident)


def answer(turn: Turn, incident: Incident, actor: str, hold: Duration | None) -> Reason:
    """Somebody answers. Where a step asks for several people, paging goes on for the others until enough have; who has
    answered is not paged again while that holds. When nobody is left who could, it is acknowledged all the same.
    """
    needed = incident.needed
    kind, name = actor.partition(":")[0], person_of(actor)
    several = needed > 1 and not incident.given_to(name)  # who gave it away named who has it
    if several and kind in ("person", "user", "token") and incident.state == "triggered":
        holds = hold if hold is not None else turn.plan.service(incident.service).acknowledge_for
        # Whoever is nobody of the plan counts once, too, however often they say it.
        incident.answers = {**incident.answers, name if kind == "person" else actor: turn.now + holds}
        targets = tuple(target for step in incident.steps for target in step.targets) + turn.plan.last_resort
        others = turn.plan.people_of(targets, turn.now, turn.state.covers)
        if len(incident.answers) < needed and any(one.key not in incident.answers for one in others):
            what = f"Has it, as {len(incident.answers)} of {needed} who are asked for; the others are still paged"
            turn.enter(incident.number, what, Reason.ANSWERED, actor)
            if kind == "person":
                paging.withdraw(turn, incident, person=name)
            turn.save_incident(incident)
            return Reason.ANSWERED
    acknowledge(turn, incident, actor, hold=hold)
    return Reason.ACKNOWLEDGED


def answers_over(turn: Turn, incident: Incident) -> None:
    """Where several must answer, what some said has run out: they are paged again when a step is due."""
    over = [person for person, until in incident.answers.items() if until <= turn.now]
    incident.answers = {person: until for person, until in incident.answers.items() if until > turn.now}
    names = " and ".join(called(who if ":" in who else f"person:{who}", turn.plan.names) for who in over)
    what = f"Not enough have it, and it is long since {names} answered: paged again like the others"
    turn.enter(incident.number, what, Reason.ACKNOWLEDGEMENT_ENDED)
    turn.save_incident(incident)


def follow_rise(turn: Turn, incident: Incident, severity: str, tier: str) -> None:
    """It became graver, or a higher customer's, than ``severity`` and ``tier`` say.

    Where its service has another escalation for that, page by it from its first step, now; else from the first of the
    steps passed over that are meant now. What the plan says for both is compared, not the steps at hand: somebody may
    have been put among these, and they may be of an older plan, which is not applied by the way.
    """
    plan = turn.plan
    steps = plan.steps(incident.service, incident.severity, incident.customer_tier)
    if steps == plan.steps(incident.service, severity, tier):
        _page_what_is_meant(turn, incident, severity, tier)
        paging.graver(turn, incident)
        return
    paged_as = plan.paged_as(incident.service, incident.customer_tier)
    what = f"The escalation for {f'{paged_as} customers' if paged_as else incident.severity} applies"
    incident.steps, incident.laps = steps, 0
    if incident.state == "triggered":
        paging.withdraw(turn, incident)
    _page_from(turn, incident, 0, what)


def risen(turn: Turn, incident: Incident, what: str) -> None:
    """It is more than it was when somebody took it or put it off. ``what``: how much more.

    Nobody put that off. Whoever has it is told, and has it for no longer than if they had taken it now; where they
    cannot be told, or none of their methods takes the word (``paging.next_method``), it is as if nobody did.
    """
    if incident.state != "acknowledged":
        return
    who = turn.plan.people.get(person_of(incident.acknowledged_by))
    if incident.reason is Reason.PUT_OFF or who is None or not methods.has_any(turn, who.key):
        off = incident.reason is Reason.PUT_OFF
        said = "It was put off for less" if off else "Whoever has it cannot be told"
        anew.untold(turn, incident, said)
    else:
        turn.enter(incident.number, f"Telling {who.name}, who has it", Reason.CHANGED)
        title = f"Incident #{incident.number}, which you have, is {what}: {incident.title}"
        holds = turn.now + turn.plan.service(incident.service).acknowledge_for
        incident.acknowledged_until = min(incident.acknowledged_until or holds, holds)
        paging.withdraw(turn, incident, kinds=("notice",))  # this one says more
        paging.notice(turn, who, Reason.CHANGED, title, incident=incident.number)
    turn.touch(incident.number)
    turn.save_incident(incident)


def _page_what_is_meant(turn: Turn, incident: Incident, severity: str, tier: str) -> None:
    """Page from the first step that was passed over for what the incident was, and is meant for what it is."""
    if incident.state != "triggered":
        return
    over = incident.steps if incident.laps and not incident.step else incident.steps[: incident.step]
    for place, step in enumerate(over):
        # Hours it asks for hold, or it were not meant now: what it was is judged without them.
        if calling.meant(turn, incident, step) and not step.when.met(severity, tier, incident.labels, None):
            _page_from(turn, incident, place, f"Step {place + 1} is for it now")
            return


def _page_from(turn: Turn, incident: Incident, step: int, what: str) -> None:
    """Everybody is asked anew from a step on: now, or as soon as paging goes on. ``what``: for the timeline."""
    incident.step, incident.round, incident.answers = step, 0, {}
    unreached.say_all_again(incident)
    turn.enter(incident.number, what, Reason.CHANGED)
    if incident.state == "triggered":
        incident.waits = None
        if incident.paused is None:
            incident.next_at = turn.now
        else:
            incident.resume_at = turn.now
    turn.touch(incident.number)


def acknowledge(
    turn: Turn,
    incident: Incident,
    actor: str,
    reason: Reason = Reason.ACKNOWLEDGED,
    hold: Duration | None = None,
    because: str = "",
) -> None:
    """Someone has it, or put it off: nobody is paged until that runs out. ``because``: their words, after a colon."""
    hold = hold if hold is not None else turn.plan.service(incident.service).acknowledge_for
    had = incident.acknowledged_by if incident.state == "acknowledged" else ""
    incident.state, incident.reason = "acknowledged", reason
    incident.acknowledged_by, incident.acknowledged_at = actor, turn.now
    incident.first_acknowledged_at = incident.first_acknowledged_at or turn.now
    incident.acknowledged_until, incident.answers = turn.now + hold, {}
    incident.next_at = incident.resume_at = incident.waits = None
    holding.people_called(turn, incident)
    holding.arm(turn, incident)
    what = "Put off" if reason is Reason.PUT_OFF else "Acknowledged"
    length = say_duration(-(-hold // SECOND) * SECOND)  # a request for six days is a moment old when it is decided
    taken = f", taken over from {called(had, turn.plan.names)}" if had and not same(had, actor) else ""
    turn.enter(incident.number, f"{what} for {length}{taken}{because}", reason, actor)
    paging.withdraw(turn, incident)
    helping.came(turn, incident, person_of(actor))
    following.tell(turn, incident)
    turn.save_incident(incident)


def unacknowledge(turn: Turn, incident: Incident) -> None:
    """The acknowledgement ran out and the incident is still open: page from the first step."""
    turn.enter(
        incident.number,
        f"Still open, so paging begins again (was acknowledged by {called(incident.acknowledged_by, turn.plan.names)})",
        Reason.ACKNOWLEDGEMENT_ENDED,
    )
    anew.begin(turn, incident, Reason.ACKNOWLEDGEMENT_ENDED)


def resolve(turn: Turn, incident: Incident, actor: str, reason: Reason, snooze: Duration | None = None) -> None:
    """It is over. With a snooze, alerts still fire and are judged again when it ends."""
    service = turn.plan.service(incident.service)
    incident.state, incident.reason, incident.answers = "resolved", reason, {}
    incident.resolved_by, incident.resolved_at = actor, turn.now
    incident.next_at = incident.resume_at = incident.acknowledged_until = incident.clear_at = None
    incident.ends_for = None
    incident.paused = incident.paused_until = incident.waits = None
    incident.snoozed_until = incident.snoozed = None
    if snooze is not None:
        incident.snoozed_until = turn.now + snooze
        incident.snoozed = put_off(turn, incident)
    incident.keep_until = turn.now + max(service.reopen_within, snooze or 0)
    queuing.stop_waiting(turn, incident)
    answering.incident_over(turn, incident, choosing.put_off(turn, incident) if snooze is not None else ())
    paging.withdraw(turn, incident, kinds=("page", "copy", "help", "notice"))
    following.tell(turn, incident)
    if snooze is not None:
        turn.enter(
            incident.number,
            f"Resolved while alerts still fire; judged again in {say_duration(snooze)}",
            Reason.SNOOZED,
            actor,
        )
    else:
        turn.enter(incident.number, "Resolved", reason, actor)
    turn.save_incident(incident)


def unsaid_snooze(turn: Turn, incident: Incident) -> Duration:
    """How long a snooze lasts of which nobody said how long. Where nothing fires but what was put off already that
    stays so until its time: it was a newcomer that somebody dealt with, and nobody spoke of the others.
    """
    off, until = incident.snoozed, incident.snoozed_until
    if off is None or until is None or not all(map(off.has, turn.members(incident).firing)):
        return DEFAULT_SNOOZE
    return max(DEFAULT_SNOOZE, until - turn.now)


def put_off(turn: Turn, incident: Incident) -> Snoozed:
    """All that fires, silenced or not, and what it is at most."""
    firing = stretches(turn.members(incident).firing)
    return Snoozed(firing, incident.severity, incident.urgency, incident.customer_tier)


def reopen(turn: Turn, incident: Incident, reason: Reason, actor: str = SYSTEM, *, early: bool = False) -> None:
    """Resolved, and here again: the same incident, paged from the first step, with the steps the plan has now.

    ``early``: while the alerts that somebody put off fire, by another. These count only when the snooze ends.
    """
    midst.here_still(turn, incident)
    incident.reopened, incident.reopened_at = incident.reopened + 1, turn.now
    fires = () if early else turn.members(incident).firing
    heard = [turn.state.alerts[id].first_seen for id in fires if id in turn.state.alerts]
    incident.began_at = max(incident.opened_at, min(heard, default=turn.now))
    incident.resolved_at = incident.keep_until = incident.lingers_until = None
    if not early:
        incident.snoozed_until = incident.snoozed = None
    incident.resolved_by = ""
    incident.considered, incident.tried = False, ()
    answering.opened_again(turn, incident, early=early)
    incident.checklists, incident.ticks = (), {}  # done the last time is not done; the timeline has who did it
    incident.steps = turn.plan.steps(incident.service, incident.severity, incident.customer_tier)
    incident.plan = turn.plan.version
    turn.enter(incident.number, "Reopened", reason, actor)
    anew.begin(turn, incident, reason)


def begin_again(turn: Turn, incident: Incident, reason: Reason) -> None:
    """Page from the first step, now."""
    turn.enter(incident.number, "Paging begins", reason)
    anew.begin(turn, incident, reason)
