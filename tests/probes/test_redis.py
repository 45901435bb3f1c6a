"""The Redis probe, against a real Valkey and against nothing."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.support.valkey import Valkey, caught_up, connections, endless, running_valkey
from tests.support.waiting import eventually
from tocsin.intake.checked import Checked
from tocsin.intake.probes import probes
from tocsin.intake.specs import ProbeSpec
from tocsin.kernel.instant import SECOND
from tocsin.runtime.outbound import Outbound


async def test_it_says_how_full_it_is_and_when_that_is_too_much(tmp_path: Path) -> None:
    secrets: dict[str, str] = {}

    def secret(reference: str) -> str:
        if reference not in secrets:
            raise LookupError(f"{reference} is not set")
        return secrets[reference]

    check, outside = probes(secret)["redis"], Outbound()
    spec = ProbeSpec(service="cart", name="redis cart", kind="redis", target="secret:cart", timeout=2 * SECOND)
    assert (await check(spec, 0, outside)).summary == "Redis cart cannot be asked: secret:cart is not set"
    with running_valkey(tmp_path) as valkey:
        secrets["secret:cart"] = valkey.reading
        well = await check(spec, 0, outside)
        assert well.ok and well.summary.startswith("Redis cart uses ")
        valkey.fill()
        full = await check(spec, 0, outside)
        assert full.measured is not None and full.measured.value > 90
        assert not full.ok and full.summary.endswith("% of its memory, 90 % is too much")
        assert full.facts["policy"] == "noeviction"
        secrets["secret:cart"] = valkey.reading.replace("readingword", "wrongword")
        refused = await check(spec, 0, outside)
        assert refused.summary == "Redis cart did not answer: AuthenticationError"
        assert "wrongword" not in repr(refused)
    gone = await check(spec, 0, outside)
    assert not gone.ok and gone.summary == "Redis cart did not answer: ConnectionError"
    await outside.close()


class Asked:
    """A probe of one server, with the options of each question."""

    def __init__(self, url: str) -> None:
        self._check, self.outside = probes(lambda reference: url)["redis"], Outbound()

    async def __call__(self, **options: str) -> Checked:
        """Ask once."""
        spec = ProbeSpec(
            service="cart", name="it", kind="redis", target="secret:cart", timeout=5 * SECOND, options=options
        )
        return await self._check(spec, 0, self.outside)


async def test_it_sees_that_clients_run_out_before_nobody_gets_in_any_more(tmp_path: Path) -> None:
    with running_valkey(tmp_path, {"maxclients": "20"}) as valkey:
        ask = Asked(valkey.reading)
        well = await ask(clients_percent="80")
        assert well.ok and well.summary == "Redis cart uses 10 % of its clients"
        with connections(valkey.port, 15):
            many = await ask(clients_percent="80")
            assert (many.ok, many.summary) == (False, "Redis cart uses 85 % of its clients, 80 % is too much")
            assert many.facts["clients"] == "17 of 20"
            assert (await ask(memory_percent="90")).ok, "what is not said is not judged"
            with connections(valkey.port, 4):
                full = await ask(clients_percent="80")
                assert full.summary == "Redis cart takes no more clients: every one of maxclients is in use"
        await ask.outside.close()


async def test_it_says_that_a_script_blocks_it(tmp_path: Path) -> None:
    with running_valkey(tmp_path, {"busy-reply-threshold": "50"}) as valkey, endless(valkey):
        ask = Asked(valkey.reading)
        found = await asyncio.to_thread(lambda: eventually(lambda: "busy" in asyncio.run(ask()).summary, what="busy"))
        assert found
        assert (await ask()).summary == "Redis cart is busy with a script and answers nothing else"
        await ask.outside.close()


async def test_it_sees_what_is_not_saved_and_whom_a_replica_follows(tmp_path: Path) -> None:
    folders = [tmp_path / name for name in ("primary", "replica")]
    for folder in folders:
        folder.mkdir()
    with (
        running_valkey(folders[0], {"repl-diskless-sync-delay": "0"}) as primary,
        running_valkey(folders[1], {"dir": str(folders[1])}) as replica,
    ):
        ask, address = Asked(replica.reading), f"127.0.0.1:{primary.port}"
        assert (await ask(persistence="on")).summary == "Redis cart has written what it saves"
        lost = await ask(follows=address)
        assert lost.summary == f"Redis cart follows nobody, and should follow {address}"
        replica.admin.replicaof("127.0.0.1", str(primary.port))
        eventually(lambda: caught_up(primary, replica), what="it to follow")
        assert (await ask(follows=address)).summary == (await ask(follows="any")).summary
        assert (await ask(follows="any")).summary == f"Redis cart follows {address}"
        astray = await ask(follows="cart-9:6379")
        assert astray.summary == f"Redis cart follows {address}, and should follow cart-9:6379"
        replica.admin.replicaof("127.0.0.1", "1")
        down = eventually(lambda: replica.admin.info("replication")["master_link_status"] == "down", what="no link")
        assert down and "the link is down since" in (await ask(follows="any")).summary
        (folders[1] / "dump.rdb").unlink(missing_ok=True)
        (folders[1] / "dump.rdb").mkdir()
        (folders[1] / "dump.rdb" / "in the way").touch()
        replica.admin.replicaof("NO", "ONE")
        replica.admin.set("unsaved", 1)
        replica.admin.bgsave()
        failed = await asyncio.to_thread(lambda: eventually(lambda: snapshot_failed(replica), what="it to fail"))
        assert failed
        unsaved = await ask(persistence="on")
        assert unsaved.summary.startswith("Redis cart could not write its last snapshot; ")
        assert (await ask(memory_percent="90")).ok
        await ask.outside.close()


def snapshot_failed(valkey: Valkey) -> bool:
    """Whether its last snapshot was not written."""
    found = valkey.admin.info("persistence")
    assert isinstance(found, dict)
    return bool(found["rdb_last_bgsave_status"] == "err")


async def test_without_the_client_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "redis", None)
    outside = Outbound()
    spec = ProbeSpec(service="cart", name="redis cart", kind="redis", target="secret:cart")
    found = await probes(lambda reference: "redis://localhost")["redis"](spec, 0, outside)
    assert not found.ok and "pip install 'tocsin[redis]'" in found.summary
    await outside.close()
