"""Synthetic pages: when one leaves, and what it means that it comes back, or does not."""

from __future__ import annotations

from collections.abc import Callable

from tocsin.engine import ending, hearing, ledger, paging
from tocsin.engine.inputs import Delivered, Receipted
from tocsin.engine.turn import Turn
from tocsin.kernel.instant import Duration, Instant, say_duration
from tocsin.kernel.reason import Reason
from tocsin.pages.ledger import GIVE_UP_AFTER, Page
from tocsin.pages.loops import Loop, LoopSpec


def declare(turn: Turn) -> None:
    """The plan changed: channels it names are tried, the first time at once; of others nothing is awaited any more."""
    loops, specs = turn.state.counters.loops, _specs(turn)
    for channel in [name for name in loops if name not in specs]:
        _ended(turn, loops.pop(channel), Reason.LEFT_THE_PLAN)
    for channel, spec in specs.items():
        loop = loops.get(channel)
        if loop is None or loop.address != spec.address:
            if loop is not None:
                _ended(turn, loop, Reason.PLAN_CHANGED)
            loop = loops[channel] = Loop(channel=channel, address=spec.address, next_at=turn.now)
        elif loop.sent_at is not None:
            loop.next_at = max(turn.now, loop.sent_at + spec.every)
        turn.state.timers.set("loop", channel, loop.due())


def ring(turn: Turn, channel: str) -> None:
    """Something about a channel's synthetic page is due.

    One that still stands in line proves nothing about the channel: the plan's own pace may be what it waits for.
    """
    loop, spec = turn.state.counters.loops[channel], _specs(turn).get(channel)
    if spec is None:  # the plan that names it no more says so itself, in a moment
        loop.next_at = loop.due_at = None
        return
    wait = _in_line(turn, loop)
    if wait > turn.now:
        loop.due_at = min(turn.now + spec.within, wait)
        loop.next_at = max(loop.next_at or 0, loop.due_at)
    elif loop.due_at is not None and loop.due_at <= turn.now:
        again, loop.due_at, loop.deaf = loop.deaf, None, False
        if again:  # it may have come back while nobody could hear: that proves nothing, so another one is sent
            loop.next_at = turn.now
        else:
            unsent = f"did not leave within {say_duration(GIVE_UP_AFTER)}: too much waits before it"
            _missing(turn, loop, spec, unsent if wait else _not_back(turn, loop, spec))
    if loop.next_at is not None and loop.next_at <= turn.now:
        _send(turn, loop, spec)
    turn.state.timers.set("loop", channel, loop.due())


def _send(turn: Turn, loop: Loop, spec: LoopSpec) -> None:
    before = turn.state.pages.get(loop.page)
    if before is not None and before.state == "intended":
        ledger.finish(turn, before, "overtaken", Reason.REPLACED)
    loop.page = paging.synthetic(turn, spec.channel, spec.address).id
    loop.sent_at, loop.next_at, loop.due_at = turn.now, turn.now + spec.every, turn.now + spec.within


def reached(turn: Turn, told: Receipted) -> None:
    """A page's receipt is known: when it is a synthetic page that is awaited, the channel works."""
    loop = _loop_of(turn, told.page)
    page = turn.state.pages.get(told.page)
    if loop is None or page is None or page.delivered_at is None or loop.came_at == page.delivered_at:
        return
    loop.came_at, loop.took, loop.due_at = turn.now, turn.now - page.intended_at, None
    turn.count("synthetic_pages", Reason.CAME_BACK)
    _ended(turn, loop, Reason.CAME_BACK)


def delivered(turn: Turn, outcome: Delivered) -> None:
    """From when its channel comes to it, it has its time to come back; one that refuses it for good ends the wait."""
    loop, page = _loop_of(turn, outcome.page), turn.state.pages.get(outcome.page)
    spec = _specs(turn).get(loop.channel) if loop is not None else None
    if loop is None or spec is None or page is None or loop.due_at is None:
        return
    if page.state == "sent" or (page.state == "intended" and page.attempts == 1):
        loop.due_at = turn.now + spec.within
        loop.next_at = max(loop.next_at or 0, loop.due_at)
        turn.state.timers.set("loop", loop.channel, loop.due())
    if page.state != "failed":
        return
    loop.due_at = None
    _missing(turn, loop, spec, f"could not be sent: {page.error}")


def deafened(turn: Turn, moved: Callable[[Instant], Duration]) -> None:
    """For a while nothing could be heard: what is awaited has longer, and its absence proves nothing. ``moved``: how
    much longer, by since when it is awaited.
    """
    for loop in turn.state.counters.loops.values():
        if loop.due_at is not None:
            loop.due_at, loop.deaf = loop.due_at + moved(loop.sent_at or 0), True


def set_aside(turn: Turn, channel: str) -> None:
    """It could not be judged: it is not looked at again until the plan says something else."""
    loop = turn.state.counters.loops.get(channel)
    if loop is not None:
        loop.next_at = loop.due_at = None


def keeps(turn: Turn, page: Page) -> bool:
    """Whether a synthetic page is still awaited, or would be news when it came late."""
    loop = _loop_of(turn, page.id)
    return loop is not None and page.delivered_at is None


def _in_line(turn: Turn, loop: Loop) -> Instant:
    """Until when at most a page that its channel has not come to yet is waited for; 0: it is not in line."""
    page = turn.state.pages.get(loop.page)
    if page is None or loop.due_at is None or not page.in_line:
        return 0
    return page.intended_at + GIVE_UP_AFTER


def _not_back(turn: Turn, loop: Loop, spec: LoopSpec) -> str:
    """That it did not come back, and what its channel said last when it did not even take it."""
    page = turn.state.pages.get(loop.page)
    why = f": {page.error}" if page is not None and page.state == "intended" and page.error else ""
    return f"did not come back within {say_duration(spec.within)}{why}"


def _missing(turn: Turn, loop: Loop, spec: LoopSpec, why: str) -> None:
    """Raise an incident. Those it pages are paged by their other methods (``paging``)."""
    key, before = f"synthetic:{loop.channel}", turn.state.alerts.get(loop.alert)
    loop.failure = f"The synthetic page by {loop.channel} {why}"[:300]
    hearing.own_event(
        turn, spec.service, key, loop.failure, "critical", {"channel": loop.channel}, name="SyntheticPageMissing"
    )
    alert = ending.own_alert(turn, turn.plan.service(spec.service).key, key)
    loop.alert = alert.id if alert is not None else 0
    if before is not None and before.firing and before is not alert:  # the plan names another service by now
        ending.resolve(turn, before, Reason.PLAN_CHANGED)
    turn.count("synthetic_pages", Reason.NOT_BACK)


def _ended(turn: Turn, loop: Loop, reason: Reason) -> None:
    alert = turn.state.alerts.get(loop.alert)
    loop.alert, loop.failure = 0, ""
    if alert is not None and alert.firing:
        ending.resolve(turn, alert, reason)


def _loop_of(turn: Turn, page: int) -> Loop | None:
    return next((loop for loop in turn.state.counters.loops.values() if loop.page == page), None)


def _specs(turn: Turn) -> dict[str, LoopSpec]:
    return {spec.channel: spec for spec in turn.plan.loops}
