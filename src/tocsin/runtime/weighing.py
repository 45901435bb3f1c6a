"""What is left of guards, asked of the engine: between two turns, on the thread it belongs to."""

from __future__ import annotations

import asyncio
import contextlib

from tocsin.engine.engine import Engine
from tocsin.engine.weighing import Guards, weigh, weigh_run
from tocsin.kernel.instant import Instant
from tocsin.runtime.line import Weighing
from tocsin.runtime.writer import Writer

ENDED = "Tocsin's core is ending"
LATE = "Tocsin's core is busy at the moment"
WITHIN = 1.0
"""Seconds after which nobody waits for the answer any more: then it is not looked for either."""


async def weighed(writer: Writer, service: str, playbook: str, target: str, run: int) -> Weighing:
    """What is left of a playbook's guards, or of a run's that lives. Raises what looking at them did. Says why, when
    the writer has ended.
    """
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[Weighing] = loop.create_future()

    def settle(found: Weighing, error: Exception | None) -> None:
        if answer.done():
            return  # whoever asked has gone
        if error is not None:
            answer.set_exception(error)
        else:
            answer.set_result(found)

    def told(found: Weighing, error: Exception | None = None) -> None:
        with contextlib.suppress(RuntimeError):  # the loop has ended meanwhile
            loop.call_soon_threadsafe(settle, found, error)

    def look(engine: Engine, now: Instant) -> None:
        if answer.done():
            return  # whoever asked has gone: others wait for this thread
        found: Guards | None = None
        fault: Exception | None = None
        try:
            asked = engine.state, engine.plan, now
            found = weigh_run(*asked, run) if run else weigh(*asked, service, playbook, target)
        except Exception as error:  # noqa: BLE001  # whoever asked is told, and the writer goes on
            fault = error
        told(Weighing(found), fault)

    writer.ask(look, lambda: told(Weighing(why=ENDED)))
    try:
        async with asyncio.timeout(WITHIN):
            return await answer
    except TimeoutError:
        return Weighing(why=LATE)
