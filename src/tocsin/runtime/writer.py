"""The one writer: a thread that gathers what has come, applies it, commits it, and only then lets anybody be answered.

Requests that wait together share a commit; nothing waits on purpose. The engine belongs to this thread.
A failed commit is fatal to the engine's memory: it is dropped and read again from the tables.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Mapping
from typing import NamedTuple

import structlog
from msgspec import structs

from tocsin.engine.commands import Result
from tocsin.engine.engine import Engine, EngineFault
from tocsin.engine.inputs import AnyInput, Deaf, Decided, Delivered, PlanChange, Quarantine, Received, Tick
from tocsin.engine.state import Changes
from tocsin.intake.request import Heard, Source
from tocsin.kernel.instant import MILLISECOND, MINUTE, SECOND, Duration, Instant
from tocsin.plan.model import Plan
from tocsin.runtime.clock import Clock
from tocsin.runtime.seen import SeenBuffer
from tocsin.store.rows import Journaled
from tocsin.store.writer import LeaseLost, Store

log = structlog.get_logger("tocsin.writer")

LOWER_LANE_BUDGET = 20 * MILLISECOND
SEEN_EVERY = MINUTE
HOUSEKEEP_EVERY = SECOND // 5
ALIVE_EVERY = 5 * SECOND
JUMPED = 30 * SECOND
MOST_TRIES = 20
FAILURES_BEFORE_PAGING = 3
MOST_WAITING_BYTES = 16 * 1024 * 1024
LONGEST_WAIT = 2 * SECOND
MOST_SKIPPED = 100
LAST_WORD = "fault"
"""The kind of a quarantine that only tells: what it names is no timer of the engine."""


class Job:
    """One input on its way through the writer. ``done`` is called after the commit, on the writer's thread's behalf."""

    __slots__ = ("done", "failed", "files", "heard", "input", "plan", "result", "since", "size", "tries", "until")

    def __init__(
        self,
        input: AnyInput,
        done: Callable[[Job], None] | None = None,
        heard: Heard | None = None,
        plan: Plan | None = None,
        files: Mapping[str, bytes] | None = None,
        size: int = 0,
        until: Duration = 0,
    ) -> None:
        self.input = input
        self.done = done
        self.heard = heard
        self.plan = plan
        self.files = files
        self.size = size
        self.since: Instant = 0
        self.result: Result | None = None
        self.failed = ""
        self.tries = 0
        self.until = until
        """When whoever asked has gone, by the clock's ``awake``; 0: never. What they were told must stay true."""


class Committed(NamedTuple):
    """What one commit did, handed to the event loop."""

    jobs: list[Job]
    changes: Changes
    kept: bool = True
    """False: the commit failed. Only pages are in ``changes`` then, and only when they must go out unrecorded."""


