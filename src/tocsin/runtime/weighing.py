"""What is left of guards, asked of the engine: between two turns, on the thread it belongs to."""

from __future__ import annotations

import asyncio
import contextlib

from tocsin.engine.engine import Engine
from tocsin.engine.weighing import Guards, weigh, weigh_run
from tocsin.kernel.instant import Instant
from tocsin.runtime.line import Weighing
from tocsin.runtime.writer import Writer


async def weighed(writer: Writer, service: str, playbook: str, target: str, run: int) -> Weighing:
    """What is left of a playbook's guards, or of a run's that lives. Raises what looking at them did."""
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[Guards | None] = loop.create_future()

    def settle(found: Guards | None, error: Exception | None) -> None:
        if answer.done():
            return  # whoever asked has gone
        if error is not None:
            answer.set_exception(error)
        else:
            answer.set_result(found)

    def look(engine: Engine, now: Instant) -> None:
        found, fault = None, None
        try:
            asked = engine.state, engine.plan, now
            found = weigh_run(*asked, run) if run else weigh(*asked, service, playbook, target)
        except Exception as error:  # noqa: BLE001  # whoever asked is told, and the writer goes on
            fault = error
        with contextlib.suppress(RuntimeError):  # the loop has ended meanwhile
            loop.call_soon_threadsafe(settle, found, fault)

    writer.ask(look)
    return Weighing(await answer)
