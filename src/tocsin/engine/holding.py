"""How long an incident's pages wait for code: as long as it is getting somewhere, and never longer than is written.

Code may work on one target after another, and what holds pages is looked at as a whole: the runs that live and may
change something. They hold no more once one of them asks, once a target needs a person (``lift``), and once pages have
waited as long as they may in all. They wait as well while code waits for a run of another incident on the same system
(``queuing``), and while the alerts get to end of what another run has just fixed.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from msgspec.structs import replace

from tocsin.engine.turn import Turn
from tocsin.incidents.incident import Incident
from tocsin.kernel.instant import MINUTE, Duration, Instant, say_duration
from tocsin.kernel.reason import Reason
from tocsin.plan.model import Plan
from tocsin.playbooks.run import WATCH, Run

LONGEST: Final[Duration] = 30 * MINUTE
"""So long pages wait for code in all, where neither the plan nor a playbook that may take longer says otherwise."""
FOR_CODE: Final = frozenset({Reason.PLAYBOOK_RUNS, Reason.PLAYBOOK_VERIFIED, Reason.WAITS_FOR_RUN})
"""What pages are paused for while they wait for code."""


def longest(plan: Plan, service: str) -> Duration:
    """How long the pages of a service's incident wait for code in all, over all its targets."""
    said = plan.service(service).wait_for_code
    if said is not None:
        return said
    names = plan.answers.get(service, ())
    slowest = max((plan.playbooks[one].hand_over_after for one in names if one in plan.playbooks), default=0)
    return max(LONGEST, slowest + WATCH)


def ends(plan: Plan, incident: Incident, now: Instant) -> Instant:
    """When pages will have waited for code as long as they may, if they go on waiting."""
    since = incident.held_since if incident.held_since is not None else now
    return since + longest(plan, incident.service) - incident.held


def may_hold(turn: Turn, incident: Incident) -> bool:
    """Whether pages may wait for a run that code begins now."""
    return incident.lifted is None and not incident.called and ends(turn.plan, incident, turn.now) > turn.now


def at_work(turn: Turn, incident: Incident) -> list[Run]:
    """The runs of an incident that live, the oldest first."""
    numbers = turn.state.at_work.get(incident.number)
    return [turn.state.runs[one] for one in sorted(numbers)] if numbers else []


def busy(turn: Turn, incident: Incident) -> Run | None:
    """The run of it that works or asks: the next has to wait for that. One that only watches keeps nobody."""
    return next((run for run in at_work(turn, incident) if run.state != "watching"), None)


def arm(turn: Turn, incident: Incident) -> None:
    """Have pages wait for the runs that live, or for nothing more."""
    runs = at_work(turn, incident) if incident.open else []
    asks = any(run.state == "asking" for run in runs) or _waits_for_answer(turn, incident)
    until = None if asks else max(_untils(turn, incident, runs), default=None)
    if until is not None and until <= turn.now:
        until = None
    if until is None and incident.held_since is not None:
        incident.held += turn.now - incident.held_since
        incident.held_since = None
    elif until is not None and incident.held_since is None:
        incident.held_since = turn.now
    incident.hold_until = until
    turn.save_incident(incident)
    turn.touch(incident.number)


def _waits_for_answer(turn: Turn, incident: Incident) -> bool:
    """Whether code has its turn only once a person has answered, or may change nothing: no page waits for that."""
    works = incident.works.values() if incident.open else ()
    return any(one.waiting and not one.pages_until for one in works) and may_hold(turn, incident)


def lapse(turn: Turn, incident: Incident) -> None:
    """What has had its time has no other: its alerts, if they are heard, are looked at although others have theirs."""
    over = {key: work for key, work in incident.works.items() if 0 < work.pages_until <= turn.now}
    if over:
        incident.works = {**incident.works, **{key: replace(work, pages_until=0) for key, work in over.items()}}
        turn.save_incident(incident)
        turn.touch(incident.number)


def _untils(turn: Turn, incident: Incident, runs: list[Run]) -> Iterator[Instant]:
    """Until when each would have them wait. What a person began, knowing of it, has the time that is its own."""
    last = ends(turn.plan, incident, turn.now)
    for run in runs:
        until = run.watch_until if run.state == "watching" else run.deadline
        if not run.holding or until is None:
            continue
        if run.by_hand:
            yield until
        elif incident.lifted is None:
            yield min(until, last)
    if incident.open and may_hold(turn, incident):
        for work in incident.works.values():
            if work.pages_until:
                yield min(work.pages_until, last)


def lift(turn: Turn, incident: Incident, reason: Reason, why: str = "") -> None:
    """A person has to be called: until it is opened again no page of it waits for what code does by itself.

    ``why``: for the timeline; "" when that says it already.
    """
    if incident.lifted is None:
        incident.lifted = reason
    for run in at_work(turn, incident):
        if run.holding:
            run.holding = False
            turn.save_run(run)
    if why:
        turn.enter(incident.number, why, reason)
    if incident.paused in FOR_CODE:
        # At once and from the first step, also when somebody was paged before: they know nothing of this yet.
        incident.step = incident.round = 0
        incident.resume_at = turn.now
    arm(turn, incident)


def people_called(turn: Turn, incident: Incident) -> None:
    """People are paged, or somebody has it: from now on pages wait only for what a person begins or allows."""
    incident.called = True
    for run in at_work(turn, incident):
        if run.holding and not run.by_hand:
            run.holding = False
            turn.save_run(run)


def given(turn: Turn, incident: Incident) -> None:
    """Somebody gives it to another person, who is paged at once: whatever a run was begun by, nobody waits for it."""
    people_called(turn, incident)
    for run in at_work(turn, incident):
        run.holding, run.let_go = False, True
        turn.save_run(run)
    arm(turn, incident)


def wake(turn: Turn, run: Run) -> None:
    """A run is over, or works no more: what waits for it is judged anew, in the order in which that came."""
    found = []
    for number in turn.state.awaited.get(run.number, ()):
        works = turn.state.incidents[number].works.values()
        found.append((min(one.since for one in works if one.awaits == run.number), number))
    for _, number in sorted(found):
        turn.touch(number)


def awaited(turn: Turn, incident: Incident) -> list[Run]:
    """The runs of others that live and that an incident's code waits for."""
    numbers = sorted({one.awaits for one in incident.works.values() if one.waiting})
    found = (turn.state.runs.get(number) for number in numbers)
    return [one for one in found if one is not None and one.live]


def waited_out(turn: Turn, incident: Incident) -> str:
    """That pages have waited long enough for the turn of what waits, as a sentence; "" while they have not."""
    if not may_hold(turn, incident):
        return ""
    live = {run.number for run in awaited(turn, incident)}
    late = (one for one in incident.works.values() if one.waiting and 0 < one.pages_until <= turn.now)
    work = next((one for one in late if one.awaits in live), None)
    if work is None:
        return ""
    lasted = say_duration(turn.now - work.since)
    return f"Pages have waited {lasted} for the turn of {work.playbook}, and wait no longer"


def limit_said(turn: Turn, incident: Incident) -> str:
    """That pages have waited for code as long as they may, as a sentence."""
    most = say_duration(longest(turn.plan, incident.service))
    return f"Pages have waited {most} for code in all, and wait no longer"


def runs_out(turn: Turn, incident: Incident) -> bool:
    """Whether code would have pages wait still, and has no time left for that."""
    if incident.lifted is not None or ends(turn.plan, incident, turn.now) > turn.now:
        return False
    if any(run.holding and not run.by_hand and run.state != "asking" for run in at_work(turn, incident)):
        return True
    return not incident.called and any(work.pages_until for work in incident.works.values())
