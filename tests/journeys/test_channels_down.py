"""A channel that is down keeps nobody from being paged."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.journeys.telling import a_plan, incident, opened
from tests.support.mail import MailServer
from tests.support.server import TocsinServer
from tests.support.waiting import eventually

pytestmark = pytest.mark.journey


def _states(server: TocsinServer, number: int) -> dict[str, str]:
    return {page["person"]: page["state"] for page in incident(server, number)["pages"]}


def test_while_the_mail_server_refuses_the_next_step_is_paged_at_once(
    tocsin_server: Callable[..., TocsinServer], mail_server: MailServer
) -> None:
    """Ana's mail is tried again and leaves when it can; Carol is told meanwhile, not after Ana's three minutes."""
    plan: dict[str, Any] = a_plan(mail_server, {"db": {}})
    plan["people"]["carol"] = {"name": "Carol"}
    plan["escalations"]["shop"] = [{"page": "ana", "wait": "3m"}, {"page": "carol", "wait": "3m"}]
    mail_server.refuse("451 4.3.0 try later")
    server = tocsin_server(plan=plan)
    server.run("send", "--service", "db", "--title", "the disk is full")
    number = opened(server)["number"]
    eventually(lambda: _states(server, number) == {"ana": "intended", "carol": "sent"}, what="Carol to be paged")
    assert "Nobody was paged" not in server.run("why", str(number)).stdout
    mail_server.behave()
    assert mail_server.wait_for(1, within=30)[0].recipients == ("ana@shop.example",)
    eventually(lambda: _states(server, number) == {"ana": "sent", "carol": "sent"}, what="Ana's page to leave")
