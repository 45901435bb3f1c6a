"""The door providers call back at: bounded, and never brought down by what comes in."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from msgspec.structs import replace

from tests.engine.world import PLAN, World
from tests.runtime.stage import HandClock
from tocsin.engine.commands import Acknowledge, AddResponders, AnswerDrill, Result, StartDrill
from tocsin.engine.inputs import Decided, Receipted
from tocsin.intake.request import Reply
from tocsin.kernel.reason import Reason
from tocsin.pages.answers import Answer, Call, DeafError, Got, Heard, Taken, Words
from tocsin.pages.ledger import Page
from tocsin.pages.message import Message, Sent
from tocsin.pages.said import Said
from tocsin.runtime import answers as module
from tocsin.runtime.answers import LIMITS, Answers
from tocsin.runtime.jobs import Job


class Mailbox:
    """A channel by the name of email whose provider calls back."""

    name = "email"
    idempotent = False
    real = True

    def __init__(self) -> None:
        self.says: Heard | Reply | Exception = Heard()
        self.listened = 0
        self.ends: Exception | None = None
        self.find: Any = None

    async def send(self, message: Message) -> Sent:
        """Taken."""
        return Sent()

    def preview(self, message: Message) -> str:
        """Its words."""
        return message.title

    async def close(self) -> None:
        """Closed."""

    def hear(self, call: Call) -> Heard | Reply:
        """As told."""
        if isinstance(self.says, Exception):
            raise self.says
        return self.says

    async def thank(self, answer: Answer, taken: Taken) -> Reply:
        """What came of it."""
        return Reply(200, b"" if taken.stranger else taken.said.encode())

    async def listen(self, take: Any, find: Any) -> None:
        """Until told to end."""
        self.listened, self.find = self.listened + 1, find
        if self.ends is not None:
            raise self.ends
        await asyncio.Event().wait()


class Exchange:
    """A request, and what it was answered."""

    peer = "192.0.2.1"

    def __init__(self, path: str = "/callbacks/email", method: str = "POST", body: bytes = b"") -> None:
        self.path, self.method, self.body = path, method, body
        self.target, self.headers = path.encode(), [(b"x-signed", b"yes")]
        self.reply: Reply | None = None

    def answer(self, reply: Reply) -> None:
        """Answered."""
        assert self.reply is None, "once"
        self.reply = reply


class Door:
    """The answers of a world in which Ana was paged by mail."""

    def __init__(self, plan: bytes = PLAN) -> None:
        self.world = World(plan).fires("Down", job="checkout")
        self.clock = HandClock()
        self.box = Mailbox()
        self.answers = Answers(
            lambda: self.world.engine.state, self.submit, self.apply, self.clock, "https://tocsin.example"
        )
        self.spoken = 0

    def runs(self) -> Door:
        """As the world goes: what leaves there is told, and the clocks are one."""
        self.clock.now = lambda: self.world.now  # type: ignore[method-assign]
        return self.at("0s")

    def at(self, offset: str) -> Door:
        """Let time pass until then; what was handed over on the way left at its own time."""
        until = self.world.at(offset).now
        for page in self.world.told_pages[self.spoken :]:
            assert page.handed_at is not None
            self.clock.now = lambda at=page.handed_at: at  # type: ignore[method-assign,misc]
            self.answers.spoke(page.channel, page.address, page.bundle or page.id)
        self.spoken = len(self.world.told_pages)
        self.clock.now = lambda: self.world.now  # type: ignore[method-assign]
        assert self.clock.now() == until
        return self

    async def submit(self, command: Acknowledge | AnswerDrill, key: str) -> Result:
        """Decided by the real engine."""
        result = self.world.apply(Decided(command, key))
        assert result is not None
        return result

    async def apply(self, job: Job) -> Job:
        """Applied by the real engine."""
        self.world.apply(job.input)
        return job

    async def call(self, **how: Any) -> Reply:
        """One call of the provider."""
        exchange = Exchange(**how)
        assert self.answers.handle(exchange)  # type: ignore[arg-type]  # all the door asks of an exchange
        for _ in range(5):
            await asyncio.sleep(0)
        assert exchange.reply is not None
        return exchange.reply


@pytest.fixture
async def door() -> Any:
    """Open, at the world's time."""
    one = Door()
    one.answers.replace({"email": one.box})
    yield one
    await one.answers.close()


