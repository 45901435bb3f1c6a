"""What probes measured around a run, as a small picture in the page: its lines, its words and its numbers. Pure."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import NamedTuple

from tocsin.kernel.instant import Instant
from tocsin.playbooks.evidence import Series, said, thinned, value
from tocsin.playbooks.run import Run
from tocsin.web.words import Reader

LEFT, RIGHT, TOP, BOTTOM = 4.0, 312.0, 18.0, 98.0
ROWS = 12
_TOGETHER = re.compile(r"(?<=\d) (?=%|[A-Za-z])")
"""Between a number and its unit, which never break apart."""
LETTER, TALL = 6.0, 9.0
"""So wide a letter of the words in the picture is at most, and so tall."""
HEADROOM = 1.15
"""So much room is left above the highest value of a scale that has no end of its own."""


class Graph(NamedTuple):
    """One series as it is drawn, in a box of 320 by 120. ``line``: a path through its points, broken where nothing
    answered in between; ``gaps``: where that was, from and to. ``last``: the line's end.

    ``limit``: the height of the limit's line, None without one; ``limit_at``: where its words begin or, with "end",
    end. ``ran``: where code ran, from and to, None where that lies outside.
    ``says``: all of it in words. ``rows``: the clock and the value, at most ROWS.
    """

    probe: str
    says: str
    line: str
    gaps: list[tuple[float, float]]
    last: tuple[float, float]
    limit: float | None
    limit_says: str
    limit_at: tuple[float, float, str]
    ran: tuple[float, float] | None
    begins: str
    ends: str
    rows: list[tuple[Instant, str]]


def graph(series: Series, run: Run, reader: Reader) -> Graph:
    """Draw a series with at least one point. Scales begin at nothing, so that a small change looks small."""
    (first, _), (last, _) = series.points[0], series.points[-1]
    length = max(1, last - first)
    top = _top(series)

    def x(at: Instant) -> float:
        return round(LEFT + (RIGHT - LEFT) * (at - first) / length, 1)

    def y(number: float) -> float:
        return round(BOTTOM - (BOTTOM - TOP) * min(max(number, 0.0), top) / top, 1)

    ended = min(run.ended_at or run.verified_at or last, last)
    inside = first <= run.started_at <= last
    ran = (x(run.started_at), max(x(ended), x(run.started_at) + 2)) if inside else None
    when = f"; code began at {reader.clock(run.started_at)}" if inside else ""
    words = said(series)
    broken = [any(a < began < b for began, _ in series.within) for (a, _), (b, _) in pairwise(series.points)]
    points = [(x(at), y(number)) for at, number in series.points]
    limit = y(series.limit) if series.limit is not None else None
    limit_says = f"limit {value(series.limit, series.unit)}" if series.limit is not None else ""
    return Graph(
        probe=series.probe,
        says=_TOGETHER.sub("\u00a0", f"{words[:1].upper()}{words[1:]}{when}"),
        line=_path(points, broken),
        gaps=[(x(began), max(x(over), x(began) + 2)) for began, over in series.within],
        last=points[-1],
        limit=limit,
        limit_says=limit_says,
        limit_at=_free(points, limit, LETTER * len(limit_says)) if limit is not None else (LEFT, TOP, "start"),
        ran=ran,
        begins=reader.clock(first),
        ends=reader.clock(last) if last > first else "",
        rows=sorted(
            [(at, value(number, series.unit)) for at, number in thinned(series.points, ROWS)]
            + [(began, "no answer") for began, _ in series.within[-ROWS:]]
        ),
    )


def _path(points: list[tuple[float, float]], broken: list[bool]) -> str:
    """A path through points, begun anew after each that is ``broken``. One alone is drawn as a dot."""
    return "".join(
        f"{'M' if begins else 'L'}{x} {y}{'h0' if begins else ''}"
        for (x, y), begins in zip(points, [True, *broken], strict=True)
    )


def _free(points: list[tuple[float, float]], limit: float, wide: float) -> tuple[float, float, str]:
    """Where a limit's words stand in no line: beside the limit, above or below it, at the left or the right."""
    places = [
        (along, limit + down, anchor)
        for down in (-4.0, 13.0)
        for along, anchor in ((LEFT, "start"), (RIGHT, "end"))
        if TOP + TALL - 4 <= limit + down <= BOTTOM - 4
    ] or [(LEFT, limit - 4.0, "start")]

    def room(place: tuple[float, float, str]) -> float:
        along, base, anchor = place
        begins = along if anchor == "start" else along - wide
        return min(_apart(one, two, begins, begins + wide, base - TALL, base + 2) for one, two in _pieces(points))

    return max(places, key=lambda place: min(room(place), 6.0))  # that is enough: the first of those


def _pieces(points: list[tuple[float, float]]) -> list[tuple[tuple[float, float], tuple[float, float]]]:
    return list(pairwise(points)) or [(points[0], points[0])]


def _apart(
    one: tuple[float, float], two: tuple[float, float], left: float, right: float, top: float, bottom: float
) -> float:
    """How far above or below a box a piece of the line passes; nothing when it crosses it, far when it is beside it."""
    (x1, y1), (x2, y2) = one, two
    if x2 < left or x1 > right:
        return 1_000.0
    heights = [y1 if x2 == x1 else y1 + (y2 - y1) * (min(max(at, x1), x2) - x1) / (x2 - x1) for at in (left, right)]
    return max(0.0, top - max(heights), min(heights) - bottom)


def _top(series: Series) -> float:
    highest = max([*(number for _, number in series.points), series.limit or 0.0])
    if series.unit == "%":
        return max(100.0, highest)
    return highest * HEADROOM or 1.0
