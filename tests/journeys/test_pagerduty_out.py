"""PagerDuty as a way out, into the PagerDuty door of a second real Tocsin."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.journeys.telling import becomes, incident, opened
from tests.support.catcher import Catcher, Reply
from tests.support.server import TocsinServer
from tests.support.waiting import eventually

pytestmark = pytest.mark.journey

RECORDED = Path(__file__).parents[1] / "intake" / "recorded" / "pagerduty.json"


def plan(server: str) -> dict[str, Any]:
    """Whoever is on call in PagerDuty is a person of the plan."""
    return {
        "tocsin": 1,
        "people": {"old": {"name": "The old pager", "pagerduty": "secret:old"}},
        "escalations": {"all": [{"page": "old", "wait": "1h"}]},
        "services": {"checkout": {"escalation": "all"}, "inbox": {"escalation": "all"}},
        "channels": {"pagerduty": {"server": server}},
    }


def says(server: TocsinServer, **event: Any) -> None:
    """A monitor speaks to the first."""
    key = server.new_key("events", "checkout")["key"]
    status, said = server.call(
        "POST", f"/api/events/{key}", {"key": "e1", "title": "Checkout answers 503", "severity": "critical", **event}
    )
    assert status == 202, said


@pytest.fixture(params=["sqlite", "postgres"])
def database(request: pytest.FixtureRequest) -> str | None:
    """Both stores."""
    return None if request.param == "sqlite" else str(request.getfixturevalue("postgres_url"))


def test_an_incident_is_triggered_acknowledged_and_resolved_there_as_it_is_here(
    tocsin_server: Callable[..., TocsinServer], database: str | None
) -> None:
    there = tocsin_server()
    key = there.new_key("pagerduty")["key"]
    here = tocsin_server(plan=plan(there.url), database=database, environment={"TOCSIN_SECRET_OLD": key})
    says(here)
    told = opened(there)
    assert told["title"] == "Checkout answers 503"
    assert told["severity"] == "sev1"
    here.run("incidents", "ack", "1")
    becomes(there, told["number"], "acknowledged")
    says(here, state="resolved")
    becomes(here, 1, "resolved", within=20)
    assert becomes(there, told["number"], "resolved")["reason"]
    rows = incident(here, 1)["pages"]
    assert [(row["kind"], row["state"], row["address"]) for row in rows] == [
        ("page", "sent", "…old"), ("update", "sent", "…old"), ("update", "sent", "…old"),
    ]  # fmt: skip
    assert {row["provider_id"] for row in rows} == {rows[0]["provider_id"]}
    assert key not in here.output()
    says(here)
    becomes(here, 1, "triggered")
    assert becomes(there, told["number"], "triggered", within=20)["reopened"] == 1
    keys = {alert["key"] for alert in incident(there, told["number"])["alerts"]}
    assert keys == {rows[0]["provider_id"]}, "the dedup_key stays"


def webhook(key: str, kind: str = "incident.acknowledged", agent: str = "user_reference", **event: str) -> bytes:
    """A V3 webhook as PagerDuty documents it: the ``incident_key`` is the event's ``dedup_key``."""
    data = {
        "id": "PGR0VU2", "type": "incident", "html_url": "https://acme.pagerduty.com/incidents/PGR0VU2", "number": 2,
        "status": kind.partition(".")[2], "incident_key": key, "created_at": "2020-04-09T15:16:27Z",
        "title": "Checkout answers 503", "service": {"id": "PF9KMXH", "summary": "API", "type": "service_reference"},
        "assignees": [{"id": "PTUXL6G", "summary": "User 123", "type": "user_reference"}], "urgency": "high",
        "priority": None, "conference_bridge": None, "resolve_reason": None,
    }  # fmt: skip
    who = {"id": "PLH1HKV", "summary": "Tenex Engineer", "type": agent}
    told = {
        "id": "5ac64822-4adc-4fda-ade0-410becf0de4f", "event_type": kind, "resource_type": "incident", "agent": who,
        "occurred_at": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"), "client": {"name": "PagerDuty"}, **event,
    }  # fmt: skip
    return json.dumps({"event": {**told, "data": data}}).encode()


