"""Routes: which alerts belong to which service, and which routes can never match."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from tocsin.catalog.services import INBOX
from tocsin.incidents.routes import Route
from tocsin.kernel.matcher import Matcher
from tocsin.notation.findings import Findings
from tocsin.notation.positions import Position
from tocsin.plan import schema as written
from tocsin.plan.names import Names
from tocsin.plan.severities import urgencies

_PAIRS: Final = 200_000
"""How many pairs of routes are compared in search of routes that can never match; a bound on time, not a rule."""


def read_routes(said: Iterable[written.Route], services: Names) -> Iterator[tuple[Position, Route]]:
    """Every route, and where it stands."""
    for route in said:
        group = route.group
        yield (
            route.at,
            Route(
                match=route.match or (),
                service=services.known(route.service),
                group_by=group.by if group else None,
                group_window=(group.window or 0) if group else 0,
                severity={name.value: level for name, level in route.severity or () if level is not None},
                urgency=urgencies(route.urgency),
            ),
        )


def warn_of_routes(routes: Sequence[tuple[Position, Route]], findings: Findings) -> None:
    """Routes that an earlier one leaves nothing to, where that is certain: patterns are not compared."""
    by_first: dict[tuple[str, str], list[tuple[Position, Route]]] = {}
    open_to_all: list[tuple[Position, Route]] = []
    pairs = 0
    for at, route in routes:
        equal = {one.label: one.value for one in route.match if one.operator == "="}
        candidates = open_to_all + [found for pair in equal.items() for found in by_first.get(pair, ())]
        pairs += len(candidates)
        if pairs > _PAIRS:
            return
        taker = next((found for found in candidates if _takes_all(found[1], route, equal)), None)
        if taker is not None:
            _warn_of_route(at, route, *taker, findings)
            continue  # whatever this route would take from later ones, the earlier one takes as well
        first = next(((one.label, one.value) for one in route.match if one.operator == "=" and one.value), None)
        (open_to_all if first is None else by_first.setdefault(first, [])).append((at, route))


def _warn_of_route(at: Position, route: Route, earlier: Position, by: Route, findings: Findings) -> None:
    where = earlier.seen_from(at)
    if route.service in (by.service, INBOX):
        findings.warning(at, f"this route never matches: the one {where} takes everything it would")
    else:
        # A key of one service reaches that service's routes alone: for it the earlier route does not count.
        message = f"only a key of {route.service} reaches this route: the one {where} takes all else it would"
        findings.warning(at, message, "put the narrower route first")


def _takes_all(earlier: Route, later: Route, equal: dict[str, str]) -> bool:
    """Whether every alert that meets ``later`` surely meets ``earlier``."""
    return all(one in later.match or _implied(one, equal) for one in earlier.match)


def _implied(one: Matcher, equal: dict[str, str]) -> bool:
    return one.label in equal and one.matches(equal)