ANA = Answer(page=1, by="ana@shop.example", mark="m1")


async def test_what_is_elsewhere_is_not_the_doors(door: Door) -> None:
    assert not door.answers.handle(Exchange("/"))  # type: ignore[arg-type]  # as above
    assert (await door.call(path="/callbacks/")).status == 404
    assert (await door.call(path="/callbacks/pigeon")).status == 404
    assert (await door.call(method="GET")).status == 405
    assert (await door.call(body=b"x" * (LIMITS.body + 1))).status == 413


async def test_a_channels_own_fault_is_a_refusal_and_the_door_stays_open(door: Door) -> None:
    door.box.says = ZeroDivisionError("a fault of the channel")
    assert (await door.call()).status == 400
    door.box.says = Reply(403)
    assert (await door.call()).status == 403
    door.box.says = Heard(reply=Reply(204))
    assert (await door.call()).status == 204


async def test_more_calls_than_a_channel_may_get_are_told_to_come_back(door: Door) -> None:
    door.box.says = Heard(answer=ANA)
    replies = [(await door.call()).status for _ in range(LIMITS.burst + 1)]
    assert replies == [200] * LIMITS.burst + [429]


async def test_what_is_no_answer_uses_up_nothing_that_answers_need(door: Door) -> None:
    """Anybody can post to the door, and anybody can write to a bot."""
    for says, status in ((Reply(401), 429), (ZeroDivisionError(), 429), (Heard(), 200)):
        door.box.says = says
        replies = [(await door.call()).status for _ in range(LIMITS.burst + 1)]
        assert replies[-1] == status
    for says in (Heard(got=Got(page=1, receipt="delivered")), Heard(answer=ANA)):
        door.box.says = says
        assert (await door.call()).status == 200


async def test_receipts_that_wait_for_a_slow_commit_keep_no_answer_out(door: Door) -> None:
    """However many: Twilio repeats neither a pressed key nor an SMS."""
    slow = asyncio.Event()

    async def stalls(job: Job) -> Job:
        await slow.wait()
        return job

    door.answers._apply = stalls
    page = min(door.world.engine.state.pages.values(), key=lambda page: page.id)
    exchanges = [Exchange() for _ in range(module.MOST_AT_ONCE + 1)]
    door.box.says = Heard(got=Got(page=page.id, receipt="delivered"))
    for one in exchanges:
        door.answers.handle(one)  # type: ignore[arg-type]  # all the door asks of an exchange
    assert [one.reply.status for one in exchanges if one.reply is not None] == [429], "they are bounded, too"
    door.box.says = Heard(answer=Answer(page=page.id, by=page.address, mark="press"))
    assert (await door.call()).status == 200
    assert door.world.engine.state.incidents[1].state == "acknowledged"
    slow.set()
    await door.answers.close()


async def test_what_could_not_be_taken_or_is_in_memory_alone_is_to_be_told_again(door: Door) -> None:
    """A provider that hears it was taken never tells it again; what is told again is judged once."""
    results = [Result(ok=False, code=code, message=code) for code in ("unavailable", "unavailable", "unwritten")]
    asked: list[str] = []

    async def submit(command: Acknowledge | AnswerDrill, key: str) -> Result:
        asked.append(key)
        result = await door.submit(command, key)
        return results.pop(0) if results else result

    away = True
    answers = Answers(
        lambda: door.world.engine.state, submit, door.apply, door.clock, "https://tocsin.example", lambda: away
    )
    number = int(door.world.asked(StartDrill(actor="person:ana", person="ana")).id)
    drill = Answer(page=number, by="ana@shop.example", mark="m3")
    refused = replace(drill, by="ben@shop.example")
    assert not (await answers.take("email", refused)).again, "for good"
    said = [await answers.take("email", drill) for _ in range(6)]
    assert [(one.ok, one.again) for one in said] == [(False, True)] * 6
    assert [one.said for one in said] == ["unavailable."] * 2 + ["unwritten."] * 4
    assert len(asked) == 3, "each would be one more thing in memory"
    away = False
    assert await answers.take("email", drill) == Taken(True, "That is how to answer.")
    assert len(set(asked)) == 1


