"""Web push from the page You to a notification that acknowledges, in a real Chromium.

Its own push service is out on the internet. So the test stands in for that alone: it gives the subscription, catches
what Tocsin posts there, decrypts it with the device's keys, and has Chromium's DevTools hand it to the real worker.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.journeys.telling import a_plan, becomes, incident
from tests.support.browser import axe
from tests.support.catcher import Catcher, Reply
from tests.support.certificates import Certificate
from tests.support.device import Device
from tests.support.server import TocsinServer
from tests.support.waiting import eventually

pytestmark = [pytest.mark.browser, pytest.mark.journey]

SUBSCRIBES = """
PushManager.prototype.subscribe = async function (how) {
  window.asked = { visible: how.userVisibleOnly, key: [...how.applicationServerKey] };
  return { toJSON: () => (%s) };
};
PushManager.prototype.getSubscription = async () => null;
"""


class Story:
    """Ana at her browser, signed in, with a device whose push service the test is."""

    def __init__(self, server: TocsinServer, context: BrowserContext, service: Catcher) -> None:
        self.server, self.context, self.service = server, context, service
        self.device = Device()
        service.default = Reply(201)
        context.grant_permissions(["notifications"], origin=server.url)
        context.add_init_script(SUBSCRIBES % json.dumps(self.device.said(f"{service.url}/device/1")))
        self.page: Page = context.new_page()
        self.devtools = context.new_cdp_session(self.page)
        self.registrations: list[dict[str, Any]] = []
        self.devtools.on(
            "ServiceWorker.workerRegistrationUpdated", lambda told: self.registrations.extend(told["registrations"])
        )
        self.devtools.send("ServiceWorker.enable")

    def sign_in(self) -> None:
        """By the printed link."""
        printed = eventually(lambda: re.search(r"http\S+/sign-in/link/\S+", self.server.output()), what="the link")
        assert printed is not None
        self.page.goto(printed[0])
        self.page.get_by_role("button", name="Sign in on this browser").click()
        self.page.wait_for_url("**/welcome")

    def subscribe(self) -> None:
        """Press the button on the page You."""
        self.page.goto(f"{self.server.url}/you")
        self.page.get_by_role("button", name="Show my pages on this device").click()
        expect(self.page.get_by_text("Your pages are shown on this device from now on.").first).to_be_visible()

    def told(self, count: int) -> dict[str, Any]:
        """The newest thing the push service was given, as the device reads it."""
        newest = self.service.wait_for(count)[-1]
        return dict(json.loads(self.device.read(newest.body)))

    def deliver(self, told: dict[str, Any]) -> None:
        """As the browser does when its push service tells it."""
        registration = eventually(lambda: self.registrations[-1:], what="the worker to be registered")
        assert registration
        self.devtools.send(
            "ServiceWorker.deliverPushMessage",
            {
                "origin": self.server.url,
                "registrationId": registration[0]["registrationId"],
                "data": json.dumps(told),
            },
        )

    def notifications(self) -> list[dict[str, Any]]:
        """What the browser shows."""
        return list(
            self.page.evaluate(
                """async () => (await (await navigator.serviceWorker.ready).getNotifications()).map((n) => ({
                  title: n.title, body: n.body, tag: n.tag, stays: n.requireInteraction, silent: n.silent,
                  actions: n.actions.map((a) => a.action) }))"""
            )
        )

    def shows(self, words: str) -> dict[str, Any]:
        """The one notification there is, once it says this."""

        def found() -> dict[str, Any] | None:
            shown = self.notifications()
            return shown[0] if len(shown) == 1 and words in shown[0]["body"] else None

        one = eventually(found, within=30, what=f"one notification that says {words}")
        assert one is not None
        return one

    def press(self, action: str) -> None:
        """Tap a button of the notification."""
        (worker,) = self.context.service_workers
        worker.evaluate(
            """async (action) => {
              const [notification] = await self.registration.getNotifications();
              self.dispatchEvent(new NotificationEvent("notificationclick", { notification, action }));
            }""",
            action,
        )

    def says(self, **event: Any) -> None:
        """A monitor speaks."""
        key = self.server.new_key("events", "checkout")["key"]
        told = {"key": "e1", "title": "Checkout answers 503", "severity": "critical", **event}
        assert self.server.call("POST", f"/api/events/{key}", told)[0] == 202


@pytest.fixture(params=["sqlite", "postgres"])
def story(
    request: pytest.FixtureRequest,
    tocsin_server: Callable[..., TocsinServer],
    browser: Browser,
    tls_catcher: Catcher,
    certificate: Certificate,
) -> Any:
    """On both stores."""
    database = None if request.param == "sqlite" else request.getfixturevalue("postgres_url")
    server = tocsin_server(
        plan=a_plan(services={"checkout": {}}, channels={"push": {"service": tls_catcher.url}}),
        environment={"SSL_CERT_FILE": str(certificate.authority)},
        database=database,
    )
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    context.set_default_timeout(10_000)
    yield Story(server, context, tls_catcher)
    context.close()


def test_a_page_is_shown_on_a_device_and_acknowledged_from_its_notification(story: Story) -> None:
    story.sign_in()
    story.subscribe()
    assert axe(story.page) == []
    story.says()
    told = story.told(1)
    story.deliver(told)
    shown = story.shows("Since ")
    assert shown["title"] == "[SEV1] Checkout answers 503 (#1)"
    assert shown["tag"] == "incident-1"
    assert shown["stays"]
    assert shown["actions"] == ["acknowledge", "open"]
    page = eventually(
        lambda: (page := incident(story.server, 1)["pages"][0])["delivered_at"] and page, what="its arrival to be known"
    )
    assert page
    assert (page["channel"], page["address"]) == ("push", "a device")
    story.press("acknowledge")
    found = becomes(story.server, 1, "acknowledged")
    assert found["acknowledged_by"] == "person:ana"
    assert found["pages"][0]["answered_at"]
    story.shows("You have it.")
    update = story.told(2)
    assert (update["kind"], update["acknowledge"]) == ("update", "")
    story.deliver(update)
    assert story.shows("Ana has it.")["silent"], "it takes the page's place without a sound"
    for secret in ("p256dh", story.device.said("")["keys"]["auth"]):
        assert secret not in story.server.output()


def test_what_cannot_be_acknowledged_any_more_is_said_in_the_notification(story: Story) -> None:
    story.sign_in()
    story.subscribe()
    story.says()
    told = story.told(1)
    story.deliver({**told, "acknowledge": told["acknowledge"] + "x"})
    story.shows("Since ")
    story.press("acknowledge")
    story.shows("It is over, or was too long ago.")
    story.deliver(told)
    story.shows("Since ")
    story.server.stop()
    story.press("acknowledge")
    assert story.shows("could not be reached")["actions"] == ["acknowledge", "open"], "it can be tried again"


def test_a_device_that_is_gone_is_let_go_and_the_next_method_is_used(story: Story) -> None:
    """The browser was reset: its push service says 410."""
    story.sign_in()
    story.subscribe()
    story.service.default = Reply(410)
    story.says()
    gone, other = eventually(
        lambda: (pages := incident(story.server, 1)["pages"]) and len(pages) == 2 and pages, what="the next page"
    ) or [{}, {}]
    assert (gone["channel"], gone["state"]) == ("push", "failed")
    assert other["channel"] == "console"
    story.page.goto(f"{story.server.url}/you")
    expect(story.page.get_by_role("button", name="Remove")).to_have_count(0)


def test_a_device_can_be_removed_and_nonsense_is_no_device(story: Story) -> None:
    story.sign_in()
    story.subscribe()
    story.page.get_by_role("button", name="Remove").click()
    expect(story.page.get_by_text("There is none yet.").first).to_be_visible()
    story.page.evaluate(
        "() => { const form = document.getElementById('device'); form.elements.address.value = '{}'; form.submit(); }"
    )
    expect(story.page.locator("#dev-say")).to_contain_text("endpoint is an https:// URL")
    status, manifest = story.server.call("GET", "/manifest.webmanifest", authorized=False)
    assert status == 200
    told = json.loads(manifest) if isinstance(manifest, str) else manifest
    assert {icon["sizes"] for icon in told["icons"]} == {"192x192", "512x512"}
    assert all(story.server.status(icon["src"]) == 200 for icon in told["icons"])
