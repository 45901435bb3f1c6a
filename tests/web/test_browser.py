"""In a real Chromium: nothing axe objects to, nothing that moves under a thumb, and everything by keyboard."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.support.browser import axe
from tests.web.night import HOSTILE, NOW, SIGNING_KEY, alert
from tests.web.serving import Site, serving
from tocsin.engine import commands as c
from tocsin.incidents.incident import Incident
from tocsin.kernel.instant import MINUTE, SECOND
from tocsin.kernel.reason import Reason
from tocsin.pages.links import make_token

pytestmark = pytest.mark.browser

NIGHT = "/p/" + make_token(SIGNING_KEY, 17)
PAGES = [
    "/",
    "/?state=resolved",
    "/incidents/1042",
    "/incidents/1043",
    "/incidents/1041",
    "/incidents/1040",
    "/alerts",
    "/alerts/7",
    "/oncall",
    "/oncall?schedule=platform-hours&service=search",
    "/oncall/new?schedule=shop-primary",
    "/oncall/new?kind=swap&schedule=shop-primary",
    "/oncall/new?kind=cover",
    "/silences",
    '/silences/new?matchers=job%3D"checkout"',
    "/silences/5f1c0a9e-1111-4222-8333-444455556666",
    "/silences/7f1c0a9e-1111-4222-8333-444455556666",
    "/services",
    "/playbooks",
    "/coverage",
    "/keys",
    "/keys/1",
    "/parked",
    "/parked/77",
    "/users",
    "/plan",
    "/welcome",
    "/settings",
    "/you",
    "/you?person=mei",
    "/more",
    "/sign-in",
    "/sign-in/link/abc",
    "/nope",
    NIGHT,
    "/p/" + make_token(SIGNING_KEY, 16),
    "/p/" + make_token(SIGNING_KEY, 14),
    "/p/" + make_token(SIGNING_KEY, 20),
    "/p/no",
]


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with serving(tmp_path) as served:
        yield served


def context(browser: Browser, site: Site, **how: object) -> BrowserContext:
    made = browser.new_context(**{"viewport": {"width": 1280, "height": 800}, **how})  # type: ignore[arg-type]  # Playwright's own options
    made.add_cookies([{"name": name, "value": value, "url": site.url} for name, value in site.session().items()])
    made.set_default_timeout(10_000)
    return made


@pytest.fixture
def window(browser: Browser, site: Site) -> Iterator[Page]:
    """Ana's window. A script fault or a refused resource on any page fails the test."""
    made = context(browser, site)
    page = made.new_page()
    faults: list[str] = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("console", lambda said: faults.append(said.text) if "Content Security Policy" in said.text else None)
    yield page
    made.close()
    assert faults == []


def live(page: Page) -> None:
    """Wait until the page hears the server."""
    expect(page.locator("#live")).to_have_attribute("data-is", "live")


def change(site: Site, *numbers: int) -> None:
    """Tell every open page."""
    site.on_loop(lambda: site.core.say(*numbers))


def new_incident(site: Site, number: int, title: str = "Checkout is down") -> None:
    site.night.put(
        Incident(
            number=number,
            service="checkout",
            group=str(number),
            title=title,
            severity="sev1",
            opened_at=NOW,
            updated_at=NOW,
            last_joined=NOW,
            steps=site.night.plan.steps("checkout"),
            alerts=1,
            next_at=site.clock() + MINUTE,
        )
    )


# -- as it looks -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("theme", "width", "height"), [("light", 1440, 900), ("dark", 390, 844)], ids=["wide and light", "phone and dark"]
)
def test_axe_finds_nothing_serious_on_any_page(
    browser: Browser, site: Site, theme: str, width: int, height: int
) -> None:
    made = context(browser, site, viewport={"width": width, "height": height}, color_scheme=theme)
    page = made.new_page()
    found = {}
    for path in PAGES:
        page.goto(site.url + path)
        if bad := axe(page):
            found[path] = bad
    # As a new installation looks, and one that has a fault: with strips above everything.
    site.core.proven, site.core.audit = None, ("timers are 49 s late",)
    for path in ("/", "/parked", "/welcome"):
        page.goto(site.url + path)
        expect(page.get_by_role("region", name="Notice")).to_be_visible()
        expect(page.get_by_role("region", name="Self-check")).to_be_visible()
        if bad := axe(page):
            found[f"{path} with strips"] = bad
    made.close()
    assert found == {}


