"""What happens when time has come for something."""

from __future__ import annotations

from tocsin.alerts.heartbeats import Heartbeat
from tocsin.engine import (
    answering,
    deafness,
    ending,
    handing,
    hearing,
    ledger,
    looping,
    overriding,
    paging,
    placing,
    reminding,
    repeating,
    rising,
    running,
    settling,
    starting,
    unheard,
)
from tocsin.engine.state import RESULTS_KEPT, State, alert_due
from tocsin.engine.turn import Turn
from tocsin.incidents.incident import Incident
from tocsin.intake.specs import HeartbeatSpec
from tocsin.kernel.instant import Instant, say_duration
from tocsin.kernel.reason import Reason
from tocsin.oncall.zone import said
from tocsin.pages.ledger import DRILL_WORKS, Page
from tocsin.silences.silence import Silence, matching


def due_alerts(state: State, stretch: int, now: Instant) -> list[int]:
    """Which alerts of those whose timers are one are due."""
    dues = ((alert.id, alert_due(alert)) for alert in state.alerts_of(stretch))
    return [id for id, due in dues if due is not None and due <= now]


def watch_again(turn: Turn, stretch: int) -> None:
    """Have the others be looked at when they are due. What was due and still is has been passed over on purpose."""
    turn.state.timers.set("alerts", stretch, turn.state.alerts_due(stretch, turn.now))


def ring(turn: Turn, kind: str, id: int | str) -> None:
    """Judge one thing that is due."""
    match kind:
        case "alert":
            _alert(turn, int(id))
        case "incident":
            _incident(turn, turn.state.incidents[int(id)])
        case "page":
            paging.due(turn, turn.state.pages[int(id)])
        case "silence":
            _silence(turn, turn.state.silences[str(id)])
        case "heartbeat":
            _heartbeat(turn, str(id))
        case "loop":
            looping.ring(turn, str(id))
        case "notice":
            handing.ring(turn, turn.state.duties[str(id)])
        case "override":
            overriding.ring(turn, turn.state.overrides[int(id)])
        case "run":
            running.ring(turn, turn.state.runs[int(id)])
        case "standing":
            starting.scheduled(turn, str(id))


def _alert(turn: Turn, id: int) -> None:
    alert = turn.state.alerts[id]
    if not alert.firing:
        turn.state.forget_alert(alert)
        turn.save_alert(alert)
    elif alert.ends_at is not None:
        moved = deafness.survived(turn, alert)
        if moved:
            alert.ends_at += moved
            turn.save_alert(alert)
        else:
            if alert.source == ending.OWN and alert.incident in turn.state.incidents:
                # No monitor that stopped repeating it: whoever reads it is told.
                lasted = say_duration(alert.ends_at - alert.last_seen)
                turn.enter(alert.incident, f"Not heard again for {lasted}: {alert.title}", Reason.EXPIRED)
            ending.resolve(turn, alert, Reason.EXPIRED, alert.ends_at)
    else:
        alert.stale = True
        turn.save_alert(alert)
        if alert.incident in turn.state.incidents:
            turn.enter(alert.incident, f"Nothing new for a day: {alert.title}", Reason.STALE, alert=str(alert.id))


def _incident(turn: Turn, incident: Incident) -> None:
    now = turn.now
    if incident.acknowledged_until is not None and incident.acknowledged_until <= now:
        incident.acknowledged_until = None
        settling.unacknowledge(turn, incident)
        rising.weigh_all(turn, incident)
    elif incident.clear_at is not None and incident.clear_at <= now:
        settling.resolve(turn, incident, "code", incident.ends_for or Reason.ALL_CLEAR)
    elif incident.snoozed is not None and incident.snoozed.over_at is not None and incident.snoozed.over_at <= now:
        settling.snooze_over(turn, incident)
    elif incident.snoozed_until is not None and incident.snoozed_until <= now:
        incident.snoozed_until = incident.snoozed = None
        if not incident.open and not turn.members(incident).firing:
            settling.snooze_over(turn, incident)
        else:
            if not incident.open:  # else another alert opened it before
                settling.reopen(turn, incident, Reason.SNOOZE_ENDED)
            rising.weigh_all(turn, incident)
            turn.save_incident(incident)
    elif incident.keep_until is not None and (incident.lingers_until or incident.keep_until) <= now:
        incident.lingers_until = ledger.lingers_until(turn, incident)
        if incident.lingers_until is None:
            turn.changes.incidents[incident.number] = incident
            turn.changes.pages |= turn.state.pages_of.get(incident.number, {})
            turn.state.forget_incident(incident)
            return
        turn.save_incident(incident)
    elif any(until is not None and until <= now for until in (incident.hold_until, incident.given_until)):
        running.ring_those_of(turn, incident)
        answering.hold_over(turn, incident)
    elif any(until <= now for until in incident.answers.values()):
        settling.answers_over(turn, incident)
    elif any(one.at <= now for one in incident.owed):
        repeating.repeat(turn, incident)
    elif incident.next_at is not None and incident.next_at <= now:
        paging.escalate_now(turn, incident)
    turn.state.timers.set("incident", incident.number, incident.due())


