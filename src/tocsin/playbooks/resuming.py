"""What a run that continues or repeats another one begins with: which steps stand, and what may have happened already.

A step that stands is not done again. Of what comes after, a change that may have happened (it ended, failed, or nobody
knows) is *in doubt*, unless doing it twice is as good as once: it is done again only when its probe says that it was
not done, or a person said so.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal

from msgspec import Struct, structs

from tocsin.kernel.instant import Instant
from tocsin.playbooks.run import Outcome, Run, Step

Word = Literal["", "again", "done"]
"""What a person says of changes that may have happened: do them ``again``; or the one before the chosen step is
``done``.
"""
RESUMABLE: Final[frozenset[Outcome]] = frozenset({"handed_over", "cancelled", "suggested"})
"""What a run that can go on came to. A suggestion goes on at its fix: a person has it done."""
MOST_WHY: Final = 300


class Resumed(Struct, frozen=True):
    """How it begins. ``doubt``, ``again``: see ``Run``; ``helped``: a person said that a step was done."""

    steps: tuple[Step, ...]
    doubt: tuple[str, ...]
    again: bool
    helped: bool


class Unresumable(Struct, frozen=True):
    """Why not there, for whoever asked."""

    why: str
    field: str = "step"
    code: str = "conflict"


def says_why(why: str) -> bool:
    """Whether that is a reason people can read."""
    return bool(why.strip()) and len(why) <= MOST_WHY and why.isprintable()


def needed(run: Run, recorded: Sequence[Step], step: int, why: str) -> tuple[Step, ...]:
    """What ``resume_at`` needs of a run's steps: what those answered that do not stand is not, nor anything when
    nothing can come of it.
    """
    if run.outcome not in RESUMABLE or run.resumed or not says_why(why):
        return ()
    return tuple(one if one.ordinal < step else structs.replace(one, result="") for one in recorded)


def identity(step: Step) -> str:
    """What was to be done, and with which arguments: as ``Began.identity``."""
    return f"{step.function} {step.digest}"


def resume_at(
    run: Run, recorded: Sequence[Step], step: int, word: Word, who: str, now: Instant
) -> Resumed | Unresumable:
    """Continue a run over its recorded steps, in order, at one of them; 0 or 1 begins at the top.

    ``who``: what the person is called who says the ``word``.
    """
    first = max(1, step)
    last = max((one.ordinal for one in recorded), default=0)
    if first > last + 1:
        return Unresumable(f"Run {run.number} came to step {last}: continue at {last + 1} at most", code="invalid")
    stands: list[Step] = []
    helped = False
    for one in recorded:
        if one.ordinal >= first:
            continue
        kept = _stands(one, one.ordinal == last, word, who, now)
        if isinstance(kept, Unresumable):
            return kept
        helped = helped or kept is not one
        stands.append(kept)
    doubt = _doubt(run, recorded, stands, first)
    blind = next((one for one in recorded if one.ordinal >= first and not one.probe and identity(one) in doubt), None)
    if blind is not None and word != "again":
        return Unresumable(
            f"Step {blind.ordinal}, {_short(blind)}, may have been done: say that it is to be done again, or"
            f" continue at step {blind.ordinal + 1}",
            "word",
        )
    return Resumed(tuple(stands), doubt, word == "again", helped)


def _stands(one: Step, is_last: bool, word: Word, who: str, now: Instant) -> Step | Unresumable:
    """A step before the chosen one, as it is taken over."""
    at = f"Step {one.ordinal}, {_short(one)},"
    open_fix = one.verb == "fix" and (one.state == "begun" or (one.state == "failed" and is_last))
    if open_fix and word == "done":
        return structs.replace(
            one, state="done", ended_at=now, result="null", error="", said=f"done, says {who}"
        )
    if open_fix:
        what = "failed" if one.state == "failed" else "may have been done or not"
        return Unresumable(f"{at} {what}: continue at it, or say that it is done", "word")
    if one.verb == "verify" and one.state != "done":
        return Unresumable(f"{at} did not hold: continue at it, or before it")
    if one.state in ("begun", "skipped"):
        return Unresumable(f"{at} was not done: continue at it, or before it")
    return one


def _doubt(run: Run, recorded: Sequence[Step], stands: Sequence[Step], first: int) -> tuple[str, ...]:
    """Changes that may have happened and do not stand, as often as they may have."""
    standing = {identity(one) for one in stands}
    own = [
        identity(one)
        for one in recorded
        if one.ordinal >= first and one.may_have_changed and not one.idempotent
    ]
    return (*own, *(one for one in run.doubt if one not in standing and one not in own))


def _short(one: Step) -> str:
    """A step as people say it: ``redis.expire(main)``."""
    return f"{'.'.join(one.function.rsplit('.', 2)[-2:])}({one.shown})" if one.verb != "ask" else one.function
