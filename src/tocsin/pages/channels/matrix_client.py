"""Matrix: a page as a direct message; a 👍 or ✅ under it, or a reply that says ack, acknowledges it.

The plan names a homeserver and the token of a user that Tocsin is there. A direct room with each person is found or
made (as clients do: account data ``m.direct``), the page is an ordinary message, and its edit says later who has it and
that it is over. Messages are not encrypted end to end: rooms are made without, so that nothing stands between a page
and its reader; the connections are.

Answers come by ``/sync``: what was said while Tocsin was down is heard when it starts, for a day. A page's provider
id is ``room/event``.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import zlib
from collections.abc import Iterator, Sequence
from html import escape
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode

import msgspec

from tocsin.kernel.instant import MILLISECOND, MINUTE
from tocsin.kernel.outside import Answer as Answered
from tocsin.pages import rendering
from tocsin.pages.answers import ANSWERABLE, Answer, DeafError, Find, Got, Take, meant
from tocsin.pages.channels.consent import says_yes
from tocsin.pages.channels.replies import failed
from tocsin.pages.channels.setup import DEADLINE, Setup, no_secret
from tocsin.pages.ledger import Page
from tocsin.pages.loops import FIRST
from tocsin.pages.message import Failed, Message, Sent

HOW = "React with 👍 or reply “ack” to acknowledge."
_API = "/_matrix/client/v3"
_READ = 4 * 1024 * 1024
_POLL = 30_000
_AGAIN = 2.0
"""Seconds until what was not taken now is asked for again."""
_ASKED_BACK = 10 * MINUTE
"""So long somebody is asked which page they mean. When Tocsin starts it hears the words of a day."""
_MOST_PUT_OFF = 1_000
WHICH = "Which one? React to the page with 👍, or reply “ack” to it."
NAMED = "React to its page with 👍, or reply “ack” to that."
_FILTER = {
    "presence": {"types": []},
    "account_data": {"types": []},
    "room": {
        "account_data": {"types": []},
        "state": {"types": [], "lazy_load_members": True},
        "timeline": {"types": ["m.room.message", "m.reaction"], "limit": 50},
        "ephemeral": {"types": ["m.receipt"]},
    },
}


class Matrix:
    """Sends as one user of one homeserver. Its server drops a repetition by its transaction id."""

    name = "matrix"
    idempotent = True
    real = True

    def __init__(self, setup: Setup) -> None:
        said = setup.channels["matrix"]
        self._outside, self._secret = setup.outside, setup.secret
        self._server, self._token = said["server"].rstrip("/"), said["token"]
        self._me = ""
        self._rooms: dict[str, asyncio.Lock] = {}
        self._told: set[tuple[str, str]] = set()
        """What was said of answers that are asked for again: each once."""

    async def send(self, message: Message) -> Sent | Failed:
        """Say it in the direct room, or edit what was said there."""
        room, _, event = message.replaces.partition("/")
        if message.kind == "update" and not event:
            return Sent()  # what it would change was never said
        try:
            async with asyncio.timeout(DEADLINE), self._rooms.setdefault(message.address, asyncio.Lock()):
                if message.kind != "update":
                    room = await self._room(message.address)
                content = said(message) if message.kind != "update" else edited(message, event)
                path = f"/rooms/{quote(room)}/send/m.room.message/{rendering.stable_key(message)}"
                answer = await self._ask("PUT", path, content)
        except TimeoutError:
            return Failed("deadline", f"the Matrix server did not finish within {DEADLINE:g} s")
        except _Refused as refused:
            why = failed(refused.answer, message.now, "the Matrix server") if refused.answer else None
            if why is not None and isinstance(refused, _Nobody):
                return msgspec.structs.replace(why, code="address")
            return why or no_secret(self._token, refused.__cause__)
        return Sent(f"{room}/{answer.get('event_id', '')}")

    def preview(self, message: Message) -> str:
        """The message's words."""
        return str(said(message)["body"])

    async def close(self) -> None:
        """Nothing is kept open."""

    async def listen(self, take: Take, find: Find) -> None:
        """Ask the server again and again what is new."""
        asked = {"filter": msgspec.json.encode(_FILTER).decode(), "timeout": "0", "set_presence": "offline"}
        try:
            me = await self._whoami()
            while True:
                new = await self._ask("GET", f"/sync?{urlencode(asked)}", within=_POLL / 1000 + 10)
                if await self._take_all(heard(new, me, find), take):
                    asked |= {"since": str(new.get("next_batch", "")), "timeout": str(_POLL)}
                else:
                    await asyncio.sleep(_AGAIN)  # and ask from the same place
        except _Refused as refused:
            status = getattr(refused.answer, "status", "nothing")
            raise DeafError(f"the Matrix server answers {status}") from None

    async def _take_all(self, new: Iterator[Answer | Got | Unclear], take: Take) -> bool:
        """Take what was said. False when some of it could not be taken now, which its people are told once."""
        all_taken = True
        for told in new:
            if isinstance(told, Unclear):
                await self._tell(told.mark, WHICH)
                continue
            taken = await take(told)
            all_taken = all_taken and not taken.again
            if isinstance(told, Answer) and taken.said and not taken.ok:
                await self._tell(told.mark, f"{taken.said} {NAMED}" if taken.unclear else taken.said)
        if all_taken:
            self._told.clear()
        return all_taken

    async def _tell(self, mark: str, text: str) -> None:
        """Say in the room why an answer does not count. That this is refused leaves nobody unheard."""
        if (mark, text) in self._told:
            return
        if len(self._told) >= _MOST_PUT_OFF:
            self._told.clear()
        self._told.add((mark, text))
        name = quote(f"{mark}-{zlib.crc32(text.encode()):x}", safe="")
        content = {"msgtype": "m.notice", "body": text}
        with contextlib.suppress(_Refused):
            await self._ask("PUT", f"/rooms/{quote(mark.partition('/')[0])}/send/m.room.message/{name}", content)

    async def _whoami(self) -> str:
        if not self._me:
            self._me = str((await self._ask("GET", "/account/whoami")).get("user_id", ""))
        return self._me

    async def _room(self, person: str) -> str:
        """The direct room with a person: the one there is, while they have not left it, else a new one."""
        me = await self._whoami()
        direct = f"/user/{quote(me)}/account_data/m.direct"
        known = await self._ask("GET", direct, or_else={404: {}})
        listed = known.get(person)
        rooms = [room for room in listed if isinstance(room, str)] if isinstance(listed, list) else []
        for room in reversed(rooms):
            there = await self._ask("GET", f"/rooms/{quote(room)}/state/m.room.member/{quote(person)}", or_else=_GONE)
            if there.get("membership") in ("join", "invite"):
                return room
        # A server invites people who do not exist, and says yes.
        try:
            await self._ask("GET", f"/profile/{quote(person)}")
        except _Refused as refused:
            if _knows_nobody(refused.answer):
                raise _Nobody(refused.answer) from None
            raise
        made = await self._ask(
            "POST", "/createRoom", {"preset": "trusted_private_chat", "is_direct": True, "invite": [person]}
        )
        room = str(made.get("room_id", ""))
        await self._ask("PUT", direct, {**known, person: [*rooms, room]})
        return room

    async def _ask(
        self,
        method: str,
        path: str,
        content: object = None,
        *,
        within: float = DEADLINE,
        or_else: dict[int, dict[str, Any]] | None = None,
    ) -> dict[str, Any]:
        """The server's JSON. ``or_else``: what stands for answers that say there is none. Raises _Refused."""
        try:
            token = self._secret(self._token)
        except (LookupError, OSError, ValueError) as error:
            raise _Refused(None) from error
        answer = await self._outside.request(
            method,
            f"{self._server}{_API}{path}",
            headers={"authorization": f"Bearer {token}", "content-type": "application/json"},
            content=b"" if content is None else msgspec.json.encode(content),
            within=within,
            limit=_READ,
        )
        if isinstance(answer, Answered) and or_else and answer.status in or_else:
            return or_else[answer.status]
        if not isinstance(answer, Answered) or not 200 <= answer.status < 300:
            raise _Refused(answer)
        try:
            return msgspec.json.decode(answer.body, type=dict[str, Any])
        except msgspec.DecodeError:
            raise _Refused(Answered(status=502, headers={}, body=b"")) from None


