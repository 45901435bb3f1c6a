"""What one pastes into a sender: its address with the key in it, and the lines around."""

from __future__ import annotations

from typing import NamedTuple
from urllib.parse import urlsplit

from tocsin.intake.addresses import sender_url


class Sender(NamedTuple):
    """One way monitors speak to Tocsin. ``source`` is the key's kind."""

    source: str
    name: str
    about: str


SENDERS = (
    Sender("alertmanager", "Prometheus", "Prometheus sends to Tocsin as if it were an Alertmanager; amtool works too."),
    Sender(
        "pagerduty",
        "PagerDuty events",
        "Anything that can send PagerDuty Events v2: only the address and the key change.",
    ),
    Sender("events", "Plain HTTP", "One POST with curl, a script or a webhook."),
    Sender("heartbeat", "Heartbeat", "A job calls an address when it is well; silence becomes an alert."),
)
NAMES = {sender.source: sender.name for sender in SENDERS} | {"trigger": "Trigger of a playbook"}


def snippet(source: str, public_url: str, key: str) -> str:
    """Lines to paste into the sender, or to run in a shell."""
    url = sender_url(public_url.rstrip("/"), source, key)
    parts = urlsplit(url)
    match source:
        case "alertmanager":
            return (
                "alerting:\n  alertmanagers:\n"
                f"    - scheme: {parts.scheme}\n      path_prefix: {parts.path}\n"
                f"      static_configs:\n        - targets: ['{parts.netloc}']\n"
            )
        case "pagerduty":
            return (
                f"address:      {url}\nrouting key:  {key}\n\n# to try it\n"
                f"curl -fsS -H 'Content-Type: application/json' {url} -d '"
                f'{{"routing_key": "{key}", "event_action": "trigger", "dedup_key": "try",\n'
                '  "payload": {"summary": "A test", "source": "curl", "severity": "info"}}\'\n'
            )
        case "heartbeat":
            return (
                "# crontab: a sign of life after each success\n"
                f"0 3 * * *  /usr/local/bin/backup && curl -fsS -m 10 --retry 5 -o /dev/null {url}\n"
            )
        case _:
            return (
                f"curl -fsS -H 'Content-Type: application/json' {url} \\\n  -d '"
                '{"title": "Backup failed", "key": "backup/db1", "severity": "critical"}\'\n'
            )


WHERE = {
    "alertmanager": "Into prometheus.yml, beside or instead of what stands under alerting: now. Then reload it.",
    "pagerduty": "Wherever the tool asks for a routing (integration) key and the address of the events API.",
    "heartbeat": "At the end of the job, or in its crontab line.",
    "events": "Into a script, or anything that can send a POST.",
}
"""Where the lines go."""
