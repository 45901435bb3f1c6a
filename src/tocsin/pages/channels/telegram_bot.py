"""Telegram: a page as a message of the plan's bot, with a button that acknowledges; a reply that says ack does too.

A bot may write to whoever has written to it: people send it ``/start``, are told their chat's number, and add that in
Tocsin, where a code proves it. Only a person's own chat with the bot counts, so its number is also the user's, and
nobody else can press there. When somebody has the incident and when it is over the message says so instead of the
button. A page's provider id is ``chat/message``.

Answers are asked for (``getUpdates``), which needs no address on the internet; with a webhook secret Telegram posts
them to ``/callbacks/telegram`` instead. Telegram keeps what was not taken for a day. The bot's token is a part of every
address that is asked: none of those stands in an error or a log.
"""

from __future__ import annotations

import asyncio
import hmac
import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import msgspec

from tocsin.intake.request import Reply
from tocsin.kernel.buckets import Bucket
from tocsin.kernel.instant import SECOND, Instant
from tocsin.kernel.outside import Answer as Answered
from tocsin.kernel.outside import Unanswered
from tocsin.pages import rendering
from tocsin.pages.answers import Answer, Call, DeafError, Find, Heard, Take, Taken
from tocsin.pages.channels.consent import says_yes
from tocsin.pages.channels.replies import host, replied, retry_after
from tocsin.pages.channels.setup import DEADLINE, Setup, no_secret
from tocsin.pages.ledger import Page
from tocsin.pages.message import Failed, Message, Sent
from tocsin.pages.pace import Pace

SERVER = "https://api.telegram.org"
HOW = "Press Acknowledge, or reply “ack”."
WHICH = "Press Acknowledge under its page, or reply “ack” to that."
LONGEST = 4_096
"""What a message may have, in UTF-16 units, as Telegram counts."""
_ACKNOWLEDGE = re.compile(r"ack:([0-9]{1,18})")
_TOKEN = re.compile(r"[0-9]{1,20}:[A-Za-z0-9_-]{10,128}")
_WEBHOOK_SECRET = re.compile(r"[A-Za-z0-9_-]{16,256}")
_KINDS = ["message", "callback_query"]
_POLL = 30
"""Seconds Telegram waits for news before it answers that there is none."""
_PAUSE = 1.0
"""Seconds between two questions to a server that does not wait."""
_LONGEST_REST = 60.0
"""Seconds it is not asked at most when it asked for that: somebody may be answering a page."""
_AGAIN = 2.0
"""Seconds until what was not taken now is asked for again."""
_AT_ONCE = 100
"""The most that Telegram tells at once, and so many wait at most for what is before them to be taken."""
_READ = 4 * 1024 * 1024
_WITHIN = 3.0
"""Seconds a person may have to be told what came of their answer: what others say waits meanwhile."""
_WORDS = Pace(rate=1.0, burst=10)
"""So often those are spoken to that did not answer a page. Anybody can write to a bot, which may say about 30 things a
second to all together, and pages need those.
"""
_MOST_PUT_OFF = 1_000
_LOOKED_AFTER = 60.0
"""Seconds between two looks at whether Telegram reaches the webhook."""
_THE_ADDRESS = re.compile(r"chat not found|user not found|peer_id_invalid")
_STRANGER = re.compile(r"chat not found|can't initiate conversation")
_NOT_THERE = re.compile(r"message to edit not found|message can't be edited|message_id_invalid")


def channel(setup: Setup) -> Telegram | None:
    """None when the plan sets up no bot. One with a webhook secret is called instead of asking."""
    said = setup.channels.get("telegram")
    if said is None:
        return None
    return TelegramByWebhook(setup, said) if "webhook secret" in said else TelegramByAsking(setup, said)


