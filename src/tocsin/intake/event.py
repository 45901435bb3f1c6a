"""An Event: one statement about one condition, in Tocsin's own words, whatever wire format brought it."""

from __future__ import annotations

from typing import Literal

from msgspec import Raw, Struct

from tocsin.kernel.identity import read_texts
from tocsin.kernel.instant import Instant

EventState = Literal["firing", "resolved", "acknowledged"]


class Event(Struct, frozen=True, gc=False):
    """One statement about one condition.

    ``key``: the source's own deduplication key, or "" when the full label set is the identity.
    ``severity``: the source's own word, mapped by the route that takes it.
    ``ends_at``: for a firing event, when it expires unless repeated (None: never by time);
    for a resolved one, when it ended.
    ``timeout``: the sender named no end; ``ends_at`` was set so that the alert expires unless repeated.
    ``annotations_json``: the annotations as JSON, from some sources just as their sender wrote them: few are ever
    looked into. ``label_text``: the labels as ``kernel.identity.label_text`` writes them, from a source that has that
    at hand. By both an unchanged repetition is recognised without being read.
    """

    labels: dict[str, str]
    starts_at: Instant
    ends_at: Instant | None = None
    state: EventState = "firing"
    title: str = ""
    severity: str = ""
    annotations_json: Raw = Raw(b"{}")
    link: str = ""
    timeout: bool = False
    label_text: bytes = b""
    key: str = ""

    @property
    def annotations(self) -> dict[str, str]:
        """Its annotations, read anew each time."""
        return read_texts(self.annotations_json)


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
