"""The HTML mail as a person sees it in Chromium, on a phone and wide, light and dark."""

from __future__ import annotations

from typing import Literal

import pytest
from playwright.sync_api import Browser

from tests.channels.words import page as a_page
from tests.support.browser import axe
from tocsin.pages import rendering

pytestmark = pytest.mark.browser


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [320, 390, 800])
@pytest.mark.parametrize(
    "words",
    [
        {},
        {"kind": "notice", "acknowledge_url": "", "next_step": "", "lines": ()},
        {"severity": "sev2", "state": "acknowledged", "possible_duplicate": True, "title": "مخزن " + "x" * 250},
        {"severity": "sev3", "state": "resolved"},
        {"severity": "critical", "because": "y" * 300, "service": "z" * 100},
    ],
)
def test_the_mail_fits_is_readable_and_its_button_is_large(
    browser: Browser, width: int, scheme: Literal["light", "dark"], words: dict[str, object]
) -> None:
    context = browser.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme)
    page = context.new_page()
    page.set_content(rendering.html(a_page(**words)))
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    button = page.get_by_role("link").bounding_box()
    assert button
    assert button["height"] >= 72
    assert button["width"] >= min(width - 32, 560)
    assert axe(page, landmarks=False) == []
    context.close()
