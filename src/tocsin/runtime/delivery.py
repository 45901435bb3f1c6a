"""Pages on their way out: each channel has its own queue and workers, so that a slow one delays no other.

The ledger row was committed before a page gets here, unless the database takes nothing. Just before the bytes leave it
is looked at once more; what the channel answers goes back to the engine as an input.
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
        self.under_way = 0

    @property
    def channels(self) -> dict[str, Channel]:
        """Those in use, by name."""
        return dict(self._channels)

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

    def hand(self, page: Page) -> None:
        """Queue a page: first pages before repeated ones, notices, copies and drills last."""
        queue = self._queues.get(page.channel)
        if queue is None:
            self._tell(page, _no_channel(page.channel), None)
            return
        self.under_way += 1
        last = page.kind in ("notice", "copy", "drill")
        rank = 2 if last else 0 if page.step == 0 and page.attempts == 0 else 1
        queue.put_nowait((rank, next(self._order), page))

    async def close(self, patience: float = 0.0) -> None:
        """Stop, after at most ``patience`` seconds for what is under way.

        What has no outcome then is judged again at the next start.
        """
        waited = 0.0
        while self.under_way and waited < patience:
            await asyncio.sleep(0.02)
            waited += 0.02
        for worker in self._workers:
            worker.cancel()
        await asyncio.gather(*self._workers, return_exceptions=True)
        for channel in self._channels.values():
            await channel.close()

    async def _work(self, name: str) -> None:
        queue = self._queues[name]
        while True:
            _, _, page = await queue.get()
            channel = self._channels.get(name)
            try:
                answer = await self._deliver(name, channel, page) if channel is not None else _no_channel(name)
                self._tell(page, answer, channel)
            finally:
                self.under_way -= 1

    async def _deliver(self, name: str, channel: Channel, page: Page) -> Sent | Failed | None:
        """Send a page; None when it is not needed any more."""
        answer: Sent | Failed
        try:
            message = self._compose(page)
            if message is None:
                return None
            answer = await asyncio.wait_for(channel.send(message), DEADLINE)
        except TimeoutError:
            answer = Failed("deadline", f"no answer within {DEADLINE:.0f} s")
        except Exception as error:  # a channel's own fault must not end its worker, and is told like any failure
            log.exception("channel_fault", channel=name, page=page.id)
            answer = Failed("client", f"{name} failed: {error!r}"[:300])
        return answer

    def _tell(self, page: Page, answer: Sent | Failed | None, channel: Channel | None) -> None:
        """Log what came of a page, and hand it back to be judged."""
        if answer is None:
            log.info("page_overtaken", page=page.id, incident=page.incident)
            outcome = Delivered(page.id, "unneeded")
        elif isinstance(answer, Sent):
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
        self._submit(Job(outcome))


def _no_channel(name: str) -> Failed:
    return Failed("no_channel", f"there is no channel {name}", permanent=True)
