"""What the PostgreSQL solution sees and changes on a real server; who is not meant stays, whatever is asked for.

The faults as a whole, with a standby and archiving, are in tests/journeys/test_solutions.py.
"""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from typing import Any, TypeVar

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from tests.support.shop_database import Shop, running_shop
from tests.support.waiting import eventually
from tocsin import Refused
from tocsin.library import postgres
from tocsin.library.postgres import server as connecting
from tocsin.library.postgres.server import masked
from tocsin.library.postgres.sessions import blocked_by
from tocsin.playbooks.language import Vault, vault

T = TypeVar("T")
IT = postgres.Server(name="main")


@pytest.fixture(scope="module")
def shop() -> Iterator[Shop]:
    with running_shop(max_prepared_transactions="5") as made:
        yield made


@pytest.fixture
def step(shop: Shop) -> Iterator[Callable[[Callable[[], Any]], Any]]:
    """Runs a call as a fix does; what was opened is closed afterwards."""
    yield lambda call: within(shop.fixing, call)
    shop.quiet()


def within(address: str, call: Callable[[], T]) -> T:
    token = vault.set(Vault({"main": address}))
    try:
        return call()
    finally:
        vault.reset(token)


def idle(application: str = "checkout") -> postgres.Sessions:
    return postgres.idle_sessions(IT, application=application, idle_for="50ms")


def pids(shop: Shop, where: str) -> set[int]:
    return set(shop.value(f"select coalesce(array_agg(pid), '{{}}') from pg_stat_activity where {where}"))


def started(shop: Shop, pid: int) -> int:
    exactly = "(extract(epoch from backend_start) * 1000000)::bigint"
    return int(shop.value(f"select {exactly} from pg_stat_activity where pid = {pid}"))


def test_only_idle_sessions_of_the_one_application_are_closed(shop: Shop, step: Any) -> None:
    shop.opened(3)
    shop.opened(2, "reports")
    busy, used = shop.opened(2)
    shop.begin("select pg_sleep(60)")
    held = shop.hold_a_row(1, "checkout")
    admin = shop.admin()
    admin.execute("set application_name = 'checkout'")
    idler = eventually(lambda: (found := step(idle)).total == 5 and found, what="five to be idle")
    assert admin.info.backend_pid not in {one.pid for one in idler.sessions}, "a superuser's is none of ours"
    assert step(lambda: postgres.close_idle.function(IT, idler.sessions, idle_for="1h")).ended == 0, "none for so long"
    used.execute("begin")
    forged = [structs.replace(one, started=one.started + 1) for one in idler.sessions]
    root = admin.info.backend_pid
    forged += [structs.replace(idler.sessions[0], pid=root, started=started(shop, root))]
    assert step(lambda: postgres.close_idle.function(IT, tuple(forged), idle_for="50ms")).ended == 0
    came = step(lambda: postgres.close_idle.function(IT, idler.sessions, idle_for="50ms"))
    assert (came.ended, came.left) == (4, 1), "one has begun a transaction meanwhile"
    again = step(lambda: postgres.close_idle.function(IT, idler.sessions, idle_for="50ms"))
    assert (again.ended, again.left) == (0, 5)
    assert used.execute("select 1").fetchone() == (1,) and held.execute("select 1").fetchone() == (1,)
    assert admin.execute("select 1").fetchone() == (1,)
    with pytest.raises(psycopg.OperationalError):
        busy.execute("select 1")
    assert len(pids(shop, "application_name = 'reports'")) == 2
    assert len(pids(shop, "application_name = 'checkout' and state = 'active'")) == 1
    admin.close()


def test_when_it_is_full_the_reserved_connections_let_it_in_and_a_user_without_them_out(shop: Shop, step: Any) -> None:
    if shop.server.version < 16:
        pytest.skip("PostgreSQL reserves connections for roles since 16")
    with suppress(psycopg.OperationalError):
        while True:
            shop.opened(1)
    seen = step(lambda: postgres.connections(IT))
    assert seen.limit == 25 and seen.used_ratio == 1 and seen.by[0].application == "checkout"
    stranger = shop.fixing.replace("fixer:fixingword", "app")
    with pytest.raises(psycopg.OperationalError, match="reserved"):
        within(stranger, lambda: postgres.connections(IT))


