"""An Event: one statement about one condition, in Tocsin's own words, whatever wire format brought it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Literal

from msgspec import Raw, Struct
from msgspec.structs import replace

from tocsin.intake.bounds import MAX_TITLE, first_line
from tocsin.kernel.identity import read_texts
from tocsin.kernel.instant import Duration, Instant

EventState = Literal["firing", "resolved", "acknowledged"]


class Event(Struct, frozen=True, gc=False):
    """One statement about one condition.

    ``key``: the source's own deduplication key, or "" when the full label set is the identity.
    ``severity``: the source's own word, mapped by the route that takes it.
    ``ends_at``: for a firing event, when it expires unless repeated (None: never by time);
    for a resolved one, when it ended.
    ``own_title``: from a source that has titles; "" when it is to be read off annotations and labels.
    ``timeout``: the sender named no end; ``ends_at`` was set so that the alert expires unless repeated.
    ``annotations_json``: the annotations as JSON, from some sources just as their sender wrote them: few are ever
    looked into. ``label_text``: the labels as ``kernel.identity.label_text`` writes them, from a source that has that
    at hand. By both an unchanged repetition is recognised without being read.
    """

    labels: dict[str, str]
    starts_at: Instant
    ends_at: Instant | None = None
    state: EventState = "firing"
    own_title: str = ""
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

    @property
    def title(self) -> str:
        """What it says in one line."""
        return self.own_title or title_of(self.labels, self.annotations)


Row = tuple[bytes, dict[str, str], Raw, str, Instant, Instant, bool, str, tuple[str, ...] | None]
"""Place, labels, annotations, severity, start, end, timeout and link of one statement in a burst, and what its reader
says of it.
"""


class Burst(Struct, frozen=True, gc=False):
    """Statements of one request about conditions known by their label sets, a column for each of their properties.

    What comes in hundreds a second comes so: an Event for each would be a fifth of all that is done about it.
    ``ends_at`` later than ``read_at``: it fires.
    """

    read_at: Instant
    labels: Sequence[dict[str, str]]
    label_texts: Sequence[bytes]
    annotations_json: Sequence[Raw]
    severities: Sequence[str]
    starts_at: Sequence[Instant]
    ends_at: Sequence[Instant]
    timeouts: Sequence[bool]
    links: Sequence[str]

    def __len__(self) -> int:
        return len(self.labels)

    def __iter__(self) -> Iterator[Event]:
        return map(self.__getitem__, range(len(self)))

    def __getitem__(self, place: int) -> Event:
        """One of them by itself."""
        ends_at = self.ends_at[place]
        return Event(
            labels=self.labels[place],
            starts_at=self.starts_at[place],
            ends_at=ends_at,
            state="firing" if ends_at > self.read_at else "resolved",
            severity=self.severities[place],
            annotations_json=self.annotations_json[place],
            link=self.links[place],
            timeout=self.timeouts[place],
            label_text=self.label_texts[place],
        )

    def rows(self, said: Iterable[tuple[str, ...] | None]) -> Iterator[Row]:
        """All of them, as rows. ``said``: what the reader says of each."""
        return zip(
            self.label_texts,
            self.labels,
            self.annotations_json,
            self.severities,
            self.starts_at,
            self.ends_at,
            self.timeouts,
            self.links,
            said,
            strict=True,
        )

    def later(self, late: Duration, *, endings: bool = True) -> Burst:
        """The same read so much later: what fired then still does. ``endings``: what had ended did so later, too."""
        ends_at = [one + late if endings or one > self.read_at else one for one in self.ends_at]
        return replace(self, read_at=self.read_at + late, ends_at=ends_at)


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


def title_of(labels: Mapping[str, str], annotations: Mapping[str, str]) -> str:
    """What an alert says in one line, when its source has no titles: its summary, else what it is called."""
    title = annotations.get("summary", "").strip() or annotations.get("description", "").strip()
    if title:
        return title if len(title) <= MAX_TITLE and "\n" not in title else first_line(title)
    name = labels.get("alertname", "")
    if not name:
        return first_line(", ".join(f"{label}={value}" for label, value in sorted(labels.items())))
    instance = labels.get("instance", "")
    return first_line(f"{name} on {instance}" if instance else name)
