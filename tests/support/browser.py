"""A real Chromium through Playwright, and axe's opinion of a page."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, sync_playwright

from tests.support import needs

_ARGUMENTS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@contextmanager
def running_browser() -> Iterator[Browser]:
    """Chromium for as long as the block lasts. While it does, no coroutine test can run in the same thread."""
    program = needs.program("chromium", "chromium-browser", "google-chrome")
    # Playwright would look for a browser build of its own, and need not.
    os.environ.setdefault("PLAYWRIGHT_SKIP_BROWSER_DOWNLOAD", "1")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=_ARGUMENTS)
        try:
            yield browser
        finally:
            browser.close()


def axe(page: Page, *, landmarks: bool = True) -> list[str]:
    """What axe finds on the page as it stands, but for what is minor; an empty list is a clean page.

    Without ``landmarks`` it is no page of its own, such as a mail, which is shown within one.

    Each line: impact, rule, help, and the CSS paths of the elements concerned.
    """
    response: dict[str, Any] = Axe().run(page).response
    return [
        f"{violation['impact']} {violation['id']}: {violation['help']}: "
        + ", ".join(str(target) for node in violation["nodes"] for target in node["target"])
        for violation in response["violations"]
        if violation["impact"] != "minor" and (landmarks or violation["id"] not in ("region", "landmark-one-main"))
    ]
