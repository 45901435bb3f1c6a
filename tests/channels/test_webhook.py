"""The signed webhook against real HTTP(S) servers, verified by the official Standard Webhooks package."""

from __future__ import annotations

import asyncio
import base64
import ssl
import time
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest
import uvloop
from standardwebhooks.webhooks import Webhook as Official
from standardwebhooks.webhooks import WebhookVerificationError

from tests.channels.words import page
from tests.support.catcher import Catcher, Reply, running_catcher
from tests.support.certificates import Certificate, make_certificate
from tests.support.ports import free_port
from tocsin.catalog.people import Person, Webhook
from tocsin.kernel.instant import HOUR, SECOND
from tocsin.pages.channels.replies import retry_after
from tocsin.pages.channels.setup import Setup
from tocsin.pages.channels.webhook import signing_key
from tocsin.pages.contacts import webhook_secret
from tocsin.pages.message import Channel, Failed, Message, Sent
from tocsin.pages.profiles import profiles
from tocsin.runtime.outbound import Outbound

SECRET = "whsec_" + base64.b64encode(b"twenty-four bytes of key").decode()
SECRETS = {"secret:hook": SECRET, "secret:bad": "whsec_?!", "secret:empty": "whsec_"}


def webhook(url: str, *, outside: Outbound | None = None, secret: str = "secret:hook") -> Channel:
    people = {"ana": Person(key="ana", name="Ana", webhook=Webhook(url, secret))}
    made = profiles()["webhook"].make(Setup(outside or Outbound(), SECRETS.__getitem__, people=people))
    assert made is not None
    return made


async def post(url: str, message: Message | None = None, **how: Any) -> Sent | Failed:
    return await webhook(url, **how).send(message or page(address=url))


async def test_a_page_is_posted_and_the_official_package_verifies_it(catcher: Catcher) -> None:
    channel = webhook(f"{catcher.url}/hook?team=shop")
    assert (channel.name, channel.real, channel.idempotent) == ("webhook", True, True)
    assert await channel.send(page(address=f"{catcher.url}/hook?team=shop", title="Ünïcode ✓")) == Sent()
    (got,) = catcher.requests
    assert (got.method, got.path, got.query) == ("POST", "/hook", {"team": ["shop"]})
    assert got.headers["content-type"] == "application/json"
    told = Official(SECRET).verify(got.body, got.headers)
    assert told["type"] == "incident.page"
    assert told["data"]["page"] == 34
    assert told["data"]["person"] == {"key": "ana", "name": "Ana", "timezone": "Europe/Madrid"}
    assert told["data"]["incident"]["title"] == "Ünïcode ✓"
    assert told["data"]["incident"]["number"] == 12
    assert told["data"]["acknowledge_url"] == "https://tocsin.example/page/abc123"
    assert told["data"]["lines"] == list(page().lines)
    with pytest.raises(WebhookVerificationError):
        Official(SECRET).verify(got.body + b" ", got.headers)
    with pytest.raises(WebhookVerificationError):
        Official("whsec_" + base64.b64encode(b"another key of some bytes").decode()).verify(got.body, got.headers)
    await channel.close()


async def test_a_webhook_a_person_added_is_signed_with_its_own_secret(catcher: Catcher) -> None:
    """The plan knows nothing of it: the secret comes with the message."""
    channel = profiles()["webhook"].make(Setup(Outbound(), SECRETS.__getitem__))
    assert channel is not None
    own = webhook_secret(b"a signing key of thirty-two bytes", 7)
    assert await channel.send(page(address=f"{catcher.url}/own", signing=own, incidents=3)) == Sent()
    (got,) = catcher.requests
    assert Official(own).verify(got.body, got.headers)["data"]["incidents"] == 3
    assert own.encode() not in got.body
    refused = await channel.send(page(address=f"{catcher.url}/own"))
    assert isinstance(refused, Failed) and refused.permanent


