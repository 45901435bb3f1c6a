"""Heartbeats: when the next sign of life is due, and what a late one means. Cron lines are read in their own zone."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from zoneinfo import ZoneInfo

from cronsim import CronSim
from msgspec import Struct

from tocsin.intake.specs import HeartbeatSpec
from tocsin.kernel.instant import Duration, Instant, from_datetime, to_datetime
from tocsin.kernel.reason import Reason

STANDS: Mapping[str, str] = {
    "up": "which was heard so far",
    "started": "which was heard so far",
    "late": "which is missing now",
    "failed": "which failed the last time",
}
"""How one that was heard stands, by its state, in a sentence about it."""


class Heartbeat(Struct, kw_only=True):
    """What is known of one heartbeat. ``due`` is when its absence becomes an alert (grace included), or, of one that
    was never heard, when somebody is told so.
    """

    service: str
    name: str
    state: str = "new"
    """``new`` (never heard, not judged), ``up``, ``started``, ``late`` or ``failed``."""
    last: Instant | None = None
    started: Instant | None = None
    due: Instant | None = None
    exit_code: int | None = None
    body: str = ""
    beats: int = 0
    declared_at: Instant | None = None
    """Since when the plan has it, as far as that is known: of one that is ``new`` somebody is told when it is due."""
    took: Duration | None = None
    """How long the last run took, from its start to its end, when it told both."""
    left_at: Instant | None = None
    """Since when the plan leaves it out: it is not judged, but taken up again as it was when the plan has it again."""
    waits_since: Instant | None = None
    """Since when its next sign of life is waited for, where one that was expected before may have been refused."""
    alarms: bool = False
    """Of one that the plan leaves out: whether it fires when the plan has it again, as it did, or failed meanwhile."""
    rule: str = ""
    """The rule of the plan that ``due`` is reckoned by; "" in the rows of an older version."""

    @property
    def heard_at(self) -> Instant:
        """When it gave a sign of any kind last; 0 when it never did."""
        return max(self.last or 0, self.started or 0)


def next_due(spec: HeartbeatSpec, after: Instant) -> Instant:
    """When the sign of life that follows ``after`` is late: the period or the next cron time, and the grace.

    >>> from tocsin.kernel.instant import MINUTE
    >>> next_due(HeartbeatSpec(service="a", name="b", every=MINUTE, grace=MINUTE), 0) == 2 * MINUTE
    True
    """
    if not spec.cron:
        return after + spec.every + spec.grace
    local: datetime = to_datetime(after).astimezone(ZoneInfo(spec.timezone))
    return from_datetime(next(CronSim(spec.cron, local))) + spec.grace


def beaten(
    heart: Heartbeat, spec: HeartbeatSpec, kind: str, now: Instant, exit_code: int | None = None, body: str = ""
) -> Reason | None:
    """Take one sign of life. Returns what it means for the heartbeat's alert: failed, back, or None for nothing."""
    before = heart.state
    heart.body, heart.exit_code = body, exit_code
    if kind == "start":
        heart.started = now
        if before in ("new", "up"):
            heart.state = "started"
            heart.due = next_due(spec, now) if heart.due is None or before == "new" else heart.due
        return None
    heart.took = now - heart.started if heart.started is not None else None
    heart.started = None
    heart.last = now
    heart.beats += 1
    heart.due = next_due(spec, now)
    if kind == "fail":
        heart.state = "failed"
        return Reason.HEARTBEAT_FAILED
    heart.state = "up"
    return Reason.HEARTBEAT_BACK if before in ("late", "failed") else None
