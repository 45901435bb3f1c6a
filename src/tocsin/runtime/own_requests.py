"""Requests that no monitor sent: what a signed-in person hands in, what probes find, and troubles of Tocsin's own.

They come in as all others do, by the doors; what they say is kept and judged like anything else.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus

import msgspec
import structlog

from tocsin.catalog.services import INBOX
from tocsin.engine.state import State
from tocsin.intake.event import Event
from tocsin.intake.request import Reply, Request, Source
from tocsin.intake.specs import ProbeSpec
from tocsin.kernel.identity import keyed
from tocsin.plan.model import Plan
from tocsin.runtime.clock import Clock
from tocsin.runtime.doors import Doors
from tocsin.runtime.line import HeardReply
from tocsin.runtime.writer import NOTHING_TAKEN

log = structlog.get_logger("tocsin.core")

MOST_FINDINGS = 20


class OwnRequests:
    """Hands them to the doors, and waits for the commit. Runs on the event loop."""

    def __init__(
        self,
        doors: Doors,
        sources: Mapping[str, Source],
        clock: Clock,
        plan: Callable[[], Plan],
        state: Callable[[], State],
    ) -> None:
        self._doors = doors
        self._sources = sources
        self._clock = clock
        self._plan = plan
        self._state = state
        self._loop = asyncio.get_running_loop()

    async def events(self, service: str, body: bytes, actor: str) -> HeardReply:
        """Take events for a service on behalf of a signed-in user."""
        if service not in self._plan().services:
            return HeardReply(404, b'{"type":"about:blank","title":"There is no such service","status":404}')
        source = self._sources["events"]
        self._doors.requests += 1
        if self._doors.full:
            self._doors.refused += 1
            refusal = source.refuse(503, f"{NOTHING_TAKEN}; send it again", 2)
            return HeardReply(refusal.status, refusal.body)
        request = Request(
            source="events",
            method="POST",
            path="/api/events",
            headers={"content-type": "application/json", "x-actor": actor},
            body=body,
        )
        reply = await self._offer(request, source, service)
        return HeardReply(reply.status, reply.body)

    async def probed(self, spec: ProbeSpec, event: Event) -> None:
        """A probe has something to say: it comes in as any other event, on its service."""
        source = self._sources["probe"]
        request = Request(
            source="probe", method="POST", path=f"/{spec.service}/{spec.name}", body=msgspec.json.encode(event)
        )
        reply = await self._offer(request, source, spec.service)
        if reply.status != HTTPStatus.ACCEPTED:
            raise RuntimeError(f"a probe's event was not kept: {reply.status}")

    async def tell_inbox(self, key: str, title: str, alertname: str, what: str, lines: Sequence[str]) -> bool:
        """A trouble of Tocsin's own: it fires with the first ``lines``, and is over when there are none. Says whether
        that was kept.
        """
        known = self._state().known_of("events", INBOX).get(keyed(key))
        if not lines and (known is None or not known.firing):
            return True
        event = {
            "key": key,
            "title": title,
            "state": "firing" if lines else "resolved",
            "labels": {"alertname": alertname},
            "severity": "warning",
            "annotations": {what: "\n".join(lines[:MOST_FINDINGS])[:2000]},
        }
        reply = await self.events(INBOX, msgspec.json.encode(event), "code")
        if reply.status != HTTPStatus.ACCEPTED:
            log.error("inbox_not_told", about=key, status=reply.status)
        return reply.status == HTTPStatus.ACCEPTED

    async def _offer(self, request: Request, source: Source, service: str) -> Reply:
        """Take a request of Tocsin's own or a signed-in user's; answers after the commit."""
        answered: asyncio.Future[Reply] = self._loop.create_future()

        def answer(reply: Reply) -> None:
            if not answered.done():  # whoever asked may have gone
                answered.set_result(reply)

        self._doors.offer(request, source, 0, service, self._clock.now(), answer)
        return await answered
