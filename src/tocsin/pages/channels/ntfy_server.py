"""ntfy: a page as a notification of the ntfy app, acknowledged by its button in one press.

The plan names a server, ntfy.sh or one's own. A person's address is a topic: they subscribe to it in their app and add
it in Tocsin, where a code proves it. A page is published as JSON to the server's root. Its button is an ``http``
action: the app itself posts what is signed for that page and topic to ``/callbacks/ntfy``; looking at it, or fetching
its link, acknowledges nothing. Each page is a sequence of ntfy's, so that what is said later of its incident takes its
place, without a sound. A page's provider id is ``sequence/message``.

ntfy tells nothing of what its apps do, so a page is only taken and answered. A synthetic page goes to a topic that
nobody subscribes to, and is back when the server hands it out (``/topic/json?poll=1``).
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import hmac
import re
from collections.abc import Mapping
from typing import Any

import msgspec

from tocsin.intake.request import Reply
from tocsin.kernel.instant import HOUR, Instant
from tocsin.kernel.outside import Answer as Answered
from tocsin.kernel.outside import Unanswered
from tocsin.pages import rendering
from tocsin.pages.answers import Answer, Call, DeafError, Find, Got, Heard, Take, Taken
from tocsin.pages.channels.replies import replied
from tocsin.pages.channels.setup import DEADLINE, Setup, no_secret
from tocsin.pages.links import make_token, read_token
from tocsin.pages.loops import FIRST
from tocsin.pages.message import Failed, Message, Sent

SERVER = "https://ntfy.sh"
HOW = "Press Acknowledge, or tap to open it."
DOOR = "/callbacks/ntfy"
LOUD, QUIET, SILENT = 5, 2, 1
"""Priorities: a page, what is only to be read, and what nobody reads."""
_PRIORITIES = {"SEV3": 4, "SEV4": 3}
_MOST_TITLE, _MOST = 250, 3_000
"""Characters of a title and bytes of a text: ntfy makes a file of more than 4,096, and what goes on to telephones is
cut where all of it together has more than 4,000.
"""
_TOKEN = re.compile(r"[\x21-\x7e]{1,300}")
_LABEL = re.compile(r"[A-Za-z0-9_.-]{1,40}")
_READ = 65_536
_LOOKED_THROUGH = 1024 * 1024
_SINCE = "10m"
_FIRST_PAUSE, _LONGEST_PAUSE = 0.25, 10.0
"""Seconds between two looks for a synthetic page."""
_LOOKS_FOR = 600.0
"""Seconds one is looked for after it left."""
_AT_START = 30.0
"""Seconds one is looked for that may have left before Tocsin began to listen."""
_QUOTA = 42_908
_BAD_TOPICS = frozenset({40_009, 40_010})
_ANYBODY = (("access-control-allow-origin", "*"),)
"""ntfy's web app presses from a page of its server's: it may read how that went. No cookie is looked at here."""
_NOT_NTFY = "ntfy answered something that is not its API's: is `server` right?"


def channel(setup: Setup) -> Ntfy | None:
    """None when the plan sets it up with no server."""
    said = setup.channels.get("ntfy")
    return None if said is None else Ntfy(setup, said)


class Ntfy:
    """Publishes to one server. It drops no repetitions, so a page sent again is marked; apps that know sequences show
    it once all the same.
    """

    name = "ntfy"
    idempotent = False
    real = True

    def __init__(self, setup: Setup, said: Mapping[str, str]) -> None:
        self._outside, self._secret, self._looped = setup.outside, setup.secret, setup.looped
        self._server = said.get("server", SERVER).rstrip("/")
        self._token, self._user, self._password = (said.get(one, "") for one in ("token", "user", "password"))
        self._door, self._key = setup.public_url + DOOR, setup.derive("ntfy acknowledge")
        self._loop, self._left = setup.loops.get("ntfy", ""), asyncio.Event()

    async def send(self, message: Message) -> Sent | Failed:
        """Publish it, or what takes an earlier one's place."""
        if message.kind == "update" and not message.replaces:
            return Sent()  # what it would change was never said
        content = {"topic": message.address, **said(message, self._door, button(self._key, message))}
        told = outcome(await self._ask("POST", "/", msgspec.json.encode(content)), message.now)
        if isinstance(told, Failed):
            return told
        if message.idempotency_key.startswith(FIRST):
            self._left.set()
        return Sent(f"{content['sequence_id']}/{told}")

    def preview(self, message: Message) -> str:
        """What is published, without whom it is to."""
        return msgspec.json.format(msgspec.json.encode(said(message, self._door, "…")), indent=2).decode()

    async def close(self) -> None:
        """Nothing is kept open."""

    def hear(self, call: Call) -> Heard | Reply:
        """A press: whoever posts knows what only the page's own message in its topic holds."""
        if call.path:
            return Reply(404)
        answer = pressed(self._key, call.body)
        return Heard(answer=answer) if answer else _said(403, "This was not made by this Tocsin.")

    async def thank(self, answer: Answer, taken: Taken) -> Reply:
        """The app clears the notification when it is told yes, and shows that it failed at anything else."""
        if taken.ok:
            return _said(200, taken.said)
        return _said(503 if taken.again else 409, taken.said or "It was pressed before, and is no longer yours.")

    async def listen(self, take: Take, find: Find) -> None:
        """Look for synthetic pages that left; ask nothing while none is awaited."""
        clock = asyncio.get_running_loop().time
        until, pause = clock() + (_AT_START if self._loop else 0.0), _FIRST_PAUSE
        while True:
            if clock() >= until or not self._loop:
                await self._left.wait()
            if self._left.is_set():
                self._left.clear()
                until, pause = clock() + _LOOKS_FOR, _FIRST_PAUSE
            if self._loop and await self._came(take):
                until = 0.0
                continue
            with contextlib.suppress(TimeoutError):  # another one that leaves meanwhile is looked for at once
                await asyncio.wait_for(self._left.wait(), pause)
            pause = min(2 * pause, _LONGEST_PAUSE)

    async def _came(self, take: Take) -> bool:
        """Whether the server hands out a synthetic page that was awaited."""
        answer = await self._ask("GET", f"/{self._loop}/json?poll=1&since={_SINCE}")
        if isinstance(answer, Answered) and answer.status == 200:
            lines = reversed(answer.body.splitlines())
            pages = [page for line in lines for page in self._looped(line)]
            return any([(await take(Got(page=page, receipt="delivered"))).ok for page in dict.fromkeys(pages)])
        why = outcome(answer, 0)
        raise DeafError(f"its synthetic pages cannot be read: {why.error if isinstance(why, Failed) else _NOT_NTFY}")

    async def _ask(self, method: str, path: str, content: bytes = b"") -> Answered | Unanswered | Failed:
        try:
            headers = self._signed_in()
        except (LookupError, OSError, ValueError) as error:
            return no_secret(self._token or self._password, error)
        if headers is None:
            why = f"{self._token} holds no access token: those look like tk_…, as `ntfy token add` writes them"
            return Failed("auth", why, permanent=True)
        if content:
            headers["content-type"] = "application/json"
        limit = _READ if content else _LOOKED_THROUGH
        return await self._outside.request(
            method, self._server + path, headers=headers, content=content, within=DEADLINE, limit=limit
        )

    def _signed_in(self) -> dict[str, str] | None:
        """The headers that say who publishes. None: the token cannot be one. Raises as ``Setup.secret`` does."""
        if self._token:
            token = self._secret(self._token).strip()
            return {"authorization": f"Bearer {token}"} if _TOKEN.fullmatch(token) else None
        if self._user:
            both = f"{self._user}:{self._secret(self._password)}".encode()
            return {"authorization": f"Basic {base64.b64encode(both).decode()}"}
        return {}


