"""What the one writer needs of a database, and reading the live rows back; the same for both."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol, TypeVar

import msgspec

from tocsin.access.credentials import Key, Token, User
from tocsin.alerts.alert import Alert
from tocsin.alerts.heartbeats import Heartbeat
from tocsin.engine.records import HeardChange, Parked
from tocsin.engine.state import COMPLETED, Changes, Counters, Kept, Loaded, State
from tocsin.engine.suspecting import MOST_HEARD
from tocsin.incidents.incident import Incident
from tocsin.kernel.instant import Instant
from tocsin.oncall.duty import Duty
from tocsin.oncall.imported import Imported
from tocsin.oncall.override import Override
from tocsin.pages.contacts import Contact
from tocsin.pages.ledger import Page
from tocsin.pages.rules import Reach
from tocsin.playbooks.run import Run, Step
from tocsin.playbooks.trust import Standing
from tocsin.silences.silence import Silence
from tocsin.store import alert_rows
from tocsin.store.rows import Journaled, read_journal_row, unpack

T = TypeVar("T")

NOT_PARKED = "seq NOT IN (SELECT id FROM parked WHERE NOT discarded)"
STRETCHES, ROWS_OF_ONE = 32, 10
"""So much of the journal is looked at to tell how large it is: a storm at one end of it says little of the rest."""

UNENDED = " AND state <> 'ended'"
TIDIED = 40
"""So many blocks of alerts are looked at in one slice of the work between commits."""


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

    def takes_nothing(self, error: Exception) -> bool:
        """Whether a failure means that the database is away or has no room; else it is the rows' own fault."""
        ...

    def no_room(self, error: Exception) -> bool:
        """Whether a failure means that the disk of the data folder has no room for the database."""
        ...

    def resume(self) -> Counters:
        """After a failure: the counters as the tables have them, which may hold what seemed to have failed.

        Never waits for a database that is away. Raises LeaseLost, or the driver's error.
        """
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

    @property
    def safe_until(self) -> float:
        """Until when, by ``time.monotonic``, what this node has under way may go on: soon after, another may write.

        Moves on while the hold is renewed. May be read from any thread.
        """
        ...

    def close(self) -> None:
        """Let go of the database."""
        ...


Select = Callable[[str], Iterable[tuple[Any, ...]]]


def counters(select: Select) -> Counters:
    """The counters of the last commit."""
    for row in select("SELECT value FROM meta WHERE name = 'counters'"):
        return msgspec.json.decode(row[0], type=Counters)
    return Counters()


def load(select: Select, live: str) -> Loaded:
    """Read the live rows back. ``live`` is the database's way to say that a boolean is true."""

    def nouns(kind: type[T], query: str) -> Iterator[T]:
        decode = msgspec.json.Decoder(kind).decode
        return (decode(row[0]) for row in select(query))

    incidents = list(nouns(Incident, f"SELECT body FROM incidents WHERE {live}"))
    numbers = {incident.number for incident in incidents} | {0}
    kept = counters(select)
    runs = list(nouns(Run, f"SELECT body FROM runs WHERE {live} ORDER BY number"))
    old = [str(run.number) for run in runs if run.in_midst] if kept.completed < COMPLETED else []
    with_steps = f"SELECT number FROM runs WHERE {live}{UNENDED}" + (f" OR number IN ({', '.join(old)})" if old else "")
    return Loaded(
        counters=kept,
        alerts=_alerts(select, live),
        incidents=incidents,
        pages=(page for page in nouns(Page, f"SELECT body FROM pages WHERE {live}") if page.incident in numbers),
        silences=nouns(Silence, f"SELECT body FROM silences WHERE {live}"),
        heartbeats=nouns(Heartbeat, "SELECT body FROM heartbeats ORDER BY service, name"),
        keys=nouns(Key, "SELECT body FROM keys ORDER BY id"),
        users=nouns(User, "SELECT body FROM users ORDER BY id"),
        tokens=nouns(Token, "SELECT body FROM tokens ORDER BY id"),
        parked=nouns(Parked, "SELECT body FROM parked WHERE NOT discarded ORDER BY id"),
        overrides=nouns(Override, f"SELECT body FROM overrides WHERE {live} ORDER BY id"),
        contacts=nouns(Contact, f"SELECT body FROM contacts WHERE {live} ORDER BY id"),
        reaches=nouns(Reach, "SELECT body FROM reaches ORDER BY person"),
        duties=nouns(Duty, "SELECT body FROM duties ORDER BY name"),
        calendars=nouns(Imported, "SELECT body FROM calendars ORDER BY name"),
        runs=runs,
        steps=nouns(Step, f"SELECT body FROM steps WHERE run IN ({with_steps})"),
        standings=nouns(Standing, "SELECT body FROM standings ORDER BY service, playbook"),
        heard=list(nouns(HeardChange, f"SELECT body FROM changes ORDER BY id DESC LIMIT {MOST_HEARD}")),
        results=nouns(Kept, "SELECT body FROM results ORDER BY at, key"),
    )


