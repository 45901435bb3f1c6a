"""Code that waits for its turn on a system that another run works on, and what a change there does to the others.

Whoever waits holds nothing, so nobody ever waits for them: incidents cannot wait for each other in a circle. What waits
is kept with its incident (``works``) and judged anew, from the top, as soon as the run it waits for works no more.
"""

from __future__ import annotations

from collections.abc import Container
from itertools import islice
from typing import Final

from msgspec.structs import replace

from tocsin.engine import answering, asking, guarding, holding, standings, telling_targets
from tocsin.engine.turn import SYSTEM, Turn
from tocsin.engine.wanted import key_of
from tocsin.incidents.incident import Incident, Work
from tocsin.kernel.instant import say_duration
from tocsin.kernel.reason import Reason
from tocsin.playbooks.guards import does, quiet, waits_for
from tocsin.playbooks.remembered import newest_begun
from tocsin.playbooks.run import WATCH, Outcome, Run

MOST_SAID = 200
HELD: Final[frozenset[Outcome]] = frozenset({"verified", "overtaken"})
"""What a run came to whose fix held when it was verified, whether it lasts or that was not waited for."""
LOOKED_AT = 1_000
"""So many of the last runs on a system are looked through for one that fixed it: more than begin there in a watch."""


def wait(turn: Turn, incident: Incident, key: str, run: Run, other: Run) -> None:
    """Have what would be a run wait for another one. Its incident's pages wait too, where they would for the run
    itself, and for no longer than they might for that; not for a question: a person has to be called for its answer.
    """
    before = incident.works.get(key)
    since = before.since if before is not None and before.waiting else turn.now
    pages = 0
    if run.rung in ("ask", "act") and other.state != "asking" and holding.may_hold(turn, incident):
        most = run.patience + (WATCH if other.state == "watching" else 0)
        pages = min(other.over_by, since + most)
        pages = pages if pages > turn.now else 0
    names, said = tuple(run.targets.values()), waits_for(other, run, turn.plan.bindings)[:MOST_SAID]
    work = Work(run.playbook, names, 0, "waits", said, other.number, since, other.over_by, pages)
    if work == before:
        return
    if before is None or (run.locks and does(other) not in before.why):  # the next of a long row is no news
        ends = say_duration(max(0, other.over_by - turn.now))
        turn.enter(incident.number, f"{said}, at most {ends}", Reason.WAITS_FOR_RUN, run=str(other.number))
    if before is None or before.why != said:
        for one in incident.works.values():  # of what waits on many targets one is said, and what each came to
            answering.unsaid(incident, one)
        answering.note(incident, said)
    incident.works = {**incident.works, key: work}
    telling_targets.tell(turn, incident)
    holding.arm(turn, incident)


def goes_on_waiting(turn: Turn, incident: Incident) -> set[str]:
    """The keys of what waits for a run that is as it was when that was said."""
    runs = {run.number: run for run in holding.awaited(turn, incident)}
    found = set()
    for key, work in incident.works.items():
        run = runs.get(work.awaits) if work.waiting else None
        if run is not None and run.over_by == work.until:
            found.add(key)
    return found


def stop_waiting(turn: Turn, incident: Incident, but: Container[str] = ()) -> None:
    """Nothing waits any more for its turn, but what has one of these keys: what it was for is over, or a person's."""
    gone = {key: work for key, work in incident.works.items() if work.waiting and key not in but}
    if not gone:
        return
    for work in gone.values():
        answering.unsaid(incident, work)
    incident.works = {key: work for key, work in incident.works.items() if key not in gone}
    if incident.open:
        telling_targets.tell(turn, incident)
    holding.arm(turn, incident)


def give_time(turn: Turn, run: Run, incident: Incident) -> None:
    """A run found nothing to fix, or may not begin so soon after: where another one, a person's too, had just fixed the
    same system, that was it, and its alerts get as long to end as that one's.
    """
    key = key_of(run.playbook, run.targets.values())
    work = incident.works.get(key)
    by = _fixed_by(turn, run, incident)
    if by is None or work is None or work.run != run.number or run.rung not in ("ask", "act"):
        return
    if incident.state != "triggered" or not holding.may_hold(turn, incident):
        return
    until = (by.verified_at or 0) + WATCH
    incident.works = {**incident.works, key: replace(work, pages_until=until)}
    what = f"Run {by.number} of {by.playbook} had just fixed it; its alerts get {say_duration(until - turn.now)} to end"
    turn.enter(incident.number, what, Reason.PLAYBOOK_VERIFIED, run=str(by.number))
    holding.arm(turn, incident)


def _fixed_by(turn: Turn, run: Run, incident: Incident) -> Run | None:
    """The run for another incident, or for none, that fixed what a run is about, a moment ago and after its alerts had
    begun.
    """
    locks = turn.plan.bindings.alike(run.locks)
    newest = newest_begun(map(turn.state.remembered.on, locks))
    for other in islice(newest, LOOKED_AT):
        at = other.verified_at
        held = other.state == "watching" or other.outcome in HELD
        if other.incident == incident.number or at is None or not held or not other.changed:
            continue
        if at + WATCH > turn.now and not guarding.began_after(turn, run, at):
            return other
    return None


# -- a change, and who is beside it ------------------------------------------------------------------------------------


def say_who_is_beside(turn: Turn, run: Run) -> None:
    """Tell a person, who has a run begin, whose watch or question there is worth nothing once it changes something."""
    for other in guarding.beside(turn, run):
        if not other.works:
            run.find(quiet(other, run, turn.plan.bindings))


def changes_here(turn: Turn, run: Run) -> None:
    """A run begins with a fix: what others had asked about is not so any more, and what they watch says nothing."""
    for other in guarding.beside(turn, run):
        if other.only_asks:
            withdraw(turn, other, run)
        elif other.state == "watching" and not other.spoilt_by:
            _spoil(turn, other, run)


def withdraw(turn: Turn, run: Run, by: Run) -> None:
    """A run that only asks gives way to one that works there. What its incident had begun has its turn after it."""
    asking.heard(turn, run, Reason.CHANGED_BESIDE)
    why = f"its question was withdrawn: run {by.number} of {by.playbook} works on the same system"
    answering.end(turn, run, "overtaken", Reason.CHANGED_BESIDE, why)
    incident = standings.incident_of(turn, run)
    key = key_of(run.playbook, run.targets.values())
    if incident is None or not incident.open or run.by != SYSTEM:
        return
    work = incident.works.get(key)
    if work is not None and work.run == run.number:
        incident.works = {one: work for one, work in incident.works.items() if one != key}
        telling_targets.tell(turn, incident)
        turn.save_incident(incident)


def _spoil(turn: Turn, run: Run, by: Run) -> None:
    run.spoilt_by = by.number
    turn.save_run(run)
    incident = standings.incident_of(turn, run)
    if incident is not None:
        what = f"Run {by.number} of {by.playbook} changes what {run.playbook} fixed: whether that lasts is not known"
        turn.enter(incident.number, what, Reason.CHANGED_BESIDE, by.by, run=str(by.number))
