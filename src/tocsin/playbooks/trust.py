"""What a playbook is trusted to do for a service: climbs on evidence, falls by itself, never above its ceiling."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import sqrt
from typing import Final, Literal

from msgspec import Struct

from tocsin.kernel.instant import Instant
from tocsin.kernel.reason import Reason
from tocsin.playbooks.manifest import RUNGS, Manifest, Rung
from tocsin.playbooks.run import Run
from tocsin.playbooks.targets import Target, listed

CLIMB: Final = 0.8
"""How often at the least it must be right, by the lower bound of Wilson's interval (95 %), to go one rung up."""
_Z: Final = 1.96
AGREED: Final = "people did what it would have done"


class Standing(Struct, kw_only=True):
    """How one playbook stands with one service. Counts are since it came to its rung or its meaning was changed.

    ``held``: runs whose verification held. ``approved``: of those that people let go on. ``agreed`` and ``differed``:
    of runs that only watched, those that would have done what a person did, and those that would not. ``because``: why
    it stands on its rung. ``next_at``: when its ``schedule``, as the plan had it then, starts it next.
    ``rule_error``: why its rule came to no answer the last time it was asked; "" when it did. ``targets``: what the
    plan says of each of its targets, see ``said_of``; None as long as an older version's row has nothing of it.
    """

    service: str
    playbook: str
    rung: Rung
    meaning: str
    since: Instant
    held: int = 0
    failed: int = 0
    approved: int = 0
    because: str = ""
    next_at: Instant | None = None
    schedule: str = ""
    agreed: int = 0
    differed: int = 0
    rule_error: str = ""
    targets: dict[str, str] | None = None

    @property
    def tried(self) -> bool:
        """Whether any run has said something about it."""
        return bool(self.held or self.failed or self.agreed or self.differed)


def lower_bound(held: int, of: int) -> float:
    """The lower end of Wilson's score interval (95 %) for ``held`` out of ``of``; 0 without evidence.

    E. B. Wilson, "Probable inference, the law of succession, and statistical inference" (1927).
    """
    if of == 0:
        return 0.0
    share = held / of
    middle = share + _Z**2 / (2 * of)
    spread = _Z * sqrt(share * (1 - share) / of + _Z**2 / (4 * of**2))
    return min(share, max(0.0, (middle - spread) / (1 + _Z**2 / of)))  # rounding must not lift it


def proven(held: int, of: int) -> bool:
    """Whether that is evidence enough for one rung more."""
    return lower_bound(held, of) >= CLIMB


class Climb(Struct, frozen=True, kw_only=True):
    """What a playbook has shown on its rung, and what it lacks for the next.

    ``right`` of ``tried``: runs that held, or, of one that only watches, runs that would have done what people did.
    ``bound``: at least so often it is right, by Wilson's lower bound; ``needed``: how often it has to be. ``next``: the
    rung it climbs to, "" for none; ``more``: how many more in a row that are right bring it there. ``why``: why it
    climbs no further; "" when it does.
    """

    rung: Rung
    ceiling: Rung
    right: int
    tried: int
    bound: float
    needed: float = CLIMB
    next: Rung | Literal[""] = ""
    more: int = 0
    why: str = ""


def climb(manifest: Manifest, standing: Standing) -> Climb:
    """What is missing for the next rung: the same evidence that ``ended`` and ``compared`` ask for."""
    rung, ceiling = stands(manifest, standing), manifest.trust.ceiling
    watches = rung in ("observe", "suggest")
    right = standing.agreed if watches else standing.held
    tried = right + (standing.differed if watches else standing.failed)
    at = RUNGS.index(rung)
    why = ""
    if rung == "act":
        why = "it acts alone: there is no rung above"
    elif at >= RUNGS.index(ceiling):
        why = f"the plan lets it go no higher than {ceiling}"
    more = 0
    if not why:
        low, high = 0, 1
        while not proven(right + high, tried + high):
            low, high = high, high * 2  # ends: with each more that is right the bound comes nearer to 1
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (low, middle) if proven(right + middle, tried + middle) else (middle, high)
        more = high
    return Climb(
        rung=rung, ceiling=ceiling, right=right, tried=tried, bound=lower_bound(right, tried),
        next="" if why else RUNGS[at + 1], more=more, why=why,
    )  # fmt: skip


def stands(manifest: Manifest, standing: Standing) -> Rung:
    """The rung that counts: its own, never above the plan's ceiling."""
    return min(standing.rung, manifest.trust.ceiling, key=RUNGS.index)


def ended(manifest: Manifest, standing: Standing, run: Run, now: Instant) -> Reason | None:
    """Take what a run came to as evidence. Returns why the rung changed, None when it did not.

    A run of code that has been changed meanwhile says nothing about the code there is now; nor does one of which a
    person did a part.
    """
    if run.meaning != standing.meaning or run.helped:
        return None
    if run.failed and run.rung in ("ask", "act"):
        standing.failed += 1
        if standing.rung == "observe":
            return None
        to = RUNGS[RUNGS.index(standing.rung) - 1]
        move(standing, to, f"run {run.number} was handed over: {run.why.removeprefix('handed over: ')}"[:200], now)
        return Reason.TRUST_FELL
    if run.outcome != "verified":
        return None
    standing.held += 1
    standing.approved += bool(run.approved_by)
    if standing.rung != "ask" or RUNGS.index(manifest.trust.ceiling) < RUNGS.index("act"):
        return None
    of = standing.held + standing.failed
    bound = lower_bound(standing.held, of)
    if not proven(standing.held, of):
        return None
    move(standing, "act", f"{standing.held} of {of} runs held, at least {bound:.0%} by Wilson's lower bound", now)
    return Reason.TRUST_CLIMBED


