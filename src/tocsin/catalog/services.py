"""Services: what alerts are about and whose escalation is used."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from msgspec import Struct

from tocsin.kernel.instant import HOUR, MINUTE, Duration

Urgency = Literal["high", "low"]

INBOX = "inbox"
"""The service that always exists: events that match nothing land here, never nowhere."""


class Service(Struct, frozen=True, kw_only=True):
    """One service. ``acknowledge_for``: how long an acknowledgement holds before paging goes on.

    ``reopen_within``: trouble of the same group that returns this soon after its incident was resolved reopens it.
    ``wait_for_code``: how long its pages wait for playbooks in all, over all targets of an incident; None: as long as
    the engine says.
    ``urgency``: by severity; what is not named is high. ``escalations``: by severity, where it is not ``escalation``.
    ``hours``: named ones outside of which its incidents of low urgency wait.
    ``customer_tier``: of its customers, where no alert says which; ``tier_escalations``: by that, before severities.
    """

    key: str
    about: str = ""
    tier: int = 3
    team: str = ""
    needs: tuple[str, ...] = ()
    escalation: str = ""
    acknowledge_for: Duration = HOUR
    reopen_within: Duration = 30 * MINUTE
    wait_for_code: Duration | None = None
    urgency: Mapping[str, Urgency] = {}
    escalations: Mapping[str, str] = {}
    hours: str = ""
    customer_tier: str = ""
    tier_escalations: Mapping[str, str] = {}