class Telegram:
    """Sends as one bot. Telegram drops no repetitions, so a message sent again is marked as such."""

    name = "telegram"
    idempotent = False
    real = True

    def __init__(self, setup: Setup, said: Mapping[str, str]) -> None:
        self._outside, self._secret, self._public_url = setup.outside, setup.secret, setup.public_url
        self._token = said["token"]
        self._server = said.get("server", SERVER).rstrip("/")
        self._words, self._leaving, self._rests_until = Bucket(_WORDS, 0), 0, 0.0
        self._put_off: set[str] = set()
        """Marks of answers that could not be taken when they came, whose people know it."""

    async def send(self, message: Message) -> Sent | Failed:
        """Say it, or change what was said; what was deleted meanwhile is said anew, without a sound."""
        self._leaving += 1
        try:
            return await self._send(message)
        finally:
            self._leaving -= 1

    async def _send(self, message: Message) -> Sent | Failed:
        chat, _, earlier = message.replaces.partition("/")
        if message.kind == "update":
            if not earlier:
                return Sent()  # what it would change was never said
            changed = await self._ask(
                "editMessageText", {"chat_id": int(chat), "message_id": int(earlier), **said(message)}, message.now
            )
            why = changed.error.lower() if isinstance(changed, Failed) else ""
            if not isinstance(changed, Failed) or "message is not modified" in why:
                return Sent(message.replaces)
            if not _NOT_THERE.search(why):
                return changed
        content = {"chat_id": int(message.address), "disable_notification": not message.asks, **said(message)}
        told = await self._ask("sendMessage", content, message.now)
        if isinstance(told, Failed):
            return told
        try:
            return Sent(f"{message.address}/{msgspec.json.decode(told, type=_Message).message_id}")
        except msgspec.MsgspecError:
            return Failed("server", "Telegram answered something that is not its API's: is `server` right?")

    def preview(self, message: Message) -> str:
        """The message, without whom it is to."""
        return msgspec.json.format(msgspec.json.encode(said(message)), indent=2).decode()

    def place(self, address: str) -> str:
        """The one server. Telegram counts each chat's messages apart, so a chat that has to wait holds up no other."""
        return host(self._server)

    async def close(self) -> None:
        """Nothing is kept open."""

    def _may_speak(self) -> bool:
        """Whether there is room for words that nobody needs: not while a page leaves, or Telegram asked to wait."""
        now = asyncio.get_running_loop().time()
        free = not self._leaving and now >= self._rests_until
        return free and self._words.take(_WORDS, int(now * SECOND))

    def _thanks(self, answer: Answer, taken: Taken) -> dict[str, Any] | None:
        """What to say of an answer. That it cannot be taken now is said once, however often it is told."""
        if taken.again:
            if answer.mark in self._put_off:
                return None
            if len(self._put_off) >= _MOST_PUT_OFF:
                self._put_off.clear()
            self._put_off.add(answer.mark)
        else:
            self._put_off.discard(answer.mark)
        return thanks(answer, taken)

    async def _ask(
        self, method: str, content: Mapping[str, Any], now: Instant, within: float = DEADLINE
    ) -> msgspec.Raw | Failed:
        """Call a method of the Bot API: its result as JSON."""
        try:
            token = self._secret(self._token).strip()
        except (LookupError, OSError, ValueError) as error:
            return no_secret(self._token, error)
        if not _TOKEN.fullmatch(token):
            why = f"{self._token} holds no bot's token: those look like 123456789:AA…, as @BotFather writes them"
            return Failed("auth", why, permanent=True)
        answer = await self._outside.request(
            "POST",
            f"{self._server}/bot{token}/{method}",
            headers={"content-type": "application/json"},
            content=msgspec.json.encode(content),
            within=within,
            limit=_READ,
        )
        told = outcome(answer, now)
        if isinstance(told, Failed):
            if told.code == "rate_limit":
                rests = asyncio.get_running_loop().time() + (told.retry_after or SECOND) / SECOND
                self._rests_until = max(self._rests_until, rests)
            return msgspec.structs.replace(told, error=told.error.replace(token, "…"))
        return told


