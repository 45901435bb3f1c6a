"""Apprise, unmodified, to a real SMTP server and a real HTTP receiver."""

from __future__ import annotations

import sys

import pytest

from tests.channels.words import page
from tests.support.catcher import Catcher, Reply
from tests.support.mail import MailServer
from tests.support.ports import free_port
from tocsin.pages.channels import CHANNELS
from tocsin.pages.channels.setup import Setup
from tocsin.pages.message import Channel, Failed, Message, Sent
from tocsin.runtime.outbound import Outbound

PASSWORD = "only-apprise-sees-this"


def apprise(url: str) -> Channel:
    """The channel as the wiring makes it, with Ana's secret."""
    made = CHANNELS["apprise"](Setup(Outbound(), {"secret:ana": url}.__getitem__))
    assert made is not None
    return made


def to_ana(**other: object) -> Message:
    return page(address="secret:ana", **other)


async def test_a_page_arrives_at_an_http_receiver(catcher: Catcher) -> None:
    channel = apprise(f"json://ana:{PASSWORD}@127.0.0.1:{catcher.port}/hook")
    assert isinstance(await channel.send(to_ana(title="Checkout <b>\\n answers 503")), Sent)
    (got,) = catcher.requests
    told = got.json()
    assert (got.path, told["type"]) == ("/hook", "failure")
    assert told["title"] == "[SEV1] Checkout <b>\\n answers 503 (#12)"
    for words in ("Since ", "checkout", "Acknowledge: https://tocsin.example/page/abc123"):
        assert words in told["message"]


async def test_a_page_arrives_as_mail(mail_server: MailServer) -> None:
    url = f"mailto://{mail_server.host}:{mail_server.port}?from=tocsin@shop.example&to=ana@shop.example&mode=insecure"
    assert isinstance(await apprise(url).send(to_ana()), Sent)
    (mail,) = mail_server.messages
    assert "[SEV1] Checkout answers 503 (#12)" in str(mail.message["Subject"])


async def test_a_notice_is_information(catcher: Catcher) -> None:
    await apprise(f"json://127.0.0.1:{catcher.port}").send(to_ana(kind="notice"))
    assert catcher.requests[0].json()["type"] == "info"


async def test_what_cannot_be_handed_over_is_tried_again(catcher: Catcher) -> None:
    catcher.default = Reply(500)
    for port in (catcher.port, free_port()):
        answer = await apprise(f"json://ana:{PASSWORD}@127.0.0.1:{port}").send(to_ana())
        assert isinstance(answer, Failed)
        assert (answer.code, answer.permanent) == ("server", False)
        assert PASSWORD not in answer.error


async def test_one_that_never_answers_is_given_up(catcher: Catcher, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tocsin.pages.channels.apprise.DEADLINE", 0.5)
    catcher.default = Reply(delay=5)
    answer = await apprise(f"json://127.0.0.1:{catcher.port}").send(to_ana())
    assert isinstance(answer, Failed)
    assert (answer.code, answer.permanent) == ("deadline", False)


async def test_a_url_that_means_nothing_is_refused_for_good_and_not_repeated() -> None:
    answer = await apprise(f"nonsense://ana:{PASSWORD}@nowhere").send(to_ana())
    assert isinstance(answer, Failed)
    assert (answer.code, answer.permanent) == ("client", True)
    assert PASSWORD not in answer.error


async def test_a_secret_that_cannot_be_had_is_said() -> None:
    answer = await apprise("").send(page(address="secret:ben"))
    assert isinstance(answer, Failed)
    assert (answer.code, answer.permanent) == ("auth", True)


async def test_without_the_extra_it_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "apprise", None)
    answer = await apprise("json://127.0.0.1:1").send(to_ana())
    assert isinstance(answer, Failed)
    assert answer.permanent
    assert "tocsin[apprise]" in answer.error
