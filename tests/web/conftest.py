"""The night, served: with a client that is signed in as Ana, an admin, and one that has no script engine at all."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from tests.web.serving import Site, serving


class Browserless:
    """A browser without a script engine: keeps cookies, follows links and sends the forms a page holds."""

    def __init__(self, site: Site, user: int = 1) -> None:
        self.site = site
        cookies = site.session(user) if user else {}
        self.http = httpx2.Client(
            timeout=30,  # what is slow here is the machine: others test beside it
            base_url=site.url, cookies=cookies, follow_redirects=True, headers={"accept": "text/html"}
        )
        self.page = ""

    def get(self, path: str) -> httpx2.Response:
        """Open a page."""
        answer = self.http.get(path)
        self.page = answer.text
        return answer

    def send(self, action: str, **fields: str) -> httpx2.Response:
        """Send the form of the page with this action, with the hidden fields it carries."""
        form = re.search(rf'<form[^>]*action="{re.escape(action)}"[^>]*>(.*?)</form>', self.page, re.DOTALL)
        assert form is not None, f"the page has no form for {action}"
        hidden = dict(re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)">', form[1]))
        answer = self.http.post(action, data={**hidden, **fields})
        self.page = answer.text
        return answer


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """The night behind a real HTTP server."""
    with serving(tmp_path) as served:
        yield served


@pytest.fixture
def ana(site: Site) -> Browserless:
    """Ana, an admin, without scripts."""
    return Browserless(site)
