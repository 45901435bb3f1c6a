"""What the stories of channels that are called back share: a monitor, a person, and the provider's side of the door."""

from __future__ import annotations

import urllib.error
import urllib.request
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from tests.support.server import TocsinServer


def a_plan_for(channels: Mapping[str, Any], **ana: Any) -> dict[str, Any]:
    """Ana is on call, by what is said of her."""
    return {
        "tocsin": 1,
        "people": {"ana": {"name": "Ana", **ana}},
        "escalations": {"all": [{"page": "ana", "wait": "1h"}]},
        "services": {"checkout": {"escalation": "all", "acknowledge for": "1h"}, "inbox": {"escalation": "all"}},
        "channels": dict(channels),
    }


def says(server: TocsinServer, **event: Any) -> None:
    """A monitor speaks."""
    key = server.new_key("events", "checkout")["key"]
    told = {"key": "e1", "title": "Checkout <b>answers</b> 503 & hangs", "severity": "critical", **event}
    status, said = server.call("POST", f"/api/events/{key}", told)
    assert status == 202, said


def posted(url: str, fields: Mapping[str, str] | bytes, headers: Mapping[str, str]) -> tuple[int, str]:
    """A form posted as a provider does: status and body."""
    data = fields if isinstance(fields, bytes) else urlencode(fields).encode()
    sent = {"Content-Type": "application/x-www-form-urlencoded", **headers}
    request = urllib.request.Request(url, data=data, method="POST", headers=sent)
    try:
        with urllib.request.urlopen(request, timeout=15) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()
