"""Routes: which service an alert belongs to, how its alerts are grouped, how grave they are."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence
from operator import itemgetter
from typing import NamedTuple

from msgspec import Struct

from tocsin.catalog.services import INBOX, Urgency
from tocsin.kernel.identity import identity, label_text
from tocsin.kernel.instant import Duration
from tocsin.kernel.matcher import Matcher, all_match
from tocsin.kernel.reason import Reason

SEVERITIES = ("sev1", "sev2", "sev3", "sev4")
DEFAULT_SEVERITY: dict[str, str] = {
    "critical": "sev1",
    "page": "sev1",
    "emergency": "sev1",
    "fatal": "sev1",
    "p1": "sev1",
    "sev1": "sev1",
    "high": "sev1",
    "error": "sev2",
    "major": "sev2",
    "p2": "sev2",
    "sev2": "sev2",
    "warning": "sev3",
    "warn": "sev3",
    "minor": "sev3",
    "p3": "sev3",
    "sev3": "sev3",
    "info": "sev4",
    "notice": "sev4",
    "none": "sev4",
    "low": "sev4",
    "p4": "sev4",
    "p5": "sev4",
    "sev4": "sev4",
}
UNKNOWN_SEVERITY = "sev2"
"""A word nobody has mapped: grave enough to be seen, and said on the alert."""


MOST_REMEMBERED = 20_000
OF_RUNS = frozenset({"PlaybookFailed", "PlaybookAsks"})
"""Tocsin's own alerts about runs of playbooks: one playbook, and one target, has nothing to do with another."""
_BY_LABELS = "\0labels"
"""Stands for the whole label set: alerts that nothing else groups share an incident only with themselves."""


class Route(Struct, frozen=True, kw_only=True):
    """One route. ``group_by`` None: the default (by alertname, else by the source's own key).

    ``group_window`` 0: as long as the incident is open; else a new alert joins only this soon
    after the last one joined. ``urgency``: by severity; what is not named is as the service says.
    """

    match: tuple[Matcher, ...]
    service: str
    group_by: tuple[str, ...] | None = None
    group_window: Duration = 0
    severity: dict[str, str] = {}
    urgency: Mapping[str, Urgency] = {}


class Routed(NamedTuple):
    """Where an alert goes and why. ``urgency``: what the route says of it by severity."""

    service: str
    group: str
    window: Duration
    severity: str
    reason: Reason
    urgency: Mapping[str, Urgency] = {}


class Router:
    """The routes of a plan, the first match wins, found through the equality matchers rather than one by one."""

    def __init__(
        self, routes: tuple[Route, ...], services: Container[str] | None = None, telling: Iterable[str] = ()
    ) -> None:
        """``services``: those there are; what would go to another goes to the inbox. None: any.

        ``telling``: further labels in which alerts are alike that get the very same ``Routed``.
        """
        self._services = services
        self._by_equality: dict[str, dict[str, list[tuple[int, Route]]]] = {}
        self._others: list[tuple[int, Route]] = []
        asked = {matcher.label for route in routes for matcher in route.match} | {
            label for route in routes for label in route.group_by or ()
        }
        # Two names at the least: a getter gives a bare text for one.
        self._asked = (*sorted(asked | {"alertname", *telling}), "alertname")
        self._blank = ("",) * len(self._asked)
        self._pick = itemgetter(*self._asked)
        self._lacking = False
        """Whether the last alert lacked a label that is asked for: the next is likely to, and a failed try is dear."""
        self._routed: dict[tuple[str, str, str, tuple[str, ...]], Routed] = {}
        self._last: tuple[str, str, str, tuple[str, ...]] | None = None
        self._last_routed = Routed("", "", 0, "", Reason.NO_ROUTE)
        for order, route in enumerate(routes):
            first = next((m for m in route.match if m.operator == "=" and m.value), None)
            if first is None:
                self._others.append((order, route))
            else:
                self._by_equality.setdefault(first.label, {}).setdefault(first.value, []).append((order, route))

    def match(self, labels: Mapping[str, str], only: str = "") -> Route | None:
        """The first route whose matchers are all met; with ``only``, among the routes of that service."""
        best: tuple[int, Route] | None = None
        for label, values in self._by_equality.items():
            for candidate in values.get(labels.get(label, ""), ()):
                if (best is None or candidate[0] < best[0]) and _takes(candidate[1], labels, only):
                    best = candidate
        for candidate in self._others:
            if best is not None and candidate[0] > best[0]:
                break
            if _takes(candidate[1], labels, only):
                best = candidate
                break
        return best[1] if best else None

    def asked_of(self, many: Sequence[dict[str, str]]) -> Sequence[tuple[str, ...] | None]:
        """What routes ask of each of many label sets, in which no value is empty: two that are alike in it and in their
        severity, and came with keys of one service, get the very same from ``route``. None where that takes a look.
        """
        try:
            return list(map(self._pick, many))
        except KeyError:
            return [None] * len(many)

    def route(self, key_service: str, source_key: str, labels: dict[str, str], severity: str) -> Routed:
        """Decide service, group and severity of an alert that came with a key of ``key_service``.

        Remembered for alerts that are alike in every label a route asks for. A key of one service can only reach that
        service; a key of the inbox is sorted by all the plan's routes.
        """
        try:
            asked = None if self._lacking else self._pick(labels)
        except KeyError:
            asked = None
        if asked is None:
            asked = tuple(map(labels.get, self._asked, self._blank))
            self._lacking = "" in asked
        alike = key_service, source_key, severity, asked
        if alike == self._last:  # alerts of one rule come together, and comparing costs less than looking up
            return self._last_routed
        routed = self._routed.get(alike)
        if routed is None:
            if len(self._routed) >= MOST_REMEMBERED:
                self._routed.clear()
            routed = self._routed[alike] = self._decide(key_service, source_key, labels, severity)
        if routed.group == _BY_LABELS:
            return routed._replace(group=f"labels={identity(label_text(labels)).hex()}")
        self._last, self._last_routed = alike, routed
        return routed

    def _decide(self, key_service: str, source_key: str, labels: Mapping[str, str], severity: str) -> Routed:
        only = "" if key_service == INBOX else key_service
        route = self.match(labels, only)
        name = labels.get("alertname", "")
        default = f"alertname={name}" if name else f"key={source_key}" if source_key else _BY_LABELS
        if name in OF_RUNS and source_key:
            default += f",{source_key.partition('#')[0]}"
        word = severity.lower()
        if route is None:
            reason = Reason.NO_ROUTE if key_service == INBOX else Reason.KEY_SERVICE
            there = self._services is None or key_service in self._services
            grave = DEFAULT_SEVERITY.get(word, UNKNOWN_SEVERITY)
            return Routed(key_service if there else INBOX, default, 0, grave, reason)
        group = default
        if route.group_by is not None:
            group = ",".join(f"{label}={labels.get(label, '')}" for label in route.group_by)
        grave = route.severity.get(severity) or route.severity.get(word) or DEFAULT_SEVERITY.get(word, UNKNOWN_SEVERITY)
        return Routed(route.service, group, route.group_window, grave, Reason.ROUTE_MATCHED, route.urgency)


def _takes(route: Route, labels: Mapping[str, str], only: str) -> bool:
    return (not only or route.service == only) and all_match(route.match, labels)
