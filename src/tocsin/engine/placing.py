"""Who takes an alert that fires: a heartbeat, a silence, an incident that has room, or a new one."""

from __future__ import annotations

from typing import NamedTuple

from tocsin.alerts.alert import Alert
from tocsin.engine import settling
from tocsin.engine.beating import heartbeat_of, take_beat
from tocsin.engine.ending import OWN
from tocsin.engine.rising import reopen, tier_of, urgency, weigh
from tocsin.engine.turn import Turn
from tocsin.incidents.incident import Incident
from tocsin.kernel.instant import Duration, Instant
from tocsin.kernel.reason import Reason
from tocsin.silences.silence import matching

MOST_LINES = 20
"""So many alerts of a group each get a line on the timeline; later ones are counted, and listed beside it."""


def loud(turn: Turn, alert: Alert) -> None:
    """Nothing silences a firing alert any more: it counts for its open incident, or somebody else takes it. One that
    was put off stays so.
    """
    incident = turn.state.incidents.get(alert.incident)
    if incident is not None and (incident.open or _put_off(incident, alert)):
        weigh(turn, alert, incident)
    else:
        place(turn, alert)


class Home(NamedTuple):
    """Which incident an alert that had ended goes back to, should it fire again; 0 when it goes wherever any would.
    ``put_off``: its id, when it is one of those that were put off with it.
    """

    incident: int = 0
    put_off: int = 0


def place(turn: Turn, alert: Alert, home: Home = Home()) -> None:
    """Decide once more who takes a firing alert that is in no open incident. ``home``: as for ``take_in``."""
    labels = alert.labels
    where = turn.plan.router.route(alert.origin, alert.key, labels, labels.get("severity", ""))
    take_in(turn, alert, labels, where.window, home)


def take_in(turn: Turn, alert: Alert, labels: dict[str, str], window: Duration, home: Home = Home()) -> None:
    """Decide who takes a firing alert: a heartbeat, a silence, an incident that has room, or a new one.

    ``home``: where it goes back to, for it had ended (``home_of``).
    """
    state, now = turn.state, turn.now
    before = state.members.get(alert.incident)
    still = before is not None and alert.id in before.firing
    spec = heartbeat_of(turn, labels) if alert.source != OWN else None
    if spec is not None:
        counts(turn, alert)
        take_beat(turn, spec, "ok", now)
        return
    _leaves(turn, alert)
    alert.silences = (
        matching(state.silences.values(), alert.named(labels), alert.origin, now) if state.silences else ()
    )
    incident, returns = _whose(turn, alert, alert.incident if still else home.incident)
    snoozed = incident is not None and not incident.open and incident.snoozed is not None
    if returns and home.put_off and incident is not None and incident.snoozed is not None:
        incident.snoozed.hand_over(home.put_off, alert.id)
    covered = snoozed and returns
    if alert.silences and (incident is None or not incident.open) and not covered:
        alert.reason, alert.incident = Reason.SILENCED, 0
        turn.count("alerts", Reason.SILENCED)
        return
    if incident is None:
        incident = _open(turn, alert, window)
        alert.reason = Reason.OPENED
    else:
        alert.reason = Reason.SILENCED if alert.silences else Reason.JOINED
        if _breaks(incident, alert) and not returns:  # whoever was paged for one that returns is paged on
            settling.begin_anew(turn, incident)
        _join(turn, alert, incident, covered=covered, early=snoozed)
    alert.incident = incident.number
    members = turn.members(incident)
    members.firing.add(alert.id)
    if alert.silences:
        members.silenced.add(alert.id)
    state.wanted.changed(alert)
    turn.touch(incident.number)


def counts(turn: Turn, alert: Alert) -> None:
    """A firing alert is a sign of life from now on: no incident has it."""
    _leaves(turn, alert)
    alert.reason, alert.incident = Reason.COUNTS_AS_HEARTBEAT, 0


def _leaves(turn: Turn, alert: Alert) -> None:
    before = turn.state.members.get(alert.incident)
    if before is not None:
        before.firing.discard(alert.id)
        before.silenced.discard(alert.id)


def _breaks(incident: Incident, alert: Alert) -> bool:
    """Whether an alert is heard whose incident a silence keeps quiet while nobody has it."""
    return incident.state == "triggered" and incident.paused is Reason.SILENCED and not alert.silences


def _whose(turn: Turn, alert: Alert, home: int) -> tuple[Incident | None, bool]:
    """Which incident takes an alert, None of those there are, and whether it returns to that one."""
    state, now = turn.state, turn.now
    mine = state.incidents.get(home)
    if mine is not None and (mine.service, mine.group) == (alert.service, alert.group):
        return mine, True
    incident = state.newest_of(alert.service, alert.group)
    if incident is not None and (has_room(incident, now) if incident.open else settling.reopens(incident, now)):
        return incident, False
    return None, False


def home_of(turn: Turn, alert: Alert) -> Home:
    """Where an alert that had ended goes back to: the incident it was in, while that is open, whatever room it has for
    newcomers; or while a snooze is of the alert.
    """
    incident = turn.state.incidents.get(alert.incident)
    if incident is None:
        return Home()
    put_off = _put_off(incident, alert)
    return Home(incident.number, alert.id if put_off else 0) if incident.open or put_off else Home()


def _put_off(incident: Incident, alert: Alert) -> bool:
    return incident.snoozed is not None and incident.snoozed.has(alert.id)


def has_room(incident: Incident, now: Instant) -> bool:
    """Whether an open incident still takes newcomers."""
    return incident.open and (not incident.window or now - incident.last_joined <= incident.window)


def _open(turn: Turn, alert: Alert, window: int) -> Incident:
    state, now = turn.state, turn.now
    state.counters.incident += 1
    tier = tier_of(turn, alert)
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
        quiet=quiet_of(turn, alert.source),
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


def quiet_of(turn: Turn, source: str) -> Duration:
    """How long an incident waits for one of this source's alerts to return before it resolves."""
    found = turn.sources.get(source)
    return found.quiet if found else 0


def _told(alert: Alert) -> str:
    """An alert in one line; where the plan named what it means, with what was found."""
    detail = alert.detail if alert.own_title else ""
    return f"{alert.title}: {detail}" if detail else alert.title


def _join(turn: Turn, alert: Alert, incident: Incident, *, covered: bool, early: bool) -> None:
    """``covered``: its snooze is of the alert. Else that opens it again, ``early`` while others of the snooze fire."""
    incident.alerts += 1
    if has_room(incident, turn.now) or not incident.open:  # what returns after its window takes no others with it
        incident.last_joined = turn.now
    incident.quiet = max(incident.quiet, quiet_of(turn, alert.source))
    if covered:
        turn.enter(incident.number, "Fires again while snoozed", Reason.SNOOZED, f"source:{alert.source}")
    elif not incident.open:
        reopen(turn, alert, incident, early=early)
    elif incident.alerts <= MOST_LINES:
        turn.enter(
            incident.number, f"Joined: {_told(alert)}", alert.reason, f"source:{alert.source}", alert=str(alert.id)
        )
    else:
        turn.count("decisions", Reason.JOINED)
    weigh(turn, alert, incident)
    turn.touch(incident.number)
