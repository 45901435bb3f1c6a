"""Synthetic pages that come back from far: by Slack's events, and by whatever stands where PagerDuty stood."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import pytest
from slack_sdk.signature import SignatureVerifier

from tests.journeys.calling import posted
from tests.support.catcher import Catcher, Reply
from tests.support.server import TocsinServer
from tests.support.waiting import eventually

pytestmark = pytest.mark.journey

SECRET = "8f742231b10e8888abcd99yyyzzz85a5"
CHANNEL = "C012ABCDEF"
TAKEN = Reply(200, json.dumps({"ok": True, "channel": CHANNEL, "ts": "1700000000.000100"}))


def state(server: TocsinServer, channel: str) -> str:
    """How a channel's synthetic page goes."""
    done = server.run("channel", "synthetic", "--json", check=False)
    return str({one["channel"]: one["state"] for one in json.loads(done.stdout)}.get(channel))


def looped(server: TocsinServer, page: dict[str, Any], channels: dict[str, Any], secrets: dict[str, str]) -> None:
    """Have a running server page itself so."""
    folder = server.data / "secrets"
    folder.mkdir(exist_ok=True)
    for name, text in secrets.items():
        (folder / name).write_text(text)
    people = {"ana": {"email": "ana@shop.example"}}
    mail = {"server": "smtp://127.0.0.1:1", "from": "tocsin@shop.example"}
    server.write_plan({"tocsin": 1, "people": people, "mail": mail, "channels": channels, "synthetic page": page})
    server.run("plan", "reload")


def event(server: TocsinServer, told: dict[str, Any], secret: str = SECRET) -> tuple[int, str]:
    """Slack's Events API tells something, signed by the official package."""
    body, stamp = json.dumps(told).encode(), str(int(time.time()))
    signature = SignatureVerifier(secret).generate_signature(timestamp=stamp, body=body)
    assert signature
    signed = {"X-Slack-Request-Timestamp": stamp, "X-Slack-Signature": signature}
    return posted(f"{server.url}/callbacks/slack", body, {**signed, "Content-Type": "application/json"})


def said(message: dict[str, Any]) -> dict[str, Any]:
    """The event of a message of an app's own in a channel, as Slack's documentation has it."""
    what = {"type": "message", "subtype": "bot_message", "channel": CHANNEL, "bot_id": "B1", "ts": "1700000000.000100"}
    what |= {"channel_type": "channel", "text": message["text"], "blocks": message["blocks"]}
    return {"type": "event_callback", "team_id": "T1", "api_app_id": "A1", "event_id": "Ev1", "event": what}


def test_what_is_said_in_slack_comes_back_as_its_event(
    tocsin_server: Callable[..., TocsinServer], catcher: Catcher
) -> None:
    catcher.default = TAKEN
    server = tocsin_server()
    app = {"token": "secret:slack", "signing secret": "secret:signing", "server": catcher.url}
    secrets = {"slack": "xoxb-test", "signing": SECRET}
    looped(server, {"every": "1h", "within": "5m", "slack": CHANNEL}, {"slack": app}, secrets)
    (message,) = catcher.wait_for(1)
    assert (message.path, message.json()["channel"]) == ("/api/chat.postMessage", CHANNEL)
    assert event(server, {"type": "url_verification", "token": "t", "challenge": "3eZbrw1a"}) == (200, "3eZbrw1a")
    told = said(message.json())
    forged = json.loads(json.dumps(told).replace("tocsin-loop-", "tocsin-loop-9"))
    assert event(server, told, secret="another app's secret")[0] == 401
    assert event(server, forged)[0] == 200
    assert event(server, {**told, "event": {**told["event"], "text": "hello", "blocks": []}})[0] == 200
    assert state(server, "slack") == "awaited"
    assert event(server, told)[0] == 200
    assert state(server, "slack") == "back"
    assert event(server, told)[0] == 200, "told again, it is one"


def test_what_is_triggered_elsewhere_comes_back_from_there(tocsin_server: Callable[..., TocsinServer]) -> None:
    """The other side is a second real Tocsin, whose only person is the first one's door."""
    here = tocsin_server()
    hook = {"url": f"{here.url}/loopback", "secret": "secret:hook"}
    there = tocsin_server(
        plan={"tocsin": 1, "people": {"loop": {"webhook": hook}}}, environment={"TOCSIN_SECRET_HOOK": "s" * 32}
    )
    key = there.new_key("pagerduty")["key"]
    page = {"every": "1h", "within": "5m", "pagerduty": "secret:loop"}
    looped(here, page, {"pagerduty": {"server": there.url}}, {"loop": key})
    eventually(lambda: state(here, "pagerduty") == "back", what="the page to come back")
    (one,) = there.call("GET", "/api/v1/incidents")[1]["items"]
    assert "tocsin-loop-" in one["title"]
    assert key not in here.output()


def test_what_pagerdutys_webhook_tells_of_it_is_heard(
    tocsin_server: Callable[..., TocsinServer], catcher: Catcher
) -> None:
    """A V3 webhook as PagerDuty documents it: the ``incident_key`` is the event's ``dedup_key``."""
    catcher.default = Reply(202, "{}")
    server = tocsin_server()
    page = {"every": "1h", "within": "5m", "pagerduty": "secret:loop"}
    looped(server, page, {"pagerduty": {"server": catcher.url}}, {"loop": "R" + 31 * "0"})
    trigger, resolve = (one.json() for one in catcher.wait_for(2))
    assert (trigger["dedup_key"], resolve["event_action"]) == (resolve["dedup_key"], "resolve")
    data = {
        "id": "PGR0VU2", "type": "incident", "number": 2, "status": "triggered", "title": "Cut short",
        "incident_key": trigger["dedup_key"], "service": {"id": "PF9KMXH", "summary": "Tocsin's loop"},
    }  # fmt: skip
    told = {"event": {"id": "01BX", "event_type": "incident.triggered", "resource_type": "incident", "data": data}}
    ping = {"event": {"id": "01BY", "event_type": "pagey.ping", "data": {"message": "Hello", "type": "ping"}}}
    for body, status in ((ping, 404), (told, 204)):
        sent = json.dumps(body).encode()
        assert posted(f"{server.url}/loopback", sent, {"Content-Type": "application/json"})[0] == status
    assert state(server, "pagerduty") == "back"
