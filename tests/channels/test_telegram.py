"""The Telegram channel against a stand-in made of aiogram's models, beside its own client, and one that misbehaves."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from aiogram import Bot
from aiogram.client.session.aiohttp import AiohttpSession
from aiogram.client.telegram import TelegramAPIServer
from aiogram.types import InlineKeyboardButton, InlineKeyboardMarkup, LinkPreviewOptions, MessageEntity

from tests.channels.words import page
from tests.support.catcher import Catcher, Reply
from tests.support.ports import free_port
from tests.support.telegram import TOKEN, Refusal, TelegramServer, running_telegram
from tests.support.waiting import eventually
from tocsin.kernel.instant import SECOND
from tocsin.pages import rendering
from tocsin.pages.answers import Answer, Call, DeafError, Got, Heard, Listening, Taken
from tocsin.pages.channels.setup import Setup
from tocsin.pages.channels.telegram_bot import HOW, LONGEST, WHICH, TelegramByAsking, TelegramByWebhook
from tocsin.pages.contacts import checked_address
from tocsin.pages.ledger import Page
from tocsin.pages.message import Failed, Sent
from tocsin.pages.profile import BadAddress
from tocsin.pages.profiles import profiles
from tocsin.pages.templates import Words
from tocsin.runtime.outbound import Outbound

ANA, BEN = 8_412_345_678, 77_000_111
SECRETS = {"secret:bot": TOKEN, "secret:hook": "a-webhook-secret_of-24ch"}


def telegram(server: str, token: str = TOKEN, **more: str) -> Any:
    """The channel as the wiring makes it."""
    said = {"telegram": {"server": server, "token": "secret:bot", **more}}
    secrets = {**SECRETS, "secret:bot": token}
    made = profiles()["telegram"].make(Setup(Outbound(), secrets.__getitem__, channels=said, public_url="https://t.example"))
    assert made is not None
    return made


@pytest.fixture
def bot_api() -> Iterator[TelegramServer]:
    """Ana has talked to the bot."""
    with running_telegram(waits=0.2) as running:
        running.knows(ANA)
        yield running


def test_a_plan_without_it_has_no_such_channel() -> None:
    assert profiles()["telegram"].make(Setup(Outbound(), dict[str, str]().__getitem__)) is None


async def test_a_page_has_a_button_and_is_asked_for_as_aiograms_client_asks(bot_api: TelegramServer) -> None:
    title = "Checkout <b>answers</b> 503 & 🔥 hangs"
    message = page(address=str(ANA), title=title, tried=("Restarted checkout-2: it hangs again",))
    sent = await telegram(bot_api.url + "/").send(message)
    ours = bot_api.calls[-1].body
    number = max(number for _, number in bot_api.messages)
    assert sent == Sent(f"{ANA}/{number}")
    for told in (title, "Code tried: Restarted checkout-2", HOW, "https://tocsin.example/page/abc123"):
        assert told in ours["text"]
    head = rendering.subject(message)
    assert ours["text"].partition("\n")[0] == head
    async with AiohttpSession(api=TelegramAPIServer.from_base(bot_api.url)) as session:
        button = InlineKeyboardButton(text="Acknowledge", callback_data="ack:34")
        await Bot(TOKEN, session).send_message(
            ANA, ours["text"], disable_notification=False,
            entities=[MessageEntity(type="bold", offset=0, length=len(head) + 1)],  # the fire is two of its units
            link_preview_options=LinkPreviewOptions(is_disabled=True),
            reply_markup=InlineKeyboardMarkup(inline_keyboard=[[button]]),
        )  # fmt: skip
    theirs = bot_api.calls[-1].body
    assert ours == {**theirs, "chat_id": int(theirs["chat_id"])}


async def test_a_notice_makes_no_sound_and_has_no_button(bot_api: TelegramServer) -> None:
    await telegram(bot_api.url).send(page(address=str(ANA), kind="notice", acknowledge_url=""))
    body = bot_api.calls[-1].body
    assert body["disable_notification"] is True
    assert "reply_markup" not in body and HOW not in body["text"]


async def test_an_update_changes_the_message_and_takes_its_button(bot_api: TelegramServer) -> None:
    channel = telegram(bot_api.url)
    first = await channel.send(page(address=str(ANA)))
    place = ANA, int(first.provider_id.partition("/")[2])
    assert "reply_markup" in bot_api.messages[place]
    update = page(address=str(ANA), kind="update", state="acknowledged", who="Ana", replaces=first.provider_id)
    for _ in range(2):  # one that is told again, after a crash, is no failure
        assert await channel.send(update) == first
        assert "Ana has it." in bot_api.messages[place]["text"]
        assert "reply_markup" not in bot_api.messages[place]
    assert await channel.send(page(kind="update", address=str(ANA), replaces="")) == Sent()


async def test_an_update_of_a_message_that_was_deleted_is_said_anew_without_a_sound(bot_api: TelegramServer) -> None:
    """A refused edit must not count as the chat's failure: its method would be marked."""
    channel = telegram(bot_api.url)
    first = await channel.send(page(address=str(ANA)))
    bot_api.deletes(ANA, int(first.provider_id.partition("/")[2]))
    again = await channel.send(page(address=str(ANA), kind="update", state="resolved", replaces=first.provider_id))
    assert isinstance(again, Sent) and again != first
    assert bot_api.calls[-1].body["disable_notification"] is True


