"""Pages on their way out: each channel has its own lane, and each person a share of it, so that a slow one delays
neither another channel nor another person. What goes to one person about one incident by one channel goes in order.

The ledger row was committed before a page gets here, unless the database takes nothing. Just before the bytes leave it
is looked at once more; what the channel answers goes back to the engine as an input.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Callable, Mapping
from heapq import heappop, heappush
from itertools import count

import structlog

from tocsin.engine.inputs import Delivered
from tocsin.pages.ledger import Page
from tocsin.pages.message import Channel, Failed, Message, Sent
from tocsin.runtime import points
from tocsin.runtime.points import Point
from tocsin.runtime.writer import Job

log = structlog.get_logger("tocsin.pages")

AT_ONCE = 64
"""Pages that one channel sends at once, and"""
EACH = 8
"""how many of them may be one person's."""
DEADLINE = 20.0
LONGEST_ORDER = 20.0
"""Seconds a page waits for the outcome of the one before it to be written down."""

Compose = Callable[[Page], Message | None]
Place = tuple[int, str, str]
"""Incident, person and channel: what goes there goes in order."""
Waiting = tuple[int, int, Page]
"""Rank, order of coming, and the page."""


class _Lane:
    """One channel's pages that wait, by person, and how many of whom are being sent."""

    def __init__(self) -> None:
        self.waiting: dict[str, list[Waiting]] = {}
        self.sending: Counter[str] = Counter()

    def next(self) -> Waiting | None:
        """The first in line of those whose person has not all of their share under way."""
        if self.sending.total() >= AT_ONCE:
            return None
        heads = [heap[0] for person, heap in self.waiting.items() if self.sending[person] < EACH]
        if not heads:
            return None
        person = min(heads)[2].person
        first = heappop(self.waiting[person])
        if not self.waiting[person]:
            del self.waiting[person]
        self.sending[person] += 1
        return first

    def ended(self, person: str) -> None:
        """One of a person's pages is not being sent any more."""
        self.sending[person] -= 1
        if not self.sending[person]:
            del self.sending[person]


class Delivery:
    """Hands pages to channels. ``replace`` when the plan changes; ``submit`` takes outcomes back."""

    def __init__(self, compose: Compose, submit: Callable[[Job], None]) -> None:
        self._compose = compose
        self._submit = submit
        self._channels: dict[str, Channel] = {}
        self._lanes: dict[str, _Lane] = {}
        self._behind: dict[Place, deque[Page]] = {}
        self._sending: set[asyncio.Task[None]] = set()
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
            self._lanes.setdefault(name, _Lane())
        for channel in gone:
            await channel.close()

    def hand(self, page: Page) -> None:
        """Queue a page: first pages before repeated ones; notices, copies, drills and updates last."""
        if page.channel not in self._lanes:
            self._tell(page, _no_channel(page.channel), None)
            return
        self.under_way += 1
        place = _place(page)
        if place in self._behind:
            self._behind[place].append(page)
        else:
            self._behind[place] = deque()
            self._queue(page)

    def _queue(self, page: Page) -> None:
        lane = self._lanes[page.channel]
        last = page.kind in ("notice", "copy", "drill", "update", "synthetic")
        rank = 2 if last else 0 if page.step == 0 and page.attempts == 0 else 1
        heappush(lane.waiting.setdefault(page.person, []), (rank, next(self._order), page))
        points.passed(Point.QUEUED, page)
        self._pump(page.channel)

    def _pump(self, name: str) -> None:
        """Begin with as many of a channel's pages as may be sent now."""
        lane = self._lanes[name]
        while (first := lane.next()) is not None:
            task = asyncio.create_task(self._send(name, first[2]))
            self._sending.add(task)
            task.add_done_callback(self._sending.discard)

    def _release(self, place: Place, queue: deque[Page]) -> None:
        """The page before has come to its end, or took too long to: go on with the next for the same place."""
        if self._behind.get(place) is not queue:
            return
        if queue:
            page = queue.popleft()
            self._behind[place] = deque(queue)
            self._queue(page)
        else:
            del self._behind[place]

    async def close(self, patience: float = 0.0) -> None:
        """Stop, after at most ``patience`` seconds for what is under way.

        What has no outcome then is judged again at the next start.
        """
        waited = 0.0
        while self.under_way and waited < patience:
            await asyncio.sleep(0.02)
            waited += 0.02
        for task in self._sending:
            task.cancel()
        await asyncio.gather(*self._sending, return_exceptions=True)
        for channel in self._channels.values():
            await channel.close()

    async def _send(self, name: str, page: Page) -> None:
        channel = self._channels.get(name)
        try:
            answer = await self._deliver(name, channel, page) if channel is not None else _no_channel(name)
            self._tell(page, answer, channel)
        finally:
            self.under_way -= 1
            self._lanes[name].ended(page.person)
            self._pump(name)

    async def _deliver(self, name: str, channel: Channel, page: Page) -> Sent | Failed | None:
        """Send a page; None when it is not needed any more."""
        answer: Sent | Failed
        try:
            message = self._compose(page)
            if message is None:
                return None
            points.passed(Point.CHECKED, page)
            answer = await asyncio.wait_for(channel.send(message), DEADLINE)
            points.passed(Point.ANSWERED, page)
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
        place = _place(page)
        queue = self._behind.get(place, deque())
        # The next one may be about this one: it waits until what came of this one can be read.
        asyncio.get_running_loop().call_later(LONGEST_ORDER, self._release, place, queue)
        self._submit(Job(outcome, done=lambda _: self._release(place, queue)))
        points.passed(Point.HANDED_IN, page)


def _place(page: Page) -> Place:
    """Notices belong to no incident, and need no order."""
    return page.incident or -page.id, page.person, page.channel


def _no_channel(name: str) -> Failed:
    return Failed("no_channel", f"there is no channel {name}", permanent=True)
