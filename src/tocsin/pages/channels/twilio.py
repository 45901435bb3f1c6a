"""Twilio: a page as a text message, acknowledged by a reply; or as a call that reads it out, acknowledged by a key.

Twilio calls back, signed with the account's auth token over the address it was told and every field:
``/callbacks/sms/answer`` (set it as the number's messaging webhook), ``/callbacks/sms/status/PAGE``,
``/callbacks/call/answer/PAGE`` and ``/callbacks/call/status/PAGE``. Its signature carries no time; so a reply names its
page, a page is answered within a day, and Twilio's id of the message or call makes one told twice known.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Mapping
from typing import Literal
from urllib.parse import parse_qsl, quote, urlencode
from xml.sax.saxutils import escape

import msgspec

from tocsin.intake.request import Reply
from tocsin.pages import rendering
from tocsin.pages.answers import Answer, Call, Got, Heard, Taken, Words
from tocsin.pages.channels.consent import agrees
from tocsin.pages.channels.replies import failed
from tocsin.pages.channels.setup import DEADLINE, Setup, no_secret
from tocsin.pages.ledger import Receipt
from tocsin.pages.message import Failed, Message, Sent

SERVER = "https://api.twilio.com"
KEY = "1"
"""What is pressed to acknowledge."""
RINGS = 40
"""Seconds a telephone rings before it counts as not answered."""
_READ = 65_536
_THE_NUMBER = frozenset({21211, 21214, 21217, 21265, 21610, 21614, 21635})
"""Twilio's codes for a number that is none, cannot be called or texted, or said STOP. All others speak of the account,
of its own number or of what was asked.
"""
_CODE = re.compile(r"\b\d{6}\b")
"""Is read out digit by digit."""
_REPLY = re.compile(r"(?i)\s*(?:ack(?:nowledge)?\s*)?#?(\d{1,18})(?:[\s,:.!]+(.*?))?\s*", re.DOTALL)
"""A number, and words after it."""
_RECEIPTS: dict[str, Receipt] = {
    "delivered": "delivered",
    "read": "seen",
    "undelivered": "failed",
    "in-progress": "delivered",
    "completed": "over",
    "failed": "failed",
    "busy": "busy",
    "no-answer": "no_answer",
    "canceled": "failed",
}


def sms(setup: Setup) -> Twilio | None:
    """Text messages; None when the plan sets up no Twilio account."""
    return Twilio(setup, setup.channels["twilio"], "sms") if "twilio" in setup.channels else None


def call(setup: Setup) -> Twilio | None:
    """Calls; None when the plan sets up no Twilio account."""
    return Twilio(setup, setup.channels["twilio"], "call") if "twilio" in setup.channels else None


class Twilio:
    """Sends from one number of one account. Twilio drops no repetitions."""

    idempotent = False
    real = True

    def __init__(self, setup: Setup, said: Mapping[str, str], kind: Literal["sms", "call"]) -> None:
        self.name: str = kind
        self._outside, self._secret, self._public_url = setup.outside, setup.secret, setup.public_url
        self._account, self._token, self._from = said["account"], said["token"], said["from"]
        self._server = said.get("server", SERVER).rstrip("/")

    async def send(self, message: Message) -> Sent | Failed:
        """Send it, or call."""
        try:
            token = self._secret(self._token)
        except (LookupError, OSError, ValueError) as error:
            return no_secret(self._token, error)
        fields = {
            "To": message.address,
            "From": self._from,
            "StatusCallback": f"{self._public_url}/callbacks/{self.name}/status/{message.page}",
        }
        events: list[tuple[str, str]] = []
        if self.name == "sms":
            fields["Body"] = short(message)
        else:
            answer = f"{self._public_url}/callbacks/call/answer/{message.page}"
            fields |= {"Twiml": spoken(message, answer), "Timeout": str(RINGS)}
            events = [("StatusCallbackEvent", event) for event in ("answered", "completed")]
        account = quote(self._account)
        basic = base64.b64encode(f"{self._account}:{token}".encode()).decode()
        answered = await self._outside.request(
            "POST",
            f"{self._server}/2010-04-01/Accounts/{account}/{'Messages' if self.name == 'sms' else 'Calls'}.json",
            headers={"authorization": f"Basic {basic}", "content-type": "application/x-www-form-urlencoded"},
            content=urlencode([*fields.items(), *events]).encode(),
            within=DEADLINE,
            limit=_READ,
        )
        why = failed(answered, message.now, "Twilio")
        said = getattr(answered, "body", b"")
        if why is not None:
            told = _error(said)
            code = "address" if why.permanent and told.code in _THE_NUMBER else why.code
            return msgspec.structs.replace(why, code=code, error=f"{why.error}{_said(told)}")
        try:
            return Sent(msgspec.json.decode(said, type=_Made).sid)
        except msgspec.MsgspecError:
            return Sent()

    def preview(self, message: Message) -> str:
        """The text message, or what the call says."""
        if self.name == "sms":
            return short(message)
        return spoken(message, f"{self._public_url}/callbacks/call/answer/{message.page}")

    async def close(self) -> None:
        """Nothing is kept open."""

    def hear(self, call: Call) -> Heard | Reply:
        """What Twilio tells, when it is Twilio."""
        try:
            token = self._secret(self._token)
            fields = dict(parse_qsl(call.body.decode(), keep_blank_values=True, max_num_fields=200))
        except (LookupError, OSError):
            return Reply(503)
        except ValueError:
            return Reply(400)
        if not signed(token, call.url, fields, call.headers.get("x-twilio-signature", "")):
            return Reply(403)
        what, _, number = call.path.partition("/")
        page = int(number) if number.isascii() and number.isdigit() and len(number) <= 18 else 0
        if what == "status" and page:
            receipt = _RECEIPTS.get(fields.get("MessageStatus") or fields.get("CallStatus", ""))
            if receipt is None:
                return Heard()
            code = rendering.plain(fields.get("ErrorCode", ""), 20)
            status = rendering.plain(fields.get("MessageStatus") or fields.get("CallStatus", ""), 20)
            went = receipt in ("delivered", "seen", "over")
            error = "" if went else f"Twilio says {status}{f' (error {code})' if code else ''}"
            sid = fields.get("MessageSid") or fields.get("CallSid", "")
            return Heard(got=Got(page=page, receipt=receipt, error=error, provider_id=rendering.plain(sid, 64)))
        if what == "answer" and self.name == "call" and page:
            if fields.get("Digits") != KEY:
                return Heard(reply=_twiml(_gather(call.url, f"Press {KEY} to acknowledge.")))
            return Heard(answer=Answer(page=page, by=fields.get("To", ""), mark=fields.get("CallSid", "")))
        if what == "answer" and self.name == "sms":
            said, by, mark = (fields.get(name, "") for name in ("Body", "From", "MessageSid"))
            found = _REPLY.fullmatch(said)
            if found is None or (found[2] and not agrees(found[2])):
                return Heard(words=Words(by=by, mark=mark, yes=agrees(said)))
            return Heard(answer=Answer(page=int(found[1]), by=by, mark=mark, typed=True))
        return Reply(404)

    async def thank(self, answer: Answer, taken: Taken) -> Reply:
        """Say it in the same call, or in a message back."""
        if taken.stranger and self.name == "sms":
            return _twiml("")  # a text message costs money, and anybody can send one
        if taken.again and self.name == "call":
            # Twilio tells nothing again, but whoever pressed is still there to be asked.
            address = f"{self._public_url}/callbacks/call/answer/{answer.page}"
            return _twiml(_gather(address, f"{taken.said} Press {KEY} to try again."))
        verb = "Say" if self.name == "call" else "Message"
        return _twiml(f"<{verb}>{escape(taken.said or 'This was answered before.')}</{verb}>")


class _Made(msgspec.Struct):
    sid: str = ""


class _Error(msgspec.Struct):
    code: int = 0
    message: str = ""


def _error(body: bytes) -> _Error:
    try:
        return msgspec.json.decode(body, type=_Error)
    except msgspec.MsgspecError:
        return _Error()


def _said(told: _Error) -> str:
    """Twilio's own words for an error, which may repeat the number but no secret."""
    return f": {rendering.plain(told.message, 200)} ({told.code})" if told.message else ""


