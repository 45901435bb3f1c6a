"""What an Event does to alerts: new, heard again, firing again, resolved; and which incident takes an alert."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from msgspec import Raw

from tocsin.access.credentials import Key
from tocsin.alerts.alert import Alert, keyed
from tocsin.alerts.heartbeats import Heartbeat, beaten
from tocsin.alerts.merge import Span, merge
from tocsin.catalog.services import INBOX, Urgency
from tocsin.engine import deafness, paging, settling
from tocsin.engine.records import HeardChange, Parked
from tocsin.engine.state import TOGETHER
from tocsin.engine.suspecting import MOST_HEARD
from tocsin.engine.turn import SYSTEM, Turn
from tocsin.incidents.incident import Incident
from tocsin.incidents.routes import Routed
from tocsin.intake.event import Beat, Burst, Event, Row
from tocsin.intake.request import Heard, Request
from tocsin.intake.specs import HeartbeatSpec
from tocsin.kernel.identity import label_text, texts_json
from tocsin.kernel.instant import MINUTE, Duration, Instant
from tocsin.kernel.matcher import all_match
from tocsin.kernel.reason import Reason
from tocsin.silences.silence import matching

MOST_ACTIVE = 50_000
"""More active alerts than this on one key are folded into one alert that pages."""
OWN = "tocsin"
"""The source of alerts that Tocsin raises about itself. They end when a person resolves their incident."""
MOST_LINES = 20
"""So many alerts of a group each get a line on the timeline; later ones are counted, and listed beside it."""
FOLD_PARKED = 10 * MINUTE
MOST_PARKED = 1_000
MOST_PARKED_BYTES = 64 * 1024 * 1024
NEAREST_MOVING: Duration = MINUTE
"""An end nearer than this is taken to the letter each time it is said.

