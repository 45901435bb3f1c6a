"""Reads: filters, cursors, bounds, and that first pages stay quick with 50,000 active."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from tests.faces.filled import NOW, Filler, fill, sqlite_url
from tests.support.postgres import Postgres
from tocsin.kernel.instant import HOUR
from tocsin.kernel.matcher import parse_matcher
from tocsin.kernel.reason import Reason
from tocsin.store import reading, tables
from tocsin.store.reads import OPEN_STATES, CursorError, Lane, Reads, open_engine

MANY = 50_000


@pytest.fixture(scope="module")
def crowd(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A database with 50,000 firing alerts, 5,000 open incidents and 20,000 resolved ones after them."""
    database = sqlite_url(tmp_path_factory.mktemp("crowd"))
    filler = fill(database)
    filler.put(tables.incidents, [filler.incident_row(service=f"s{n % 50}") for n in range(5_000)])
    filler.put(tables.incidents, [filler.incident_row(state="resolved") for _ in range(20_000)])
    labels = (
        {"alertname": "Down", "instance": f"i-{n}", "job": f"j{n % 40}", "severity": "critical"} for n in range(MANY)
    )
    filler.put(tables.alerts, [filler.alert_row(one, incident=4 + n % 5_000) for n, one in enumerate(labels)])
    return database


def test_first_pages_are_read_in_order_from_an_index(crowd: str) -> None:
    """No sorting of everything, no search through what is resolved."""
    engine = open_engine(crowd)
    plans = {
        "alerts": "SELECT id, body FROM alerts WHERE workspace = 1 AND live AND state = 'firing' "
        "ORDER BY id DESC LIMIT 51",
        "incidents": "SELECT number FROM incidents WHERE workspace = 1 AND state = 'triggered' "
        "ORDER BY number DESC LIMIT 51",
        "incidents_state_quiet_severity": "SELECT number FROM incidents WHERE workspace = 1 AND state = 'triggered' "
        "AND quiet = 0 AND severity BETWEEN 'sev1' AND 'sev1' ORDER BY severity DESC, number DESC LIMIT 51",
    }
    with engine.begin() as connection:
        for table, sql in plans.items():
            told = " ".join(row[3] for row in connection.execute(text(f"EXPLAIN QUERY PLAN {sql}")))
            assert f"ix_{table}_" in told
            assert "TEMP B-TREE" not in told


def test_following_the_cursor_meets_everything_once(crowd: str) -> None:
    """With a filter that no column answers."""
    reads = Reads(open_engine(crowd))
    matchers = (parse_matcher("job=j3"),)
    found: list[int] = []
    cursor: str | None = None
    while True:
        page = reads.alerts(state="firing", matchers=matchers, after=cursor, limit=100)
        found += [one.id for one in page.items]
        cursor = page.next
        if cursor is None:
            break
    assert len(found) == len(set(found)) == MANY // 40
    assert found == sorted(found, reverse=True)


def test_what_is_open_is_read_by_who_must_act_whatever_came_after(tmp_path: Path) -> None:
    """In one state after the other, the gravest first, and every page begins where the one before ended."""
    filler = Filler(sqlite_url(tmp_path))
    for state, severity, many in (
        ("triggered", "sev1", 1), ("acknowledged", "sev1", 2), ("triggered", "sev3", 4), ("resolved", "sev1", 3),
        ("triggered", "sev2", 2), ("acknowledged", "sev4", 1), ("silenced", "sev1", 2), ("silenced", "sev2", 1),
    ):  # fmt: skip
        for _ in range(many):
            how = {"state": "triggered", "paused": Reason.SILENCED} if state == "silenced" else {"state": state}
            filler.incident(**how, severity=severity, title="Backup failed" if severity == "sev3" else "Down")
    filler.incident(state="triggered", severity="sev4", service="search")
    reads = Reads(open_engine(filler.database))
    for limit in (1, 2, 3, 4, 5, 6, 10):  # some end where one severity does
        found: list[int] = []
        cursor: str | None = None
        while True:
            page = reads.gravest(states=OPEN_STATES, after=cursor, limit=limit)
            assert len(page.items) <= limit
            found += [one.number for one in page.items]
            cursor = page.next
            if cursor is None:
                break
            assert len(page.items) == limit
        assert found == [1, 12, 11, 7, 6, 5, 4, 17, 3, 2, 13, 15, 14, 16]
    assert [one.number for one in reads.gravest(states=OPEN_STATES, words="backup").items] == [7, 6, 5, 4]
    assert [one.number for one in reads.gravest(states=OPEN_STATES, severity="sev1").items] == [1, 3, 2, 15, 14]
    counted, of = reads.open_by_lane()
    assert counted == of
    assert counted[Lane("triggered", False, "sev2")] == counted[Lane("triggered", True, "sev1")] == 2
    assert sum(counted.values()) == 14
    assert reads.open_by_lane("search") == (counted, {Lane("triggered", False, "sev4"): 1}), "both in one scan"
    assert reads.open_by_lane("nowhere") == (counted, {})
    for cursor in ("x", "3", "-1", "16-1", "99-1", "1-x", "²-1"):
        with pytest.raises(CursorError):
            reads.gravest(states=OPEN_STATES, after=cursor)


