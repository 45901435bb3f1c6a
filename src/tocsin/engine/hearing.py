"""What an Event does to alerts: new, heard again, firing again, resolved. What Tocsin says of itself is heard so."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from msgspec import Raw

from tocsin.access.credentials import Key
from tocsin.alerts.alert import Alert
from tocsin.alerts.merge import Span, merge
from tocsin.catalog.services import INBOX
from tocsin.engine import deafness, placing, settling
from tocsin.engine.beating import MISSING, beat_by, heard_meanwhile, heartbeat_of, name_of, take_beat, undefined
from tocsin.engine.ending import OWN, own_alert, resolve
from tocsin.engine.placing import MOST_LINES, has_room, quiet_of, take_in
from tocsin.engine.records import HeardChange
from tocsin.engine.rising import above, weigh
from tocsin.engine.state import TOGETHER
from tocsin.engine.suspecting import MOST_HEARD
from tocsin.engine.turn import Turn
from tocsin.incidents.incident import Incident
from tocsin.incidents.routes import Routed
from tocsin.intake.event import Beat, Burst, Event, Row
from tocsin.intake.request import Heard
from tocsin.intake.specs import HeartbeatSpec
from tocsin.kernel.identity import keyed, label_text, texts_json
from tocsin.kernel.instant import DAY, HOUR, MINUTE, Duration, Instant
from tocsin.kernel.reason import Reason
from tocsin.silences.silence import matching

MOST_ACTIVE = 50_000
MOST_FOLDED = 10
"""So many of what was folded are named, the last first, with so much of the title of each:"""
LONGEST_FOLDED = 120
FOLDED = (
    "came beyond that, repetitions counted, and are judged only when they are sent again: "
    "events and PagerDuty's are sent once"
)
"""More active alerts than this on one key are folded into one alert that pages."""
NIGHTLY: Duration = DAY + HOUR
"""A job of each night gives a sign of life in that time; one that comes a little later is no other trouble."""
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
    rows: Iterator[Row]
    if isinstance(events, Burst):
        rows, fires_after = events.rows(turn.plan.router.asked_of(events.labels)), max(now, events.read_at)
    else:
        rows, fires_after = map(_row, events), now
    last: tuple[object, str] | None = None
    for index, (place, labels, notes, severity, starts_at, ends_at, timeout, link, asked) in enumerate(rows):
        if place and ends_at > fires_after and place not in known:
            if seat is None or asked is None or (asked, severity) != last:
                routed, last = route(origin, "", labels, severity), (asked, severity)
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
        None,
    )


def _seat(turn: Turn, source: str, routed: Routed, labels: dict[str, str]) -> Seat | None:
    """The seat of alerts routed this way, if they are certain to get one in this input. ``labels``: those of one;
    what a route or a heartbeat asks for, and the customer's tier, is the same in all.
    """
    if turn.state.silences or (turn.plan.heartbeat_alerts and heartbeat_of(turn, labels) is not None):
        return None
    incident = turn.state.newest_of(routed.service, routed.group)
    if (
        incident is None
        or not has_room(incident, turn.now)
        or incident.alerts < MOST_LINES
        or incident.urgency != "high"
        or routed.severity < incident.severity
        or quiet_of(turn, source) > incident.quiet
        or (turn.plan.customer_tiers and above(turn, incident, turn.plan.tier_of(routed.service, labels)))
    ):
        return None
    return Seat(routed, incident, turn.members(incident).firing)


def _followed(turn: Turn, seat: Seat, key_id: int, followed: int) -> None:
    """Count the alerts that took a seat."""
    if followed:
        incident = seat.incident
        incident.alerts += followed
        incident.last_joined = turn.now
        if settling.is_steady(turn, incident):
            turn.save_counts(incident)
        else:
            turn.touch(incident.number)
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
    beat_by(turn, alert, at)
    (turn.save_alert if changed else turn.saw_alert)(alert)


def _ttl(ends_at: Instant | None, now: Instant) -> Duration | None:
    return ends_at - now if ends_at is not None and ends_at - now >= NEAREST_MOVING else None


def _span(one: Alert | Event) -> Span:
    return Span(one.starts_at, one.ends_at, one.timeout)


def _first(
    turn: Turn,
    source: str,
    origin: str,
    key_id: int,
    place: bytes,
    event: Event,
    starts_at: Instant | None = None,
    home: placing.Home = placing.Home(),
) -> None:
    state = turn.state
    if state.active_by_key.get(key_id, 0) >= MOST_ACTIVE and source != OWN:
        _flooded(turn, origin, key_id, event)
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
    take_in(turn, alert, event.labels, routed.window, home)


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
        alert.silences = matching(turn.state.silences.values(), alert.named(event.labels), alert.origin, now)
        members = turn.state.members.get(alert.incident)
        if members is not None:
            (members.silenced.add if alert.silences else members.silenced.discard)(alert.id)
    beat_by(turn, alert, now)
    worse = turn.plan.router.route(alert.origin, alert.key, event.labels, event.severity).severity
    if other or worse != alert.severity:
        alert.severity = worse
        (placing.loud if silenced and not alert.silences else weigh)(turn, alert)
    turn.save_alert(alert)
    turn.touch(alert.incident)


def _fire_again(turn: Turn, alert: Alert, key_id: int, event: Event) -> None:
    """It had ended, and fires: as a new one, so that history stays. Its incident or snooze has it again."""
    home = placing.home_of(turn, alert)
    turn.state.forget_alert(alert)
    turn.changes.alerts[alert.id] = alert
    span = merge(_span(alert), _span(event), turn.now)
    _first(turn, alert.source, alert.origin, key_id, alert.place, event, span.starts_at, home)


def _revive(turn: Turn, alert: Alert) -> None:
    """A repetition came after its end, with nothing new in it: it fires again as it was."""
    home = placing.home_of(turn, alert)
    alert.state, alert.reason = "firing", Reason.FIRING_AGAIN
    alert.resolved_at, alert.incident = None, 0  # until it has a place it is in none
    if alert.ttl is not None:
        alert.ends_at = turn.now + alert.ttl
    turn.state.add_alert(alert, alert.place)
    placing.place(turn, alert, home)


def _acknowledged(turn: Turn, alert: Alert, source: str) -> None:
    incident = turn.state.incidents.get(alert.incident)
    if incident is None or incident.state != "triggered":
        turn.count("events", Reason.ALREADY_RESOLVED if not alert.firing else Reason.ACKNOWLEDGED)
        return
    settling.acknowledge(turn, incident, f"source:{source}", Reason.BY_SOURCE)


def _beat(turn: Turn, key: Key | None, origin: str, beat: Beat) -> None:
    name = key.heartbeat if key else ""
    spec = next((s for s in turn.plan.heartbeats if s.service == origin and (s.name == name or not name)), None)
    if spec is None:
        turn.count("events", Reason.UNKNOWN_KEY)
        left = heard_meanwhile(turn, (origin, name), beat)
        if left is not None and turn.now - left < settling.LEAVES_AFTER and beat.kind != "fail":
            return  # a checkout in two steps, or a reload that has yet to give the key its new name
        title = f"A heartbeat came for {origin} that the plan does not define"
        own_event(turn, origin, undefined(origin, name), title, "warning", {"heartbeat": name}, ends=turn.now + NIGHTLY)
        return
    if take_beat(turn, spec, beat.kind, turn.now, beat.exit_code, beat.body) is Reason.HEARTBEAT_FAILED:
        heartbeat_failed(turn, spec, beat.exit_code, beat.body)


def heartbeat_failed(turn: Turn, spec: HeartbeatSpec, exit_code: int | None, body: str) -> None:
    """Raise the alert of a heartbeat whose job said that it failed."""
    code = f" with exit code {exit_code}" if exit_code is not None else ""
    heartbeat_event(turn, spec, f"{spec.name} of {spec.service} reported a failure{code}", body)


def heartbeat_event(turn: Turn, spec: HeartbeatSpec, found: str, body: str = "") -> None:
    """Raise the alert of a heartbeat that is late or failed. ``found``: which of both, as a sentence."""
    said = {"description": found} if spec.title else {}
    own_event(
        turn,
        spec.service,
        name_of(spec),
        spec.title or found,
        spec.severity,
        {"heartbeat": spec.name},
        annotations={**said, "body": body} if body else said,
        name=MISSING,
    )


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
    ends: Instant | None = None,
) -> None:
    """Raise an alert of Tocsin's own on a service, deduplicated by key. ``name`` is its ``alertname``; ``ends``: when
    it is over by itself, unless it is said again.
    """
    service = turn.plan.service(service).key
    event = Event(
        key=key,
        labels={"alertname": name, "service": service, "severity": severity, **labels},
        annotations_json=texts_json(annotations or {}),
        own_title=title,
        severity=severity,
        starts_at=turn.now,
        ends_at=ends,
    )
    _hear_event(turn, turn.state.known_of(OWN, service), OWN, service, 0, event)


def _flooded(turn: Turn, origin: str, key_id: int, event: Event) -> None:
    """Fold an event of a key with too many alerts into one alert, which says how many came and what the last said.

    Of what is folded nothing is kept that a repetition could be known by: each counts.
    """
    turn.count("events", Reason.KEY_FLOODED)
    service = INBOX if origin not in turn.plan.services else origin
    there = own_alert(turn, service, f"flood:{key_id}")
    before = there.annotations if there is not None and there.firing else {}
    routed = turn.plan.router.route(origin, event.key, event.labels, event.severity)
    times = int(before.get("folded", "0")) + 1
    title = " ".join(event.title.split())[:LONGEST_FOLDED]
    lines = [f"{routed.severity.upper()} {routed.service}: {title}", *before.get("last folded", "").splitlines()]
    named = dict.fromkeys(filter(None, lines))  # what is sent again is named once, and comes first
    last = "\n".join([*named][:MOST_FOLDED])
    key = turn.state.keys.get(key_id)
    name = key.name or key.hint if key else str(key_id)
    own_event(
        turn,
        service,
        f"flood:{key_id}",
        f"More than {MOST_ACTIVE:,} active alerts came with key {name}; the rest are folded here",
        "critical",
        {"key": str(key_id)},
        annotations={
            "description": f"{times:,} {'event' if times == 1 else 'events'} that fired {FOLDED}",
            "folded": str(times),
            "last folded": last,
        },
        name="KeyFlooded",
    )