def compared(manifest: Manifest, standing: Standing, run: Run, now: Instant) -> Reason | None:
    """Take as evidence whether one that only watched would have done what a person did. Returns why the rung changed.

    It climbs to ask at most: that a change would have been the right one does not prove that it holds.
    """
    if run.meaning != standing.meaning or run.started_at < standing.since:
        return None
    standing.agreed += run.agreement == "agreed"
    standing.differed += run.agreement == "differed"
    to = RUNGS[RUNGS.index(standing.rung) + 1] if standing.rung in ("observe", "suggest") else standing.rung
    if to == standing.rung or RUNGS.index(manifest.trust.ceiling) < RUNGS.index(to):
        return None
    of = standing.agreed + standing.differed
    bound = lower_bound(standing.agreed, of)
    if not proven(standing.agreed, of):
        return None
    said = f"{AGREED} in {standing.agreed} of {of} runs, at least {bound:.0%} by Wilson's"
    move(standing, to, f"{said} lower bound", now)
    return Reason.TRUST_CLIMBED


def taken_back(standing: Standing, run: Run, now: Instant) -> Reason | None:
    """What was taken as evidence by ``compared`` counts no more, as far as it counts still. Returns why the rung
    changed: it had climbed by that very word.
    """
    if run.meaning != standing.meaning:
        return None
    if standing.since == run.agreed_at and standing.because.startswith(AGREED):
        to = RUNGS[max(0, RUNGS.index(standing.rung) - 1)]
        move(standing, to, f"it had climbed by what was said of run {run.number}, which was taken back", now)
        return Reason.TRUST_FELL
    if run.started_at < standing.since:
        return None
    standing.agreed = max(0, standing.agreed - (run.agreement == "agreed"))
    standing.differed = max(0, standing.differed - (run.agreement == "differed"))
    return None


def move(standing: Standing, rung: Rung, because: str, now: Instant) -> None:
    """Stand on another rung; evidence counts anew."""
    standing.rung, standing.because, standing.since = rung, because, now
    _anew(standing)


def _anew(standing: Standing) -> None:
    standing.held = standing.failed = standing.approved = standing.agreed = standing.differed = 0


MOST_TARGETS: Final = 200
"""Of so many targets it is kept what is said of each; of more only what may be done there."""
_RULE: Final = "1"
"""How digests of targets are made. Those of another rule cannot be compared."""


def said_of(targets: Iterable[Target]) -> dict[str, str]:
    """What a plan says of targets: by name a digest of all of it and one of what may be done there."""
    said = {one.name: f"{one.says} {one.may}" for one in targets}
    if len(said) > MOST_TARGETS:
        said = {f"* {two.partition(' ')[2]}": two for two in sorted(f"* {one.may}" for one in targets)}
    return {"": _RULE} | said


def retargeted(before: Mapping[str, str], now: Mapping[str, str]) -> str:
    """Why what a playbook was trusted to do is not what it may do now, though its code is the same: a target says
    something else, or a new one lets it do what none did. "" when that is not so: another one like those there are.
    """
    if before.get("") != now.get(""):
        return ""
    known = {said.partition(" ")[2] for said in before.values()}
    changed = sorted(name for name, said in now.items() if name in before and before[name] != said)
    new = sorted(name for name, said in now.items() if name not in before and said.partition(" ")[2] not in known)
    named = listed(changed or new)
    if changed:
        return f"the plan says something else of its {'targets' if len(changed) > 1 else 'target'} {named}"
    where = "others" if named.startswith("*") else named
    return f"the plan lets it do at {where} what it could do nowhere" if new else ""


START = "where the plan starts it"
EDITED = "its code was changed"
LOWERED = "the plan starts it lower"


def edited(manifest: Manifest, standing: Standing, targets: Iterable[Target], now: Instant) -> str:
    """Its code may mean something else now, or its targets, or the plan start it elsewhere. Says why it fell, "" when
    it did not. ``targets``: those of its service that it may be bound to.

    Changed code costs a rung, and so do changed targets. A digest that another version of Tocsin made by another rule
    cannot be compared, and lowers nothing. Nor does one that is still being written lose anything: what no run and no
    person has said a word about stays where the plan starts it, wherever that is now. What stands there still falls
    with it when the plan starts it lower, whatever its runs have said: whoever writes that is less sure than they were.
    """
    changed = manifest.meaning != standing.meaning
    alike = manifest.meaning.rpartition(":")[0] == standing.meaning.rpartition(":")[0]
    if changed:
        standing.rule_error = ""
        standing.meaning = manifest.meaning
    said = said_of(targets)
    why = EDITED if changed and alike else retargeted(standing.targets or {}, said)
    standing.targets = said
    if standing.because == START:
        by = RUNGS.index(manifest.trust.start) - RUNGS.index(standing.rung)
        if by < 0 or (by > 0 and not standing.tried):
            move(standing, manifest.trust.start, START, now)
            return LOWERED if by < 0 else ""
        if not standing.tried:
            return ""
    if not why:
        return ""
    if standing.rung == "observe":
        _anew(standing)
        return ""
    move(standing, RUNGS[RUNGS.index(standing.rung) - 1], why[:200], now)
    return why
