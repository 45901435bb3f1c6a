"""How the tests of the sources hand a request to one, and the recorded traffic of real senders."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

from msgspec import Raw

from tocsin.intake.event import Event
from tocsin.intake.request import Heard, Limits, Request
from tocsin.intake.sources import SOURCES
from tocsin.kernel.instant import Instant, parse_rfc3339

NOW: Instant = parse_rfc3339("2026-11-22T03:24:00Z")
LIMITS = Limits()
RECORDED = Path(__file__).parent / "recorded"


class Remembered(NamedTuple):
    """What is remembered of an alert, as the sources ask for it."""

    id: int
    ttl: int | None
    ends_at: int | None
    annotations_json: Raw
    link: str
    starts_at: int
    timeout: bool
    firing: bool = True


def recorded(name: str) -> list[dict[str, Any]]:
    """What a real, unmodified client sent, and what it was answered."""
    records: list[dict[str, Any]] = json.loads((RECORDED / f"{name}.json").read_text())
    assert records
    return records


def hear(
    source: str,
    body: object = b"",
    *,
    path: str,
    method: str = "POST",
    now: Instant = NOW,
    known: dict[bytes, Remembered] | None = None,
    limits: Limits = LIMITS,
    content_type: str = "application/json",
) -> Heard:
    """Decode one request; what is not bytes or text is sent as JSON."""
    raw = body if isinstance(body, bytes) else body.encode() if isinstance(body, str) else json.dumps(body).encode()
    headers = {"content-type": content_type} if content_type else {}
    request = Request(source=source, method=method, path=path, headers=headers, body=raw)
    return SOURCES[source].decode(request, now, limits, known or {})


def remembered(*events: Event, now: Instant = NOW) -> dict[bytes, Remembered]:
    """What Tocsin knows after these events came in at ``now``."""
    return {
        event.label_text: Remembered(
            number,
            None if event.ends_at is None else event.ends_at - now,
            event.ends_at,
            event.annotations_json,
            event.link,
            event.starts_at,
            event.timeout,
        )
        for number, event in enumerate(events)
        if event.state == "firing"
    }


def answer(heard: Heard) -> Any:
    """The decoded JSON of a reply."""
    return json.loads(heard.reply.body)
