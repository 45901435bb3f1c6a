"""Pages on their way out."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from itertools import count
from typing import Any

import pytest
from msgspec.structs import replace
from structlog.testing import capture_logs

from tests.engine.world import World
from tocsin.engine.inputs import Delivered
from tocsin.kernel.reason import Reason
from tocsin.pages.ledger import Page
from tocsin.pages.message import Failed, Message, Sent
from tocsin.pages.pace import Pace
from tocsin.runtime.composing import compose
from tocsin.runtime.delivery import Delivery
from tocsin.runtime.jobs import Job
from tocsin.runtime.lanes import AT_ONCE, EACH, SHARE

_NUMBERS = count(1)


def a_page(**said: Any) -> Page:
    """A page like many, each about an incident and to a person of its own unless told."""
    number = next(_NUMBERS)
    usual: dict[str, Any] = {"id": number, "incident": number, "person": f"person-{number}", "channel": "mail"}
    usual |= {"address": "a", "reason": Reason.STEP_DUE, "intended_at": 0, "next_at": 0}
    return Page(**(usual | said))


class Hand:
    """A channel that is told what to do."""

    name = "hand"
    idempotent = False
    real = True

    def __init__(self) -> None:
        self.sent: list[int] = []
        self.answer: Callable[[Message], Sent | Failed] = lambda message: Sent()
        self.free = asyncio.Event()
        self.free.set()
        self.closed = False

    async def send(self, message: Message) -> Sent | Failed:
        """Take a page, when it is free."""
        await self.free.wait()
        self.sent.append(message.page)
        return self.answer(message)

    def preview(self, message: Message) -> str:
        """Its words."""
        return message.title

    async def close(self) -> None:
        """Closed."""
        self.closed = True


class Office:
    """Delivery with two channels, and what it handed back."""

    def __init__(self) -> None:
        self.outcomes: list[Delivered] = []
        self.mail, self.hook = Hand(), Hand()
        self.unwanted: set[int] = set()
        self.left: list[tuple[str, str, int]] = []
        self.delivery = Delivery(self._compose, self._submit, leaves=lambda *said: self.left.append(said))
        self._number = 0
        self.commits = True
        """Whether outcomes are written down."""

    def _submit(self, job: Job) -> None:
        assert isinstance(job.input, Delivered)
        self.outcomes.append(job.input)
        if job.done is not None and self.commits:
            job.done(job)

    def _compose(self, page: Page) -> Message | None:
        if page.title == "broken":
            raise KeyError("a fault of our own")
        return None if page.id in self.unwanted else message(page)

    def page(
        self,
        channel: str = "mail",
        step: int = 0,
        kind: str = "page",
        title: str = "",
        attempts: int = 0,
        person: str = "",
        incident: int = 0,
        address: str = "a",
    ) -> Page:
        """A page handed over; each about an incident and to a person of its own unless told."""
        self._number += 1
        page = a_page(
            id=self._number,
            incident=incident or self._number,
            person=person or f"person-{self._number}",
            channel=channel,
            address=address,
            kind="notice" if kind == "notice" else "page",
            title=title,
            step=step,
            attempts=attempts,
        )
        self.delivery.hand(page)
        return page

    def states(self) -> dict[int, str]:
        """What came of each page."""
        return {one.page: one.state for one in self.outcomes}


def message(page: Page) -> Message:
    return Message(
        page=page.id,
        idempotency_key=str(page.id),
        kind=page.kind,
        person="ana",
        person_name="Ana",
        address=page.address,
        timezone="UTC",
        incident=1,
        title="",
        service="",
        severity="",
        since=0,
        now=0,
        state="",
        alerts=0,
        firing=0,
        because="",
        next_step="",
    )


@pytest.fixture
async def office() -> AsyncIterator[Office]:
    """An office with both channels in use."""
    one = Office()
    await one.delivery.replace({"mail": one.mail, "hook": one.hook})
    yield one
    await one.delivery.close()


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.005)


async def test_a_slow_channel_delays_no_other(office: Office) -> None:
    """A hundred pages wait for the mail server; the webhook takes its own at once."""
    office.mail.free.clear()
    for _ in range(100):
        office.page("mail")
    last = office.page("hook")
    await until(lambda: office.states())
    assert office.states() == {last.id: "sent"}
    assert office.delivery.under_way == 100
    office.mail.free.set()
    await until(lambda: len(office.outcomes) == 101)
    assert office.delivery.under_way == 0


async def test_a_person_whose_pages_are_slow_delays_nobody_else(office: Office) -> None:
    """Ana's webhook hangs for every one of a hundred incidents; Ben's page by the same channel leaves at once."""
    hung = asyncio.Event()

    async def send(message: Message) -> Sent:
        if message.page <= 100:
            await hung.wait()
        return Sent()

    office.mail.send = send  # type: ignore[method-assign]  # what a channel to two servers would do
    for _ in range(100):
        office.page(person="ana")
    last = office.page(person="ben")
    await until(lambda: office.states())
    assert office.states() == {last.id: "sent"}
    assert len(office.delivery._sending) == EACH
    hung.set()
    await until(lambda: len(office.outcomes) == 101)
    await until(lambda: not office.delivery._sending)


async def test_whatever_leaves_is_told_before_it_can_be_answered(office: Office) -> None:
    """Notices too, and what may have left without an outcome; not what was not needed any more."""
    office.mail.answer = lambda message: Failed("deadline", "no answer")
    notice = office.page(kind="notice", address="+34600000000")
    gone = replace(notice, id=notice.id + 1)
    office.unwanted.add(gone.id)
    office.delivery.hand(gone)
    await until(lambda: len(office.outcomes) == 2)
    assert office.left == [("mail", "+34600000000", notice.id)]


class Hosts(Hand):
    """A channel to many hosts, of which some never answer."""

    def __init__(self) -> None:
        super().__init__()
        self.given_up = asyncio.Event()

    async def send(self, message: Message) -> Sent | Failed:
        """Wait until that is given up, or take it."""
        if message.address.startswith("dead"):
            await self.given_up.wait()
            return Failed("deadline", "no answer came in time")
        return await super().send(message)

    def place(self, address: str) -> str:
        """The host."""
        return address.partition("/")[0]


async def test_a_host_that_never_answers_delays_nobody_at_another_host_of_the_same_channel(office: Office) -> None:
    """Seventy pages to it wait; one to a good host leaves. When it is known to be silent, what waited goes back."""
    hosts = Hosts()
    await office.delivery.replace({"hook": hosts})
    for number in range(70):
        office.page("hook", address=f"dead/{number}")
    good = office.page("hook", address="good")
    await until(lambda: office.states())
    assert office.states() == {good.id: "sent"}
    assert len(office.delivery._sending) == SHARE
    hosts.given_up.set()
    await until(lambda: len(office.outcomes) == 71)
    untried = [one for one in office.outcomes if "not tried" in one.error]
    assert len(untried) == 70 - SHARE
    assert {one.state for one in untried} == {"retry"}
    assert office.delivery.under_way == 0


async def test_a_channel_is_sent_no_more_than_its_pace(office: Office) -> None:
    """Two at once and one more each tenth of a second; a plan that lifts the pace lets the rest go."""
    await office.delivery.replace({"mail": office.mail}, {"mail": Pace(10.0, 2)})
    clock = asyncio.get_running_loop().time
    began = clock()
    for _ in range(4):
        office.page()
    await until(lambda: len(office.outcomes) == 2)
    await until(lambda: len(office.outcomes) == 4)
    assert clock() - began > 0.15
    await office.delivery.replace({"mail": office.mail}, {"mail": Pace(1 / 60)})
    waiting = office.page()
    await asyncio.sleep(0)
    assert waiting.id not in office.states()
    await office.delivery.replace({"mail": office.mail}, {})
    await until(lambda: waiting.id in office.states())


async def test_a_provider_that_asks_for_patience_is_left_alone_and_first_pages_go_another_way(office: Office) -> None:
    """One refusal, and the other pages are not tried: the engine hears of each at once, and when to try it again."""
    office.mail.answer = lambda message: Failed("rate_limit", "429", retry_after=600_000_000)
    office.page()
    await until(lambda: office.outcomes)
    for _ in range(20):
        office.page()
    assert len(office.mail.sent) == 1
    assert len(office.outcomes) == 21
    assert {one.state for one in office.outcomes} == {"retry"}
    assert all(590_000_000 < (one.retry_after or 0) <= 600_000_000 for one in office.outcomes)
    assert office.delivery.under_way == 0


async def test_what_goes_to_one_place_goes_in_order_and_after_what_came_before_is_written_down(office: Office) -> None:
    """Else the end of an incident could overtake its beginning on the way."""
    office.commits = False
    first, then = (office.page(person="ana", incident=7) for _ in range(2))
    elsewhere = office.page(person="ana", incident=8)
    await until(lambda: len(office.outcomes) == 2)
    assert office.states() == {first.id: "sent", elsewhere.id: "sent"}
    office.commits = True
    for place, queue in list(office.delivery._behind.items()):
        office.delivery._release(place, queue)
    await until(lambda: then.id in office.states())
    assert office.mail.sent[-1] == then.id
    assert not office.delivery._behind


async def test_first_pages_jump_the_queue_and_notices_come_last(office: Office) -> None:
    """Behind those that are being sent already."""
    office.mail.free.clear()
    first = [office.page().id for _ in range(AT_ONCE)]
    await asyncio.sleep(0)
    notice, later, retried, urgent = (
        office.page(kind="notice").id,
        office.page(step=1).id,
        office.page(attempts=2).id,
        office.page().id,
    )
    office.mail.free.set()
    await until(lambda: len(office.outcomes) == AT_ONCE + 4)
    assert office.mail.sent[AT_ONCE:] == [urgent, later, retried, notice]
    assert set(office.mail.sent[:AT_ONCE]) == set(first)


async def test_a_channel_that_raises_loses_nothing(office: Office) -> None:
    """Each of its pages is tried again, and its workers live on; a page that cannot be composed costs no other."""

    def fails(message: Message) -> Sent:
        raise ZeroDivisionError("the channel's own fault")

    office.mail.answer = fails
    with capture_logs() as logs:
        for _ in range(2 * AT_ONCE):
            office.page()
            office.page(title="broken")
        await until(lambda: len(office.outcomes) == 4 * AT_ONCE)
        assert set(office.states().values()) == {"retry"}
        office.mail.answer = lambda message: Sent("id-1")
        page = office.page()
        await until(lambda: page.id in office.states())
    assert office.outcomes[-1].provider_id == "id-1"
    assert [one["event"] for one in logs].count("channel_fault") == 4 * AT_ONCE


async def test_a_page_is_looked_at_once_more_just_before_it_leaves(office: Office) -> None:
    """What was acknowledged while it waited is not sent, and is said to be unneeded."""
    office.mail.free.clear()
    for _ in range(AT_ONCE):
        office.page()
    await asyncio.sleep(0)
    waiting = office.page()
    office.unwanted.add(waiting.id)
    office.mail.free.set()
    await until(lambda: waiting.id in office.states())
    assert office.states()[waiting.id] == "unneeded"
    assert waiting.id not in office.mail.sent


async def test_a_page_for_a_channel_that_left_with_its_plan_fails_and_the_channel_can_come_back(office: Office) -> None:
    """Its queue and its workers outlive it."""
    office.mail.free.clear()
    held = [office.page().id for _ in range(AT_ONCE)]
    await asyncio.sleep(0)
    queued = [office.page().id for _ in range(2 * AT_ONCE)]
    await office.delivery.replace({"hook": office.hook})
    assert office.mail.closed
    office.mail.free.set()
    await until(lambda: len(office.outcomes) == len(held) + len(queued))
    assert {office.states()[id] for id in held} == {"sent"}, "what was being sent ends with the channel it began with"
    assert {office.states()[id] for id in queued} == {"failed"}
    again = Hand()
    await office.delivery.replace({"mail": again, "hook": office.hook})
    page = office.page()
    await until(lambda: page.id in office.states())
    assert again.sent == [page.id]
    assert not office.hook.closed


async def test_a_page_for_a_channel_nobody_knows_fails_for_good(office: Office) -> None:
    """The next method is used then."""
    page = office.page("pigeon")
    assert office.states() == {page.id: "failed"}
    assert office.delivery.under_way == 0


async def test_an_orderly_end_waits_for_what_is_being_sent() -> None:
    """A page cut off in the middle would be sent twice."""
    office = Office()
    await office.delivery.replace({"mail": office.mail})
    office.mail.free.clear()
    page = office.page()
    await asyncio.sleep(0)
    closing = asyncio.create_task(office.delivery.close(patience=5.0))
    await asyncio.sleep(0)
    office.mail.free.set()
    await asyncio.wait_for(closing, 5)
    assert office.states() == {page.id: "sent"}


def test_a_page_from_before_the_memory_was_read_anew_is_not_sent_against_an_acknowledgement() -> None:
    """The page in the queue is not the engine's any more; its incident says the truth."""
    world = World()
    world.answers = lambda page: "never"
    world.fires("Down", job="checkout")
    (stale,) = world.engine.state.pages.values()
    world.restarted()
    arguments = (world.engine.plan, stale, world.now, "http://a", b"a signing key")
    assert compose(world.engine.state, *arguments) is not None
    world.acknowledges(1)
    assert stale.state == "intended"
    assert compose(world.engine.state, *arguments) is None


def test_a_page_that_was_not_sent_for_an_acknowledgement_nobody_kept_is_tried_again() -> None:
    """The acknowledgement was seen, and its commit failed: the page must not wait for an hour."""
    world = World()
    world.answers = lambda page: "never"
    world.fires("Down", job="checkout")
    world.apply(Delivered(1, "unneeded"))
    assert len(world.pages) == 1
    world.at("10s")
    assert [person for _, person, _ in world.pages] == ["ana", "ana"]
    world.acknowledges(1)
    world.apply(Delivered(1, "unneeded"))
    assert world.engine.state.pages[1].state == "overtaken"
    world.at("40s")
    assert len(world.pages) == 2
