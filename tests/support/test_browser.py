"""Chromium shows a page, and axe tells a good one from a bad one."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page

from tests.support.browser import axe
from tests.support.catcher import Catcher, Reply

pytestmark = pytest.mark.browser

GOOD = "<!doctype html><html lang=en><title>Fine</title><main><h1>Fine</h1><label>Name <input></label></main></html>"
BAD = "<!doctype html><html><title>Bad</title><main><h1>Bad</h1><input><img src='x.png'></main></html>"


def test_the_browser_shows_a_page_and_axe_finds_nothing(page: Page, catcher: Catcher) -> None:
    catcher.default = Reply(body=GOOD, headers={"Content-Type": "text/html"})
    page.goto(catcher.url)
    assert page.inner_text("h1") == "Fine"
    assert axe(page) == []


def test_axe_names_what_is_wrong_with_a_page(page: Page, catcher: Catcher) -> None:
    catcher.default = Reply(body=BAD, headers={"Content-Type": "text/html"})
    page.goto(catcher.url)
    found = "\n".join(axe(page))
    assert "html-has-lang" in found
    assert "image-alt" in found
