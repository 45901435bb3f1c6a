"""Tocsin pages itself through real servers and hears it come back; and one Tocsin watches another."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from typing import Any

import pytest

from tests.journeys.telling import curl
from tests.support.mail import MailServer
from tests.support.ports import free_port
from tests.support.server import TocsinServer
from tests.support.waiting import eventually

pytestmark = pytest.mark.journey


def test_pages_leave_by_webhook_and_mail_and_come_back_and_a_lost_one_pages(
    tocsin_server: Callable[..., TocsinServer], mail_server: MailServer
) -> None:
    """The webhook goes to Tocsin's own address. The mail is handed on as a gateway does: as it came, by POST."""
    server = tocsin_server(start=False)
    server.plan = server.data.parent / "plan"
    plan: dict[str, Any] = {
        "tocsin": 1,
        "people": {"ana": {"email": "ana@shop.example"}},
        "mail": {"server": f"smtp://{mail_server.host}:{mail_server.port}", "from": "tocsin@shop.example"},
    }
    server.write_plan(plan)
    server.start()
    # Apprise itself posts it, in its own words, and the mark is among them.
    secrets = server.data / "secrets"
    secrets.mkdir(exist_ok=True)
    (secrets / "loop").write_text(f"json://{server.url.partition('//')[2]}/loopback")
    plan["synthetic page"] = {
        "every": "1m", "within": "5s", "webhook": f"{server.url}/loopback", "email": "loop@shop.example",
        "apprise": "secret:loop",
    }  # fmt: skip
    server.write_plan(plan)
    server.run("plan", "reload")

    def states() -> dict[str, Any]:
        done = server.run("channel", "synthetic", "--json", check=False)
        return {one["channel"]: one for one in json.loads(done.stdout)}

    eventually(lambda: states()["webhook"]["state"] == "back", what="the webhook's page to come back")
    eventually(lambda: states()["apprise"]["state"] == "back", what="the page Apprise hands on to come back")
    (mail,) = mail_server.wait_for(1)
    assert mail.recipients == ("loop@shop.example",)
    # Nobody hands the mail on: within five seconds it counts as lost, and ana is told.
    (_, told) = mail_server.wait_for(2)
    assert told.recipients == ("ana@shop.example",)
    assert "The synthetic page by email did not come back within 5 s" in told.subject
    forged = mail.message.as_bytes().replace(b"tocsin-loop-", b"tocsin-loop-9")
    sent = ["-w", "%{http_code}", "--data-binary", "@-", f"{server.url}/loopback"]
    answers = [
        subprocess.run(["curl", "-sS", "-o", "/dev/null", *sent], input=text, capture_output=True, check=True).stdout
        for text in (forged, mail.message.as_bytes(), mail.message.as_bytes())
    ]
    assert answers == [b"404", b"204", b"204"]
    assert states()["email"]["state"] == "back"
    (one,) = server.call("GET", "/api/v1/incidents?state=resolved")[1]["items"]
    assert one["title"].startswith("The synthetic page by email")
    assert 'tocsin_synthetic_page_missing{channel="email"} 0.0' in curl(f"{server.url}/metrics")
    _watched(server)


def _watched(server: TocsinServer) -> None:
    """A watcher beside it sees it well, and tells it of a peer that is deaf and of its return."""
    assert server.run("watch-peer", server.url, "--once").stdout.strip() == f"Tocsin at {server.url} is ready"
    deaf = f"http://127.0.0.1:{free_port()}"
    done = server.run("watch-peer", deaf, "--once", "--json", check=False)
    assert (done.returncode, json.loads(done.stdout)["ok"]) == (1, False)
    assert json.loads(done.stdout)["told"].startswith("Incident ")
    again = server.run("watch-peer", deaf, "--once", check=False).stdout
    assert f"Incident {json.loads(done.stdout)['told'].split()[1]} of inbox is triggered here for it" in again
    titles = [one["title"] for one in server.call("GET", "/api/v1/incidents?state=triggered")[1]["items"]]
    assert titles == [f"Tocsin at {deaf} is deaf: the connection was refused, nothing listens there"]
