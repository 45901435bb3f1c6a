"""How long is kept what runs were told: steps go after their time, or when all together are too much; summaries stay.

What a run came to, why, and what it found is its own row and stays. Runs that no guard let begin are many in a storm
and say little: they go with the steps.

Commits wait while a slice of this is done, so each is small: it deletes few bytes, or counts few steps.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import takewhile
from math import inf
from typing import Any, NamedTuple

import msgspec

from tocsin.kernel.instant import DAY, HOUR, Duration, Instant
from tocsin.playbooks.run import Run

STEPS_KEPT: Duration = 90 * DAY
STEPS_BYTES = 1024**3
"""More bytes than this in the steps of all runs together, and the oldest go before their time."""
RUNS_AT_ONCE = 100
BYTES_AT_ONCE = 1024**2
"""So much a slice deletes, or one run when that has more."""
STEPS_AT_ONCE = 2_000
"""So many steps are weighed in a slice: more than any run has."""

Select = Callable[[str], Iterable[tuple[Any, ...]]]
_read = msgspec.json.Decoder(Run).decode


class Progress(NamedTuple):
    """How far it is: the store keeps this, and moves it on when a slice was written.

    ``after``: all runs up to this number were let go of. ``weighed``: the steps of runs up to this number are in
    ``held``, their bytes; ``whole``: those of all runs are. ``again``: nothing is to be done before.
    """

    after: int = 0
    weighed: int = 0
    held: int = 0
    whole: bool = False
    again: Instant = 0


class Aged(NamedTuple):
    """``statements`` let a slice go; ``then``: how far it is after them; ``more``: there is more to do now."""

    statements: list[str]
    then: Progress
    more: bool


def old_runs(select: Select, now: Instant, room: int, so_far: Progress) -> Aged:
    """What to do next about runs that are too old, or too many.

    Runs are old in the order of their numbers, so none is let go of twice. One that the engine keeps in mind is left
    alone, and so are those behind it. ``room``: bytes that all steps take at most. Only when that is too much are they
    weighed one by one, and then no more go than there are too many.
    """
    if now < so_far.again:
        return Aged([], so_far, more=False)
    found = _slice(select, so_far, now - STEPS_KEPT, inf)
    if found is None and room > STEPS_BYTES:
        if not so_far.whole:
            return Aged([], _weigh_on(select, so_far), more=True)
        found = _slice(select, so_far, now, so_far.held - STEPS_BYTES)
    return found or Aged([], Progress(so_far.after, again=now + HOUR), more=False)


def _slice(select: Select, so_far: Progress, before: Instant, spare: float) -> Aged | None:
    """Let the oldest runs begun before that go, about ``spare`` bytes of steps at most; None when there are none."""
    rows = select(
        "SELECT number, started_at, live, body FROM runs"
        f" WHERE number > {so_far.after} ORDER BY number LIMIT {RUNS_AT_ONCE}"
    )
    old = [(int(n), body) for n, at, live, body in takewhile(lambda row: row[1] < before and not row[2], list(rows))]
    if not old or spare <= 0:
        return None
    weights, whole = _weights(select, so_far.after)
    known = inf if whole else max(weights)
    gone, size = 0, 0
    for number, _ in old:
        more = weights.get(number, 0)
        if gone and (number > known or size >= spare or size + more > BYTES_AT_ONCE):
            break
        gone, size = number, size + more
    blocked = [number for number, body in old if number <= gone and _read(bytes(body)).outcome == "blocked"]
    statements = [f"DELETE FROM steps WHERE run > {so_far.after} AND run <= {gone}"]
    statements += [f"DELETE FROM runs WHERE number IN ({', '.join(map(str, blocked))})"] if blocked else []
    counted = sum(more for number, more in weights.items() if number <= min(gone, so_far.weighed))
    return Aged(statements, so_far._replace(after=gone, held=so_far.held - counted), more=True)


def _weigh_on(select: Select, so_far: Progress) -> Progress:
    weights, whole = _weights(select, so_far.weighed)
    weighed = max(weights, default=so_far.weighed)
    return so_far._replace(weighed=weighed, held=so_far.held + sum(weights.values()), whole=whole)


def _weights(select: Select, after: int) -> tuple[dict[int, int], bool]:
    """The bytes of the steps of the next runs above a number, and whether those are all there are."""
    rows = list(select(f"SELECT run, length(body) FROM steps WHERE run > {after} ORDER BY run LIMIT {STEPS_AT_ONCE}"))
    found: dict[int, int] = {}
    for run, size in rows:
        found[run] = found.get(run, 0) + size
    whole = len(rows) < STEPS_AT_ONCE
    if not whole and len(found) > 1:
        found.popitem()  # its other steps may be behind these
    return found, whole
