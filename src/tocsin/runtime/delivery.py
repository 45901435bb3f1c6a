"""Pages on their way out: each channel has its own lane, and each provider and person a share of it, so that a slow one
delays neither another channel nor another person. What goes to one person about one incident by one channel goes in
order.

The ledger row was committed before a page gets here, unless the database takes nothing. Just before the bytes leave it
is looked at once more; what the channel answers goes back to the engine as an input.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Mapping

import structlog

from tocsin.engine.inputs import Delivered
from tocsin.kernel.instant import SECOND, Instant
from tocsin.pages.ledger import Page
from tocsin.pages.message import Channel, Failed, Message, Sent
from tocsin.pages.pace import Pace
from tocsin.runtime import points
from tocsin.runtime.begun import ended
from tocsin.runtime.jobs import Job
from tocsin.runtime.lanes import Lane, Refused, Several, Turn
from tocsin.runtime.points import Point

log = structlog.get_logger("tocsin.pages")

DEADLINE = 20.0
LONGEST_ORDER = 20.0
"""Seconds a page waits for the outcome of the one before it to be written down."""

Compose = Callable[[Page], Message | None]
Place = tuple[int, str, str]
"""Incident, person and channel: what goes there goes in order."""


class Delivery:
    """Hands pages to channels. ``replace`` when the plan changes; ``submit`` takes outcomes back.

    ``severity`` gives the gravest of what a page is about, "" when that is no incident: of two that wait the graver
    goes first. ``leaves`` is told of whatever leaves: its channel, address and number.
    """

    def __init__(
        self,
        compose: Compose,
        submit: Callable[[Job], None],
        severity: Callable[[Page], str] = lambda page: "",
        leaves: Callable[[str, str, int], None] = lambda channel, address, page: None,
    ) -> None:
        self._compose = compose
        self._leaves = leaves
        self._submit = submit
        self._severity = severity
        self._channels: dict[str, Channel] = {}
        self._lanes: dict[str, Lane] = {}
        self._waking: dict[str, asyncio.TimerHandle] = {}
        self._behind: dict[Place, deque[Page]] = {}
        self._sending: set[asyncio.Task[None]] = set()
        self._closed = False
        self.under_way = 0

    @property
    def channels(self) -> dict[str, Channel]:
        """Those in use, by name."""
        return dict(self._channels)

    @property
    def waits(self) -> bool:
        """Whether some page waits for its turn."""
        return any(lane.waits for lane in self._lanes.values())

    async def replace(self, channels: Mapping[str, Channel], paces: Mapping[str, Pace] | None = None) -> None:
        """Use these channels from now on, and close those that are not used any more: see ``use``."""
        for channel in self.use(channels, paces):
            await channel.close()

    def use(self, channels: Mapping[str, Channel], paces: Mapping[str, Pace] | None = None) -> list[Channel]:
        """Use these channels from now on; answers those that are not used any more, to be closed.

        What is being sent ends with the channel it began with. ``paces``: how many pages a second each takes; None: as
        before.
        """
        gone = [self._channels[name] for name in self._channels if self._channels[name] is not channels.get(name)]
        self._channels = dict(channels)
        for name, channel in channels.items():
            lane = self._lanes.setdefault(name, Lane())
            lane.place = channel.place if isinstance(channel, Several) else None
        for name, lane in self._lanes.items() if paces is not None else ():
            lane.pace = (paces or {}).get(name)
            self._pump(name)
        return gone

    def hand(self, page: Page) -> None:
        """Queue a page: the gravest first; notices, copies, drills and updates last."""
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

    def regrade(self, pages: Iterable[Page] | None = None) -> None:
        """What these are about may have become graver, or less grave; None: any that wait for their turn."""
        if pages is None:
            pages = [page for lane in self._lanes.values() for page in lane.waiting]
        for page in pages:
            lane = self._lanes.get(page.channel)
            if lane is not None and lane.holds(page.id):
                lane.regrade(page.id, self._severity(page))

    def _queue(self, page: Page) -> None:
        refused = self._lanes[page.channel].add(page, self._severity(page), _now())
        points.passed(Point.QUEUED, page)
        if refused is not None:
            self._refuse((page, refused))
        self._pump(page.channel)

    def _pump(self, name: str) -> None:
        """Begin with as many of a channel's pages as may be sent now, and come back when more may."""
        if self._closed:
            return
        lane, now = self._lanes[name], _now()
        while (turn := lane.next(now)) is not None:
            task = asyncio.create_task(self._send(name, turn))
            self._sending.add(task)
            task.add_done_callback(self._sending.discard)
        if (waking := self._waking.pop(name, None)) is not None:
            waking.cancel()
        wakes = lane.wakes(now)
        if wakes is not None:
            after = (wakes - now) / SECOND
            self._waking[name] = asyncio.get_running_loop().call_later(after, self._pump, name)

    def _refuse(self, refused: Refused) -> None:
        """A page goes back without having been tried: other ways are used, and it is tried again."""
        page, why = refused
        self.under_way -= 1
        self._tell(page, why, self._channels.get(page.channel))

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
        self._closed = True
        for waking in self._waking.values():
            waking.cancel()
        await ended(self._sending)
        for channel in self._channels.values():
            await channel.close()

    async def _send(self, name: str, turn: Turn) -> None:
        page, channel = turn.page, self._channels.get(name)
        answer: Sent | Failed | None = None
        try:
            answer = await self._deliver(name, channel, page) if channel is not None else _no_channel(name)
            self._tell(page, answer, channel)
        finally:
            self.under_way -= 1
            for refused in self._lanes[name].ended(turn, answer, _now()):
                self._refuse(refused)
            self._pump(name)

    async def _deliver(self, name: str, channel: Channel, page: Page) -> Sent | Failed | None:
        """Send a page; None when it is not needed any more."""
        answer: Sent | Failed
        try:
            message = self._compose(page)
            if message is None:
                return None
            points.passed(Point.CHECKED, page)
            if message.kind != "update":  # that changes what was said before, and makes no sound
                self._leaves(name, message.address, message.page)
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


def _now() -> Instant:
    """The loop's clock, which nobody sets back."""
    return int(asyncio.get_running_loop().time() * SECOND)


def _no_channel(name: str) -> Failed:
    return Failed("no_channel", f"there is no channel {name}", permanent=True)
