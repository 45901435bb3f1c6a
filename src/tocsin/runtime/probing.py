"""The loop that keeps probes looking: each in its own time, none in another's way."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Mapping

import structlog

from tocsin.intake.checked import Checked, Measured, Probe, alert_key, as_event
from tocsin.intake.event import Event
from tocsin.intake.specs import ProbeSpec
from tocsin.kernel.identity import identity
from tocsin.kernel.instant import SECOND, Duration, Instant
from tocsin.kernel.outside import Outside
from tocsin.playbooks.evidence import Series
from tocsin.runtime.begun import ended

AT_ONCE = 64
REMEMBERED = 120
"""So many measurements of each probe are kept in mind."""
_SLOW_LANE = AT_ONCE // 4
_SLOW = 1.0  # seconds
_HELD_UP = 6.0
"""Seconds. What ends so long after its deadline stood still with this whole process, and says nothing of its target."""
_FIRST_WITHIN: Duration = 10 * SECOND

Submit = Callable[[ProbeSpec, Event], Awaitable[None]]

log = structlog.get_logger(__name__)


class _Watch:
    """One probe, and what is known of it."""

    def __init__(self, spec: ProbeSpec) -> None:
        self.spec = spec
        self.task: asyncio.Task[None] | None = None
        self.failures = 0
        self.since: Instant | None = None  # the first of the failures in a row
        self.told: str | None = None  # the state last heard above; None: nothing yet
        self.slow = False
        self.last: Checked | None = None
        self.measured: deque[tuple[Instant, Measured]] = deque(maxlen=REMEMBERED)
        self.gaps: deque[tuple[Instant, Instant]] = deque(maxlen=REMEMBERED)  # see evidence.Series

    def took(self, checked: Checked, now: Instant) -> None:
        """A look is over. What it measured is remembered, or that it measured nothing."""
        silent = self.last is not None and self.last.measured is None and bool(self.gaps)
        if silent:
            self.gaps[-1] = (self.gaps[-1][0], now)
        elif checked.measured is None:
            self.gaps.append((now, now))
        if checked.measured is not None:
            self.measured.append((now, checked.measured))
        self.last = checked


class Prober:
    """Runs every probe of the plan until it is cancelled.

    A probe starts at a moment of its own (by its name, so that all do not look at once and a restart changes nothing),
    looks every ``spec.every`` and never overlaps itself. At most 64 look at once; those that were slow the last time
    share a quarter of the places, so a dead network cannot keep the others waiting. ``spec.failures`` in a row make an
    Event, one success another; an Event leaves only when the state is not the one last submitted, and once after the
    start whatever it is, which puts right what was missed. A submit that raises is tried again with the next look.
    """

    def __init__(
        self,
        specs: Iterable[ProbeSpec],
        submit: Submit,
        *,
        probes: Mapping[str, Probe],
        outside: Outside,
        now: Callable[[], Instant],
    ) -> None:
        """``probes``: the register of the plug folder, by kind."""
        self._submit, self._probes, self._outside, self._now = submit, probes, outside, now
        self._specs = {alert_key(spec): spec for spec in specs}
        self._watches: dict[str, _Watch] = {}
        self._farewells: set[asyncio.Task[None]] = set()
        self._quick, self._slow = asyncio.Semaphore(AT_ONCE - _SLOW_LANE), asyncio.Semaphore(_SLOW_LANE)
        self._running = False

    @property
    def latest(self) -> dict[str, Checked]:
        """What each probe found last, by ``service/name``; those that have not looked yet are missing."""
        return {key: watch.last for key, watch in self._watches.items() if watch.last is not None}

    def measured(self, service: str) -> tuple[Series, ...]:
        """What the probes of a service measured lately, a series each; after a restart it begins anew."""
        found = []
        for key, watch in self._watches.items():
            if watch.spec.service == service and watch.measured:
                newest = watch.measured[-1][1]
                points = tuple((at, one.value) for at, one in watch.measured)
                silent = watch.last is not None and watch.last.measured is None
                gaps = tuple(gap for gap in watch.gaps if gap[1] > points[0][0])
                found.append(Series(key, newest.what, newest.unit, newest.limit, silent, points, gaps))
        return tuple(found)

    async def run(self) -> None:
        """Probe until cancelled."""
        self._running = True
        try:
            self._arrange()
            await asyncio.Event().wait()
        finally:
            self._running = False
            tasks = [watch.task for watch in self._watches.values() if watch.task is not None]
            await ended((*tasks, *self._farewells))
            self._watches.clear()

    def replace(self, specs: Iterable[ProbeSpec]) -> None:
        """Probe these from now on. Probes that did not change keep going and keep their counts.

        A probe that is gone while its alert fires is said to have ended: nothing else could end it.
        """
        self._specs = {alert_key(spec): spec for spec in specs}
        if self._running:
            self._arrange()

    def _arrange(self) -> None:
        for key, watch in list(self._watches.items()):
            wanted = self._specs.get(key)
            if wanted == watch.spec:
                continue
            del self._watches[key]
            if watch.task is not None:
                watch.task.cancel()
            if wanted is None and watch.told != "resolved":
                farewell = asyncio.create_task(self._farewell(watch.spec), name=f"farewell {key}")
                self._farewells.add(farewell)
                farewell.add_done_callback(self._farewells.discard)
        for key, spec in self._specs.items():
            if key not in self._watches:
                watch = self._watches[key] = _Watch(spec)
                watch.task = asyncio.create_task(self._keep_looking(watch), name=f"probe {key}")

    async def _keep_looking(self, watch: _Watch) -> None:
        clock = asyncio.get_running_loop().time
        every = max(watch.spec.every, SECOND // 10) / SECOND
        due = clock() + first_after(watch.spec) / SECOND
        while True:
            await asyncio.sleep(max(0.0, due - clock()))
            async with self._slow if watch.slow else self._quick:
                began = clock()
                checked = await self._look(watch.spec)
                took = clock() - began
                watch.slow = took > _SLOW
            if checked.ok or took < watch.spec.timeout / SECOND + _HELD_UP:
                await self._judge(watch, checked)
            # Rounds that passed meanwhile are left out, and the rhythm is kept.
            due += every * max(1, -(-(clock() - due) // every))

    async def _look(self, spec: ProbeSpec) -> Checked:
        probe = self._probes.get(spec.kind)
        if probe is None:
            return Checked(False, f"There is no probe of the kind {spec.kind}")
        try:
            # A probe keeps its own deadline and words; this one is for a probe that does not.
            async with asyncio.timeout(spec.timeout / SECOND + 1):
                return await probe(spec, self._now(), self._outside)
        except TimeoutError:
            return Checked(False, f"The {spec.kind} probe of {spec.target} did not end in {spec.timeout / SECOND:g} s")
        except Exception as error:  # a fault in one probe must neither end its watch nor pass for health
            log.exception("probe_broken", service=spec.service, probe=spec.name)
            return Checked(False, f"The {spec.kind} probe of {spec.target} is broken: {type(error).__name__}")

    async def _judge(self, watch: _Watch, checked: Checked) -> None:
        now, spec = self._now(), watch.spec
        watch.took(checked, now)
        if checked.ok:
            watch.failures, watch.since = 0, None
        else:
            watch.failures += 1
            watch.since = now if watch.since is None else watch.since
            if watch.failures < spec.failures:
                return
        state = "resolved" if checked.ok else "firing"
        if watch.told != state:
            told, watch.told = watch.told, None  # who ends it meanwhile does not know which is heard
            watch.told = state if await self._told(spec, as_event(spec, checked, now, watch.since)) else told

    async def _told(self, spec: ProbeSpec, event: Event) -> bool:
        try:
            await self._submit(spec, event)
        except Exception as error:  # noqa: BLE001  # refused for now, for whatever reason: the next look says it again
            log.warning("probe_event_refused", service=spec.service, probe=spec.name, error=str(error))
            return False
        return True

    async def _farewell(self, spec: ProbeSpec) -> None:
        gone = Checked(True, f"The probe {spec.name} of {spec.service} was taken out of the plan")
        while alert_key(spec) not in self._specs:
            if await self._told(spec, as_event(spec, gone, self._now())):
                return
            await asyncio.sleep(max(spec.every, SECOND) / SECOND)


def first_after(spec: ProbeSpec) -> Duration:
    """How long after the start a probe looks first: by its name, the same on every machine, within ten seconds."""
    return int.from_bytes(identity(spec.service, spec.name)[:8], "little") % max(1, min(spec.every, _FIRST_WITHIN))
