"""One node writes at a time on PostgreSQL, however the others stop."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress

import psycopg
import pytest
from structlog.testing import capture_logs

from tests.store.conftest import TZDATA, rows_of
from tests.store.stage import PLAN, Life, commit, dump, lived
from tests.support.postgres import running_postgres
from tests.support.waiting import eventually
from tocsin.engine.engine import Engine
from tocsin.intake.sources import SOURCES
from tocsin.kernel.instant import MILLISECOND, SECOND, Duration
from tocsin.runtime.clock import SystemClock
from tocsin.store import lease
from tocsin.store.opening import SchemaError, migrate, needs_migration
from tocsin.store.postgres import PostgresStore
from tocsin.store.writer import LeaseLost, Stopped
from tocsin.wiring.core import holding

SHORT: Duration = 300 * MILLISECOND
LONG: Duration = 3600 * SECOND


@pytest.fixture
def node(postgres_url: str) -> Iterator[Callable[..., PostgresStore]]:
    """Makes a node's store on one migrated database: call with the node's name, and how long its lease lasts."""
    migrate(postgres_url)
    made: list[PostgresStore] = []

    def new(name: str, lasts: Duration = LONG, stop: threading.Event | None = None) -> PostgresStore:
        made.append(PostgresStore(postgres_url, TZDATA, stop, node=name, lease=lasts))
        return made[-1]

    yield new
    for store in made:
        store.close()


def _waiting(store: PostgresStore) -> threading.Thread:
    def wait() -> None:
        try:
            store.wait_for_lease()
        except Stopped:
            return

    thread = threading.Thread(target=wait, daemon=True)
    thread.start()
    return thread


def _connections(url: str) -> list[int]:
    """The server's processes behind the writers of a database."""
    query = (
        "SELECT pid FROM pg_stat_activity"
        " WHERE application_name = 'tocsin core' AND datname = current_database() ORDER BY pid"
    )
    with psycopg.connect(url.replace("+psycopg", "")) as connection:
        return [row[0] for row in connection.execute(query)]


def _cut(url: str) -> None:
    """End every writer's connection to a database, as a failover would."""
    with psycopg.connect(url.replace("+psycopg", "")) as connection:
        for pid in _connections(url):
            connection.execute("SELECT pg_terminate_backend(%s, 5000)", (pid,))


def test_the_second_node_waits_and_says_so_and_the_first_goes_on(node: Callable[..., PostgresStore]) -> None:
    first, stop = node("first"), threading.Event()
    first.wait_for_lease()
    second = node("second", stop=stop)
    with capture_logs() as said:
        thread = _waiting(second)
        told = eventually(
            lambda: [line for line in said if line["event"] == "waiting_for_lease"], what="a standby's word"
        )
        assert "first writes" in told[0]["why"]
        assert "standby" in told[0]["why"]
        life = lived([(0, 0, 0, 0, 0)])
        commit(first, life.engine, life.rows)
        assert thread.is_alive()
        stop.set()
        thread.join(5)
    assert not thread.is_alive()
    assert [line for line in said if line["event"] == "lease_taken"] == []


def test_a_standby_that_is_told_to_end_raises_stopped(node: Callable[..., PostgresStore]) -> None:
    node("first").wait_for_lease()
    stop = threading.Event()
    stop.set()
    with pytest.raises(Stopped):
        node("second", stop=stop).wait_for_lease()


def test_a_holder_that_falls_silent_is_overtaken_and_can_write_nothing_any_more(
    node: Callable[..., PostgresStore], postgres_url: str
) -> None:
    """Stopped, not dead: it comes back believing that it still writes, and changes nothing."""
    first, second = node("first", SHORT), node("second", 5 * SECOND)
    first.wait_for_lease()
    life = lived([(0, 0, 0, 0, 0)])
    commit(first, life.engine, life.rows)
    kept = len(life.rows)
    # Loading takes a longer lease; a silent holder is one that has not renewed since its last housekeeping.
    first.housekeep(life.now)
    second.wait_for_lease()
    tables = rows_of(postgres_url)
    life.live((0, 1, 0, 0, 0))
    with pytest.raises(LeaseLost):
        commit(first, life.engine, life.rows[kept:])
    with pytest.raises(LeaseLost):
        first.set_meta("alive_at", b"0")
    with pytest.raises(LeaseLost):
        first.load()
    assert rows_of(postgres_url) == tables
    own = Life.again(Engine(second.load(), PLAN, SOURCES), life.rows[:kept])
    own.live((0, 2, 0, 0, 0))
    commit(second, own.engine, own.rows[kept:])
    first.close()
    second.housekeep(own.now)  # a former holder that ends takes nothing from the one that writes now


