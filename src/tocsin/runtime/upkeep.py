"""How the core looks after itself: it audits itself, says when it was deaf, and shuts intake while nothing is kept."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from pathlib import Path

import structlog

from tocsin.engine.inputs import Deaf
from tocsin.kernel.instant import SECOND, Instant
from tocsin.runtime.audit import Audit, audit
from tocsin.runtime.ballast import Ballast
from tocsin.runtime.clock import Clock
from tocsin.runtime.delivery import Delivery
from tocsin.runtime.doors import Doors
from tocsin.runtime.jobs import Job
from tocsin.runtime.writer import Writer

log = structlog.get_logger("tocsin.core")

AUDIT_EVERY = 15.0
DEAF_EVERY = 30 * SECOND
LOOK_AGAIN = 0.5
"""How often it is looked whether a closed intake can be opened."""


class Upkeep:
    """One per core. ``sound`` is called whenever all is well, ``shut`` again and again while intake is closed."""

    def __init__(
        self,
        writer: Writer,
        doors: Doors,
        delivery: Delivery,
        clock: Clock,
        ballast: Path,
        *,
        sound: Callable[[], None],
        shut: Callable[[], None],
    ) -> None:
        self._writer = writer
        self._doors = doors
        self._delivery = delivery
        self._clock = clock
        self._sound = sound
        self._shut = shut
        self.audit = Audit((), 0)
        self.ballast = Ballast(ballast)
        self.ballast.take()
        self._closed = asyncio.Event()
        """Set while intake is closed."""
        self._held = False
        """The ballast was let go, and is to be taken again."""
        self._deaf_until: Instant = 0

    @property
    def faults(self) -> tuple[str, ...]:
        """What is wrong as far as it has looked; () when nothing is."""
        if not self._doors.full:
            return self.audit.faults
        if self._writer.failures or not self._held:
            why = "the database takes nothing; paging goes on in memory"
        else:
            why = f"the disk was full; {self.ballast.wants} before it is opened again"
        return (f"intake is closed: {why}", *self.audit.faults)

    def close_intake(self) -> None:
        """Take nothing more, for nothing can be written down."""
        if self._doors.full:
            return
        self._doors.full = True
        self._doors.refusing_since = self._doors.refusing_since or self._clock.now()
        self._closed.set()
        log.error("intake_closed", why="the database takes nothing")
        self._make_room()

    def _make_room(self) -> None:
        """On a full disk let the ballast go, so that what pages people can be written down. What else keeps the
        database from taking anything is over when it takes something: room has no part in it.
        """
        if self._doors.full and self._writer.no_room and not self._held and self.ballast.release():
            self._held = True
            log.error("ballast_let_go", why="the disk is full")

    def _open_intake(self) -> None:
        self._make_room()
        if self._doors.full and self._writer.failures == 0 and (not self._held or self.ballast.take()):
            self._doors.full = self._held = False
            self._closed.clear()
            log.warning("intake_open")

    def mind_deafness(self) -> None:
        """While requests are refused nothing can be heard: said when it begins, while it lasts and when it ends.

        So nothing expires meanwhile. An overload that comes and goes counts as one.
        """
        since, now, last = self._doors.refusing_since, self._clock.now(), self._deaf_until
        if since is None or now - last < DEAF_EVERY:
            return
        if not self._doors.full and not self._writer.overloaded(now):
            self._doors.refusing_since = None
        continued = since < last + 2 * DEAF_EVERY
        self._deaf_until = now
        self._writer.urgent(Job(Deaf(last if continued else since, now, continued)))

    async def look(self) -> Audit:
        """The self-audit reads what the writer's thread may be changing: only what it finds twice counts."""
        found: Audit | None = None
        for _ in range(2):
            now = self._clock.now()
            try:
                found = await audit(self._writer, self._delivery, now)
            except Exception as error:  # noqa: BLE001  # half of a change was seen, or the audit itself is at fault
                found = Audit((f"the self-audit failed: {error!r}",), now)
            if not found.faults:
                break
            await asyncio.sleep(0.1)
        assert found is not None
        return found

    async def run(self) -> None:
        """Look after it until cancelled."""
        while True:
            self.audit = await self.look()
            self.mind_deafness()
            if self.audit.faults:
                log.error("audit_failed", faults=list(self.audit.faults))
            self._open_intake()
            if not self.faults:
                self._sound()
            if self._doors.full:
                self._shut()
                await asyncio.sleep(LOOK_AGAIN)
            else:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._closed.wait(), AUDIT_EVERY)
