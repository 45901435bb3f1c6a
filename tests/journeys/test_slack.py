"""Pages in Slack: said as the official client says things, acknowledged by presses signed by the official package."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from slack_sdk.signature import SignatureVerifier

from tests.journeys.calling import a_plan_for, posted, says
from tests.journeys.telling import becomes, incident
from tests.support.catcher import Catcher, Reply
from tests.support.server import TocsinServer

pytestmark = pytest.mark.journey

SECRET = "8f742231b10e8888abcd99yyyzzz85a5"
RECORDED = json.loads((Path(__file__).parents[1] / "channels" / "recorded" / "slack_sdk.json").read_text())
TAKEN = Reply(200, '{"ok": true, "channel": "D024BE91L", "ts": "1700000000.000100"}')


class Story:
    """Tocsin, and something that answers as Slack does."""

    def __init__(self, server: TocsinServer, slack: Catcher) -> None:
        self.server, self.slack = server, slack
        self.door = f"{server.url}/callbacks/slack"
        self._presses = 0

    def press(self, page: str, user: str = "U012ABCDEF", action: str = "", **other: Any) -> bytes:
        """The body of a press of the button, as Slack sends it."""
        self._presses += 1
        told = {
            "type": "block_actions",
            "user": {"id": user, "username": "ana", "team_id": "T1"},
            "api_app_id": "A1",
            "container": {"type": "message", "message_ts": "1700000000.000100", "channel_id": "D024BE91L"},
            "trigger_id": "1.2.3",
            "actions": [
                {
                    "action_id": action or "tocsin_acknowledge",
                    "block_id": "tocsin",
                    "type": "button",
                    "value": page,
                    "action_ts": f"1700000001.{self._presses:06d}",
                }
            ],
            "response_url": "https://hooks.slack.com/actions/T1/1/x",
            **other,
        }
        return urlencode({"payload": json.dumps(told)}).encode()

    def send(
        self, body: bytes, *, secret: str = SECRET, ago: float = 0.0, headers: dict[str, str] | None = None
    ) -> int:
        """Post it, signed by the official package."""
        stamp = str(int(time.time() - ago))
        signature = SignatureVerifier(secret).generate_signature(timestamp=stamp, body=body)
        assert signature
        signed = {"X-Slack-Request-Timestamp": stamp, "X-Slack-Signature": signature}
        return posted(self.door, body, {**signed, **(headers or {})})[0]

    def says(self, **event: Any) -> None:
        """A monitor speaks."""
        says(self.server, **event)


@pytest.fixture(params=["sqlite", "postgres"])
def story(request: pytest.FixtureRequest, tocsin_server: Callable[..., TocsinServer], catcher: Catcher) -> Story:
    """On both stores."""
    catcher.default = TAKEN
    app = {"token": "secret:slack", "signing secret": "secret:signing", "server": catcher.url}
    database = None if request.param == "sqlite" else request.getfixturevalue("postgres_url")
    server = tocsin_server(
        plan=a_plan_for({"slack": app}, slack="U012ABCDEF"),
        environment={"TOCSIN_SECRET_SLACK": "xoxb-test", "TOCSIN_SECRET_SIGNING": SECRET},
        database=database,
    )
    return Story(server, catcher)


def like(method: str) -> dict[str, Any]:
    """Header and body of one recorded request of the official client."""
    found = [one for one in RECORDED if one["path"] == f"/api/{method}" and one["body"]["text"].startswith("{")]
    return {"headers": {k.lower(): v for k, v in found[0]["headers"]}, "body": json.loads(found[0]["body"]["text"])}


def test_a_page_is_said_acknowledged_by_its_button_and_changed_until_it_is_over(story: Story) -> None:
    story.says()
    (said,) = story.slack.wait_for(1)
    official = like("chat.postMessage")
    assert (said.method, said.path) == ("POST", "/api/chat.postMessage")
    assert said.headers["authorization"] == official["headers"]["authorization"]
    assert said.headers["content-type"].replace(" ", "") == official["headers"]["content-type"].replace(" ", "")
    body = said.json()
    assert set(official["body"]) <= set(body)
    section, actions = body["blocks"]
    assert set(official["body"]["blocks"][1]["elements"][0]) == set(actions["elements"][0])
    assert body["channel"] == "U012ABCDEF"
    assert "Checkout &lt;b&gt;answers&lt;/b&gt; 503 &amp; hangs" in section["text"]["text"]
    assert f"{story.server.url}/p/1." in section["text"]["text"]
    assert story.send(story.press(actions["elements"][0]["value"])) == 200
    found = becomes(story.server, 1, "acknowledged")
    assert found["acknowledged_by"] == "person:ana"
    assert found["pages"][0]["answered_at"]
    assert found["pages"][0]["provider_id"] == "D024BE91L/1700000000.000100"
    changed = story.slack.wait_for(2)[1]
    assert changed.path == "/api/chat.update"
    assert (changed.json()["channel"], changed.json()["ts"]) == ("D024BE91L", "1700000000.000100")
    assert "Ana has it." in changed.json()["blocks"][0]["text"]["text"]
    assert len(changed.json()["blocks"]) == 1, "the button is gone"
    story.says(state="resolved")
    becomes(story.server, 1, "resolved", within=20)
    assert "[Resolved]" in story.slack.wait_for(3)[2].json()["text"]
    assert SECRET not in story.server.output()
    assert "xoxb-test" not in story.server.output()


def test_what_slack_did_not_sign_just_now_changes_nothing(story: Story) -> None:
    story.says()
    story.slack.wait_for(1)
    good = story.press("1")
    assert story.send(good, secret="another app's secret") == 401
    assert story.send(good, ago=301) == 401
    assert story.send(good, ago=-301) == 401
    assert posted(story.door, good, {})[0] == 401
    assert story.send(good, headers={"X-Slack-Signature": "v0=ü"}) == 401
    assert story.send(good, headers={"X-Slack-Request-Timestamp": "soon"}) == 401
    assert story.send(b"payload=%7B%22user") == 400
    assert story.send(b"") == 400
    assert story.send(story.press("1", action="another_button")) == 200
    assert story.send(story.press("one")) == 200
    assert posted(story.door, b"x" * (64 * 1024 + 1), {})[0] == 413
    assert story.server.call("GET", "/callbacks/slack")[0] == 405
    assert story.server.call("POST", "/callbacks/pigeon", b"")[0] == 404
    assert incident(story.server, 1)["state"] == "triggered"


def test_a_press_by_somebody_else_or_of_no_page_is_refused_and_they_are_told(story: Story) -> None:
    story.says()
    story.slack.wait_for(1)
    assert story.send(story.press("1", user="U0000BEN")) == 200
    assert story.send(story.press("99")) == 200
    told = story.slack.wait_for(3)[1:]
    assert [(one.path, one.json()["user"]) for one in told] == [
        ("/api/chat.postEphemeral", "U0000BEN"),
        ("/api/chat.postEphemeral", "U012ABCDEF"),
    ]
    assert "somebody else" in told[0].json()["text"]
    assert "no such page" in told[1].json()["text"]
    assert incident(story.server, 1)["state"] == "triggered"


def test_a_press_sent_again_counts_once_even_after_a_restart(story: Story) -> None:
    """Whoever caught a press and its signature can send it for five minutes."""
    story.says()
    story.slack.wait_for(1)
    pressed = story.press("1")
    assert story.send(pressed) == 200
    becomes(story.server, 1, "acknowledged")
    story.says(state="resolved")
    becomes(story.server, 1, "resolved", within=20)
    story.says()
    becomes(story.server, 1, "triggered")
    story.server.kill9()
    story.server.start()
    assert story.send(pressed) == 200
    assert incident(story.server, 1)["state"] == "triggered"
    assert story.send(story.press("1")) == 200, "her thumb, anew, on the message of before"
    new = max(page["id"] for page in incident(story.server, 1)["pages"] if page["kind"] == "page")
    assert new > 1 and story.send(story.press(str(new))) == 200
    becomes(story.server, 1, "acknowledged")