def test_a_holder_that_renews_keeps_its_lease(node: Callable[..., PostgresStore]) -> None:
    """The standby asks again and again for three times as long as a lease lasts."""
    first, stop = node("first", SHORT), threading.Event()
    first.wait_for_lease()
    thread = _waiting(node("second", stop=stop))
    for _ in range(15):
        first.housekeep(0)
        stop.wait(SHORT / SECOND / 5)
    first.set_meta("alive_at", b"1")
    assert thread.is_alive()
    stop.set()
    thread.join(5)


async def test_a_node_that_reads_its_plan_keeps_its_lease(
    node: Callable[..., PostgresStore], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its writer is not there yet to renew it. Whoever stands by looks for longer than it lasts, and waits on."""
    monkeypatch.setattr("tocsin.wiring.core.HOLD_EVERY", 0.2)
    first, stop, looked = node("first", 2 * SECOND), threading.Event(), threading.Semaphore(0)
    await asyncio.to_thread(first.wait_for_lease)
    second = node("second", 2 * SECOND, stop)
    waiting = threading.Thread(target=_stands_by, args=(second, looked), daemon=True)

    def reads() -> str:
        waiting.start()
        for _ in range(8):
            assert looked.acquire(timeout=20)
        return "the plan"

    with capture_logs():
        assert await holding(first, SystemClock(), asyncio.to_thread(reads)) == "the plan"
        first.load()
        stop.set()
        waiting.join(20)
    assert second._token == 0


def _stands_by(store: PostgresStore, looked: threading.Semaphore) -> None:
    with suppress(Stopped):
        store.wait_for_lease(lambda why: looked.release())


def test_a_holder_in_the_midst_of_a_commit_keeps_its_lease_however_long_the_disk_takes(
    node: Callable[..., PostgresStore], postgres_url: str
) -> None:
    """A commit that stalls holds the lease's row locked; who stands by neither waits for it nor takes it after."""
    first, stop = node("first", SHORT), threading.Event()
    second = node("second", stop=stop)
    first.wait_for_lease()
    looks: list[str] = []

    def stand_by() -> None:
        with suppress(Stopped):
            second.wait_for_lease(looks.append)

    with psycopg.connect(postgres_url.replace("+psycopg", "")) as commit:
        commit.execute(lease.HELD, (1,))
        thread = threading.Thread(target=stand_by, daemon=True)
        thread.start()
        eventually(lambda: len(looks) >= 3, what="a standby that has looked when the lease had run out")
    after = len(looks)
    eventually(lambda: len(looks) >= after + 2, what="a standby that has looked after the commit")
    first.housekeep(0)
    first.set_meta("alive_at", b"1")
    assert thread.is_alive()
    stop.set()
    thread.join(5)
    first.set_meta("alive_at", b"2")


def test_a_database_that_was_slow_leaves_the_holder_its_lease_once(
    node: Callable[..., PostgresStore], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may have kept the holder waiting as well; but one that stays slow keeps nobody from taking over."""
    node("first", SHORT).wait_for_lease()
    second = node("second", SECOND)
    monkeypatch.setattr(lease, "PROMPT", -1.0)
    began = time.monotonic()
    second.wait_for_lease()
    assert time.monotonic() - began >= 1


def test_the_time_a_holder_is_left_counts_from_the_first_slow_answer_after_a_prompt_one() -> None:
    leave = lease.Leave(8.0)
    assert leave.over(100.0), "nothing was slow"
    leave.answered(0.01, 100.0)
    assert leave.over(100.0)
    leave.answered(5.0, 110.0)
    assert not leave.over(117.9)
    leave.answered(5.0, 116.0)
    assert leave.over(118.0), "it is slow, not stalled"
    leave.answered(0.01, 118.0)
    leave.answered(5.0, 120.0)
    assert not leave.over(127.9)
    leave.give(127.0)
    assert not leave.over(134.9) and leave.over(135.0)


def test_what_a_holder_has_under_way_is_safe_only_until_shortly_before_its_lease_ends(
    node: Callable[..., PostgresStore],
) -> None:
    store = node("first", lease.LEASE)
    assert store.safe_until < time.monotonic(), "it holds nothing yet"
    before = time.monotonic()
    store.wait_for_lease()
    assert before + 6 <= store.safe_until <= time.monotonic() + 6
    store.load()
    renewed = time.monotonic()
    store.housekeep(0)
    assert renewed + 6 <= store.safe_until <= time.monotonic() + 6


def test_a_holder_that_ends_in_order_hands_over_at_once(node: Callable[..., PostgresStore]) -> None:
    first, second = node("first"), node("second")
    first.wait_for_lease()
    thread = _waiting(second)
    first.close()
    thread.join(5)
    assert not thread.is_alive()
    second.set_meta("alive_at", b"2")


def test_a_node_that_was_killed_need_not_wait_for_itself(node: Callable[..., PostgresStore], postgres_url: str) -> None:
    """Its old connection is gone from the server, so nothing of its former self can still write."""
    before = node("first")
    before.wait_for_lease()
    _cut(postgres_url)
    again = node("first")
    again.wait_for_lease()
    again.set_meta("alive_at", b"3")
    with pytest.raises(LeaseLost):
        before.load()


def test_another_node_waits_even_when_the_holder_has_lost_its_connection(
    node: Callable[..., PostgresStore], postgres_url: str
) -> None:
    first, stop = node("first"), threading.Event()
    first.wait_for_lease()
    _cut(postgres_url)
    stop.set()
    thread = _waiting(node("second", stop=stop))
    thread.join(5)
    first.load()
    first.set_meta("alive_at", b"4")


def test_a_broken_connection_fails_the_commit_and_load_connects_again(
    node: Callable[..., PostgresStore], postgres_url: str
) -> None:
    store = node("first")
    store.wait_for_lease()
    life = lived([(0, 0, 0, 0, 0)])
    commit(store, life.engine, life.rows)
    before, kept = dump(life.engine.state), len(life.rows)
    _cut(postgres_url)
    life.live((0, 1, 0, 0, 0))
    for _ in range(2):  # and again: nothing is written by a connection that nobody has read the tables through
        with pytest.raises(psycopg.OperationalError):
            commit(store, life.engine, life.rows[kept:])
    again = Life.again(Engine(store.load(), PLAN, SOURCES), life.rows[:kept])
    assert dump(again.engine.state) == before
    again.live((0, 1, 0, 0, 0))
    commit(store, again.engine, again.rows[kept:])


def test_load_waits_for_a_database_that_is_away_and_ends_when_told_to() -> None:
    """The server is stopped and started again under a node that holds the lease."""
    with running_postgres() as server:
        url = server.new_database()
        migrate(url)
        stop = threading.Event()
        store = PostgresStore(url, TZDATA, stop, node="first")
        store.wait_for_lease()
        server.stop()
        with pytest.raises(psycopg.OperationalError):
            store.set_meta("alive_at", b"1")
        with pytest.raises(SchemaError, match="cannot be reached"):
            needs_migration(url)
        loaded: list[object] = []
        with capture_logs() as said:
            thread = threading.Thread(target=lambda: loaded.append(store.load()), daemon=True)
            thread.start()
            eventually(lambda: [line for line in said if line["event"] == "database_lost"], what="word of the loss")
            assert not loaded
            server.start()
            thread.join(10)
        assert len(loaded) == 1
        store.set_meta("alive_at", b"2")
        server.stop()
        stop.set()
        with pytest.raises(Stopped):
            store.load()
        store.close()
