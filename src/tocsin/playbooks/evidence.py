"""What probes measured around a run: kept with it, said in a sentence, drawn beside what code did. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise

import msgspec
from msgspec import Struct

from tocsin.kernel.instant import SECOND, Instant, say_duration
from tocsin.playbooks.run import MOST_STEPS, Step

MOST_POINTS = 60
MOST_SERIES = 3
BEFORE, AFTER = 0, MOST_STEPS + 1
"""Where what was measured lies among a run's steps: in front of the first, and behind the last there can be."""


class Series(Struct, frozen=True, omit_defaults=True):
    """What one probe measured, the oldest first. ``probe``: ``service/name``; ``what``: such as ``memory used``.

    ``unit``: ``%``, ``s`` or ``bytes``. ``limit``: beyond which it fails, None without one. A look that measured
    nothing, because nothing answered, has no point; ``silent``: so it was with the last. ``gaps``: from the first of
    such looks in a row to the next point, or to the last of them when there is none yet. No line goes on over one.
    """

    probe: str
    what: str
    unit: str = ""
    limit: float | None = None
    silent: bool = False
    points: tuple[tuple[Instant, float], ...] = ()
    gaps: tuple[tuple[Instant, Instant], ...] = ()

    @property
    def within(self) -> list[tuple[Instant, Instant]]:
        """The gaps between its points."""
        if not self.points:
            return []
        first, last = self.points[0][0], self.points[-1][0]
        return [(began, ended) for began, ended in self.gaps if first < began and ended <= last]


def kept(found: Iterable[Series], first: str = "") -> tuple[Series, ...]:
    """What is kept with a run: few series, that of the probe ``first`` in front, each with few points."""
    worth = sorted((one for one in found if one.points), key=lambda one: one.probe != first)
    return tuple(
        msgspec.structs.replace(one, points=thinned(one.points), gaps=one.gaps[-MOST_POINTS:])
        for one in worth[:MOST_SERIES]
    )


def thinned(points: Sequence[tuple[Instant, float]], most: int = MOST_POINTS) -> tuple[tuple[Instant, float], ...]:
    """At most so many points: the first, the last, and of each stretch between them its peak."""
    if len(points) <= most:
        return tuple(points)
    inner, lots = points[1:-1], most - 2
    edges = [place * len(inner) // lots for place in range(lots + 1)]
    peaks = [max(inner[a:b], key=lambda point: point[1]) for a, b in pairwise(edges)]
    return (points[0], *peaks, points[-1])


def together(rows: Iterable[Step]) -> tuple[Series, ...]:
    """What was measured before and after a run, as one series for each probe, in the order of the first."""
    found: dict[str, Series] = {}
    for row in sorted(rows, key=lambda one: one.ordinal):
        for one in msgspec.json.decode(row.result, type=tuple[Series, ...]):
            had = found.get(one.probe, one)
            points = tuple(sorted((dict(had.points) | dict(one.points)).items()))
            gaps = tuple(sorted((dict(had.gaps) | dict(one.gaps)).items()))
            found[one.probe] = msgspec.structs.replace(one, points=points, gaps=gaps)
    return tuple(found.values())


def said(series: Series) -> str:
    """How it went, in words: ``memory used 61 % → 94 % in 12 min, the limit is 90 %``; "" without a point."""
    return f"{_went(series)}, and no answer since" if series.silent and series.points else _went(series)


def _went(series: Series) -> str:
    if not series.points:
        return ""
    (began, first), (ended, last) = series.points[0], series.points[-1]
    was, now, over = value(first, series.unit), value(last, series.unit), say_duration(ended - began)
    unheard = sum(until - since for since, until in series.within)
    rest = f", no answer for {say_duration(max(unheard, SECOND))} meanwhile" if unheard else ""
    rest += f", the limit is {value(series.limit, series.unit)}" if series.limit is not None else ""
    if ended - began < SECOND:
        return f"{series.what} {now}{rest}"
    if was == now:
        low, top = (value(edge(one for _, one in series.points), series.unit) for edge in (min, max))
        between = f", between {low} and {top} meanwhile" if low != top else ""
        return f"{series.what} {now}, as {over} before{between}{rest}"
    return f"{series.what} {was} → {now} in {over}{rest}"


def value(number: float, unit: str) -> str:
    """A value with its unit, as people say it."""
    if unit == "s":
        return f"{number * 1000:.0f} ms" if number < 1 else f"{number:.1f} s"
    if unit == "%":
        return f"{number:.0f} %" if number >= 10 or number == int(number) else f"{number:.1f} %"
    if unit == "bytes":
        for name, size in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
            if number >= size:
                return f"{number / size:.0f} {name}" if number >= 10 * size else f"{number / size:.1f} {name}"
        return f"{number:.0f} bytes"
    return f"{number:g}{f' {unit}' if unit else ''}"
