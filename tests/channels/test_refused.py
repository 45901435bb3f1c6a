"""Whom a refusal speaks of. Only what a provider says of the person's own address takes that out of use: what it says
of the account, of our own number or of what we asked is nobody's who is paged.
"""

from __future__ import annotations

import json
from typing import Any

import aiosmtplib
import pytest

from tests.channels.words import page
from tocsin.engine.delivering import REFUSALS
from tocsin.kernel.outside import Answer, Unanswered
from tocsin.pages.channels.setup import Setup
from tocsin.pages.channels.slack_app import outcome
from tocsin.pages.channels.smtp import failure
from tocsin.pages.message import Failed
from tocsin.pages.profiles import profiles

SAID = {"twilio": {"account": "AC0", "token": "secret:twilio", "from": "+34910000000"}}


class Answering:
    """An outside of which every request is answered alike."""

    def __init__(self, answer: Answer | Unanswered) -> None:
        self.answer = answer

    async def request(self, *_: object, **__: object) -> Answer | Unanswered:
        return self.answer


async def by_twilio(channel: str, answer: Answer | Unanswered) -> Failed:
    outside: Any = Answering(answer)
    setup = Setup(outside, {"secret:twilio": "x"}.__getitem__, channels=SAID, public_url="https://t.example")
    made: Any = profiles()[channel].make(setup)
    failed = await made.send(page(address="+34600000000"))
    assert isinstance(failed, Failed)
    return failed


@pytest.mark.parametrize("channel", ["sms", "call"])
@pytest.mark.parametrize(
    ("code", "theirs"),
    [
        (21211, True),
        (21214, True),
        (21610, True),
        (21614, True),
        (21210, False),
        (21606, False),
        (21215, False),
        (0, False),
    ],
)
async def test_twilio_says_whether_it_is_the_number_that_is_called(channel: str, code: int, theirs: bool) -> None:
    body = json.dumps({"code": code, "message": "'From' phone number not verified", "status": 400}).encode()
    failed = await by_twilio(channel, Answer(status=400, headers={}, body=body))
    assert failed.permanent and (failed.code in REFUSALS) is theirs


async def test_a_server_that_is_not_to_be_asked_is_the_plans_fault() -> None:
    assert (await by_twilio("call", Unanswered("refused_address", "it is link-local"))).code not in REFUSALS


@pytest.mark.parametrize(
    ("word", "theirs"),
    [
        ("channel_not_found", True),
        ("user_not_found", True),
        ("is_archived", True),
        ("invalid_blocks", False),
        ("restricted_action", False),
        ("team_access_not_granted", False),
        ("a_word_of_tomorrow", False),
    ],
)
def test_slack_says_whether_it_is_the_member_it_is_said_to(word: str, theirs: bool) -> None:
    failed = outcome(Answer(status=200, headers={}, body=b'{"ok": false, "error": "%s"}' % word.encode()), 0)
    assert isinstance(failed, Failed) and failed.permanent and (failed.code in REFUSALS) is theirs


@pytest.mark.parametrize(
    ("code", "said", "theirs"),
    [
        (550, "5.1.1 no such mailbox", True),
        (501, "5.1.3 that is no address", True),
        (552, "5.2.2 mailbox full", True),
        (550, "No such user here", True),
        (554, "5.7.1 <ana@shop.example>: Relay access denied", False),
        (550, "5.7.1 Unable to relay", False),
        (550, "relaying denied", False),
        (550, "5.1.8 bad sender's system address", False),
        (550, "Your IP is on a list", False),
        (554, "no", False),
    ],
)
def test_a_mail_server_says_whether_it_is_the_mailbox(code: int, said: str, theirs: bool) -> None:
    refused = aiosmtplib.SMTPRecipientRefused(code, said, "ana@shop.example")
    failed = failure(aiosmtplib.SMTPRecipientsRefused([refused]), "mail.example")
    assert failed.permanent and (failed.code in REFUSALS) is theirs


@pytest.mark.parametrize(
    "error",
    [
        aiosmtplib.SMTPSenderRefused(550, "5.1.1 who are you", "tocsin@shop.example"),
        aiosmtplib.SMTPDataError(550, "5.2.2 no"),
        aiosmtplib.SMTPNotSupported("no STARTTLS"),
        ValueError("not a mail address"),
    ],
)
def test_what_a_mail_server_refuses_before_or_after_the_recipient_is_not_theirs(error: Exception) -> None:
    assert failure(error, "mail.example").code not in REFUSALS