def test_a_search_that_finds_nothing_stops_and_says_where(crowd: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty page with a cursor, after a bounded number of rows."""
    monkeypatch.setattr(reading, "SCAN", 10_000)
    page = Reads(open_engine(crowd)).alerts(matchers=(parse_matcher("job=nobody"),))
    assert page.items == []
    assert page.next == str(MANY + 4 - 10_000 + 1)


def test_reading_cannot_write(tmp_path: Path) -> None:
    """Not even by mistake."""
    fill(sqlite_url(tmp_path))
    engine = open_engine(sqlite_url(tmp_path))
    with pytest.raises(OperationalError), engine.begin() as connection:
        connection.execute(text("DELETE FROM incidents"))


def test_a_cursor_that_no_page_named_is_refused(tmp_path: Path) -> None:
    """Whatever it holds."""
    fill(sqlite_url(tmp_path))
    reads = Reads(open_engine(sqlite_url(tmp_path)))
    for cursor in ("x", "-1", "9" * 30, "1;", "²"):
        with pytest.raises(CursorError):
            reads.incidents(after=cursor)


def test_troubles_of_two_probes_are_two_and_older_ones_are_not_looked_at(tmp_path: Path) -> None:
    """They share an alert's name; and one that was numbered late is no reason to read what lies before it."""
    filler = Filler(sqlite_url(tmp_path))
    for probe, hours in (("old", 30), ("a", 20), ("b", 10), ("b", 5), ("a", 1)):
        labels = {"alertname": "ProbeRedisFailed", "probe": probe}
        filler.incident(labels=labels, opened_at=NOW - hours * HOUR)
    reads = Reads(open_engine(sqlite_url(tmp_path)))
    told = [(one.labels["probe"], one.count, one.last) for one in reads.troubles(NOW - 24 * HOUR)]
    assert told == [("a", 2, NOW - HOUR), ("b", 2, NOW - 5 * HOUR)]
    assert reads.troubles(NOW) == [] and len(reads.troubles(0)) == 3


def test_postgresql_reads_the_same(postgres: Postgres, tmp_path: Path) -> None:
    """Every read answers alike on both databases, and PostgreSQL refuses writes as well."""
    there = postgres.new_database()
    fill(sqlite_url(tmp_path))
    Filler(there).engine.dispose()
    fill(there)
    for database in (sqlite_url(tmp_path), there):
        filler = Filler(database)
        filler.override()
        filler.override(starts_at=NOW - HOUR, ends_at=NOW, schedule="other")
        taken = [filler.next(tables.pages) for _ in range(100)]
        for number in (1, 2, 1):
            assert filler.page(number) > taken[-1] and filler.page(number, "ben")
        filler.engine.dispose()
    one, other = Reads(open_engine(sqlite_url(tmp_path))), Reads(open_engine(there))
    for ask in (
        lambda reads: reads.incidents(states=("triggered", "acknowledged"), limit=1),
        lambda reads: reads.incidents(words="redis"),
        lambda reads: reads.gravest(states=("acknowledged", "triggered"), limit=2),
        lambda reads: reads.open_by_lane(),
        lambda reads: reads.open_by_lane("s1"),
        lambda reads: reads.timeline(1),
        lambda reads: reads.timeline(1, newest_first=True, limit=1),
        lambda reads: reads.alerts(state="firing", service="checkout"),
        lambda reads: reads.silences(NOW, which="all", limit=1),
        lambda reads: reads.silences(NOW, which="all", after=reads.silences(NOW, which="all", limit=1).next),
        lambda reads: reads.open_counts(),
        lambda reads: reads.troubles(0),
        lambda reads: reads.troubles(NOW),
        lambda reads: reads.keys(),
        lambda reads: reads.users(),
        lambda reads: reads.tokens(user=2),
        lambda reads: reads.pages(person="ana"),
        lambda reads: reads.latest_pages([1, 2], each=2),
        lambda reads: reads.changes(services=("checkout", "search"), since=0, until=NOW, limit=1),
        lambda reads: reads.heartbeats(),
        lambda reads: reads.plan_files(reads.plan_version()),
        lambda reads: reads.parked(),
        lambda reads: reads.overrides(NOW),
        lambda reads: reads.overrides(None, limit=1),
        lambda reads: reads.override(2),
        lambda reads: reads.overrides_since(NOW),
        lambda reads: reads.overrides_since(NOW - HOUR, "shop"),
        lambda reads: list(reads.firing_alerts("checkout")),
    ):
        assert ask(one) == ask(other)
    newest = one.latest_pages([1, 2], each=2)
    assert {number: len(some) for number, some in newest.items()} == {1: 2, 2: 2}
    assert all(some == one.pages(incident=number, limit=2).items for number, some in newest.items())
    assert [len(reads.overrides(NOW).items) for reads in (one, other)] == [1, 1]
    assert [len(reads.overrides_since(NOW - HOUR)) for reads in (one, other)] == [2, 2]
    with pytest.raises(Exception, match="read-only"), open_engine(there).begin() as connection:
        connection.execute(text("DELETE FROM incidents"))
    other._engine.dispose()
    postgres.drop_database(there)
