"""Slack: a page as a direct message of the plan's Slack app, with a button that acknowledges.

Button presses come to ``/callbacks/slack`` (the app's Interactivity request URL), signed by Slack with the app's
signing secret and a time that is at most five minutes old. A synthetic page comes back the same way, as the event that
says what was said in its channel (the app's Event Subscriptions). When somebody has the incident and when it is over,
the message says so instead of the button. A page's provider id is ``channel/ts``. With an app token instead of the
signing secret all of this comes by a connection that Tocsin opens to Slack (socket mode).
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs

import msgspec

from tocsin.intake.request import Reply
from tocsin.kernel.instant import MINUTE, SECOND, Instant
from tocsin.kernel.outside import Answer as Answered
from tocsin.kernel.outside import Unanswered
from tocsin.pages import rendering
from tocsin.pages.answers import Answer, Call, DeafError, Find, Got, Heard, Take, Taken
from tocsin.pages.channels.replies import failed
from tocsin.pages.channels.setup import DEADLINE, Setup, no_secret
from tocsin.pages.message import Failed, Message, Sent

SERVER = "https://slack.com"
ACKNOWLEDGE = "tocsin_acknowledge"
_FRESH = 5 * MINUTE
_READ = 65_536
_MOST_WAITING = 1_000
_AUTH = frozenset(
    {
        "invalid_auth",
        "not_authed",
        "account_inactive",
        "token_revoked",
        "token_expired",
        "missing_scope",
        "no_permission",
    }
)
_THE_ADDRESS = frozenset({"channel_not_found", "user_not_found", "user_disabled", "is_archived", "cannot_dm_bot"})
"""Words for a member or a channel that is none, or is no more. All others speak of the app or the message."""
_PASSES = frozenset(
    {"ratelimited", "rate_limited", "internal_error", "fatal_error", "service_unavailable", "request_timeout"}
)


def channel(setup: Setup) -> Slack | None:
    """None when the plan sets up no Slack app. One with an app token is answered by a connection of our own."""
    said = setup.channels.get("slack")
    if said is None:
        return None
    return SlackBySocket(setup, said) if "app token" in said else Slack(setup, said)


class Slack:
    """Sends as one app. Slack has no idempotency for messages, so one sent again is marked as such."""

    name = "slack"
    idempotent = False
    real = True

    def __init__(self, setup: Setup, said: Mapping[str, str]) -> None:
        self._outside, self._secret, self._looped = setup.outside, setup.secret, setup.looped
        self._token, self._signing = said["token"], said.get("signing secret", "")
        self._server = said.get("server", SERVER).rstrip("/")

    async def send(self, message: Message) -> Sent | Failed:
        """Say it, or change what was said."""
        place, _, ts = message.replaces.partition("/")
        if message.kind == "update":
            if not ts:
                return Sent()  # what it would change was never said
            content = {"channel": place, "ts": ts, **said(message)}
            return await self._ask("chat.update", content, message.now)
        content = {"channel": message.address, "unfurl_links": False, "unfurl_media": False, **said(message)}
        return await self._ask("chat.postMessage", content, message.now)

    def preview(self, message: Message) -> str:
        """The message's text and blocks."""
        return msgspec.json.format(msgspec.json.encode(said(message)), indent=2).decode()

    async def close(self) -> None:
        """Nothing is kept open."""

    def hear(self, call: Call) -> Heard | Reply:
        """A button press, or what was said in the channel of synthetic pages, when Slack signed it."""
        try:
            secret = self._secret(self._signing)
        except (LookupError, OSError, ValueError):
            return Reply(503)
        if not signed(secret, call.headers, call.body, call.now):
            return Reply(401)
        try:
            if call.headers.get("content-type", "").startswith("application/json"):
                return self._told(msgspec.json.decode(call.body, type=_Told))
            text = parse_qs(call.body.decode(), max_num_fields=10).get("payload", [""])[0]
            return Heard(answer=_answer(msgspec.json.decode(text, type=_Pressed)))
        except (ValueError, msgspec.MsgspecError):
            return Reply(400)

    def _told(self, told: _Told) -> Heard | Reply:
        """What an event says. Slack asks once, when it is given the address, whether somebody is there."""
        if told.type == "url_verification":
            return Heard(reply=Reply(200, told.challenge.encode(), "text/plain; charset=utf-8"))
        return Heard(got=self._came(bytes(told.event)))

    def _came(self, event: bytes) -> Got | None:
        """The synthetic page that is heard again in its channel. Its mark is signed, whoever said it."""
        page = next(iter(self._looped(event)), 0)
        return Got(page=page, receipt="delivered") if page else None

    async def thank(self, answer: Answer, taken: Taken) -> Reply:
        """Nothing when it counts: the message itself will say so. Else why not, to that person alone.

        Slack tells no press again; a 503 has it show at the button that the press did not get through.
        """
        if not taken.ok and taken.said:
            place = answer.mark.partition("/")[0]
            await self._ask("chat.postEphemeral", {"channel": place, "user": answer.by, "text": taken.said}, 0)
        return Reply(503 if taken.again else 200)

    async def _ask(self, method: str, content: dict[str, Any], now: Instant) -> Sent | Failed:
        try:
            token = self._secret(self._token)
        except (LookupError, OSError, ValueError) as error:
            return no_secret(self._token, error)
        answer = await self._outside.request(
            "POST",
            f"{self._server}/api/{method}",
            headers={"authorization": f"Bearer {token}", "content-type": "application/json; charset=utf-8"},
            content=msgspec.json.encode(content),
            within=DEADLINE if method != "chat.postEphemeral" else 2.0,
            limit=_READ,
        )
        return outcome(answer, now)


