"""The self-audit: what must always hold while Tocsin runs, looked at every few seconds."""

from __future__ import annotations

from typing import NamedTuple

from tocsin.engine.quiet import unexplained
from tocsin.engine.state import State
from tocsin.kernel.instant import MINUTE, SECOND, Instant
from tocsin.runtime.delivery import Delivery
from tocsin.runtime.writer import Writer

LATE = 5 * SECOND
STUCK = 2 * MINUTE


class Audit(NamedTuple):
    """What was found wrong, as sentences, and when it was looked at."""

    faults: tuple[str, ...]
    at: Instant


def audit(writer: Writer, delivery: Delivery, now: Instant) -> Audit:
    """Look at everything that could keep somebody from being paged."""
    state = writer.engine.state
    faults = [*unattended(state, now)]
    if writer.overloaded(now):
        faults.append(f"{writer.waiting} inputs wait longer than they should")
    due = writer.due
    if due is not None and due < now - LATE:
        faults.append(f"timers are {(now - due) // SECOND} s late")
    if writer.failures:
        kept = f", and {writer.unwritten} inputs are in memory alone" if writer.unwritten else ""
        faults.append(f"the database has refused the last {writer.failures} commits{kept}")
    quiet = unexplained(state, now - LATE)
    if quiet:
        faults.append(f"{len(quiet)} alerts fire and are quiet without a reason, among them {quiet[0]}")
    stuck = sum(
        1
        for page in list(state.pages.values())
        if page.state == "intended" and page.handed_at is not None and now - page.handed_at > STUCK
    )
    if stuck:
        faults.append(f"{stuck} pages were handed to a channel and have no outcome after {STUCK // MINUTE} min")
    if writer.unjudged:
        kind, id = writer.unjudged[0]
        faults.append(f"{len(writer.unjudged)} timers cannot be judged, among them {kind} {id}")
    if delivery.under_way > 10_000:
        faults.append(f"{delivery.under_way} pages wait to leave")
    return Audit(tuple(faults), now)


def unattended(state: State, now: Instant) -> list[str]:
    """Open incidents that nobody would ever be paged for again."""
    found = []
    for incident in list(state.incidents.values()):
        due = incident.due() if incident.paused is None else incident.paused_until
        if incident.open and (due is None or due < now - LATE):
            found.append(f"incident #{incident.number} is {incident.state} and has nothing ahead of it")
    return found