def test_tocsins_own_sessions_are_never_closed(shop: Shop, step: Any) -> None:
    shop.opened(1, "tocsin core")
    assert step(lambda: postgres.idle_sessions(IT, application="tocsin core", idle_for="0s")).total == 0
    pid = next(iter(pids(shop, "application_name = 'tocsin core'")))
    said = postgres.Session(pid, started(shop, pid), "app", "shop", "tocsin core", "", "idle", 0, 0, 9.0, 0.0, "", "")
    assert step(lambda: postgres.close_idle.function(IT, (said,), idle_for="0s")).ended == 0


def test_half_of_the_truth_is_refused(shop: Shop, step: Any) -> None:
    shop.opened(1)
    looks: tuple[Callable[[postgres.Server], object], ...] = (
        postgres.connections, postgres.blocking, postgres.replication, postgres.wal, postgres.wraparound,
    )  # fmt: skip
    for call in looks:
        with pytest.raises(postgres.Trouble, match="GRANT pg_monitor"):
            within(shop.fixing.replace("fixer:fixingword", "app"), partial(call, IT))
    with pytest.raises(postgres.Trouble, match="is no address"):
        within("host=127.0.0.1 password=x", lambda: postgres.connections(IT))
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        within(shop.reading, lambda: postgres.close_idle.function(IT, any_idle().sessions, idle_for="0s"))


def any_idle() -> postgres.Sessions:
    return postgres.idle_sessions(IT, application="checkout", idle_for="0s")


def test_who_blocks_through_others_is_found_and_ended_only_as_it_was_seen(shop: Shop, step: Any) -> None:
    holder = shop.hold_a_row(1)
    shop.hold_a_row(2, "innocent")
    shop.begin(
        "do $$ begin update orders set state = 'a' where id = 3; update orders set state = 'b' where id = 1; end $$"
    )
    eventually(lambda: shop.waiting() == 1, what="one to wait for the first")
    shop.begin("update orders set state = 'c' where id = 3")
    eventually(lambda: shop.waiting() == 2, what="one to wait for the second")
    seen = step(lambda: postgres.blocking(IT))
    assert (seen.waiting, [(one.session.application, one.blocks) for one in seen.blockers]) == (2, [("reports", 2)])
    worst = seen.blockers[0].session
    assert worst.idle_in_transaction and worst.query == "update orders set state = ? where id = $1"

    def end(session: postgres.Session, idle_for: str = "0s") -> str:
        return str(step(lambda: postgres.end_transaction.function(IT, session, idle_for=idle_for)))

    assert end(worst, "1h").startswith("left alone")
    assert end(structs.replace(worst, began=worst.began - 1)).startswith("left alone"), "another transaction by now"
    assert end(structs.replace(worst, started=worst.started - 1)).startswith("left alone")
    holder.execute("commit")
    holder.execute("begin")
    holder.execute("select 1")
    assert end(worst).startswith("left alone"), "it went on, and is in its next one"
    eventually(lambda: shop.waiting() == 0, what="nobody to wait")
    shop.hold_a_row(7)
    shop.begin("update orders set state = 'c' where id = 7")
    eventually(lambda: shop.waiting() == 1, what="one to wait")
    worst = step(lambda: postgres.blocking(IT)).blockers[0].session
    assert end(worst) == f"process {worst.pid} was ended" and end(worst).startswith("left alone")
    eventually(lambda: shop.waiting() == 0, what="nobody to wait")
    assert len(pids(shop, "application_name = 'innocent'")) == 1