class TelegramByAsking(Telegram):
    """The same, which asks Telegram again and again what is new: nothing has to reach Tocsin from outside."""

    async def listen(self, take: Take, find: Find) -> None:
        """Ask, and take what is new before it is confirmed: what Tocsin did not take is told again.

        While one of them cannot be taken, those after it are heard all the same, once each. When as many as Telegram
        tells at once wait behind it, they are let go: who answers a page now must be heard.
        """
        _must(await self._ask("deleteWebhook", {}, 0))
        clock, after = asyncio.get_running_loop().time, 0
        done: set[int] = set()
        while True:
            asked = {"timeout": _POLL, "limit": _AT_ONCE, "allowed_updates": _KINDS}
            began = clock()
            told = await self._ask("getUpdates", asked | ({"offset": after} if after else {}), 0, within=_POLL + 10)
            if isinstance(told, Failed) and told.retry_after:
                await asyncio.sleep(min(told.retry_after / SECOND, _LONGEST_REST))
            updates = _read(_must(told), list[_Update])
            waiting = await self._hear([one for one in updates if one.update_id not in done], take, find)
            if waiting and len(updates) < _AT_ONCE:
                after, done = min(waiting), {one.update_id for one in updates} - waiting
                await asyncio.sleep(_AGAIN)
                continue
            # After a week without news their numbers may begin anew, below the last one.
            after, done = max((update.update_id + 1 for update in updates), default=0), set()
            if not updates and clock() - began < _PAUSE:
                await asyncio.sleep(_PAUSE)

    async def _hear(self, updates: Iterable[_Update], take: Take, find: Find) -> set[int]:
        """Take answers, say what there is to say; the numbers of those that could not be taken now."""
        found = [(update.update_id, one) for update in updates if (one := heard(update, find)) is not None]
        answers = [(number, one, await take(one)) for number, one in found if isinstance(one, Answer)]
        said = [self._thanks(one, taken) for _, one, taken in answers]
        said += [one.call for _, one in found if isinstance(one, Words) and self._may_speak()]
        calls = [call for call in said if call]
        await asyncio.gather(*(self._ask(call["method"], _rest(call), 0, within=_WITHIN) for call in calls))
        return {number for number, _, taken in answers if taken.again}


class TelegramByWebhook(Telegram):
    """The same, to which Telegram posts what is new, each with the secret it was given when it was told the address."""

    def __init__(self, setup: Setup, said: Mapping[str, str]) -> None:
        super().__init__(setup, said)
        self._webhook_secret = said["webhook secret"]
        self._find: Find = lambda provider_id: ()

    async def listen(self, take: Take, find: Find) -> None:
        """Tell Telegram where to post, and see to it that it can."""
        self._find = find
        try:
            secret = self._secret(self._webhook_secret).strip()
        except (LookupError, OSError, ValueError):
            raise DeafError(f"{self._webhook_secret} cannot be read: is it set on this machine?") from None
        if not _WEBHOOK_SECRET.fullmatch(secret):
            raise DeafError(f"{self._webhook_secret} has to have 16 to 256 letters, digits, _ and -")
        url = f"{self._public_url}/callbacks/telegram"
        wanted = {"url": url, "secret_token": secret, "allowed_updates": _KINDS}
        _must(await self._ask("setWebhook", wanted, 0))
        while True:
            there = _read(_must(await self._ask("getWebhookInfo", {}, 0)), _Webhook)
            if there.url != url:
                raise DeafError("somebody else has Telegram post this bot's answers elsewhere: it needs its own bot")
            if there.pending_update_count and there.last_error_message:
                why = rendering.plain(there.last_error_message, 200)
                raise DeafError(f"Telegram cannot post answers to {url}: {why}")
            await asyncio.sleep(_LOOKED_AFTER)

    def hear(self, call: Call) -> Heard | Reply:
        """What is new, when it came with the secret."""
        try:
            secret = self._secret(self._webhook_secret).strip()
        except (LookupError, OSError, ValueError):
            return Reply(503)
        given = call.headers.get("x-telegram-bot-api-secret-token", "")
        if not _WEBHOOK_SECRET.fullmatch(secret) or not hmac.compare_digest(secret.encode(), given.encode()):
            return Reply(401)
        try:
            told = heard(msgspec.json.decode(call.body, type=_Update), self._find)
        except (ValueError, msgspec.MsgspecError):
            return Reply(400)
        if isinstance(told, Answer):
            return Heard(answer=told)
        return Heard(reply=_replied(told.call if told and self._may_speak() else None))

    async def thank(self, answer: Answer, taken: Taken) -> Reply:
        """Tell whoever answered, in the answer to Telegram's own post; what is refused there is posted again."""
        call = self._thanks(answer, taken)
        if not taken.again:
            return _replied(call)
        if call:
            await self._ask(call["method"], _rest(call), 0, within=_WITHIN)
        return Reply(503)