@pytest.mark.parametrize(("width", "text"), [(320, 100), (320, 200), (360, 100), (390, 200), (1280, 200)])
def test_nothing_is_cut_off_or_scrolls_sideways(browser: Browser, site: Site, width: int, text: int) -> None:
    """At 320 px, and with letters twice as large; long words of monitors break."""
    one = site.night.incident(1042)
    one.title = "averyveryveryveryveryveryveryveryveryveryveryverylongname_without_a_space " + HOSTILE
    site.night.put(one, alert(90, "x" * 300, "checkout", 1042, labels={"alertname": "y" * 200, "z" * 100: "w" * 300}))
    made = context(browser, site, viewport={"width": width, "height": 700})
    page = made.new_page()
    wide = {}
    for path in [*PAGES, "/alerts/90"]:
        page.goto(site.url + path)
        if text != 100:
            page.evaluate("size => { document.documentElement.style.fontSize = size + '%' }", text)
        over = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        if over > 0:
            wide[path] = over
    made.close()
    assert wide == {}


def test_the_night_page_has_its_button_at_the_thumb(browser: Browser, site: Site) -> None:
    made = context(browser, site, viewport={"width": 390, "height": 844})
    page = made.new_page()
    page.goto(site.url + NIGHT)
    box = page.get_by_role("button", name="Acknowledge").bounding_box()
    assert box is not None
    assert box["height"] >= 72
    assert box["y"] > 844 / 2
    assert box["y"] + box["height"] <= 844
    made.close()


def test_forced_colours_keep_the_marks(browser: Browser, site: Site) -> None:
    made = context(browser, site, forced_colors="active")
    page = made.new_page()
    page.goto(site.url + "/")
    assert page.locator(".st").first.evaluate("one => getComputedStyle(one).borderTopStyle") == "solid"
    assert axe(page) == []
    made.close()


# -- without a script --------------------------------------------------------------------------------------------------


def test_acknowledging_resolving_and_noting_work_without_javascript(browser: Browser, site: Site) -> None:
    made = context(browser, site, java_script_enabled=False)
    page = made.new_page()
    page.goto(site.url + "/")
    assert "at 03:33:18" in page.inner_text("#i1042-now")
    page.get_by_role("button", name="Acknowledge #1042").click()
    assert page.url.startswith(site.url + "/?done=acknowledged")
    page.get_by_role("link", name="About 1 in 6 shoppers cannot pay by card").click()
    expect(page.get_by_role("button", name="Acknowledge", exact=True)).to_be_hidden()
    page.get_by_label("Write a note to the timeline").fill("Rolled back.")
    page.get_by_role("button", name="Add the note").click()
    expect(page.locator(".said").first).to_have_text("Rolled back.")
    page.get_by_label("Alerts still fire").select_option("in 4 h")
    page.get_by_role("button", name="Resolve").click()
    assert [type(one) for one in site.core.asked] == [c.Acknowledge, c.AddNote, c.Resolve]
    expect(page.locator("#chips")).to_contain_text("Resolved")
    made.close()


def test_on_a_phone_the_filters_open_without_javascript(browser: Browser, site: Site) -> None:
    made = context(browser, site, java_script_enabled=False, viewport={"width": 390, "height": 844})
    page = made.new_page()
    page.goto(site.url + "/")
    page.get_by_role("link", name="Filter").click()
    page.get_by_label("Service", exact=True).select_option("search")
    page.get_by_role("button", name="Filter").click()
    expect(page.locator(".row")).to_have_count(1)
    made.close()


