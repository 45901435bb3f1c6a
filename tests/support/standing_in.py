"""What a stand-in for a provider's server is: an aiohttp application that answers in a thread of its own."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterable
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Self

from aiohttp import web

from tests.support.ports import free_port


class StandIn(AbstractContextManager["StandIn"]):
    """A server at ``url``. It answers once it is begun, and as long as its block lasts.

    ``wrong`` is what came and nobody documents: an end with any of it fails.
    """

    def __init__(self, routes: Iterable[web.AbstractRouteDef], *, longest: int = 1024**2) -> None:
        """``longest``: bytes of a request that are read."""
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.wrong: list[str] = []
        self._routes, self._longest = routes, longest
        self._loop = asyncio.new_event_loop()
        self._up = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._up.wait(10)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        assert not self.wrong, self.wrong

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        app = web.Application(client_max_size=self._longest)
        app.add_routes(self._routes)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        self._loop.run_until_complete(runner.setup())
        self._loop.run_until_complete(web.TCPSite(runner, "127.0.0.1", self.port).start())
        self._up.set()
        self._loop.run_forever()
        for task in asyncio.all_tasks(self._loop):
            task.cancel()
        self._loop.run_until_complete(runner.cleanup())
