"""The pages of the night behind a real HTTP server, in a thread of their own."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import uvicorn
from litestar import Litestar

from tests.support.ports import free_port
from tests.support.waiting import eventually
from tests.web.night import SIGNING_KEY, Clock, FakeCore, Night, fill
from tocsin.faces import sessions
from tocsin.faces.application import application
from tocsin.faces.faces import Faces, FaceSettings
from tocsin.plan import read_plan
from tocsin.plan.model import Plan
from tocsin.store.reads import Reads, open_engine
from tocsin.web import routes


class Site:
    """The pages, their database and the fake core behind them."""

    def __init__(self, folder: Path, filled: bool = True) -> None:
        self.night = Night(folder)
        if filled:
            fill(self.night)
        self.clock = Clock()
        self.core = FakeCore(self.night, self.clock)
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.loop: asyncio.AbstractEventLoop | None = None
        self.faces: Faces | None = None

    def app(self) -> Litestar:
        """The application as the wiring makes it."""
        self.faces = Faces(
            reads=Reads(open_engine(self.night.url)),
            core=self.core,  # type: ignore[arg-type]  # stands in for the line to a real core
            clock=self.clock,
            signing_key=SIGNING_KEY,
            settings=FaceSettings(public_url=self.url),
            read_plan=_read,
        )
        return application(routes.handlers, self.faces, error_page=routes.error_page)

    def session(self, user: int = 1) -> dict[str, str]:
        """The cookie of a browser that signed in."""
        return {"tocsin": sessions.write(sessions.begin(user, 0, self.clock()), SIGNING_KEY)}

    def csrf(self, cookie: dict[str, str]) -> str:
        """The form token of that browser."""
        found = sessions.read(cookie["tocsin"], SIGNING_KEY, self.clock())
        assert found is not None
        return sessions.form_token(SIGNING_KEY, found.sid)

    def on_loop(self, do: Callable[[], None]) -> None:
        """Run something in the server's loop, and wait for it."""
        assert self.loop is not None
        done = threading.Event()

        def run() -> None:
            do()
            done.set()

        self.loop.call_soon_threadsafe(run)
        assert done.wait(5)


def _read(version: str, files: object) -> Plan:
    plan = read_plan(files).plan  # type: ignore[arg-type]  # a mapping of names to contents
    assert plan is not None
    return plan


@contextmanager
def serving(folder: Path, filled: bool = True) -> Iterator[Site]:
    """Serve the night on a free port while the block lasts."""
    site = Site(folder, filled)
    server = uvicorn.Server(
        uvicorn.Config(
            site.app(),
            host="127.0.0.1",
            port=site.port,
            log_level="warning",
            lifespan="on",
            timeout_graceful_shutdown=1,
        )
    )

    def run() -> None:
        loop = asyncio.new_event_loop()
        site.loop = loop
        loop.run_until_complete(server.serve())
        loop.close()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    eventually(lambda: server.started, what="the pages to be served")
    try:
        yield site
    finally:
        server.should_exit = True
        thread.join(10)
