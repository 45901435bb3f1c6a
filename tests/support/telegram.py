"""Telegram's side of the Bot API, as its documentation says it behaves: a stand-in, for no Telegram can be had offline.

What it is asked has to be one of aiogram's methods, which are made from that documentation, with no field they do not
know; what it answers are aiogram's types. People's side are `starts`, `writes` and `presses`.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import aiogram.methods
from aiogram import types
from aiohttp import ClientSession, web
from pydantic import BaseModel, ValidationError

from tests.support.standing_in import StandIn
from tests.support.waiting import eventually

TOKEN = "123456789:AAFakeFakeFakeFakeFakeFakeFakeFake_x"
_ALL: list[Any] = [getattr(aiogram.methods, name) for name in aiogram.methods.__all__]
METHODS = {one.__api_method__: one for one in _ALL if isinstance(getattr(one, "__api_method__", None), str)}
"""aiogram's models of the Bot API's methods, by their names there."""


class Refusal(NamedTuple):
    """What is answered instead, once."""

    status: int
    description: str
    retry_after: int | None = None


class Asked(NamedTuple):
    """One call of the bot's that was understood; `at` is time.monotonic() seconds."""

    method: str
    body: dict[str, Any]
    at: float


class RefusedError(Exception):
    """A call the Bot API refuses."""

    def __init__(self, status: int, description: str, retry_after: int | None = None) -> None:
        super().__init__(description)
        self.told = Refusal(status, description, retry_after)


