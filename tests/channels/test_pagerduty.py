"""PagerDuty as a channel, against HTTP servers that answer as it does, or not at all."""

from __future__ import annotations

import pytest

from tests.channels.words import page
from tests.support.catcher import Catcher, Reply
from tests.support.ports import free_port
from tocsin.kernel.instant import SECOND
from tocsin.pages.channels.setup import Setup
from tocsin.pages.message import Channel, Failed, Sent
from tocsin.pages.profiles import profiles
from tocsin.runtime.outbound import Outbound

KEY = "R0000000000000000000000000000000"


def pagerduty(server: str, **secrets: str) -> Channel:
    """The channel as the wiring makes it."""
    known = {"secret:old": KEY} | secrets
    made = profiles()["pagerduty"].make(
        Setup(Outbound(), known.__getitem__, channels={"pagerduty": {"server": server}}, mark="m1")
    )
    assert made is not None
    return made


async def test_a_page_is_a_trigger_and_an_update_says_how_it_stands(catcher: Catcher) -> None:
    channel = pagerduty(catcher.url)
    catcher.default = Reply(202, "{}")
    assert await channel.send(page(address="secret:old", tried=("Restarted it",))) == Sent("tocsin-m1-12")
    for state in ("acknowledged", "resolved"):
        assert isinstance(await channel.send(page(address="secret:old", kind="update", state=state)), Sent)
    trigger, acknowledge, resolve = (one.json() for one in catcher.requests)
    assert trigger["event_action"] == "trigger"
    assert trigger["payload"]["severity"] == "critical"
    assert trigger["payload"]["custom_details"]["already tried"] == ["Restarted it"]
    assert trigger["client_url"] == "https://tocsin.example/page/abc123"
    for event, action in ((acknowledge, "acknowledge"), (resolve, "resolve")):
        assert event == {"event_action": action, "dedup_key": "tocsin-m1-12", "routing_key": KEY}


@pytest.mark.parametrize("kind", ["notice", "copy", "drill"])
async def test_what_is_no_page_is_a_change_and_wakes_nobody(catcher: Catcher, kind: str) -> None:
    catcher.default = Reply(202, "{}")
    assert isinstance(await pagerduty(catcher.url).send(page(address="secret:old", kind=kind)), Sent)
    assert catcher.requests[0].path == "/v2/change/enqueue"
    assert "event_action" not in catcher.requests[0].json()


@pytest.mark.parametrize(
    ("reply", "code", "permanent"),
    [
        (Reply(400, '{"status":"invalid event"}'), "client", True),
        (Reply(400, '{"status":"invalid event","errors":["Invalid routing key"]}'), "address", True),
        (Reply(429, headers={"Retry-After": "3"}), "rate_limit", False),
        (Reply(500), "server", False),
        (Reply(reset=True), "unreachable", False),
    ],
)
async def test_what_an_answer_means(catcher: Catcher, reply: Reply, code: str, permanent: bool) -> None:
    catcher.default = reply
    answer = await pagerduty(catcher.url).send(page(address="secret:old"))
    assert isinstance(answer, Failed)
    assert (answer.code, answer.permanent) == (code, permanent)
    assert answer.retry_after == (3 * SECOND if code == "rate_limit" else None)
    assert KEY not in answer.error


async def test_one_that_never_answers_is_given_up(catcher: Catcher, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tocsin.pages.channels.pagerduty.DEADLINE", 0.2)
    catcher.default = Reply(delay=30)
    answer = await pagerduty(catcher.url).send(page(address="secret:old"))
    assert isinstance(answer, Failed)
    assert (answer.code, answer.permanent) == ("deadline", False)


async def test_without_its_key_nothing_is_sent() -> None:
    answer = await pagerduty(f"http://127.0.0.1:{free_port()}").send(page(address="secret:nowhere"))
    assert isinstance(answer, Failed)
    assert (answer.code, answer.permanent) == ("auth", True)


async def test_a_synthetic_page_is_an_incident_of_its_own_that_is_over_at_once(catcher: Catcher) -> None:
    """By its mark, so that what PagerDuty tells of it (``incident_key``, ``title``) holds it."""
    catcher.default = Reply(202, "{}")
    mark = "tocsin-loop-34-AAAAAAAAAAAAAAAAAAAAAA"
    message = page(address="secret:old", kind="notice", incident=0, severity="", idempotency_key=mark)
    assert await pagerduty(catcher.url).send(message) == Sent(mark)
    trigger, resolve = catcher.requests
    assert {one.path for one in catcher.requests} == {"/v2/enqueue"}
    assert (trigger.json()["event_action"], trigger.json()["dedup_key"]) == ("trigger", mark)
    assert mark in trigger.json()["payload"]["summary"] and trigger.json()["payload"]["severity"] == "info"
    assert resolve.json() == {"event_action": "resolve", "dedup_key": mark, "routing_key": KEY}
    catcher.replies.extend([Reply(202, "{}"), Reply(500)])
    assert isinstance(await pagerduty(catcher.url).send(message), Failed), "nobody is left with it: it is tried again"
