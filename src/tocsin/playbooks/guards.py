"""Whether a playbook may run now: locks, rates, cooldown, blast radius, freezes, the breaker, other services' trouble.

Everything counts from the runs that are written down, so a restart forgets no guard. Each guard is measured in one
place: what is refused and what people are shown beforehand is the same measure.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence, Set
from datetime import datetime, time, timedelta
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

from tocsin.kernel.instant import DAY, MINUTE, Instant, from_datetime, say_duration, to_datetime
from tocsin.kernel.reason import Reason
from tocsin.playbooks.left import Blocked, Guarding, Left
from tocsin.playbooks.manifest import AtMost, Blast, Breaker, Cooldown, Frozen, Guard, Manifest, Unless
from tocsin.playbooks.remembered import Remembered, newest_ended
from tocsin.playbooks.run import Run, place_of
from tocsin.playbooks.targets import Targets

BREAKER: Final = Breaker(failures=3, returns=3, within=DAY)
"""What holds for a playbook that declares no breaker of its own: nobody fixes the same thing for ever."""
QUARTER: Final = 15 * MINUTE
"""Clocks are changed at quarters of an hour."""
MOST_LOOKED_AT: Final = 200
"""So many targets of a group are looked at, one by one, to say to a person how many are not well."""
RATED: Final = {"fleet": "runs of any playbook", "target": "runs on this target", "playbook": "runs"}
AGAIN: Final = (Frozen, Unless, Blast)
"""Guards that may have changed since a run began: they are asked again before each fix."""
_KINDS: Final[Mapping[type[Guard], Guarding]] = {
    AtMost: "rate", Cooldown: "cooldown", Blast: "blast", Frozen: "freeze", Breaker: "breaker", Unless: "unless",
}  # fmt: skip

Unwell = Callable[[Set[str]], str]
"""Why the targets with these locks, one at least, are all not well, as one of them has it; "" when one of them is."""


class Situation(NamedTuple):
    """What guards look at. ``runs``: those that are remembered.

    ``broken``: services of ``unless`` with an open incident. ``busy``: locks that are held. ``midst``: those of targets
    that a run which is over left in the midst of a change, with its number. ``watched``: when a change of the same
    playbook on one of these locks was verified last that is still watched. ``unwell``: says of
    targets of the service what is known against all of them. ``continues``: the run this one goes on with, whose end
    is no reason to wait. ``lives``: the run has begun and is among ``runs`` itself. ``thorough``: say of each target
    whether it is well, and not only whether one is: for people, who ask about few.
    """

    manifest: Manifest
    service: str
    locks: tuple[str, ...]
    incident: int
    returned: Sequence[Instant]
    """When trouble of the incident's group was answered by this playbook within the breaker's time, newest first."""
    runs: Remembered
    targets: Targets
    busy: Collection[str]
    broken: Collection[str]
    unwell: Unwell
    now: Instant
    midst: Mapping[str, int] = {}
    watched: Instant | None = None
    continues: int = 0
    lives: bool = False
    thorough: bool = False


class Measure(NamedTuple):
    """A guard as it is now: see ``Left``."""

    now: str
    no: Blocked | None = None
    left: int | None = None
    of: int | None = None
    until: Instant | None = None
    then: str = ""


def blocked(at: Situation) -> Blocked | None:
    """The first guard that says no, in the order a person would ask; None when all let it run. Locks come before."""
    return next((no for guard in guards_of(at.manifest) if (no := measure(at, guard).no) is not None), None)


def blocked_now(at: Situation) -> Blocked | None:
    """The first of those that are asked again before each fix that says no."""
    asked = (guard for guard in at.manifest.guards if isinstance(guard, AGAIN))
    return next((no for guard in asked if (no := measure(at, guard).no) is not None), None)


def left(at: Situation) -> tuple[Left, ...]:
    """What is left of each of a playbook's guards. Only those that are asked again hold a run back that lives."""
    found = []
    for guard in guards_of(at.manifest):
        now = measure(at, guard)
        if at.lives and not isinstance(guard, AGAIN):
            now = now._replace(no=None)
        found.append(shown(_kind(guard), now, say_guard(guard)))
    return tuple(found)


