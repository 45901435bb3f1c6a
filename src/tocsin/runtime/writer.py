"""The one writer: a thread that gathers what has come, applies it, commits it, and only then lets anybody be answered.

Requests that wait together share a commit; nothing waits on purpose. The engine belongs to this thread.
While the database takes nothing, judging and paging go on in memory: what was judged is kept in order, and written
down when it can be. Memory is always what the tables say and what is not written yet. Only rows that the database
refuses for what they are cost the engine its memory: it is dropped and read again.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping

import msgspec
import structlog

from tocsin.engine.commands import ANSWERS
from tocsin.engine.engine import Engine, EngineFault
from tocsin.engine.inputs import Decided, Delivered, Quarantine, Received, Tick
from tocsin.engine.state import Changes
from tocsin.intake.request import Source
from tocsin.kernel.instant import MILLISECOND, MINUTE, SECOND, Instant
from tocsin.plan.model import Plan
from tocsin.runtime import points
from tocsin.runtime.away import Away
from tocsin.runtime.clock import Clock
from tocsin.runtime.engine_time import EngineTime
from tocsin.runtime.jobs import Committed, Job
from tocsin.runtime.points import Point
from tocsin.runtime.questions import Look, Questions
from tocsin.runtime.seen import SeenBuffer
from tocsin.runtime.unjudged import Unjudged
from tocsin.runtime.waiting import Waiting
from tocsin.store.rows import Journaled
from tocsin.store.writer import LeaseLost, Store

log = structlog.get_logger("tocsin.writer")

LOWER_LANE_BUDGET = 20 * MILLISECOND
SEEN_EVERY = MINUTE
HOUSEKEEP_EVERY = SECOND // 5
ALIVE_EVERY = 5 * SECOND
MOST_DROPPED = 3
"""After so many batches in a row that were refused for what they are, the database counts as away."""
LAST_CHANCE = 3.0
"""How many seconds an orderly end waits for a database that is away."""
NOTHING_TAKEN = "the database takes nothing at the moment"


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
        self._waiting = Waiting()
        self._questions = Questions()
        self._awake = True
        self._event = threading.Event()
        self._stopping = False
        self._seen_at = self._clock.now()
        self._housekept: Instant = 0
        self._alive_at = self._clock.now()
        self.time = EngineTime(clock, self.engine.state.counters.now)
        self._in_force = plan
        self._unjudged = Unjudged()
        self.due: Instant | None = self.engine.next_due()
        """What is due next. Others look here, for the engine's own timers belong to the writer's thread."""
        self.commits = 0
        self.failures = 0
        """How often in a row the database refused; a small write that it takes sets this back."""
        self.no_room = False
        """Whether it did because the disk is full."""
        self._dropped = 0
        self._away: Away | None = None
        self._unwritten: list[tuple[Journaled, Job]] = []
        """What was judged and is in no table yet, in order."""
        self._untold: list[Job] = []
        self._ended = ""
        """Why nothing is judged any more."""
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
        """Hand in a command, an outcome or another input that goes before intake. It is answered, whatever happens."""
        job.since = self._clock.now()
        self._waiting.urgent.append(job)
        self._heed()

    def intake(self, job: Job, now: Instant) -> None:
        """Hand in a request."""
        job.since = now
        self._waiting.request(job)
        self._heed()

    def _heed(self) -> None:
        """Something was handed in: it is not slept over, and not left where nobody takes it any more."""
        if self._ended:  # it may have ended just before this came
            self._refuse(self._waiting.take_all(), self._ended)
        elif not self._awake:
            self._event.set()

    def overloaded(self, now: Instant) -> bool:
        """Whether more waits than may: requests are refused until it is less."""
        return self._waiting.too_much(now)

    def ask(self, question: Look, ended: Callable[[], None]) -> None:
        """Have something looked up in memory between two turns: see ``Questions.put``."""
        self._questions.put(question, ended)
        if not self._awake:
            self._event.set()

    @property
    def busy(self) -> bool:
        """Whether a request that comes now has to wait for others."""
        return self._awake and bool(self._waiting.intake)

    @property
    def waiting_bytes(self) -> int:
        """How much the requests that wait hold."""
        return self._waiting.bytes

    @property
    def away(self) -> bool:
        """Whether the database takes nothing, and judging goes on in memory."""
        away = self._away
        return away is not None and away.told

    @property
    def unwritten(self) -> int:
        """How many inputs are in memory alone."""
        return len(self._unwritten)

    @property
    def unjudged(self) -> tuple[tuple[str, str], ...]:
        """``(kind, id)`` of timers that cannot be judged and could not be set aside either."""
        return self._unjudged.skip

    @property
    def waiting(self) -> int:
        """How many inputs wait."""
        return len(self._waiting)

    # -- the thread ----------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            while True:
                if not self._busy():
                    if self._stopping:
                        self._flush_seen()
                        self._last_chance()
                        return
                    self._rest()
                self._turn()
        except BaseException as error:  # noqa: BLE001  # the edge of the thread: the core ends with it
            log.critical("writer_stopped", error=repr(error))
            self._end("another node has taken over" if isinstance(error, LeaseLost) else f"it failed: {error}")
            self._fatal(error)
        finally:
            self._end("Tocsin ends")
            self._questions.end()

    def _busy(self) -> bool:
        """Whether something waits that can be judged. Requests of monitors cannot while nothing can be written."""
        waiting = self._waiting
        return bool(waiting.urgent or self._questions or (waiting.intake and self._away is None))

    def _rest(self) -> None:
        """Sleep until something comes or is due. What was handed in meanwhile is never slept over."""
        self._awake = False
        if not (self._busy() or self._stopping):
            now = self._now()
            due = self.due = self.engine.next_due()
            wait = min(max(0, due - now), SECOND) if due is not None else SECOND
            if self._away is not None:
                wait = min(wait, max(0, self._away.try_at - self._clock.awake()))
            self._event.wait(wait / SECOND)
        self._event.clear()
        self._awake = True

    def _now(self) -> Instant:
        return self.time.now(self.engine.state.counters.now)

    def _turn(self) -> None:
        """Gather, apply, commit, tell."""
        now = self._now()
        self._questions.answer(self.engine, now)
        batch = [Job(deaf) for deaf in self.time.unheard()]
        batch += map(Job, self._unjudged.take())
        urgent = self._waiting.urgent
        while urgent:  # before the clock: one of them may say that nothing could be heard
            batch.append(self._waiting.take(urgent))
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
            batch.append(Job(Tick(skip=self._unjudged.skip)))
        if self._away is not None and self._away.told:
            batch += self._own_requests()
        self._apply(batch, now)

    def _apply(self, batch: list[Job], now: Instant) -> None:
        engine, waiting, intake = self.engine, self._waiting, self._waiting.intake
        journal: list[Journaled] = []
        began = self._clock.awake()
        fault: tuple[Job, EngineFault] | None = None
        done: list[Job] = []
        taken = 0
        while True:
            if taken < len(batch):
                job = batch[taken]
                taken += 1
            elif intake and self._away is None and self._clock.awake() - began < LOWER_LANE_BUDGET:
                job = waiting.take(intake)
            else:
                break
            # Once only, and then let go: it names its job, and such a circle would hold all that was sent until the
            # collector comes by, which is after thousands of requests.
            read, job.read = job.read, None
            if read is not None and not read():
                waiting.done((job,))
                continue
            self._seq += 1
            try:
                job.result = engine.apply(self._seq, job.input, now, job.heard, job.plan).result
            except EngineFault as error:
                fault = (job, error)
                done.append(job)
                break
            job.heard = None  # what the next request is read into: memory that the processor still has at hand
            self._keep_files(job)
            journal.append(Journaled(self._seq, now, job.input))
            done.append(job)
        if fault is not None:
            self._set_aside(done + batch[taken:], *fault)
            return
        if done or self._away is not None:
            self._commit(done, journal, now)
        self._housekeep(now)

    def _commit(self, jobs: list[Job], journal: list[Journaled], now: Instant) -> None:
        """Have what was judged written down. What cannot be written stays judged, and waits."""
        self._unwritten += zip(journal, jobs, strict=True)
        self._untold += jobs
        self._waiting.done(jobs)
        if self._away is None or self._clock.awake() >= self._away.try_at:
            self._write(now)
        if self._away is not None and self._away.over(self._clock.awake()):
            self._go_on(self._away)

    def _write(self, now: Instant) -> None:
        """Write down everything that is not written yet, in one commit."""
        try:
            if self._away is not None:
                self._catch_up(self._store.resume().applied)
            if self._unwritten:
                rows = [row for row, _ in self._unwritten]
                points.passed(Point.WRITING, self.engine.changes)
                self._store.commit(rows, self.engine.changes, self.engine.state)
                points.passed(Point.WRITTEN, self.engine.changes)
            else:
                self._store.set_meta("alive_at", str(now).encode())
        except LeaseLost:
            raise
        except Exception as error:  # noqa: BLE001  # whatever the driver raises: nothing was written, or nobody knows
            if self.failures & (self.failures - 1) == 0:  # the first, and then more and more seldom
                log.error("commit_failed", error=repr(error), inputs=len(self._unwritten))
            self.no_room = self.no_room or self._store.no_room(error)
            if self._store.takes_nothing(error) or self._dropped >= MOST_DROPPED:
                self._wait_for_better_times()
            else:
                self._drop(str(error))
            return
        if self._away is not None:
            log.warning("database_back", written=len(self._unwritten))
            self._away = None
        self.commits += 1
        self.failures = self._dropped = 0
        self.no_room = False
        self._in_force = self.engine.plan
        self._unwritten = []
        self._alive_at = now
        jobs, self._untold = self._untold, []
        self._committed(Committed(jobs, self.engine.take()), self.engine)

    def _keep_files(self, job: Job) -> None:
        """A plan that comes into force is kept whole, in the same commit."""
        if job.plan is not None and job.files is not None:
            self.engine.changes.plans[job.plan.version] = job.files

    # -- while nothing can be written ----------------------------------------------------------------------------------

    def _wait_for_better_times(self) -> None:
        self.failures += 1
        if self._away is None:
            self._away = Away(self._clock.awake())
        self._away.failed(self._clock.awake())

    def _go_on(self, away: Away) -> None:
        """Let pages leave unrecorded, and tell whoever waits how it is.

        A page that nobody wrote down is better than one that nobody got. Senders of requests try again, and what they
        say again is recognised.
        """
        told, wanted = self._untold, Changes()
        self._untold = []
        wanted.deliver, self.engine.changes.deliver = self.engine.changes.deliver, {}
        for job in told:
            job.unwritten = True
            job.heard = None  # it is read again if it must be
            if isinstance(job.input, Received) and not _own(job.input):
                job.failed = NOTHING_TAKEN
        first, away.told = not away.told, True  # before whoever waits is answered, and goes on as things are
        if told or wanted.deliver or first:
            self._committed(Committed(told, wanted, kept=False), self.engine)

    def _own_requests(self) -> list[Job]:
        """The requests of Tocsin's own probes, which are judged in memory like timers. The others are refused."""
        own: list[Job] = []
        others: list[Job] = []
        for _ in range(len(self._waiting.intake)):
            job = self._waiting.take(self._waiting.intake)
            (own if isinstance(job.input, Received) and _own(job.input) else others).append(job)
        self._refuse(others, NOTHING_TAKEN, kept=False)
        return own

    def _catch_up(self, applied: int) -> None:
        """The database is back, and holds everything up to ``applied``.

        That may be more than it said: the answer to a commit can get lost. Then memory is read again from the tables.
        """
        if self._unwritten and applied >= self._unwritten[0][0].seq:
            self._reload()

    def _reload(self) -> None:
        """Drop the engine's memory, read it again from the tables, and judge again what they do not hold yet."""
        told = self.engine.changes
        loaded = self._store.load()
        self._seq = loaded.counters.applied
        for _, job in (one for one in self._unwritten if one[0].seq <= self._seq):
            self._in_force = job.plan or self._in_force
        self.engine = Engine(loaded, self._in_force, self._sources)
        self._unwritten = [one for one in self._unwritten if one[0].seq > self._seq]
        for row, job in self._unwritten:
            self._seq = row.seq
            job.result = self.engine.apply(row.seq, row.input, row.at, plan=job.plan).result
            self._keep_files(job)
        state, changes = self.engine.state, self.engine.changes
        pages = (page for id in told.deliver if (page := state.pages.get(id)) and page.state == "intended")
        changes.deliver = {page.id: page for page in pages}  # the others have left
        runs = {(run.number, run.attempt): run for run in state.runs.values() if run.state == "running"}
        begun = (run for one in told.begin.values() if (run := runs.get((one.number, one.attempt))) is not None)
        changes.begin |= {run.number: run for run in begun}
        changes.halt |= {place: None for place in told.halt if place not in runs}

    def _drop(self, why: str) -> None:
        """The database takes other rows, but not these: forget them.

        Requests are refused, for their senders try again; what nobody else would say again is judged again.
        """
        self.failures += 1
        self._dropped += 1
        rows, self._unwritten = self._unwritten, []
        untold, self._untold = self._untold, []
        waiting = set(untold)
        again = [job if job in waiting else Job(job.input, plan=job.plan, files=job.files) for _, job in rows]
        again = [job for job in again if not isinstance(job.input, Received | Tick)]
        # Refused before the reload, which waits for as long as a database is away.
        requests = [job for job in untold if isinstance(job.input, Received)]
        self._refuse(requests, f"the database did not take it: {why}", kept=False)
        self._waiting.urgent.extendleft(reversed(again))  # before what comes meanwhile
        self._reload()

    def _give_up(self, why: str) -> None:
        """What is in memory alone is lost with it: say so of everything that no sender would say again."""
        unwritten, self._unwritten = self._unwritten, []
        for row, _ in unwritten:
            if isinstance(row.input, Delivered) or (
                isinstance(row.input, Decided) and isinstance(row.input.command, ANSWERS)
            ):
                log.error("never_written", at=row.at, input=msgspec.to_builtins(row.input, str_keys=True), why=why)
        untold, self._untold = self._untold, []
        self._refuse(untold, why)

    def _end(self, why: str) -> None:
        """Nothing is judged from now on: everybody who waits is told so, and whoever comes later."""
        if not self._ended:
            self._give_up(why)
            self._ended = f"nothing is judged here any more: {why}"
            self._refuse(self._waiting.take_all(), self._ended)

    def _last_chance(self) -> None:
        """Asked to end while the database is away: try for a moment, then say what is lost."""
        until = self._clock.awake() + int(LAST_CHANCE * SECOND)
        while self._away is not None and self._unwritten and self._clock.awake() < until:
            self._event.wait(0.1)
            self._event.clear()
            self._write(self._now())
        if self._unwritten:
            self._give_up("Tocsin ended while the database was away")

    def _too_late(self, job: Job) -> bool:
        return 0 < job.until <= self._clock.awake()

    def _refuse(self, jobs: list[Job], why: str, kept: bool = True) -> None:
        for job in jobs:
            job.failed = why
        self._waiting.done(jobs)
        if jobs:
            self._committed(Committed(jobs, Changes(), kept), self.engine)

    # -- faults of our own ---------------------------------------------------------------------------------------------

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
                job.input = Tick(job.input.limit, self._unjudged.skip)
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
        """Whether to apply it again, as something that can be judged. If not, whoever waits for it is told."""
        if self._unjudged.put(job, fault):
            return True
        if not isinstance(job.input, Quarantine):
            self._refuse([job], f"judging it failed: {fault.error}")
        self._waiting.done((job,))
        return False

    def _flush_seen(self) -> None:
        seen = self.seen.take()
        if seen:
            self._apply([Job(one) for one in seen], self._now())

    def _housekeep(self, now: Instant) -> None:
        if now - self._housekept < HOUSEKEEP_EVERY or self._away is not None:
            return
        self._housekept = now
        try:
            self._store.housekeep(now)
            if now - self._alive_at >= ALIVE_EVERY:
                self._alive_at = now
                self._store.set_meta("alive_at", str(now).encode())
        except LeaseLost:
            raise
        except Exception as error:  # noqa: BLE001  # work between commits must not end the writer
            log.error("housekeeping_failed", error=repr(error))
            self._wait_for_better_times()


def _own(received: Received) -> bool:
    """Whether a request comes from Tocsin's own probes, which live and die with the memory it is kept in."""
    return received.request.source == "probe"