# -- live --------------------------------------------------------------------------------------------------------------


def test_a_countdown_runs_and_a_lost_connection_is_said_within_five_seconds(window: Page, site: Site) -> None:
    window.goto(site.url + "/")
    live(window)
    left = window.locator("#i1042-now time")
    expect(left).to_contain_text("in ")
    before = left.inner_text()
    expect(left).not_to_have_text(before)
    site.core.gone = True
    expect(window.locator("#live")).to_have_attribute("data-is", "lost", timeout=9_000)
    expect(window.locator("#live")).to_contain_text("Last heard 03:3")
    expect(window.locator("#live")).to_contain_text("reconnecting")
    site.core.gone = False
    live(window)


def test_a_row_changes_in_place_and_nothing_else_moves(window: Page, site: Site) -> None:
    window.goto(site.url + "/")
    live(window)
    window.evaluate(
        """() => { window.moved = 0;
        new PerformanceObserver(list => { for (const entry of list.getEntries()) window.moved += entry.value; })
            .observe({type: "layout-shift", buffered: false}); }"""
    )
    before = window.locator("#i1044").bounding_box()
    one = site.night.incident(1042)
    one.alerts = 5
    site.night.put(one)
    change(site, 1042)
    expect(window.locator("#i1042")).to_contain_text("5\u00a0alerts")
    window.wait_for_function("() => document.querySelector('#i1042.fresh') === null")
    assert window.locator("#i1044").bounding_box() == before
    assert window.evaluate("window.moved") == 0


def test_a_new_row_waits_behind_a_button_while_the_list_is_read(window: Page, site: Site) -> None:
    window.goto(site.url + "/")
    live(window)
    window.locator("#i1044 a").first.focus()
    before = window.locator("#i1044").bounding_box()
    new_incident(site, 1050)
    change(site, 1050)
    button = window.get_by_role("button", name="1 new")
    expect(button).to_be_visible()
    assert window.locator("#i1044").bounding_box() == before
    expect(window.locator("#i1050")).to_have_count(0)
    expect(window.locator("#say")).to_have_text("New: Checkout is down")
    expect(window).to_have_title("3 need a person · Incidents · Tocsin")
    button.click()
    expect(window.locator("#i1050")).to_be_visible()
    expect(button).to_be_hidden()


def test_a_new_row_comes_at_once_when_nobody_is_in_the_list(window: Page, site: Site) -> None:
    window.goto(site.url + "/")
    live(window)
    new_incident(site, 1051, HOSTILE)
    change(site, 1051)
    expect(window.locator("#i1051")).to_be_visible()
    expect(window.locator("h1")).to_contain_text("Three incidents need a person.")
    assert window.evaluate("document.querySelectorAll('main script, main img').length") == 0


def test_typed_text_focus_and_scroll_survive_a_live_update(window: Page, site: Site) -> None:
    window.set_viewport_size({"width": 900, "height": 500})
    window.goto(site.url + "/incidents/1042")
    live(window)
    field = window.get_by_label("Write a note to the timeline")
    field.fill("half a sentence")
    field.evaluate("one => one.setSelectionRange(2, 6)")
    window.evaluate("scrollBy(0, 60)")
    scrolled = window.evaluate("scrollY")
    site.night.enter(1042, site.clock(), "Joined: one more", Reason.JOINED, "source:alertmanager")
    change(site, 1042)
    expect(window.locator("#tl")).to_contain_text("Joined: one more")
    expect(field).to_have_value("half a sentence")
    expect(field).to_be_focused()
    assert field.evaluate("one => [one.selectionStart, one.selectionEnd]") == [2, 6]
    assert window.evaluate("scrollY") == scrolled


