"""What Twilio is answered when an answer cannot be taken now. Its journeys are tests/journeys/test_twilio.py."""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree

from tocsin.pages.answers import Answer, Taken
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
