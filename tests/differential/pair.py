"""Two servers that are told the same: a real Alertmanager and a real Tocsin; and what they answer, made comparable."""

from __future__ import annotations

import http.client
import itertools
import json
import time
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode, urlsplit

from tocsin.kernel.instant import MILLISECOND, SECOND, Instant, format_rfc3339, parse_rfc3339

# The same routes in both languages: two receivers, groups by the same labels.
GROUP_BY = ["example", "instance"]
ALERTMANAGER_CONFIG: dict[str, Any] = {
    "route": {
        "receiver": "inbox",
        "group_by": GROUP_BY,
        "routes": [
            {"matchers": ['job="web"'], "receiver": "checkout"},
            {"matchers": ['severity="both"'], "receiver": "checkout", "continue": True},
            {"matchers": ['severity="both"'], "receiver": "inbox"},
        ],
    },
    "inhibit_rules": [
        {"source_matchers": ['severity="both"'], "target_matchers": ['severity="inhibited"'], "equal": ["example"]}
    ],
    "receivers": [{"name": "inbox"}, {"name": "checkout"}],
}
PLAN: dict[str, Any] = {
    "tocsin": 1,
    "team": "everyone",
    "people": {"admin": {"name": "Admin"}},
    "escalations": {"default": [{"page": "admin", "wait": "5m"}]},
    "services": {"inbox": {"escalation": "default"}, "checkout": {"escalation": "default"}},
    "routes": [
        {"match": ['job="web"'], "service": "checkout", "group": {"by": [*GROUP_BY]}},
        {"match": [], "service": "inbox", "group": {"by": [*GROUP_BY]}},
    ],
}

LINK = "http://prometheus:9090/graph?g0.expr=up&g0.tab=1"
"""A link that both must show."""

TOLERANCE = 2 * SECOND
ZERO = "0001-01-01T00:00:00"
PARSING = "failed, because "
REGEXP = "error parsing regexp"

_serial = itertools.count()


def now() -> Instant:
    """The clock both servers read, to the millisecond, as clients write times."""
    return time.time_ns() // 1_000_000 * MILLISECOND


class Answer(NamedTuple):
    """What one server said."""

    status: int
    kind: str
    text: str

    @property
    def told(self) -> Any:
        """The decoded body."""
        return json.loads(self.text)

    def comparable(self) -> tuple[int, str, str]:
        """All of it but reasons that are in Tocsin's own words: why a body or a pattern cannot be read."""
        text = self.text
        for mark in (PARSING, REGEXP):
            if self.status == 400 and mark in text:
                text = text.partition(mark)[0] + mark
        return self.status, self.kind, text


class Side:
    """One server, by the base of its API: what comes before ``/api/v2``."""

    def __init__(self, base: str) -> None:
        parts = urlsplit(base)
        self._host, self._port, self._path = parts.hostname or "", parts.port, parts.path.rstrip("/")

    def ask(self, method: str, path: str, body: bytes | None = None) -> Answer:
        """One request on a connection of its own."""
        connection = http.client.HTTPConnection(self._host, self._port, timeout=20)
        try:
            headers = {"Content-Type": "application/json"} if body is not None else {}
            connection.request(method, self._path + path, body, headers)
            reply = connection.getresponse()
            text = reply.read().decode()
            return Answer(reply.status, (reply.headers.get("Content-Type") or "") if text else "", text)
        finally:
            connection.close()


class Pair:
    """Both servers."""

    def __init__(self, alertmanager: str, tocsin: str, neighbour: str) -> None:
        """Three bases; ``neighbour``: the same Tocsin, with the key of a service that nobody here speaks to."""
        self.theirs, self.ours, self.neighbour = Side(alertmanager), Side(tocsin), Side(neighbour)

    @property
    def sides(self) -> tuple[Side, Side]:
        """Alertmanager, Tocsin."""
        return self.theirs, self.ours

    def ask(self, method: str, path: str, body: Any = None) -> tuple[Answer, Answer]:
        """The same request to both; a body is JSON unless it is bytes."""
        sent = body if isinstance(body, bytes) or body is None else json.dumps(body, ensure_ascii=False).encode()
        theirs, ours = (side.ask(method, path, sent) for side in self.sides)
        return theirs, ours


class Silence:
    """One silence on both servers, by the ids they gave it, and what was last said of it."""

    def __init__(self, ids: tuple[str, str], body: Mapping[str, Any]) -> None:
        self.ids, self.body = ids, dict(body)