def test_whoever_wakes_a_page_after_its_session_is_led_to_sign_in(window: Page, site: Site) -> None:
    window.goto(f"{site.url}/incidents/1042")
    live(window)
    turn = "hidden => { Object.defineProperty(document, 'hidden', {value: hidden, configurable: true}); "
    turn += "document.dispatchEvent(new Event('visibilitychange')) }"
    window.evaluate(turn, True)
    window.context.clear_cookies()
    window.evaluate(turn, False)
    window.wait_for_url("**/sign-in?next=%2Fincidents%2F1042")


def test_what_was_typed_stays_when_the_session_ends(window: Page, site: Site) -> None:
    window.goto(f"{site.url}/incidents/1042")
    live(window)
    note = window.get_by_label("Write a note to the timeline")
    note.fill("It is the bank, not us")
    window.context.clear_cookies()
    change(site, 1042)
    expect(window.locator("#live")).to_have_text("Signed out; load this page again")
    expect(note).to_have_value("It is the bank, not us")
    window.get_by_role("button", name="Add the note").click()
    expect(window.get_by_role("heading", name="You are signed out.")).to_be_visible()
    expect(window.get_by_label("What you wrote")).to_have_value("It is the bank, not us")
    assert axe(window) == []
    window.get_by_role("link", name="Sign in").click()
    window.wait_for_url("**/sign-in?next=%2Fincidents%2F1042")


def test_selected_text_is_not_taken_away(window: Page, site: Site) -> None:
    window.goto(site.url + "/incidents/1042")
    live(window)
    window.evaluate("getSelection().selectAllChildren(document.querySelector('#fate'))")
    chosen = window.evaluate("String(getSelection())")
    one = site.night.incident(1042)
    one.next_at = site.clock() + 9 * MINUTE
    site.night.put(one)
    site.night.enter(1042, site.clock(), "Joined: another", Reason.JOINED)
    change(site, 1042)
    expect(window.locator("#tl")).to_contain_text("Joined: another")
    assert window.evaluate("String(getSelection())")[:12] == chosen[:12]


def test_acknowledging_in_the_list_needs_no_new_page(window: Page, site: Site) -> None:
    window.goto(site.url + "/")
    live(window)
    window.evaluate("window.same = true")
    before = window.locator("#i1044").bounding_box()
    window.get_by_role("button", name="Acknowledge #1042").click()
    expect(window.locator("#i1042")).to_contain_text("You have it since")
    assert window.evaluate("window.same") is True
    assert window.locator("#i1044").bounding_box() == before, "the row below stays under the thumb"
    assert site.core.asked == [c.Acknowledge(actor="person:ana", incident=1042, over=False)]


def test_the_room_follows_what_happens_elsewhere(window: Page, site: Site) -> None:
    window.goto(site.url + "/incidents/1044")
    live(window)
    expect(window.get_by_role("button", name="Acknowledge", exact=True)).to_be_visible()
    site.core._do(c.Acknowledge(actor="person:mei", incident=1044))
    change(site, 1044)
    expect(window.locator("#chips")).to_contain_text("Acknowledged")
    expect(window.get_by_role("button", name="Acknowledge", exact=True)).to_be_hidden()
    expect(window.get_by_role("button", name="Take it over")).to_be_visible()


def test_a_refused_press_shows_why(window: Page, site: Site) -> None:
    window.goto(site.url + "/")
    one = site.night.incident(1044)
    one.state, one.resolved_at = "resolved", NOW + SECOND
    site.night.put(one)
    window.get_by_role("button", name="Acknowledge #1044").click()
    expect(window.locator("h1")).to_have_text("It is not so any more.")
    expect(window.locator("main")).to_contain_text("Incident #1044 is resolved already.")


