"""One newcomer's first minutes with the real `tocsin up`: sign in by the printed link, send a test event, answer it."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.support.browser import axe
from tests.support.server import TocsinServer
from tests.support.waiting import eventually

pytestmark = [pytest.mark.browser, pytest.mark.journey]


def test_from_the_printed_link_to_an_answered_incident(page: Page, tocsin_server: Callable[..., TocsinServer]) -> None:
    server = tocsin_server()
    printed = eventually(lambda: re.search(r"http\S+/sign-in/link/\S+", server.output()), what="the sign-in link")
    faults: list[str] = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("console", lambda said: faults.append(said.text) if "Content Security Policy" in said.text else None)

    assert printed is not None
    page.goto(printed[0])
    page.get_by_role("button", name="Sign in on this browser").click()
    page.wait_for_url("**/welcome")
    expect(page.locator("h1")).to_have_text("Quiet so far. Tell Tocsin where to listen.")
    expect(page.locator("#wait")).to_contain_text("Waiting for the first event")
    expect(page.locator("#strips")).to_contain_text("Only the console is paged.")
    assert axe(page) == []

    # A sender with a wrong key is counted, so that a newcomer sees that something came at all.
    assert server.call("POST", "/am/wrong/api/v2/alerts", [], authorized=False)[0] == 401
    expect(page.locator("#wait")).to_contain_text("1 refused")

    page.get_by_role("button", name="Send a test event").click()
    expect(page.locator("#wait")).to_contain_text("Heard.")
    page.get_by_role("link", name=re.compile("Test event for inbox")).click()
    expect(page.locator("#chips")).to_contain_text("Triggered")
    expect(page.locator("#live")).to_have_attribute("data-is", "live")
    expect(page.locator("#tl")).to_contain_text("Paging Admin")

    # Answered elsewhere, it is answered here without a reload.
    page.evaluate("window.same = true")
    number = page.url.rsplit("/", 1)[1]
    server.run("incidents", "note", number, "seen from the command line")
    expect(page.locator("#tl")).to_contain_text("seen from the command line")
    page.get_by_role("button", name="Acknowledge", exact=True).click()
    expect(page.locator("#chips")).to_contain_text("Acknowledged")
    page.get_by_role("button", name="Resolve").click()
    expect(page.locator("#chips")).to_contain_text("Resolved")
    expect(page.locator("#fate")).to_contain_text("It is looked at again")
    assert page.evaluate("window.same") is True
    assert axe(page) == []

    page.goto(server.url + "/keys")
    page.get_by_label("What for").fill("prometheus")
    page.get_by_role("button", name="Make the key").click()
    found = re.search(r"path_prefix: (/am/\w{32})", page.inner_text("main"))
    assert found is not None
    alert = [
        {"labels": {"alertname": "RealAlert", "severity": "critical"}, "annotations": {"summary": "Something real"}}
    ]
    status, _ = server.call("POST", found[1] + "/api/v2/alerts", alert, authorized=False)
    assert status == 200
    page.goto(server.url + "/")
    expect(page.locator("h1")).to_have_text("One incident needs a person.")

    # The node goes away: within five seconds the page says that it hears nothing, and comes back by itself.
    expect(page.locator("#live")).to_have_attribute("data-is", "live")
    server.stop()
    expect(page.locator("#live")).to_have_attribute("data-is", "lost", timeout=9_000)
    server.start()
    expect(page.locator("#live")).to_have_attribute("data-is", "live", timeout=20_000)
    assert faults == []
