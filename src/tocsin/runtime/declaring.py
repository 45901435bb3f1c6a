"""The keys that a plan declares, as long as the secrets of some are not to be had."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

AGAIN = 20.0
"""Seconds after which the secrets are looked up again: in that time, who keeps them can be asked and has answered."""

Kept = tuple[tuple[str, str, str], ...]
"""Keys that stay as they were, each by source, service and name."""


class Declaring:
    """Has the keys declared again until the secret of each was to be had, and tells of those whose is not.

    ``again`` looks the secrets up, declares what is to be had by now, and says which keys stay as they were. ``tell``
    says so to people, () for none; answers whether it could.
    """

    def __init__(self, again: Callable[[], Awaitable[Kept]], tell: Callable[[Kept], Awaitable[bool]]) -> None:
        self._again, self._tell = again, tell
        self.kept: Kept = ()
        self._told: Kept | None = None
        """None: nobody knows what an earlier process told."""
        self._any = asyncio.Event()

    def declared(self, kept: Kept) -> None:
        """Keys were declared just now, but for these."""
        self.kept = kept
        if kept:
            self._any.set()

    async def run(self) -> None:
        """Until cancelled. What is away for a moment only, for less than two looks, is told to nobody."""
        if not self.kept:
            await self._say()
        looked: set[tuple[str, str, str]] = set()
        while True:
            await self._any.wait()
            await asyncio.sleep(AGAIN)
            self.kept = await self._again()
            if not self.kept or set(self.kept) <= looked:  # the first look has it asked for, the next one knows
                await self._say()
            looked = set(self.kept)
            if not self.kept and self._told == ():
                self._any.clear()

    async def _say(self) -> None:
        kept = self.kept
        if kept != self._told and await self._tell(kept):
            self._told = kept