async def test_an_answer_is_the_same_command_as_the_mails_button(door: Door) -> None:
    door.box.says = Heard(answer=ANA)
    assert (await door.call()).body == b"You have incident #1."
    assert door.world.incident(1).acknowledged_by == "person:ana"
    assert door.world.engine.state.pages[1].answered_at == door.world.now
    assert (await door.call()).body == b"You have incident #1.", "told twice, it is still so"
    door.world.at("90m")
    assert door.world.incident(1).state == "triggered"
    assert (await door.call()).body == b"", "a replay does not answer for her again"
    assert door.world.incident(1).state == "triggered"


async def test_who_answers_after_somebody_else_reads_who_has_it_and_takes_nothing_from_them() -> None:
    door = Door(PLAN.replace(b"{page: ana, wait: 5m}", b"{page: [ana, ben], wait: 5m}"))
    door.answers.replace({"email": door.box})
    door.box.says = Heard(answer=ANA)
    assert (await door.call()).body == b"You have incident #1."
    door.box.says = Heard(answer=Answer(page=2, by="ben@shop.example", mark="m2"))
    assert (await door.call()).body == b"Ana has incident #1 already."
    assert door.world.incident(1).acknowledged_by == "person:ana"
    await door.answers.close()


async def test_one_of_several_answers_is_noted_and_not_told_as_having_it() -> None:
    door = Door(PLAN.replace(b"{page: ana, wait: 5m}", b"{page: [ana, ben], wait: 5m, until acknowledged by: 2}"))
    door.answers.replace({"email": door.box})
    door.box.says = Heard(answer=ANA)
    said = b"Noted: 1 of 2 have incident #1; the others are still paged."
    assert (await door.call()).body == said
    assert door.world.incident(1).state == "triggered"
    assert (await door.call()).body == said, "told twice, it is still so"
    door.box.says = Heard(answer=Answer(page=2, by="ben@shop.example", mark="m2"))
    assert (await door.call()).body == b"You have incident #1."
    door.world.at("90m")
    door.box.says = Heard(answer=ANA)
    assert (await door.call()).body == b"", "a replay does not answer for her again"
    await door.answers.close()


STORM = Answer(page=4, by="ana@shop.example", mark="m4")


@pytest.mark.parametrize("first", ["waits", "is over", "is forgotten", "is hers", "is another's"])
async def test_an_answer_to_a_message_about_several_is_for_all_that_wait_whatever_became_of_the_first(
    door: Door, first: str
) -> None:
    """The channel names one page of them: the first. It stands for the message, not for its own incident alone."""
    world = door.world
    if first == "is forgotten":
        world.put_in_force(PLAN.replace(b"reopen within: 30m", b"reopen within: 0s"))
    for name in ("Slow", "Full", "Late", "Hot", "Lost"):
        world.fires(name, job="checkout")
    world.at("31s")
    assert world.engine.state.pages[4].bundled == (4, 5, 6)
    if first in ("is over", "is forgotten"):
        world.resolves("Late", job="checkout").at("2m")
    elif first != "waits":
        world.asked(Acknowledge(actor="person:ana" if first == "is hers" else "person:ben", incident=4))
    door.box.says = Heard(answer=STORM)
    hers = b"s #4, #5 and #6." if first in ("waits", "is hers") else b"s #5 and #6."
    assert (await door.call()).body == b"You have incident" + hers
    assert [world.incident(number).acknowledged_by for number in (5, 6)] == ["person:ana"] * 2
    assert [world.engine.state.pages[id].answered_at for id in (4, 5, 6)] == [
        world.now, world.now, world.now
    ]  # fmt: skip
    if first == "is another's":
        assert world.incident(4).acknowledged_by == "person:ben", "it was not asked for"
    assert (await door.call()).body == b"You have incident" + hers, "told twice, it is still so"