Else an unchanged repetition moves it, and is dated to some seconds: for a near end that would be too early.
"""


def hear(turn: Turn, key: Key | None, service: str, source: str, heard: Heard) -> None:
    """Take everything one request said."""
    origin = key.service if key else service
    key_id = key.id if key else 0
    for id in heard.repeated:
        refresh(turn, turn.state.alerts[id], turn.now)
    if heard.events:
        _hear_events(turn, source, origin, key_id, heard.events)
    for beat in heard.beats:
        _beat(turn, key, origin, beat)
    for change in heard.changes:
        turn.state.counters.change += 1
        told = HeardChange(
            id=turn.state.counters.change,
            at=change.at,
            service=origin,
            source=source,
            summary=change.summary,
            link=change.link,
            details=change.details,
        )
        turn.changes.changes.append(told)
        turn.state.heard = (*turn.state.heard[1 - MOST_HEARD :], told)


class Seat(NamedTuple):
    """Where new alerts that are routed in one way are certain to go: an open incident, and its alerts that fire."""

    routed: Routed
    incident: Incident
    firing: set[int]


def _hear_events(turn: Turn, source: str, origin: str, key_id: int, events: Sequence[Event] | Burst) -> None:
    """Take events in their order.

    A new alert that is certain to join a large open incident does so here, and nothing more is asked of it; that is
    most of what comes when much comes. The long way, ``_hear_event``, comes to the same.
    """
    state, now = turn.state, turn.now
    known, route = state.known_of(source, origin), turn.plan.router.route
    alerts, new, counters = state.alerts, turn.changes.new_alerts, state.counters
    seat: Seat | None = None
    followed, room = 0, MOST_ACTIVE - state.active_by_key.get(key_id, 0)
    watched: Instant = 0
    ttl: Duration | None = None
    rows: Iterator[Row] = events.rows() if isinstance(events, Burst) else map(_row, events)
    fires_after = max(now, events.read_at) if isinstance(events, Burst) else now
    for index, (place, labels, notes, severity, starts_at, ends_at, timeout, link) in enumerate(rows):
        if place and ends_at > fires_after and place not in known:
            routed = route(origin, "", labels, severity)
            if seat is None or routed is not seat.routed:
                if seat is not None:
                    _followed(turn, seat, key_id, followed)
                    room -= followed
                seat, followed = _seat(turn, source, routed, labels), 0
                if seat is not None:
                    service, group, grave, reason = routed.service, routed.group, routed.severity, routed.reason
                    number, sit = seat.incident.number, seat.firing.add
            if seat is not None and followed < room:
                followed += 1
                counters.alert = id = counters.alert + 1
                if ends_at != watched:
                    watched, ttl = ends_at, _ttl(ends_at, now)
                    state.timers.set("alerts", id // TOGETHER, ends_at)
                elif not id % TOGETHER:
                    state.timers.set("alerts", id // TOGETHER, ends_at)
                alerts[id] = new[id] = known[place] = Alert(
                    id,
                    source,
                    origin,
                    Raw(place),
                    notes,
                    grave,
                    service,
                    starts_at,
                    now,
                    now,
                    group,
                    reason,
                    link,
                    "",
                    key_id,
                    ends_at,
                    ttl,
                    timeout,
                    "firing",
                    Reason.JOINED,
                    number,
                )
                sit(id)
                continue
        if seat is not None:
            _followed(turn, seat, key_id, followed)
        _hear_event(turn, known, source, origin, key_id, events[index])
        seat, followed, watched = None, 0, 0
        room = MOST_ACTIVE - state.active_by_key.get(key_id, 0)
    if seat is not None:
        _followed(turn, seat, key_id, followed)


def _row(event: Event) -> Row:
    """An event as a burst has it; without a place when it takes the long way in any case."""
    new = event.state == "firing" and not event.key
    return (
        event.label_text if new else b"",
        event.labels,
        event.annotations_json,
        event.severity,
        event.starts_at,
        event.ends_at or 0,
        event.timeout,
        event.link,
    )


def _seat(turn: Turn, source: str, routed: Routed, labels: dict[str, str]) -> Seat | None:
    """The seat of alerts routed this way, if they are certain to get one in this input. ``labels``: those of one;
    what a route or a heartbeat asks for, and the customer's tier, is the same in all.
    """
    if turn.state.silences or (turn.plan.heartbeat_alerts and _heartbeat_of(turn, labels) is not None):
        return None
    incident = turn.state.newest_of(routed.service, routed.group)
    if (
        incident is None
        or not _has_room(incident, turn.now)
        or incident.alerts < MOST_LINES
        or incident.urgency != "high"
        or routed.severity < incident.severity
        or _quiet(turn, source) > incident.quiet
        or (turn.plan.customer_tiers and _above(turn, incident, turn.plan.tier_of(routed.service, labels)))
    ):
        return None
    return Seat(routed, incident, turn.members(incident).firing)


def _has_room(incident: Incident, now: Instant) -> bool:
    """Whether an open incident still takes newcomers."""
    return incident.open and (not incident.window or now - incident.last_joined <= incident.window)


def _followed(turn: Turn, seat: Seat, key_id: int, followed: int) -> None:
    """Count the alerts that took a seat."""
    if followed:
        seat.incident.alerts += followed
        seat.incident.last_joined = turn.now
        turn.touch(seat.incident.number)
        turn.state.active_by_key[key_id] = turn.state.active_by_key.get(key_id, 0) + followed
        turn.changes.counted["events", Reason.FIRST_SEEN] += followed
        turn.changes.counted["decisions", Reason.JOINED] += followed


def _hear_event(
    turn: Turn, known: dict[bytes, Alert], source: str, origin: str, key_id: int, event: Event
) -> None:
    """Take one event: decide which alert it is about and what it changes. ``known`` is ``known_of(source, origin)``."""
    now = turn.now
    place = keyed(event.key) if event.key else event.label_text or label_text(event.labels)
    alert = known.get(place)
    if event.state == "firing" and (event.ends_at is None or event.ends_at > now):
        if alert is None:
            _first(turn, source, origin, key_id, place, event)
        elif alert.firing:
            _again(turn, alert, event)
        else:
            _fire_again(turn, alert, key_id, event)
    elif alert is None:
        turn.count("events", Reason.UNKNOWN_KEY)
    elif event.state == "acknowledged":
        _acknowledged(turn, alert, source)
    elif not alert.firing:
        turn.count("events", Reason.ALREADY_RESOLVED)
    else:
        if event.ends_at is not None and event.starts_at < event.ends_at:
            # It tells a beginning too: should the alert fire again, the spans may overlap.
            alert.starts_at = merge(_span(alert), _span(event), now).starts_at
        resolve(turn, alert, Reason.SOURCE_RESOLVED, event.ends_at)


def refresh(turn: Turn, alert: Alert, at: Instant) -> None:
    """An unchanged repetition was heard at an instant, perhaps a little ago."""
    turn.count("events", Reason.HEARD_AGAIN)
    changed = alert.stale or not alert.firing
    if not alert.firing:
        if alert.resolved_at is not None and at <= alert.resolved_at:
            return
        turn.save_alert(alert)
        _revive(turn, alert)
    deafness.waits(turn, alert)
    alert.last_seen = max(alert.last_seen, at)
    alert.count += 1
    alert.stale = False
    if alert.ttl is not None and alert.ends_at is not None:
        alert.ends_at = max(alert.ends_at, at + alert.ttl)
    _beat_by(turn, alert, at)
    (turn.save_alert if changed else turn.saw_alert)(alert)


def _ttl(ends_at: Instant | None, now: Instant) -> Duration | None:
    return ends_at - now if ends_at is not None and ends_at - now >= NEAREST_MOVING else None


def _span(one: Alert | Event) -> Span:
    return Span(one.starts_at, one.ends_at, one.timeout)


def _first(
    turn: Turn, source: str, origin: str, key_id: int, place: bytes, event: Event, starts_at: Instant | None = None
) -> None:
    state = turn.state
    if state.active_by_key.get(key_id, 0) >= MOST_ACTIVE and source != OWN:
        _flooded(turn, origin, key_id)
        return
    routed = turn.plan.router.route(origin, event.key, event.labels, event.severity)
    state.counters.alert += 1
    id = state.counters.alert
    alert = _alert(id, source, origin, key_id, place, event, routed, turn.now, Reason.FIRST_SEEN, 0)
    if starts_at is not None:
        alert.starts_at = starts_at
    turn.changes.new_alerts[alert.id] = alert
    state.add_alert(alert, place)
    turn.count("events", Reason.FIRST_SEEN)
    take_in(turn, alert, event.labels, routed.window)


def _alert(
    id: int,
    source: str,
    origin: str,
    key_id: int,
    place: bytes,
    event: Event,
    routed: Routed,
    now: Instant,
    reason: Reason,
    incident: int,
) -> Alert:
    """A new alert of a firing event. By place, not by name: that takes a fifth of the time."""
    ends_at = event.ends_at
    return Alert(
        id,
        source,
        origin,
        Raw(label_text(event.labels) if event.key else place),
        event.annotations_json,
        routed.severity,
        routed.service,
        event.starts_at,
        now,
        now,
        routed.group,
        routed.reason,
        event.link,
        event.key,
        key_id,
        ends_at,
        _ttl(ends_at, now),
        event.timeout,
        "firing",
        reason,
        incident,
        own_title=event.own_title,
    )


def _again(turn: Turn, alert: Alert, event: Event) -> None:
    """It fires already. Alertmanager's merge: the older start, and the newer word on everything else."""
    now = turn.now
    turn.save_alert(alert)  # before anything changes: from now on a repetition of it waits for the commit
    labels = Raw(event.label_text or label_text(event.labels))
    # A source with titles gives one each time; what else is kept as one may be what an older version read off.
    told = labels, event.annotations_json, event.own_title, event.link
    news = told != (alert.labels_json, alert.annotations_json, alert.own_title, alert.link)
    turn.count("events", Reason.CHANGED if news else Reason.HEARD_AGAIN)
    deafness.waits(turn, alert)
    span = merge(_span(alert), _span(event), now)
    # An end said again as it was, or kept against a nearer one, is a time of its own:
    # it does not move with repetitions.
    moves = span.ends_at is not None and span.ends_at == event.ends_at and event.ends_at != alert.ends_at
    alert.ttl = _ttl(span.ends_at, now) if moves else None
    alert.starts_at, alert.ends_at, alert.timeout = span
    alert.last_seen = now
    alert.count += 1
    alert.stale = False
    _, alert.annotations_json, alert.own_title, alert.link = told
    other, silenced = alert.labels_json != labels, bool(alert.silences)
    if other:
        alert.labels_json = labels
        alert.silences = matching(turn.state.silences.values(), event.labels, alert.origin, now)
        members = turn.state.members.get(alert.incident)
        if members is not None:
            (members.silenced.add if alert.silences else members.silenced.discard)(alert.id)
    _beat_by(turn, alert, now)
    worse = turn.plan.router.route(alert.origin, alert.key, event.labels, event.severity).severity
    if other or worse != alert.severity:
        alert.severity = worse
        (loud if silenced and not alert.silences else weigh)(turn, alert)
    turn.save_alert(alert)
    turn.touch(alert.incident)