async def test_every_attempt_at_a_page_has_the_same_id_and_its_own_time(catcher: Catcher) -> None:
    await post(catcher.url, page(address=catcher.url))
    later = time.time_ns() // 1000 + 90 * SECOND
    await post(catcher.url, page(address=catcher.url, now=later, possible_duplicate=True))
    first, again = catcher.requests
    assert first.headers["webhook-id"] == again.headers["webhook-id"] == "page-34"
    assert int(again.headers["webhook-timestamp"]) - int(first.headers["webhook-timestamp"]) == pytest.approx(90, abs=2)
    assert again.json()["data"]["possible_duplicate"] is True
    Official(SECRET).verify(again.body, again.headers)


@pytest.mark.parametrize(
    ("kind", "type"),
    [("page", "page"), ("help", "page"), ("drill", "page"), ("copy", "notice"), ("notice", "notice")],
)
async def test_a_receiver_tells_what_rings_and_what_is_only_told(catcher: Catcher, kind: str, type: str) -> None:
    await post(catcher.url, page(address=catcher.url, kind=kind))
    told = catcher.requests[0].json()
    assert (told["type"], told["data"]["kind"]) == (f"incident.{type}", kind)


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
async def test_any_2xx_means_taken(catcher: Catcher, status: int) -> None:
    catcher.default = Reply(status)
    assert isinstance(await post(catcher.url), Sent)


@pytest.mark.parametrize(
    ("status", "code", "permanent"),
    [
        (301, "address", True),
        (302, "address", True),
        (304, "address", True),
        (307, "address", True),
        (400, "address", True),
        (401, "auth", True),
        (403, "auth", True),
        (404, "address", True),
        (408, "server", False),
        (410, "address", True),
        (422, "address", True),
        (425, "server", False),
        (429, "rate_limit", False),
        (500, "server", False),
        (502, "server", False),
        (503, "server", False),
    ],
)
async def test_what_a_status_means(catcher: Catcher, status: int, code: str, permanent: bool) -> None:
    catcher.default = Reply(status, headers={"Location": f"{catcher.url}/elsewhere"})
    answer = await post(catcher.url)
    assert isinstance(answer, Failed)
    assert (answer.code, answer.permanent) == (code, permanent)
    assert str(status) in answer.error
    assert answer.retry_after is None
    assert len(catcher.requests) == 1, "redirects are not followed"


@pytest.mark.parametrize("status", [429, 503])
async def test_the_receivers_wish_to_wait_is_passed_on(catcher: Catcher, status: int) -> None:
    catcher.default = Reply(status, headers={"Retry-After": "37"})
    answer = await post(catcher.url)
    assert isinstance(answer, Failed)
    assert answer.retry_after == 37 * SECOND


def test_retry_after_is_seconds_or_a_date_within_an_hour() -> None:
    now = 1_792_459_442 * SECOND
    assert retry_after("0", now) == 0
    assert retry_after(" 120 ", now) == 120 * SECOND
    assert retry_after("9" * 400, now) == HOUR
    assert retry_after(formatdate(now / SECOND + 60, usegmt=True), now) == 60 * SECOND
    assert retry_after(formatdate(now / SECOND + 7200, usegmt=True), now) == HOUR
    assert retry_after(formatdate(now / SECOND - 60, usegmt=True), now) is None
    for nonsense in ("", "soon", "-1", "1.5", "²", "Mon, 99 Foo 2026 99:99:99 GMT", "0000"):
        assert retry_after(nonsense, now) in (None, 0)


async def test_a_receiver_that_resets_or_is_not_there_may_come_back(catcher: Catcher) -> None:
    catcher.default = Reply(reset=True)
    for url in (catcher.url, f"http://127.0.0.1:{free_port()}/"):
        answer = await post(url)
        assert isinstance(answer, Failed)
        assert (answer.code, answer.permanent) == ("unreachable", False)


