"""Escalation policies as the plan writes them and as an incident keeps them."""

from __future__ import annotations

from msgspec import Struct

from tocsin.kernel.instant import MINUTE, Duration


class Step(Struct, frozen=True):
    """Page these, then wait. ``targets`` are ``"person:ana"``, ``"team:shop"``, ``"schedule:shop-primary"``,
    ``"schedule:shop-primary:next"`` or ``"schedule:shop-primary:previous"``.

    ``repeat`` is how many times the step is paged in all (1 or more), ``wait`` apart. ``one``: of the people behind the
    targets only one is paged, each in turn.
    """

    targets: tuple[str, ...]
    wait: Duration = 5 * MINUTE
    repeat: int = 1
    one: bool = False


class Escalation(Struct, frozen=True):
    """An ordered list of steps. An incident keeps a copy of the steps it was opened with."""

    key: str
    steps: tuple[Step, ...]
