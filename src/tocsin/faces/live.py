"""Live updates: one reader of the core's changes for the whole process, told on to every open page."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable

import msgspec
from msgspec import Struct

from tocsin.faces.core import CoreGone
from tocsin.runtime.line import Changed

GAP = 0.5
"""At least this many seconds lie between two updates to one subscriber."""
BEAT = 15.0
LONGEST = 3600.0
MOST_NUMBERS = 200
MOST_SUBSCRIBERS = 500


class TooManySubscribers(Exception):
    """No more pages can be kept live."""


class Update(Struct, frozen=True):
    """What changed since the last update. ``all``: too much to name, or some was missed: read everything anew."""

    incidents: tuple[int, ...] = ()
    kinds: tuple[str, ...] = ()
    all: bool = False


class _Subscriber:
    """What one page has not been told yet: merged, so it never grows beyond a bound."""

    def __init__(self) -> None:
        self.incidents: set[int] = set()
        self.kinds: set[str] = set()
        self.all = False
        self.something = asyncio.Event()

    def put(self, incidents: tuple[int, ...], kinds: tuple[str, ...], everything: bool) -> None:
        self.all = self.all or everything
        self.kinds.update(kinds)
        if not self.all:
            self.incidents.update(incidents)
            if len(self.incidents) > MOST_NUMBERS:
                self.all = True
        if self.all:
            self.incidents.clear()
        self.something.set()

    def take(self) -> Update:
        update = Update(tuple(sorted(self.incidents)), tuple(sorted(self.kinds)), self.all)
        self.incidents, self.kinds, self.all = set(), set(), False
        self.something.clear()
        return update


class Live:
    """Fans the core's changes out. The reader starts with the first subscriber and survives the core's restarts."""

    def __init__(self, changes: Callable[[], AsyncIterator[Changed]]) -> None:
        self._changes = changes
        self._subscribers: set[_Subscriber] = set()
        self._reader: asyncio.Task[None] | None = None
        self._stopped = False

    @property
    def full(self) -> bool:
        """Whether no more pages can be kept live."""
        return len(self._subscribers) >= MOST_SUBSCRIBERS

    async def updates(
        self, gap: float = GAP, beat: float = BEAT, longest: float = LONGEST
    ) -> AsyncIterator[Update | None]:
        """Updates for one page; None is a sign of life. Ends after an hour: the browser comes back by itself.

        Raises TooManySubscribers before the first.
        """
        if self.full:
            raise TooManySubscribers
        if self._reader is None or self._reader.done():
            self._reader = asyncio.create_task(self._read())
        mine = _Subscriber()
        self._subscribers.add(mine)
        loop = asyncio.get_running_loop()
        end = loop.time() + longest
        try:
            while loop.time() < end and not self._over():
                try:
                    await asyncio.wait_for(mine.something.wait(), min(beat, max(0.0, end - loop.time())))
                except TimeoutError:
                    yield None
                    continue
                if self._over():
                    return
                yield mine.take()
                await asyncio.sleep(gap)
        finally:
            self._subscribers.discard(mine)

    async def events(self) -> AsyncIterator[bytes]:
        """The same as the text of a server-sent event stream: ``event: changed`` and the Update as JSON."""
        yield b"retry: 2000\n\n"
        async for update in self.updates():
            yield b": here\n\n" if update is None else b"event: changed\ndata: " + msgspec.json.encode(update) + b"\n\n"

    def _over(self) -> bool:
        return self._stopped

    def stop(self) -> None:
        """End all streams, so that a server that is told to end need not wait for open pages. They come back later."""
        self._stopped = True
        for subscriber in self._subscribers:
            subscriber.something.set()

    async def close(self) -> None:
        """Stop reading."""
        self.stop()
        if self._reader is not None:
            self._reader.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._reader

    def _tell(self, changed: Changed, everything: bool = False) -> None:
        for subscriber in self._subscribers:
            subscriber.put(changed.incidents, changed.kinds, everything)

    async def _read(self) -> None:
        pause = 0.25
        while True:
            try:
                async for changed in self._changes():
                    pause = 0.25
                    self._tell(changed)
            except CoreGone:
                await asyncio.sleep(pause)
                pause = min(pause * 2, 5.0)
            else:
                await asyncio.sleep(pause)
            # Whatever changed in between was missed.
            self._tell(Changed(), everything=True)
