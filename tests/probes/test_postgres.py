"""The PostgreSQL probe, against a real server: well, full, blocked, old, hidden from it, and gone."""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import psycopg
import pytest
from msgspec import structs

from tests.support.postgres import running_postgres
from tests.support.shop_database import SETTINGS, Shop, running_shop
from tests.support.waiting import eventually
from tocsin.intake.checked import Checked, Measured
from tocsin.intake.probes import postgres, probes
from tocsin.intake.specs import ProbeSpec
from tocsin.kernel.instant import SECOND
from tocsin.runtime.outbound import Outbound


async def test_a_look_that_others_share_asks_for_all_that_is_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two that begin while the first is under way: what it did not ask for must not pass for well."""
    asked: list[frozenset[str]] = []

    def ask(address: str, within: float, what: frozenset[str]) -> Any:
        asked.append(frozenset(what))
        threading.Event().wait(0.05)
        seen = postgres._Seen(used=5, limit=100, oldest=0.0, blocked=0, age=1_000, sees_all=True)
        if what & {"behind_bytes", "late_seconds"}:
            seen = structs.replace(seen, replicated=postgres._Replicated(True, 9e9, 999.0, 1))
        return structs.replace(seen, log=10**12) if "log_bytes" in what else seen

    monkeypatch.setattr(postgres, "_ask", ask)
    check, outside = probes(lambda reference: "postgresql://u:p@h/d")["postgres"], Outbound()

    def looks(timeout: float = 2, **options: str) -> Any:
        spec = ProbeSpec(
            service="shop", name="pg", kind="postgres", target="secret:shop", timeout=int(timeout * SECOND),
            options=options,
        )  # fmt: skip
        return check(spec, 0, outside)

    used, blocked, late, log = await asyncio.gather(
        looks(connections_percent="90"), looks(blocked="3"), looks(late_seconds="30"), looks(log_bytes="1000")
    )
    assert used.ok and blocked.ok and not late.ok and not log.ok
    assert len(asked) == 3, "the two that ask the same share a look"
    hasty, patient = await asyncio.gather(looks(timeout=0.01, blocked="3"), looks(blocked="3"))
    assert not hasty.ok and patient.ok, "who waits longer is not answered by who gave up"


async def test_it_says_what_runs_out_and_who_waits() -> None:
    secrets: dict[str, str] = {}

    def secret(reference: str) -> str:
        if reference not in secrets:
            raise LookupError(f"{reference} is not set")
        return secrets[reference]

    check, outside = probes(secret)["postgres"], Outbound()

    async def asked(**options: str) -> Checked:
        spec = ProbeSpec(
            service="shop", name="pg", kind="postgres", target="secret:shop", timeout=2 * SECOND, options=options
        )
        return await check(spec, 0, outside)

    assert (await asked()).summary == "PostgreSQL shop cannot be asked: secret:shop is not set"
    secrets["secret:shop"] = "host=somewhere password=readingword"
    unfit = await asked()
    assert "is no address" in unfit.summary and "readingword" not in repr(unfit)
    with running_shop() as shop:
        secrets["secret:shop"] = shop.reading
        well = await asked(connections_percent="90", wraparound_percent="50", blocked="1", oldest_seconds="60")
        assert (well.ok, well.summary) == (True, "PostgreSQL shop answers, with 0 of 25 connections in use")
        assert well.measured == Measured("connections used", 0.0, "%", 90.0)
        assert set(well.facts) == {"connections", "oldest transaction", "blocked", "transaction ids"}
        shop.hold_a_row()
        shop.begin("update orders set state = 'x' where id = 1")
        eventually(lambda: shop.waiting() == 1, what="one to wait")
        blocked = await asked(blocked="1", oldest_seconds="0.01")
        assert not blocked.ok and "has 1 sessions that wait for a lock, 1 are too many" in blocked.summary
        assert "has a transaction open for" in blocked.summary
        assert (await asked(connections_percent="90")).ok, "what is not said is not judged"
        assert not (await asked(wraparound_percent="0.0000001")).ok
        shop.opened(20)
        full = await asked(connections_percent="80")
        assert full.summary == "PostgreSQL shop uses 88 % of its connections, 80 % is too much"
        with suppress(psycopg.OperationalError):
            while True:
                shop.opened(1)
        with shop.admin() as connection:
            connection.execute("revoke pg_use_reserved_connections from watcher")
        assert (await asked()).summary == "PostgreSQL shop takes no more connections"
        shop.quiet()
        with shop.admin() as connection:
            connection.execute("revoke pg_monitor from watcher")
        hidden = await asked()
        assert not hidden.ok and "GRANT pg_monitor" in hidden.summary
    gone = await asked()
    assert gone.summary == "PostgreSQL shop did not answer: OperationalError"
    assert "readingword" not in repr(gone)
    await outside.close()


async def test_it_sees_a_standby_that_lags_and_a_log_that_grows() -> None:
    outside = Outbound()

    async def asked(shop: Shop, **options: str) -> Checked:
        spec = ProbeSpec(
            service="shop", name="pg", kind="postgres", target="secret:shop", timeout=2 * SECOND, options=options
        )
        return await probes(lambda reference: shop.reading)["postgres"](spec, 0, outside)

    with running_shop() as shop:
        alone = await asked(shop, behind_bytes="1000000")
        assert (alone.ok, alone.summary) == (False, "PostgreSQL shop has no standby that is connected")
        with running_postgres(settings=SETTINGS, standby_of=shop.server) as server:
            standby = Shop(server)
            eventually(lambda: standby.value("select count(*) from pg_stat_wal_receiver where status = 'streaming'"))
            with shop.admin() as connection:
                connection.execute("insert into orders select 999, 'new'")
            here = shop.value("select pg_current_wal_lsn()")
            eventually(lambda: standby.value(f"select pg_last_wal_replay_lsn() >= '{here}'"), what="it to catch up")
            eventually(lambda: shop.value("select count(*) from pg_stat_replication where replay_lsn is not null"))
            for one in (shop, standby):
                assert (await asked(one, behind_bytes="1000000", late_seconds="60")).ok
            with standby.admin() as connection:
                connection.execute("select pg_wal_replay_pause()")
            with shop.admin() as connection:
                connection.execute("select pg_logical_emit_message(false, 'fill', repeat('x', 2000000))")
                connection.execute("insert into orders select 1000, 'new'")
            behind = "select pg_wal_lsn_diff(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn()) > 1500000"
            eventually(lambda: standby.value(behind), what="it to be behind")
            lags = await asked(standby, behind_bytes="1000000")
            assert not lags.ok and lags.summary.startswith("PostgreSQL shop is 2.0 MB behind, 1.0 MB is the most")
            assert lags.measured is not None and lags.measured.value > 1_500_000
            assert not (await asked(standby, late_seconds="0.001")).ok
            assert "has a standby that is" in (await asked(shop, behind_bytes="1000000")).summary
            assert (await asked(standby, connections_percent="90")).ok
            with shop.admin() as connection:
                connection.execute("select pg_terminate_backend(pid) from pg_stat_replication")
            with standby.admin() as connection:
                connection.execute("alter system set primary_conninfo = 'host=127.0.0.1 port=1'")
                connection.execute("select pg_reload_conf()")
            gone = "select count(*) = 0 from pg_stat_wal_receiver where status = 'streaming'"
            eventually(lambda: standby.value(gone), what="it to hear nothing")
            assert "hears nothing of its primary" in (await asked(standby, behind_bytes="100000000")).summary
        assert (await asked(shop, log_bytes="1000000000")).ok
        large = await asked(shop, log_bytes="1000000")
        assert not large.ok and large.summary.endswith("of write-ahead log on its disk, 1.0 MB is the most")
    await outside.close()


async def test_without_the_client_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "psycopg", None)
    outside = Outbound()
    spec = ProbeSpec(service="shop", name="pg", kind="postgres", target="secret:shop")
    found = await probes(lambda reference: "postgresql://localhost/x")["postgres"](spec, 0, outside)
    assert not found.ok and "pip install 'tocsin[postgres]'" in found.summary
    await outside.close()


@contextmanager
def silent() -> Iterator[int]:
    """The port of a server that takes a connection, and says nothing to what is asked then."""
    over = threading.Event()

    def told(key: bytes, value: bytes) -> bytes:
        return b"S" + struct.pack("!I", len(key) + len(value) + 6) + key + b"\0" + value + b"\0"

    def take() -> None:
        line, _ = door.accept()
        with line:
            line.recv(4096)
            ready = b"Z" + struct.pack("!I", 5) + b"I"
            line.sendall(b"R" + struct.pack("!II", 8, 0) + told(b"client_encoding", b"UTF8") + ready)
            over.wait(30)

    with socket.create_server(("127.0.0.1", 0)) as door:
        thread = threading.Thread(target=take, daemon=True)
        thread.start()
        try:
            yield door.getsockname()[1]
        finally:
            over.set()
            thread.join()


def test_a_server_that_is_silent_is_let_go_of_so_that_the_next_look_asks_anew() -> None:
    raised = list[Exception]()

    def look() -> None:
        try:
            postgres._ask(f"postgresql://u:p@127.0.0.1:{port}/d?sslmode=disable&gssencmode=disable", 0.2, frozenset())
        except psycopg.OperationalError as error:
            raised.append(error)

    with silent() as port:
        looking = threading.Thread(target=look, daemon=True)
        looking.start()
        looking.join(5)
        assert not looking.is_alive() and len(raised) == 1
