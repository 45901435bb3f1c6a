"""The loop that reads calendars from elsewhere: each in its own time, within bounds, and told when it is news."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping

import structlog

from tocsin.engine.inputs import CalendarRead
from tocsin.intake.specs import CalendarSpec
from tocsin.kernel.instant import HOUR, MINUTE, SECOND, Instant
from tocsin.kernel.outside import Outside, Unanswered
from tocsin.runtime.begun import ended
from tocsin.runtime.ical import Drawn, NotACalendar, entries

WITHIN = 20.0
READ_WITHIN = 20.0
"""Seconds: for the answer, and for drawing out what it says."""
LONGEST = 4 * 1024 * 1024
AGAIN_AFTER = MINUTE
"""What failed is tried again this soon, then as often as it is read."""
TOLD_AT_LEAST = 6 * HOUR
"""So often it is told that a calendar was read, though it says nothing new: the days that are looked at move on."""

log = structlog.get_logger(__name__)

Submit = Callable[[CalendarRead], Awaitable[None]]


class Calendars:
    """Reads every calendar of the plan until it is cancelled."""

    def __init__(
        self,
        specs: Mapping[str, CalendarSpec],
        submit: Submit,
        *,
        outside: Outside,
        secret: Callable[[str], str],
        now: Callable[[], Instant],
    ) -> None:
        """``secret``: the text a reference stands for; raises LookupError, OSError or ValueError."""
        self._submit, self._outside, self._secret, self._now = submit, outside, secret, now
        self._specs = dict(specs)
        self._tasks: dict[str, tuple[CalendarSpec, asyncio.Task[None]]] = {}
        self._running = False
        self._looked: dict[str, asyncio.Event] = {}
        """By calendar: set when it was looked at since it is in the plan as it is."""
        self._errors: dict[str, str] = {}
        """Why one could not be read when it was looked at last."""

    async def run(self) -> None:
        """Read until cancelled."""
        self._running = True
        try:
            self._arrange()
            await asyncio.Event().wait()
        finally:
            self._running = False
            await ended(task for _, task in self._tasks.values())
            self._tasks.clear()

    def replace(self, specs: Mapping[str, CalendarSpec]) -> None:
        """Read these from now on."""
        self._specs = dict(specs)
        if self._running:
            self._arrange()

    async def faults(self, within: float) -> list[str]:
        """A sentence for each calendar that could not be read when it was looked at last. Those that are new are given
        ``within`` seconds, all together, to be looked at for the first time.
        """
        first = [asyncio.create_task(one.wait()) for one in self._looked.values() if not one.is_set()]
        if first:
            _, late = await asyncio.wait(first, timeout=within)
            for task in late:
                task.cancel()
        waited = {name: "it did not answer yet" for name, looked in self._looked.items() if not looked.is_set()}
        told = sorted((self._errors | waited).items())
        return [f"warning: the calendar {name} cannot be read: {error}" for name, error in told]

    def _arrange(self) -> None:
        for name, (spec, task) in list(self._tasks.items()):
            if self._specs.get(name) != spec:
                task.cancel()
                del self._tasks[name]
                self._looked.pop(name, None)
                self._errors.pop(name, None)
        for name, spec in self._specs.items():
            if name not in self._tasks:
                self._looked[name] = asyncio.Event()
                self._tasks[name] = spec, asyncio.create_task(self._keep_reading(spec), name=f"calendar {name}")

    async def _keep_reading(self, spec: CalendarSpec) -> None:
        told: CalendarRead | None = None
        told_at: Instant = 0
        failures = 0
        while True:
            read = await self.look(spec)
            self._note(spec.name, read.error)
            failures = failures + 1 if read.error else 0
            if read != told or self._now() - told_at >= TOLD_AT_LEAST:
                try:
                    await self._submit(read)
                    told, told_at = read, self._now()
                except Exception:  # the next reading tells it
                    log.exception("calendar_not_told", calendar=spec.name)
            wait = min(spec.every, AGAIN_AFTER * failures) if failures else spec.every
            await asyncio.sleep(wait / SECOND)

    def _note(self, name: str, error: str) -> None:
        """Keep, and log when it is news, whether a calendar can be read."""
        if error and self._errors.get(name) != error:
            log.warning("calendar_unreadable", calendar=name, error=error)
        elif not error and name in self._errors:
            log.info("calendar_readable_again", calendar=name)
        if error:
            self._errors[name] = error
        else:
            self._errors.pop(name, None)
        self._looked[name].set()

    async def look(self, spec: CalendarSpec) -> CalendarRead:
        """Read a calendar once. Whatever goes wrong is what it answers."""
        try:
            url = self._secret(spec.url) if spec.url.startswith("secret:") else spec.url
        except (LookupError, OSError, ValueError) as error:
            return CalendarRead(spec.name, error=str(error.args[0] if error.args else error))
        answer = await self._outside.request("GET", url, within=WITHIN, limit=LONGEST)
        if isinstance(answer, Unanswered):
            return CalendarRead(spec.name, error=f"it did not answer: {answer.error}")
        if answer.status != 200:
            return CalendarRead(spec.name, error=f"it answered {answer.status}")
        if answer.truncated:
            return CalendarRead(spec.name, error=f"it is longer than {LONGEST // 1024 // 1024} MB")
        now = self._now()

        def draw_out() -> Drawn:
            return entries(answer.body, now)

        try:
            drawn = await self._outside.aside(f"calendar:{spec.name}", draw_out, within=READ_WITHIN)
        except NotACalendar as error:
            return CalendarRead(spec.name, error=f"it {error}")
        except TimeoutError:
            return CalendarRead(spec.name, error="it takes too long to draw out")
        except Exception as error:  # a library's fault in one calendar must neither end its watch nor be silent
            log.exception("calendar_fault", calendar=spec.name)
            return CalendarRead(spec.name, error=f"it cannot be read: {type(error).__name__}")
        return CalendarRead(spec.name, drawn.busy, unread=drawn.unread)
