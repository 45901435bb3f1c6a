"""What Twilio is answered when an answer cannot be taken now. Its journeys are tests/journeys/test_twilio.py."""

from __future__ import annotations

import base64
import hashlib
import hmac
from typing import Any
from urllib.parse import urlencode
from xml.etree import ElementTree

import pytest

from tocsin.pages.answers import Answer, Call, Taken, Words
from tocsin.pages.channels.setup import Setup
from tocsin.pages.profiles import profiles
from tocsin.runtime.outbound import Outbound

SAID = {"twilio": {"account": "AC0", "token": "secret:twilio", "from": "+34910000000"}}


async def test_who_is_on_the_line_may_try_again_and_a_message_says_why() -> None:
    """Twilio itself tells nothing again."""
    not_now = Taken(False, "Nothing was changed.", again=True)
    answer = Answer(page=34, by="+34600000000", mark="CA1")
    setup = Setup(Outbound(), {"secret:twilio": "x"}.__getitem__, channels=SAID, public_url="https://t.example")
    made: dict[str, Any] = {name: profiles()[name].make(setup) for name in ("call", "sms")}
    call, sms = made["call"], made["sms"]
    gather = ElementTree.fromstring((await call.thank(answer, not_now)).body).find("Gather")
    assert gather is not None
    assert gather.get("action") == "https://t.example/callbacks/call/answer/34"
    assert gather.findtext("Say") == "Nothing was changed. Press 1 to try again."
    told = ElementTree.fromstring((await call.thank(answer, Taken(True, "You have incident #1."))).body)
    assert told.find("Gather") is None
    told = ElementTree.fromstring((await sms.thank(answer, not_now)).body)
    assert told.findtext("Message") == "Nothing was changed."


NUMBER = Answer(page=42, by="+34600000000", mark="SM1", typed=True)
YES, NO = (Words(by="+34600000000", mark="SM1", yes=yes) for yes in (True, False))


@pytest.mark.parametrize(
    ("body", "meant"),
    [
        *((text, NUMBER) for text in ("42", "ack 42", "Acknowledge #42.", "42 on it", "42, ok!", "#42 yes")),
        *((text, YES) for text in ("ACK", "ok", "Okay!", "yes", "On my way", "on it", "👍🏽")),
        *((text, NO) for text in ("", "no", "42 no", "42 2", "stop", "who is this?", "ok, but Ben has it", "¹")),
    ],
)
def test_a_reply_is_a_number_or_a_yes_or_neither(body: str, meant: Answer | Words) -> None:
    setup = Setup(Outbound(), {"secret:twilio": "x"}.__getitem__, channels=SAID, public_url="https://t.example")
    sms: Any = profiles()["sms"].make(setup)
    url = "https://t.example/callbacks/sms/answer"
    fields = {"Body": body, "From": "+34600000000", "MessageSid": "SM1"}
    text = url + "".join(f"{name}{fields[name]}" for name in sorted(fields))
    signature = base64.b64encode(hmac.new(b"x", text.encode(), hashlib.sha1).digest()).decode()
    heard = sms.hear(
        Call(url=url, path="answer", headers={"x-twilio-signature": signature}, body=urlencode(fields).encode(), now=0)
    )
    assert (heard.answer or heard.words) == meant
