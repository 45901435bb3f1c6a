"""Pages on their way out: each channel has its own queue and workers, so that a slow one delays no other.

The ledger row was committed before a page gets here. Just before the bytes leave it is looked at once more; what the
channel answers goes back to the engine as an input.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from itertools import count

import structlog

from tocsin.engine.inputs import Delivered
from tocsin.pages.ledger import Page
from tocsin.pages.message import Channel, Failed, Message, Sent
from tocsin.runtime.writer import Job

log = structlog.get_logger("tocsin.pages")

WORKERS = 16
DEADLINE = 20.0

Compose = Callable[[Page], Message | None]


class Delivery:
    """Hands pages to channels. ``replace`` when the plan changes; ``submit`` takes outcomes back."""

    def __init__(self, compose: Compose, submit: Callable[[Job], None]) -> None:
        self._compose = compose
        self._submit = submit
        self._channels: dict[str, Channel] = {}
        self._queues: dict[str, asyncio.PriorityQueue[tuple[int, int, Page]]] = {}
        self._workers: list[asyncio.Task[None]] = []
        self._order = count()
        self._unrecorded: set[int] = set()
        self.under_way = 0

    async def replace(self, channels: Mapping[str, Channel]) -> None:
        """Use these channels from now on. What is being sent ends with the channel it began with."""
        gone = [self._channels[name] for name in self._channels if self._channels[name] is not channels.get(name)]
        self._channels = dict(channels)
        for name in channels:
            if name not in self._queues:
                self._queues[name] = asyncio.PriorityQueue()
                self._workers += [asyncio.create_task(self._work(name)) for _ in range(WORKERS)]
        for channel in gone:
            await channel.close()

    def hand(self, page: Page, recorded: bool = True) -> None:
        """Queue a page: first pages before repeated ones, notices last. One that is not ``recorded`` has no
        outcome either."""
        if not recorded:
            self._unrecorded.add(id(page))
        queue = self._queues.get(page.channel)
        if queue is None:
            self._finish(page, Failed("client", f"there is no channel {page.channel}", permanent=True), None)
            return
        self.under_way += 1
        rank = 2 if page.kind == "notice" else 0 if page.step == 0 and page.attempts == 0 else 1
        queue.put_nowait((rank, next(self._order), page))

    async def close(self) -> None:
        """Stop; what has no outcome yet is judged again at the next start."""
        for worker in self._workers:
            worker.cancel()
        await asyncio.gather(*self._workers, return_exceptions=True)
        for channel in self._channels.values():
            await channel.close()

    async def _work(self, name: str) -> None:
        queue = self._queues[name]
        while True:
            _, _, page = await queue.get()
            try:
                await self._deliver(name, page)
            finally:
                self.under_way -= 1

    async def _deliver(self, name: str, page: Page) -> None:
        message = self._compose(page)
        if message is None:
            log.info("page_overtaken", page=page.id, incident=page.incident)
            return
        channel = self._channels[name]
        try:
            answer = await asyncio.wait_for(channel.send(message), DEADLINE)
        except TimeoutError:
            answer = Failed("deadline", f"no answer within {DEADLINE:.0f} s")
        except Exception as error:  # a channel's own fault must not end its worker, and is told like any failure
            log.exception("channel_fault", channel=name, page=page.id)
            answer = Failed("client", f"{name} failed: {error!r}"[:300])
        self._finish(page, answer, channel)

    def _finish(self, page: Page, answer: Sent | Failed, channel: Channel | None) -> None:
        if isinstance(answer, Sent):
            duplicate = page.unsure and channel is not None and not channel.idempotent
            outcome = Delivered(page.id, "sent", provider_id=answer.provider_id[:200], duplicate=duplicate)
            log.info(
                "page_sent",
                page=page.id,
                incident=page.incident,
                person=page.person,
                channel=page.channel,
                possible_duplicate=duplicate,
            )
        else:
            state = "failed" if answer.permanent else "retry"
            outcome = Delivered(
                page.id, state, answer.code, f"{answer.code}: {answer.error}"[:500], retry_after=answer.retry_after
            )
            log.warning(
                "page_not_sent",
                page=page.id,
                incident=page.incident,
                channel=page.channel,
                why=answer.code,
                permanent=answer.permanent,
            )
        if id(page) in self._unrecorded:
            self._unrecorded.discard(id(page))
            log.warning("page_not_recorded", page=page.id, incident=page.incident, person=page.person)
            return
        self._submit(Job(outcome))