def journal_bytes(select: Select, size: str) -> int:
    """The bytes of the journal, estimated from stretches all along it; ``size``: what a body takes, in SQL.

    By what a place takes: a table that was deleted from does not say how much of it is in use, and places are given in
    one row without gaps, many of them to a row.
    """
    oldest = f"SELECT seq FROM journal WHERE {NOT_PARKED} ORDER BY seq LIMIT 1"
    ((first, last),) = select(f"SELECT ({oldest}), (SELECT max(seq) FROM journal)")
    if first is None:
        return 0
    after = last + 1
    each = (after - first) / STRETCHES
    parts = (_STRETCH.format(n=n, size=size, at=first + int(n * each)) for n in range(STRETCHES))
    total = 0.0
    for stretch in _stretches(select(" UNION ALL ".join(parts))):
        # A row has the places up to the next one's: of the last that is read the next is not known, but of all.
        whole = stretch[:-1] if len(stretch) > ROWS_OF_ONE else stretch
        until = stretch[-1][0] if len(stretch) > ROWS_OF_ONE else after
        total += each * sum(taken + 80 for _, taken in whole) / (until - stretch[0][0])
    return int(total)


# From the row on in which a place lies.
_STRETCH = (
    "SELECT * FROM (SELECT {n} AS n, seq, {size} AS size FROM journal"
    " WHERE seq >= (SELECT max(seq) FROM journal WHERE seq <= {at})"
    f" ORDER BY seq LIMIT {ROWS_OF_ONE + 1}) AS stretch{{n}}"
)


def _stretches(found: Iterable[tuple[Any, ...]]) -> list[list[tuple[int, int]]]:
    """The places and sizes of rows, by their stretch, in order."""
    by_number: dict[int, list[tuple[int, int]]] = {}
    for number, seq, size in found:
        by_number.setdefault(number, []).append((int(seq), int(size)))
    return [sorted(stretch) for stretch in by_number.values()]


def _alerts(select: Select, live: str) -> Iterator[Alert]:
    """The alerts the engine keeps: those with a row of their own, and those whose place in a block nothing replaced."""
    decode = msgspec.json.Decoder(Alert).decode
    seen: dict[int, tuple[Instant, int, Instant | None]] = {}
    for (body,) in select("SELECT body FROM alert_sightings"):
        seen.update(alert_rows.read_sightings(unpack(bytes(body))))
    for (body,) in select(f"SELECT body FROM alerts WHERE {live}"):
        yield alert_rows.sighted(alert_rows.alone(decode(body)), seen)
    # A cross join: SQLite then looks the alerts up by block, and not a block for each alert there ever was.
    replaced = {id for (id,) in select("SELECT id FROM alert_blocks CROSS JOIN alerts WHERE id BETWEEN first AND last")}
    for (body,) in select("SELECT body FROM alert_blocks ORDER BY first"):
        for alert in alert_rows.read_block(unpack(bytes(body))):
            if alert.id not in replaced:
                yield alert_rows.sighted(alert_rows.alone(alert), seen)


def replaced_alert_rows(select: Select, after: int) -> tuple[list[str], int | None]:
    """Statements that remove what says nothing any more, a slice of it: blocks above the id ``after`` in which every
    alert has a row of its own, sightings of alerts the engine has forgotten. And where to go on, None at the end.
    """
    blocks = list(select(f"SELECT first, last FROM alert_blocks WHERE first > {after} ORDER BY first LIMIT {TIDIED}"))
    gone = []
    for first, last in blocks:
        ((own,),) = select(f"SELECT count(*) FROM alerts WHERE id BETWEEN {first} AND {last}")
        if own == last - first + 1:
            gone.append(str(first))
    here = f"WHERE first IN ({', '.join(gone)})"
    found = [f"DELETE FROM {table} {here}" for table in ("alert_block_incidents", "alert_blocks")] if gone else []
    if len(blocks) == TIDIED:
        return found, int(blocks[-1][0])
    size = alert_rows.STRETCH
    here = f"BETWEEN stretch * {size} AND stretch * {size} + {size - 1}"
    found.append(
        f"DELETE FROM alert_sightings WHERE NOT EXISTS (SELECT 1 FROM alerts WHERE live AND id {here})"
        f" AND NOT EXISTS (SELECT 1 FROM alert_blocks WHERE first {here} OR last {here})"
    )
    return found, None


JOURNAL_PAGE = (
    "SELECT seq, at, body FROM journal WHERE seq >= (SELECT coalesce(max(seq), 0) FROM journal WHERE seq <= {after})"
    " ORDER BY seq LIMIT 200"
)
"""Journal rows from the one on in which the place ``after`` lies."""


def journal(page: Callable[[int], Iterable[tuple[Any, ...]]], after: int) -> Iterator[Journaled]:
    """What the journal holds after a place, in order. ``page``: the rows of ``JOURNAL_PAGE``."""
    while found := [
        one for seq, at, body in page(after) for one in read_journal_row(seq, at, bytes(body)) if one.seq > after
    ]:
        yield from found
        after = found[-1].seq
