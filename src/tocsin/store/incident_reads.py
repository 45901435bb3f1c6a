"""What is read of incidents: newest first, or by who must act."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import msgspec
from sqlalchemy import Connection, Select, func, select, union_all

from tocsin.incidents.incident import Incident
from tocsin.incidents.routes import SEVERITIES
from tocsin.store import tables
from tocsin.store.access_reads import AccessReads
from tocsin.store.reading import LIMIT, CursorError, Slice, capped, mentioning, place_of

OPEN_STATES = ("triggered", "acknowledged")


class Lane(NamedTuple):
    """What open incidents that are listed together have in common. ``quiet``: ``Incident.kept_quiet``."""

    state: str
    quiet: bool
    severity: str


class OpenLanes(NamedTuple):
    """How many incidents are open, by lane: of all services, and of the one that was asked for ("" for all again)."""

    all: dict[Lane, int]
    of: dict[Lane, int]


class IncidentReads(AccessReads):
    """Incidents; a part of ``Reads``."""

    def incidents(
        self,
        *,
        states: Sequence[str] = (),
        service: str = "",
        severity: str = "",
        words: str = "",
        after: str | None = None,
        limit: int = LIMIT,
    ) -> Slice[Incident]:
        """Newest first. ``states`` () is all; ``words`` must all occur in the number, title, service or labels."""

        def chunk(connection: Connection, before: int | None, count: int) -> list[tuple[int, bytes]]:
            # One ordered scan for each state, each ended by its own limit: an `IN` would sort or search everything.
            each = dict.fromkeys(states) if states else ("",)
            scans = [self._scan(state, service, severity, before).limit(count) for state in each]
            if len(scans) == 1:
                return [(row[0], row[1]) for row in connection.execute(scans[0])]
            both = union_all(*(select(scan.subquery()) for scan in scans)).subquery()
            found = connection.execute(select(both).order_by(both.c.number.desc()).limit(count))
            return [(row[0], row[1]) for row in found]

        return self._page(chunk, read_incident, place_of(after), capped(limit), _mentioning(words))

    def gravest(
        self,
        *,
        states: Sequence[str],
        service: str = "",
        severity: str = "",
        words: str = "",
        after: str | None = None,
        limit: int = LIMIT,
    ) -> Slice[Incident]:
        """Those in one state after those in another, as ``states`` has them, and last what is kept quiet; of each the
        gravest first, then the newest.

        Each lane is an ordered scan of its own: one grave incident is found at once behind any number of
        lesser ones. Filters as in ``incidents``; the cursors are not.
        """
        wanted = [one for one in SEVERITIES if severity in ("", one)]
        # Quiet in every state: a node of a version that did not know the mark leaves it on what is quiet no more.
        kept = [(state, quiet) for quiet in (False, True) for state in states]
        lanes = [Lane(*those, one) for those in kept for one in wanted]
        begin, before = _lane_of(after, len(lanes))
        limit = capped(limit)
        keep = _mentioning(words)
        found: list[Incident] = []
        for place, lane in enumerate(lanes[begin:], begin):
            room = limit - len(found)
            part = self._page(self._lane(lane, service), read_incident, before, max(room, 1), keep)
            if not room and (part.items or part.next):
                return Slice(found, f"{place}-")
            found += part.items[:room]
            if part.next is not None:
                return Slice(found, f"{place}-{part.next}")
            before = None
        return Slice(found, None)

    def open_by_lane(self, service: str = "") -> OpenLanes:
        """How many incidents are open, by lane. Of all and of one service in one scan: each reads every open one."""
        table = tables.incidents
        by = table.c.state, table.c.quiet, table.c.severity
        of = func.count().filter(table.c.service == service) if service else func.count()
        asked = select(*by, func.count(), of).where(*self._here(table), table.c.state.in_(OPEN_STATES))
        with self._snapshot() as connection:
            found = [(Lane(*those), many, some) for *those, many, some in connection.execute(asked.group_by(*by))]
        return OpenLanes({lane: many for lane, many, _ in found}, {lane: some for lane, _, some in found if some})

    def incident(self, number: int) -> Incident | None:
        """One incident."""
        return self._one(tables.incidents, tables.incidents.c.number == number, read_incident)

    def _lane(
        self, lane: Lane, service: str
    ) -> Callable[[Connection, int | None, int], list[tuple[int, bytes]]]:
        def chunk(connection: Connection, before: int | None, count: int) -> list[tuple[int, bytes]]:
            table = tables.incidents
            asked = self._scan(lane.state, service, "", before).where(table.c.quiet == lane.quiet)
            # Said as a range and an order that one index alone has: PostgreSQL, which takes how grave an incident is
            # and whether it is kept quiet for independent, would look for few by their numbers, through all there are.
            asked = asked.where(table.c.severity.between(lane.severity, lane.severity)).order_by(None)
            rows = connection.execute(asked.order_by(table.c.severity.desc(), table.c.number.desc()).limit(count))
            return [(row[0], row[1]) for row in rows]

        return chunk

    def _scan(self, state: str, service: str, severity: str, before: int | None) -> Select[int, bytes]:
        """Numbers and bodies, the highest number first; "" stands for all."""
        table = tables.incidents
        asked = select(table.c.number, table.c.body).where(*self._here(table))
        for column, wanted in ((table.c.state, state), (table.c.service, service), (table.c.severity, severity)):
            if wanted:
                asked = asked.where(column == wanted)
        if before is not None:
            asked = asked.where(table.c.number < before)
        return asked.order_by(table.c.number.desc())


def _lane_of(cursor: str | None, lanes: int) -> tuple[int, int | None]:
    """Which lane a page begins in, and below which number there: "2-1041", or "2-" for a lane from its beginning."""
    if cursor is None:
        return 0, None
    place, dash, number = cursor.partition("-")
    if not dash or not place.isascii() or not place.isdigit() or len(place) > 2 or int(place) >= lanes:
        raise CursorError(f"{cursor!r} is not a cursor: use the `next` of the page before")
    return int(place), place_of(number or None)


def _mentioning(words: str) -> Callable[[Incident], bool] | None:
    mentions = mentioning(words)
    return mentions and (lambda one: mentions(f"#{one.number} {one.title} {one.service}", one.labels))


read_incident = msgspec.json.Decoder(Incident).decode
