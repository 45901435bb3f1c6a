"""What the plan has watched, heartbeats and probes, when another plan leaves it out or takes it up again.

A plan that leaves something out by mistake, or under another name, must not make it silent for good: what was heard of
a heartbeat is kept for a week, and judged on when the plan has it again.
"""

from __future__ import annotations

from collections.abc import Iterator

from tocsin.alerts.alert import Alert
from tocsin.alerts.heartbeats import STANDS, Heartbeat, next_due
from tocsin.engine import beating, deafness, ending, placing, settling, ticking, unheard
from tocsin.engine.state import LEFT_OUT_KEPT
from tocsin.engine.turn import Turn
from tocsin.intake.specs import HeartbeatSpec
from tocsin.kernel.instant import Instant
from tocsin.kernel.reason import Reason

MOST_KEPT = 1_000
"""Of so many heartbeats that the plan leaves out what was heard is kept at most, of those that left last."""
MOST_TOLD = 20
"""So many of each kind of what a plan leaves out are named to whoever put it in force."""

Place = tuple[str, str]
"""The service of a heartbeat, and its name."""


def plan_changed(turn: Turn) -> list[str]:
    """Have the heartbeats be those of the plan in force. Says which of those that were heard it leaves out."""
    hearts, now = turn.state.heartbeats, turn.now
    specs = {(spec.service, spec.name): spec for spec in turn.plan.heartbeats}
    left = []
    for place in [one for one, heart in hearts.items() if one not in specs and heart.left_at is None]:
        if hearts[place].state == "new":
            _forget(turn, place)  # it was never heard: nothing is known of it
            continue
        left.append(_said(turn, hearts[place]))
        hearts[place].left_at, hearts[place].alarms = now, _fires(turn, place)
        _keep(turn, hearts[place])
    _forget_the_old(turn)
    anew = False
    for place, spec in specs.items():
        heart = hearts.get(place)
        other = heart is not None and heart.rule not in ("", spec.rule)  # a start knows no plan before this one
        anew |= bool(spec.alert) and (heart is None or heart.left_at is not None or other)
        if heart is None:
            heart = hearts[place] = Heartbeat(service=spec.service, name=spec.name)
            turn.changes.dropped_heartbeats.discard(place)
        elif heart.left_at is not None:
            _take_up(turn, spec, heart)
        elif other and heart.state not in ("new", "late"):
            heart.due = max(_next(turn, spec, heart), now)
        unheard.declared(turn, spec, heart, anew=other)
        heart.rule = spec.rule
        _keep(turn, heart)
    _place_again(turn, anew=anew)
    return left


def settled(turn: Turn) -> list[str]:
    """End what the plan does not have any more, and raise what is missing and not alarmed for: the last thing of a
    change of plan. Says which open incidents lose what they are about.
    """
    ended = list(_end_the_unwatched(turn))
    _end_the_undefined(turn)
    for spec in turn.plan.heartbeats:
        _alarm(turn, spec)
    return ended


def renamed(turn: Turn, was: Place, place: Place) -> None:
    """What beat as ``was`` beats as ``place`` from now on, by the same secret: what is known of it goes with it."""
    hearts = turn.state.heartbeats
    old, new = hearts.get(was), hearts.get(place)
    spec = next((s for s in turn.plan.heartbeats if (s.service, s.name) == place), None)
    if spec is not None:
        told = ending.own_alert(turn, turn.plan.service(was[0]).key, beating.undefined(*was))
        _heard_of(turn, told, f"Its key is of the heartbeat {spec.service}/{spec.name} now")
    if old is None or old.left_at is None or new is None or new.state != "new" or spec is None:
        return
    _forget(turn, was)
    old.service, old.name = place
    hearts[place] = old
    _take_up(turn, spec, old)
    _keep(turn, old)
    _alarm(turn, spec)