def test_a_prepared_transaction_that_blocks_is_said_and_nobody_is_ended_for_it(shop: Shop, step: Any) -> None:
    with shop.connection() as connection:
        connection.execute("begin; update orders set state = 'p' where id = 9; prepare transaction 'forgotten'")
    shop.begin("update orders set state = 'c' where id = 9")
    eventually(lambda: shop.waiting() == 1, what="one to wait")
    seen = step(lambda: postgres.blocking(IT))
    assert (seen.waiting, seen.blockers, seen.prepared) == (1, (), 1) and "prepared transaction" in str(seen)
    held = step(lambda: postgres.wraparound(IT, held_for=0)).held_by
    assert ("prepared", "forgotten") in {(one.kind, one.who) for one in held}
    with shop.admin() as connection:
        connection.execute("rollback prepared 'forgotten'")


@given(st.dictionaries(st.integers(1, 12), st.lists(st.integers(0, 12), max_size=4), max_size=12))
def test_roots_wait_for_nobody_and_each_waiting_one_counts_once(waits: dict[int, list[int]]) -> None:
    found = blocked_by(waits)
    assert not set(found) & set(waits)
    assert all(1 <= count <= len(waits) for count in found.values())
    for holders in waits.values():
        assert {one for one in holders if one not in waits} <= set(found)


def test_only_that_very_statement_is_cancelled(shop: Shop, step: Any) -> None:
    shop.begin("select pg_sleep(60), 'a customer''s name', 4711", "reports")
    eventually(lambda: step(long).total == 1, what="it to run")
    one = step(long).sessions[0]
    assert "name" not in one.query and "4711" not in one.query, "values are nobody's business"
    assert step(lambda: postgres.running(IT, longer_than="1h")).total == 0
    other = structs.replace(one, asked=one.asked + 1)
    for what in (postgres.cancel, postgres.terminate):
        assert step(lambda what=what: what.function(IT, other)).startswith("left alone")
    assert not step(lambda: postgres.stopped(IT, one, within="50ms"))
    assert step(lambda: postgres.cancel.function(IT, one)) == f"process {one.pid} was told to stop"
    assert step(lambda: postgres.stopped(IT, one))
    assert step(lambda: postgres.cancel.function(IT, one)).startswith("left alone"), "again it does nothing"
    assert pids(shop, "application_name = 'reports'") == {one.pid}, "the session goes on"


def long() -> postgres.Sessions:
    return postgres.running(IT, longer_than="0s", application="reports")


def test_freezing_says_what_it_could_not_do(shop: Shop, step: Any) -> None:
    with shop.admin() as connection:
        connection.execute("create procedure burn(n int) language plpgsql as $$ begin for i in 1..n loop "
                           "perform pg_current_xact_id(); commit; end loop; end $$")  # fmt: skip
        connection.execute("create temporary table lasting ()")
        connection.execute("call burn(3000)")
        seen = step(lambda: postgres.wraparound(IT, older_than=2_000, held_for=2_000))
        assert seen.age >= 3_000 and "temporary" in {one.kind for one in seen.held_by}
    ours = tuple(one for one in seen.tables if one.name == "orders")
    assert len(ours) == 1 and {"shop", "postgres", "template1"} == {one.database for one in seen.tables}
    # Who may not vacuum is told so by a warning alone, and PostgreSQL says that all is well.
    refused = within(shop.reading, lambda: postgres.freeze.function(IT, ours))
    assert (refused.done, refused.left) == (0, 1) and re.search("permission denied|can vacuum it", refused.why)
    late = step(lambda: postgres.freeze.function(IT, ours, within="0s"))
    assert (late.done, late.left, late.why) == (0, 1, "the time is up")
    locker = shop.connection()
    locker.execute("begin")
    locker.execute("lock table orders")
    locked = step(lambda: postgres.freeze.function(IT, ours, within="5s"))
    assert (locked.done, locked.left) == (0, 1) and "lock timeout" in locked.why
    locker.execute("rollback")
    gone = structs.replace(ours[0], oid=1)
    done = step(lambda: postgres.freeze.function(IT, (*ours, gone)))
    assert (done.done, done.left) == (2, 0), "what is gone holds nothing"
    assert not [one for one in step(lambda: postgres.wraparound(IT, older_than=2_000)).tables if one.name == "orders"]
    locker.close()