def _fire_again(turn: Turn, alert: Alert, key_id: int, event: Event) -> None:
    """It had ended, and fires.

    In the same incident it is the same alert; else it is a new one, so that history stays.
    """
    turn.state.forget_alert(alert)
    turn.changes.alerts[alert.id] = alert
    span = merge(_span(alert), _span(event), turn.now)
    _first(turn, alert.source, alert.origin, key_id, alert.place, event, span.starts_at)


def _revive(turn: Turn, alert: Alert) -> None:
    """A repetition came after its end, with nothing new in it: it fires again as it was."""
    alert.state, alert.reason = "firing", Reason.FIRING_AGAIN
    alert.resolved_at = None
    if alert.ttl is not None:
        alert.ends_at = turn.now + alert.ttl
    turn.state.add_alert(alert, alert.place)
    place(turn, alert)


def resolve(turn: Turn, alert: Alert, reason: Reason, ended: Instant | None = None) -> None:
    """An alert ends. Its incident is settled before the turn is over."""
    state = turn.state
    alert.state, alert.reason = "resolved", reason
    alert.resolved_at = turn.now
    alert.ends_at = min(ended, turn.now) if ended is not None else turn.now
    if reason is Reason.SOURCE_RESOLVED:
        alert.last_seen = turn.now
    state.active_by_key[alert.key_id] -= 1
    members = state.members.get(alert.incident)
    if members is not None:
        members.firing.discard(alert.id)
        members.silenced.discard(alert.id)
    alert.silences = ()
    turn.save_alert(alert)
    turn.count("alerts", reason)
    turn.touch(alert.incident)


