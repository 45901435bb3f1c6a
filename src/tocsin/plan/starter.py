"""The plan a new installation begins with."""

from __future__ import annotations

from typing import Final

_STARTER: Final = """\
# Tocsin's plan: who is paged, for what, and when. Change it, then run: tocsin plan check
tocsin: 1
team: everyone
timezone: UTC                      # yours, such as Europe/Madrid

people:
  admin:
    name: Admin
    # email: you@shop.example      # first real step: your address, and `mail` below

# mail: {server: smtp://localhost:25, from: tocsin@shop.example}

escalations:
  default:
    - {page: admin, wait: 5m, repeat: 3}
    - {page: team everyone, wait: 10m}

services:
  inbox:                           # events that no route takes land here, never nowhere
    about: What no other service takes.
    escalation: default
  # checkout:                      # next: a service of your own, and how Tocsin watches it
  #   escalation: default
  #   probes:
  #     - {http: https://shop.example/health, every: 30s}
  #   heartbeats:
  #     nightly-backup: {cron: "0 3 * * *", grace: 20m}

# routes:                          # and which of your monitors' alerts belong to it
#   - match: ['job="checkout"']
#     service: checkout
#     severity: {critical: sev1, warning: sev3}
"""


def starter_plan() -> dict[str, bytes]:
    """The files of the plan that is written when there is none: an inbox, one person, paged on the console."""
    return {"tocsin.yaml": _STARTER.encode()}
