"""``tocsin channel``: what the plan sets up, what would be sent, and a test that is really sent."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest
from standardwebhooks.webhooks import Webhook as Official

from tests.cli.stage import run
from tests.support.catcher import Catcher, Reply

SECRET = "whsec_" + base64.b64encode(b"twenty-four bytes of key").decode()
PLAN = """
tocsin: 1
team: shop
people:
  ana:
    name: Ana
    email: ana@shop.example
    webhook: {{url: "{url}/ana", secret: secret:hook}}
    matrix: "@ana:shop.example"
    slack: U012ABCDEF
    pagerduty: secret:old
    apprise: secret:gotify
  ben: {{name: Ben, webhook: {{url: "{url}/ben", secret: secret:nowhere}}}}
mail: {{server: "smtp://127.0.0.1:25", from: tocsin@shop.example}}
channels:
  matrix: {{server: "https://matrix.shop.example", token: secret:matrix}}
  slack: {{token: secret:slack, signing secret: secret:signing}}
  telegram: {{token: secret:bot}}
  ntfy: {{}}
  twilio: {{account: AC1, token: secret:twilio, from: "+34911000000"}}
"""
EVERY = [
    "apprise", "call", "console", "email", "matrix", "ntfy", "pagerduty", "push", "slack", "sms", "telegram", "webhook",
]  # fmt: skip


@pytest.fixture
def plan(tmp_path: Path, catcher: Catcher) -> Path:
    """A plan that uses every channel."""
    folder = tmp_path / "plan"
    folder.mkdir()
    (folder / "tocsin.yaml").write_text(PLAN.format(url=catcher.url))
    return folder


def test_every_channel_is_listed_with_whom_it_reaches(plan: Path) -> None:
    found = {row["channel"]: row for row in run("channel", "list", "--plan", str(plan), "--json").json}
    assert sorted(found) == EVERY
    assert found["webhook"] == {"channel": "webhook", "ready": True, "people": ["ana", "ben"], "follows": False}
    assert found["pagerduty"]["follows"]
    shown = run("channel", "list", "--plan", str(plan))
    assert "matrix     ana" in shown.out
    (plan / "tocsin.yaml").write_text("tocsin: 1\npeople: {ana: {email: ana@shop.example}}\n")
    shown = run("channel", "list", "--plan", str(plan))
    assert "webhook    nobody by the plan; people add their own\n" in shown.out
    assert "email      not set up: add mail to the plan" in shown.out
    assert "slack      not set up: add channels: {slack: …} to the plan" in shown.out


@pytest.mark.parametrize("name", EVERY)
@pytest.mark.parametrize("kind", ["page", "notice", "update"])
def test_every_channel_shows_what_it_would_send(plan: Path, name: str, kind: str, catcher: Catcher) -> None:
    """Without a secret on this machine, and without sending anything."""
    done = run("channel", "preview", name, "--kind", kind, "--plan", str(plan))
    assert done.code == 0, done.err
    assert "Checkout answers 503" in done.out or (name, kind) == ("pagerduty", "update")
    if kind == "page":
        assert "Restarted checkout-2" in done.out, "what code already tried"
    assert not catcher.requests
    again = run("channel", "preview", name, "--kind", kind, "--plan", str(plan), "--json").json
    assert (again["channel"], again["kind"]) == (name, kind)


def test_a_test_is_really_sent_and_says_that_it_is_one(plan: Path, catcher: Catcher) -> None:
    done = run("channel", "test", "webhook", "--person", "ana", "--plan", str(plan), TOCSIN_SECRET_HOOK=SECRET)
    assert done.code == 0, done.err
    assert "the provider took it" in done.out
    (got,) = catcher.requests
    told = Official(SECRET).verify(got.body, got.headers)
    assert told["type"] == "incident.notice"
    assert told["data"]["incident"]["title"] == "Test: Tocsin can reach you here"


def test_what_stands_in_the_way_is_said(plan: Path, catcher: Catcher) -> None:
    catcher.default = Reply(401)
    arguments = ("channel", "test", "webhook", "--plan", str(plan), "--person")
    refused = run(*arguments, "ana", TOCSIN_SECRET_HOOK=SECRET)
    assert refused.code == 1
    assert "answered 401" in refused.out
    assert "cannot help" in refused.out
    lacking = run(*arguments, "ben", "--json")
    assert (lacking.code, lacking.json["sent"], lacking.json["code"]) == (1, False, "auth")
    assert "secret:nowhere" in lacking.json["error"]
    assert run(*arguments, "zoe").code == 1
    assert "no person 'zoe'" in run(*arguments, "zoe").err
    assert "how to reach ben by slack" in run("channel", "test", "slack", "--plan", str(plan), "--person", "ben").err
    theirs = run("channel", "test", "sms", "--plan", str(plan), "--person", "ana")
    assert "`tocsin contact test`" in theirs.err
    assert "there are apprise, call" in run("channel", "preview", "pigeon", "--plan", str(plan)).err
    (plan / "tocsin.yaml").write_text("tocsin: 1\npeople: {ana: {}}\n")
    assert "does not set slack up" in run("channel", "preview", "slack", "--plan", str(plan)).err
    (plan / "tocsin.yaml").write_text("tocsin: 2\n")
    assert "tocsin plan check" in run("channel", "list", "--plan", str(plan)).err
