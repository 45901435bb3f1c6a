"""Whether a playbook may run now: locks, rates, cooldown, blast radius, freezes, the breaker, other services' trouble.

Everything counts from the runs that are written down, so a restart forgets no guard.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Set
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

from tocsin.kernel.instant import DAY, Instant, say_duration, to_datetime
from tocsin.kernel.reason import Reason
from tocsin.playbooks.manifest import AtMost, Blast, Breaker, Cooldown, Frozen, Guard, Manifest, Unless
from tocsin.playbooks.remembered import Remembered
from tocsin.playbooks.run import Run
from tocsin.playbooks.targets import Targets

BREAKER: Final = Breaker(failures=3, returns=3, within=DAY)
"""What holds for a playbook that declares no breaker of its own: nobody fixes the same thing for ever."""


Unwell = Callable[[Set[str]], str]
"""Why the targets with these locks, one at least, are all not well, as one of them has it; "" when one of them is."""


class Blocked(NamedTuple):
    """Why not, as a word and as a sentence."""

    reason: Reason
    why: str


class Situation(NamedTuple):
    """What guards look at. ``runs``: those that are remembered, this one not among them.

    ``broken``: services of ``unless`` with an open incident. ``busy``: locks that are held. ``unwell``: says of
    targets of the service what is known against all of them. ``continues``: the run this
    one goes on with, whose end is no reason to wait.
    """

    manifest: Manifest
    service: str
    locks: tuple[str, ...]
    incident: int
    returned: int
    """How often trouble of the incident's group was answered by this playbook within the breaker's time."""
    runs: Remembered
    targets: Targets
    busy: Collection[str]
    broken: Collection[str]
    unwell: Unwell
    now: Instant
    continues: int = 0


def blocked(at: Situation) -> Blocked | None:
    """The first guard that says no, in the order a person would ask; None when all let it run. Locks come before."""
    for guard in guards_of(at.manifest):
        found = _says_no(at, guard)
        if found is not None:
            return found
    return None


def _says_no(at: Situation, guard: Guard) -> Blocked | None:
    match guard:
        case AtMost():
            return _rate(at, guard)
        case Cooldown():
            return _cooling(at, guard)
        case Blast():
            return blast(guard, at.service, at.locks, at.targets, at.busy, at.unwell)
        case Frozen():
            return frozen(guard, at.now)
        case Breaker():
            return _broken(at, guard)
        case Unless():
            if guard.service in at.broken:
                return Blocked(Reason.GUARD_UNLESS, f"not while {guard.service} has an incident")
            return None


def locked(by: Run, run: Run) -> Blocked:
    """Another run holds what this one would."""
    both = set(by.locks) & set(run.locks)
    if both:
        return Blocked(Reason.GUARD_LOCK, f"run {by.number} of {by.playbook} works on {min(both)}")
    return Blocked(Reason.GUARD_LOCK, f"run {by.number} of it is under way")


def _rate(at: Situation, guard: AtMost) -> Blocked | None:
    since = at.now - guard.per
    match guard.over:
        case "fleet":
            number = at.runs.since(since)
        case "target":
            number = at.runs.own_on_since(at.service, at.manifest.name, at.locks, since)
        case "playbook":
            number = at.runs.of_playbook_since(at.manifest.name, since)
    if number < guard.times:
        return None
    what = {"fleet": "runs of any playbook", "target": "runs on this target", "playbook": "runs"}[guard.over]
    return Blocked(Reason.GUARD_AT_MOST, f"at most {guard.times} {what} in {say_duration(guard.per)}, and it had them")


def _cooling(at: Situation, guard: Cooldown) -> Blocked | None:
    name = at.manifest.name
    each = [at.runs.changed_on(at.service, name, lock) for lock in at.locks] or [at.runs.changed(at.service, name)]
    lasts = (next((run.ended_at for run in newest if run.number != at.continues), None) for newest in each)
    last = max((one for one in lasts if one is not None), default=None)
    if last is None or at.now - last >= guard.lasts:
        return None
    left = say_duration(last + guard.lasts - at.now)
    return Blocked(Reason.GUARD_COOLDOWN, f"its last change was less than {say_duration(guard.lasts)} ago; {left} left")


def blast(
    guard: Blast, service: str, locks: Collection[str], targets: Targets, busy: Collection[str], unwell: Unwell
) -> Blocked | None:
    """What the guard says to a run that holds these locks, or would."""
    own = [one for one in map(targets.held_by, locks) if one is not None]
    groups = (targets.group(service, kind) for kind in dict.fromkeys(one.kind for one in own))
    return next((found for group in groups if (found := _blast_of(guard, group, locks, busy, unwell))), None)


def _blast_of(
    guard: Blast, group: Set[str], locks: Collection[str], busy: Collection[str], unwell: Unwell
) -> Blocked | None:
    """Of targets of one kind: a run on an instance and on its place in a balancer works on one of each."""
    own = set(locks) & group
    others = {lock for lock in busy if lock in group} - own
    most = guard.most or max(1, len(group) * guard.percent // 100)
    if len(others | own) > most:
        return Blocked(
            Reason.GUARD_BLAST, f"{len(others)} of {len(group)} targets are being changed, at most {most} may"
        )
    if len(group) == 1:
        return None
    if own == group:
        return Blocked(Reason.GUARD_BLAST, f"it would change all {len(group)} targets at once")
    rest = group - own - others
    why = unwell(rest) if rest else "another run works on it"
    if not why:
        return None
    if len(group) == 2:
        return Blocked(Reason.GUARD_BLAST, f"the other target is not well: {why}")
    return Blocked(Reason.GUARD_BLAST, f"none of the other {len(group) - 1} targets is well")


def frozen(guard: Frozen, now: Instant) -> Blocked | None:
    """Whether changes are frozen at an instant: by the wall clock of the guard's zone."""
    local = to_datetime(now).astimezone(ZoneInfo(guard.timezone))
    minute = local.weekday() * 1440 + local.hour * 60 + local.minute
    inside = guard.start <= minute < guard.end if guard.start < guard.end else not guard.end <= minute < guard.start
    return Blocked(Reason.GUARD_FROZEN, f"nothing is changed {guard.said} ({guard.timezone})") if inside else None