def _kind(guard: Guard) -> Guarding:
    return "budget" if isinstance(guard, AtMost) and guard.over == "fleet" else _KINDS[type(guard)]


def shown(kind: Guarding, found: Measure, rule: str = "") -> Left:
    """A measure as people are shown it."""
    return Left(
        kind=kind, rule=rule, now=found.now, no=found.no.why if found.no else "",
        left=found.left, of=found.of, until=found.until, then=found.then,
    )  # fmt: skip


def measure(at: Situation, guard: Guard) -> Measure:
    """How a guard is now, and whether it lets the run work."""
    match guard:
        case AtMost():
            return _rate(at, guard)
        case Cooldown():
            return _cooling(at, guard)
        case Blast():
            return _blast(at, guard)
        case Frozen():
            no = frozen(guard, at.now)
            if not at.thorough:
                return Measure("", no)
            until = turns_at(guard, at.now)
            if no is not None:
                return Measure("changes are frozen", no, until=until, then="changes are allowed")
            return Measure("changes are allowed", until=until, then="changes are frozen")
        case Breaker():
            return _breaking(at, guard)
        case Unless():
            if guard.service in at.broken:
                why = f"not while {guard.service} has an incident"
                return Measure(f"{guard.service} has an incident", Blocked(Reason.GUARD_UNLESS, why))
            return Measure(f"{guard.service} has no incident")


def locked(by: Run, run: Run, targets: Targets) -> Blocked:
    """Another run holds what this one would."""
    both = _both(by, run, targets)
    if both:
        return Blocked(Reason.GUARD_LOCK, f"run {by.number} of {by.playbook} {does(by)} {both}")
    return Blocked(Reason.GUARD_LOCK, f"run {by.number} of it is under way")


def waits_for(by: Run, run: Run, targets: Targets) -> str:
    """For which run one waits that would work on the same, as a sentence."""
    both = _both(by, run, targets)
    which = f"run {by.number} of {by.playbook}, which {does(by)} {both}" if both else f"its run {by.number} to be over"
    return f"{run.playbook} waits for {which}"


def quiet(by: Run, run: Run, targets: Targets) -> str:
    """What becomes of one that only watches or asks once another changes the same, as a sentence."""
    then = "is withdrawn" if by.state == "asking" else "says nothing of it any more"
    what = "question" if by.state == "asking" else "watch"
    on = _both(by, run, targets) or f"{by.service}"
    return f"Run {by.number} of {by.playbook} {does(by)} {on}: its {what} {then} once this one changes something"


def does(run: Run) -> str:
    """What a run that lives is at, in words that its target follows."""
    if run.state == "asking":
        return "asks before it changes" if run.only_asks else "asks in the midst of changing"
    return "watches what it fixed on" if run.state == "watching" else "works on"


def _both(by: Run, run: Run, targets: Targets) -> str:
    """The system that both are about, by the name it has for the former; "" when they are without targets."""
    for own in sorted(run.locks):
        both = set(by.locks).intersection(targets.alike([own]))
        if both:
            return min(both) + ("" if own in both else f", which is {own} too")
    return ""


def _rate(at: Situation, guard: AtMost) -> Measure:
    name = at.manifest.name
    since = at.now - guard.per
    asked = (guard.over, name, at.targets.alike(at.locks) or (place_of(at.service, name),))
    number = at.runs.counted(*asked, since)
    room = max(0, guard.times - number)
    said = RATED[guard.over] if at.locks or guard.over != "target" else "runs for this service"
    within = say_duration(guard.per)
    no = None
    if number - at.lives >= guard.times:
        no = Blocked(Reason.GUARD_AT_MOST, f"at most {guard.times} {said} in {within}, and it had them")
    until = None
    if number:
        until = at.runs.nth_counted(*asked, since, max(0, number - guard.times)) + guard.per
    of = f"{room} of {guard.times} left" + " after this run" * at.lives
    return Measure(of, no, room, guard.times, until, "one more" if until else "")