class _Told(msgspec.Struct):
    """The parts of ntfy's answers that are looked at: a message that was published, or an error."""

    id: str = ""
    code: int = 0
    error: str = ""


def outcome(answer: Answered | Unanswered | Failed, now: Instant) -> str | Failed:
    """What ntfy's answer means: the message's id, or why there is none.

    Only a topic that can be none is the address's own fault. That ntfy lets nobody write to one is its configuration's.
    """
    found = answer if isinstance(answer, Failed) else replied(answer, now, "ntfy")
    if isinstance(found, Failed):
        return found
    answer, why = found
    try:
        told = msgspec.json.decode(answer.body, type=_Told)
    except msgspec.MsgspecError:
        told = _Told()
    if why is None:
        return told.id or Failed("server", _NOT_NTFY)
    said = f"{why.error} ({rendering.plain(told.error, 200)})" if told.error else why.error
    if answer.status == 429:
        # It says no time. What it counts by the day is not there again in seconds.
        wait = HOUR if told.code == _QUOTA else None
        return Failed("rate_limit", f"ntfy takes no more for now: {said}", retry_after=why.retry_after or wait)
    if answer.status in (408, 425) or answer.status >= 500:
        return Failed("server", said, retry_after=why.retry_after)
    if answer.status in (401, 403):
        what = "does not know the token or the password" if answer.status == 401 else "lets it not use this topic"
        return Failed("auth", f"ntfy {what}: {said}", permanent=True)
    if told.code in _BAD_TOPICS:
        return Failed("address", said, permanent=True)
    return Failed("server", said if told.code else f"{said}: is `server` right?", permanent=bool(told.code))