def test_a_page_that_refuses_a_form_is_kept_true_and_stays_when_the_theme_changes(window: Page, site: Site) -> None:
    window.goto(f"{site.url}/incidents/1042?moves=open")
    site.core.answer = c.Result(ok=False, code="conflict", message="It is put off for longer already")
    window.get_by_role("button", name="Put it off").click()
    expect(window.locator("#moves .bad")).to_be_visible()
    live(window)
    one = site.night.incident(1042)
    one.alerts = 77
    site.night.put(one)
    change(site, 1042)
    expect(window.locator("#sub")).to_contain_text("77 alerts")
    window.get_by_role("button", name="Dark").click()
    expect(window.locator("html")).to_have_attribute("data-theme", "dark")
    assert window.url == f"{site.url}/incidents/1042?moves=open"
    expect(window.locator("#sub")).to_be_visible()


# -- by keyboard -------------------------------------------------------------------------------------------------------


def test_a_night_by_keyboard_alone(window: Page, site: Site) -> None:
    window.goto(site.url + "/")
    live(window)
    window.keyboard.press("j")
    window.keyboard.press("j")
    expect(window.locator("#i1044")).to_have_class("row is-at")
    window.keyboard.press("k")
    window.keyboard.press("a")
    expect(window.locator("#i1042")).to_contain_text("You have it since")
    window.keyboard.press("Enter")
    window.wait_for_url("**/incidents/1042")
    window.keyboard.press("n")
    expect(window.get_by_label("Write a note to the timeline")).to_be_focused()
    window.keyboard.type("just a ga? ")
    expect(window.get_by_label("Write a note to the timeline")).to_have_value("just a ga? ")
    window.keyboard.press("Enter")
    expect(window.locator(".said").first).to_have_text("just a ga?")
    window.keyboard.press("Escape")
    window.keyboard.press("Escape")
    window.wait_for_url(site.url + "/")
    for key, path in (
        ("a", "/alerts"),
        ("o", "/oncall"),
        ("s", "/silences"),
        ("v", "/services"),
        ("k", "/keys"),
        ("p", "/parked"),
        ("l", "/plan"),
        ("i", "/"),
    ):
        window.keyboard.press("g")
        window.keyboard.press(key)
        window.wait_for_url(site.url + path)
    window.keyboard.press("/")
    expect(window.get_by_label("Number, title or label")).to_be_focused()
    window.keyboard.press("Escape")
    window.keyboard.press("?")
    expect(window.get_by_role("dialog")).to_be_visible()
    window.keyboard.press("Escape")
    expect(window.get_by_role("dialog")).to_be_hidden()


def test_a_in_the_list_acknowledges_nothing_that_was_not_chosen(window: Page, site: Site) -> None:
    """Nobody wants to hold an incident they have not looked at."""
    window.goto(site.url + "/")
    live(window)
    window.keyboard.press("a")
    window.keyboard.press("j")
    expect(window.locator(".is-at")).to_have_count(1)
    assert site.core.asked == []


def test_single_keys_can_be_turned_off(window: Page, site: Site) -> None:
    window.goto(site.url + "/settings")
    window.get_by_label("Single keys").uncheck()
    window.get_by_role("button", name="Keep these").click()
    window.goto(site.url + "/")
    live(window)
    window.keyboard.press("j")
    window.keyboard.press("a")
    expect(window.locator(".is-at")).to_have_count(0)
    assert site.core.asked == []


def test_the_skip_link_and_focus_are_never_hidden(browser: Browser, site: Site) -> None:
    """Every stop of the tab key is on the screen and not under the bar at the bottom of a phone."""
    made = context(browser, site, viewport={"width": 390, "height": 700})
    page = made.new_page()
    page.goto(site.url + "/")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to content")).to_be_in_viewport()
    covered = []
    for _ in range(40):
        page.keyboard.press("Tab")
        hidden = page.evaluate(
            """() => { const one = document.activeElement, bar = document.querySelector('.nav');
            const box = one.getBoundingClientRect(), top = bar.getBoundingClientRect().top;
            if (one === document.body || bar.contains(one) || !box.height) return "";
            return box.bottom > top + 1 && box.top < innerHeight ? one.outerHTML.slice(0, 80) : ""; }"""
        )
        if hidden:
            covered.append(hidden)
    made.close()
    assert covered == []
