"""Who would be on call differently by another version of a schedule: the times at which it is not the same people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from tocsin.kernel.instant import Duration, Instant
from tocsin.oncall.roster import Span

Held = Mapping[str, Sequence[Span]]
"""When who is on call, as ``moved.held`` tells it: by person, in order, without overlaps."""


class Change(NamedTuple):
    """From ``start`` up to ``end`` other people are on call: ``before``, and ``after`` instead; () is nobody."""

    start: Instant
    end: Instant
    before: tuple[str, ...]
    after: tuple[str, ...]


def changes(was: Held, now: Held) -> list[Change]:
    """The times at which other people are on call, in order; each as long as nobody comes or goes on either side."""
    edges = sorted(
        (at, side, step, person)
        for side, held in enumerate((was, now))
        for person, spans in held.items()
        for start, end in spans
        for at, step in ((start, 1), (end, -1))
    )
    on: tuple[set[str], set[str]] = set(), set()
    found: list[Change] = []
    for place, (at, side, step, person) in enumerate(edges):
        on[side].add(person) if step > 0 else on[side].discard(person)
        until = edges[place + 1][0] if place + 1 < len(edges) else at
        if until > at and on[0] != on[1]:
            change = Change(at, until, tuple(sorted(on[0])), tuple(sorted(on[1])))
            last = found[-1] if found else None
            if last is not None and last.end == at and last[2:] == change[2:]:
                found[-1] = last._replace(end=until)
            else:
                found.append(change)
    return found


def together(held: Held) -> dict[str, Duration]:
    """How long each person is on call in all."""
    return {person: sum(end - start for start, end in spans) for person, spans in held.items()}