async def test_a_receiver_that_never_answers_meets_the_deadline(
    catcher: Catcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tocsin.pages.channels.webhook.DEADLINE", 0.3)
    catcher.default = Reply(delay=20)
    answer = await post(catcher.url)
    assert isinstance(answer, Failed)
    assert (answer.code, answer.permanent) == ("deadline", False)


async def test_a_huge_answer_is_not_read_to_its_end(catcher: Catcher) -> None:
    catcher.default = Reply(200, body=b"x" * 30_000_000)
    started = time.monotonic()
    assert isinstance(await post(catcher.url), Sent)
    assert time.monotonic() - started < 5


async def test_a_wrong_certificate_is_refused_for_good_and_a_right_one_taken(
    tls_catcher: Catcher, certificate: Certificate, tmp_path: Path
) -> None:
    wrong = await post(tls_catcher.url)
    assert isinstance(wrong, Failed)
    assert (wrong.code, wrong.permanent) == ("tls", True)
    assert not tls_catcher.requests
    trusting = Outbound(tls=ssl.create_default_context(cafile=str(certificate.authority)))
    assert isinstance(await post(tls_catcher.url, outside=trusting), Sent)
    expired = make_certificate(tmp_path, days=-1)
    with running_catcher(expired) as server:
        late = await post(server.url, outside=Outbound(tls=ssl.create_default_context(cafile=str(expired.authority))))
    assert isinstance(late, Failed)
    assert (late.code, late.permanent) == ("tls", True)


async def test_a_metadata_address_is_never_posted_to() -> None:
    answer = await post("http://169.254.169.254/hook")
    assert isinstance(answer, Failed)
    assert (answer.code, answer.permanent) == ("address", True)


@pytest.mark.parametrize("secret", ["secret:bad", "secret:empty", "secret:none"])
async def test_without_a_usable_secret_nothing_is_posted(catcher: Catcher, secret: str) -> None:
    answer = await post(catcher.url, secret=secret)
    assert isinstance(answer, Failed)
    assert (answer.code, answer.permanent) == ("auth", True)
    assert secret in answer.error
    assert not catcher.requests


def test_a_secret_may_lack_its_padding() -> None:
    assert signing_key("whsec_YWJjZA") == signing_key("YWJjZA==") == b"abcd"


async def test_an_address_the_plan_no_longer_has_is_not_posted_to(catcher: Catcher) -> None:
    channel = webhook(catcher.url)
    for message in (page(address=f"{catcher.url}/old"), page(person="ben", address=catcher.url)):
        answer = await channel.send(message)
        assert isinstance(answer, Failed)
        assert answer.permanent
    assert not catcher.requests


async def test_a_slow_receiver_delays_no_other(catcher: Catcher) -> None:
    with running_catcher() as slow:
        slow.default = Reply(delay=10)
        outside = Outbound()
        stuck = [asyncio.create_task(post(slow.url, outside=outside)) for _ in range(30)]
        await asyncio.sleep(0)
        started = time.monotonic()
        assert isinstance(await post(catcher.url, outside=outside), Sent)
        assert time.monotonic() - started < 2
        assert not any(task.done() for task in stuck)
        for task in stuck:
            task.cancel()
        await asyncio.gather(*stuck, return_exceptions=True)
        await outside.close()


def test_it_works_on_uvloop_too(tls_catcher: Catcher, certificate: Certificate) -> None:
    outside = Outbound(tls=ssl.create_default_context(cafile=str(certificate.authority)))

    async def send() -> None:
        assert isinstance(await post(tls_catcher.url, outside=outside), Sent)
        assert isinstance(await post("http://169.254.169.254/"), Failed)
        refused = await post(f"http://127.0.0.1:{free_port()}")
        assert isinstance(refused, Failed)
        assert (refused.code, "nothing listens" in refused.error) == ("unreachable", True)

    uvloop.run(send())