def _cooling(at: Situation, guard: Cooldown) -> Measure:
    name = at.manifest.name
    on = at.targets.alike(at.locks)
    each = [at.runs.changed_on(name, lock) for lock in on] or [at.runs.changed(at.service, name)]
    lasts = (next((run.ended_at for run in newest if run.number != at.continues), None) for newest in each)
    last = max((one for one in (*lasts, at.watched) if one is not None), default=None)
    if last is None or at.now - last >= guard.lasts:
        return Measure("no change to rest from")
    rest = last + guard.lasts - at.now
    why = f"its last change was less than {say_duration(guard.lasts)} ago; {say_duration(rest)} left"
    return Measure(
        "rests after its last change", Blocked(Reason.GUARD_COOLDOWN, why), until=last + guard.lasts, then="it may run"
    )


def _blast(at: Situation, guard: Blast) -> Measure:
    no = blast(guard, at.service, at.locks, at.targets, at.busy, at.unwell, at.midst)
    if not at.thorough:
        return Measure("", no)
    kinds = dict.fromkeys(one.kind for one in map(at.targets.held_by, at.locks) if one is not None)
    groups = [at.targets.group(at.service, kind) for kind in kinds]
    if not groups:
        return Measure("it works on no target", no)
    rooms = [_room(at, guard, group) for group in groups]
    room, most, said = min(rooms)
    return Measure(said, no, room, most)


def _room(at: Situation, guard: Blast, group: Set[str]) -> tuple[int, int, str]:
    """How many targets of a group may be changed beside those that are, of how many; and that in words."""
    changed = len({lock for lock in (*at.busy, *at.midst) if lock in group})
    most = _most(guard, group)
    room = max(0, most - changed)
    ill = sum(bool(at.unwell({one})) for one in sorted(group)[:MOST_LOOKED_AT])
    about = "at least " if len(group) > MOST_LOOKED_AT else ""
    health = f"{about}{ill} of {len(group)} not well"
    return room, most, f"{health}, {changed} being changed, {room} more allowed"


