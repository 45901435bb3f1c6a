"""What is left of a guard: the words, numbers and instants that a refusal is decided by and that people are shown."""

from __future__ import annotations

from typing import Literal, NamedTuple

from msgspec import Struct

from tocsin.kernel.instant import Instant
from tocsin.kernel.reason import Reason

Guarding = Literal[
    "rate", "budget", "cooldown", "blast", "freeze", "breaker", "unless", "lock", "person", "target", "midst"
]


class Blocked(NamedTuple):
    """Why not, as a word and as a sentence."""

    reason: Reason
    why: str


class Left(Struct, frozen=True, kw_only=True):
    """What is left of one guard at an instant.

    ``rule``: the guard, in words; "" for those that hold for every playbook. ``now``: how it is, in words. ``no``: why
    it keeps a run from its work; "" when it does not. ``left`` of ``of``: how much may still be taken, of what can be
    counted: runs of a rate, targets of a blast radius, failures of a breaker. ``until``: when that changes by itself,
    None when no time changes it; ``then``: how it is from then on, in words.
    """

    kind: Guarding
    rule: str = ""
    now: str
    no: str = ""
    left: int | None = None
    of: int | None = None
    until: Instant | None = None
    then: str = ""