async def test_an_answer_to_a_message_of_which_all_is_over_says_so(door: Door) -> None:
    for name in ("Slow", "Full", "Late", "Hot"):
        door.world.fires(name, job="checkout")
    door.world.at("31s").resolves("Late", job="checkout").resolves("Hot", job="checkout")
    door.box.says = Heard(answer=STORM)
    assert (await door.call()).body == b"Incident #4 is resolved already."


async def test_what_was_opened_again_since_is_not_answered_by_a_button_or_a_word_of_before(door: Door) -> None:
    world = door.world.at("1m").resolves("Down", job="checkout").at("2m")
    world.answers = lambda page: "never"
    world.fires("Down", job="checkout")
    door.clock.now = lambda: world.now  # type: ignore[method-assign]  # as the world goes
    door.box.says = Heard(answer=ANA)
    assert (await door.call()).body == b"Incident #1 was opened again since that page."
    (new,) = [one for one in world.rows(1, "ana") if one.kind == "page" and one.intended_at == world.now]
    says(door, yes=True)
    assert (await door.call()).body == f"Reply {new.id} to acknowledge.".encode(), "the old one waits for nothing"


async def test_who_is_asked_for_help_answers_in_the_channel_and_takes_nothing_over(door: Door) -> None:
    world = door.world
    world.asked(Acknowledge(actor="person:ben", incident=1))
    world.asked(AddResponders(actor="person:ben", incident=1, targets=("person:ana",)))
    help = next(page for page in world.engine.state.pages.values() if page.kind == "help")
    door.box.says = Heard(answer=Answer(page=help.id, by="ana@shop.example", mark="m2"))
    assert (await door.call()).body == b"You come to help with incident #1."
    assert (world.incident(1).acknowledged_by, help.answered_at) == ("person:ben", world.now)


async def test_a_call_for_help_of_before_is_not_answered_for_the_trouble_of_today(door: Door) -> None:
    world = door.world
    world.asked(Acknowledge(actor="person:ben", incident=1))
    world.asked(AddResponders(actor="person:ben", incident=1, targets=("person:ana",)))
    help = next(page for page in world.engine.state.pages.values() if page.kind == "help")
    world.at("2m").resolves("Down", job="checkout").at("10m").fires("Down", job="checkout")
    world.asked(Acknowledge(actor="person:ben", incident=1))
    door.clock.now = lambda: world.now  # type: ignore[method-assign]  # as the world goes
    door.box.says = Heard(answer=Answer(page=help.id, by="ana@shop.example", mark="m2"))
    assert (await door.call()).body == b"Incident #1 was opened again since that page."
    assert (help.answered_at, world.incident(1).acknowledged_by) == (None, "person:ben")


async def test_a_drill_is_answered_in_the_channel(door: Door) -> None:
    world = door.world
    number = int(world.asked(StartDrill(actor="person:ana", person="ana")).id)
    door.box.says = Heard(answer=Answer(page=number, by="ana@shop.example", mark="m3"))
    assert (await door.call()).body == b"That is how to answer."
    assert world.engine.state.pages[number].answered_at == world.now


async def test_a_receipt_told_again_is_no_row_of_the_journal(door: Door) -> None:
    door.box.says = Heard(got=Got(page=1, receipt="delivered"))
    before = door.world.seq
    for _ in range(3):
        assert (await door.call()).status == 200
    assert door.world.seq == before + 1
    assert Receipted.__struct_config__.tag == "receipt"
    door.box.says = Heard(got=Got(page=99, receipt="seen"))
    await door.call()
    assert door.world.seq == before + 1


async def test_a_page_is_found_by_its_whole_id_or_by_where_it_was_said(door: Door) -> None:
    """Telegram's numbers are such that one's may begin another's."""
    state = door.world.engine.state
    first = state.pages[1]
    first.provider_id = "5/12"
    for page in (first, replace(first, id=2, provider_id="5/123"), replace(first, id=3, provider_id="55/1")):
        state.add_page(page)
    await asyncio.sleep(0)
    state.pages = None  # type: ignore[assignment]  # however many there are, anybody may write to a bot: none is looked at
    found = {said: [one.id for one in door.box.find(said)] for said in ("5/12", "5/123", "5/1", "5/", "55/", "5")}
    assert found == {"5/12": [1], "5/123": [2], "5/1": [], "5/": [1, 2], "55/": [3], "5": []}


