"""What people and scripts read. Every read is one short snapshot, paged by cursor and capped; nothing here writes.

Filters that have a column and an index are SQL. The others (labels, text) are looked at row by row while at most
``SCAN`` rows are read: a page may therefore be shorter than asked, or empty, and still have a ``next``.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

import msgspec
from msgspec import Struct, structs
from sqlalchemy import (
    Column,
    Connection,
    func,
    literal_column,
    select,
)
from sqlalchemy.sql.elements import ColumnElement

from tocsin.alerts.alert import Alert
from tocsin.alerts.heartbeats import Heartbeat
from tocsin.engine.records import HeardChange, Parked
from tocsin.incidents.incident import Entry, opened_after
from tocsin.kernel.instant import Instant
from tocsin.kernel.matcher import Matcher, all_match
from tocsin.oncall.imported import Imported
from tocsin.oncall.override import Override
from tocsin.pages.ledger import Page
from tocsin.playbooks.evidence import AFTER, BEFORE, Series, together
from tocsin.playbooks.run import Run, Step
from tocsin.playbooks.trust import Standing
from tocsin.silences.silence import Silence
from tocsin.store import tables
from tocsin.store.alert_reads import Counted, Wanted
from tocsin.store.incident_reads import OPEN_STATES as OPEN_STATES
from tocsin.store.incident_reads import IncidentReads, read_incident
from tocsin.store.incident_reads import Lane as Lane
from tocsin.store.incident_reads import OpenLanes as OpenLanes
from tocsin.store.reading import LIMIT as LIMIT
from tocsin.store.reading import MOST as MOST
from tocsin.store.reading import SCAN, capped, mentioning, place_of
from tocsin.store.reading import CursorError as CursorError
from tocsin.store.reading import Slice as Slice
from tocsin.store.reading import open_engine as open_engine
from tocsin.store.rows import IN_FORCE, storable, unpack_files

TROUBLES = 5_000
TOLD_AT_ONCE = 500
"""So many rows are asked for by their ids in one question."""


class OpenCount(Struct, frozen=True):
    """How many incidents of a service are open, by state."""

    service: str
    triggered: int = 0
    acknowledged: int = 0


class Trouble(Struct, frozen=True):
    """Incidents of a service that an alert of one name, and of one probe or heartbeat, opened: how many, when the last,
    and how that one was.
    """

    service: str
    labels: dict[str, str]
    severity: str
    count: int
    last: Instant


class Brief(Struct, frozen=True):
    """An incident as far as a line of a list needs it."""

    number: int
    title: str
    service: str
    severity: str
    opened_at: Instant
    state: str = "triggered"
    answers: dict[str, Instant] = {}
    reopened_at: Instant | None = None
    began_at: Instant | None = None

    @property
    def since(self) -> Instant:
        """Since when it goes on; see ``Incident.since``."""
        return self.began_at or self.opened_at


class _Written(Struct, frozen=True):
    intended_at: Instant


class StoredEntry(Struct, frozen=True):
    """A line of a timeline and its place in the store."""

    id: int
    entry: Entry


class Reads(IncidentReads):
    """Reads of one workspace. Methods block: call them from a thread. Safe to share between threads."""

    # --- incidents

    def troubles(self, since: Instant) -> list[Trouble]:
        """What opened incidents since an instant, by service, name of the alert, and probe or heartbeat; of the newest
        ``TROUBLES``.
        """
        table = tables.incidents
        # They are numbered as they are opened: what is older than the first older one need not be looked at.
        older = select(table.c.number).where(*self._here(table), table.c.opened_at <= since)
        last = func.coalesce(older.order_by(table.c.number.desc()).limit(1).scalar_subquery(), 0)
        asked = select(table.c.body).where(*self._here(table), table.c.number > last)
        found: dict[tuple[str, ...], Trouble] = {}
        for one in self._all(asked.order_by(table.c.number.desc()).limit(TROUBLES), read_incident):
            place = one.service, *(one.labels.get(name, "") for name in ("alertname", "probe", "heartbeat"))
            newest = found.get(place)
            found[place] = (
                Trouble(one.service, one.labels, one.severity, 1, one.opened_at)
                if newest is None
                else structs.replace(newest, count=newest.count + 1)
            )
        return list(found.values())

    def timeline(
        self, incident: int, *, after: str | None = None, limit: int = LIMIT, newest_first: bool = False
    ) -> Slice[StoredEntry]:
        """The timeline of an incident, oldest first unless told otherwise."""
        table = tables.entries

        def chunk(connection: Connection, beyond: int | None, count: int) -> list[tuple[int, bytes]]:
            asked = select(table.c.id, table.c.body).where(*self._here(table), table.c.incident == incident)
            if beyond is not None:
                asked = asked.where(table.c.id < beyond if newest_first else table.c.id > beyond)
            asked = asked.order_by(table.c.id.desc() if newest_first else table.c.id).limit(count)
            return [(row[0], row[1]) for row in connection.execute(asked)]

        limit = capped(limit)
        with self._snapshot() as connection:
            rows = chunk(connection, place_of(after), limit + 1)
        items = [StoredEntry(number, _entry.decode(body)) for number, body in rows[:limit]]
        return Slice(items, str(items[-1].id) if len(rows) > limit else None)

    # --- alerts

    def alerts(
        self,
        *,
        state: str = "",
        service: str = "",
        incident: int | None = None,
        matchers: tuple[Matcher, ...] = (),
        origin: str = "",
        words: str = "",
        after: str | None = None,
        limit: int = LIMIT,
    ) -> Slice[Alert]:
        """Newest first. ``origin`` is the service of the key they came with; ``words`` must all occur in the title or
        the labels.
        """
        bound = Wanted(self._workspace, state, service, incident)
        mentions = mentioning(words)

        def keep(alert: Alert) -> bool:
            if origin and alert.origin != origin:
                return False
            return all_match(matchers, alert.matched) and (mentions is None or mentions(alert.title, alert.labels))

        return self._page(
            bound.chunk, _itself, place_of(after), capped(limit), keep if origin or matchers or mentions else None
        )

    def alert(self, number: int) -> Alert | None:
        """One alert."""
        with self._snapshot() as connection:
            found = Wanted(self._workspace).chunk(connection, number + 1, 1)
        return found[0][1] if found and found[0][0] == number else None

    def firing(self, incident: int) -> int:
        """How many alerts of an incident fire."""
        with self._snapshot() as connection:
            return Wanted(self._workspace, "firing", incident=incident).tally(connection)

    def heard(self, incident: int, newest: int) -> Counted:
        """The firing alerts of an incident that a page is about, and the newest of them: not what is silenced, unless
        all of it is.
        """
        with self._snapshot() as connection:
            return Wanted(self._workspace, incident=incident).heard(connection, newest)

    def firing_alerts(self, origin: str, most: int = SCAN) -> Iterator[list[Alert]]:
        """Firing alerts that came with keys of a service, in chunks, each read in a short snapshot of its own."""
        chunk = Wanted(self._workspace, "firing").chunk
        yield from self._stream(chunk, _itself, most, lambda one: one.origin == origin)

    # --- silences

    def silences(
        self,
        now: Instant,
        *,
        which: str = "live",
        origin: str | None = None,
        after: str | None = None,
        limit: int = LIMIT,
    ) -> Slice[Silence]:
        """``which``: live (pending or active), expired or all. The one that ends last comes first."""
        table = tables.silences
        limit = capped(limit)
        asked = select(table.c.body).where(*self._here(table))
        if which == "live":
            asked = asked.where(table.c.ends_at > now)
        elif which == "expired":
            asked = asked.where(table.c.ends_at <= now)
        if after is not None:
            ends, _, last = after.partition("~")
            bound = place_of(ends)
            asked = asked.where((table.c.ends_at < bound) | ((table.c.ends_at == bound) & (table.c.id > last)))
        found: list[Silence] = []
        with self._snapshot() as connection:
            for row in connection.execute(asked.order_by(table.c.ends_at.desc(), table.c.id).limit(SCAN)):
                silence = _silence.decode(row[0])
                if origin is None or silence.origin == origin:
                    found.append(silence)
                    if len(found) > limit:
                        break
        items = found[:limit]
        return Slice(items, f"{items[-1].ends_at}~{items[-1].id}" if len(found) > limit else None)

    def silence(self, name: str) -> Silence | None:
        """One silence."""
        return self._one(tables.silences, tables.silences.c.id == name, _silence.decode)

    # --- who takes whose place

    def overrides(
        self, live: Instant | None = None, *, after: str | None = None, limit: int = LIMIT
    ) -> Slice[Override]:
        """Overrides, swaps and cover requests, newest first; ``live``: those to come, asked for or in force then alone.
        """
        where: list[ColumnElement[bool]] = []
        if live is not None:  # what is over is remembered for a while by who judges
            where = [literal_column("live"), tables.overrides.c.ends_at > live]
        return self._page(self._by_id(tables.overrides, where), _override.decode, place_of(after), capped(limit))

    def override(self, number: int) -> Override | None:
        """One of them."""
        return self._one(tables.overrides, tables.overrides.c.id == number, _override.decode)

    def overrides_since(self, since: Instant, schedule: str = "") -> list[Override]:
        """Those that end after an instant, over or not, the newest ``SCAN`` of them: what may count from then on."""
        table = tables.overrides
        asked = select(table.c.body).where(*self._here(table), table.c.ends_at > since)
        if schedule:
            asked = asked.where(table.c.schedule == storable(schedule))
        return self._all(asked.order_by(table.c.id.desc()).limit(SCAN), _override.decode)

    def calendars(self) -> list[Imported]:
        """The last good copies of calendars from elsewhere."""
        table = tables.calendars
        return self._all(select(table.c.body).where(*self._here(table)).order_by(table.c.name), _imported.decode)

    # --- runs of playbooks

    def runs(
        self,
        *,
        incident: int | None = None,
        playbook: str = "",
        service: str = "",
        states: Sequence[str] = (),
        after: str | None = None,
        limit: int = LIMIT,
    ) -> Slice[Run]:
        """Runs, newest first."""
        table = tables.runs
        where: list[ColumnElement[bool]] = [] if incident is None else [table.c.incident == incident]
        where += [column == storable(text) for column, text in _named(playbook, service) if text]
        where += [table.c.state.in_(states)] if states else []

        return self._page(self._by_id(table, where, table.c.number), _run.decode, place_of(after), capped(limit))

    def run(self, number: int) -> Run | None:
        """One run."""
        return self._one(tables.runs, tables.runs.c.number == number, _run.decode)

    def runs_by_number(self, numbers: Collection[int]) -> dict[int, Run]:
        """Some runs, by one question to the database; those that are not there are left out."""
        table = tables.runs
        with self._snapshot() as connection:
            rows = connection.execute(select(table.c.body).where(*self._here(table), table.c.number.in_(numbers)))
            found = [_run.decode(body) for (body,) in rows]
        return {one.number: one for one in found}

    def steps(self, run: int) -> list[Step]:
        """A run's steps, in order."""
        return self._steps(run, tables.steps.c.ordinal.between(BEFORE + 1, AFTER - 1))

    def measured(self, run: int) -> tuple[Series, ...]:
        """What probes measured around a run."""
        return together(self._steps(run, tables.steps.c.ordinal.in_((BEFORE, AFTER))))

    def _steps(self, run: int, which: ColumnElement[bool]) -> list[Step]:
        table = tables.steps
        asked = select(table.c.body).where(*self._here(table), table.c.run == run, which).order_by(table.c.ordinal)
        return self._all(asked, _step.decode)

    def standings(self) -> list[Standing]:
        """How every playbook stands with every service."""
        table = tables.standings
        asked = select(table.c.body).where(*self._here(table)).order_by(table.c.service, table.c.playbook)
        return self._all(asked, _standing.decode)

    # --- services, the plan, meta

    def open_counts(self) -> list[OpenCount]:
        """Services that have open incidents, by name."""
        table = tables.incidents
        asked = (
            select(table.c.service, table.c.state, func.count())
            .where(*self._here(table), table.c.state.in_(OPEN_STATES))
            .group_by(table.c.service, table.c.state)
        )
        counts: dict[str, dict[str, int]] = {}
        with self._snapshot() as connection:
            for service, state, count in connection.execute(asked):
                counts.setdefault(service, {})[state] = count
        return [OpenCount(service, **states) for service, states in sorted(counts.items())]

    def meta(self, name: str) -> bytes | None:
        """A value of the ``meta`` table: ``signing_key``, ``plan`` …"""
        with self._snapshot() as connection:
            row = connection.execute(
                select(tables.meta.c.value).where(*self._here(tables.meta), tables.meta.c.name == name)
            ).first()
        return None if row is None else bytes(row[0])

    def plan_version(self) -> str:
        """The version of the plan in force, "" before there is one."""
        return (self.meta("plan") or b"").decode()

    def plan_version_at(self, at: Instant) -> str | None:
        """The version of the plan that was in force at an instant; None where that was not written down."""
        table = tables.meta
        # In this order in every collation: what follows the mark are digits, always as many.
        asked = select(table.c.name, table.c.value).where(*self._here(table), table.c.name.like(f"{IN_FORCE}%"))
        with self._snapshot() as connection:
            known = {str(name).removeprefix(IN_FORCE): bytes(value) for name, value in connection.execute(asked)}
        since = max((one for one in known if int(one) <= at), default=None)
        return known[since].decode() if since is not None else None

    def plan_kept_at(self, version: str) -> Instant | None:
        """When a version of the plan was put in force last; None for one that is not kept."""
        asked = select(tables.plans.c.at).where(*self._here(tables.plans), tables.plans.c.version == version)
        with self._snapshot() as connection:
            row = connection.execute(asked).first()
        return None if row is None else int(row[0])

    def plan_files(self, version: str) -> dict[str, bytes] | None:
        """The files of a plan by name; None for a version that is not kept."""
        asked = select(tables.plans.c.files).where(*self._here(tables.plans), tables.plans.c.version == version)
        with self._snapshot() as connection:
            row = connection.execute(asked).first()
        if row is None:
            return None
        return unpack_files(bytes(row[0]))

    # --- the rest

    def parked(self, *, discarded: bool = False, after: str | None = None, limit: int = LIMIT) -> Slice[Parked]:
        """Parked requests, newest first; without those a person has discarded unless asked for."""
        where = [] if discarded else [tables.parked.c.discarded.is_(False)]
        return self._page(self._by_id(tables.parked, where), _parked.decode, place_of(after), capped(limit))

    def parked_request(self, number: int) -> Parked | None:
        """One parked request, whole."""
        return self._one(tables.parked, tables.parked.c.id == number, _parked.decode)

    def changes(
        self,
        *,
        services: Sequence[str] = (),
        since: Instant | None = None,
        until: Instant | None = None,
        after: str | None = None,
        limit: int = LIMIT,
    ) -> Slice[HeardChange]:
        """Deploys and other changes, as they came in, newest first; of any service with () for ``services``.

        ``since`` and ``until`` are about when they happened, both included.
        """
        at = tables.changes.c.at
        where: list[ColumnElement[bool]] = [tables.changes.c.service.in_(services)] if services else []
        where += [at >= since] if since is not None else []
        where += [at <= until] if until is not None else []
        return self._page(self._by_id(tables.changes, where), _change.decode, place_of(after), capped(limit))

    def heartbeats(self) -> list[Heartbeat]:
        """All heartbeats of the plan in force, by service and name."""
        table = tables.heartbeats
        asked = select(table.c.body).where(*self._here(table)).order_by(table.c.service, table.c.name).limit(10_000)
        return [one for one in self._all(asked, _heartbeat.decode) if one.left_at is None]

    def pages(
        self,
        *,
        incident: int | None = None,
        person: str = "",
        state: str = "",
        after: str | None = None,
        limit: int = LIMIT,
    ) -> Slice[Page]:
        """The page ledger, newest first."""
        where = [tables.pages.c.incident == incident] if incident is not None else []
        if person:
            where.append(tables.pages.c.person == person)

        def keep(page: Page) -> bool:
            return not state or page.state == state

        return self._page(
            self._by_id(tables.pages, where),
            _page.decode,
            place_of(after),
            capped(limit),
            keep if state else None,
        )

    def latest_pages(self, incidents: Sequence[int], each: int) -> dict[int, list[Page]]:
        """The newest rows of the ledger for each of some incidents, newest first, by one question to the database."""
        pages = tables.pages
        place = func.row_number().over(partition_by=pages.c.incident, order_by=pages.c.id.desc()).label("place")
        ranked = (
            select(pages.c.incident, pages.c.id, pages.c.body, place)
            .where(*self._here(pages), pages.c.incident.in_(incidents))
            .subquery()
        )
        newest = select(ranked.c.incident, ranked.c.body).where(ranked.c.place <= each).order_by(ranked.c.id.desc())
        found: dict[int, list[Page]] = {}
        with self._snapshot() as connection:
            for number, body in connection.execute(newest):
                found.setdefault(number, []).append(_page.decode(body))
        return found

    def told_with(self, page: Page) -> dict[int, Brief]:
        """What the message told of that a page went in, by the row of the ledger that each was told by. What was opened
        again since is left out, but for the page's own.
        """
        first = page if page.id == page.bundle else self.page(page.bundle)
        ids = first.bundled if first is not None else ()
        rows, over = tables.pages, tables.incidents
        asked = select(rows.c.id, rows.c.body, over.c.body).join(over, over.c.number == rows.c.incident)
        asked = asked.where(*self._here(rows), *self._here(over))
        with self._snapshot() as connection:
            found = {
                id: (_written.decode(row).intended_at, _brief.decode(body))
                for at in range(0, len(ids), TOLD_AT_ONCE)
                for id, row, body in connection.execute(asked.where(rows.c.id.in_(ids[at : at + TOLD_AT_ONCE])))
            }
        return {id: one for id, (at, one) in found.items() if id == page.id or not opened_after(one.reopened_at, at)}

    def page(self, number: int) -> Page | None:
        """One row of the ledger."""
        return self._one(tables.pages, tables.pages.c.id == number, _page.decode)


def _itself(one: Alert) -> Alert:
    return one


def _named(playbook: str, service: str) -> list[tuple[Column[str], str]]:
    return [(tables.runs.c.playbook, playbook), (tables.runs.c.service, service)]


_brief = msgspec.json.Decoder(Brief)
_written = msgspec.json.Decoder(_Written)
_entry = msgspec.json.Decoder(Entry)
_silence = msgspec.json.Decoder(Silence)
_imported = msgspec.json.Decoder(Imported)
_override = msgspec.json.Decoder(Override)
_run = msgspec.json.Decoder(Run)
_step = msgspec.json.Decoder(Step)
_standing = msgspec.json.Decoder(Standing)
_parked = msgspec.json.Decoder(Parked)
_change = msgspec.json.Decoder(HeardChange)
_heartbeat = msgspec.json.Decoder(Heartbeat)
_page = msgspec.json.Decoder(Page)