def _silence(turn: Turn, silence: Silence) -> None:
    now = turn.now
    if silence.ends_at <= now:
        close(turn, silence)
        return
    begins = not silence.begun and silence.starts_at <= now
    silence.begun = silence.begun or begins
    if not silence.reminded and silence.remind_at() <= now:
        silence.reminded = True
        reminding.ends_soon(turn, silence)
    turn.changes.silences[silence.id] = silence
    if begins:
        rejudge(turn, silence)
    turn.state.timers.set("silence", silence.id, silence.due())


def close(turn: Turn, silence: Silence) -> None:
    """A silence is over: say so, judge again what it kept quiet, and let it go."""
    silence.closed = True
    del turn.state.silences[silence.id]
    turn.changes.silences[silence.id] = silence
    quiet = reminding.kept_quiet(turn, silence)
    rejudge(turn, silence)
    reminding.ended(turn, silence, quiet)


def rejudge(turn: Turn, *changed: Silence) -> None:
    """Silences changed, began or are over: find what they cover now, place what nothing keeps quiet any more, settle
    what they touch. Only what they cover, or did, is judged: there may be fifty thousand alerts, and many silences.
    """
    state, now = turn.state, turn.now
    active = [s for s in state.silences.values() if s.state(now) == "active"]
    ids = {one.id for one in changed}
    for alert in list(state.alerts.values()):
        if not alert.firing or alert.reason is Reason.COUNTS_AS_HEARTBEAT:
            continue
        if ids.isdisjoint(alert.silences) and not any(one.covers(alert.matched, alert.origin) for one in changed):
            continue
        covered = matching(active, alert.matched, alert.origin, now) if active else ()
        if covered == alert.silences:
            if not ids.isdisjoint(covered) and alert.incident in state.members:
                turn.touch(alert.incident)  # its end may have moved
            continue
        alert.silences = covered
        turn.save_alert(alert)
        members = state.members.get(alert.incident)
        if members is not None:
            (members.silenced.add if covered else members.silenced.discard)(alert.id)
            turn.touch(alert.incident)
        if not covered:
            placing.loud(turn, alert)


def _heartbeat(turn: Turn, id: str) -> None:
    service, _, name = id.partition("/")
    heart = turn.state.heartbeats[service, name]
    spec = next((s for s in turn.plan.heartbeats if (s.service, s.name) == (service, name)), None)
    heart.due = None
    turn.changes.heartbeats[service, name] = heart
    if spec is None:
        return
    if heart.state == "new":
        unheard.tell(turn, heart)
        return
    heart.state = "late"
    turn.count("heartbeats", Reason.HEARTBEAT_LATE)
    missing(turn, spec, heart)


def missing(turn: Turn, spec: HeartbeatSpec, heart: Heartbeat) -> None:
    """Raise the alert of a heartbeat that is late, or that failed before the plan left it out."""
    if heart.state == "failed":
        hearing.heartbeat_failed(turn, spec, heart.exit_code, heart.body)
        return
    # A clock time: the title is read for as long as the incident is open.
    zone = turn.plan.timezone  # one title for everybody: by the team's clock
    last = f"last heard {said(heart.last, zone)} {zone}" if heart.last else "never heard"
    hearing.heartbeat_event(turn, spec, f"{spec.name} of {spec.service} gives no sign of life ({last})", heart.body)


def tidy(turn: Turn) -> None:
    """Let results go that no client will ask for again, finished notices, and drills that can be answered no more."""
    state = turn.state
    while state.results:
        oldest = next(iter(state.results.values()))
        if turn.now - oldest.at <= RESULTS_KEPT:
            break
        del state.results[oldest.key]
        turn.changes.dropped_results[oldest.key] = None
    if of_none := state.pages_of.get(0):
        for id in [id for id, page in of_none.items() if _told(turn, page)]:
            turn.changes.pages[id] = state.forget_page(id)


def _told(turn: Turn, page: Page) -> bool:
    over = page.kind != "drill" or turn.now - page.intended_at > DRILL_WORKS
    if page.kind == "synthetic":
        over = not looping.keeps(turn, page)
    rings = page.rings_until is not None and page.rings_until > turn.now  # it takes a line that others wait for
    return page.state != "intended" and over and not rings
