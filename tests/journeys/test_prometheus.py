"""The first journey: a process dies, Prometheus tells Tocsin, Tocsin mails Ana, and it ends by itself."""

from __future__ import annotations

import re
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from tests.journeys.telling import (
    Amtool,
    Shop,
    a_plan,
    alerting_block,
    becomes,
    incident,
    incidents,
    opened,
    reasons,
)
from tests.support.browser import axe
from tests.support.mail import MailServer
from tests.support.prometheus import Prometheus
from tests.support.server import TocsinServer
from tests.support.waiting import eventually
from tocsin.kernel.instant import SECOND, parse_rfc3339

pytestmark = [pytest.mark.journey, pytest.mark.browser]

RULES = {
    "groups": [
        {
            "name": "shop",
            "interval": "1s",
            "rules": [
                {
                    "alert": "ShopDown",
                    "expr": "up == 0",
                    "labels": {"severity": "critical"},
                    "annotations": {"summary": "{{ $labels.instance }} does not answer"},
                }
            ],
        }
    ]
}


def watching(shop: Shop, block: dict[str, object]) -> dict[str, object]:
    """A Prometheus configuration that scrapes the shop every second, with the pasted block in it."""
    return {
        "global": {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"},
        "scrape_configs": [{"job_name": "checkout", "static_configs": [{"targets": [shop.address]}]}],
        **block,
    }


def test_a_process_dies_ana_acknowledges_from_her_mail_and_it_ends_by_itself(
    tocsin_server: Callable[..., TocsinServer],
    start_prometheus: Callable[..., Prometheus],
    mail_server: MailServer,
    browser: Browser,
    shop: Shop,
    tmp_path: Path,
) -> None:
    """From the block `tocsin up` printed to an incident that resolved itself after a minute of quiet."""
    routes = [{"match": ['job="checkout"'], "service": "checkout", "severity": {"critical": "sev1"}}]
    server = tocsin_server(plan=a_plan(mail_server, {"checkout": {}}, routes=routes))
    block = alerting_block(server.output())
    prometheus = start_prometheus(watching(shop, block), RULES)
    amtool = Amtool(server.url + block["alerting"]["alertmanagers"][0]["path_prefix"], tmp_path)
    eventually(lambda: prometheus.query("up == 1"), within=20, what="Prometheus to have seen the shop")
    assert incidents(server) == []

    # It dies, and one incident opens on the service that the plan's route names.
    shop.die()
    found = opened(server, within=30)
    assert (found["service"], found["severity"], found["state"]) == ("checkout", "sev1", "triggered")
    assert found["title"] == f"{shop.address} does not answer"
    assert found["labels"]["job"] == "checkout"
    number = found["number"]

    # Ana has a mail with a link in it. Looking at it, with a script or without, changes nothing.
    (mail,) = mail_server.wait_for(1)
    assert mail.recipients == ("ana@shop.example",)
    assert found["title"] in mail.subject
    (link,) = set(re.findall(rf"{re.escape(server.url)}/p/\S+", mail.text()))
    with urllib.request.urlopen(link, timeout=10) as answer:
        assert answer.status == 200
    context = browser.new_context(viewport={"width": 360, "height": 740})
    context.set_default_timeout(10_000)
    page = context.new_page()
    page.goto(link)
    page.wait_for_load_state("networkidle")
    assert axe(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    assert incident(server, number)["state"] == "triggered"

    # One tap acknowledges it as Ana, and proves the channel. It is her only page.
    page.get_by_role("button", name="Acknowledge").click()
    page.get_by_role("heading", name="You have it").wait_for()
    assert axe(page) == []
    found = becomes(server, number, "acknowledged")
    assert found["acknowledged_by"] == "person:ana"
    assert [one["answered_at"] is not None for one in found["pages"]] == [True]
    assert server.call("GET", "/api/v1/status")[1]["real_channel_proven_at"]
    context.close()

    # amtool sees the alert, silences it, and lets it be heard again.
    assert "ShopDown" in amtool.said("alert", "query")
    silence = amtool.said("silence", "add", "ShopDown", "--comment=moving the shop", "--author=ana", "--duration=1h")
    assert amtool.said("alert", "query", "--active", "-o", "json") == "[]"
    assert "ShopDown" in amtool.said("alert", "query", "--silenced")
    assert server.json("alerts")[0]["silences"] == [silence]
    assert "silenced" in reasons(incident(server, number))
    amtool("silence", "expire", silence)
    assert "ShopDown" in amtool.said("alert", "query", "--active")

    # The shop opens again: the incident waits a minute in case it does not last, and says until when.
    shop.start()
    eventually(lambda: incident(server, number)["clear_at"], within=20, what="every alert to have ended")
    found = incident(server, number)
    ended = time.monotonic()
    assert found["paused"] == "clearing"
    assert found["clear_at"] == found["paused_until"]
    said = next(entry for entry in found["timeline"] if entry["reason"] == "clearing")
    assert parse_rfc3339(found["clear_at"]) - parse_rfc3339(said["at"]) == 60 * SECOND
    assert found["state"] == "acknowledged"
    assert server.json("alerts") == [] or server.json("alerts")[0]["state"] == "resolved"

    # What a person sees meanwhile, signed in by the link that was printed.
    (sign_in,) = re.findall(rf"{re.escape(server.url)}/sign-in/link/\S+", server.output())
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    context.set_default_timeout(10_000)
    page = context.new_page()
    page.goto(sign_in)
    assert axe(page) == []
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(lambda url: "/sign-in" not in url)
    for path in ("/", f"/incidents/{number}", "/alerts", "/silences"):
        page.goto(server.url + path)
        assert axe(page) == [], path
    page.goto(f"{server.url}/incidents/{number}")
    assert page.get_by_role("heading", name=found["title"]).is_visible()

    # After that minute it is over, by itself, and an open page says so without being loaded again.
    found = becomes(server, number, "resolved", within=75)
    assert time.monotonic() - ended > 55
    assert found["reason"] == "all_clear"
    page.get_by_text("Resolved").first.wait_for()
    context.close()
    assert len(mail_server.messages) == 1
    assert len(incidents(server)) == 1
    assert [one["reason"] for one in found["timeline"]][:2] == ["opened", "step_due"]
    assert "acknowledged" in reasons(found)
    assert reasons(found)[-1] == "all_clear"
