"""Work that goes on beside, and that nobody waits for."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable
from typing import Any

import structlog

log = structlog.get_logger("tocsin.core")


async def ended(tasks: Iterable[asyncio.Task[Any]]) -> None:
    """Cancel tasks, and wait until they are over, whatever they end with."""
    under_way = list(tasks)
    for task in under_way:
        task.cancel()
    await asyncio.gather(*under_way, return_exceptions=True)


class Begun:
    """Begins such work when called, and keeps hold of it: the loop alone would let go. A fault is told at once."""

    def __init__(self) -> None:
        self._under_way: set[asyncio.Task[object]] = set()

    def __call__(self, work: Coroutine[Any, Any, object]) -> None:
        """Begin it."""
        task = asyncio.create_task(work)
        self._under_way.add(task)
        task.add_done_callback(self._over)

    def _over(self, task: asyncio.Task[object]) -> None:
        self._under_way.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("task_failed", error=repr(error))

    async def end(self) -> None:
        """Cancel what is under way, and wait until it is over."""
        await ended(self._under_way)
