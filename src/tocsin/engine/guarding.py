"""May a run begin, and may it go on: its guards, who else works there, and whether the other targets are well.

``guards`` decides; here is what it looks at. The same is asked of a run that would begin and, as far as it may have
changed since, of each of its fixes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Set
from functools import cache
from itertools import chain, takewhile

from tocsin.access.actors import called, same
from tocsin.engine import about, apart, midst
from tocsin.engine.standings import incident_of
from tocsin.engine.turn import SYSTEM, Turn
from tocsin.incidents.incident import Incident
from tocsin.kernel.instant import DAY, MINUTE, Duration, Instant
from tocsin.kernel.reason import Reason
from tocsin.playbooks.guards import Situation, Unwell, blocked, blocked_now, locked
from tocsin.playbooks.left import Blocked
from tocsin.playbooks.manifest import Blast, Breaker, Cooldown, Manifest, Unless
from tocsin.playbooks.remembered import newest_begun
from tocsin.playbooks.run import Outcome, Run
from tocsin.playbooks.targets import Target

HOLDS_NOTHING: frozenset[Outcome] = frozenset({"", "blocked", "observed", "suggested"})
"""Of runs that live, and of those for which pages did not wait."""
TOLD_LATE: Duration = MINUTE
"""An alert that is heard so long after a fix held may have begun before it: monitors look, wait and group."""


def guarded(turn: Turn, manifest: Manifest, run: Run, hoping: Set[str] = frozenset()) -> Blocked | None:
    """The guard that keeps a run from beginning. Locks first: in a storm they are what most runs meet.

    ``hoping``: locks that are asked about as if nobody held them, and their targets were well.
    """
    hoping = frozenset(turn.plan.bindings.alike(hoping))
    by = holder(turn, run, hoping)
    if by is not None:
        return locked(by, run, turn.plan.bindings)
    taken = claimed(turn, run) if run.rung in ("ask", "act") else None  # who changes nothing may watch
    if taken is not None:
        return taken
    return blocked(situation(turn, manifest, run, hoping=hoping)) or silenced(turn, run)


def holder(turn: Turn, run: Run, hoping: Set[str] = frozenset()) -> Run | None:
    """The run that keeps this one from what it would work on: by whatever name, also for another service."""
    return next(iter(keepers(turn, run, hoping)), None)


def keepers(turn: Turn, run: Run, hoping: Set[str] = frozenset()) -> list[Run]:
    """The runs that keep this one from beginning, or one that lives from changing anything, the oldest first."""
    there = beside(turn, run, hoping)
    if run.live and run.number in turn.state.runs:
        return [other for other in there if other.works]
    return [other for other in there if _keeps(turn, other, run)]


def beside(turn: Turn, run: Run, hoping: Set[str] = frozenset()) -> list[Run]:
    """The other runs that live and are about what this one is about, the oldest first."""
    locked, locks = turn.state.locked, turn.plan.bindings.alike(run.holds)
    numbers = {number for one in locks if one not in hoping for number in locked.get(one, ())}
    return [turn.state.runs[number] for number in sorted(numbers) if number != run.number]


def _keeps(turn: Turn, other: Run, run: Run) -> bool:
    """Whether a run that lives keeps another from beginning.

    One that works does, and within an incident, or before what nobody asked for, each. A watch and a question change
    nothing: they keep neither a person nor another playbook; only the same, that would ask the same, or for an alert
    that the fix may just have ended, though its monitor has yet to say so.
    """
    own = bool(run.incident) and other.incident == run.incident
    if other.works or (own and not run.by_hand) or run.unasked:
        return True
    if run.by_hand or other.playbook != run.playbook:
        return False
    return other.state == "asking" or not began_after(turn, run, other.verified_at)


def began_after(turn: Turn, run: Run, verified_at: Instant | None) -> bool:
    """Whether an alert that a run of code would be there to end is heard since another run was verified: for longer
    than a monitor may be late.
    """
    incident = incident_of(turn, run)
    if incident is None or verified_at is None:
        return False
    alerts, those = turn.state.alerts, about.began_for(turn, incident, run)
    return any(alerts[id].first_seen > verified_at + TOLD_LATE for id in those)


def situation(
    turn: Turn,
    manifest: Manifest,
    run: Run,
    *,
    thorough: bool = False,
    hoping: Set[str] = frozenset(),
    health: Unwell | None = None,
) -> Situation:
    """What the guards of a run look at now, whether it would begin, lives, or is over. ``thorough``: for people.

    ``health``: what ``unwell`` gave for this instant already, to such a run.
    """
    state = turn.state
    own = next((one for one in manifest.guards if isinstance(one, Breaker)), None)
    since = turn.now - (own.within if own else DAY)
    busy = state.changing if not hoping else state.changing.keys() - hoping
    blast = any(isinstance(one, Blast) for one in manifest.guards)
    rests = any(isinstance(one, Cooldown) for one in manifest.guards)
    return Situation(
        manifest=manifest,
        service=run.service,
        locks=run.locks,
        incident=run.incident,
        returned=_returned(turn, run, since),
        runs=state.remembered,
        targets=turn.plan.bindings,
        busy=frozenset(turn.plan.bindings.alike(busy)) if turn.plan.bindings.shared else busy,
        broken=broken(turn, manifest, run),
        unwell=health or unwell(turn, run.service, run.number, run.incident, hoping),
        now=turn.now,
        midst=midst.counted(turn) if blast else {},
        watched=_watched(turn, run, hoping) if rests else None,
        continues=run.continues if run.from_step else 0,
        lives=run.live and run.number in state.runs,
        thorough=thorough,
    )


def _watched(turn: Turn, run: Run, hoping: Set[str]) -> Instant | None:
    """When a change of the same playbook was verified last on what a run would work on, and is still watched."""
    those = (one for one in beside(turn, run, hoping) if one.state == "watching" and one.changed)
    return max((one.verified_at or 0 for one in those if one.playbook == run.playbook), default=None)


def guarded_now(turn: Turn, run: Run, manifest: Manifest) -> Blocked | None:
    """Guards that may have changed since a run began, and whether its targets are still there to be changed."""
    return blocked_now(situation(turn, manifest, run)) or unfit(turn, run)


def unfit(turn: Turn, run: Run) -> Blocked | None:
    """Whether a run's targets are not there any more to be changed."""
    there = turn.plan.bindings.of(run.service)
    for name in run.targets.values():
        if name not in there:
            return Blocked(Reason.NO_TARGET, _no_target(name))
        if not there[name].fixing:
            return Blocked(Reason.NO_TARGET, f"the plan gives nothing to fix {name} with: add `fix with` to it")
    return None