def _take_up(turn: Turn, spec: HeartbeatSpec, heart: Heartbeat) -> None:
    """Judge it on from what is known of it. A sign that was expected while it was left out, by what it was given or by
    the job's own time, may have been refused: the one after that is waited for.
    """
    left, heart.left_at = heart.left_at or 0, None
    heart.rule = spec.rule
    if heart.state == "late":
        return
    due = _next(turn, spec, heart)
    expected, comes = due - spec.grace, _comes(spec, heart, left)
    # One that was late already, but within its grace, may come then: but not that likely in a moment, and a job that
    # died would be found out a whole period later.
    late = expected < left <= due and turn.now - left > settling.LEAVES_AFTER
    refused = late or any(left <= one <= turn.now for one in (expected, comes))
    if refused:
        heart.waits_since, due = turn.now, next_due(spec, turn.now)
    heart.due = max(due, turn.now)


def _next(turn: Turn, spec: HeartbeatSpec, heart: Heartbeat) -> Instant:
    """When the sign of life after the last one is late, with what it is given for time in which none could be heard, or
    its own may have been refused.
    """
    since = max(_heard(heart), heart.waits_since or 0)
    return next_due(spec, since) + deafness.missed(turn, since)


def _comes(spec: HeartbeatSpec, heart: Heartbeat, at: Instant) -> Instant:
    """When a job that keeps its own time, whatever could be heard of it, gives its next sign of life from then on."""
    if spec.cron:
        return next_due(spec, at - 1) - spec.grace
    periods = max(1, -(-(at - _heard(heart)) // spec.every))
    return _heard(heart) + periods * spec.every


def _heard(heart: Heartbeat) -> Instant:
    return heart.last if heart.last is not None else heart.heard_at  # a start moves nothing but the very first time


def _alarm(turn: Turn, spec: HeartbeatSpec) -> None:
    """Raise the alert of what is missing, or fired as the plan left it out, where none fires.

    One that is late fires until a sign of life comes: an older version let a person end it.
    """
    heart = turn.state.heartbeats[spec.service, spec.name]
    alarms = heart.state == "late" or (heart.state == "failed" and heart.alarms)
    if heart.alarms:
        heart.alarms = False
        _keep(turn, heart)
    if alarms and not _fires(turn, (spec.service, spec.name)):
        ticking.missing(turn, spec, heart)


def _fires(turn: Turn, place: Place) -> bool:
    """Whether its absence, or its failure, is alarmed for; not that it is heard though the plan does not have it."""
    told = ending.own_alert(turn, place[0], beating.named(*place))
    return told is not None and told.firing and told.labels["alertname"] == beating.MISSING


def _keep(turn: Turn, heart: Heartbeat) -> None:
    called = f"{heart.service}/{heart.name}"
    turn.changes.heartbeats[heart.service, heart.name] = heart
    turn.state.timers.set("heartbeat", called, turn.state.due_of("heartbeat", called))


def _forget(turn: Turn, place: Place) -> None:
    del turn.state.heartbeats[place]
    turn.changes.heartbeats.pop(place, None)
    turn.changes.dropped_heartbeats.add(place)


def _forget_the_old(turn: Turn) -> None:
    left = ((heart.left_at, place) for place, heart in turn.state.heartbeats.items() if heart.left_at is not None)
    newest = sorted(left, reverse=True)
    for n, (at, place) in enumerate(newest):
        if n >= MOST_KEPT or turn.now - at > LEFT_OUT_KEPT:
            _forget(turn, place)


def _place_again(turn: Turn, *, anew: bool) -> None:
    """Alerts that counted as heartbeats and do no more, and those that do now. ``anew``: the plan has one that it had
    not, so each alert is looked at.
    """
    for alert in list(turn.state.alerts.values()):
        counted = alert.reason is Reason.COUNTS_AS_HEARTBEAT
        if not alert.firing or alert.source == ending.OWN or not (counted or anew):
            continue
        spec = beating.heartbeat_of(turn, alert.labels)
        if spec is not None:
            _counts(turn, alert, spec)
        elif counted:
            alert.reason = Reason.PLAN_CHANGED
            turn.touch(alert.incident)
            placing.place(turn, alert)
            turn.save_alert(alert)


def _counts(turn: Turn, alert: Alert, spec: HeartbeatSpec) -> None:
    """An alert counts as this heartbeat. That a plan says so is no sign of life, but for one that was never heard: its
    time begins. Else only what came since it was heard last is, while the plan left it out.
    """
    if alert.reason is not Reason.COUNTS_AS_HEARTBEAT:
        turn.touch(alert.incident)
        placing.counts(turn, alert)
        turn.save_alert(alert)
    heart = turn.state.heartbeats[spec.service, spec.name]
    if heart.state == "new":
        beating.take_beat(turn, spec, "ok", turn.now)
    elif alert.last_seen > heart.heard_at:
        due = heart.due
        beating.take_beat(turn, spec, "ok", alert.last_seen)
        heart.due = max(heart.due or 0, due or 0, turn.now)
        _keep(turn, heart)


def _end_the_unwatched(turn: Turn) -> Iterator[str]:
    """Alerts of probes and heartbeats that the plan does not have any more: nothing else could end them."""
    watched = {("probe", f"{s.service}/{s.name}") for s in turn.plan.probes}
    watched |= {(ending.OWN, f"heartbeat:{s.service}/{s.name}") for s in turn.plan.heartbeats}
    for alert in list(turn.state.alerts.values()):
        missing = alert.source == ending.OWN and alert.labels["alertname"] == beating.MISSING
        if not alert.firing or not (missing or alert.source == "probe") or (alert.source, alert.key) in watched:
            continue
        ending.resolve(turn, alert, Reason.LEFT_THE_PLAN)
        incident = turn.state.incidents.get(alert.incident)
        if incident is not None and incident.snoozed is not None and incident.snoozed.has(alert.id):
            incident.snoozed.over_at = turn.now + settling.LEAVES_AFTER
        if incident is None or not incident.open:
            continue
        called = f"The {'heartbeat' if missing else 'probe'} {alert.key.removeprefix('heartbeat:')}"
        turn.enter(incident.number, f"{called} is not in the plan any more", Reason.LEFT_THE_PLAN)
        over = not turn.members(incident).firing
        if over:
            incident.ends_for = Reason.LEFT_THE_PLAN
        then = f"incident #{incident.number} {'will be resolved for it' if over else 'goes on without it'}"
        yield f"warning: {called[:1].lower()}{called[1:]} is left out while it fires: {then}"


def _end_the_undefined(turn: Turn) -> None:
    """Signs of life came that the plan did not define, and does now."""
    defined = {beating.undefined(one.service, one.name): one for one in turn.plan.heartbeats}
    for alert in list(turn.state.alerts.values()):
        spec = defined.get(alert.key) if alert.source == ending.OWN else None
        if spec is not None:
            _heard_of(turn, alert, f"The plan defines the heartbeat {spec.service}/{spec.name} now")


def _heard_of(turn: Turn, told: Alert | None, why: str) -> None:
    """End the alert that a sign of life came of what the plan did not define: it is taken from now on."""
    if told is not None and told.firing:
        if told.incident in turn.state.incidents:
            turn.enter(told.incident, why, Reason.PLAN_CHANGED)
        ending.resolve(turn, told, Reason.PLAN_CHANGED)


def _said(turn: Turn, heart: Heartbeat) -> str:
    return (
        f"warning: the heartbeat {heart.service}/{heart.name}, {STANDS[heart.state]}, is left out: "
        "nobody hears of its absence. "
        "Put back within a week, by its name or its key, it is judged on"
    )


def few(lines: list[str]) -> list[str]:
    """As many lines of one kind as somebody reads, and how many more there are."""
    more = len(lines) - MOST_TOLD
    return lines if more <= 0 else [*lines[:MOST_TOLD], f"warning: and {more} more like this one"]
