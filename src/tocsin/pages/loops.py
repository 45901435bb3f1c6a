"""Synthetic pages: Tocsin pages itself through a channel, and the page must come back.

A page that comes back is recognised by its mark, which travels as the message's idempotency key: a mail carries it in
its Message-ID, a webhook in ``webhook-id``, Matrix in the transaction id, PagerDuty in the ``dedup_key``. Slack, and
what Apprise hands on to, carry it in their words. It holds the page's number and a signature, so that nobody else can
say that a page came back. Of a text message or a call the provider's own signed word that it arrived is the receipt.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Iterator

from msgspec import Struct

from tocsin.kernel.instant import Duration, Instant

FIRST = "tocsin-loop-"
MOST_MARKS = 20
"""So many marks of one message are looked at."""
_MARK = re.compile(rb"tocsin-loop-(\d{1,18})-([A-Za-z0-9_-]{22})(?![A-Za-z0-9_-])")
_SIGNS = b"tocsin synthetic page v1\0"


class LoopSpec(Struct, frozen=True, kw_only=True):
    """What the plan says of one channel's synthetic page: how often it leaves, how soon it must be back, and the
    service whose people are told when it is not.
    """

    channel: str
    address: str
    every: Duration
    within: Duration
    service: str


class Loop(Struct, kw_only=True, omit_defaults=True):
    """One channel's synthetic page. ``page`` is the newest one's number in the ledger.

    ``due_at``: until when that one must be back, None when it is not awaited any more. ``deaf``: Tocsin could not hear
    for a part of that time. ``came_at`` and ``took``: the last one that came back, and how long it took. ``alert``: the
    alert that says that one did not, 0 when the last one did. ``failure``: why, as a sentence.
    """

    channel: str
    address: str = ""
    page: int = 0
    sent_at: Instant | None = None
    next_at: Instant | None = None
    due_at: Instant | None = None
    deaf: bool = False
    came_at: Instant | None = None
    took: Duration | None = None
    alert: int = 0
    failure: str = ""

    def due(self) -> Instant | None:
        """When something about it happens by itself."""
        return min((at for at in (self.next_at, self.due_at) if at is not None), default=None)

    @property
    def state(self) -> str:
        """In a word: ``missing``, ``back``, ``awaited`` or ``new``."""
        if self.alert:
            return "missing"
        return "back" if self.came_at is not None else "awaited" if self.page else "new"


def mark(key: bytes, page: int) -> str:
    """The mark of a synthetic page, under the installation's signing key."""
    return f"{FIRST}{page}-{_signature(key, page)}"


def marks(key: bytes, text: bytes) -> Iterator[int]:
    """The pages whose marks stand in a text, forged ones left out."""
    for place, found in enumerate(_MARK.finditer(text)):
        if place >= MOST_MARKS:
            return
        page = int(found[1])
        if str(page).encode() == found[1] and hmac.compare_digest(_signature(key, page).encode(), found[2]):
            yield page


def _signature(key: bytes, page: int) -> str:
    digest = hmac.new(key, _SIGNS + str(page).encode(), hashlib.sha256).digest()[:16]
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