def gone(turn: Turn, run: Run) -> str:
    """What the plan has no more of what a run is about, in words; "" while it has it all."""
    if run.playbook not in turn.plan.answers.get(run.service, ()):
        return f"{run.service} uses {run.playbook} no more"
    there = turn.plan.bindings.of(run.service)
    return next((_no_target(name) for name in run.targets.values() if name not in there), "")


def _no_target(name: str) -> str:
    return f"the plan has no target {name} any more"


def broken(turn: Turn, manifest: Manifest, run: Run) -> set[str]:
    """The services that it is not to run beside the trouble of, and that have trouble now."""
    asked = {one.service for one in manifest.guards if isinstance(one, Unless)}
    return {service for service in asked if turn.state.other_open(service, run.incident)}


# -- whether a target is well ------------------------------------------------------------------------------------------


ALERT = "an alert about it fires"


def unwell(turn: Turn, service: str, number: int = 0, incident: int = 0, hoping: Set[str] = frozenset()) -> Unwell:
    """What says of targets of a service why none of them is well, to a run of this number for this incident (0: to one
    that has none). It is for this instant: what was looked for once is not looked for again.

    Nothing is looked for until it is asked. What alerts say is known beforehand, for in a storm it is what most are
    told: of the others each is asked for itself, until one is well.
    """
    state, bindings = turn.state, turn.plan.bindings
    named = cache(lambda service: _named(turn, service))

    def ill(service: str) -> Set[str]:
        return state.concerned.ill(service, bindings, state.alerts, state.counters.alert)

    @cache
    def of(lock: str) -> str:
        if next(_claims(turn, lock), None) is not None:
            return "somebody works on it"
        alike = [one for one in map(bindings.held_by, bindings.alike([lock])) if one is not None]
        if any(one.lock in ill(one.service) for one in alike):
            return ALERT
        if apart.silence_on(turn, lock) is not None:
            return "a silence covers it"
        if _another_run(turn, number, incident, lock) or any(one.lock in named(one.service) for one in alike):
            return "an open incident is about it"
        return ""

    def why(locks: Set[str]) -> str:
        if not hoping.isdisjoint(locks):
            return ""
        found = ALERT
        for lock in locks - ill(service):
            found = of(lock)
            if not found:
                return ""
        return found

    return why


