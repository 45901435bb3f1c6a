"""The picture of what probes measured: its words stand in no line."""

from __future__ import annotations

import re

import pytest

from tests.web.night import NOW
from tests.web.test_words import RUN, reader
from tocsin.kernel.instant import SECOND
from tocsin.playbooks.evidence import Series
from tocsin.web.graphs import LETTER, TALL, graph


@pytest.mark.parametrize(
    "numbers",
    [
        [93, 95, 31, 31],
        [93, 95, 95, 31, 31, 31],
        [95, 95, 95, 95],
        [10, 95, 95, 95],
        [78, 78, 30, 30],
        [85, 86, 20, 90],
        [5],
    ],
)
def test_the_limits_words_stand_beside_its_line_and_not_in_what_was_measured(numbers: list[float]) -> None:
    points = tuple((NOW + place * 10 * SECOND, float(number)) for place, number in enumerate(numbers))
    drawn = graph(Series("cart/memory", "memory used", "%", 80.0, points=points), RUN, reader())
    along, base, anchor = drawn.limit_at
    wide = LETTER * len(drawn.limit_says)
    left = along if anchor == "start" else along - wide
    assert drawn.limit is not None and (base < drawn.limit - 2 or base - TALL > drawn.limit + 2)
    there = [(float(along), float(high)) for along, high in re.findall(r"([\d.]+)[ ,]([\d.]+)", drawn.line)]
    assert len(there) == len(numbers)
    for (x1, y1), (x2, y2) in zip(there, there[1:] or there, strict=False):
        for part in range(101):
            at, high = x1 + (x2 - x1) * part / 100, y1 + (y2 - y1) * part / 100
            assert not (left <= at <= left + wide and base - TALL <= high <= base), drawn.limit_at