def loud(turn: Turn, alert: Alert) -> None:
    """Nothing silences a firing alert any more: it counts for its open incident, or somebody else takes it."""
    incident = turn.state.incidents.get(alert.incident)
    if incident is not None and incident.open:
        weigh(turn, alert, incident)
    else:
        place(turn, alert)


def place(turn: Turn, alert: Alert) -> None:
    """Decide once more who takes a firing alert that is in no open incident."""
    labels = alert.labels
    where = turn.plan.router.route(alert.origin, alert.key, labels, labels.get("severity", ""))
    take_in(turn, alert, labels, where.window)


def take_in(turn: Turn, alert: Alert, labels: dict[str, str], window: Duration) -> None:
    """Decide who takes a firing alert: a heartbeat, a silence, an incident that has room, or a new one."""
    state, now = turn.state, turn.now
    before = state.members.get(alert.incident)
    if before is not None:
        before.firing.discard(alert.id)
        before.silenced.discard(alert.id)
    spec = _heartbeat_of(turn, labels) if alert.source != OWN else None
    if spec is not None:
        alert.reason, alert.incident = Reason.COUNTS_AS_HEARTBEAT, 0
        take_beat(turn, spec, "ok", now)
        return
    alert.silences = matching(state.silences.values(), labels, alert.origin, now) if state.silences else ()
    incident = state.newest_of(alert.service, alert.group)
    if incident is not None and not (_has_room(incident, now) if incident.open else settling.reopens(incident, now)):
        incident = None
    if alert.silences and (incident is None or not incident.open):
        alert.reason, alert.incident = Reason.SILENCED, 0
        turn.count("alerts", Reason.SILENCED)
        return
    if incident is None:
        incident = _open(turn, alert, window)
        alert.reason = Reason.OPENED
    else:
        alert.reason = Reason.SILENCED if alert.silences else Reason.JOINED
        _join(turn, alert, incident)
    alert.incident = incident.number
    members = turn.members(incident)
    members.firing.add(alert.id)
    if alert.silences:
        members.silenced.add(alert.id)
    turn.touch(incident.number)


