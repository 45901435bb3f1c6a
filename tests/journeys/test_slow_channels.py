"""One provider that misbehaves for three people, beside good ones, while thirty incidents page all of them at once."""

from __future__ import annotations

import base64
import time
from collections.abc import Callable

import pytest

from tests.journeys.calling import a_plan_for
from tests.journeys.telling import incidents
from tests.support.catcher import Catcher, Reply, running_catcher
from tests.support.certificates import Certificate
from tests.support.mail import MailServer
from tests.support.server import TocsinServer
from tests.support.waiting import eventually
from tocsin.runtime.lanes import EACH

pytestmark = pytest.mark.journey

MANY = 30
SOON = 10.0
"""Seconds: far less than the fourteen that one attempt at a silent provider may take."""
MISBEHAVIOURS = {
    "accepts and never answers": Reply(delay=600),
    "answers 500": Reply(500),
    "resets": Reply(reset=True),
    "asks for patience": Reply(429, headers={"Retry-After": "600"}),
    "wrong certificate": Reply(),
}


@pytest.mark.parametrize("how", MISBEHAVIOURS)
def test_a_provider_that_misbehaves_delays_no_other_channel_and_no_other_person(
    how: str,
    tocsin_server: Callable[..., TocsinServer],
    catcher: Catcher,
    mail_server: MailServer,
    certificate: Certificate,
) -> None:
    """Ana's, Ida's and Leo's webhooks are the bad ones; Ben's is a good one of the same channel; Kei has mail."""
    with running_catcher(certificate if how == "wrong certificate" else None) as bad:
        bad.default = MISBEHAVIOURS[how]
        plan = a_plan_for({}, webhook={"url": f"{bad.url}/ana", "secret": "secret:hook"})
        del plan["channels"]
        plan["people"] |= {
            name: {"name": name.title(), "webhook": {"url": f"{bad.url}/{name}", "secret": "secret:hook"}}
            for name in ("ida", "leo")
        }
        plan["people"] |= {
            "ben": {"name": "Ben", "webhook": {"url": f"{catcher.url}/ben", "secret": "secret:hook"}},
            "kei": {"name": "Kei", "email": "kei@shop.example"},
        }
        plan["escalations"] = {"all": [{"page": ["ana", "ida", "leo", "ben", "kei"], "wait": "1h"}]}
        plan["mail"] = {"server": f"smtp://{mail_server.host}:{mail_server.port}", "from": "tocsin@shop.example"}
        hook = "whsec_" + base64.b64encode(b"twenty-four bytes of key").decode()
        server = tocsin_server(plan=plan, environment={"TOCSIN_SECRET_HOOK": hook})
        for person in ("ana", "ida", "leo", "ben", "kei"):
            alone = {"person": person, "bundle_within": "0s"}
            assert server.call("PUT", "/api/v1/reach", alone)[0] == 200
        key = server.new_key("events", "checkout")["key"]
        events = [
            {"key": f"e{n}", "title": f"Trouble {n}", "labels": {"alertname": f"T{n}"}, "severity": "critical"}
            for n in range(MANY)
        ]
        began = time.monotonic()
        assert server.call("POST", f"/api/events/{key}", {"events": events})[0] == 202
        catcher.wait_for(MANY, within=SOON)
        eventually(lambda: len(mail_server.messages) >= MANY, within=SOON, what="the mails")
        assert time.monotonic() - began < SOON
        assert len(catcher.requests) == len(mail_server.messages) == MANY
        assert len(incidents(server, limit="100")) == MANY
        status, rows = server.call("GET", "/api/v1/incidents/1/pages")
        assert status == 200
        ana = next(row for row in rows["items"] if row["person"] == "ana")
        assert ana["state"] != "sent"
        if how == "asks for patience":
            assert 3 <= len(bad.requests) <= 3 * EACH, "it is left alone until its time, but for what was under way"
            found = [server.call("GET", f"/api/v1/incidents/{n + 1}/pages")[1]["items"] for n in range(MANY)]
            untried = [row for rows in found for row in rows if "not tried" in row["error"]]
            assert len(untried) == 3 * MANY - len(bad.requests)
        if how == "wrong certificate":
            assert (ana["state"], bad.requests) == ("failed", [])
            assert "certificate" in ana["error"]
        bad.closing.set()
