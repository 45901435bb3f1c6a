"""Proof on the page: for every page why, by which of the provider's ids, how far it got, and what followed."""

from __future__ import annotations

import re
from html import unescape

from tests.web.conftest import Browserless
from tests.web.night import NOW, Night
from tests.web.serving import Site
from tocsin.kernel.instant import MINUTE, SECOND
from tocsin.kernel.reason import Reason
from tocsin.pages.ledger import Page


def words(html: str) -> str:
    """What a reader reads."""
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", html)).replace("\xa0", " ").split())


def ledger(night: Night) -> None:
    """Ben's telephone was busy, so he was sent a text message; Mei stands in, and sees it."""
    opened = NOW - 12 * MINUTE
    night.put(
        Page(
            id=30, incident=1042, person="ben", channel="call", address="+46700000001", title="About 1 in 6",
            reason=Reason.STEP_DUE, step=1, state="failed", outcome=Reason.LINE_BUSY, error="Twilio says busy",
            intended_at=opened, next_at=None, attempts=1, handed_at=opened, finished_at=opened + 9 * SECOND,
            provider_id="CA0123",
        ),
        Page(
            id=31, incident=1042, person="ben", channel="sms", address="+46700000001", title="About 1 in 6",
            reason=Reason.STEP_DUE, step=1, state="sent", outcome=Reason.SENT, instead_of=30,
            intended_at=opened + 9 * SECOND, next_at=None, attempts=1, handed_at=opened + 9 * SECOND,
            finished_at=opened + 10 * SECOND, delivered_at=opened + 12 * SECOND, provider_id="SM0456",
        ),
        Page(
            id=32, incident=1042, person="mei", channel="push", address="https://push.example/m", title="About 1 in 6",
            reason=Reason.STANDS_IN, step=1, state="sent", outcome=Reason.SENT, because="",
            intended_at=opened + MINUTE, next_at=None, attempts=1, handed_at=opened + MINUTE,
            finished_at=opened + MINUTE + SECOND, delivered_at=opened + MINUTE + 2 * SECOND,
            seen_at=opened + MINUTE + 40 * SECOND,
        ),
    )  # fmt: skip


def test_every_page_of_an_incident_says_why_and_what_followed(site: Site, ana: Browserless) -> None:
    ledger(site.night)
    ana.get("/incidents/1042")
    told = words(ana.page[ana.page.index('id="pg"') : ana.page.index('id="st-h"')])
    assert "Busy Because this step" in told
    assert "Because this step of the escalation was due. Then Ben was paged by text message at" in told
    assert "in its stead. The provider calls it CA0123 ." in told
    assert "arrived after 3 s" in told
    assert "The provider calls it SM0456 ." in told
    assert "arrived after 2 s, seen after 40 s" in told
    assert "Because a step of the escalation reached nobody, so the team's lead and the last resort are paged" in told
    assert "No page has followed" in told


def test_you_reads_what_each_message_was_about_and_why(site: Site, ana: Browserless) -> None:
    ledger(site.night)
    ana.get("/you?person=ben")
    told = words(ana.page[ana.page.index('id="last"') :])
    assert "Page by telephone, #1042 : About 1 in 6" in told
    assert "Because this step of the escalation was due. Then Ben was paged by text message at" in told
    assert "the telephone was busy" in told
    assert "; arrived after 3 s." in told
    assert "Then Mei was paged by push at" in told, "what followed to somebody else is known, too"
    assert "The provider calls it SM0456 ." in told
