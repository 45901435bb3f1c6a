"""An incident whose whole escalation reached nobody: it begins again soon, and at once when that may have been mended.

What every channel refuses for good is not tried again by itself, so nobody would know of the incident until the
escalation begins again. What is refused for now is: its own retries are enough.
"""

from __future__ import annotations

from tocsin.engine import calling, ledger, methods
from tocsin.engine.turn import Turn
from tocsin.escalation.decide import AFTER_THE_LAST
from tocsin.incidents.incident import Incident, Owed
from tocsin.kernel.instant import MINUTE, Duration, Instant, say_duration
from tocsin.kernel.reason import Reason
from tocsin.pages.ledger import PAUSED, Page
from tocsin.pages.profiles import CONSOLE

SOONEST: Duration = MINUTE
LATEST: Duration = 10 * MINUTE
MOST_SAID = 100
"""It begins again after as long as nobody has been reached by then: so soon, doubling, and at last so late."""


def begins(turn: Turn, incident: Incident) -> None:
    """An escalation is gone through, for the first time or again. How often nobody was reached is said ever more
    seldom: after two passes, four, eight.
    """
    if not incident.laps or not turn.state.counters.paging:  # with paging off each says whom it would have paged
        say_all_again(incident)
    passes, incident.vain = incident.vain, incident.vain + 1
    if passes >= 2 and passes & (passes - 1) == 0:
        turn.enter(incident.number, f"Nobody was reached in {passes} passes so far", Reason.REACHED_NOBODY)


def say(turn: Turn, incident: Incident, what: str, reason: Reason, *, turns: bool = False, **detail: str) -> None:
    """A line of a pass through an escalation: once, and not for each of those that reach nobody. ``turns``: it says
    whose turn it was, which is asked later of each.
    """
    if incident.vain < 2 or turns:  # the first pass, or the one after somebody was reached
        turn.enter(incident.number, what, reason, **detail)
    elif what in incident.said:
        turn.count("decisions", reason)
    else:
        incident.said = (*incident.said, what)[-MOST_SAID:]
        turn.save_counts(incident)
        turn.enter(incident.number, what, reason, **detail)


def say_all_again(incident: Incident) -> None:
    """Somebody was reached, or others are asked: what is said from now on is news."""
    incident.vain, incident.said = 0, ()


def step_paged(turn: Turn, incident: Incident) -> None:
    """A step was paged, or the last resort, with which an escalation is through."""
    if incident.laps and not incident.step and not incident.round:
        _forget_old(turn, incident)
    look(turn, incident)


def look(turn: Turn, incident: Incident) -> None:
    """Have an escalation that is through, last resort and all, begin again soon when it reached nobody.

    Not when somebody was reached in the last half hour, or may be yet; and not when all that was refused is tried again
    by itself.
    """
    through = incident.laps and not incident.step and not incident.round
    if not through or incident.state != "triggered" or incident.answers or not turn.state.counters.paging:
        return
    since = _since(turn, incident)
    if since is None:
        return
    gap = min(max(turn.now - since, SOONEST), LATEST)
    stands = incident.next_at if incident.paused is None else incident.resume_at
    if stands is not None and stands <= turn.now + gap:
        return
    _begins(incident, turn.now + gap)
    incident.waits = Reason.REACHED_NOBODY
    say(turn, incident, f"Paging begins again in {say_duration(gap)}", Reason.REACHED_NOBODY)
    turn.save_incident(incident)


def reached(turn: Turn, row: Page) -> None:
    """A page left after all: where paging was to begin again soon, whoever it is to has the usual time to answer."""
    incident = turn.state.incidents.get(row.incident)
    if row.kind != "page" or incident is None or (row.channel == CONSOLE and not calling.on_trial(turn)):
        return
    if incident.vain:
        if incident.said:
            name = turn.plan.names.get(row.person, row.person)
            what = f"The page to {name} by {row.channel} left, the first in {incident.vain} passes"
            turn.enter(incident.number, what, row.reason, page=str(row.id))
        say_all_again(incident)
        turn.save_incident(incident)
    if row.channel == CONSOLE or incident.state != "triggered":
        return
    if incident.waits is Reason.REACHED_NOBODY:
        _begins(incident, turn.now + AFTER_THE_LAST)
        incident.waits = None
        turn.save_incident(incident)


def owe(turn: Turn, incident: Incident, step: int) -> None:
    """A step reached nobody, and the next is paged: what the plan repeats is repeated in its own time all the same.

    Not where every method of its people is known to be dead: the others are paged.
    """
    at = incident.next_at if incident.paused is None else None
    if not incident.round or incident.step != step or at is None:
        return
    people = calling.behind(turn, incident, incident.steps[step].targets)
    if any(way.state == "verified" for one in people for way in methods.able(turn, one.person.key)):
        incident.owed = (*incident.owed, Owed(step, incident.round, at))


def _forget_old(turn: Turn, incident: Incident) -> None:
    """Let go of what reached nobody long ago, or an incident that is left alone for months has a row for each try.

    Nothing is judged otherwise for it: of each person, step and reason the latest stays, and a gap is as long after a
    day as after more.
    """
    rows = [row for row in ledger.rows(turn, incident.number) if row.kind in PAUSED]
    latest = set({(row.kind, row.person, row.step, row.reason): row.id for row in rows}.values())
    for row in rows:
        if row.long_lost(turn.now) and row.id not in latest:
            turn.changes.pages[row.id] = turn.state.forget_page(row.id)


def _begins(incident: Incident, at: Instant) -> None:
    if incident.paused is None:
        incident.next_at = at
    else:
        incident.resume_at = at


def _since(turn: Turn, incident: Incident) -> Instant | None:
    """Since when nobody was reached; None when somebody was lately, or what was refused is tried again by itself."""
    pages = _pages(turn, incident)
    at = _reached_at(turn, pages)
    if at is not None and turn.now - at < AFTER_THE_LAST:
        return None
    lost = [one for one in pages if at is None or one.intended_at > at]
    sent = [one for one in lost if one.channel != CONSOLE]
    if sent and not any(one.state == "failed" for one in sent):
        return None
    return min((one.intended_at for one in lost), default=incident.open_since)


def _pages(turn: Turn, incident: Incident) -> list[Page]:
    return [one for one in ledger.rows(turn, incident.number) if one.kind == "page"]


def _reached_at(turn: Turn, pages: list[Page]) -> Instant | None:
    """When a page reached somebody last: now, when one may be about to. The console reaches nobody but in a trial."""
    trial = calling.on_trial(turn)
    reaching = (one for one in pages if (one.may_reach or one.rang) and (trial or one.channel != CONSOLE))
    return max((turn.now if one.state == "intended" else one.finished_at or 0 for one in reaching), default=None)