def test_where_a_page_was_said_is_forgotten_with_it_and_follows_it_to_another_room() -> None:
    page = Page(
        id=1, incident=1, person="ana", channel="matrix", address="@ana:x", reason=Reason.STEP_DUE, intended_at=0,
        next_at=None, provider_id="!old:x/$1",
    )  # fmt: skip
    said = Said()
    said.note(page)
    page.provider_id = "!new:x/$2"
    said.note(page)
    assert (said.at("matrix", "!old:x/"), said.at("matrix", "!new:x/"), said.at("slack", "!new:x/")) == ([], [page], [])
    said.forget(page)
    assert not said._pages and not said._place_of


@pytest.mark.parametrize("asked", ["5/", "5/1"])
def test_what_was_said_in_a_chat_is_found_while_more_is_said_in_it(asked: str) -> None:
    """The writer's thread notes pages of the very chat that a listener asks about."""
    said = Said()

    class Sneaky(str):
        def startswith(self, *args: Any) -> bool:
            said.note(replace(page, id=page.id + 100))
            return super().startswith(*args)

        def __eq__(self, other: object) -> bool:
            said.note(replace(page, id=page.id + 200))
            return super().__eq__(other)

        __hash__ = str.__hash__

    page = Page(
        id=1, incident=1, person="ana", channel="telegram", address="5", reason=Reason.STEP_DUE, intended_at=0,
        next_at=None, provider_id="5/1",
    )  # fmt: skip
    said.note(page)
    page.provider_id = Sneaky("5/1")
    assert said.at("telegram", asked) == [page]
    assert len(said.at("telegram", "5/")) > 1


async def test_a_provider_that_cannot_be_listened_to_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FIRST_WAIT", 0.001)
    for error in (DeafError("it answers 401"), ZeroDivisionError("a fault of the channel")):
        one = Door()
        one.box.ends = error
        one.answers.replace({"email": one.box})
        async with asyncio.timeout(5):
            while one.box.listened < 3:
                await asyncio.sleep(0.001)
        await one.answers.close()


def says(door: Door, yes: bool, by: str = "ana@shop.example", mark: str = "w1") -> None:
    door.box.says = Heard(words=Words(by=by, mark=mark, yes=yes))


async def test_a_yes_without_a_number_is_for_what_was_said_last(door: Door) -> None:
    world = door.runs().world
    says(door, yes=True, by="eve@else.example")
    assert (await door.call()).body == b"", "a stranger is told nothing"
    world.at("30s").fires("Slow", job="search")
    door.at("30s")
    pages = [one.id for one in world.engine.state.pages.values() if one.address == "ana@shop.example"]
    says(door, yes=True)
    assert (await door.call()).body == f"Reply {pages[0]} or {pages[1]} to acknowledge.".encode()
    assert (await door.call()).body, "whoever says yes believes that they have it"
    door.at("2m")
    assert (await door.call()).body == f"Reply {pages[0]} or {pages[1]} to acknowledge.".encode(), "yes to which?"
    assert [world.incident(number).state for number in (1, 2)] == ["triggered", "triggered"]


async def test_two_that_are_said_in_a_row_answer_one(door: Door) -> None:
    """"On my way", "ok": the second is about no older page that nobody thought of."""
    world = door.runs().world
    world.at("30s").fires("Slow", job="search")
    door.at("2m")
    first = next(iter(world.engine.state.pages))
    says(door, yes=True)
    assert (await door.call()).body == b"You have incident #2."
    how = f"Reply {first} to acknowledge.".encode()
    for at, mark in (("2m1s", "w2"), ("2m2s", "w3")):
        door.at(at)
        says(door, yes=True, mark=mark)
        assert (await door.call()).body == how, "what was said last may be that they have #2"
    assert [world.incident(number).state for number in (1, 2)] == ["triggered", "acknowledged"]
    door.at("3m10s")
    says(door, yes=True, mark="w4")
    assert (await door.call()).body == b"You have incident #1.", "nothing else was asked, and that was long ago"
    says(door, yes=True, mark="w5")
    assert (await door.call()).body == b"", "nothing waits for an answer"


