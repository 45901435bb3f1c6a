"""Alerts that came together lie together, until something about one of them changes: nobody who reads can tell."""

from __future__ import annotations

import json
from collections.abc import Sequence

import msgspec
import pytest
from msgspec import structs

from tests.store.conftest import Place, Places
from tests.store.stage import BEGINNING, FILES, PLAN, START, apply, commit, dump, empty
from tocsin.alerts.alert import Alert
from tocsin.engine.commands import SetSilence
from tocsin.engine.engine import Engine
from tocsin.engine.inputs import Decided, Received, Seen
from tocsin.engine.state import Counters, Loaded, State
from tocsin.intake.request import Request
from tocsin.intake.sources import SOURCES
from tocsin.kernel.identity import texts_json
from tocsin.kernel.instant import DAY, HOUR, MINUTE, SECOND, Instant, format_rfc3339
from tocsin.kernel.matcher import parse_matcher
from tocsin.runtime.seen import bitmap
from tocsin.store import alert_rows
from tocsin.store.reads import Reads, open_engine
from tocsin.store.rows import Journaled, body

MANY = 600
"""More than two blocks, and more than one stretch."""


class Flood:
    """Many alerts of ten groups that come in one request, and what happens to them."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.store = place.open()
        self.engine: Engine = empty()
        self.seq = 0
        self.now = START
        for one in BEGINNING:
            self.take(one)
        self.post(range(MANY))

    def take(self, one: object) -> None:
        """Apply and commit one input."""
        self.seq += 1
        row = Journaled(self.seq, self.now, one)  # type: ignore[arg-type]  # any input
        apply(self.engine, row)
        commit(self.store, self.engine, [row])

    def post(self, which: Sequence[int], ends: Instant = 10 * MINUTE, summary: str = "is down") -> None:
        """Prometheus says these, in a commit of their own."""
        row = self.prometheus(which, ends, summary)
        apply(self.engine, row)
        commit(self.store, self.engine, [row])

    def prometheus(
        self, which: Sequence[int], ends: Instant = 10 * MINUTE, summary: str = "is down"
    ) -> Journaled:
        """What Prometheus says of these, as the next input."""
        alerts = [
            {
                "labels": {"alertname": f"A{one % 10}", "job": "db", "instance": f"i{one % 10}", "n": str(one)},
                "annotations": {"summary": f"{one} {summary}"},
                "endsAt": format_rfc3339(self.now + ends),
            }
            for one in which
        ]
        headers = {"content-type": "application/json"}
        self.seq += 1
        body = json.dumps(alerts).encode()
        request = Request(source="alertmanager", method="POST", path="/api/v2/alerts", headers=headers, body=body)
        return Journaled(self.seq, self.now, Received(1, "inbox", self.now, request))

    def heard_again(self, ids: set[int]) -> None:
        """The same said again, unchanged."""
        self.take(Seen(min(ids), ((self.now, bitmap(min(ids), ids)),)))

    def same_when_read_back(self) -> None:
        """What is loaded is what lives."""
        assert dump(Engine(self.store.load(), PLAN, SOURCES).state) == dump(self.engine.state)


@pytest.fixture
def flood(places: Places) -> Flood:
    assert FILES
    return Flood(places.new())


def test_what_came_together_is_read_one_by_one_and_in_order(flood: Flood) -> None:
    rows = flood.place.tables()
    assert rows["alerts"] == [] and len(rows["alert_blocks"]) == 3
    flood.same_when_read_back()
    reads = Reads(open_engine(flood.place.url))
    found, after = [], None
    while True:
        page = reads.alerts(after=after, limit=70)
        found += page.items
        after = page.next
        if after is None:
            break
    assert [alert.id for alert in found] == list(range(MANY, 0, -1))
    assert all(reads.alert(alert.id) == alert == flood.engine.state.alerts[alert.id] for alert in found[::97])
    assert reads.alert(MANY + 1) is None
    incident = found[0].incident
    ours = reads.alerts(incident=incident, limit=500).items
    assert [alert.id for alert in ours] == [alert.id for alert in found if alert.incident == incident]
    assert sum(map(len, reads.firing_alerts("inbox"))) == MANY
    assert reads.alerts(service="db", limit=3).items == found[:3]
    assert reads.alerts(state="resolved").items == [] == reads.alerts(service="shop").items


def test_an_alert_that_changed_has_a_row_of_its_own_and_the_others_stay_where_they_are(flood: Flood) -> None:
    flood.now += MINUTE
    flood.post([3, 300, 599], ends=-SECOND)
    flood.post([4], summary="is still down")
    assert [row[0] for row in flood.place.tables()["alerts"]] == [4, 5, 301, 600]
    flood.same_when_read_back()
    reads = Reads(open_engine(flood.place.url))
    assert [alert.id for alert in reads.alerts(state="resolved").items] == [600, 301, 4]
    assert [alert.id for alert in reads.alerts(state="firing", limit=2).items] == [599, 598]
    assert sum(map(len, reads.firing_alerts("inbox"))) == MANY - 3
    fifth = reads.alert(5)
    assert fifth is not None and fifth.title == "4 is still down" and fifth.count == 2


def test_what_fires_of_an_incident_is_counted_wherever_it_lies(flood: Flood) -> None:
    """In blocks, in rows of their own; and what a page is about of it, as its message counts that."""
    reads = Reads(open_engine(flood.place.url))

    def counts() -> set[tuple[int, int]]:
        found = set()
        for number, members in flood.engine.state.members.items():
            about = members.heard or sorted(members.firing)
            told = reads.heard(number, 3)
            assert reads.firing(number) == len(members.firing)
            assert (told.alerts, [one.id for one in told.newest]) == (len(about), about[:-4:-1])
            found.add((len(members.firing), len(about)))
        return found

    assert {firing for firing, _ in counts()} != {0}
    flood.now += MINUTE
    flood.post([3, 300, 599], ends=-SECOND)
    matchers = (parse_matcher('n=~"[0-9]*[0-4][0-9]"'),)
    silence = SetSilence(
        actor="user:ana", matchers=matchers, author="ana", comment="Known.", starts_at=0, ends_at=flood.now + HOUR
    )
    flood.take(Decided(silence, ""))
    assert any(0 < about < firing for firing, about in counts())
    everything = (parse_matcher('n=~"[0-9]+"'),)
    flood.take(Decided(structs.replace(silence, matchers=everything), ""))
    assert any(about == firing > 0 for firing, about in counts())


def test_repetitions_write_no_alert_and_are_seen_all_the_same(flood: Flood) -> None:
    flood.now += MINUTE
    everyone = set(range(1, MANY + 1))
    flood.heard_again(everyone)
    flood.now += MINUTE
    flood.heard_again(everyone - {7})
    rows = flood.place.tables()
    assert rows["alerts"] == [] and len(rows["alert_sightings"]) == 2
    flood.same_when_read_back()
    reads = Reads(open_engine(flood.place.url))
    heard, missed = reads.alert(8), reads.alert(7)
    assert heard is not None and (heard.count, heard.last_seen) == (3, flood.now)
    assert heard.ends_at == flood.now + 10 * MINUTE
    assert missed is not None and (missed.count, missed.last_seen) == (2, flood.now - MINUTE)


def test_a_row_written_later_than_a_sighting_counts(flood: Flood) -> None:
    flood.now += MINUTE
    flood.heard_again({9, 10})
    flood.now += SECOND
    flood.post([8], summary="got worse")
    flood.now += SECOND
    flood.post([9], ends=-SECOND)
    flood.same_when_read_back()
    reads = Reads(open_engine(flood.place.url))
    ninth, tenth = reads.alert(9), reads.alert(10)
    assert ninth is not None and (ninth.count, ninth.last_seen) == (3, flood.now - SECOND)
    assert tenth is not None and tenth.state == "resolved" and tenth.ends_at == flood.now - SECOND


def test_what_says_nothing_any_more_is_removed(flood: Flood) -> None:
    flood.now += MINUTE
    flood.heard_again(set(range(1, MANY + 1)))
    flood.post(range(256), ends=-SECOND)
    flood.store.housekeep(flood.now)
    rows = flood.place.tables()
    assert [row[0] for row in rows["alert_blocks"]] == [257, 513]
    assert {row[1] for row in rows["alert_block_incidents"]} == {257, 513}
    assert len(rows["alert_sightings"]) == 2
    flood.same_when_read_back()
    flood.post(range(256, MANY), ends=-SECOND)
    flood.now += DAY
    flood.engine.state.alerts.clear()
    for alert in Reads(open_engine(flood.place.url)).alerts(limit=500).items:
        assert alert.state == "resolved"
    flood.store.housekeep(flood.now)
    assert flood.place.tables()["alert_blocks"] == []


def test_what_ends_in_the_commit_it_began_in_is_over_for_everybody(places: Places) -> None:
    flood = Flood(places.new())
    rows = [flood.prometheus(range(MANY, MANY + 20)), flood.prometheus([MANY + 7], ends=-SECOND)]
    for row in rows:
        apply(flood.engine, row)
    commit(flood.store, flood.engine, rows)
    flood.same_when_read_back()
    reads = Reads(open_engine(flood.place.url))
    assert [alert.title for alert in reads.alerts(state="resolved").items] == [f"{MANY + 7} is down"]
    assert len(reads.alerts(state="firing", limit=20, after=None).items) == 20
    assert all(alert.state == "firing" for alert in reads.alerts(state="firing", limit=500).items)


def test_alerts_of_older_versions_are_found_by_their_labels_in_order() -> None:
    """They were kept in the order their sender wrote them in."""
    old = msgspec.json.decode(
        b'{"id":1,"identity":"AAAA","digest":"BBBB","source":"alertmanager","origin":"inbox","title":"x",'
        b'"labels":{"b":"2","a":"1"},"annotations":{"n":"1"},"severity":"sev1","service":"inbox",'
        b'"starts_at":1,"first_seen":1,"last_seen":1}',
        type=Alert,
    )
    state = State(Loaded(Counters(alert=1), alerts=[old]))
    assert state.known_of("alertmanager", "inbox")[b'{"a":"1","b":"2"}'] is old
    state.forget_alert(old)
    assert not state.known_of("alertmanager", "inbox")


def test_no_text_of_an_alert_stops_a_commit() -> None:
    labels, notes, title = texts_json({"a": "b"}), texts_json({}), "half \ud800"
    alert = Alert(1, "events", "inbox", labels, notes, "sev1", "inbox", 1, 1, 1, own_title=title)
    assert msgspec.json.decode(body([alert]), type=list[Alert])[0].title == "half \ufffd"
    assert msgspec.json.decode(body(alert))["labels"] == {"a": "b"}


def test_blocks_are_cut_where_they_would_grow_too_large() -> None:
    assert [len(block) for block in alert_rows.blocks(list(range(600)))] == [256, 256, 88]  # type: ignore[arg-type]
