"""An Event: one statement about one condition, in Tocsin's own words, whatever wire format brought it."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from tocsin.kernel.instant import Instant

EventState = Literal["firing", "resolved", "acknowledged"]


class Event(Struct, frozen=True, kw_only=True, gc=False):
    """One statement about one condition.

    ``key``: the source's own deduplication key, or "" when the full label set is the identity.
    ``severity``: the source's own word, mapped by the route that takes it.
    ``ends_at``: for a firing event, when it expires unless repeated (None: never by time);
    for a resolved one, when it ended.
    ``digest``: 16 bytes over all that matters in the raw text (never ``ends_at``), or b"". A source that sets it lets
    an unchanged repetition be recognised without reading it again.
    ``timeout``: the sender named no end; ``ends_at`` was set so that the alert expires unless repeated.
    """

    key: str = ""
    state: EventState = "firing"
    labels: dict[str, str]
    annotations: dict[str, str] = {}
    title: str = ""
    severity: str = ""
    starts_at: Instant
    ends_at: Instant | None = None
    link: str = ""
    digest: bytes = b""
    timeout: bool = False


class Change(Struct, frozen=True, kw_only=True):
    """Something that was changed out there: a deploy, a flag, a configuration."""

    summary: str
    at: Instant
    details: dict[str, str] = {}
    link: str = ""


class Beat(Struct, frozen=True, kw_only=True):
    """A sign of life from a job. ``kind``: ``start``, ``ok`` or ``fail``; ``exit_code`` when one was given."""

    kind: Literal["start", "ok", "fail"]
    exit_code: int | None = None
    body: str = ""