class Words(NamedTuple):
    """Something to say to somebody who did not answer a page: the method to call, under ``method``, and its fields."""

    call: dict[str, Any]


class _User(msgspec.Struct):
    id: int = 0


class _Chat(msgspec.Struct):
    id: int = 0
    type: str = ""


class _Message(msgspec.Struct):
    message_id: int
    date: int = 0
    chat: _Chat = msgspec.field(default_factory=_Chat)
    sender: _User = msgspec.field(default_factory=_User, name="from")
    text: str = ""
    reply_to_message: _Message | None = None


class _Press(msgspec.Struct):
    id: str
    sender: _User = msgspec.field(default_factory=_User, name="from")
    data: str = ""


class _Update(msgspec.Struct):
    """Something new. What it holds is read apart: one that cannot be read must not hold up the others."""

    update_id: int
    message: msgspec.Raw = msgspec.Raw()
    callback_query: msgspec.Raw = msgspec.Raw()


class _Webhook(msgspec.Struct):
    url: str = ""
    pending_update_count: int = 0
    last_error_message: str = ""


class _Parameters(msgspec.Struct):
    retry_after: int = 0


class _Told(msgspec.Struct):
    ok: bool = False
    result: msgspec.Raw = msgspec.Raw()
    error_code: int = 0
    description: str = ""
    parameters: _Parameters = msgspec.field(default_factory=_Parameters)


def outcome(answer: Answered | Unanswered, now: Instant) -> msgspec.Raw | Failed:
    """What the Bot API's answer means: its result, or why there is none.

    Only what Telegram says of a chat is that chat's own fault; a request it does not like is not its person's.
    """
    found = replied(answer, now, "Telegram")
    if isinstance(found, Failed):
        return found
    answer, why = found
    try:
        told = msgspec.json.decode(answer.body, type=_Told)
    except msgspec.MsgspecError:
        if why is None or why.code == "client":
            return Failed("server", "Telegram answered something that is not its API's: is `server` right?")
        return why
    if told.ok and why is None:
        return told.result
    code, word = told.error_code or answer.status, rendering.plain(told.description, 200) or "no reason"
    if code == 429:
        wait = retry_after(str(told.parameters.retry_after), now) or (why.retry_after if why else None)
        return Failed("rate_limit", f"Telegram refused it for now: {word}", retry_after=wait)
    if code >= 500:
        return Failed("server", f"Telegram could not do it: {word}", retry_after=why.retry_after if why else None)
    if code in (401, 404):
        return Failed("auth", f"Telegram does not know the bot's token: {word}", permanent=True)
    said = f"Telegram refused it: {word}"
    if code == 403 or _THE_ADDRESS.search(word.lower()):
        start = "; send /start to the bot first" if _STRANGER.search(word.lower()) else ""
        return Failed("address", f"{said}{start}", permanent=True)
    return Failed("server", said, permanent=True)


def heard(update: _Update, find: Find) -> Answer | Words | None:
    """What is new, as far as it says something: an answer, or what to say to who said anything else."""
    try:
        if update.callback_query:
            return _pressed(msgspec.json.decode(update.callback_query, type=_Press))
        if update.message:
            return _said(msgspec.json.decode(update.message, type=_Message), find)
    except msgspec.MsgspecError:
        pass
    return None


def _pressed(press: _Press) -> Answer | None:
    """Any button: what a press says can be made up by whoever presses, but not who they are."""
    found = _ACKNOWLEDGE.fullmatch(press.data)
    return Answer(page=int(found[1]) if found else 0, by=str(press.sender.id), mark=f"press/{press.id}")


