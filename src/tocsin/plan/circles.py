"""Services that need each other in a circle: such a plan is refused."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from tocsin.catalog.services import Service
from tocsin.notation.findings import Findings
from tocsin.notation.positions import Position

_SHOWN: Final = 8


def refuse_circles(
    services: Mapping[str, Service], places: Mapping[tuple[str, str], Position], findings: Findings
) -> None:
    """Report services that are needed by what they need. Walks without recursion: a plan is input.

    ``places``: where a service says that it needs another.
    """
    done: set[str] = set()
    for start in services:
        path: dict[str, Iterator[str]] = {}
        current: str | None = None if start in done else start
        while current is not None:
            needs = path.get(current)
            if needs is None:
                needs = path[current] = iter(services[current].needs)
            need = next(needs, None)
            if need is None:
                done.add(current)
                del path[current]
                current = next(reversed(path), None)
            elif need in path:
                circle = list(path)[list(path).index(need) :]
                _report(circle, places[current, need], findings)
            elif need in services and need not in done:
                current = need


def _report(circle: list[str], at: Position, findings: Findings) -> None:
    named = circle if len(circle) <= _SHOWN else [*circle[: _SHOWN - 1], "…"]
    message = f"services need each other in a circle: {' needs '.join([*named, circle[0]])}"
    findings.error(at, message, "leave out the one it can do without for a while")