class SlackBySocket(Slack):
    """The same, answered in socket mode: nothing has to reach Tocsin from outside. The connection is Slack's own
    client's (``slack_sdk``), which opens another before Slack ends one.
    """

    def __init__(self, setup: Setup, said: Mapping[str, str]) -> None:
        super().__init__(setup, said)
        self._app_token = said["app token"]

    def hear(self, call: Call) -> Heard | Reply:
        """Nothing comes by HTTP: nobody could have signed it."""
        return Reply(404)

    async def listen(self, take: Take, find: Find) -> None:
        """Keep a connection to Slack and hear what is pressed."""
        try:
            import aiohttp
            from slack_sdk.errors import SlackClientError
            from slack_sdk.socket_mode.aiohttp import SocketModeClient
            from slack_sdk.web.async_client import AsyncWebClient
        except ImportError:
            raise DeafError("Slack's socket mode is not installed here: pip install 'tocsin[slack]'") from None
        try:
            token = self._secret(self._app_token)
        except (LookupError, OSError, ValueError):
            raise DeafError(f"{self._app_token} cannot be read: is it set on this machine?") from None
        web = AsyncWebClient(base_url=f"{self._server}/api/", ssl=self._outside.tls)
        client = SocketModeClient(app_token=token, web_client=web)
        pressed: asyncio.Queue[Any] = asyncio.Queue(maxsize=_MOST_WAITING)

        async def heard(_: object, request: Any) -> None:
            # Told at once that it came: Slack says it again elsewhere after three seconds, and a mark makes that known.
            await client.send_socket_mode_response({"envelope_id": request.envelope_id})
            if request.type in ("interactive", "events_api"):
                await pressed.put(request)

        client.socket_mode_request_listeners.append(heard)
        try:
            await client.connect()  # type: ignore[no-untyped-call]  # the package leaves it so
            while True:
                request = await pressed.get()
                if request.type == "interactive":
                    await self._press(request.payload, take)
                elif came := self._came(msgspec.json.encode(request.payload)):
                    await take(came)
        except (SlackClientError, aiohttp.ClientError, OSError) as error:
            raise DeafError(f"Slack's socket mode cannot be reached: {type(error).__name__}") from None
        finally:
            await client.close()  # type: ignore[no-untyped-call]  # the package leaves it so

    async def _press(self, payload: Any, take: Take) -> None:
        try:
            answer = _answer(msgspec.convert(payload, _Pressed))
        except msgspec.ValidationError:
            return
        if answer is not None:
            await self.thank(answer, await take(answer))


