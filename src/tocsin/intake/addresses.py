"""The address a sender is given: what one pastes into it."""

from __future__ import annotations


def sender_url(base: str, source: str, key: str) -> str:
    """Where a source's senders post to.

    ``base`` has no slash at its end. PagerDuty's clients carry the key in the body.
    """
    match source:
        case "alertmanager":
            return f"{base}/am/{key}"
        case "pagerduty":
            return f"{base}/v2/enqueue"
        case "heartbeat":
            return f"{base}/ping/{key}"
        case _:
            return f"{base}/api/events/{key}"