@pytest.mark.parametrize("how", ["is refused", "does not arrive"])
async def test_a_yes_takes_nothing_that_its_writer_never_read(door: Door, how: str) -> None:
    """The first page arrived; the second, in its own message, did not. It stays paged by other ways."""
    world = door.runs().world
    if how == "is refused":
        world.answers = lambda page: "failed address" if page.incident == 2 else "sent"
    door.at("2m")
    world.fires("Slow", job="checkout")
    door.at("3m")
    first, second = (world.rows(number, "ana")[0] for number in (1, 2))
    if how == "does not arrive":
        world.apply(Receipted(second.id, "failed", "30003: unreachable", "SM1"))
    assert second.state == "failed"
    door.at("4m30s")
    says(door, yes=True)
    assert (await door.call()).body == f"Reply {first.id} to acknowledge.".encode(), "it may be a yes to either"
    assert [world.incident(number).state for number in (1, 2)] == ["triggered", "triggered"]
    if how == "does not arrive":  # what is refused is tried again meanwhile
        door.at("6m")
        says(door, yes=True, mark="w2")
        assert (await door.call()).body == b"You have incident #1.", "that was asked last"


async def test_a_yes_that_was_not_taken_is_taken_when_it_is_said_again(monkeypatch: pytest.MonkeyPatch) -> None:
    door = Door()
    door.answers.replace({"email": door.box})
    door.runs()
    refused = [Result(ok=False, code="unavailable", message="Not now")]
    take = door.answers._submit

    async def submit(command: Acknowledge | AnswerDrill, key: str) -> Result:
        return refused.pop() if refused else await take(command, key)

    monkeypatch.setattr(door.answers, "_submit", submit)
    said = []
    for mark in ("w1", "w2"):
        says(door, yes=True, mark=mark)
        said.append((await door.call()).body)
    assert said == [b"Not now.", b"You have incident #1."]
    door.answers.replace({})
    await door.answers.close()


async def test_a_yes_to_a_notice_answers_no_page(door: Door) -> None:
    """Nor does one to what was said before Tocsin knew of it."""
    world = door.runs().world
    (page,) = (one.id for one in world.engine.state.pages.values() if one.address == "ana@shop.example")
    door.at("1m30s")
    door.answers.spoke("email", "ana@shop.example", 99)  # a notice, a code: whatever nobody answers
    door.at("4m")
    says(door, yes=True)
    assert (await door.call()).body == f"Reply {page} to acknowledge.".encode()
    assert world.incident(1).state == "triggered"
    other = Door()
    other.answers.replace({"email": other.box})
    other.clock.now = lambda: other.world.now  # type: ignore[method-assign]  # a restart: nothing was heard of what left
    says(other, yes=True)
    assert (await other.call()).body == f"Reply {page} to acknowledge.".encode()
    other.answers.replace({})
    await other.answers.close()


def bare(door: Door, mark: str, page: int = 0, **how: Any) -> Answer:
    """What a chat makes of a bare "ack" of Ana's, written now: it is for its newest page."""
    pages = [one.id for one in door.world.engine.state.pages.values() if one.address == "ana@shop.example"]
    return Answer(
        page=page or pages[-1], by="ana@shop.example", mark=mark, written=door.world.now, **how
    )  # fmt: skip


async def test_a_bare_ack_in_a_chat_answers_what_was_said_last_there(door: Door) -> None:
    door.runs()
    taken = await door.answers.take("email", bare(door, "w1"))
    assert (taken.ok, taken.said) == (True, "You have incident #1.")
    assert (await door.answers.take("email", bare(door, "w2"))).said == "You have incident #1.", "said twice"