def _answer(pressed: _Pressed) -> Answer | None:
    """What a press says, when it is one of our button."""
    for action in pressed.actions:
        if action.action_id == ACKNOWLEDGE and action.value.isascii() and action.value.isdigit():
            mark = f"{pressed.container.channel_id}/{action.action_ts}"
            return Answer(page=int(action.value[:18]), by=pressed.user.id, mark=mark)
    return None


class _Named(msgspec.Struct):
    id: str = ""


class _Action(msgspec.Struct):
    action_id: str = ""
    value: str = ""
    action_ts: str = ""


class _Container(msgspec.Struct):
    channel_id: str = ""


class _Pressed(msgspec.Struct):
    """The parts of a ``block_actions`` payload that say who pressed what."""

    user: _Named
    actions: list[_Action] = []
    container: _Container = msgspec.field(default_factory=_Container)


class _Told(msgspec.Struct):
    """The parts of an event that say what it is; ``event`` is left as it came, to be searched for a mark."""

    type: str = ""
    challenge: str = ""
    event: msgspec.Raw = msgspec.Raw()


class _Reply(msgspec.Struct):
    ok: bool = False
    error: str = ""
    channel: str = ""
    ts: str = ""


def outcome(answer: Answered | Unanswered, now: Instant) -> Sent | Failed:
    """What Slack's answer means: it says 200 to much that it refuses."""
    why = failed(answer, now, "Slack")
    if why is not None or isinstance(answer, Unanswered):
        return why or Failed("server", "Slack did not answer")
    try:
        told = msgspec.json.decode(answer.body, type=_Reply)
    except msgspec.MsgspecError:
        return Failed("server", "Slack answered something that is not its API's: is `server` right?")
    if told.ok:
        return Sent(f"{told.channel}/{told.ts}")
    word = rendering.plain(told.error, 60) or "no reason"
    if word in _PASSES:
        return Failed("rate_limit" if "rate" in word else "server", f"Slack refused it for now: {word}")
    code = "auth" if word in _AUTH else "address" if word in _THE_ADDRESS else "client"
    return Failed(code, f"Slack refused it: {word}", permanent=True)


def signed(secret: str, headers: Mapping[str, str], body: bytes, now: Instant) -> bool:
    """Whether Slack sent this body, within the last five minutes."""
    stamp = headers.get("x-slack-request-timestamp", "")
    if not (stamp.isascii() and stamp.isdigit()) or abs(now - int(stamp[:12]) * SECOND) > _FRESH:
        return False
    good = "v0=" + hmac.new(secret.encode(), b"v0:" + stamp.encode() + b":" + body, hashlib.sha256).hexdigest()
    return hmac.compare_digest(good.encode(), headers.get("x-slack-signature", "").encode("utf-8", "replace"))


def said(message: Message) -> dict[str, Any]:
    """Text and blocks. What a monitor wrote is text: it mentions nobody and links nowhere."""
    lines = [_text(line) for line in rendering.chat(message).split("\n")]
    body = "\n".join([f"*{lines[0]}*", *lines[1:]])[:3_000]
    blocks: list[dict[str, Any]] = [{"type": "section", "text": {"type": "mrkdwn", "text": body, "verbatim": True}}]
    if message.asks:
        button = {
            "type": "button",
            "action_id": ACKNOWLEDGE,
            "text": {"type": "plain_text", "text": "Acknowledge"},
            "value": str(message.page),
            "style": "primary",
        }
        blocks.append({"type": "actions", "block_id": "tocsin", "elements": [button]})
    return {"text": _text(rendering.subject(message)), "blocks": blocks}


def _text(line: str) -> str:
    return line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
