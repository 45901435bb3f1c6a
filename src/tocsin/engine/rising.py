"""How grave and urgent an incident is, and of which customer: as its gravest, most urgent, highest alert has been."""

from __future__ import annotations

from tocsin.alerts.alert import Alert
from tocsin.catalog.services import Urgency
from tocsin.engine import releasing, settling
from tocsin.engine.turn import SYSTEM, Turn
from tocsin.incidents.incident import Incident, Snoozed
from tocsin.kernel.reason import Reason


def weigh_all(turn: Turn, incident: Incident) -> None:
    """Paging begins once more, or what was put off is put off no longer: all that counts is weighed as the plan has it
    now.
    """
    for alert in counting(turn, incident):
        weigh(turn, alert, incident)


def counting(turn: Turn, incident: Incident) -> list[Alert]:
    """An incident's alerts by which it is as grave as it is, the oldest first: those that are heard, and were not put
    off with it."""
    heard = (turn.state.alerts[id] for id in turn.members(incident).heard)
    off = incident.snoozed
    return [alert for alert in heard if off is None or not off.has(alert.id) or _exceeds(turn, alert, off)]


def weigh(turn: Turn, alert: Alert, incident: Incident | None = None) -> None:
    """An open incident is as grave, as urgent and of as high a customer as one of its alerts has been. Whoever put it
    off did so for what it was: what is more opens it again, or pages anew.

    One that is silenced does not count until its silence ends, or somebody would be paged within it. Nor does one that
    was put off until that is over, whether another has opened its incident meanwhile or not; unless it becomes more
    than all of that was.
    """
    incident = incident or turn.state.incidents.get(alert.incident)
    if incident is None or alert.silences:
        return
    if incident.snoozed is not None and incident.snoozed.has(alert.id):
        if not _exceeds(turn, alert, incident.snoozed):
            return
        incident.snoozed.leave_out(alert.id)
        turn.save_incident(incident)
        if not incident.open:
            reopen(turn, alert, incident, early=True)
    if not incident.open:
        return
    severity, tier, urgent = before = incident.severity, incident.customer_tier, incident.urgency
    _graver(turn, alert, incident)
    _higher(turn, alert, incident)
    _more_urgent(turn, alert, incident)
    if (incident.severity, incident.customer_tier, incident.urgency) != before:
        said = [f"{incident.severity.upper()}, was {severity.upper()}"] if incident.severity != severity else []
        said += [f"of {incident.customer_tier} customers"] if incident.customer_tier != tier else []
        said += [f"of {incident.urgency} urgency"] if incident.urgency != urgent else []
        settling.risen(turn, incident, ", ".join(said))


def _exceeds(turn: Turn, alert: Alert, off: Snoozed) -> bool:
    """Whether an alert is graver, more urgent or of a higher customer than all that was put off."""
    if alert.severity < off.severity or above(turn, off, tier_of(turn, alert)):
        return True
    return off.urgency == "low" and urgency(turn, alert) == "high"


def reopen(turn: Turn, alert: Alert, incident: Incident, *, early: bool) -> None:
    """An alert opens a resolved incident again, which is about that one now. ``early``: as for ``settling.reopen``."""
    incident.title, incident.labels, incident.urgency = alert.title, alert.labels, urgency(turn, alert)
    incident.customer_tier = tier_of(turn, alert)
    settling.reopen(turn, incident, Reason.REOPENED, f"source:{alert.source}", early=early)


def put_off(turn: Turn, incident: Incident) -> None:
    """A person puts off all that fires, and knows what it is: none of that rises above it."""
    for alert in (turn.state.alerts[id] for id in turn.members(incident).heard):
        incident.severity = min(incident.severity, alert.severity)
        if above(turn, incident, tier := tier_of(turn, alert)):
            incident.customer_tier = tier
        if incident.urgency == "low":
            incident.urgency = urgency(turn, alert)


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


def _higher(turn: Turn, alert: Alert, incident: Incident) -> None:
    """An incident is of the highest customer that one of its alerts has been about."""
    was, tier = incident.customer_tier, tier_of(turn, alert)
    if not above(turn, incident, tier):
        return
    incident.customer_tier = tier
    what = f"Now {tier} customers are concerned" + (f", and not {was} alone" if was else "")
    turn.enter(incident.number, what, Reason.CHANGED, f"source:{alert.source}", alert=str(alert.id))
    settling.follow_rise(turn, incident, incident.severity, was)
    turn.save_incident(incident)


def tier_of(turn: Turn, alert: Alert) -> str:
    """The tier of the customer an alert is about. Where the plan knows none, no label is read."""
    return turn.plan.tier_of(alert.service, alert.labels) if turn.plan.customer_tiers else ""


def above(turn: Turn, than: Incident | Snoozed, tier: str) -> bool:
    """Whether a customer of that tier is higher than those an incident is about so far, or what was put off was."""
    return turn.plan.highest_tier((than.customer_tier, tier)) not in ("", than.customer_tier)


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


def follow_plan(turn: Turn, incident: Incident) -> None:
    """The plan may have made alerts that count urgent since it began."""
    if incident.urgency == "low" and any(urgency(turn, alert) == "high" for alert in counting(turn, incident)):
        make_urgent(turn, incident, Reason.PLAN_CHANGED)


def make_urgent(turn: Turn, incident: Incident, reason: Reason, actor: str = SYSTEM, **detail: str) -> None:
    """It pages at any hour from now on."""
    incident.urgency = "high"
    turn.enter(incident.number, "Now of high urgency", reason, actor, **detail)
    if incident.waits is not None:
        wait_no_longer(turn, incident)
    releasing.hurry(turn, incident)
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
