"""The self-audit looks at everything, and lets everybody else have their turn meanwhile."""

from __future__ import annotations

import asyncio

from tocsin.runtime.audit import SLICE, slices


async def test_between_two_slices_everybody_else_has_a_turn() -> None:
    """However much there is to look at, a page waits for a few hundred of it at most."""
    turns = seen = 0
    behind: list[int] = []

    async def another() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    task = asyncio.create_task(another())
    async for part in slices(list(range(20 * SLICE + 1))):
        seen += len(part)
        behind.append(turns)
    task.cancel()
    assert seen == 20 * SLICE + 1
    assert len(behind) == len(set(behind)) == 21, "each slice saw the other go on"


async def test_of_nothing_there_is_one_empty_slice() -> None:
    assert [part async for part in slices(list[int]())] == [[]]
