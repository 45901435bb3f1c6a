"""Times in which nothing could be heard: what waited through one, and what lives longer for it."""

from __future__ import annotations

from msgspec.structs import replace

from tocsin.alerts.alert import Alert
from tocsin.engine.state import AFTER_DEAFNESS
from tocsin.engine.turn import Turn
from tocsin.intake.event import Burst
from tocsin.intake.request import Heard
from tocsin.kernel.instant import Duration, Instant


def survived(turn: Turn, alert: Alert) -> Duration:
    """How much longer an alert lives because nothing could be heard since it was last heard of. Counted once."""
    moved = 0
    for start, end in turn.state.counters.deaf:
        if end > max(alert.last_seen, alert.deaf_until):
            moved += end - max(start, alert.last_seen, alert.deaf_until)
            moved += AFTER_DEAFNESS if alert.deaf_until <= start else 0
            alert.deaf_until = end
    return moved


def missed(turn: Turn, since: Instant) -> Duration:
    """How much longer a sign of life is waited for that is expected since then, as ``Engine`` moves what is due."""
    gaps = [(max(start, since), end) for start, end in turn.state.counters.deaf if end > since]
    return sum(end - start for start, end in gaps) + (AFTER_DEAFNESS if gaps else 0)


def waits(turn: Turn, alert: Alert) -> None:
    """It is heard of again by what waited in a socket: what was said before had as little time to be heard again.

    It gets it before the two are compared, for from now on the alert counts as heard.
    """
    if turn.waited and alert.ends_at is not None:
        alert.ends_at += survived(turn, alert)


def later(heard: Heard, late: Duration, *, endings: bool = True) -> Heard:
    """The same, with ends as far ahead of now as their sender set them ahead of the request.

    ``endings``: whether what has ended did so later too; else that stays as it was said.
    """
    if isinstance(heard.events, Burst):
        return replace(heard, events=heard.events.later(late, endings=endings))
    return replace(
        heard,
        events=tuple(
            e if e.ends_at is None or (e.state == "resolved" and not endings) else replace(e, ends_at=e.ends_at + late)
            for e in heard.events
        ),
    )
