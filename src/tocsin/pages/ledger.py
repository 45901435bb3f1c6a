"""The page ledger: one row for each attempt to reach one person by one method, written before it is attempted."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from tocsin.kernel.instant import HOUR, SECOND, Duration, Instant
from tocsin.kernel.reason import Reason

PageState = Literal["intended", "sent", "failed", "overtaken"]
PageKind = Literal["page", "notice", "copy"]

RETRY_FIRST: Duration = 5 * SECOND
RETRY_LONGEST: Duration = 300 * SECOND
GIVE_UP_AFTER: Duration = HOUR


class Page(Struct, kw_only=True, omit_defaults=True):
    """One page. ``kind`` notice is a message that nobody has to answer (a silence ends soon); ``copy`` is what a shadow
    gets of a page, and counts as nobody reached.

    ``next_at`` is when it is (re)tried while intended; ``attempts`` counts answers of the channel that were heard.
    ``handed_at``: when it was last handed to its channel, None while it waits for a retry.
    ``unsure``: Tocsin stopped between intent and outcome, so the person may have it already.
    ``answered_at``: when its own link was used to acknowledge.
    """

    id: int
    incident: int
    person: str
    channel: str
    address: str
    kind: PageKind = "page"
    title: str = ""
    reason: Reason
    step: int = 0
    method: int = 0
    """Which of the person's contact methods this is: 0 the first."""
    state: PageState = "intended"
    outcome: Reason | None = None
    intended_at: Instant
    next_at: Instant | None
    handed_at: Instant | None = None
    attempts: int = 0
    finished_at: Instant | None = None
    provider_id: str = ""
    error: str = ""
    unsure: bool = False
    answered_at: Instant | None = None
    silence: str = ""


def retry_after(attempts: int) -> Duration:
    """How long to wait after the n-th failure of a channel that may recover: 5 s, 10 s, 20 s … at most 5 min."""
    return min(RETRY_FIRST << max(0, min(attempts - 1, 10)), RETRY_LONGEST)
