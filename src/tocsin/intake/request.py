"""A request as it was received, and what a source says of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple, Protocol

from msgspec import Raw, Struct

from tocsin.access.limits import MOST_ALERTS, MOST_BODY, MOST_BURST, MOST_RATE, KeyLimits
from tocsin.intake.entrance import Entrance
from tocsin.intake.event import Beat, Burst, Change, Event
from tocsin.kernel.instant import Instant


class Request(Struct, frozen=True, kw_only=True, gc=False):
    """The durable unit: one request as received, without the key that authorised it.

    ``path`` is the part after the key (``/api/v2/alerts``, ``/start``);
    ``headers`` holds the allow-listed ones, lower-case.
    """

    source: str
    method: str
    path: str
    query: str = ""
    headers: dict[str, str] = {}
    body: bytes = b""


class Reply(NamedTuple):
    """What is answered: status, JSON-ready bytes, content type and further headers."""

    status: int
    body: bytes = b""
    content_type: str = "application/json"
    headers: tuple[tuple[str, str], ...] = ()


class Heard(Struct, frozen=True, kw_only=True, gc=False):
    """What a source understood. ``reply`` goes out after the commit; ``fault`` names what could not be read.

    A request with a ``fault`` and nothing understood is refused with its reply and not kept,
    unless ``park`` says that the sender cannot be expected to correct it: then it is kept and a person is told.
    """

    reply: Reply
    events: tuple[Event, ...] | Burst = ()
    changes: tuple[Change, ...] = ()
    beats: tuple[Beat, ...] = ()
    repeated: tuple[int, ...] = ()
    """Alerts the caller already knew, by id: unchanged repetitions, with nothing more to read."""
    fault: str = ""
    park: bool = False


class Known(Protocol):
    """What is remembered of an alert: what was last said of it, how far ahead its end was set, where it is now."""

    @property
    def id(self) -> int:
        """Its number."""
        ...

    @property
    def firing(self) -> bool:
        """Whether it fires. What has ended is no repetition, whatever is said of it."""
        ...

    @property
    def timeout(self) -> bool:
        """Whether its sender named no end."""
        ...

    @property
    def annotations_json(self) -> Raw:
        """Its annotations as last said, to the letter."""
        ...

    @property
    def link(self) -> str:
        """Its link as last said."""
        ...

    @property
    def starts_at(self) -> int:
        """The earliest beginning that was said."""
        ...

    @property
    def ttl(self) -> int | None:
        """Microseconds from arrival to end as last sent; None when the end is fixed or never by time."""
        ...

    @property
    def ends_at(self) -> int | None:
        """When it expires unless repeated."""
        ...


class Limits(Struct, frozen=True):
    """How much one key may send. ``rate`` is requests per second, ``burst`` how many may come at once."""

    rate: float = 2_000.0
    burst: int = 10_000
    body: int = 4 * 1024 * 1024
    alerts: int = 5_000

    def of(self, own: KeyLimits) -> Limits:
        """These, with what was set for one key."""
        if own == KeyLimits():
            return self
        burst = own.at_once
        return Limits(
            rate=self.rate if own.rate is None else own.rate,
            burst=self.burst if burst is None else burst,
            body=self.body if own.body is None else own.body,
            alerts=self.alerts if own.alerts is None else own.alerts,
        )


WIDEST = Limits(MOST_RATE, MOST_BURST, MOST_BODY, MOST_ALERTS)
"""What was let in is within some key's limits: it is read again without asking for them."""


Decode = Callable[[Request, Instant, Limits, Mapping[bytes, Known]], Heard]
"""Read one request received at an instant.

Pure. ``known``, the alerts of this source and the key's service by ``label_text``, lets a source pass over unchanged
repetitions; {} reads everything.
"""


class Source(NamedTuple):
    """One wire format Tocsin hears.

    ``quiet``: an incident all of whose alerts ended waits this long before it resolves, in case one returns.
    ``cuts``: a body longer than a key may send is cut, not refused.
    ``entrance``: how monitors come in by it; None for what Tocsin says to itself, for which no keys are made.
    ``refuse``: this format's own error body for a refusal Tocsin itself makes (status, message,
    retry-after seconds or None).
    """

    name: str
    version: int
    decode: Decode
    refuse: Callable[[int, str, int | None], Reply]
    quiet: int = 0
    limits: Limits = Limits()
    cuts: bool = False
    entrance: Entrance | None = None