_GONE: dict[int, dict[str, Any]] = {403: {}, 404: {}}


class Unclear(NamedTuple):
    """Words that may mean several pages. ``mark`` is ``room/event``."""

    mark: str


class _Refused(Exception):
    """The server's answer when it is not what was asked for; None: there is no token to ask with."""

    def __init__(self, answer: Any) -> None:
        super().__init__("refused")
        self.answer = answer


class _Nobody(_Refused):
    """The server knows nobody by a person's address."""


def _knows_nobody(answer: Any) -> bool:
    """Whether a homeserver says so. A 404 without its words is any web server's, and one unrecognized of an old API."""
    if not isinstance(answer, Answered) or answer.status != 404:
        return False
    return b'"errcode"' in answer.body and b"M_UNRECOGNIZED" not in answer.body


def said(message: Message) -> dict[str, Any]:
    """A message's content. A notice is one in Matrix too: it makes no sound."""
    body = rendering.chat(message, HOW)
    head, _, rest = body.partition("\n")
    html = f"<strong>{escape(head)}</strong><br>{escape(rest)}".replace("\n", "<br>")
    kind = "m.text" if message.asks else "m.notice"
    return {"msgtype": kind, "body": body, "format": "org.matrix.custom.html", "formatted_body": html}


def edited(message: Message, event: str) -> dict[str, Any]:
    """The content that takes the place of an earlier message."""
    new = said(message)
    return {
        **new,
        "body": f"* {new['body']}",
        "m.new_content": new,
        "m.relates_to": {"rel_type": "m.replace", "event_id": event},
    }


