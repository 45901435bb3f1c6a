"""What PagerDuty tells of what people did there: its webhooks (Generic V3), signed over their body.

Only what a person did counts: what our own events do to its incident is told too, and is nobody's answer.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from typing import Final

import msgspec

from tocsin.kernel.instant import parse_rfc3339
from tocsin.pages.answers import Answer

ANSWERS: Final = frozenset({"incident.acknowledged", "incident.resolved"})
"""Both say that somebody has it; whether it is over is for the monitors to say."""
_VERSION: Final = "v1="
_DIGITS: Final = 18


class _Agent(msgspec.Struct):
    type: str = ""


class _Data(msgspec.Struct):
    incident_key: str | None = None


class _Event(msgspec.Struct):
    id: str
    event_type: str
    occurred_at: str = ""
    agent: _Agent | None = None
    data: _Data = msgspec.field(default_factory=_Data)


class _Told(msgspec.Struct):
    event: _Event


def signed(secret: str, headers: Mapping[str, str], body: bytes) -> bool:
    """Whether one of the signatures is by the webhook's secret: while that is changed there are two."""
    right = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    told = [one.strip() for one in headers.get("x-pagerduty-signature", "").split(",")]
    return any(hmac.compare_digest((_VERSION + right).encode(), one.encode()) for one in told)


def answer_in(body: bytes, ours: str) -> Answer | None:
    """The answer a webhook tells of; None where nobody answered what is ours.

    Its ``incident_key`` is the ``dedup_key`` of our events, which begins with ``ours`` before the incident's number;
    its id is what makes one told twice known. Raises ValueError, or msgspec's error, for what is no webhook of theirs.
    """
    event = msgspec.json.decode(body, type=_Told).event
    person = event.agent is not None and event.agent.type.startswith("user")
    key = event.data.incident_key or ""
    number = key.removeprefix(ours)
    of_ours = key.startswith(ours) and number.isascii() and number.isdigit() and len(number) <= _DIGITS
    if event.event_type not in ANSWERS or not person or not of_ours:
        return None
    happened = parse_rfc3339(event.occurred_at)
    return Answer(page=0, by="", mark=event.id, incident=int(number), happened=happened)