class Writer:
    """Owns the store and the engine from ``start`` until ``stop``."""

    def __init__(
        self,
        store: Store,
        plan: Plan,
        sources: Mapping[str, Source],
        clock: Clock,
        committed: Callable[[Committed, Engine], None],
        fatal: Callable[[BaseException], None],
    ) -> None:
        self._store = store
        self._sources = sources
        self._clock = clock
        self._committed = committed
        self._fatal = fatal
        self.engine = Engine(store.load(), plan, sources)
        self.seen = SeenBuffer()
        self._seq = self.engine.state.counters.applied
        self._urgent: deque[Job] = deque()
        self._intake: deque[Job] = deque()
        self._awake = True
        self._event = threading.Event()
        self._stopping = False
        self._seen_at = self._clock.now()
        self._housekept: Instant = 0
        self._alive_at = self._clock.now()
        self._wall, self._ran = self._clock.now(), self._clock.awake()
        self._paced = self._ran
        self.latest = self.engine.state.counters.now
        self._in_force = plan
        self._faults: list[Quarantine] = []
        self._skip: tuple[tuple[str, str], ...] = ()
        self._bytes_in = self._bytes_out = 0  # each written by one thread only
        self.due: Instant | None = self.engine.next_due()
        """What is due next. Others look here, for the engine's own timers belong to the writer's thread."""
        self.kept_alerts = self.engine.state.counters.alert
        """The newest alert that a commit has made durable. What was applied since may still be dropped."""
        self.commits = 0
        self.failures = 0
        """How often in a row the database refused; a small write that it takes sets this back."""
        self._in_a_row = 0
        self._unrecorded: set[tuple[int, str, int, int]] = set()
        self._thread = threading.Thread(target=self._run, name="tocsin-writer", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """Finish what waits, then end."""
        self._stopping = True
        self._event.set()
        self._thread.join()
        self._store.close()

    def urgent(self, job: Job) -> None:
        """Hand in a command, an outcome or another input that goes before intake."""
        job.since = self._clock.now()
        self._urgent.append(job)
        if not self._awake:
            self._event.set()

    def intake(self, job: Job, now: Instant) -> None:
        """Hand in a request."""
        job.since = now
        self._bytes_in += job.size
        self._intake.append(job)
        if not self._awake:
            self._event.set()

    def overloaded(self, now: Instant) -> bool:
        """Whether more waits than may: requests are refused until it is less."""
        if self.waiting_bytes > MOST_WAITING_BYTES:
            return True
        try:
            return now - self._intake[0].since > LONGEST_WAIT
        except IndexError:
            return False

    @property
    def waiting_bytes(self) -> int:
        """How much the requests that wait hold."""
        return self._bytes_in - self._bytes_out

    @property
    def unjudged(self) -> tuple[tuple[str, str], ...]:
        """``(kind, id)`` of timers that cannot be judged and could not be set aside either."""
        return self._skip

    @property
    def waiting(self) -> int:
        """How many inputs wait."""
        return len(self._urgent) + len(self._intake)

    # -- the thread ----------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            while True:
                if not (self._urgent or self._intake):
                    if self._stopping:
                        self._flush_seen()
                        return
                    self._rest()
                self._turn()
        except BaseException as error:  # noqa: BLE001  # the edge of the thread: the core ends with it
            log.critical("writer_stopped", error=repr(error))
            self._fatal(error)

    def _rest(self) -> None:
        """Sleep until something comes or is due. What was handed in meanwhile is never slept over."""
        self._awake = False
        if not (self._urgent or self._intake or self._stopping):
            now = self._now()
            due = self.due = self.engine.next_due()
            wait = min(max(0, due - now), SECOND) if due is not None else SECOND
            self._event.wait(wait / SECOND)
        self._event.clear()
        self._awake = True

    def _now(self) -> Instant:
        """The instant of what is applied next: never before the last one's.

        When the clock was set back, time goes on at half its pace until the clock has caught up: standing still
        would keep everybody from being paged for that long.
        """
        wall, ran = self._clock.now(), self._clock.awake()
        passed, self._paced = ran - self._paced, ran
        self.latest = max(wall, self.latest + max(0, passed) // 2)
        return max(self.engine.state.counters.now, self.latest)

    def _turn(self) -> None:
        """Gather, apply, commit, tell."""
        now = self._now()
        batch = self._deaf_gap()
        batch += [Job(fault) for fault in self._faults]
        self._faults = []
        while self._urgent:
            batch.append(self._urgent.popleft())  # before the clock: one of them may say that nothing could be heard
        late = [job for job in batch if self._too_late(job)]
        if late:
            self._refuse(late, "it waited for too long")
            batch = [job for job in batch if job not in late]
        due = self.due = self.engine.next_due()
        rings = due is not None and due <= now
        if self.seen and (rings or now - self._seen_at >= SEEN_EVERY):
            self._seen_at = now
            batch += map(Job, self.seen.take())
        if rings:
            batch.append(Job(Tick(skip=self._skip)))
        self._apply(batch, now)

    def _apply(self, batch: list[Job], now: Instant) -> None:
        engine = self.engine
        journal: list[Journaled] = []
        began = self._clock.awake()
        fault: tuple[Job, EngineFault] | None = None
        done: list[Job] = []
        taken = 0
        while True:
            if taken < len(batch):
                job = batch[taken]
                taken += 1
            elif self._intake and self._clock.awake() - began < LOWER_LANE_BUDGET:
                job = self._intake.popleft()
                self._bytes_out += job.size
            else:
                break
            self._seq += 1
            try:
                job.result = engine.apply(self._seq, job.input, now, job.heard, job.plan).result
            except EngineFault as error:
                fault = (job, error)
                done.append(job)
                break
            self._keep_files(job)
            journal.append(Journaled(self._seq, now, job.input))
            done.append(job)
        if fault is not None:
            self._set_aside(done + batch[taken:], *fault)
            return
        if done:
            self._commit(done, journal, now)
        self._housekeep(now)

    def _commit(self, jobs: list[Job], journal: list[Journaled], now: Instant) -> None:
        changes = self.engine.take()
        try:
            self._store.commit(journal, changes, self.engine.state)
        except LeaseLost:
            self._refuse(jobs, "another node has taken over")
            raise
        except Exception as error:  # noqa: BLE001  # whatever the driver raises, nothing was written
            log.error("commit_failed", error=repr(error), inputs=len(jobs))
            self._failed_commit(jobs, changes, str(error))
            return
        self.commits += 1
        self.kept_alerts = self.engine.state.counters.alert
        self.failures = self._in_a_row = 0
        self._in_force = self.engine.plan
        self._unrecorded.clear()
        self._alive_at = now
        self._committed(Committed(jobs, changes), self.engine)

    def _keep_files(self, job: Job) -> None:
        """A plan that comes into force is kept whole, in the same commit."""
        if job.plan is not None and job.files is not None:
            self.engine.changes.plans[job.plan.version] = job.files

    def _failed_commit(self, jobs: list[Job], changes: Changes, why: str) -> None:
        """Requests are refused, for their senders try again. What nobody else would say again is tried again here.

        When the database has not taken anything for a while, pages go out all the same: a page that nobody wrote
        down is better than one that nobody got.
        """
        self.failures += 1
        self._in_a_row += 1
        again = [job for job in jobs if self._again(job)]
        # Refused before the reload, which waits for as long as a database is away.
        self._refuse([job for job in jobs if job not in again], f"the database did not take it: {why}", kept=False)
        self._reload()
        self._urgent.extendleft(reversed(again))  # before what came meanwhile
        if self._in_a_row > FAILURES_BEFORE_PAGING:
            wanted = Changes()
            for page in changes.deliver.values():
                mark = (page.incident, page.person, page.step, page.method)
                if page.incident in self.engine.state.incidents and mark not in self._unrecorded:
                    self._unrecorded.add(mark)
                    wanted.deliver[page.id] = page
            self._committed(Committed([], wanted, kept=False), self.engine)
        self._event.wait(min(0.05 * 2 ** min(self._in_a_row, 6), 2.0))
        self._event.clear()

    def _again(self, job: Job) -> bool:
        """Whether to try again what a commit did not take.

        A person who waits is told after a while; what channels answered and what nobody could hear is kept for as long
        as it takes, except when asked to end.
        """
        if isinstance(job.input, Received | Tick) or self._stopping or self._too_late(job):
            return False
        job.tries += 1
        return job.tries <= MOST_TRIES or not isinstance(job.input, Decided | PlanChange)

    def _too_late(self, job: Job) -> bool:
        return 0 < job.until <= self._clock.awake()

    def _refuse(self, jobs: list[Job], why: str, kept: bool = True) -> None:
        for job in jobs:
            job.failed = why
        if jobs:
            self._committed(Committed(jobs, Changes(), kept), self.engine)

    def _reload(self) -> None:
        """Drop the engine's memory and read it again from the tables."""
        self.engine = Engine(self._store.load(), self._in_force, self._sources)
        self._seq = self.engine.state.counters.applied

    def _set_aside(self, jobs: list[Job], faulty: Job, fault: EngineFault) -> None:
        """Judging failed by a fault of our own.

        Nothing of the batch is lost: apply it again one by one, and the faulty one as something set aside that a
        person is told about.
        """
        self._reload()
        for job in jobs:
            if job is not faulty or self._put_aside(job, fault):
                self._apply_alone(job)

    def _apply_alone(self, job: Job) -> None:
        while True:
            now = self._now()
            self._seq += 1
            if isinstance(job.input, Tick):
                job.input = Tick(job.input.limit, self._skip)
            try:
                job.result = self.engine.apply(self._seq, job.input, now, job.heard, job.plan).result
            except EngineFault as fault:
                self._reload()
                if self._put_aside(job, fault):
                    continue
                return
            self._keep_files(job)
            self._commit([job], [Journaled(self._seq, now, job.input)], now)
            return

    def _put_aside(self, job: Job, fault: EngineFault) -> bool:
        """Turn what could not be judged into something that can, or leave it; says whether to apply it again.

        A request is kept unread. A timer, an outcome or another input of our own is left,
        and becomes a quarantine in the next turn, which pages the last resort. When not even that can be judged,
        the timer is passed over, so that it holds up no other.
        """
        log.error("judging_failed", kind=fault.kind, id=fault.id, error=fault.error)
        why = fault.error[:500]
        match job.input:
            case Received(aside=""):
                job.input = structs.replace(job.input, aside=why)
                job.heard = None
                return True
            case Received() | Decided() | PlanChange():
                self._refuse([job], f"judging it failed: {fault.error}")
            case Quarantine() as one:
                if one.kind != LAST_WORD and (one.kind, one.id) not in self._skip:
                    self._skip = (*self._skip, (one.kind, one.id))[-MOST_SKIPPED:]
                    self._faults.append(Quarantine(LAST_WORD, f"{one.kind} {one.id}", one.error))
            case Delivered():
                self._faults.append(Quarantine("page", str(job.input.page), why))
            case _:
                self._faults.append(Quarantine(fault.kind, fault.id, why))
        return False

    def _deaf_gap(self) -> list[Job]:
        """A suspended machine or a clock that jumped forward is time in which nothing could be heard."""
        wall, ran = self._clock.now(), self._clock.awake()
        gap = (wall - self._wall) - (ran - self._ran)
        start, self._wall, self._ran = self._wall, wall, ran
        return [Job(Deaf(start, wall))] if gap > JUMPED else []

    def _flush_seen(self) -> None:
        seen = self.seen.take()
        if seen:
            self._apply([Job(one) for one in seen], self._now())

    def _housekeep(self, now: Instant) -> None:
        if now - self._housekept < HOUSEKEEP_EVERY:
            return
        self._housekept = now
        try:
            self._store.housekeep(now)
            if now - self._alive_at >= ALIVE_EVERY or self.failures:
                self._alive_at = now
                self._store.set_meta("alive_at", str(now).encode())
                self.failures = 0
        except LeaseLost:
            raise
        except Exception as error:  # noqa: BLE001  # work between commits must not end the writer
            self.failures += 1
            log.error("housekeeping_failed", error=repr(error))