class TelegramServer(StandIn):
    """A running one: `calls` are what was taken, `wrong` what aiogram's models do not know, `refusals` what is answered
    by a method's next calls instead. `waits`: how long it lets `getUpdates` wait at most, in seconds.
    """

    def __init__(self, token: str = TOKEN, waits: float = 1.0) -> None:
        super().__init__([web.route("*", "/bot{token}/{method}", self._api)])
        self.token, self.waits = token, waits
        self.calls: list[Asked] = []
        self.polls = 0
        self.refused_at = 0.0
        self.refusals: dict[str, deque[Refusal]] = {}
        self.messages: dict[tuple[int, int], dict[str, Any]] = {}
        self.webhook: dict[str, Any] = {}
        self.posted: list[int] = []
        """What the webhook answered."""
        self._started: set[int] = set()
        self._blocked: set[int] = set()
        self._updates: list[dict[str, Any]] = []
        self._told: list[dict[str, Any]] = []
        self._presses: set[str] = set()
        self._kinds: list[str] = []
        self._numbers = iter(range(1000, 1_000_000))
        self._bot = types.User(id=int(token.partition(":")[0]), is_bot=True, first_name="Tocsin", username="tocsin_bot")
        self._news = asyncio.Event()
        self._polling: asyncio.Event | None = None

    # -- people --------------------------------------------------------------------------------------------------------

    def starts(self, user: int, payload: str = "") -> None:
        """Somebody opens the bot and presses Start."""
        self._started.add(user)
        self.writes(user, f"/start {payload}".strip())

    def knows(self, *users: int) -> None:
        """These have talked to the bot before."""
        self._started.update(users)

    def blocks(self, user: int) -> None:
        """Somebody blocks the bot."""
        self._blocked.add(user)

    def deletes(self, user: int, message: int) -> None:
        """Somebody deletes a message, for both."""
        del self.messages[user, message]

    def writes(
        self, user: int, text: str, *, reply_to: int = 0, ago: int = 0, chat: int = 0, kind: str = "private"
    ) -> int:
        """Somebody writes to the bot; the message's number."""
        number, where = next(self._numbers), types.Chat(id=chat or user, type=kind, first_name="Somebody")
        earlier = types.Message(**self.messages[user, reply_to]) if reply_to else None
        message = types.Message(
            message_id=number, date=int(time.time()) - ago, chat=where, from_user=_user(user), text=text,  # type: ignore[arg-type]  # as it travels
            reply_to_message=earlier,
        )  # fmt: skip
        self._tell(message=message)
        return number

    def presses(self, user: int, message: int, *, data: str = "", chat: int = 0) -> str:
        """Somebody presses a message's button, or says so of any data; the press's id."""
        said = self.messages[chat or user, message]
        pressed = data or said["reply_markup"]["inline_keyboard"][0][0]["callback_data"]
        id = f"{next(self._numbers)}0000"
        self._presses.add(id)
        query = types.CallbackQuery(
            id=id, from_user=_user(user), chat_instance="1", data=pressed, message=types.Message(**said)
        )
        self._tell(callback_query=query)
        return id

    def again(self) -> None:
        """What was told last is told again, as after an answer that got lost."""
        last = self._told[-1]
        self._loop.call_soon_threadsafe(self._add, last)

    def asked(self, method: str) -> list[dict[str, Any]]:
        """What a method was called with so far."""
        return [one.body for one in self.calls if one.method == method]

    def wait_for(self, method: str, count: int = 1, *, within: float = 10.0) -> list[dict[str, Any]]:
        """The same, once there are so many."""
        return eventually(
            lambda: found if len(found := self.asked(method)) >= count else None,
            within=within,
            what=f"{count} of {method} ({self.wrong})",
        ) or []

    def refuse(self, method: str, *refusals: Refusal) -> None:
        """Answer a method's next calls so."""
        self.refusals.setdefault(method, deque()).extend(refusals)

    # -- the Bot API ---------------------------------------------------------------------------------------------------

    async def _api(self, request: web.Request) -> web.Response:
        body = await _body(request)
        try:
            if request.match_info["token"] != self.token:
                raise RefusedError(401, "Unauthorized")
            result = await self._call(request.match_info["method"], body)
        except RefusedError as refused:
            status, description, retry_after = refused.told
            told: dict[str, Any] = {"ok": False, "error_code": status, "description": description}
            if retry_after is not None:
                told["parameters"] = _plain(types.ResponseParameters(retry_after=retry_after))
            return web.json_response(told, status=status)
        return web.json_response({"ok": True, "result": _plain(result)})

    async def _call(self, method: str, body: dict[str, Any]) -> Any:
        model = METHODS.get(method)
        if model is None:
            self.wrong.append(f"there is no method {method}")
            raise RefusedError(404, "Not Found")
        try:
            unknown = list(_unknown(model.model_validate(body)))
        except ValidationError as error:
            unknown = [str(error)]
        if unknown:
            self.wrong.append(f"{method}: {unknown}")
            raise RefusedError(400, f"Bad Request: {unknown}")
        self.polls += method == "getUpdates"
        if waiting := self.refusals.get(method):
            self.refused_at = time.monotonic()
            raise RefusedError(*waiting.popleft())
        result = getattr(self, f"_{_snake(method)}")(body)
        result = await result if asyncio.iscoroutine(result) else result
        if method != "getUpdates":
            self.calls.append(Asked(method, body, time.monotonic()))
        return result

    def _send_message(self, body: dict[str, Any]) -> Any:
        chat = body["chat_id"]
        if chat not in self._started:
            raise RefusedError(400, "Bad Request: chat not found")
        if chat in self._blocked:
            raise RefusedError(403, "Forbidden: bot was blocked by the user")
        _looked_at(body)
        number = next(self._numbers)
        self.messages[chat, number] = self._message(chat, number, body)
        return self.messages[chat, number]

    def _edit_message_text(self, body: dict[str, Any]) -> Any:
        place = body["chat_id"], body["message_id"]
        if place not in self.messages:
            raise RefusedError(400, "Bad Request: message to edit not found")
        _looked_at(body)
        new = self._message(*place, body)
        if all(new.get(part) == self.messages[place].get(part) for part in ("text", "entities", "reply_markup")):
            why = "specified new message content and reply markup are exactly the same as a current content"
            raise RefusedError(400, f"Bad Request: message is not modified: {why} and reply markup of the message")
        self.messages[place] = {**new, "edit_date": int(time.time())}
        return self.messages[place]

    def _answer_callback_query(self, body: dict[str, Any]) -> Any:
        if body["callback_query_id"] not in self._presses:
            raise RefusedError(400, "Bad Request: query is too old and response timeout expired or query ID is invalid")
        assert len(body.get("text", "")) <= 200
        return True

    async def _get_updates(self, body: dict[str, Any]) -> Any:
        if self.webhook:
            why = "use deleteWebhook to delete the webhook first"
            raise RefusedError(409, f"Conflict: can't use getUpdates method while webhook is active; {why}")
        if self._polling is not None:
            self._polling.set()  # the earlier one is ended
        mine = self._polling = asyncio.Event()
        self._kinds = body.get("allowed_updates") or self._kinds
        offset = body.get("offset", 0)
        self._updates = [one for one in self._updates if one["update_id"] >= offset]
        ends = self._loop.time() + min(body.get("timeout", 0), self.waits)
        while not self._updates and self._loop.time() < ends and not mine.is_set():
            self._news.clear()
            waits = [asyncio.create_task(self._news.wait()), asyncio.create_task(mine.wait())]
            await asyncio.wait(waits, timeout=ends - self._loop.time(), return_when=asyncio.FIRST_COMPLETED)
            for one in waits:
                one.cancel()
        if mine.is_set():
            raise RefusedError(
                409, "Conflict: terminated by other getUpdates request; make sure that only one bot instance is running"
            )
        self._polling = None
        return self._updates[: body.get("limit", 100)]

    def _set_webhook(self, body: dict[str, Any]) -> Any:
        self.webhook = dict(body)
        self._kinds = body.get("allowed_updates") or self._kinds
        return True

    def _delete_webhook(self, body: dict[str, Any]) -> Any:
        self.webhook = {}
        return True

    def _get_webhook_info(self, body: dict[str, Any]) -> Any:
        return types.WebhookInfo(
            url=self.webhook.get("url", ""), has_custom_certificate=False, pending_update_count=len(self._updates)
        )

    def _message(self, chat: int, number: int, body: dict[str, Any]) -> dict[str, Any]:
        parts = {part: body[part] for part in ("text", "entities", "reply_markup") if part in body}
        where = types.Chat(id=chat, type="private", first_name="Somebody")
        message = types.Message(message_id=number, date=int(time.time()), chat=where, from_user=self._bot, **parts)  # type: ignore[arg-type]  # as it travels
        return dict(_plain(message))

    # -- what is new ---------------------------------------------------------------------------------------------------

    def _tell(self, **what: Any) -> None:
        update = _plain(types.Update(update_id=next(self._numbers), **what))
        self._told.append(update)
        self._loop.call_soon_threadsafe(self._add, update)

    def _add(self, update: dict[str, Any]) -> None:
        if self._kinds and not set(self._kinds) & set(update):
            return
        if self.webhook:
            self._loop.create_task(self._post(update))
            return
        self._updates.append(update)
        self._news.set()

    async def _post(self, update: dict[str, Any]) -> None:
        """Post it; a call in the answer is made."""
        hook = {"url": self.webhook["url"], "json": update}
        headers = {"X-Telegram-Bot-Api-Secret-Token": self.webhook["secret_token"]}
        async with ClientSession(headers=headers) as session, session.post(**hook) as answer:
            text = await answer.text()
        self.posted.append(answer.status)
        if answer.content_type == "application/json" and text:
            told = json.loads(text)
            await self._call(told.pop("method"), told)


