"""Services, records, the plan, live updates and the document over the API."""

from __future__ import annotations

import base64
import json

from tests.api.client import World
from tests.faces.filled import KEY, NOW
from tocsin.engine.commands import DiscardParked
from tocsin.engine.records import Parked
from tocsin.intake.request import Request
from tocsin.runtime.line import Reloaded


async def test_services_come_with_their_open_incidents(world: World) -> None:
    """Planned ones, and those that only open incidents still name."""
    world.filler.incident(service="gone")
    found = {one["name"]: one for one in (await world.get("/services"))["items"]}
    assert (found["checkout"]["triggered"], found["search"]["acknowledged"], found["inbox"]["triggered"]) == (1, 1, 0)
    assert found["checkout"]["acknowledge_for"] == "1h"
    assert (found["gone"]["planned"], found["gone"]["triggered"]) == (False, 1)


async def test_events_go_to_the_core_as_they_were_sent(world: World) -> None:
    """Byte for byte, with the service and the actor; the core's answer comes back."""
    answer = await world.call("POST", "/services/checkout/events", {"title": "x"}, "responder")
    assert (answer.status_code, answer.json()) == (202, {"accepted": 1})
    ((service, body, actor),) = world.core.heard
    assert (service, json.loads(body), actor) == ("checkout", {"title": "x"}, "person:ana")
    assert (await world.call("POST", "/services/nowhere/events", {})).status_code == 404


async def test_a_parked_request_is_shown_whole(world: World) -> None:
    """Text as text, anything else in base64."""
    for number, body in ((7, b"{oops"), (8, b"\xff\x00")):
        request = Request(source="events", method="POST", path="/api/events", headers={"user-agent": "x"}, body=body)
        world.filler.parked(Parked(id=number, at=NOW, key_id=1, service="checkout", fault="not JSON", request=request))
    assert [one["id"] for one in (await world.get("/parked"))["items"]] == [8, 7]
    text, raw = await world.get("/parked/7"), await world.get("/parked/8")
    assert (text["body"], text["body_base64"], text["fault"]) == ("{oops", None, "not JSON")
    assert (raw["body"], base64.b64decode(raw["body_base64"])) == (None, b"\xff\x00")
    assert (await world.call("DELETE", "/parked/7")).status_code == 204
    assert world.core.asked == [(DiscardParked(actor="token:admin script", id=7), "")]


async def test_the_rest_is_listed(world: World) -> None:
    """Ledger, changes, heartbeats, plan, status."""
    assert [one["person"] for one in (await world.get("/pages?person=ana&state=sent"))["items"]] == ["ana"]
    assert (await world.get("/pages?person=bo"))["items"] == []
    assert [one["summary"] for one in (await world.get("/changes?service=checkout"))["items"]] == ["deployed 42"]
    assert [one["due"] for one in (await world.get("/heartbeats"))["items"]] == ["2026-11-22T03:29:00.000Z"]
    files = {"tocsin.yaml": "team: shop\n"}
    assert await world.get("/plan") == {"version": "abc123", "files": files, "counting": ["act", "ask"]}
    assert (await world.get("/status"))["started_at"] == "2026-11-22T02:24:00.000Z"
    assert (await world.call("POST", "/plan/reload")).json() == {
        "ok": True, "changed": False, "version": "abc123", "findings": [],
    }  # fmt: skip


async def test_a_reload_that_is_refused_tells_the_plan_s_faults_from_a_time_in_which_nothing_can_be_changed(
    world: World,
) -> None:
    world.core.reloaded = Reloaded(False, False, "abc123", ("tocsin.yaml:7: error: unknown person",))
    refused = await world.call("POST", "/plan/reload")
    assert (refused.status_code, refused.json()["code"]) == (422, "plan_refused")
    assert refused.json()["findings"] == ["tocsin.yaml:7: error: unknown person"]
    world.core.reloaded = Reloaded(False, False, "", ("Nothing was changed here. standby: b writes",), looked=False)
    later = await world.call("POST", "/plan/reload")
    assert (later.status_code, later.json()["code"]) == (503, "unavailable")
    assert "standby: b writes" in later.json()["detail"]
    assert later.headers["retry-after"]


async def test_the_host_of_a_webhook_is_all_that_is_told_of_its_address(world: World) -> None:
    """The rest of a webhook's address is often a secret."""
    world.filler.page(1, channel="webhook", address="https://user:pw@hooks.example.org/T0/secret?x=1")
    shown = (await world.get("/pages"))["items"][0]["address"]
    assert shown == "https://hooks.example.org/…"


async def test_the_document_and_its_page_need_nobody_and_nothing_from_elsewhere(world: World) -> None:
    """OpenAPI 3.1, every operation with problem answers; the page loads only from here, without inline scripts."""
    document = (await world.client.get("/api/openapi.json")).json()
    assert document["openapi"].startswith("3.1")
    assert "/api/v1/incidents/{number}" in document["paths"]
    assert not any(path.startswith("/am") or "docs" in path for path in document["paths"])
    for path in document["paths"].values():
        for operation in path.values():
            assert "application/problem+json" in operation["responses"]["400"]["content"]
    page = await world.client.get("/api/docs")
    assert "http" not in page.text.replace("http-equiv", "")
    assert "unsafe-inline" not in page.headers["content-security-policy"]
    for name in ("start.js", "swagger-ui-bundle.js", "swagger-ui.css"):
        assert (await world.client.get(f"/api/docs/{name}")).status_code == 200
    assert (await world.client.get("/api/docs/index.html")).status_code == 404


async def test_a_body_over_the_bound_is_refused(world: World) -> None:
    """1 MB is the most that any face takes."""
    answer = await world.call("POST", "/incidents/1/notes", {"text": "x" * 1_100_000})
    assert answer.status_code == 413
    assert answer.json()["code"] == "too_large"


async def test_addresses_with_a_key_are_not_for_browsers_in_other_sites(world: World) -> None:
    """A key in the path is all it needs, and a wrong one shows nothing."""
    assert (await world.client.get(f"/am/{KEY}/-/healthy")).text == "OK"
    assert (await world.client.get("/am/nobody/-/healthy")).status_code == 401
