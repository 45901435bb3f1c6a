"""Live updates: one reader, many pages."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from tests.faces.filled import FakeCore
from tocsin.faces import live as live_module
from tocsin.faces.core import CoreGone
from tocsin.faces.live import Live, TooManySubscribers, Update
from tocsin.runtime.line import Changed


async def _next(updates: AsyncIterator[Update | None]) -> Update:
    async with asyncio.timeout(10):
        while True:
            update = await anext(updates)
            if update is not None:
                return update


async def test_what_happens_between_two_updates_is_told_as_one() -> None:
    """Numbers and kinds are merged, so a slow page is never behind by more than one update."""
    core = FakeCore()
    live = Live(core.changes)
    updates = live.updates(gap=0.05)
    first = asyncio.ensure_future(_next(updates))
    await asyncio.sleep(0)
    core.changed.put_nowait(Changed(incidents=(3,), kinds=("alerts",)))
    assert 3 in (await first).incidents
    core.changed.put_nowait(Changed(incidents=(5,), kinds=("alerts",)))
    core.changed.put_nowait(Changed(incidents=(4, 5), kinds=("pages",)))
    while not core.changed.empty():
        await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert await _next(updates) == Update(incidents=(4, 5), kinds=("alerts", "pages"))
    await live.close()


async def test_a_flood_becomes_read_everything_anew() -> None:
    """A page is never told thousands of numbers."""
    core = FakeCore()
    live = Live(core.changes)
    updates = live.updates(gap=0)
    first = asyncio.ensure_future(_next(updates))
    await asyncio.sleep(0)
    core.changed.put_nowait(Changed(incidents=tuple(range(1_000))))
    assert await first == Update(all=True)
    await live.close()


async def test_after_the_core_was_gone_everything_is_read_anew() -> None:
    """Nobody can say what was missed."""
    asked = 0

    async def changes() -> AsyncIterator[Changed]:
        nonlocal asked
        asked += 1
        if asked == 1:
            raise CoreGone("stopped")
        yield Changed(incidents=(1,))
        await asyncio.Event().wait()

    live = Live(changes)
    updates = live.updates(gap=0)
    assert (await _next(updates)).all
    assert asked >= 1
    await live.close()


async def test_two_pages_share_one_reader() -> None:
    """The core sees one watcher, whatever the number of pages."""
    asked = 0
    core = FakeCore()

    async def changes() -> AsyncIterator[Changed]:
        nonlocal asked
        asked += 1
        async for one in core.changes():
            yield one

    live = Live(changes)
    waiting = [asyncio.ensure_future(_next(live.updates())) for _ in range(5)]
    await asyncio.sleep(0.01)
    core.changed.put_nowait(Changed(incidents=(1,)))
    assert [update.incidents for update in await asyncio.gather(*waiting)] == [(1,)] * 5
    assert asked == 1
    await live.close()


async def test_a_quiet_stream_shows_signs_of_life_and_ends() -> None:
    """None is a sign of life; after its time the stream ends, and the page is forgotten."""
    live = Live(FakeCore().changes)
    assert [update async for update in live.updates(beat=0.01, longest=0.05)].count(None) >= 1
    assert not live._subscribers
    await live.close()


async def test_there_is_a_bound_on_live_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    """One more is refused."""
    monkeypatch.setattr(live_module, "MOST_SUBSCRIBERS", 1)
    core = FakeCore()
    live = Live(core.changes)
    first = asyncio.ensure_future(_next(live.updates()))
    await asyncio.sleep(0)
    assert live.full
    with pytest.raises(TooManySubscribers):
        await anext(live.updates())
    core.changed.put_nowait(Changed(incidents=(1,)))
    await first
    await live.close()


async def test_a_server_that_ends_does_not_wait_for_open_pages() -> None:
    """Every stream ends at once, and new ones end before they begin."""
    live = Live(FakeCore().changes)

    async def follow() -> list[Update | None]:
        return [update async for update in live.updates()]

    following = [asyncio.ensure_future(follow()) for _ in range(3)]
    await asyncio.sleep(0.01)
    live.stop()
    async with asyncio.timeout(5):
        assert await asyncio.gather(*following) == [[], [], []]
        assert await follow() == []
    await live.close()
