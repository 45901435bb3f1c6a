"""What a node answers while another one writes."""

from __future__ import annotations

import pytest

from tests.runtime.test_answers import Exchange
from tocsin.intake.sources import SOURCES
from tocsin.runtime.standby import Standby


@pytest.mark.parametrize("path", ["/callbacks/email", "/callbacks/twilio/status/1", "/loopback"])
def test_what_only_the_writing_node_can_hear_is_told_to_come_back(path: str) -> None:
    exchange = Exchange(path)
    assert Standby(SOURCES, lambda: 0, paging=True, public_url="https://tocsin.example").take(exchange)  # type: ignore[arg-type]  # all it asks of an exchange
    assert exchange.reply is not None
    assert (exchange.reply.status, exchange.reply.headers) == (503, (("retry-after", "2"),))


def test_pages_and_lists_are_left_to_those_who_show_them() -> None:
    exchange = Exchange("/incidents", method="GET")
    assert not Standby(SOURCES, lambda: 0, paging=True, public_url="https://tocsin.example").take(exchange)  # type: ignore[arg-type]  # as above
    assert exchange.reply is None