def _another_run(turn: Turn, number: int, for_: int, lock: str) -> bool:
    """Whether an open incident's last run on a target was another one than this. One that was verified for the incident
    that this one is for, and whose alerts have ended, says that it is well.
    """
    incidents = turn.state.incidents
    for one in newest_begun(map(turn.state.remembered.on, turn.plan.bindings.alike([lock]))):
        incident = incidents.get(one.incident)
        if incident is None or not incident.open or one.number == number:
            continue
        if one.outcome == "verified" and one.incident == for_:
            return False
        if incident.run == one.number or any(work.run == one.number for work in incident.works.values()):
            return True
    return False


def _named(turn: Turn, service: str) -> set[str]:
    """The locks of what open incidents of which no alert fires are about by their own labels."""
    found: set[str] = set()
    for number in turn.state.open_of.get(service, ()):
        incident = turn.state.incidents[number]
        if not turn.members(incident).firing:
            found.update(one.lock for one in turn.plan.bindings.about(service, incident.labels) if one.match)
    return found


# -- who else works there ----------------------------------------------------------------------------------------------


def person_at(turn: Turn, run: Run) -> Blocked | None:
    """Whether a person works on what a run would change: has its incident, or another about one of its targets."""
    if not turn.state.answered:
        return None
    state, bindings = turn.state, turn.plan.bindings
    locks = bindings.alike(run.locks)
    meant = [one for one in map(bindings.held_by, locks) if one is not None and _tells(one, run)]
    asked = (bindings, state.alerts, state.counters.alert)
    on = (state.concerned.alerts(one.lock, one.service, *asked) for one in meant)
    others = {state.alerts[id].incident for ids in on for id in ids}
    for number in sorted(turn.state.answered):
        incident = turn.state.incidents[number]
        if number == run.incident or number in others or _worked_on(turn, number, run, frozenset(locks)):
            first = next(iter(incident.answers), "")
            who = incident.acknowledged_by or (first if ":" in first else f"person:{first}")
            which = "the incident" if number == run.incident else f"incident #{number}"
            return Blocked(Reason.GUARD_PERSON, f"{called(who, turn.plan.names)} has {which}")
    return None


def _tells(target: Target, run: Run) -> bool:
    """Whether what is about a target is about what a run would change. Of another service's target with no matchers any
    alert of that service may be, and none says so.
    """
    return target.service == run.service or bool(target.match)


def silenced(turn: Turn, run: Run) -> Blocked | None:
    """Whether somebody keeps quiet what a run would change, or all that it is there to end: they are at it, and know
    more. Who changes nothing may watch, and a person who begins or allows it knows what they do.
    """
    if not turn.state.silences or run.rung not in ("ask", "act") or run.by_hand or run.approved_by:
        return None
    for name in run.targets.values():
        silence = apart.silence_on(turn, f"{run.service}/{name}")
        if silence is not None:
            return Blocked(Reason.GUARD_SILENCE, f"a silence of {silence.author} covers {name}")
    incident = incident_of(turn, run)
    if incident is None:
        return None
    mine, quiet = about.began_for(turn, incident, run), turn.members(incident).silenced
    if mine and mine <= quiet:
        return Blocked(Reason.GUARD_SILENCE, "somebody has silenced all alerts that it is for")
    return None