def _broken(at: Situation, guard: Breaker) -> Blocked | None:
    since = at.now - guard.within
    failures = 0
    for run in at.runs.ended(at.service, at.manifest.name):
        if run.continues and not run.failed and run.outcome in ("handed_over", "cancelled"):
            continue  # it went on with one that is counted itself, and changed nothing
        if not run.failed or (run.ended_at or 0) <= since or failures >= guard.failures:
            break
        failures += 1
    if failures >= guard.failures:
        return Blocked(Reason.GUARD_BREAKER, f"it failed {failures} times in a row within {say_duration(guard.within)}")
    if at.returned >= guard.returns:
        times = f"{at.returned} times within {say_duration(guard.within)}"
        return Blocked(Reason.GUARD_BREAKER, f"this same trouble was answered {times} and came back")
    return None


def guards_of(manifest: Manifest) -> tuple[Guard, ...]:
    """The guards that hold for a playbook: those it declares, and a breaker in any case."""
    own = any(isinstance(one, Breaker) for one in manifest.guards)
    return (*manifest.guards, *(() if own else (BREAKER,)))


def say_guard(guard: Guard) -> str:
    """A guard in words, for people who look before they trust."""
    match guard:
        case AtMost():
            over = {"playbook": "", "target": " on one target", "fleet": " of all playbooks"}[guard.over]
            return f"at most {guard.times} runs{over} in {say_duration(guard.per)}"
        case Cooldown():
            return f"{say_duration(guard.lasts)} after a change on a target"
        case Blast():
            share = f"{guard.most}" if guard.most else f"{guard.percent} %"
            return f"at most {share} of the targets at once, and another one must be well"
        case Frozen():
            return f"changes nothing {guard.said} ({guard.timezone})"
        case Breaker():
            within = say_duration(guard.within)
            return f"stops after {guard.failures} failures in a row, or {guard.returns} returns, in {within}"
        case Unless():
            return f"not while {guard.service} has an incident"