def heard(new: dict[str, Any], me: str, find: Find) -> Iterator[Answer | Got | Unclear]:
    """What a ``/sync`` says about pages: answers, and that one was read."""
    rooms = _dict(_dict(new.get("rooms")).get("join"))
    for room, what in rooms.items():
        for event in _events(what, "timeline"):
            yield from _own(event, me)
            answer = _answer(room, event, me, find)
            if answer is not None:
                yield answer
        for event in _events(what, "ephemeral"):
            for id, receipts in _dict(event.get("content")).items():
                page = _last(find(f"{room}/{id}"))
                if page is not None and page.address in _dict(_dict(receipts).get("m.read")):
                    yield Got(page=page.id, receipt="seen")


def _own(event: dict[str, Any], me: str) -> Iterator[Got]:
    """A synthetic page: said by us, and heard again in the room by its transaction, which the server tells us alone."""
    transaction = _dict(event.get("unsigned")).get("transaction_id")
    found = re.match(rf"{FIRST}(\d{{1,18}})-", transaction) if isinstance(transaction, str) else None
    if event.get("sender") == me and found:
        yield Got(page=int(found[1]), receipt="delivered")


def _answer(room: str, event: dict[str, Any], me: str, find: Find) -> Answer | Unclear | None:
    sender, content, age = event.get("sender"), _dict(event.get("content")), _dict(event.get("unsigned")).get("age")
    if sender == me or (isinstance(age, int) and age * MILLISECOND > ANSWERABLE):
        return None
    relation = _dict(content.get("m.relates_to"))
    if event.get("type") == "m.reaction":
        about, word = relation.get("event_id"), relation.get("key")
    else:
        # Clients put what is replied to in front, as quoted lines and an empty one.
        text = re.sub(r"\A(>.*\n)+\n?", "", str(content.get("body", "")))
        about, word = _dict(relation.get("m.in_reply_to")).get("event_id", ""), text
    if not isinstance(word, str) or not says_yes(word):
        return None
    mark, pages, at = f"{room}/{event.get('event_id')}", find(f"{room}/{about}"), event.get("origin_server_ts")
    if not about and isinstance(at, int):
        pages = meant(pages, at * MILLISECOND)
        if len(pages) > 1:
            return Unclear(mark) if not isinstance(age, int) or age * MILLISECOND < _ASKED_BACK else None
    page = _last(pages)
    if page is None:
        return None
    written = 0 if about or not isinstance(at, int) else max(1, at) * MILLISECOND
    return Answer(page=page.id, by=str(sender), mark=mark, written=written)


def _last(pages: Sequence[Page]) -> Page | None:
    return pages[-1] if pages else None


def _events(room: Any, part: str) -> list[dict[str, Any]]:
    found = _dict(_dict(room).get(part)).get("events")
    return [event for event in found if isinstance(event, dict)] if isinstance(found, list) else []


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
