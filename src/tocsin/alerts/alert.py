"""An Alert: one deduplicated condition, firing or resolved."""

from __future__ import annotations

from typing import Literal

from msgspec import Raw, Struct, field

from tocsin.intake.bounds import first_line
from tocsin.intake.event import title_of
from tocsin.kernel.identity import keyed, read_texts
from tocsin.kernel.instant import Instant
from tocsin.kernel.reason import Reason

AlertState = Literal["firing", "resolved"]


class Alert(Struct, gc=False, omit_defaults=True):
    """One condition of one service.

    ``id`` counts up and is never given again. What makes two alerts one is the source, the key's service, and the
    source's own key or else the full label set (``place``); one is kept while it matters, the next firing after that is
    a new alert.
    ``labels_json`` is ``kernel.identity.label_text``, ``annotations_json`` what the sender wrote: both stay text, for
    fifty thousand alerts may be held and few are ever looked into.
    ``own_title`` is its source's, "" when it is read off annotations and labels.
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
    source: str
    origin: str
    labels_json: Raw = field(name="labels")
    annotations_json: Raw = field(name="annotations")
    severity: str
    service: str
    starts_at: Instant
    first_seen: Instant
    last_seen: Instant
    group: str = ""
    routed: Reason = Reason.NO_ROUTE
    link: str = ""
    key: str = ""
    key_id: int = 0
    ends_at: Instant | None = None
    ttl: int | None = None
    timeout: bool = False
    state: AlertState = "firing"
    reason: Reason = Reason.FIRST_SEEN
    incident: int = 0
    silences: tuple[str, ...] = ()
    deaf_until: Instant = 0
    resolved_at: Instant | None = None
    stale: bool = False
    count: int = 1
    own_title: str = field(name="title", default="")

    @property
    def labels(self) -> dict[str, str]:
        """Its labels, read anew each time."""
        return read_texts(self.labels_json)

    @property
    def matched(self) -> dict[str, str]:
        """The labels that matchers of silences and filters are held against, ``named``."""
        return self.named(self.labels)

    def named(self, labels: dict[str, str]) -> dict[str, str]:
        """Its labels, and where its source names it by a key, ``key``, ``source`` and ``service`` unless it has such.

        Nothing else would tell an alert without labels from others. One that its labels name has them alone, as
        Alertmanager would.
        """
        if not self.key:
            return labels
        return {"key": self.key, "source": self.source, "service": self.service, **labels}

    @property
    def annotations(self) -> dict[str, str]:
        """Its annotations, read anew each time."""
        return read_texts(self.annotations_json)

    @property
    def title(self) -> str:
        """What it says in one line."""
        return self.own_title or title_of(self.labels, self.annotations)

    @property
    def detail(self) -> str:
        """What its source says of it beyond the title, in one line; "" when that is nothing."""
        said = first_line(self.annotations.get("description", ""))
        return "" if said == self.title else said

    @property
    def place(self) -> bytes:
        """Where it is found among the alerts of its source and its key's service."""
        return keyed(self.key) if self.key else bytes(self.labels_json)

    @property
    def since(self) -> Instant:
        """When it began as people are told: no sender's beginning in the future counts before it was heard."""
        return min(self.starts_at, self.first_seen)

    @property
    def firing(self) -> bool:
        """Whether it fires."""
        return self.state == "firing"
