"""How long is kept what runs were told: steps go after their time, or when all together are too much; summaries stay.

What a run came to, why, and what it found is its own row and stays. Runs that no guard let begin are many in a storm
and say little: they go with the steps.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import takewhile
from typing import Any, NamedTuple

import msgspec

from tocsin.kernel.instant import DAY, Duration, Instant
from tocsin.playbooks.run import Run

STEPS_KEPT: Duration = 90 * DAY
STEPS_BYTES = 1024**3
"""More bytes than this in the steps of all runs together, by an estimate, and the oldest go before their time."""
RUNS_AT_ONCE = 100
_SAMPLE = 50

Select = Callable[[str], Iterable[tuple[Any, ...]]]
_read = msgspec.json.Decoder(Run).decode


class Aged(NamedTuple):
    """``statements`` let a slice go; ``after``: the number of the last run looked at; ``more`` are old enough."""

    statements: list[str]
    after: int
    more: bool


def old_runs(select: Select, now: Instant, after: int) -> Aged:
    """What to do about the next runs above the number ``after`` that are too old, or too many.

    Runs are old in the order of their numbers, so none is looked at twice. One that the engine keeps in mind is left
    alone, and so are those behind it.
    """
    before = now if _bytes(select) > STEPS_BYTES else now - STEPS_KEPT
    found = select(
        f"SELECT number, started_at, live, body FROM runs WHERE number > {after} ORDER BY number LIMIT {RUNS_AT_ONCE}"
    )
    old = [(int(n), body) for n, at, live, body in takewhile(lambda row: row[1] < before and not row[2], found)]
    if not old:
        return Aged([], after, more=False)
    gone = [number for number, _ in old]
    blocked = [number for number, body in old if _read(bytes(body)).outcome == "blocked"]
    statements = [f"DELETE FROM steps WHERE run IN ({_listed(gone)})"]
    statements += [f"DELETE FROM runs WHERE number IN ({_listed(blocked)})"] if blocked else []
    return Aged(statements, gone[-1], more=len(old) == RUNS_AT_ONCE)


def _listed(numbers: list[int]) -> str:
    return ", ".join(map(str, numbers))


def _bytes(select: Select) -> int:
    """About how much room all steps take: what those of the oldest and the newest runs do, over all runs between."""
    for first, last in select("SELECT min(run), max(run) FROM steps"):
        if first is None:
            return 0
        held = (
            "SELECT coalesce(sum(length(body)), 0) FROM steps"
            f" WHERE run < {first + _SAMPLE} OR run > {last - _SAMPLE}"
        )
        for (size,) in select(held):
            span = last - first + 1
            return int(int(size) * span // min(span, 2 * _SAMPLE))
    return 0