def _worked_on(turn: Turn, number: int, run: Run, locks: Set[str]) -> bool:
    """Whether an incident is about what a run would change by its last run, by what code did not end well there or,
    when no alert of it fires, by itself. ``locks``: of all that is the same system as the run's targets.
    """
    incident = turn.state.incidents[number]
    last = turn.state.runs.get(incident.run)
    if last is not None and not locks.isdisjoint(last.locks):
        return True
    left = (name for work in incident.works.values() if work.outcome != "verified" for name in work.targets)
    if any(f"{incident.service}/{name}" in locks for name in left):
        return True
    if turn.members(incident).firing or not any(one.startswith(f"{incident.service}/") for one in locks):
        return False
    there = turn.plan.bindings.about(incident.service, incident.labels)
    return any(one.lock in locks and _tells(one, run) for one in there)


def claims_on(turn: Turn, run: Run) -> Iterator[Run]:
    """The runs by which people took over what this one works on, while they do, the newest of a lock first."""
    for lock in run.holds:
        yield from _claims(turn, lock)


def _claims(turn: Turn, lock: str) -> Iterator[Run]:
    each = (turn.state.claimed.get(one, ()) for one in turn.plan.bindings.alike([lock]))
    for number in sorted(set(chain.from_iterable(each)), reverse=True):
        by = turn.state.runs.get(number)
        if by is None or by.taken_until is None or by.taken_until <= turn.now:
            continue
        incident = incident_of(turn, by)
        if not by.incident or (incident is not None and (incident.open or _put_off(turn, incident))):
            yield by


def _put_off(turn: Turn, incident: Incident) -> bool:
    """Whether it was resolved by hand and its alerts fire: whoever works there by hand may do so still."""
    return incident.snoozed_until is not None and bool(turn.members(incident).firing)


def claim(turn: Turn, run: Run) -> Run | None:
    """The run by which a person took over what this one would change. What they begin or allow themselves may, by
    whatever way.
    """
    own = (run.by, run.approved_by)
    return next((one for one in claims_on(turn, run) if not any(same(one.taken_by, who) for who in own)), None)


def claimed(turn: Turn, run: Run) -> Blocked | None:
    """Whether a person took over what a run would change."""
    by = claim(turn, run)
    if by is None:
        return None
    on = " and ".join(by.targets.values()) or by.service
    who = called(by.taken_by, turn.plan.names)
    return Blocked(Reason.GUARD_PERSON, f"{who} works on {on} by hand (took over run {by.number})")


# -- whether trouble comes back ----------------------------------------------------------------------------------------


def _returned(turn: Turn, run: Run, since: Instant) -> list[Instant]:
    """When the same trouble was answered by the same playbook, and is here again; the newest first. Answers that one
    incident had on several targets, from when it was opened to when it was resolved, are one.

    Whatever became of those answers: trouble that ends before each of them could, and comes back, would be held back
    for ever and never heard of. Answers that hold no page do not count.
    """
    answers = newest_begun(_answers(turn, run))
    now, mine, found, others = (run.incident, run.opening), set(run.holds), [], set()
    for one in takewhile(lambda one: one.started_at > since, answers):
        if one.outcome != "verified" and (one.by != SYSTEM or one.outcome in HOLDS_NOTHING):
            continue
        if one.number == run.number:
            continue
        place = (one.incident, one.opening)
        if (place == now and not mine.isdisjoint(one.holds)) or (place != now and place not in others):
            found.append(one.started_at)
        others.add(place)
    return found


def _answers(turn: Turn, run: Run) -> Iterator[Iterable[Run]]:
    """The runs of a run's playbook for the same trouble, by service: of other services those on the same systems."""
    runs, bindings = turn.state.remembered, turn.plan.bindings
    yield runs.answers_to(run.service, run.playbook, run.trouble)
    alike = frozenset(bindings.alike(run.locks))
    others = dict.fromkeys(one.service for one in map(bindings.held_by, sorted(alike)) if one is not None)
    for service in others:
        if service != run.service:
            answers = runs.answers_to(service, run.playbook, run.trouble)
            yield (one for one in answers if not alike.isdisjoint(one.locks))
