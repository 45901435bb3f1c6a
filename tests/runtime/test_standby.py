"""What a node answers while another one writes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from tests.engine.world import PLAN
from tests.runtime.test_answers import Exchange
from tocsin.intake.sources import SOURCES
from tocsin.runtime.parts import PlanRead
from tocsin.runtime.standby import Standby
from tocsin.settings import Settings
from tocsin.store.writer import LeaseLost, Stopped
from tocsin.wiring import core as wiring
from tocsin.wiring.core import warm_up


@pytest.mark.parametrize("path", ["/callbacks/email", "/callbacks/twilio/status/1", "/loopback"])
def test_what_only_the_writing_node_can_hear_is_told_to_come_back(path: str) -> None:
    exchange = Exchange(path)
    assert Standby(SOURCES, lambda: 0, paging=True, public_url="https://tocsin.example").take(exchange)  # type: ignore[arg-type]  # all it asks of an exchange
    assert exchange.reply is not None
    assert (exchange.reply.status, exchange.reply.headers) == (503, (("retry-after", "2"),))


def test_pages_and_lists_are_left_to_those_who_show_them() -> None:
    exchange = Exchange("/incidents", method="GET")
    assert not Standby(SOURCES, lambda: 0, paging=True, public_url="https://tocsin.example").take(exchange)  # type: ignore[arg-type]  # as above
    assert exchange.reply is None


@pytest.mark.parametrize("takes_over", [False, True])
async def test_a_standby_readies_the_plans_playbooks_until_it_takes_over(takes_over: bool, tmp_path: Path) -> None:
    """From then on the core says which are wanted: what was read before may be an older plan."""
    (tmp_path / "plan").mkdir()
    (tmp_path / "plan" / "tocsin.yaml").write_bytes(PLAN)
    readied: list[set[str]] = []

    class Pool:
        async def prepare(self, files: Mapping[str, bytes]) -> None:
            readied.append(set(files))

    opening: asyncio.Future[object] = asyncio.get_running_loop().create_future()
    if takes_over:
        opening.set_result(None)
    settings = Settings(data=tmp_path, environ={})
    await warm_up(settings, Pool(), opening)  # type: ignore[arg-type]  # all it asks of a pool
    assert readied == ([] if takes_over else [{"tocsin.yaml"}])


async def test_a_node_reads_its_plan_before_it_asks_whether_it_may_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While its playbooks are imported another one, which has read its plan, can page people."""
    did: list[str] = []

    def reader(*_: object, **__: object) -> Callable[[], PlanRead]:
        def read() -> PlanRead:
            did.append("read")
            return PlanRead(None, {}, (), ok=False)

        return read

    def lease(*_: object) -> None:
        did.append("asked")
        raise Stopped

    monkeypatch.setattr(wiring, "plan_reader", reader)
    monkeypatch.setattr(wiring, "open_writer", lease)
    assert await wiring.core(Settings(data=tmp_path, environ={})) == 0
    assert did == ["read", "asked"]


class Opened:
    """What a node has once it may write: a front, a line, a store."""

    def __init__(self, opened: bool) -> None:
        self.opened, self.line = opened, self
        self.closed = 0

    async def close(self) -> None:
        """Closed."""
        self.closed += 1

    def meta(self, name: str) -> bytes:
        """A plan was in force."""
        return b"v"

    def plan_files(self, version: str) -> dict[str, bytes]:
        """Its files."""
        return {}

    def housekeep(self, now: int) -> None:
        """Held."""


@pytest.mark.parametrize("stood_by", [False, True])
async def test_a_node_that_stood_by_begins_with_the_plan_as_it_is_by_now(
    stood_by: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it read when it started may be days old; and where another node writes meanwhile it stands by again."""
    reads: list[PlanRead] = []
    begun: list[PlanRead] = []

    def reader(*_: object, **__: object) -> Callable[[], PlanRead]:
        def read() -> PlanRead:
            reads.append(PlanRead(None, {}, (str(len(reads)),), ok=False))
            return reads[-1]

        return read

    async def writes(*_: object) -> tuple[Opened, Opened]:
        return Opened(stood_by), Opened(stood_by)

    async def begin(*known: object) -> PlanRead:
        assert isinstance(known[-1], PlanRead)
        begun.append(known[-1])
        raise LeaseLost("another node writes now")

    monkeypatch.setattr(wiring, "plan_reader", reader)
    monkeypatch.setattr(wiring, "_until_this_node_writes", writes)
    monkeypatch.setattr(wiring, "_plan_to_begin_with", begin)
    with capture_logs() as logged:
        assert await wiring.core(Settings(data=tmp_path, environ={})) == 0
    assert begun == reads[-1:] and len(reads) == 1 + stood_by
    assert [one["event"] for one in logged] == ["stands_by"]