async def test_what_is_too_long_keeps_its_link(bot_api: TelegramServer) -> None:
    long = Words(text="🔥" * 1_500 + " $title " + "x" * 1_990)
    sent = await telegram(bot_api.url).send(page(address=str(ANA), words=long))
    text = bot_api.calls[-1].body["text"]
    assert isinstance(sent, Sent)
    assert len(text.encode("utf-16-le")) == 2 * LONGEST
    assert text.endswith("…\nhttps://tocsin.example/page/abc123")


async def test_whose_chat_it_is_not_is_the_addresss_own_fault(bot_api: TelegramServer) -> None:
    stranger = await telegram(bot_api.url).send(page(address="5551"))
    assert stranger.permanent and stranger.code == "address"
    assert "send /start to the bot first" in stranger.error
    bot_api.knows(5552)
    bot_api.blocks(5552)
    blocked = await telegram(bot_api.url).send(page(address="5552"))
    assert (blocked.code, blocked.permanent) == ("address", True)
    assert "bot was blocked by the user" in blocked.error


@pytest.mark.parametrize(
    ("refusal", "code", "permanent", "wait"),
    [
        (Refusal(429, "Too Many Requests: retry after 7", 7), "rate_limit", False, 7 * SECOND),
        (Refusal(429, "Too Many Requests: retry after 99999", 99_999), "rate_limit", False, 3_600 * SECOND),
        (Refusal(500, "Internal Server Error"), "server", False, None),
        (Refusal(400, "Bad Request: can't parse entities"), "server", True, None),
        (Refusal(400, "Bad Request: chat not found"), "address", True, None),
        (Refusal(403, "Forbidden: user is deactivated"), "address", True, None),
        (Refusal(404, "Not Found"), "auth", True, None),
    ],
)
async def test_what_a_refusal_means(
    bot_api: TelegramServer, refusal: Refusal, code: str, permanent: bool, wait: int | None
) -> None:
    bot_api.refuse("sendMessage", refusal)
    answer = await telegram(bot_api.url).send(page(address=str(ANA)))
    assert (answer.code, answer.permanent, answer.retry_after) == (code, permanent, wait)
    assert refusal.description in answer.error


@pytest.mark.parametrize(
    ("reply", "code", "permanent"),
    [
        (Reply(429, headers={"Retry-After": "7"}), "rate_limit", False),
        (Reply(502, "<html>"), "server", False),
        (Reply(200, "no JSON"), "server", False),
        (Reply(200, "[]"), "server", False),
        (Reply(200, '{"ok": true, "result": true}'), "server", False),
        (Reply(200, '{"ok": false}'), "server", True),
        (Reply(404, "<html>no such page"), "server", False),
        (Reply(302, headers={"Location": "https://elsewhere.example"}), "server", True),
        (Reply(reset=True), "unreachable", False),
    ],
)
async def test_what_another_answer_means(catcher: Catcher, reply: Reply, code: str, permanent: bool) -> None:
    """None of it is the address's fault, and none of it names the token."""
    catcher.default = reply
    answer = await telegram(catcher.url).send(page(address=str(ANA)))
    assert isinstance(answer, Failed)
    assert (answer.code, answer.permanent) == (code, permanent)
    assert answer.retry_after == (7 * SECOND if code == "rate_limit" else None)


