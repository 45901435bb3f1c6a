"""What PagerDuty's webhooks say: whose answer it is, and when it is nobody's."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping

import pytest

from tests.journeys.test_pagerduty_out import webhook
from tocsin.kernel.instant import HOUR, MINUTE, parse_rfc3339
from tocsin.kernel.reason import Reason
from tocsin.pages.answers import Answer, Call, Heard, behind
from tocsin.pages.channels.pagerduty import PagerDutyEvents
from tocsin.pages.channels.pagerduty_back import answer_in, signed
from tocsin.pages.channels.setup import Setup
from tocsin.pages.ledger import Page
from tocsin.runtime.outbound import Outbound

AT = parse_rfc3339("2026-11-26T03:24:00Z")

OURS = "tocsin-m1-"


def page(number: int, left: int | None = AT, other: Mapping[str, str] | None = None) -> Page:
    fields = {"person": "old", "address": "secret:old", "reason": Reason("step_due"), **(other or {})}
    return Page(id=number, incident=1, channel="pagerduty", intended_at=AT, next_at=AT, tried_at=left, **fields)  # type: ignore[arg-type]  # what a test says of it


ANSWER = Answer(page=0, by="", mark="01C", incident=1, happened=AT)


def test_it_is_the_newest_page_that_had_left_when_it_was_answered() -> None:
    late = page(4, AT + 5 * MINUTE)
    assert behind(ANSWER, [page(1, AT - HOUR), page(2), page(3, None), late]) == Answer(
        page=2, by="secret:old", mark="01C", incident=1, happened=AT
    )
    assert behind(ANSWER, [late]) == ANSWER, "a replay of what was answered before"
    assert behind(ANSWER, [page(1), page(2, other={"kind": "update"})]).page == 1, "an update asks for nothing"


@pytest.mark.parametrize("other", [{"person": "ana"}, {"address": "secret:new"}])
def test_of_several_people_that_pagerduty_pages_for_us_nobody_knows_which_it_was(other: dict[str, str]) -> None:
    assert behind(ANSWER, [page(1), page(2, other=other)]) == ANSWER
    assert behind(ANSWER, []) == ANSWER


def test_only_what_a_person_did_is_an_answer() -> None:
    for kind in ("incident.acknowledged", "incident.resolved"):
        answer = answer_in(webhook("tocsin-m1-1", kind, occurred_at="2026-11-26T03:24:00.000Z"), OURS)
        assert answer is not None
        assert (answer.page, answer.by, answer.incident, answer.happened) == (0, "", 1, AT)
    for kind in ("incident.triggered", "incident.unacknowledged", "incident.escalated", "incident.reopened"):
        assert answer_in(webhook("tocsin-m1-1", kind), OURS) is None
    for agent in ("inbound_integration_reference", "service_reference", ""):
        assert answer_in(webhook("tocsin-m1-1", agent=agent), OURS) is None
    for key in ("", "tocsin-m2-1", "tocsin-m1-", "tocsin-m1-one", "tocsin-m1-1-2", "tocsin-m1-" + 19 * "1"):
        assert answer_in(webhook(key), OURS) is None
    with pytest.raises(ValueError, match="Invalid isoformat"):
        answer_in(webhook("tocsin-m1-1", occurred_at="then"), OURS)


def test_signatures_are_of_the_body_and_there_may_be_two() -> None:
    right = "v1=" + hmac.new(b"whs", b"{}", hashlib.sha256).hexdigest()
    for told, holds in ((right, True), (f"v1={'0' * 64}, {right}", True), (right[3:], False), ("", False)):
        assert signed("whs", {"x-pagerduty-signature": told}, b"{}") is holds
    assert not signed("whs", {"x-pagerduty-signature": right}, b"{ }")
    assert not signed("whs", {}, b"{}")


@pytest.mark.parametrize(("named", "status"), [("", 404), ("secret:away", 503), ("secret:signing", 401)])
def test_what_cannot_be_verified_is_refused(named: str, status: int) -> None:
    said = {"server": "https://pd.example", **({"signing secret": named} if named else {})}
    channel = PagerDutyEvents(Setup(Outbound(), {"secret:signing": "whs"}.__getitem__, channels={"pagerduty": said}))
    call = Call(url="", path="", headers={}, body=webhook("tocsin-m1-1"), now=AT)
    heard = channel.hear(call)
    assert not isinstance(heard, Heard)
    assert heard.status == status