def _open(turn: Turn, alert: Alert, window: int) -> Incident:
    state, now = turn.state, turn.now
    state.counters.incident += 1
    tier = _tier(turn, alert)
    incident = Incident(
        number=state.counters.incident,
        service=alert.service,
        group=alert.group,
        title=alert.title,
        severity=alert.severity,
        opened_at=now,
        updated_at=now,
        last_joined=now,
        window=window,
        quiet=_quiet(turn, alert.source),
        alerts=1,
        plan=turn.plan.version,
        steps=turn.plan.steps(alert.service, alert.severity, tier),
        customer_tier=tier,
        urgency=urgency(turn, alert),
        next_at=now,
        labels=alert.labels,
    )
    state.add_incident(incident)
    turn.save_incident(incident)
    what = f"Opened for {alert.service}: {_told(alert)}"
    turn.enter(incident.number, what, Reason.OPENED, f"source:{alert.source}", alert=str(alert.id), routed=alert.routed)
    return incident


def _told(alert: Alert) -> str:
    """An alert in one line; where the plan named what it means, with what was found."""
    detail = alert.detail if alert.own_title else ""
    return f"{alert.title}: {detail}" if detail else alert.title


def _quiet(turn: Turn, source: str) -> Duration:
    found = turn.sources.get(source)
    return found.quiet if found else 0


def _join(turn: Turn, alert: Alert, incident: Incident) -> None:
    incident.alerts += 1
    incident.last_joined = turn.now
    incident.quiet = max(incident.quiet, _quiet(turn, alert.source))
    if not incident.open:
        incident.title, incident.urgency = alert.title, urgency(turn, alert)
        incident.customer_tier = _tier(turn, alert)
        settling.reopen(turn, incident, Reason.REOPENED, f"source:{alert.source}")
    elif incident.alerts <= MOST_LINES:
        turn.enter(
            incident.number, f"Joined: {_told(alert)}", alert.reason, f"source:{alert.source}", alert=str(alert.id)
        )
    else:
        turn.count("decisions", Reason.JOINED)
    weigh(turn, alert, incident)
    turn.touch(incident.number)


def weigh(turn: Turn, alert: Alert, incident: Incident | None = None) -> None:
    """An open incident is as grave, as urgent and of as high a customer as one of its alerts has been.

    One that is silenced does not count until its silence ends, or somebody would be paged within it.
    """
    incident = incident or turn.state.incidents.get(alert.incident)
    if incident is None or not incident.open or alert.silences:
        return
    _graver(turn, alert, incident)
    _higher(turn, alert, incident)
    _more_urgent(turn, alert, incident)


def _graver(turn: Turn, alert: Alert, incident: Incident) -> None:
    """An incident is as grave as its gravest alert has been."""
    was = incident.severity
    if alert.severity >= was:
        return
    incident.severity = alert.severity
    what = f"Now {alert.severity.upper()}, was {was.upper()}"
    turn.enter(incident.number, what, Reason.CHANGED, f"source:{alert.source}", alert=str(alert.id))
    settling.follow_rise(turn, incident, was, incident.customer_tier)
    turn.save_incident(incident)


def _tier(turn: Turn, alert: Alert) -> str:
    """The tier of the customer an alert is about. Where the plan knows none, no label is read."""
    return turn.plan.tier_of(alert.service, alert.labels) if turn.plan.customer_tiers else ""


def _above(turn: Turn, incident: Incident, tier: str) -> bool:
    """Whether a customer of that tier is higher than those an incident is about so far."""
    return turn.plan.highest_tier((incident.customer_tier, tier)) not in ("", incident.customer_tier)


def _higher(turn: Turn, alert: Alert, incident: Incident) -> None:
    """An incident is of the highest customer that one of its alerts has been about."""
    was, tier = incident.customer_tier, _tier(turn, alert)
    if not _above(turn, incident, tier):
        return
    incident.customer_tier = tier
    what = f"Now {tier} customers are concerned" + (f", and not {was} alone" if was else "")
    turn.enter(incident.number, what, Reason.CHANGED, f"source:{alert.source}", alert=str(alert.id))
    settling.follow_rise(turn, incident, incident.severity, was)
    turn.save_incident(incident)


