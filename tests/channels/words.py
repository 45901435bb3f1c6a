"""A page as channels are handed it, for tests to vary."""

from __future__ import annotations

import time
from typing import Any

from tocsin.kernel.instant import MINUTE
from tocsin.pages.message import Message


def page(**other: Any) -> Message:
    """A page to Ana; name what should differ."""
    now = time.time_ns() // 1000
    return Message(
        **{
            "page": 34,
            "idempotency_key": "page-34",
            "kind": "page",
            "person": "ana",
            "person_name": "Ana",
            "address": "ana@shop.example",
            "timezone": "Europe/Madrid",
            "incident": 12,
            "title": "Checkout answers 503",
            "service": "checkout",
            "severity": "sev1",
            "since": now - 6 * MINUTE,
            "now": now,
            "state": "triggered",
            "alerts": 3,
            "firing": 3,
            "because": "this step of the escalation was due",
            "next_step": "Ben is paged in 5 min if nobody answers",
            "lines": ("GET http://checkout/health answered 503 after 0.2 s", "The process payments hangs"),
            "url": "https://tocsin.example/incidents/12",
            "acknowledge_url": "https://tocsin.example/page/abc123",
            **other,
        }
    )
