"""Alerts read back from where they lie: rows of their own, blocks they came in, and when they were heard last."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from heapq import heappush, heapreplace
from itertools import chain
from operator import itemgetter
from typing import NamedTuple

import msgspec
from sqlalchemy import Connection, and_, func, literal_column, select

from tocsin.alerts.alert import Alert
from tocsin.store import alert_rows, tables
from tocsin.store.rows import unpack

_FIRING = and_(literal_column("live"), tables.alerts.c.state == "firing")
"""What fires is live. The bare column is what the partial index is made of, so that it is provably enough."""

_alert = msgspec.json.Decoder(Alert)


class Counted(NamedTuple):
    """So many alerts, and the newest of them."""

    alerts: int
    newest: list[Alert]


class Wanted(NamedTuple):
    """Which alerts are asked for, by what there are columns for. ``alert_rows`` says how they lie in the tables."""

    workspace: int
    state: str = ""
    service: str = ""
    incident: int | None = None

    def chunk(self, connection: Connection, before: int | None, count: int) -> list[tuple[int, Alert]]:
        """The newest ``count`` of them with ids below ``before``, newest first, as they were last heard."""
        found = dict(self._own(connection, before, count))
        if self.state in ("", "firing"):
            found.update(self._together(connection, before, count))
        newest = sorted(found.items(), reverse=True)[:count]
        stretches = {id // alert_rows.STRETCH for id, alert in newest if alert.firing}
        table = tables.alert_sightings
        asked = select(table.c.body).where(table.c.workspace == self.workspace, table.c.stretch.in_(stretches))
        for (body,) in connection.execute(asked) if stretches else ():
            seen = alert_rows.read_sightings(unpack(body))
            for _, alert in newest:
                alert_rows.sighted(alert, seen)
        return newest

    def tally(self, connection: Connection) -> int:
        """How many alerts of an incident fire, however many they are."""
        table = tables.alerts
        own = select(func.count()).select_from(table).where(table.c.workspace == self.workspace, _FIRING)
        count = connection.execute(own.where(table.c.incident == self.incident)).scalar_one()
        return int(count) + sum(1 for _ in self._together(connection, None, sys.maxsize))

    def heard(self, connection: Connection, most: int) -> Counted:
        """The firing alerts of an incident that a page is about, and at most ``most`` of them: those that no silence
        covers; where each is covered, all.
        """
        every, heard = _Tally(most), _Tally(most)
        wanted = self._replace(state="firing")
        for _, alert in chain(
            wanted._own(connection, None, sys.maxsize), wanted._together(connection, None, sys.maxsize)
        ):
            every.add(alert)
            if not alert.silences:
                heard.add(alert)
        return (heard if heard.count else every).counted

    def _own(self, connection: Connection, before: int | None, count: int) -> Iterator[tuple[int, Alert]]:
        """Those that have a row of their own."""
        table = tables.alerts
        asked = select(table.c.id, table.c.body).where(table.c.workspace == self.workspace)
        if self.state == "firing":
            asked = asked.where(_FIRING)
        elif self.state:
            asked = asked.where(table.c.state == self.state)
        if self.incident is not None:
            asked = asked.where(table.c.incident == self.incident)
        if self.service:
            asked = asked.where(table.c.service == self.service)
        if before is not None:
            asked = asked.where(table.c.id < before)
        for id, body in connection.execute(asked.order_by(table.c.id.desc()).limit(count)):
            yield id, _alert.decode(body)

    def _together(self, connection: Connection, before: int | None, count: int) -> Iterator[tuple[int, Alert]]:
        """Those that still lie in the block they came in, at least the newest ``count``."""
        table = tables.alert_blocks
        asked = select(table.c.first, table.c.last, table.c.body).where(table.c.workspace == self.workspace)
        if self.incident is not None:
            joined = tables.alert_block_incidents
            asked = asked.join(joined, joined.c.first == table.c.first).where(joined.c.incident == self.incident)
        if before is not None:
            asked = asked.where(table.c.first < before)
        asked = asked.order_by(table.c.first.desc()).execution_options(stream_results=True)
        rows = connection.execute(asked)
        given = 0
        for first, last, body in rows:
            if given >= count:
                rows.close()
                return
            own = select(tables.alerts.c.id).where(tables.alerts.c.id.between(first, last))
            replaced = set(connection.execute(own).scalars())
            for alert in reversed(alert_rows.read_block(unpack(body))):
                if (
                    alert.id not in replaced
                    and (before is None or alert.id < before)
                    and (self.incident is None or alert.incident == self.incident)
                    and (not self.service or alert.service == self.service)
                ):
                    given += 1
                    yield alert.id, alert


class _Tally:
    """Counts alerts, and keeps the newest of them."""

    def __init__(self, most: int) -> None:
        self.count = 0
        self._most = most
        self._newest: list[tuple[int, Alert]] = []

    def add(self, alert: Alert) -> None:
        self.count += 1
        if len(self._newest) < self._most:
            heappush(self._newest, (alert.id, alert))
        elif self._newest and self._newest[0][0] < alert.id:
            heapreplace(self._newest, (alert.id, alert))

    @property
    def counted(self) -> Counted:
        return Counted(self.count, [alert for _, alert in sorted(self._newest, reverse=True, key=itemgetter(0))])
