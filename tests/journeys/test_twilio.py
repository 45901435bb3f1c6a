"""Pages by text message and by call: sent as Twilio's own client sends them, answered by what its validator signs."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs
from xml.etree import ElementTree

import pytest
import yaml
from twilio.request_validator import RequestValidator

from tests.journeys.calling import a_plan_for, posted, says
from tests.journeys.telling import becomes, incident
from tests.support.catcher import Catcher, Received, Reply
from tests.support.mail import Mail, MailServer
from tests.support.server import TocsinServer
from tests.support.waiting import eventually

pytestmark = pytest.mark.journey

TOKEN = "12345678901234567890123456789012"
RECORDED = json.loads((Path(__file__).parents[1] / "channels" / "recorded" / "twilio.json").read_text())
SID = json.loads(RECORDED[0]["reply"]["body"]["text"])["sid"]
"""What Twilio calls everything here: what it says of another call than it was asked for last ends nothing."""
ANA = "+34600000000"


class Story:
    """Tocsin, and something that answers as Twilio does."""

    def __init__(self, server: TocsinServer, twilio: Catcher) -> None:
        self.server, self.twilio = server, twilio
        self.page = 0

    def proves(self, channel: str) -> None:
        """Ana adds her telephone, and types the code that came there."""
        added = len(self.twilio.requests)
        number = str(self.server.json("contact", "add", channel, ANA)["id"])
        told = form(self.twilio.wait_for(added + 1)[-1])
        code = re.search(r"\b\d( ?\d){5}\b", told.get("Body") or told["Twiml"])
        assert code is not None
        self.server.run("contact", "verify", number, code[0])
        if channel == "call":  # she hangs up: until then nothing else would call her
            path = told["StatusCallback"].partition("/callbacks/")[2]
            assert self.call(path, {"CallSid": SID, "CallStatus": "completed", "To": ANA})[0] == 200

    def pages(self) -> dict[str, str]:
        """A monitor speaks: what Twilio is asked to do about it."""
        before = len(self.twilio.requests)
        says(self.server)
        fields = form(self.twilio.wait_for(before + 1)[before])
        self.page = incident(self.server, 1)["pages"][0]["id"]
        return fields

    def call(
        self, path: str, fields: Mapping[str, str], *, token: str = TOKEN, url: str = "", signed: bool = True
    ) -> tuple[int, str]:
        """What Twilio posts to us, signed by its own package for the address it was told."""
        address = f"{self.server.url}/callbacks/{path}"
        signature = RequestValidator(token).compute_signature(url or address, dict(fields))
        return posted(address, fields, {"X-Twilio-Signature": signature} if signed else {})


@pytest.fixture
def start(
    tocsin_server: Callable[..., TocsinServer], catcher: Catcher, mail_server: MailServer
) -> Callable[..., Story]:
    """Call with the telephones Ana proves, and what the plan says of her."""

    def started(*telephones: str, database: str | None = None, **ana: Any) -> Story:
        catcher.default = Reply(201, RECORDED[0]["reply"]["body"]["text"])
        account = {"account": "AC1", "token": "secret:twilio", "from": "+34911000000", "server": catcher.url}
        plan = a_plan_for({"twilio": account}, **ana)
        plan["mail"] = {"server": f"smtp://{mail_server.host}:{mail_server.port}", "from": "tocsin@shop.example"}
        server = tocsin_server(plan=plan, environment={"TOCSIN_SECRET_TWILIO": TOKEN}, database=database)
        story = Story(server, catcher)
        for channel in telephones:
            story.proves(channel)
        return story

    return started


@pytest.fixture(params=["sqlite", "postgres"])
def database(request: pytest.FixtureRequest) -> str | None:
    """Both stores."""
    return None if request.param == "sqlite" else str(request.getfixturevalue("postgres_url"))


def form(request: Received) -> dict[str, str]:
    """The fields of a request, like the recorded one of the official client."""
    official = next(one for one in RECORDED if one["path"].rsplit("/")[-1] == request.path.rsplit("/")[-1])
    assert (request.method, request.path) == (official["method"], official["path"])
    headers = {name.lower(): value for name, value in official["headers"]}
    assert request.headers["content-type"] == headers["content-type"]
    assert request.headers["authorization"] == "Basic " + base64.b64encode(f"AC1:{TOKEN}".encode()).decode()
    fields = {name: values[0] for name, values in parse_qs(request.body.decode()).items()}
    assert set(parse_qs(official["body"]["text"])) <= set(fields)
    return fields


def test_a_text_message_is_acknowledged_by_a_reply_with_its_number(
    start: Callable[..., Story], database: str | None
) -> None:
    story = start("sms", database=database)
    fields = story.pages()
    assert (fields["To"], fields["From"]) == (ANA, "+34911000000")
    assert fields["StatusCallback"] == f"{story.server.url}/callbacks/sms/status/{story.page}"
    reply, link = f"Reply {story.page} to acknowledge.", f"{story.server.url}/p/{story.page}."
    for told in ("[SEV1] Checkout", "Since ", reply, link):
        assert told in fields["Body"]
    delivered = {"MessageSid": "SM1", "MessageStatus": "delivered", "To": ANA}
    assert story.call(f"sms/status/{story.page}", {"MessageSid": "SM1", "MessageStatus": "sent", "To": ANA})[0] == 200
    assert story.call(f"sms/status/{story.page}", delivered)[0] == 200
    page = incident(story.server, 1)["pages"][0]
    assert page["delivered_at"]
    assert page["provider_id"] == "SM4322c22054f8412aaeb466955a7480aa"
    for _ in range(3):
        assert story.call(f"sms/status/{story.page}", delivered)[0] == 200
    assert incident(story.server, 1)["pages"][0]["delivered_at"] == page["delivered_at"], "told again, it is the same"
    answer = {"MessageSid": "SM2", "From": ANA, "Body": f"ack {story.page}", "To": "+34911000000"}
    status, said = story.call("sms/answer", answer)
    assert status == 200
    assert ElementTree.fromstring(said).findtext("Message") == "You have incident #1."
    assert becomes(story.server, 1, "acknowledged")["acknowledged_by"] == "person:ana"
    assert TOKEN not in story.server.output()


def test_a_call_reads_it_out_and_is_acknowledged_by_a_key(start: Callable[..., Story], database: str | None) -> None:
    story = start("call", database=database)
    fields = story.pages()
    assert parse_qs(story.twilio.requests[-1].body.decode())["StatusCallbackEvent"] == ["answered", "completed"]
    twiml = ElementTree.fromstring(fields["Twiml"])
    gathers = twiml.findall("Gather")
    assert len(gathers) == 2, "it is said twice"
    words = gathers[0].findtext("Say") or ""
    for told in ("SEV1", "Checkout <b>answers</b> 503 & hangs", "Since", "Press 1"):
        assert told in words
    action = gathers[0].attrib["action"].removeprefix(f"{story.server.url}/callbacks/")
    pressed = {"CallSid": SID, "To": ANA, "From": "+34911000000", "Digits": "7"}
    status, said = story.call(action, pressed)
    assert (status, incident(story.server, 1)["state"]) == (200, "triggered")
    assert ElementTree.fromstring(said).find("Gather") is not None, "another key is asked for again"
    status, said = story.call(action, {**pressed, "Digits": "1"})
    assert ElementTree.fromstring(said).findtext("Say") == "You have incident #1."
    assert becomes(story.server, 1, "acknowledged")["acknowledged_by"] == "person:ana"


def test_what_could_not_be_delivered_is_tried_by_the_next_method(
    start: Callable[..., Story], mail_server: MailServer
) -> None:
    """Twilio takes a message, and tells a second later that the telephone is off."""
    story = start("call", email="ana@shop.example")
    story.pages()
    eventually(lambda: incident(story.server, 1)["pages"][0]["state"] == "sent", what="the call to be placed")

    def pages() -> list[Mail]:
        return [mail for mail in mail_server.messages if "[notice]" not in mail.subject]

    assert not pages()
    assert story.call(f"call/status/{story.page}", {"CallSid": SID, "CallStatus": "no-answer", "To": ANA})[0] == 200
    eventually(pages, what="a mail")
    call, mail, again = sorted(incident(story.server, 1)["pages"], key=lambda page: page["id"])
    assert (call["state"], call["outcome"], call["error"]) == ("failed", "no_answer", "Twilio says no-answer")
    assert (again["channel"], again["held"], mail["channel"]) == ("call", "called_again", "email")


def test_a_number_is_called_once_at_a_time(start: Callable[..., Story]) -> None:
    """Two incidents a moment apart: the second is told when Twilio says that the first call is over."""
    story = start("call")
    story.pages()
    asked = len(story.twilio.requests)
    story.server.run("send", "--service", "checkout", "--title", "Queue is long", "--severity", "critical")
    eventually(lambda: incident(story.server, 2)["pages"][0]["held"] == "on_the_phone", what="the second to wait")
    assert len(story.twilio.requests) == asked
    over = {"CallSid": SID, "CallStatus": "completed", "To": ANA}
    assert story.call(f"call/status/{story.page}", over)[0] == 200
    assert "Queue is long" in form(story.twilio.wait_for(asked + 1)[-1])["Twiml"]


def test_what_twilio_did_not_sign_changes_nothing(start: Callable[..., Story]) -> None:
    story = start("sms", "call")
    story.pages()
    good = {"MessageSid": "SM2", "From": ANA, "Body": f"{story.page}"}
    assert story.call("sms/answer", good, token="another token")[0] == 403
    assert story.call("sms/answer", good, signed=False)[0] == 403
    assert story.call("sms/answer", good, url=f"{story.server.url}/callbacks/sms/status/{story.page}")[0] == 403
    assert story.call("sms/answer", {**good, "From": "+34699999999"})[1].count("Message") == 0, "strangers cost money"
    told = []
    wrong = story.page + 7
    for body in (f"{wrong}", f"{wrong}", f"{story.page} 2", "99999999999999999999", "¹", ""):
        status, said = story.call("sms/answer", {**good, "Body": body, "MessageSid": f"SM-{body}"})
        told.append((status, ElementTree.fromstring(said).findtext("Message")))
    how = f"Reply {story.page} to acknowledge."
    assert told[:2] == [(200, f"{wrong} is no page of yours. {how}"), (200, None)], "told once"
    assert told[2:] == [(200, how), *[(200, None)] * 3], "told once"
    for path in ("sms/elsewhere", "sms/status/x", "sms/answer/1/2", "call/answer", "sms"):
        assert story.call(path, {"Digits": "1", "To": ANA, "CallSid": SID})[0] in (200, 404)
    assert incident(story.server, 1)["state"] == "triggered"
    said = story.call("sms/answer", {**good, "Body": "Ok", "MessageSid": "SM3"})[1]
    assert ElementTree.fromstring(said).findtext("Message") == how, "a code was said to them in the same minute"
    said = story.call("sms/answer", {**good, "MessageSid": "SM4"})[1]
    assert ElementTree.fromstring(said).findtext("Message") == "You have incident #1."
    assert becomes(story.server, 1, "acknowledged")["acknowledged_by"] == "person:ana"


def test_an_answer_told_again_is_one_answer(start: Callable[..., Story]) -> None:
    """Its signature carries no time: it would be as good next year."""
    story = start("sms")
    story.pages()
    answer = {"MessageSid": "SM2", "From": ANA, "Body": f"{story.page}"}
    assert "You have" in story.call("sms/answer", answer)[1]
    says(story.server, state="resolved")
    becomes(story.server, 1, "resolved", within=20)
    assert "You have" not in story.call("sms/answer", {**answer, "MessageSid": "SM3"})[1]
    says(story.server)
    becomes(story.server, 1, "triggered")
    assert "before" in story.call("sms/answer", answer)[1]
    assert incident(story.server, 1)["state"] == "triggered"


def test_a_synthetic_page_is_back_when_twilio_says_that_it_arrived(start: Callable[..., Story]) -> None:
    """By text message and by call. What is signed with another token says nothing."""
    story = start()
    server = story.server
    plan = yaml.safe_load((server.plan / "tocsin.yaml").read_text())
    plan["synthetic page"] = {"every": "1h", "within": "5m", "sms": "+34600000001", "call": "+34600000002"}
    server.write_plan(plan)
    server.run("plan", "reload")
    asked = {request.path.rsplit("/")[-1]: form(request) for request in story.twilio.wait_for(2)}
    sms, call = asked["Messages.json"], asked["Calls.json"]
    assert (sms["To"], call["To"]) == ("+34600000001", "+34600000002")
    assert "acknowledge" not in sms["Body"] + call["Twiml"]

    def states() -> dict[str, str]:
        return {one["channel"]: one["state"] for one in server.json("channel", "synthetic")}

    paths = {name: fields["StatusCallback"].partition("/callbacks/")[2] for name, fields in asked.items()}
    told = {"MessageSid": "SM1", "MessageStatus": "delivered", "To": "+34600000001"}
    assert story.call(paths["Messages.json"], told, token="0" * 32)[0] == 403
    assert states() == {"sms": "awaited", "call": "awaited"}
    assert story.call(paths["Messages.json"], told)[0] == 200
    picked_up = {"CallSid": SID, "CallStatus": "completed", "To": "+34600000002"}
    assert story.call(paths["Calls.json"], picked_up)[0] == 200
    eventually(lambda: states() == {"sms": "back", "call": "back"}, what="both to be back")