def test_what_is_large_and_what_grows_is_found(shop: Shop, step: Any) -> None:
    with shop.connection() as connection:
        connection.execute("create table events (text text)")
    over = threading.Event()

    def write() -> None:
        with shop.connection() as connection:
            while not over.is_set():
                connection.execute("insert into events select repeat('x', 1000) from generate_series(1, 500)")

    writer = threading.Thread(target=write)
    writer.start()
    try:
        seen = step(lambda: postgres.sizes(IT, over="200ms"))
    finally:
        over.set()
        writer.join(10)
    assert seen.growing[0].name == "public.events" and "events" in str(seen)
    assert set(seen.databases) >= {"shop", "postgres"}
    with pytest.raises(Refused, match="is no standby"):
        step(lambda: postgres.resume_replay.function(IT))


def test_log_that_a_setting_keeps_is_no_checkpoints_to_remove(shop: Shop, step: Any) -> None:
    with shop.admin() as connection:
        connection.execute("alter system set wal_keep_size = '1GB'")
        connection.execute("select pg_reload_conf()")
        eventually(lambda: shop.value("show wal_keep_size") == "1GB", what="the setting to hold")
        assert step(lambda: postgres.wal(IT)).held_by == ("wal_keep_size keeps 1.0 GiB",)
        connection.execute("alter system reset wal_keep_size")
        connection.execute("select pg_reload_conf()")
    eventually(lambda: step(lambda: postgres.wal(IT)).held_by == (), what="nothing to hold it")
    said = postgres.Slot("gone", "physical", "", False, 2**40, "lost", 0.0)
    assert postgres.Replication(False, 0, 0.0, False, False, (), (said,)).idle_slots == ()


def test_a_server_that_says_nothing_is_let_go_of(monkeypatch: pytest.MonkeyPatch, shop: Shop) -> None:
    """It accepts the session, answers once, and then never again: no timeout of its own helps."""
    monkeypatch.setattr(connecting, "SLACK", 0.3)
    quiet = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        relay = threading.Thread(target=relayed, args=(listener, shop.server.port, quiet), daemon=True)
        relay.start()
        address = shop.fixing.replace(str(shop.server.port), str(listener.getsockname()[1]))
        with pytest.raises(postgres.Trouble, match="said nothing for"):
            within(address, lambda: held_open(quiet))
        relay.join(5)
    assert not relay.is_alive()


def held_open(quiet: threading.Event) -> None:
    with connecting.connected(IT, within=0.3) as there:
        assert there.row("select 1") == (1,)
        quiet.set()
        there.row("select 2")


def relayed(listener: socket.socket, port: int, quiet: threading.Event) -> None:
    """Passes bytes on until it is to be quiet, then takes what comes and passes nothing."""
    client, _ = listener.accept()
    with client, socket.create_connection(("127.0.0.1", port)) as upstream:

        def back() -> None:
            with suppress(OSError):
                while some := upstream.recv(65_536):
                    client.sendall(some)

        threading.Thread(target=back, daemon=True).start()
        with suppress(OSError):
            while some := client.recv(65_536):
                if not quiet.is_set():
                    upstream.sendall(some)


@pytest.mark.parametrize(
    ("query", "shown"),
    [
        ("select * from a where b = 'it''s' and c=12.5", "select * from a where b = ? and c=?"),
        ("select $x$secret$x$,\n  $1, t2.c3", "select ?, $1, t2.c3"),
        ("insert into a values ('cut of", "insert into a values (?"),
        ("select " + "a," * 200, "select " + "a," * 76 + "…"),
    ],
)
def test_values_are_taken_out_of_statements(query: str, shown: str) -> None:
    assert masked(query) == shown