async def test_a_server_that_never_answers_is_given_up(catcher: Catcher, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tocsin.pages.channels.telegram_bot.DEADLINE", 0.2)
    monkeypatch.setattr(TelegramByAsking._ask, "__defaults__", (0.2,))
    catcher.default = Reply(delay=30)
    answer = await telegram(catcher.url).send(page(address=str(ANA)))
    assert (answer.code, answer.permanent) == ("deadline", False)


async def test_the_token_stands_in_no_error(bot_api: TelegramServer, catcher: Catcher) -> None:
    catcher.default = Reply(400, json.dumps({"ok": False, "error_code": 400, "description": f"no /bot{TOKEN}/x"}))
    elsewhere = "987654321:AAElsewhereElsewhereElsewhere"
    answers = [
        await telegram(catcher.url).send(page(address=str(ANA))),
        await telegram(f"http://127.0.0.1:{free_port()}").send(page(address=str(ANA))),
        await telegram(bot_api.url, elsewhere).send(page(address=str(ANA))),
        await telegram(bot_api.url, "something else/../entirely").send(page(address=str(ANA))),
    ]
    assert [answer.permanent for answer in answers] == [True, False, True, True]
    assert [answer.code for answer in answers] == ["server", "unreachable", "auth", "auth"]
    for answer in answers:
        assert TOKEN not in answer.error and elsewhere not in answer.error and "entirely" not in answer.error
    assert "no /bot…/x" in answers[0].error


async def test_a_token_that_cannot_be_had_is_said(catcher: Catcher) -> None:
    said = {"telegram": {"server": catcher.url, "token": "secret:elsewhere"}}
    channel = profiles()["telegram"].make(Setup(Outbound(), dict[str, str]().__getitem__, channels=said))
    assert channel is not None
    answer = await channel.send(page(address=str(ANA)))
    assert isinstance(answer, Failed)
    assert (answer.code, answer.permanent) == ("auth", True)
    assert "secret:elsewhere" in answer.error
    assert not catcher.requests


@pytest.mark.parametrize("address", ["-1001234567890", "@ana", "0123", "ana", "12345678901234567", "１２３４"])
def test_only_a_persons_own_chat_is_an_address(address: str) -> None:
    assert checked_address("telegram", f" {ANA} ") == str(ANA)
    with pytest.raises(BadAddress, match="/start"):
        checked_address("telegram", address)


# -- what people answer ------------------------------------------------------------------------------------------------


class Desk:
    """Takes answers as Tocsin does; `pages` by provider id are what was sent."""

    def __init__(self, *pages: Page) -> None:
        self.pages, self.taken, self.said = list(pages), list[Answer](), Taken(True, "You have incident #1.")
        self.fails = 0

    async def take(self, told: Answer | Got) -> Taken:
        if self.fails:
            self.fails -= 1
            raise OSError("the database is away")
        assert isinstance(told, Answer)
        self.taken.append(told)
        return self.said

    def find(self, provider_id: str) -> list[Page]:
        return [p for p in self.pages if p.provider_id == provider_id or (
            provider_id.endswith("/") and p.provider_id.startswith(provider_id))]  # fmt: skip


def sent(number: int, provider_id: str, **other: Any) -> Page:
    return Page(
        id=number, incident=1, person="ana", channel="telegram", address=str(ANA), reason="step_due",  # type: ignore[arg-type]
        intended_at=0, next_at=None, state="sent", provider_id=provider_id, **other,
    )  # fmt: skip


async def listened(bot_api: TelegramServer, desk: Desk, until: Callable[[], Any], **how: Any) -> None:
    """Listen until something is so, and what was heard was confirmed by the next question."""
    channel = telegram(bot_api.url, **how)
    assert isinstance(channel, Listening)
    task = asyncio.create_task(channel.listen(desk.take, desk.find))
    try:
        await asyncio.to_thread(eventually, lambda: task.done() or until(), within=10, what="it to be heard")
        polls = bot_api.polls
        await asyncio.to_thread(eventually, lambda: task.done() or how or bot_api.polls > polls, what="a question")
    finally:
        task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    if not task.cancelled() and (error := task.exception()):
        raise error


async def test_a_press_is_taken_and_heard_and_what_was_taken_is_not_told_again(bot_api: TelegramServer) -> None:
    first = await telegram(bot_api.url).send(page(address=str(ANA)))
    desk, message = Desk(), int(first.provider_id.partition("/")[2])
    press = bot_api.presses(ANA, message)
    desk.fails = 1
    with pytest.raises(OSError, match="away"):
        await listened(bot_api, desk, lambda: False)
    assert not desk.taken
    await listened(bot_api, desk, lambda: bot_api.asked("answerCallbackQuery"))
    assert desk.taken == [Answer(page=34, by=str(ANA), mark=f"press/{press}")], "it was told again"
    (heard,) = bot_api.asked("answerCallbackQuery")
    assert heard == {"callback_query_id": press, "text": "You have incident #1.", "show_alert": False}
    await listened(bot_api, desk, lambda: True)
    assert len(desk.taken) == 1, "the next question confirmed it"


async def test_a_press_that_does_not_count_is_told_to_whoever_pressed(bot_api: TelegramServer) -> None:
    """What a press says can be made up: the page it names is looked up, and who presses is who Telegram says."""
    first = await telegram(bot_api.url).send(page(address=str(ANA)))
    desk, message = Desk(), int(first.provider_id.partition("/")[2])
    desk.said = Taken(False, "This page is for somebody else.", stranger=True)
    before = len(bot_api.asked("answerCallbackQuery"))
    bot_api.presses(BEN, message, chat=ANA)
    bot_api.presses(BEN, message, chat=ANA, data="ack:99999999999999999999999")
    bot_api.presses(BEN, message, chat=ANA, data="ack:１２")
    bot_api.presses(BEN, message, chat=ANA, data="another button")
    await listened(bot_api, desk, lambda: len(bot_api.asked("answerCallbackQuery")) == before + 4)
    assert [(one.page, one.by) for one in desk.taken] == [(34, str(BEN)), (0, str(BEN)), (0, str(BEN)), (0, str(BEN))]
    assert bot_api.asked("answerCallbackQuery")[-1]["show_alert"] is True


async def test_a_reply_that_says_ack_answers_its_page_and_a_bare_one_the_newest(bot_api: TelegramServer) -> None:
    first, second = [await telegram(bot_api.url).send(page(address=str(ANA), page=n)) for n in (34, 35)]
    desk = Desk(sent(34, first.provider_id), sent(35, second.provider_id))
    message = int(first.provider_id.partition("/")[2])
    reply = bot_api.writes(ANA, "Ack!", reply_to=message)
    bare = bot_api.writes(ANA, "👍🏽")
    await listened(bot_api, desk, lambda: len(bot_api.asked("sendMessage")) == 4)
    named, newest = desk.taken
    assert named == Answer(page=34, by=str(ANA), mark=f"said/{ANA}/{reply}"), "nothing is to be doubted"
    assert newest == Answer(page=35, by=str(ANA), mark=f"said/{ANA}/{bare}", written=newest.written)
    assert newest.written % SECOND == 0 < newest.written
    told = bot_api.asked("sendMessage")[2:]
    assert {one["reply_parameters"]["message_id"] for one in told} == {reply, bare}
    assert {one["text"] for one in told} == {"You have incident #1."}


async def test_a_bare_ack_is_for_no_page_that_came_after_it_however_late_it_is_read(bot_api: TelegramServer) -> None:
    """Read after the second page left, it must not take an incident that nobody has seen."""
    first = await telegram(bot_api.url).send(page(address=str(ANA)))
    bare = bot_api.writes(ANA, "ack")
    second = await telegram(bot_api.url).send(page(address=str(ANA), page=35))
    desk = Desk(sent(34, first.provider_id), sent(35, second.provider_id))
    await listened(bot_api, desk, lambda: len(bot_api.asked("sendMessage")) == 3)
    (taken,) = desk.taken
    assert (taken.page, taken.mark, taken.later) == (34, f"said/{ANA}/{bare}", (35,))


async def test_who_wrote_what_may_mean_nothing_there_is_told_how_a_page_is_named(bot_api: TelegramServer) -> None:
    first = await telegram(bot_api.url).send(page(address=str(ANA)))
    desk = Desk(sent(34, first.provider_id))
    desk.said = Taken(False, "Do you mean incident #1, Down?", unclear=True)
    bot_api.writes(ANA, "ack")
    await listened(bot_api, desk, lambda: len(bot_api.asked("sendMessage")) == 2)
    assert bot_api.asked("sendMessage")[-1]["text"] == f"Do you mean incident #1, Down? {WHICH}"


async def test_what_cannot_be_taken_now_is_not_confirmed_and_holds_up_no_other(
    bot_api: TelegramServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tocsin.pages.channels.telegram_bot._AGAIN", 0.05)
    first = await telegram(bot_api.url).send(page(address=str(ANA)))
    message = int(first.provider_id.partition("/")[2])
    desk = Desk(sent(34, first.provider_id))
    desk.said = Taken(False, "Nothing was changed.", again=True)
    press = bot_api.presses(ANA, message)
    bot_api.starts(BEN)
    await listened(bot_api, desk, lambda: len(desk.taken) >= 3)
    said = bot_api.writes(ANA, "ack")
    tries = len(desk.taken)
    await listened(bot_api, desk, lambda: len(desk.taken) >= tries + 4)
    assert {one.mark for one in desk.taken} == {f"press/{press}", f"said/{ANA}/{said}"}, "what is behind it is heard"
    assert [one["text"] for one in bot_api.asked("answerCallbackQuery")] == ["Nothing was changed."] * 2, "once a start"
    desk.said, tries = Taken(True, "You have incident #1."), len(desk.taken)
    await listened(bot_api, desk, lambda: len(desk.taken) >= tries + 2)
    tries = len(desk.taken)
    await listened(bot_api, desk, lambda: True)
    assert len(desk.taken) == tries, "then it is confirmed"


async def test_as_many_as_telegram_tells_at_once_do_not_wait_behind_one(
    catcher: Catcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tocsin.pages.channels.telegram_bot._AGAIN", 0.01)
    presses = [
        {"update_id": n, "callback_query": {"id": str(n), "from": {"id": ANA}, "data": "ack:34"}} for n in range(1, 101)
    ]
    told = [Reply(200, json.dumps({"ok": True, "result": one})) for one in (True, presses[:1], presses)]
    yes = Reply(200, '{"ok": true, "result": true}')
    catcher.replies.extend([*told[:2], yes, told[2], *[yes] * 99])
    catcher.default = Reply(200, '{"ok": true, "result": []}')
    desk = Desk()
    desk.said = Taken(False, "Nothing was changed.", again=True)
    task = asyncio.create_task(telegram(catcher.url).listen(desk.take, desk.find))
    asked = await asyncio.to_thread(catcher.wait_for, 104)
    task.cancel()
    polls = [one.json().get("offset") for one in asked if one.path.endswith("/getUpdates")]
    assert polls[:3] == [None, 1, 101]


async def test_words_for_strangers_leave_pages_their_rate(bot_api: TelegramServer) -> None:
    """A batch follows a batch at once, so it is time that counts; and nothing is said while pages leave or wait."""
    channel = telegram("https://api.example", **{"webhook secret": "secret:hook"})

    def spoken() -> int:
        chat = {"id": 9, "type": "private"}
        started = {"message_id": 1, "date": 1, "chat": chat, "from": {"id": 9}, "text": "/start"}
        heard = [channel.hear(called({"update_id": n, "message": started})) for n in range(200)]
        assert {one.reply.status for one in heard} == {200}, "posted again it would come on top"
        return sum(bool(one.reply.body) for one in heard)

    assert spoken() == 10
    by_asking = telegram(bot_api.url)
    assert by_asking._may_speak()
    leaving = asyncio.create_task(by_asking.send(page(address=str(ANA))))
    await asyncio.sleep(0)
    assert not by_asking._may_speak(), "a page is on its way"
    await leaving
    assert by_asking._may_speak()
    bot_api.refuse("sendMessage", Refusal(429, "Too Many Requests: retry after 7", 7))
    await by_asking.send(page(address=str(ANA)))
    assert not by_asking._may_speak(), "Telegram asked to wait"


async def test_what_is_no_answer_is_said_to_be_none_or_left_alone(bot_api: TelegramServer) -> None:
    first = await telegram(bot_api.url).send(page(address=str(ANA)))
    about = int(first.provider_id.partition("/")[2])
    later = sent(34, f"{ANA}/{10**6}")
    desk, before = Desk(later), len(bot_api.asked("sendMessage"))
    bot_api.knows(-100_500, BEN)
    bot_api.writes(BEN, "ack", chat=-100_500, kind="supergroup")
    bot_api.writes(BEN, "what is this bot")
    bot_api.writes(ANA, "ack")
    await listened(bot_api, desk, lambda: len(bot_api.asked("sendMessage")) > before)
    assert bot_api.asked("sendMessage")[-1]["text"] == "There is no page here to acknowledge."
    assert {one["chat_id"] for one in bot_api.asked("sendMessage")} == {ANA}, "nobody else was spoken to"
    desk.pages = [sent(34, first.provider_id)]
    bot_api.writes(ANA, "on my way", reply_to=about)
    await listened(bot_api, desk, lambda: len(bot_api.asked("sendMessage")) > before + 1)
    assert bot_api.asked("sendMessage")[-1]["text"] == f"That is no answer to a page. {HOW}"
    assert not desk.taken


async def test_who_says_start_is_told_the_number_and_a_flood_of_them_delays_no_answer(bot_api: TelegramServer) -> None:
    first = await telegram(bot_api.url).send(page(address=str(ANA)))
    before = len(bot_api.asked("sendMessage"))
    for stranger in range(4_000, 4_030):
        bot_api.starts(stranger)
    press = bot_api.presses(ANA, int(first.provider_id.partition("/")[2]))
    desk = Desk()
    await listened(bot_api, desk, lambda: len(bot_api.asked("sendMessage")) >= before + 10)
    assert [one.mark for one in desk.taken] == [f"press/{press}"]
    told = bot_api.asked("sendMessage")[before:]
    assert len(told) == 10, "the others may ask again"
    (first_told,) = [one["text"] for one in told if one["chat_id"] == 4_000]
    assert "is 4000." in first_told
    assert "t.example" not in first_told, "anybody may ask"


async def test_a_server_that_does_not_wait_is_not_asked_without_end(
    catcher: Catcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tocsin.pages.channels.telegram_bot._PAUSE", 0.2)
    catcher.default = Reply(200, '{"ok": true, "result": []}')
    task = asyncio.create_task(telegram(catcher.url).listen(Desk().take, Desk().find))
    asked = await asyncio.to_thread(catcher.wait_for, 4)
    task.cancel()
    assert asked[3].at - asked[1].at > 0.35


async def test_who_cannot_be_listened_to_is_told_of(bot_api: TelegramServer, catcher: Catcher) -> None:
    bot_api.refuse("getUpdates", Refusal(409, "Conflict: terminated by other getUpdates request"))
    with pytest.raises(DeafError, match="terminated by other"):
        await listened(bot_api, Desk(), lambda: False)
    catcher.default = Reply(200, '{"ok": true, "result": {"what": "is this"}}')
    with pytest.raises(DeafError, match="`server` right"):
        await asyncio.wait_for(telegram(catcher.url).listen(Desk().take, Desk().find), 10)


async def test_an_update_that_cannot_be_read_holds_up_no_other(catcher: Catcher) -> None:
    good = {"id": "7", "from": {"id": ANA}, "data": "ack:34"}
    updates = [
        {"update_id": 1, "callback_query": {"id": ["not", "one"]}},
        {"update_id": 2, "message": "text"},
        {"update_id": 3, "message": None},
        {"update_id": 4, "poll": {}},
        {"update_id": 5, "callback_query": good},
    ]
    answers = [Reply(200, json.dumps({"ok": True, "result": one})) for one in (True, updates)]
    catcher.replies.extend(answers)
    catcher.default = Reply(200, '{"ok": true, "result": []}')
    desk = Desk()
    task = asyncio.create_task(telegram(catcher.url).listen(desk.take, desk.find))
    asked = await asyncio.to_thread(catcher.wait_for, 4)
    task.cancel()
    assert [one.mark for one in desk.taken] == ["press/7"]
    assert asked[2].path.endswith("/answerCallbackQuery")
    assert asked[3].json()["offset"] == 6


# -- the webhook -------------------------------------------------------------------------------------------------------


def called(body: Any, secret: str = SECRETS["secret:hook"]) -> Call:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    headers = {"x-telegram-bot-api-secret-token": secret}
    return Call(url="https://t.example/callbacks/telegram", path="", headers=headers, body=raw, now=0)


async def test_by_webhook_telegram_is_told_where_and_with_what(bot_api: TelegramServer) -> None:
    how = {"webhook secret": "secret:hook"}
    await listened(bot_api, Desk(), lambda: bot_api.asked("getWebhookInfo"), **how)
    (told,) = bot_api.asked("setWebhook")
    assert told["url"] == "https://t.example/callbacks/telegram"
    assert told["secret_token"] == SECRETS["secret:hook"]
    assert told["allowed_updates"] == ["message", "callback_query"]
    await listened(bot_api, Desk(), lambda: bot_api.asked("deleteWebhook") and not bot_api.webhook)


async def test_what_did_not_come_with_the_secret_changes_nothing() -> None:
    channel = telegram("https://api.example", **{"webhook secret": "secret:hook"})
    assert isinstance(channel, TelegramByWebhook)
    press = {"update_id": 1, "callback_query": {"id": "7", "from": {"id": ANA}, "data": "ack:34"}}
    for secret in ("", "another secret", "ü", SECRETS["secret:hook"] + "x"):
        refused = channel.hear(called(press, secret))
        assert not isinstance(refused, Heard) and refused.status == 401
    heard = channel.hear(called(press))
    assert isinstance(heard, Heard)
    assert heard.answer == Answer(page=34, by=str(ANA), mark="press/7")
    thanked = await channel.thank(heard.answer, Taken(True, "You have incident #1."))
    assert json.loads(thanked.body)["method"] == "answerCallbackQuery"
    for garbage in (b"", b"{", b"[]", b'{"update_id": "x"}', b"\xff"):
        refused = channel.hear(called(garbage))
        assert not isinstance(refused, Heard) and refused.status == 400
    started = {"message_id": 1, "date": 1, "chat": {"id": 9, "type": "private"}, "from": {"id": 9}, "text": "/start"}
    welcomed = channel.hear(called({"update_id": 2, "message": started}))
    assert isinstance(welcomed, Heard)
    assert json.loads(welcomed.reply.body)["chat_id"] == 9


async def test_what_a_webhook_cannot_take_now_is_refused_and_said_once(bot_api: TelegramServer) -> None:
    channel = telegram(bot_api.url, **{"webhook secret": "secret:hook"})
    first = await telegram(bot_api.url).send(page(address=str(ANA)))
    press = bot_api.presses(ANA, int(first.provider_id.partition("/")[2]))
    answer = Answer(page=34, by=str(ANA), mark=f"press/{press}")
    not_now = Taken(False, "Nothing was changed.", again=True)
    assert [(await channel.thank(answer, not_now)).status for _ in range(3)] == [503] * 3
    assert [one["text"] for one in bot_api.asked("answerCallbackQuery")] == ["Nothing was changed."]
    thanked = await channel.thank(answer, Taken(True, "You have incident #1."))
    assert (thanked.status, json.loads(thanked.body)["text"]) == (200, "You have incident #1.")


async def test_a_webhook_secret_that_can_be_guessed_is_not_used() -> None:
    said = {"telegram": {"token": "secret:bot", "webhook secret": "secret:hook"}}
    for weak in ("", "short", "with spaces in it, which is no good"):
        channel = profiles()["telegram"].make(Setup(Outbound(), {"secret:hook": weak}.__getitem__, channels=said))
        assert isinstance(channel, TelegramByWebhook)
        with pytest.raises(DeafError, match="secret:hook has to have"):
            await asyncio.wait_for(channel.listen(Desk().take, Desk().find), 10)
        refused = channel.hear(called({"update_id": 1}, weak))
        assert not isinstance(refused, Heard) and refused.status == 401


async def test_a_webhook_that_telegram_cannot_reach_is_told_of(catcher: Catcher) -> None:
    info = {"url": "https://t.example/callbacks/telegram", "pending_update_count": 2, "last_error_message": "timed out"}
    catcher.replies.append(Reply(200, '{"ok": true, "result": true}'))
    catcher.default = Reply(200, json.dumps({"ok": True, "result": info}))
    channel = telegram(catcher.url, **{"webhook secret": "secret:hook"})
    with pytest.raises(DeafError, match=r"cannot post answers to .*timed out"):
        await asyncio.wait_for(channel.listen(Desk().take, Desk().find), 10)