def said(message: Message, door: str, press: str) -> dict[str, Any]:
    """A message as ntfy publishes it, but for its topic. What a monitor wrote is text, in a line of its own.

    ``press`` is what its button posts to ``door``.
    """
    link, asks = rendering.link(message), message.asks
    head, *rest = rendering.chat(message, HOW if door.startswith("http") else "").split("\n")
    content: dict[str, Any] = {
        "title": rendering.plain(head, _MOST_TITLE),
        "message": fitting("\n".join(line for line in rest if line != link)) or head,
        "priority": priority(message),
        "tags": tags(message),
        "sequence_id": message.replaces.partition("/")[0] if message.kind == "update" else _sequence(message),
    }
    actions: list[dict[str, Any]] = []
    if asks and door.startswith("http"):
        button = {"action": "http", "label": "Acknowledge", "url": door, "method": "POST", "body": press}
        actions.append({**button, "clear": True})
    if link:
        content["click"] = link
        actions += [{"action": "view", "label": "Open", "url": link, "clear": False}]
    return {**content, "actions": actions} if actions else content


def _sequence(message: Message) -> str:
    return rendering.stable_key(message)[:64]


def priority(message: Message) -> int:
    """How loud it is. A page whose severity is none of ours is as loud as the gravest."""
    if message.idempotency_key.startswith(FIRST):
        return SILENT
    return _PRIORITIES.get(rendering.severity(message), LOUD) if message.asks else QUIET


def tags(message: Message) -> list[str]:
    """The sign before the title, then what an app can filter by: the severity and the service."""
    if message.kind == "update":
        sign = {"acknowledged": "raising_hand", "resolved": "white_check_mark"}.get(message.state, "information_source")
    elif message.asks:
        sign = "rotating_light" if priority(message) == LOUD else "warning"
    else:
        sign = "information_source"
    return [sign, *(one for one in (rendering.severity(message).lower(), message.service) if _LABEL.fullmatch(one))]


def fitting(text: str) -> str:
    """As much of it as ntfy leaves a text."""
    raw = text.encode()
    return text if len(raw) <= _MOST else raw[: _MOST - 3].decode("utf-8", "ignore").rstrip() + "…"


def button(key: bytes, message: Message) -> str:
    """What a page's button posts: its topic, its number, and that this installation put them together."""
    return f"{message.address}.{make_token(_keyed(key, message.address), message.page)}"


def pressed(key: bytes, body: bytes) -> Answer | None:
    """The answer that such a post is, or None when this installation did not make it.

    One page's button is one answer, however often it is pressed: a page that comes again has a button of its own.
    """
    topic, _, token = body[:300].decode("ascii", "replace").partition(".")
    page = read_token(_keyed(key, topic), token)
    return None if page is None else Answer(page=page, by=topic, mark=f"press/{page}")


def _keyed(key: bytes, topic: str) -> bytes:
    return hmac.new(key, topic.encode("utf-8", "replace"), hashlib.sha256).digest()


def _said(status: int, text: str) -> Reply:
    return Reply(status, f"{text}\n".encode(), "text/plain; charset=utf-8", _ANYBODY)