def signed(token: str, url: str, fields: Mapping[str, str], signature: str) -> bool:
    """Whether Twilio sent these fields to this address."""
    text = url + "".join(f"{name}{fields[name]}" for name in sorted(fields))
    good = base64.b64encode(hmac.new(token.encode(), text.encode(), hashlib.sha1).digest())
    return hmac.compare_digest(good, signature.encode("utf-8", "replace"))


def short(message: Message) -> str:
    """A text message: two or three segments, the answer last."""
    head = rendering.plain(rendering.subject(message), 140)
    service = rendering.plain(message.service, 40)
    said = rendering.plain(rendering.own(message), 320)
    parts = [said] if said else [head, f"{rendering.since(message)}{f', {service}' if service else ''}."]
    if (done := rendering.tried(message)) and not said:
        parts.append(f"Code tried: {rendering.plain(done[0], 60)}")
    if message.asks:
        parts.append(f"Reply {message.page} to acknowledge.")
    link = rendering.link(message)
    return "\n".join([*parts, *([] if link in said else [link])]).rstrip()


def spoken(message: Message, answer: str) -> str:
    """What a call says, twice, waiting for a key after each."""
    service = rendering.plain(message.service, 60)
    done = rendering.tried(message)
    words = [
        "This is Tocsin.",
        f"{rendering.severity(message)}.",
        f"{rendering.plain(message.title, 200).rstrip('.') or 'Something is wrong'}.",
        f"{rendering.since(message)}.",
        f"Service {service}." if service else "",
        f"Code already tried: {done[0].rstrip('.')}." if done else "",
    ]
    own = rendering.plain(rendering.own(message), 600)
    text = own or " ".join(word for word in words if word and word != ".")
    if not message.asks:
        said = f"<Say>{escape(_CODE.sub(lambda code: ' '.join(code[0]), text))}</Say>"
        return f'<Response>{said}<Pause length="1"/>{said}</Response>'
    once = _gather(answer, f"{text} Press {KEY} to acknowledge.")
    return f"<Response>{once}{once}<Say>Nothing was acknowledged.</Say></Response>"


def _gather(answer: str, text: str) -> str:
    address = escape(answer, {'"': "&quot;"})
    return f'<Gather numDigits="1" timeout="8" method="POST" action="{address}"><Say>{escape(text)}</Say></Gather>'


def _twiml(inside: str) -> Reply:
    body = f'<?xml version="1.0" encoding="UTF-8"?><Response>{inside}</Response>'
    return Reply(200, body.encode(), "text/xml; charset=utf-8")