def _said(message: _Message, find: Find) -> Answer | Words | None:
    chat, text = message.chat, message.text.strip()
    if chat.type != "private" or chat.id != message.sender.id:
        return None
    if text.split(maxsplit=1)[:1] == ["/start"]:
        return Words(_tell(chat.id, _welcome(chat.id)))
    if message.reply_to_message:
        pages = find(f"{chat.id}/{message.reply_to_message.message_id}")
    else:
        pages = [page for page in find(f"{chat.id}/") if _number(page) < message.message_id]
    page = pages[-1] if pages else None
    if page is None:
        return Words(_tell(chat.id, "There is no page here to acknowledge.")) if says_yes(text) else None
    if not says_yes(text) and page.answered_at is not None:
        return None
    if not says_yes(text):
        return Words(_tell(chat.id, f"That is no answer to a page. {HOW}"))
    named = message.reply_to_message is not None
    return Answer(
        page=page.id,
        by=str(chat.id),
        mark=f"said/{chat.id}/{message.message_id}",
        written=0 if named else max(1, message.date) * SECOND,
        later=() if named else tuple(one.id for one in find(f"{chat.id}/") if _number(one) > message.message_id),
    )


def _number(page: Page) -> int:
    """The number of a page's message. A bot's private chats count all that is said in them together, whoever says it:
    a higher one came later, whatever the clocks say, and was not there to be meant.
    """
    number = page.provider_id.rpartition("/")[2]
    return int(number) if number.isascii() and number.isdigit() else 0


def _welcome(chat: int) -> str:
    """Says nothing of where Tocsin is: anybody can find a bot."""
    return (
        f"This bot pages people for Tocsin. The number of your chat with it is {chat}.\n"
        "To be paged here, add that number in Tocsin, on the page You, by Telegram. A code comes here then."
    )


def thanks(answer: Answer, taken: Taken) -> dict[str, Any] | None:
    """The call that tells somebody what came of their answer. A press is always heard, or its button keeps turning."""
    kind, _, rest = answer.mark.partition("/")
    if kind == "press":
        alert = bool(taken.said) and not taken.ok
        return {
            "method": "answerCallbackQuery", "callback_query_id": rest, "text": taken.said[:200], "show_alert": alert,
        }  # fmt: skip
    if not taken.said:
        return None
    chat, _, message = rest.partition("/")
    return {
        **_tell(int(chat), f"{taken.said} {WHICH}" if taken.unclear else taken.said),
        "reply_parameters": {"message_id": int(message), "allow_sending_without_reply": True},
    }


def _tell(chat: int, text: str) -> dict[str, Any]:
    return {
        "method": "sendMessage", "chat_id": chat, "text": text, "disable_notification": True,
        "link_preview_options": {"is_disabled": True},
    }  # fmt: skip


def _rest(call: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in call.items() if name != "method"}


def _replied(call: dict[str, Any] | None) -> Reply:
    """An answer to a post of Telegram's, which may hold one call."""
    return Reply(200, msgspec.json.encode(call), "application/json") if call else Reply(200)


def _must(told: msgspec.Raw | Failed) -> msgspec.Raw:
    if isinstance(told, Failed):
        raise DeafError(told.error)
    return told


def _read(told: msgspec.Raw, kind: type[Any]) -> Any:
    try:
        return msgspec.json.decode(told, type=kind)
    except msgspec.MsgspecError:
        raise DeafError("Telegram answered something that is not its API's: is `server` right?") from None


def said(message: Message) -> dict[str, Any]:
    """A message's text, its first line in bold, and its button. No part of it is read as anything but text.

    The link stands in the text: a button that leads to an address without a public name is refused, with its page.
    """
    text = fitting(rendering.chat(message, HOW), rendering.link(message))
    head = text.partition("\n")[0]
    content: dict[str, Any] = {
        "text": text,
        "entities": [{"type": "bold", "offset": 0, "length": _units(head)}],
        "link_preview_options": {"is_disabled": True},
    }
    if message.asks:
        button = {"text": "Acknowledge", "callback_data": f"ack:{message.page}"}
        content["reply_markup"] = {"inline_keyboard": [[button]]}
    return content


def fitting(text: str, link: str) -> str:
    """As much of it as Telegram takes, with the link in any case."""
    if _units(text) <= LONGEST:
        return text
    tail = f"…\n{link}"
    room = LONGEST - _units(tail)
    return text.encode("utf-16-le")[: 2 * room].decode("utf-16-le", "ignore").rstrip() + tail


def _units(text: str) -> int:
    """How long Telegram says a text is."""
    return len(text.encode("utf-16-le")) // 2
