"""A writer on a real SQLite that fails when told to, driven turn by turn with a clock by hand."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from tests.engine.world import PLAN, START, dump, plan_of
from tocsin.engine.engine import Engine
from tocsin.engine.inputs import AnyInput, PlanChange, Received
from tocsin.engine.state import Changes, Counters, Loaded, State
from tocsin.intake.request import Request
from tocsin.intake.sources import SOURCES
from tocsin.kernel.instant import SECOND, Duration, Instant, format_rfc3339
from tocsin.pages.ledger import Page
from tocsin.plan.model import Plan
from tocsin.runtime.jobs import Committed, Job
from tocsin.runtime.writer import Writer
from tocsin.store.opening import migrate, open_writer, url_for
from tocsin.store.rows import Journaled
from tocsin.store.writer import Store


class HandClock:
    """A clock that goes on when told to."""

    def __init__(self, now: Instant = START) -> None:
        self.wall = now
        self.ran: Duration = 0

    def now(self) -> Instant:
        """The wall clock."""
        return self.wall

    def awake(self) -> Duration:
        """The monotonic one."""
        return self.ran

    def passes(self, time: Duration) -> None:
        """Time passes."""
        self.wall += time
        self.ran += time

    def jumps(self, time: Duration) -> None:
        """The machine slept, or somebody set the clock."""
        self.wall += time


class UncertainStore:
    """A real store whose next commits fail as those of a full disk do: when all was written, before it is kept."""

    def __init__(self, real: Store) -> None:
        self.real = real
        self.failing = 0
        self.unanswered = 0
        """How many next commits succeed, and nobody learns of it."""
        self.refusing: Exception | None = None
        """What commits fail with while the database takes other rows."""
        self.small_too = True
        """Whether small writes between commits fail too."""
        self.loads = 0

    def load(self) -> Loaded:
        """As the real one."""
        self.loads += 1
        return self.real.load()

    def commit(self, journal: Sequence[Journaled], changes: Changes, state: State) -> None:
        """As the real one, or not at all."""
        if self.failing:
            self.failing -= 1
            raise sqlite3.OperationalError("database or disk is full")
        if self.refusing is not None:
            raise self.refusing
        self.real.commit(journal, changes, state)
        if self.unanswered:
            self.unanswered -= 1
            raise sqlite3.OperationalError("disk I/O error")

    def takes_nothing(self, error: Exception) -> bool:
        """As the real one."""
        return self.real.takes_nothing(error)

    def no_room(self, error: Exception) -> bool:
        """As the real one."""
        return self.real.no_room(error)

    def resume(self) -> Counters:
        """As the real one."""
        return self.real.resume()

    def journal(self, after: int = 0) -> Iterator[Journaled]:
        """As the real one."""
        return self.real.journal(after)

    def plan_files(self, version: str) -> Mapping[str, bytes] | None:
        """As the real one."""
        return self.real.plan_files(version)

    def meta(self, name: str) -> bytes | None:
        """As the real one."""
        return self.real.meta(name)

    def set_meta(self, name: str, value: bytes) -> None:
        """As the real one, or not at all."""
        if self.failing and self.small_too:
            raise sqlite3.OperationalError("database or disk is full")
        self.real.set_meta(name, value)

    def housekeep(self, now: Instant) -> None:
        """As the real one."""
        self.real.housekeep(now)

    @property
    def safe_until(self) -> float:
        """As the real one."""
        return self.real.safe_until

    def close(self) -> None:
        """As the real one."""
        self.real.close()


def open_store(data: Path) -> UncertainStore:
    """A migrated SQLite in a folder."""
    url = url_for(data)
    migrate(url)
    return UncertainStore(open_writer(url, "test"))


class Stage:
    """A writer whose turns a test takes itself, and all that it told."""

    def __init__(self, data: Path, plan: bytes = PLAN) -> None:
        self.store = open_store(data)
        self.clock = HandClock()
        self.told: list[Committed] = []
        self.plan = plan_of(plan)
        self.writer = Writer(self.store, self.plan, SOURCES, self.clock, self._committed, self._fatal)
        self.writer._event = _NoWaiting()  # type: ignore[assignment]  # a turn that waits for better times need not here
        self.answers: list[Job] = []
        self.asks(PlanChange(self.plan.version), plan=self.plan)
        self.turns()
        self.told.clear()

    def _committed(self, committed: Committed, engine: Engine) -> None:
        self.told.append(committed)
        for job in committed.jobs:
            if job.done is not None:
                job.done(job)

    def _fatal(self, error: BaseException) -> None:
        raise error

    def asks(self, input: AnyInput, plan: Plan | None = None, until: Duration = 0) -> Job:
        """Something urgent waits."""
        job = Job(input, self.answers.append, plan=plan, files={} if plan else None, until=until)
        self.writer.urgent(job)
        return job

    def hears(self, *names: str, **labels: str) -> Job:
        """A request with some alerts waits."""
        job = Job(received(self.clock.now(), *names, **labels), self.answers.append, size=1_000)
        self.writer.intake(job, self.clock.now())
        return job

    def turn(self) -> None:
        """One turn."""
        self.writer._turn()

    def turns(self, most: int = 50) -> int:
        """Turns until nothing waits, nothing is due and everything is written; how many there were.

        While the database takes nothing a second goes by with each.
        """
        for number in range(most):
            if self.writer._away is not None:
                self.clock.passes(SECOND)
            due = self.writer.engine.next_due()
            waits = self.writer._waiting or self.writer._unjudged or self.writer._away
            if not waits and (due is None or due > self.writer._now()):
                return number
            self.turn()
        raise AssertionError(f"still busy after {most} turns: {self.waits()}")

    def waits(self) -> list[Any]:
        """What waits."""
        return [job.input for job in (*self.writer._waiting.urgent, *self.writer._waiting.intake)]

    @property
    def state(self) -> State:
        """What the engine knows."""
        return self.writer.engine.state

    @property
    def journal(self) -> list[AnyInput]:
        """Every input that was kept."""
        return [row.input for row in self.store.real.journal()]

    def pages(self, kept: bool = True) -> list[Page]:
        """Those handed over since the start."""
        return [page for one in self.told if one.kept is kept for page in one.changes.deliver.values()]

    def stands(self, timers: bool = True) -> None:
        """What is in memory is what the tables say; without ``timers`` one may have been passed over."""
        tables = dump(Engine(self.store.real.load(), self.plan, SOURCES).state)
        memory = dump(self.state)
        if not timers:
            del tables["due"], memory["due"]
        assert memory == tables


class _NoWaiting:
    def wait(self, seconds: float | None = None) -> bool:
        return True

    def set(self) -> None:
        pass

    def clear(self) -> None:
        pass


def received(now: Instant, *names: str, service: str = "inbox", **labels: str) -> Received:
    """A request in the form of Tocsin's own events."""
    return Received(
        0, service, now, Request(source="events", method="POST", path="/api/events", body=events(now, names, labels))
    )


def events(now: Instant, names: Iterable[str], labels: Mapping[str, str] | None = None) -> bytes:
    """The body of such a request: one firing alert for each name."""
    return msgspec.json.encode(
        {
            "events": [
                {
                    "title": f"{name} fires",
                    "severity": "critical",
                    "labels": {"alertname": name, "severity": "critical", **(labels or {})},
                    "starts_at": format_rfc3339(now),
                }
                for name in names
            ]
        }
    )