def urgency(turn: Turn, alert: Alert) -> Urgency:
    """Whether an alert pages at any hour, as its route says for its severity, else its service."""
    labels = alert.labels
    where = turn.plan.router.route(alert.origin, alert.key, labels, labels.get("severity", ""))
    by_route = where.urgency.get(alert.severity)
    return by_route or turn.plan.service(alert.service).urgency.get(alert.severity, "high")


def _more_urgent(turn: Turn, alert: Alert, incident: Incident) -> None:
    """An incident is as urgent as its most urgent alert has been: what waited for a morning waits no longer."""
    if incident.urgency == "high" or urgency(turn, alert) == "low":
        return
    make_urgent(turn, incident, Reason.CHANGED, f"source:{alert.source}", alert=str(alert.id))


def make_urgent(turn: Turn, incident: Incident, reason: Reason, actor: str = SYSTEM, **detail: str) -> None:
    """It pages at any hour from now on."""
    incident.urgency = "high"
    turn.enter(incident.number, "Now of high urgency", reason, actor, **detail)
    if incident.waits is not None:
        wait_no_longer(turn, incident)
    paging.hurry(turn, incident)
    turn.save_incident(incident)
    turn.touch(incident.number)


def wait_no_longer(turn: Turn, incident: Incident) -> None:
    """What it waits for is gone, or moved: ask before the turn ends; while paging is paused, as soon as it goes on."""
    incident.waits = None
    if incident.next_at is not None:
        incident.next_at = turn.now
    elif incident.resume_at is not None:
        incident.resume_at = turn.now
    turn.save_incident(incident)
    turn.touch(incident.number)


def _acknowledged(turn: Turn, alert: Alert, source: str) -> None:
    incident = turn.state.incidents.get(alert.incident)
    if incident is None or incident.state != "triggered":
        turn.count("events", Reason.ALREADY_RESOLVED if not alert.firing else Reason.ACKNOWLEDGED)
        return
    settling.acknowledge(turn, incident, f"source:{source}", Reason.BY_SOURCE)


# -- heartbeats --------------------------------------------------------------------------------------------------------


def _heartbeat_of(turn: Turn, labels: dict[str, str]) -> HeartbeatSpec | None:
    return next((spec for spec in turn.plan.heartbeat_alerts if all_match(spec.alert, labels)), None)


def _beat_by(turn: Turn, alert: Alert, at: Instant) -> None:
    """What counts as a heartbeat beats each time it is heard."""
    spec = _heartbeat_of(turn, alert.labels) if alert.reason is Reason.COUNTS_AS_HEARTBEAT else None
    if spec is not None:
        take_beat(turn, spec, "ok", at)


def _beat(turn: Turn, key: Key | None, origin: str, beat: Beat) -> None:
    name = key.heartbeat if key else ""
    spec = next((s for s in turn.plan.heartbeats if s.service == origin and (s.name == name or not name)), None)
    if spec is None:
        turn.count("events", Reason.UNKNOWN_KEY)
        title = f"A heartbeat came for {origin} that the plan does not define"
        own_event(turn, origin, f"heartbeat:{origin}/{name}", title, "warning", {"heartbeat": name})
        return
    take_beat(turn, spec, beat.kind, turn.now, beat.exit_code, beat.body)


def take_beat(
    turn: Turn, spec: HeartbeatSpec, kind: str, at: Instant, exit_code: int | None = None, body: str = ""
) -> None:
    """Take one sign of life, and raise or end the heartbeat's alert as it says."""
    heart = turn.state.heartbeats.get((spec.service, spec.name))
    if heart is None:
        heart = turn.state.heartbeats[spec.service, spec.name] = Heartbeat(service=spec.service, name=spec.name)
    meaning = beaten(heart, spec, kind, at, exit_code, body)
    turn.changes.heartbeats[spec.service, spec.name] = heart
    turn.state.timers.set("heartbeat", f"{spec.service}/{spec.name}", heart.due)
    turn.count("heartbeats", meaning or Reason.HEARD_AGAIN)
    if meaning is Reason.HEARTBEAT_FAILED:
        code = f" with exit code {exit_code}" if exit_code is not None else ""
        heartbeat_event(turn, spec, f"{spec.name} of {spec.service} reported a failure{code}", body)
    elif meaning is Reason.HEARTBEAT_BACK:
        alert = own_alert(turn, spec.service, f"heartbeat:{spec.service}/{spec.name}")
        if alert is not None and alert.firing:
            resolve(turn, alert, Reason.HEARTBEAT_BACK)


