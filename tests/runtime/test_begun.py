"""Work beside: held on to, ended together, and no fault of it is silent."""

from __future__ import annotations

import asyncio
import gc

from structlog.testing import capture_logs

from tocsin.runtime.begun import Begun


async def test_what_was_begun_is_not_let_go_and_ends_when_it_is_told_to() -> None:
    begin, ended = Begun(), asyncio.Event()

    async def waits() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    begin(waits())
    await asyncio.sleep(0)
    gc.collect()
    assert not ended.is_set()
    await begin.end()
    assert ended.is_set()


async def test_a_fault_is_told_when_it_happens_and_not_only_at_the_end() -> None:
    begin = Begun()

    async def fails() -> None:
        raise RuntimeError("the prober is at fault")

    with capture_logs() as told:
        begin(fails())
        for _ in range(3):
            await asyncio.sleep(0)
        assert [(one["event"], one["error"]) for one in told] == [
            ("task_failed", "RuntimeError('the prober is at fault')")
        ]
        await begin.end()
    assert len(told) == 1
