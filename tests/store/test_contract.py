"""What the store promises the engine, on both databases: nothing kept is changed, nothing changed is forgotten."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import psycopg
import pytest
from hypothesis import HealthCheck, example, given, note, settings
from hypothesis import strategies as st

from tests.store.conftest import Places
from tests.store.stage import FILES, PLAN, PLANS, START, Life, Move, apply, commit, dump, empty, lived, moves
from tocsin.access.credentials import User
from tocsin.engine.commands import Result
from tocsin.engine.engine import Engine
from tocsin.engine.inputs import Delivered, Received, Tick
from tocsin.engine.records import HeardChange, Parked
from tocsin.engine.state import Changes, Kept
from tocsin.incidents.incident import Entry
from tocsin.intake.request import Request
from tocsin.intake.sources import SOURCES
from tocsin.kernel.reason import Reason
from tocsin.store.rows import Journaled
from tocsin.store.sqlite import SqliteStore

# A page that is tried in vain for an hour; an alert that goes stale and is heard of again.
NIGHT: list[Move] = [
    (0, 0, 0, 0, 0),
    (0, 1, 0, 0, 0),
    (0, 0, 0, 0, 7),
    (8, 0, 0, 2, 7),
    (0, 0, 0, 0, 8),
    (0, 1, 0, 0, 8),
]

# An alert that expired, is heard of again, and is silenced by now: it belongs to its old incident no more.
MOVED: list[Move] = [(0, 5, 4, 0, 5), (15, 1, 1, 2, 0), (17, 2, 0, 0, 5), (11, 5, 5, 0, 1)]

few = settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])


@few
@given(made=moves)
@example(made=NIGHT)
@example(made=MOVED)
def test_what_is_loaded_is_what_was_live_after_every_input(places: Places, made: list[Move]) -> None:
    """The memory can be dropped at any moment."""
    note(repr(made))
    store = places.new().open()
    life = Life()
    commit(store, life.engine, life.rows)
    for move in made:
        before = len(life.rows)
        life.live(move)
        commit(store, life.engine, life.rows[before:])
        assert dump(Engine(store.load(), life.engine.plan, SOURCES).state) == dump(life.engine.state)
    places.clear()


@few
@given(made=moves)
@example(made=NIGHT)
def test_the_journal_alone_leads_to_the_same_state(places: Places, made: list[Move]) -> None:
    """Replayed from nothing, without what the doors had read and without what they knew."""
    note(repr(made))
    store = places.new().open()
    life = lived(made)
    commit(store, life.engine, life.rows)
    again = empty()
    for row in store.journal():
        apply(again, row)
    assert dump(again.state) == dump(life.engine.state)
    places.clear()


@few
@given(made=moves, cuts=st.sets(st.integers(0, 60)))
@example(made=NIGHT, cuts=set())
@example(made=[(20, 1, 0, 0, 0), (20, 0, 0, 0, 0)], cuts={5})
@example(made=[(14, 7, 1, 3, 5), (0, 0, 0, 0, 8), (14, 7, 1, 3, 0)], cuts={0})
def test_it_does_not_matter_which_inputs_share_a_commit(places: Places, made: list[Move], cuts: set[int]) -> None:
    """One by one, or as they happened to gather: the tables say the same."""
    note(repr(made))
    rows = lived(made).rows
    found = []
    for edges in (range(len(rows) + 1), sorted({0, len(rows)} | {cut for cut in cuts if cut < len(rows)})):
        place = places.new()
        store, engine = place.open(), empty()
        for start, end in pairwise(edges):
            for row in rows[start:end]:
                apply(engine, row)
            commit(store, engine, rows[start:end])
        found.append(place.told())
    assert found[0] == found[1]
    places.clear()


def test_two_hash_seeds_lead_to_the_same_tables(tmp_path: Path) -> None:
    """Sets and dictionaries have another order in every process; decisions have not."""
    program = (
        "import random, sys; from pathlib import Path; from tests.store.stage import *; "
        "from tests.store.conftest import rows_of; from tocsin.store.opening import migrate, url_for; "
        "from tocsin.store.sqlite import SqliteStore; "
        "chance = random.Random(7); "
        "life = lived([(*(chance.randrange(n) for n in (KINDS, 8, 8, 4)), chance.randrange(7)) for _ in range(400)]); "
        "url = url_for(Path(sys.argv[1])); migrate(url); store = SqliteStore(Path(sys.argv[1]) / 'tocsin.db', 'x'); "
        "commit(store, life.engine, life.rows); store.close(); print(len(life.rows), digest(rows_of(url)))"
    )
    said = [
        subprocess.run(
            [sys.executable, "-c", program, str(tmp_path / seed)],
            env=os.environ | {"PYTHONHASHSEED": seed}, capture_output=True, text=True, check=True,
            cwd=Path(__file__).parents[2],
        ).stdout
        for seed in ("1", "2")
    ]  # fmt: skip
    assert said[0] == said[1]
    assert int(said[0].split()[0]) > 400


def test_a_commit_that_fails_leaves_the_tables_as_they_were_and_the_reloaded_engine_as_it_was(places: Places) -> None:
    """Whatever was written before the statement that failed is taken back with it."""
    place = places.new()
    store, life = place.open(), lived(NIGHT)
    commit(store, life.engine, life.rows)
    before, tables, rows = dump(life.engine.state), place.tables(), len(life.rows)
    life.live((0, 4, 0, 0, 0))
    last = life.rows[rows - 1]
    with pytest.raises((sqlite3.IntegrityError, psycopg.errors.UniqueViolation)):
        commit(store, life.engine, [*life.rows[rows:], last])
    assert place.tables() == tables
    life = Life.again(Engine(store.load(), PLAN, SOURCES), life.rows[:rows])
    assert dump(life.engine.state) == before
    life.live((0, 5, 0, 0, 0))
    life.engine.changes.entries.append(
        (1, Entry(incident=1, at=START, what="a number given twice", reason=Reason.NOTE))
    )
    with pytest.raises((sqlite3.IntegrityError, psycopg.errors.UniqueViolation)):
        commit(store, life.engine, life.rows[rows:])
    assert place.tables() == tables
    again = Life.again(Engine(store.load(), PLAN, SOURCES), life.rows[:rows])
    assert dump(again.engine.state) == before
    again.live((0, 4, 0, 0, 0))
    commit(store, again.engine, again.rows[rows:])
    assert dump(Engine(store.load(), PLAN, SOURCES).state) == dump(again.engine.state)
    places.clear()


def test_requests_that_lie_together_are_read_from_any_place_on(places: Places) -> None:
    """Small requests of one instant share a row; large ones, parked ones and everything else has one of its own."""
    place = places.new()
    store, life = place.open(), lived([])
    parked = 4
    sizes = [100, 100, 100, 100, 100, 5_000, 100, 100, *[1_900] * 80]
    requests = [Request(source="events", method="POST", path="/", body=os.urandom(size)) for size in sizes]
    rows = [Journaled(n, START, Received(1, "shop", START, request)) for n, request in enumerate(requests, 1)]
    rows += [Journaled(len(rows) + 1, START, Tick())]
    rows += [row._replace(seq=len(rows) + n, at=START + n // 2) for n, row in enumerate(rows[:4], 1)]
    record = Parked(id=parked, at=START, key_id=1, service="shop", fault="?", request=requests[parked - 1])
    changes = Changes()
    changes.parked[parked] = record
    store.commit(rows, changes, life.engine.state)
    for after in range(len(rows) + 2):
        assert list(store.journal(after)) == rows[after:]
    kept = place.tables()["journal"]
    assert len(kept) < 20
    assert parked in [row[0] for row in kept]


def test_after_a_failure_the_tables_say_how_far_they_came(places: Places) -> None:
    """Whether nothing was written or only the answer got lost; and the next commit goes on from there."""
    store = places.new().open()
    life = lived(NIGHT)
    assert store.resume().applied == 0
    commit(store, life.engine, life.rows)
    assert store.resume() == life.engine.state.counters
    before = len(life.rows)
    life.live((0, 2, 0, 0, 0))
    commit(store, life.engine, life.rows[before:])
    assert store.resume().applied == life.rows[-1].seq


def test_rows_at_fault_are_told_from_a_database_that_is_away(places: Places) -> None:
    """The same place in the journal twice is our own fault; being unreachable or full is not."""
    store = places.new().open()
    life = lived(NIGHT)
    commit(store, life.engine, life.rows)
    with pytest.raises(Exception) as twice:  # each driver has its own
        commit(store, life.engine, life.rows)
    assert not store.takes_nothing(twice.value)
    assert store.resume().applied == life.rows[-1].seq, "and the connection is as good as before"
    assert not store.takes_nothing(ValueError("not even a driver's"))
    away: list[Exception] = [
        sqlite3.OperationalError("database or disk is full"),
        sqlite3.DatabaseError("database disk image is malformed"),
    ]
    if not isinstance(store, SqliteStore):
        away = [
            psycopg.OperationalError("connection refused"),
            psycopg.errors.DiskFull("no space left"),
            psycopg.errors.AdminShutdown("terminating connection"),
            psycopg.errors.ReadOnlySqlTransaction("cannot execute INSERT in a read-only transaction"),
        ]
    assert all(store.takes_nothing(one) for one in away)


@few
@given(names=st.lists(st.text(st.sampled_from("\0\ufffd\ud800a𝄞"), max_size=4), unique=True, max_size=8))
@example(names=["\0", "\ufffd", "\ud800", "a\0"])
def test_no_text_breaks_a_commit_and_no_two_become_one(places: Places, names: list[str]) -> None:
    """PostgreSQL stores no NUL, no UTF-8 holds half a surrogate pair, and a column is text all the same."""
    place = places.new()
    store, engine = place.open(), empty()
    for number, name in enumerate(names, 1):
        engine.changes.results.append(Kept(key=name, at=number, result=Result(ok=True)))
        engine.changes.changes.append(HeardChange(id=number, at=START, service=name, source="events", summary=name))
        user = User(id=number, name=name, role="viewer", created_at=START)
        engine.changes.users[number] = user
    row = Journaled(1, START, Delivered(1, "failed", error="".join(names)))
    apply(engine, row)
    commit(store, engine, [row])
    loaded = store.load()
    written = sorted(clean_of_halves(name) for name in names)
    assert sorted(kept.key for kept in loaded.results) == written
    assert sorted(user.name for user in loaded.users) == written
    assert [row.input for row in store.journal()] == [
        Delivered(1, "failed", error="".join(map(clean_of_halves, names)))
    ]
    engine.changes.dropped_results.update(dict.fromkeys(names[:1]))
    commit(store, engine, [])
    assert sorted(kept.key for kept in store.load().results) == sorted(clean_of_halves(name) for name in names[1:])
    places.clear()


def clean_of_halves(text: str) -> str:
    """What is kept of a text inside a noun."""
    return text.replace("\ud800", "\ufffd")


def test_named_values_and_plans_come_back_whole(places: Places) -> None:
    """Of two plans in one commit the one in force counts, and both are kept."""
    place = places.new()
    store, life = place.open(), lived([(20, 1, 0, 0, 0), (20, 0, 0, 0, 0)])
    commit(store, life.engine, life.rows)
    store.set_meta("alive_at", b"1")
    store.set_meta("alive_at", bytes(range(256)))
    assert store.meta("alive_at") == bytes(range(256))
    assert store.meta("nothing") is None
    assert store.meta("plan") == PLAN.version.encode()
    assert {version: store.plan_files(version) for version in PLANS} == FILES
    assert store.plan_files("c" * 64) is None
    assert list(store.journal()) == life.rows
    assert list(store.journal(after=3)) == life.rows[3:]
    places.clear()
