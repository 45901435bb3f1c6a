"""Overrides: somebody takes another's place for a while, whatever the plan's layers say."""

from __future__ import annotations

from typing import NamedTuple

from tocsin.kernel.instant import Instant


class Cover(NamedTuple):
    """What an override does to a schedule: ``person`` is on call from ``start`` to ``end``.

    ``instead_of``: only where that person would be; "" in place of everybody, also where nobody would be.
    ``id`` is the override's number; of two, the higher one counts. ``why`` says what people are told about it.
    """

    id: int
    person: str
    start: Instant
    end: Instant
    instead_of: str = ""
    why: str = ""