def _most(guard: Blast, group: Set[str]) -> int:
    return guard.most or max(1, len(group) * guard.percent // 100)


def blast(
    guard: Blast,
    service: str,
    locks: Collection[str],
    targets: Targets,
    busy: Collection[str],
    unwell: Unwell,
    midst: Mapping[str, int],
) -> Blocked | None:
    """What the guard says to a run that holds these locks, or would."""
    own = [one for one in map(targets.held_by, locks) if one is not None]
    groups = (targets.group(service, kind) for kind in dict.fromkeys(one.kind for one in own))
    return next((found for group in groups if (found := _blast_of(guard, group, locks, busy, unwell, midst))), None)


def _blast_of(
    guard: Blast,
    group: Set[str],
    locks: Collection[str],
    busy: Collection[str],
    unwell: Unwell,
    midst: Mapping[str, int],
) -> Blocked | None:
    """Of targets of one kind: a run on an instance and on its place in a balancer works on one of each."""
    own = set(locks) & group
    others = {lock for lock in (*busy, *midst) if lock in group} - own
    most = _most(guard, group)
    if len(others | own) > most:
        why = f"{len(others)} of {len(group)} targets are being changed, at most {most} may"
        return Blocked(Reason.GUARD_BLAST, why + _left_by(others, midst))
    if len(group) == 1:
        return None
    if own == group:
        return Blocked(Reason.GUARD_BLAST, f"it would change all {len(group)} targets at once")
    rest = group - own - set(busy)  # what was left in the midst of a change has its own word for why it is not well
    why = unwell(rest) if rest else "another run works on it"
    if not why:
        return None
    if len(group) == 2:
        return Blocked(Reason.GUARD_BLAST, f"the other target is not well: {why}")
    return Blocked(Reason.GUARD_BLAST, f"none of the other {len(group) - 1} targets is well")


def _left_by(others: Set[str], midst: Mapping[str, int]) -> str:
    """Which of them nobody works on any more, as the end of a sentence: what a person can do something about."""
    first = min((lock for lock in others if lock in midst), default=None)
    if first is None:
        return ""
    name = first.partition("/")[2]
    return f"; run {midst[first]} left {name} in the midst of a change: continue it, or take it over"


def frozen(guard: Frozen, now: Instant) -> Blocked | None:
    """Whether changes are frozen at an instant: by the wall clock of the guard's zone."""
    local = to_datetime(now).astimezone(ZoneInfo(guard.timezone))
    minute = local.weekday() * 1440 + local.hour * 60 + local.minute
    inside = guard.start <= minute < guard.end if guard.start < guard.end else not guard.end <= minute < guard.start
    return Blocked(Reason.GUARD_FROZEN, f"nothing is changed {guard.said} ({guard.timezone})") if inside else None


def turns_at(guard: Frozen, now: Instant) -> Instant:
    """When a freeze begins or ends next."""
    inside, zone = frozen(guard, now) is not None, ZoneInfo(guard.timezone)
    local = to_datetime(now).astimezone(zone)
    boundary = guard.end if inside else guard.start
    days = (boundary // 1440 - local.weekday()) % 7
    wall = datetime.combine(local.date(), time(boundary // 60 % 24, boundary % 60))
    # A clock that is changed that night may bring the boundary twice, earlier, or not at all: look around it.
    for week in (0, 7):
        said = from_datetime((wall + timedelta(days=days + week)).replace(tzinfo=zone))
        around = sorted(said + step * QUARTER for step in range(-8, 9))
        turned = next((one for one in around if one > now and (frozen(guard, one) is not None) != inside), None)
        if turned is not None:
            return turned
    return said  # never: a week from now it is the other side


def _breaking(at: Situation, guard: Breaker) -> Measure:
    since, within = at.now - guard.within, say_duration(guard.within)
    failed = _failures(at, guard, since)
    room = guard.failures - len(failed)
    until: Instant | None
    if room <= 0:
        why = f"it failed {guard.failures} times in a row within {within}"
        until = failed[-1] + guard.within
        return Measure(f"open: {why}", Blocked(Reason.GUARD_BREAKER, why), 0, guard.failures, until, "closed")
    if len(at.returned) >= guard.returns:
        why = f"this same trouble came back {len(at.returned)} times within {within}, whatever was done about it"
        until = at.returned[guard.returns - 1] + guard.within
        return Measure(f"open: {why}", Blocked(Reason.GUARD_BREAKER, why), 0, guard.returns, until, "closed")
    until = failed[-1] + guard.within if failed else None
    said = f"closed: {len(failed)} of {guard.failures} failures in a row"
    said += f", this trouble came back {len(at.returned)} of {guard.returns} times" * bool(at.returned)
    return Measure(said, None, room, guard.failures, until, "one less" if until else "")


def _failures(at: Situation, guard: Breaker, since: Instant) -> list[Instant]:
    """When the runs ended that failed last, one after the other, newest first; no more than open the breaker."""
    failed: list[Instant] = []
    name, elsewhere = at.manifest.name, set(at.targets.alike(at.locks)).difference(at.locks)
    each = (at.runs.ended(at.service, name), *(at.runs.ended_on(name, lock) for lock in sorted(elsewhere)))
    for run in newest_ended(each):
        if run.continues and not run.failed and run.outcome in ("handed_over", "cancelled"):
            continue  # it went on with one that is counted itself, and changed nothing
        if not run.failed or (run.ended_at or 0) <= since or len(failed) >= guard.failures:
            break
        failed.append(run.ended_at or 0)
    return failed


# -- what a run took from its guards -----------------------------------------------------------------------------------


def took(at: Situation, run: Run) -> tuple[Left, ...]:
    """What a run that is over, and among ``runs``, took from the guards that count; () when it took nothing."""
    if not run.changed and not run.failed:
        return ()
    found = []
    for guard in guards_of(at.manifest):
        now = measure(at, guard)
        what = ""
        match guard:
            case AtMost() if run.changed:
                what = f"took 1 of {guard.times}; {now.now}"
            case Cooldown() if run.changed:
                what = "rests now"
            case Blast() if run.changed:
                them = "it" if len(run.locks) == 1 else "them"
                what = f"held {len(run.locks)} at a time, and gave {them} back"
                if any(lock in at.midst for lock in run.locks):
                    what = f"holds {len(run.locks)} until a person goes on there, or the incident is over"
            case Breaker():
                failed = len(_failures(at, guard, at.now - guard.within))
                what = "; ".join(filter(None, ("counts as a failure" * run.failed or "no failure", now.now)))
                what = what if run.failed or failed else "counts as no failure"
            case _:
                continue
        if what:
            found.append(shown(_kind(guard), now._replace(now=what, no=None), say_guard(guard)))
    return tuple(found)


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
