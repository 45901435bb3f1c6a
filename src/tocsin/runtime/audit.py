"""The self-audit: what must always hold while Tocsin runs, looked at every few seconds."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from typing import NamedTuple, TypeVar

from tocsin.engine.quiet import unexplained
from tocsin.engine.state import State
from tocsin.incidents.incident import Incident
from tocsin.kernel.instant import MINUTE, SECOND, Instant
from tocsin.pages.ledger import unreached_since
from tocsin.runtime.delivery import Delivery
from tocsin.runtime.writer import Writer

T = TypeVar("T")

SLICE = 250
LATE = 5 * SECOND
STUCK = 2 * MINUTE


class Audit(NamedTuple):
    """What was found wrong, as sentences, and when it was looked at."""

    faults: tuple[str, ...]
    at: Instant


async def audit(writer: Writer, delivery: Delivery, now: Instant) -> Audit:
    """Look at everything that could keep somebody from being paged.

    In slices: a hundred thousand incidents take half a second to look at, and no page may wait for that.
    """
    state = writer.engine.state
    faults: list[str] = []
    lost: list[int] = []
    async for incidents in slices(list(state.incidents.values())):
        faults += unattended(incidents, now)
        lost += unreached(state, incidents, now)
    quiet: list[int] = []
    async for alerts in slices(list(state.alerts.values())):
        quiet += unexplained(state, now - LATE, alerts)
    stuck = 0
    async for pages in slices(list(state.pages.values())):
        handed = (one.handed_at for one in pages if one.state == "intended" and one.handed_at is not None)
        stuck += sum(now - at > STUCK for at in handed)
    if writer.overloaded(now):
        faults.append(f"{writer.waiting} inputs wait longer than they should")
    due = writer.due
    if due is not None and due < now - LATE:
        faults.append(f"timers are {(now - due) // SECOND} s late")
    if writer.failures:
        kept = f", and {writer.unwritten} inputs are in memory alone" if writer.unwritten else ""
        faults.append(f"the database has refused the last {writer.failures} commits{kept}")
    if quiet:
        faults.append(f"{len(quiet)} alerts fire and are quiet without a reason, among them {quiet[0]}")
    if stuck:
        faults.append(f"{stuck} pages were handed to a channel and have no outcome after {STUCK // MINUTE} min")
    if lost:
        more = f", and {len(lost) - 1} more like it," if lost[1:] else ""
        faults.append(f"incident #{lost[0]}{more} has reached nobody for {STUCK // MINUTE} min: its pages are refused")
    if writer.unjudged:
        kind, id = writer.unjudged[0]
        faults.append(f"{len(writer.unjudged)} timers cannot be judged, among them {kind} {id}")
    if delivery.under_way > 10_000:
        faults.append(f"{delivery.under_way} pages wait to leave")
    return Audit(tuple(faults), now)


async def slices(items: list[T]) -> AsyncIterator[list[T]]:
    """The items a few hundred at a time, with a turn for everybody else in between. At least one slice, be it empty."""
    for first in range(0, max(1, len(items)), SLICE):
        yield items[first : first + SLICE]
        await asyncio.sleep(0)


def unattended(incidents: Iterable[Incident], now: Instant) -> list[str]:
    """Open incidents that nobody would ever be paged for again."""
    found = []
    for incident in incidents:
        due = incident.due() if incident.paused is None else incident.paused_until
        if incident.open and (due is None or due < now - LATE):
            found.append(f"incident #{incident.number} is {incident.state} and has nothing ahead of it")
    return found


def unreached(state: State, incidents: Iterable[Incident], now: Instant) -> list[int]:
    """Incidents that somebody must answer and of which nobody could be told for a while: no channel takes their pages.

    A page that is tried again is handed to its channel anew each time, and so never looks stuck by itself.
    """
    found = []
    for incident in incidents:
        if incident.state != "triggered" or incident.paused is not None:
            continue
        pages = list(state.pages_of.get(incident.number, {}).values())
        since = unreached_since(pages) if pages else None
        if since is not None and now - since > STUCK:
            found.append(incident.number)
    return found
