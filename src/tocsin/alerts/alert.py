"""An Alert: one deduplicated condition, firing or resolved."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from tocsin.kernel.instant import Instant
from tocsin.kernel.reason import Reason

AlertState = Literal["firing", "resolved"]


class Alert(Struct, kw_only=True, gc=False, omit_defaults=True):
    """One condition of one service.

    ``id`` counts up and is never given again. ``identity`` is 16 bytes over source, key's service and the source's key
    or the full label set; one alert per identity is kept while it matters, the next firing after that is a new alert.
    ``service`` is where it was routed; ``origin`` the service of the key it came with.
    ``ends_at``: firing: when it expires unless repeated (None: never by time); resolved: when it ended.
    ``deaf_until``: up to when the times in which nothing could be heard are counted into ``ends_at``.
    ``timeout``: the sender named no end; it expires unless repeated.
    ``ttl``: how far ahead of its arrival the sender set ``ends_at``, so that an unchanged repetition moves it as far
    again (None: each end counts as it was said).
    ``resolved_at`` is set while it is resolved; ``stale``: it never expires by time and has
    not been heard of for a day.
    ``incident`` is 0 while none has taken it; ``reason`` is the last judgement on it,
    ``silences`` those that match it now.
    """

    id: int
    identity: bytes
    digest: bytes = b""
    source: str
    origin: str
    key: str = ""
    key_id: int = 0
    labels: dict[str, str]
    annotations: dict[str, str]
    title: str
    severity: str
    group: str = ""
    link: str = ""
    service: str
    state: AlertState = "firing"
    reason: Reason = Reason.FIRST_SEEN
    routed: Reason = Reason.NO_ROUTE
    starts_at: Instant
    ends_at: Instant | None = None
    ttl: int | None = None
    deaf_until: Instant = 0
    timeout: bool = False
    first_seen: Instant
    last_seen: Instant
    resolved_at: Instant | None = None
    stale: bool = False
    count: int = 1
    incident: int = 0
    silences: tuple[str, ...] = ()

    @property
    def firing(self) -> bool:
        """Whether it fires."""
        return self.state == "firing"
