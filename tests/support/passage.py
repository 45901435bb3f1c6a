"""A passage for TCP that can be closed and held up: what lies between two servers, when the network is the fault."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress


class Passage:
    """Connections to ``port`` go on to another one, while it is ``open``."""

    def __init__(self, to: int) -> None:
        self._to = to
        self._loop = asyncio.new_event_loop()
        self._through = asyncio.Event()
        self._through.set()
        self._writers: set[asyncio.StreamWriter] = set()
        self._server = self._loop.run_until_complete(asyncio.start_server(self._pass, "127.0.0.1", 0))
        self.port: int = self._server.sockets[0].getsockname()[1]
        self.open = True
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    def shut(self) -> None:
        """End every connection, and let no other through."""
        self.open = False
        self._loop.call_soon_threadsafe(self._cut)

    def cut(self) -> None:
        """End every connection; others may come."""
        self._loop.call_soon_threadsafe(self._cut)

    def hold(self) -> None:
        """Let nothing more come back, and keep every connection."""
        self._loop.call_soon_threadsafe(self._through.clear)

    def let(self) -> None:
        """Let everything through again."""
        self.open = True
        self._loop.call_soon_threadsafe(self._through.set)

    def close(self) -> None:
        """End it."""

        async def ending() -> None:
            self._server.close()
            self._cut()
            rest = asyncio.all_tasks() - {asyncio.current_task()}
            for task in rest:
                task.cancel()
            await asyncio.gather(*rest, return_exceptions=True)

        asyncio.run_coroutine_threadsafe(ending(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def _cut(self) -> None:
        for writer in self._writers:
            writer.transport.abort()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if not self.open:
            writer.transport.abort()
            return
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._to)
        self._writers |= {writer, far_writer}
        await asyncio.gather(self._copy(reader, far_writer, False), self._copy(far_reader, writer, True))
        self._writers -= {writer, far_writer}

    async def _copy(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, back: bool) -> None:
        with suppress(OSError):
            while data := await source.read(65_536):
                if back:
                    await self._through.wait()
                sink.write(data)
                await sink.drain()
        sink.close()


@contextmanager
def passage(to: int) -> Iterator[Passage]:
    """A passage to a port of this machine."""
    made = Passage(to)
    try:
        yield made
    finally:
        made.close()