def heartbeat_event(turn: Turn, spec: HeartbeatSpec, found: str, body: str = "") -> None:
    """Raise the alert of a heartbeat that is late or failed. ``found``: which of both, as a sentence."""
    said = {"description": found} if spec.title else {}
    own_event(
        turn,
        spec.service,
        f"heartbeat:{spec.service}/{spec.name}",
        spec.title or found,
        spec.severity,
        {"heartbeat": spec.name},
        annotations={**said, "body": body} if body else said,
        name="HeartbeatMissing",
    )


# -- what Tocsin says of itself ----------------------------------------------------------------------------------------


def own_event(
    turn: Turn,
    service: str,
    key: str,
    title: str,
    severity: str,
    labels: dict[str, str],
    *,
    annotations: dict[str, str] | None = None,
    name: str = "Tocsin",
) -> None:
    """Raise an alert of Tocsin's own on a service, deduplicated by key. ``name`` is its ``alertname``."""
    service = turn.plan.service(service).key
    event = Event(
        key=key,
        labels={"alertname": name, "service": service, "severity": severity, **labels},
        annotations_json=texts_json(annotations or {}),
        own_title=title,
        severity=severity,
        starts_at=turn.now,
    )
    _hear_event(turn, turn.state.known_of(OWN, service), OWN, service, 0, event)


def own_alert(turn: Turn, service: str, key: str) -> Alert | None:
    """The alert that ``own_event`` raised on a service under that key."""
    return turn.state.known_of(OWN, service).get(keyed(key))


def park(turn: Turn, key: Key | None, service: str, request: Request, fault: str) -> None:
    """Keep a request that could not be read, and have a person told: one incident per key and ten minutes."""
    origin = turn.plan.service(key.service if key else service).key
    parked = Parked(id=turn.seq, at=turn.now, key_id=key.id if key else 0, service=origin, fault=fault, request=request)
    turn.state.parked[parked.id] = turn.changes.parked[parked.id] = parked
    _make_room(turn)
    turn.count("events", Reason.PARKED_REQUEST)
    fold = f"parked:{parked.key_id}:{turn.now // FOLD_PARKED}"
    name = f"key {key.name or key.hint}" if key else "Tocsin itself"
    own_event(
        turn,
        origin,
        fold,
        f"A request from {name} could not be read: {fault}"[:300],
        "error",
        {"key": str(parked.key_id)},
        annotations={"parked": str(parked.id)},
        name="RequestParked",
    )
    alert = own_alert(turn, origin, fold)
    parked.incident = alert.incident if alert else 0


def _make_room(turn: Turn) -> None:
    """Parked requests are held in memory whole: the oldest go when they are too many. The journal has them still."""
    parked = turn.state.parked
    held = sum(len(one.request.body) for one in parked.values())
    while len(parked) > MOST_PARKED or (held > MOST_PARKED_BYTES and len(parked) > 1):
        oldest = parked.pop(min(parked))
        held -= len(oldest.request.body)
        oldest.discarded = True
        turn.changes.parked[oldest.id] = oldest


def _flooded(turn: Turn, origin: str, key_id: int) -> None:
    turn.count("events", Reason.KEY_FLOODED)
    key = turn.state.keys.get(key_id)
    name = key.name or key.hint if key else str(key_id)
    own_event(
        turn,
        INBOX if origin not in turn.plan.services else origin,
        f"flood:{key_id}",
        f"More than {MOST_ACTIVE:,} active alerts came with key {name}; the rest are folded here",
        "critical",
        {"key": str(key_id)},
        name="KeyFlooded",
    )
