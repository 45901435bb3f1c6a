"""What the one writer needs of a database, and reading the live rows back; the same for both."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol, TypeVar

import msgspec

from tocsin.access.credentials import Key, Token, User
from tocsin.alerts.alert import Alert
from tocsin.alerts.heartbeats import Heartbeat
from tocsin.engine.records import Parked
from tocsin.engine.state import Changes, Counters, Kept, Loaded, State
from tocsin.incidents.incident import Incident
from tocsin.kernel.instant import Instant
from tocsin.pages.contacts import Contact
from tocsin.pages.ledger import Page
from tocsin.pages.rules import Reach
from tocsin.silences.silence import Silence
from tocsin.store.rows import Journaled, read_journal_row

T = TypeVar("T")


class LeaseLost(Exception):
    """Another node writes now. This one must drop its memory and wait its turn."""


class Stopped(Exception):
    """Asked to end while waiting for the database, or for another node to stop writing."""


class Store(Protocol):
    """The writer's hold on a database.

    Used from one thread. Any failure leaves the database as it was before the call.
    """

    def load(self) -> Loaded:
        """Read what the engine keeps in memory."""
        ...

    def commit(self, journal: Sequence[Journaled], changes: Changes, state: State) -> None:
        """Write inputs and what they changed, durably and all at once. Raises LeaseLost, or the driver's error."""
        ...

    def journal(self, after: int = 0) -> Iterator[Journaled]:
        """The inputs that were applied, in order."""
        ...

    def plan_files(self, version: str) -> Mapping[str, bytes] | None:
        """The files of a plan version."""
        ...

    def meta(self, name: str) -> bytes | None:
        """A named value."""
        ...

    def set_meta(self, name: str, value: bytes) -> None:
        """Set a named value, durably."""
        ...

    def housekeep(self, now: Instant) -> None:
        """A slice of the work between commits: checkpoints, thinning of the journal, the lease. At most some 20 ms."""
        ...

    def close(self) -> None:
        """Let go of the database."""
        ...


Select = Callable[[str], Iterable[tuple[Any, ...]]]


def load(select: Select, live: str) -> Loaded:
    """Read the live rows back. ``live`` is the database's way to say that a boolean is true."""

    def nouns(kind: type[T], query: str) -> Iterator[T]:
        decode = msgspec.json.Decoder(kind).decode
        return (decode(row[0]) for row in select(query))

    counters = list(nouns(Counters, "SELECT value FROM meta WHERE name = 'counters'"))
    incidents = list(nouns(Incident, f"SELECT body FROM incidents WHERE {live}"))
    numbers = {incident.number for incident in incidents} | {0}
    return Loaded(
        counters=counters[0] if counters else Counters(),
        alerts=nouns(Alert, f"SELECT body FROM alerts WHERE {live}"),
        incidents=incidents,
        pages=(page for page in nouns(Page, f"SELECT body FROM pages WHERE {live}") if page.incident in numbers),
        silences=nouns(Silence, f"SELECT body FROM silences WHERE {live}"),
        heartbeats=nouns(Heartbeat, "SELECT body FROM heartbeats ORDER BY service, name"),
        keys=nouns(Key, "SELECT body FROM keys ORDER BY id"),
        users=nouns(User, "SELECT body FROM users ORDER BY id"),
        tokens=nouns(Token, "SELECT body FROM tokens ORDER BY id"),
        parked=nouns(Parked, "SELECT body FROM parked WHERE NOT discarded ORDER BY id"),
        contacts=nouns(Contact, f"SELECT body FROM contacts WHERE {live} ORDER BY id"),
        reaches=nouns(Reach, "SELECT body FROM reaches ORDER BY person"),
        results=nouns(Kept, "SELECT body FROM results ORDER BY at, key"),
    )


def journal_rows(rows: Sequence[tuple[Any, ...]]) -> Iterator[Journaled]:
    """Journal rows as inputs."""
    return (read_journal_row(seq, at, bytes(packed)) for seq, at, packed in rows)
