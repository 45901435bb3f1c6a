"""Proof of pages on the web, by plain links."""

from __future__ import annotations

from tests.web.conftest import Browserless


def test_the_ledger_of_an_incident_is_a_link_away(ana: Browserless) -> None:
    ana.get("/incidents/1042")
    assert 'href="/incidents/1042/ledger.csv"' in ana.page
    answer = ana.get("/incidents/1042/ledger.csv")
    assert answer.headers["content-type"].startswith("text/csv")
    head, *rows = answer.text.splitlines()
    assert head.startswith("page,incident,") and len(rows) == 3
    assert ana.get("/incidents/9/ledger.csv").status_code == 404


def test_the_plans_page_says_how_the_synthetic_pages_go(ana: Browserless) -> None:
    page = ana.get("/plan").text
    assert "The synthetic page by email did not come back within 5 min." in page
    assert "SEV1 checkout: Checkout answers 503</span>" in page, "the plan's own words, of an invented incident"
    assert "Tried: Restarted checkout-2: it hangs again" in page
    assert "The last one took less than a second and was back" in page
