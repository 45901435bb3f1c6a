"""What the plan asks Tocsin to listen for by itself: probes and heartbeats; and the keys it declares."""

from __future__ import annotations

from msgspec import Struct

from tocsin.access.limits import KeyLimits
from tocsin.kernel.instant import MINUTE, SECOND, Duration
from tocsin.kernel.matcher import Matcher


class ProbeSpec(Struct, frozen=True, kw_only=True):
    """One probe of one service. ``kind`` is one of the register.

    ``options`` are that kind's own, as texts.
    ``title``: what its failure means to people; "": what it found.
    ``failures``: how many failures in a row make an alert. ``timeout`` is never longer than ``every``.
    """

    service: str
    name: str
    kind: str
    target: str
    every: Duration = 30 * SECOND
    timeout: Duration = 5 * SECOND
    failures: int = 2
    severity: str = "critical"
    title: str = ""
    options: dict[str, str] = {}


class CalendarSpec(Struct, frozen=True, kw_only=True):
    """A calendar that is kept elsewhere. ``url`` is the URL, or a reference such as ``secret:team_ics``."""

    name: str
    url: str
    every: Duration = 15 * MINUTE


class HeartbeatSpec(Struct, frozen=True, kw_only=True):
    """A sign of life that must keep coming: every so often, or by a cron line in a zone; late after ``grace``.

    ``title``: what its absence means to people; "": that it is absent.
    ``alert``: matchers of an alert that counts as the sign of life (Prometheus' Watchdog); () for pings.
    """

    service: str
    name: str
    every: Duration = 0
    cron: str = ""
    timezone: str = "UTC"
    grace: Duration = 5 * MINUTE
    severity: str = "critical"
    title: str = ""
    alert: tuple[Matcher, ...] = ()

    @property
    def rule(self) -> str:
        """When it must come, and what counts as it: one text for the same, whatever its absence means."""
        return " ".join(map(str, (self.every, self.cron, self.timezone, self.grace, *self.alert)))


class KeySpec(Struct, frozen=True, kw_only=True):
    """A key that the plan declares by reference: ``secret`` is ``secret:NAME``, never the key itself."""

    source: str
    service: str
    name: str
    secret: str
    limits: KeyLimits = KeyLimits()
