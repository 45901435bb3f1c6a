"""What a node answers while another one writes: pages and lists are shown, everything else is asked to come back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from http import HTTPStatus

from tocsin.engine.commands import AnyCommand, Result
from tocsin.intake.entrances import door, ways_in
from tocsin.intake.request import Reply, Source
from tocsin.kernel.instant import Duration, Instant
from tocsin.oncall.imported import Imported
from tocsin.pages.loops import Loop
from tocsin.runtime.answers import PATH as CALLBACKS
from tocsin.runtime.doors import refusal
from tocsin.runtime.line import Firing, HeardReply, Known, Reloaded, Status, Weighing
from tocsin.runtime.listener import Exchange
from tocsin.runtime.loopback import PATH as LOOPBACK
from tocsin.runtime.metrics import Metrics

COME_BACK = 2
"""Seconds after which a refused sender may try again: by then this node may be the one that writes."""


class Standby:
    """See ``front.Behind``. ``why`` is a sentence of the store's: who writes, or that the database is away."""

    def __init__(
        self, sources: Mapping[str, Source], now: Callable[[], Instant], *, paging: bool, public_url: str
    ) -> None:
        self._sources = sources
        self._ways = ways_in(sources)
        self._now = now
        self._paging = paging
        self._public_url = public_url
        self._started_at = now()
        self._refused = 0
        self._metrics = Metrics(self)
        self.why = "standby: looking who writes"

    def waits(self, why: str) -> None:
        """Why it still stands by. Called from another thread."""
        self.why = why

    def take(self, exchange: Exchange) -> bool:
        """Refuse a monitor's request in its own API's shape, so that its sender tries again or elsewhere.

        What a channel's provider tells is put off too, and a synthetic page that comes back: only the node that writes
        has ears for them.
        """
        if exchange.path.startswith(CALLBACKS) or exchange.path == LOOPBACK:
            later = ("retry-after", str(COME_BACK))
            exchange.answer(Reply(503, f"{self.why}\n".encode(), "text/plain; charset=utf-8", (later,)))
            return True
        name = door(self._ways, exchange.method, exchange.path)
        if name is None:
            return False
        self._refused += 1
        exchange.answer(self._sources[name].refuse(HTTPStatus.SERVICE_UNAVAILABLE, self.why, COME_BACK))
        return True

    def refusal(self, path: str, status: int, message: str) -> Reply | None:
        """What is too large here is too large anywhere."""
        reply = refusal(self._sources, path, status, message)
        self._refused += reply is not None
        return reply

    def faults(self) -> tuple[str, ...]:
        """Why it takes nothing."""
        return (self.why,)

    def remarks(self) -> tuple[str, ...]:
        """Nothing beside that."""
        return ()

    def metrics(self) -> bytes:
        """That it stands by."""
        return self._metrics.text()

    def counts(self) -> dict[tuple[str, str], int]:
        """It decides nothing."""
        return {}

    def loops(self) -> list[Loop]:
        """A standby sends no synthetic pages."""
        return []

    def calendars(self) -> list[Imported]:
        """A standby reads no calendars."""
        return []

    def levels(self) -> dict[str, tuple[float, str]]:
        """What the metrics page shows as levels."""
        return {
            "standby": (1, "1 while another node writes, or the database is not there yet."),
            "requests_refused_total": (self._refused, "Requests of monitors that were refused."),
        }

    async def submit(self, command: AnyCommand, idempotency_key: str = "", until: Duration = 0) -> Result:
        """Nothing is decided here."""
        return Result(ok=False, code="unavailable", message=f"Nothing was changed here. {self.why}")

    async def events(self, service: str, body: bytes, actor: str) -> HeardReply:
        """Nothing is heard here."""
        refusal = self._sources["events"].refuse(HTTPStatus.SERVICE_UNAVAILABLE, self.why, COME_BACK)
        return HeardReply(refusal.status, refusal.body)

    async def reload(self, actor: str, only: str = "") -> Reloaded:
        """The plan in force is the writing node's."""
        return Reloaded(False, False, "", (f"Nothing was changed here. {self.why}",), looked=False)

    def status(self) -> Status:
        """How it is."""
        return Status(
            ready=False,
            paging=self._paging,
            started_at=self._started_at,
            now=self._now(),
            plan_version="",
            real_channel_proven_at=None,
            alerts_live=0,
            incidents_open=0,
            waiting=0,
            audit=self.faults(),
            refused=self._refused,
            public_url=self._public_url,
        )

    async def guards(self, service: str, playbook: str, target: str, run: int) -> Weighing:
        """Nothing is measured here."""
        return Weighing(why=self.why)

    def firing(self, incident: int, newest: int) -> Firing:
        """Nothing is counted here, which is not that nothing fires."""
        return Firing()

    def known(self, token: bytes, user: int) -> Known:
        """Nobody is remembered here."""
        return Known()