async def test_a_bare_ack_in_a_chat_after_a_notice_answers_no_page(door: Door) -> None:
    """It may be about the notice, be that an hour after the page; a minute after they were asked it is an answer."""
    world = door.runs().world
    door.at("20s")
    door.answers.spoke("email", "ana@shop.example", 99)
    door.at("4m")
    taken = await door.answers.take("email", bare(door, "w1"))
    assert (taken.ok, taken.unclear, taken.again) == (False, True, False)
    assert taken.said == "Do you mean incident #1, Down fires?"
    assert world.incident(1).state == "triggered"
    named = Answer(page=bare(door, "").page, by="ana@shop.example", mark="w2")
    door.at("4m10s")
    assert (await door.answers.take("email", bare(door, "w3"))).unclear, "they may not have read it"
    door.at("5m20s")
    assert (await door.answers.take("email", bare(door, "w4"))).ok
    assert (await door.answers.take("email", named)).ok, "a reply names its page"


async def test_a_bare_ack_in_a_chat_is_about_nothing_that_came_after_it(door: Door) -> None:
    """Where the chat knows the order it counts; what was taken and is told again is not doubted."""
    world = door.runs().world
    first = bare(door, "w1")
    world.at("20s").fires("Slow", job="search")
    door.at("21s")
    second = bare(door, "").page
    assert second != first.page
    assert (await door.answers.take("email", first)).unclear
    known = bare(door, "w2", first.page, later=(second,))
    assert (await door.answers.take("email", known)).said == "You have incident #1."
    assert world.incident(2).state == "triggered"
    door.answers.spoke("email", "ana@shop.example", 99)
    assert (await door.answers.take("email", known)).said == "You have incident #1."


async def test_a_bare_ack_in_a_chat_answers_all_that_one_message_told_of(door: Door) -> None:
    """Whichever of its pages the chat knows the message by."""
    world = door.runs().world
    for number in range(5):
        world.at(f"{number + 1}s").fires("Slow", job="search", region=str(number))
    door.at("2m")
    last = [row for row in world.engine.state.pages.values() if row.address == "ana@shop.example"][-1]
    assert last.bundle not in (0, last.id) and world.engine.state.pages[last.bundle].incident != last.incident
    taken = await door.answers.take("email", bare(door, "w1", last.id))
    assert taken.ok, taken.said
    assert world.incident(last.incident).state == "acknowledged"


async def test_what_was_written_in_a_chat_while_tocsin_was_down_is_for_the_newest_page(door: Door) -> None:
    """Nothing is known of what was said before it began. What is written later is asked about."""
    world = door.world
    door.clock.now = lambda: world.now  # type: ignore[method-assign]
    written = bare(door, "w1")
    world.at("3m")
    door.answers = Answers(lambda: world.engine.state, door.submit, door.apply, door.clock, "https://tocsin.example")
    door.answers.replace({"email": door.box})
    world.at("6m")
    assert (await door.answers.take("email", bare(door, "w2", written.page))).unclear
    assert (await door.answers.take("email", written)).ok


async def test_who_mistypes_a_number_is_told_the_right_one_once_and_a_stranger_nothing(door: Door) -> None:
    """They believe that they have it."""
    (page,) = (one.id for one in door.world.engine.state.pages.values() if one.address == "ana@shop.example")
    for wrong in (page + 900, 10**9):
        answer = Answer(page=wrong, by="ana@shop.example", mark="w1", typed=True)
        taken = await door.answers.take("email", answer)
        assert (taken.ok, taken.stranger) == (False, False)
        assert taken.said == f"{wrong} is no page of yours. Reply {page} to acknowledge."
        assert (await door.answers.take("email", answer)).stranger, "a machine that answers by itself ends there"
    assert door.world.incident(1).state == "triggered"
    answer = Answer(page=page, by="eve@else.example", mark="w2", typed=True)
    assert (await door.answers.take("email", answer)).stranger


async def test_who_says_something_else_is_told_once_how_to_answer(door: Door) -> None:
    (page,) = (one.id for one in door.world.engine.state.pages.values() if one.address == "ana@shop.example")
    says(door, yes=False)
    assert (await door.call()).body == f"Reply {page} to acknowledge.".encode()
    assert (await door.call()).body == b""
    assert door.world.incident(1).state == "triggered"