class Example:
    """One clean room in two servers that run on: alerts and silences with a label value nothing else has.

    ``base`` is when it began; times said as offsets are counted from there.
    """

    def __init__(self, pair: Pair) -> None:
        self.pair = pair
        self.name = f"e{next(_serial)}"
        self.base = now()
        self.silences: list[Silence] = []
        self._firing: set[frozenset[tuple[str, str]]] = set()
        self._begins_unknown: set[frozenset[tuple[str, str]]] = set()

    # --- saying

    def at(self, offset: float) -> str:
        """A time so many seconds after the beginning, as clients write it."""
        return format_rfc3339(self.base + round(offset * 1_000) * MILLISECOND)

    def labels(self, **more: str) -> dict[str, str]:
        """Labels of this example."""
        return {"example": self.name, **more}

    def matcher(self) -> dict[str, Any]:
        """The matcher of a silence of this example."""
        return {"name": "example", "value": self.name, "isRegex": False, "isEqual": True}

    def post(self, batch: list[Any]) -> None:
        """Post alerts to both, which must answer alike."""
        self._note(batch)
        theirs, ours = self.pair.ask("POST", "/api/v2/alerts", batch)
        assert ours.comparable() == theirs.comparable()
        self.check_alerts()

    def _note(self, batch: list[Any]) -> None:
        """Remember of which alerts the beginnings may differ. Deliberate differences:

        - one is said to be over that does not fire: Tocsin lets that pass; Alertmanager keeps it, and when the alert
          fires again and both spans overlap, it tells the earlier beginning;
        - one has an end ahead and no beginning: that is then its end, and moves with every repetition; where Tocsin
          finds the repetition unchanged, it does not move.
        """
        firing = set(self._firing)
        for alert in batch:
            labels = alert.get("labels") if isinstance(alert, dict) else None
            if not isinstance(labels, dict) or not all(isinstance(value, str | None) for value in labels.values()):
                continue
            key = frozenset((name, value) for name, value in labels.items() if value)
            ends = alert.get("endsAt")
            if ends is None or _zero(ends):
                continue
            if _ahead(ends):
                if _zero(alert.get("startsAt") or ZERO):
                    self._begins_unknown.add(key)
                continue
            if key not in firing:
                self._begins_unknown.add(key)
            firing.discard(key)

    def set_silence(self, body: Mapping[str, Any], of: Silence | None = None) -> Silence | None:
        """Create or change a silence on both; the one that came of it, None if both refused."""
        bodies: list[Mapping[str, Any]] = [body, body]
        if of is not None:
            bodies = [{**body, "id": id} for id in of.ids]
        return self.set_silences(bodies, of)

    def set_silences(self, bodies: Sequence[Mapping[str, Any]], of: Silence | None = None) -> Silence | None:
        """The same with a body for each."""
        theirs, ours = (
            side.ask("POST", "/api/v2/silences", json.dumps(body, ensure_ascii=False).encode())
            for side, body in zip(self.pair.sides, bodies, strict=True)
        )
        assert (ours.status, ours.kind) == (theirs.status, theirs.kind), (theirs, ours)
        if theirs.status != 200:
            assert ours.comparable() == theirs.comparable()
            return None
        assert list(ours.told) == list(theirs.told) == ["silenceID"]
        ids = (theirs.told["silenceID"], ours.told["silenceID"])
        if of is not None:
            assert (ids[0] == of.ids[0]) == (ids[1] == of.ids[1]), "one was changed in place, the other made anew"
            if ids == of.ids:
                of.body = dict(bodies[0])
                return of
        made = Silence(ids, bodies[0])
        self.silences.append(made)
        return made

    def delete(self, silence: Silence) -> None:
        """Expire a silence on both."""
        theirs, ours = (
            side.ask("DELETE", f"/api/v2/silence/{id}") for side, id in zip(self.pair.sides, silence.ids, strict=True)
        )
        assert ours.comparable() == theirs.comparable()

    # --- comparing what is told

    def query(self, filters: list[str], **others: str) -> str:
        """A query for this example's alerts or silences."""
        pairs = [("filter", f'example="{self.name}"'), *(("filter", one) for one in filters), *others.items()]
        return urlencode(pairs, quote_via=quote)

    def check_alerts(self, filters: list[str] | None = None, **others: str) -> None:
        """Both lists of alerts agree, in order and content."""
        theirs, ours = self.pair.ask("GET", f"/api/v2/alerts?{self.query(filters or [], **others)}")
        if theirs.status != 200:
            assert ours.comparable() == theirs.comparable()
            return
        assert (ours.status, ours.kind) == (theirs.status, theirs.kind), ours
        self._same_alerts(theirs.told, ours.told)
        if not filters and not others:
            self._firing = {frozenset(one["labels"].items()) for one in theirs.told}

    def check_groups(self, filters: list[str] | None = None, **others: str) -> None:
        """Both lists of groups agree. Alertmanager groups a moment after its answer: an AssertionError may pass."""
        theirs, ours = self.pair.ask("GET", f"/api/v2/alerts/groups?{self.query(filters or [], **others)}")
        if theirs.status != 200:
            assert ours.comparable() == theirs.comparable()
            return
        assert (ours.status, ours.kind) == (theirs.status, theirs.kind), ours
        shape = [{**group, "alerts": len(group["alerts"])} for group in theirs.told]
        assert [{**group, "alerts": len(group["alerts"])} for group in ours.told] == shape
        for their_group, our_group in zip(theirs.told, ours.told, strict=True):
            self._same_alerts(their_group["alerts"], our_group["alerts"])

    def check_silences(self, filters: list[str] | None = None) -> None:
        """Both lists of silences agree; the order of those that began or ended at the same time is anyone's."""
        theirs, ours = self.pair.ask("GET", f"/api/v2/silences?{self.query(filters or [])}")
        if theirs.status != 200:
            assert ours.comparable() == theirs.comparable()
            return
        assert (ours.status, ours.kind) == (theirs.status, theirs.kind), ours
        lists = theirs.told, ours.told
        for side, told in enumerate(lists):
            states = [one["status"]["state"] for one in told]
            assert states == sorted(states, key=["active", "pending", "expired"].index)
            assert {one["id"] for one in told} <= {one.ids[side] for one in self.silences}
        by_id: list[dict[int, Any]] = [
            {self._ordinal(side, one["id"]): one for one in told} for side, told in enumerate(lists)
        ]
        assert by_id[0].keys() == by_id[1].keys()
        for which in by_id[0]:
            _same_silence(by_id[0][which], by_id[1][which])
        ends = [[one["endsAt"] for one in told if one["status"]["state"] == "active"] for told in lists]
        assert ends[1] == ends[0] == sorted(ends[0])

    def check_silence(self, silence: Silence) -> None:
        """Both tell the same of one silence."""
        theirs, ours = (
            side.ask("GET", f"/api/v2/silence/{id}") for side, id in zip(self.pair.sides, silence.ids, strict=True)
        )
        assert (ours.status, ours.kind, theirs.status) == (200, theirs.kind, 200)
        _same_silence(theirs.told, ours.told)

    def _ordinal(self, side: int, id: str) -> int:
        return next(place for place, one in enumerate(self.silences) if one.ids[side] == id)

    def _same_alerts(self, theirs: list[Any], ours: list[Any]) -> None:
        assert [one["labels"] for one in ours] == [one["labels"] for one in theirs]
        for their, our in zip(theirs, ours, strict=True):
            key = frozenset(their["labels"].items())
            if "generatorURL" not in our and their.get("generatorURL") != LINK:
                # Deliberate difference: only links a browser may follow are shown.
                their.pop("generatorURL", None)
            said, now_said = their["startsAt"], our["startsAt"]
            assert key in self._begins_unknown or abs(_of(said) - _of(now_said)) <= TOLERANCE, ("startsAt", their, our)
            # Deliberate difference: an unchanged repetition moves both times, and is written down within a minute.
            for name in ("endsAt", "updatedAt"):
                late = _of(their[name]) - _of(our[name])
                assert -TOLERANCE <= late <= TOLERANCE + (now() - self.base), (name, their, our)
            for side, one in enumerate((their, our)):
                one["status"]["silencedBy"] = sorted(self._ordinal(side, id) for id in one["status"]["silencedBy"])
                for name in ("startsAt", "endsAt", "updatedAt"):
                    del one[name]
            assert our == their

    # --- leaving

    def leave(self) -> None:
        """End what was begun, so that the next example is not disturbed."""
        for silence in self.silences:
            for side, id in zip(self.pair.sides, silence.ids, strict=True):
                side.ask("DELETE", f"/api/v2/silence/{id}")
        for side in self.pair.sides:
            firing = side.ask("GET", f"/api/v2/alerts?{self.query([])}").told
            over = [{"labels": one["labels"], "endsAt": format_rfc3339(now() - SECOND)} for one in firing]
            if over:
                side.ask("POST", "/api/v2/alerts", json.dumps(over).encode())


def _same_silence(theirs: dict[str, Any], ours: dict[str, Any]) -> None:
    assert list(ours) == list(theirs)
    times = ("startsAt", "endsAt", "updatedAt")
    for name in times:
        assert abs(_of(theirs[name]) - _of(ours[name])) <= TOLERANCE, (name, theirs, ours)
    left = [{name: value for name, value in one.items() if name not in (*times, "id")} for one in (theirs, ours)]
    assert left[1] == left[0]


def _ahead(text: object) -> bool:
    """Whether a posted time is ahead."""
    try:
        return parse_rfc3339(str(text)) > now()
    except ValueError:
        return False


def _zero(text: object) -> bool:
    """Whether a posted time says that there is none."""
    return str(text).startswith(ZERO)


def _of(text: str) -> Instant:
    return parse_rfc3339(text)