def test_who_acknowledges_in_pagerduty_has_it_here(
    tocsin_server: Callable[..., TocsinServer], catcher: Catcher, database: str | None
) -> None:
    catcher.default = Reply(202, "{}")
    of = plan(catcher.url)
    of["channels"]["pagerduty"]["signing secret"] = "secret:signing"
    secrets = {"TOCSIN_SECRET_OLD": "R" + 31 * "0", "TOCSIN_SECRET_SIGNING": "whs-1"}
    here = tocsin_server(plan=of, database=database, environment=secrets)

    def tell(body: bytes, secret: str = "whs-1") -> int:
        right = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
        headers = {"X-PagerDuty-Signature": f"v1={'0' * 64},v1={right}"}
        return httpx2.post(f"{here.url}/callbacks/pagerduty", content=body, headers=headers).status_code

    says(here)
    key = catcher.wait_for(1)[0].json()["dedup_key"]
    eventually(lambda: incident(here, 1)["pages"][0]["state"] == "sent", what="the page to be written down")
    assert tell(webhook(key), "somebody else's") == 401
    assert tell(b"[]") == 400
    for nothing in (
        webhook(key, "incident.triggered"), webhook(key, agent="inbound_integration_reference"), webhook("another"),
        webhook(key, occurred_at="2020-10-02T18:45:22.169Z"),
        json.dumps({"event": {"id": "1", "event_type": "pagey.ping", "data": {"type": "ping"}}}).encode(),
    ):  # fmt: skip
        assert tell(nothing) == 200
    assert incident(here, 1)["state"] == "triggered"
    body = webhook(key, id="01C")
    assert tell(body) == 200
    found = becomes(here, 1, "acknowledged")
    assert found["acknowledged_by"] == "person:old"
    (row,) = [one for one in found["pages"] if one["kind"] == "page"]
    assert (row["person"], row["answered_at"] is not None) == ("old", True)
    says(here, state="resolved")
    becomes(here, 1, "resolved", within=20)
    says(here)
    becomes(here, 1, "triggered")
    assert tell(body) == 200, "told again, or replayed, it is the one answer it was"
    assert incident(here, 1)["state"] == "triggered"
    assert tell(webhook(key, "incident.resolved", id="01D")) == 200
    assert becomes(here, 1, "acknowledged")["acknowledged_by"] == "person:old", "over is for the monitors to say"
    assert "whs-1" not in here.output()


def test_its_events_have_the_shape_of_the_official_clients(
    tocsin_server: Callable[..., TocsinServer], catcher: Catcher
) -> None:
    recorded = json.loads(RECORDED.read_text())
    official = [one["body"] for one in recorded if one["path"] == "/v2/enqueue" and one["reply"]["status"] == 202]
    official = [json.loads(body["text"]) for body in official]
    catcher.default = Reply(202, '{"status": "success", "message": "Event processed", "dedup_key": "x"}')
    here = tocsin_server(plan=plan(catcher.url), environment={"TOCSIN_SECRET_OLD": "R" + 31 * "0"})
    says(here)
    catcher.wait_for(1)
    here.run("incidents", "ack", "1")
    trigger, acknowledge = catcher.wait_for(2)
    for ours in (trigger, acknowledge):
        body = ours.json()
        like = [one for one in official if one["event_action"] == body["event_action"]]
        assert like, f"the official client was recorded with {body['event_action']}"
        assert (ours.method, ours.path) == ("POST", "/v2/enqueue")
        assert ours.headers["content-type"] == "application/json"
        fields = {key: type(value) for one in like for key, value in one.items()} | {"client": str, "client_url": str}
        assert {key: type(value) for key, value in body.items()}.items() <= fields.items()
        inner = {key: type(value) for one in like for key, value in one.get("payload", {}).items()}
        assert {key: type(value) for key, value in body.get("payload", {}).items()}.items() <= inner.items()
        assert body["routing_key"] == "R" + 31 * "0"
    assert acknowledge.json()["dedup_key"] == trigger.json()["dedup_key"]


def test_pagerduty_is_told_in_the_order_in_which_it_happened_however_slow_it_is(
    tocsin_server: Callable[..., TocsinServer], catcher: Catcher
) -> None:
    """The trigger hangs for a second while it is acknowledged here; the acknowledgement must not overtake it."""
    catcher.replies.append(Reply(202, "{}", delay=1.0))
    catcher.default = Reply(202, "{}")
    here = tocsin_server(plan=plan(catcher.url), environment={"TOCSIN_SECRET_OLD": "R" + 31 * "0"})
    says(here)
    catcher.wait_for(1)
    here.run("incidents", "ack", "1")
    trigger, acknowledge = catcher.wait_for(2)
    assert [one.json()["event_action"] for one in (trigger, acknowledge)] == ["trigger", "acknowledge"]
    assert acknowledge.at - trigger.at >= 1.0, "not before the trigger was answered"


def test_pagerduty_is_told_that_it_is_over_even_if_tocsin_is_killed_while_telling(
    tocsin_server: Callable[..., TocsinServer], catcher: Catcher
) -> None:
    catcher.replies.extend([Reply(202, "{}"), Reply(delay=600)])
    catcher.default = Reply(202, "{}")
    here = tocsin_server(plan=plan(catcher.url), environment={"TOCSIN_SECRET_OLD": "R" + 31 * "0"})
    says(here)
    eventually(lambda: incident(here, 1)["pages"][0]["state"] == "sent", what="the trigger to be written down")
    here.run("incidents", "resolve", "1")
    catcher.wait_for(2)
    here.kill9()
    here.start()
    again = catcher.wait_for(3)[2]
    assert again.json()["event_action"] == "resolve"
    assert again.json()["dedup_key"] == catcher.requests[0].json()["dedup_key"]
    row = eventually(lambda: (row := incident(here, 1)["pages"][1])["state"] == "sent" and row, what="its outcome")
    assert row
    assert row["unsure"], "it may have been told twice, which changes nothing there"