def _user(id: int) -> types.User:
    return types.User(id=id, is_bot=False, first_name="Somebody")


async def _body(request: web.Request) -> dict[str, Any]:
    """As the Bot API takes it: JSON, or a form whose values are JSON where they are no texts."""
    if request.content_type == "application/json":
        return dict(await request.json())
    found: dict[str, Any] = {}
    for name, value in (await request.post()).items():
        try:
            found[name] = json.loads(str(value))
        except ValueError:
            found[name] = value
    return found


def _plain(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return json.loads(value.model_dump_json(exclude_unset=True, exclude_none=True, by_alias=True))
    return value


def _unknown(model: BaseModel, where: str = "") -> Iterator[str]:
    """The fields nobody documents: aiogram's models keep them aside."""
    for name in model.model_extra or {}:
        yield f"{where}{name}"
    for name in model.model_fields_set:
        value = getattr(model, name, None)
        for one in _flat(value):
            yield from _unknown(one, f"{where}{name}.")


def _flat(value: Any) -> Iterator[BaseModel]:
    if isinstance(value, BaseModel):
        yield value
    for one in value if isinstance(value, list) else ():
        yield from _flat(one)


def _looked_at(body: dict[str, Any]) -> None:
    """What the Bot API documents of a message's text and buttons."""
    text, units = body["text"], len(body["text"].encode("utf-16-le")) // 2
    if not text.strip():
        raise RefusedError(400, "Bad Request: message text is empty")
    if units > 4096:
        raise RefusedError(400, "Bad Request: message is too long")
    for one in body.get("entities", ()):
        if one["offset"] + one["length"] > units:
            raise RefusedError(400, "Bad Request: entity is beyond the text")
    for row in body.get("reply_markup", {}).get("inline_keyboard", ()):
        for button in row:
            if not 1 <= len(button["callback_data"].encode()) <= 64:
                raise RefusedError(400, "Bad Request: BUTTON_DATA_INVALID")


def _snake(name: str) -> str:
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name)


@contextmanager
def running_telegram(**how: Any) -> Iterator[TelegramServer]:
    """One for as long as the block lasts."""
    with TelegramServer(**how) as server:
        yield server


