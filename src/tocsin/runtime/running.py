"""Runs of playbooks under way: what the engine wants begun gets a process, and what that says becomes an input.

A step of consequence begins only when it is written down: the answer leaves after the commit. A run that says nothing
more is handed over; a process that nobody waits for any more is ended.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol

import msgspec
import structlog

from tocsin.engine.inputs import Reported
from tocsin.engine.state import State
from tocsin.incidents.incident import Incident
from tocsin.kernel.instant import MINUTE, SECOND, Duration
from tocsin.plan.model import Plan
from tocsin.playbooks import evidence
from tocsin.playbooks.confinement import Confine, Unconfined
from tocsin.playbooks.language import About
from tocsin.playbooks.manifest import confinement_of
from tocsin.playbooks.run import Began, GaveUp, Looking, Printed, Report, Returned, Run, Sampled, Unmatched
from tocsin.playbooks.session import Answered, Go, Reply, Start, Stop, Wait
from tocsin.playbooks.targets import credential
from tocsin.runtime.begun import ended
from tocsin.runtime.jobs import Job

log = structlog.get_logger("tocsin.playbooks")

AT_ONCE = 64
"""So many processes of runs at once; others wait their turn."""
PRINTED = 4_000
FENCE_EVERY = 0.25
WRITTEN_AFTER = 1.0
"""A look that lasts for so many seconds is written down before it ends: should it not, people know where it hung."""
LONGEST_AFTER = 2 * MINUTE
"""So long after a run's end at most it is seen once more what probes measure."""
CUT = "this node lost the database for so long that another one may take over, and two must not do the same"
ORPHANED = "what runs are forked from was ended, as when the machine has no memory left, and its process with it"
UNWRITTEN = "nothing could be written down, so nothing more was begun"


class Process(Protocol):
    """One run's process."""

    async def start(self, start: Start) -> None: ...
    async def report(self) -> Report | None: ...
    async def reply(self, reply: Reply) -> None: ...
    async def ended(self) -> tuple[int | None, str, bool]: ...
    def close(self) -> None: ...


class Runner(Protocol):
    """Begins and ends processes."""

    async def prepare(self, files: Mapping[str, bytes]) -> None: ...
    async def begin(
        self, files: Mapping[str, bytes], run: int, attempt: int, cpu: Duration, confine: Confine | None
    ) -> Process: ...
    def kill(self, run: int, attempt: int) -> None: ...
    def clean(self, text: str, urls: Mapping[str, str]) -> str: ...
    async def close(self) -> None: ...


class NoProcess(Exception):
    """A run cannot be begun, or there is nothing to reach its target with; the message says why. It is no failure of
    the playbook.
    """


class Runs:
    """Carries out what the engine begins."""

    def __init__(
        self,
        runner: Runner,
        state: Callable[[], State],
        plan: Callable[[], Plan],
        files: Callable[[str], Mapping[str, bytes] | None],
        secret: Callable[[str], str],
        apply: Callable[[Job], Awaitable[Job]],
        submit: Callable[[Job], None],
        measured: Callable[[str], tuple[evidence.Series, ...]] = lambda service: (),
    ) -> None:
        """``files``: the files of a plan version. ``secret``: the text behind a reference. ``measured``: what probes of
        a service measured lately.

        ``apply`` has an input judged and answers after the commit; ``submit`` does not wait for that.
        """
        self._runner, self._state, self._plan, self._files = runner, state, plan, files
        self._secret, self._apply, self._submit = secret, apply, submit
        self._measured = measured
        self._turn = asyncio.Semaphore(AT_ONCE)
        self._later: set[asyncio.Task[None]] = set()
        """Runs that are over, of which it is still to be seen what probes measure after them."""
        self._under_way: dict[tuple[int, int], asyncio.Task[None]] = {}
        self._halted: set[tuple[int, int]] = set()
        """Of those under way, the ones that are to end: one may have no process yet that could be ended."""
        self._cut: set[tuple[int, int]] = set()
        """Of those, the ones that another node may go on with."""
        self._looking: dict[tuple[int, int], tuple[Looking, float, asyncio.TimerHandle]] = {}
        """The look that each is in, since when, and what writes it down; none when that is done."""
        self._closing = False

    @property
    def under_way(self) -> int:
        """How many runs have a process, or wait for one."""
        return len(self._under_way)

    def begin(self, run: Run) -> None:
        """Begin a process for a run's attempt."""
        place = (run.number, run.attempt)
        if place in self._under_way:
            return
        if evidence.BEFORE not in self._state().steps.get(run.number, {}):
            self._measure(run, before=True)  # handed in first, so it is written down with what the run says
        task = asyncio.create_task(self._carry(run, run.attempt), name=f"run {run.number}")
        self._under_way[place] = task
        task.add_done_callback(lambda _: self._gone(place))
        task.add_done_callback(lambda _: self._look_after(run))

    def halt(self, run: int, attempt: int) -> None:
        """End a run's process; when it has none yet, it gets none."""
        if (run, attempt) in self._under_way:
            self._halted.add((run, attempt))
            self._runner.kill(run, attempt)

    def _gone(self, place: tuple[int, int]) -> None:
        self._looks_no_more(place)
        self._under_way.pop(place, None)
        self._halted.discard(place)
        self._cut.discard(place)

    def _looks(self, place: tuple[int, int], looking: Looking) -> None:
        self._looks_no_more(place)
        timer = asyncio.get_running_loop().call_later(WRITTEN_AFTER, self._looks_on, place)
        self._looking[place] = (looking, time.monotonic(), timer)

    def _looks_no_more(self, place: tuple[int, int]) -> Looking | None:
        """It is in no look any more. Answers the one it was in, when that is not written down."""
        looking, began, timer = self._looking.pop(place, (None, 0.0, None))
        if looking is None or timer is None:
            return None
        timer.cancel()
        return msgspec.structs.replace(looking, since=int((time.monotonic() - began) * SECOND))

    def _looks_on(self, place: tuple[int, int]) -> None:
        looking = self._looks_no_more(place)
        if looking is not None:
            self._submit(Job(Reported(*place, looking)))

    def _measure(self, run: Run, *, before: bool) -> tuple[evidence.Series, ...]:
        """Have what probes measured until now kept with a run."""
        probe = f"{run.service}/{run.labels.get('probe', '')}"
        found = evidence.kept(self._measured(run.service), probe)
        if found:
            told = Sampled(before, msgspec.json.encode(found).decode(), tuple(map(evidence.said, found)))
            self._submit(Job(Reported(run.number, run.attempt, told)))
        return found

    def _look_after(self, run: Run) -> None:
        now = self._state().runs.get(run.number)
        if now is not None and now.state in ("watching", "ended") and self._measured(run.service) and not self._closing:
            task = asyncio.create_task(self._measure_after(run), name=f"after run {run.number}")
            self._later.add(task)
            task.add_done_callback(self._later.discard)

    async def _measure_after(self, run: Run) -> None:
        """At its end, and once more when probes have looked again."""
        found = self._measure(run, before=False)
        apart = [one.points[-1][0] - one.points[-2][0] for one in found if len(one.points) > 1]
        await asyncio.sleep(min(LONGEST_AFTER, 3 * max(apart, default=MINUTE)) / SECOND)
        self._measure(run, before=False)

    async def fence(self, safe_until: Callable[[], float]) -> None:
        """End all processes in time before another node takes over, which begins runs again that it finds under way.

        ``safe_until``: see ``store.writer.Store``. Goes on until cancelled.
        """
        while True:
            if time.monotonic() > safe_until():
                for place in self._under_way.keys() - self._halted:
                    log.error("run_cut_off", run=place[0], why=CUT)
                    self._cut.add(place)
                    self.halt(*place)
            await asyncio.sleep(FENCE_EVERY)

    def _wanted(self, run: Run, attempt: int) -> bool:
        """Whether a process is still to do this: it may have waited for its turn for long."""
        now = self._state().runs.get(run.number)
        there = now is not None and now.state == "running" and now.attempt == attempt
        return there and (run.number, attempt) not in self._halted

    def call_people(self) -> None:
        """While nothing can be written down nothing is begun: no page waits for a run that has no process."""
        for run in list(self._state().runs.values()):
            if run.state == "running" and (run.number, run.attempt) not in self._under_way:
                self._submit(Job(Reported(run.number, run.attempt, GaveUp("withheld", UNWRITTEN))))

    async def close(self) -> None:
        """End all processes. What they were at goes on, or is handed over, at the next start."""
        self._closing = True
        await ended((*self._under_way.values(), *self._later))
        await self._runner.close()

    async def _carry(self, run: Run, attempt: int) -> None:
        urls: dict[str, str] = {}
        try:
            async with self._turn:
                if not self._wanted(run, attempt):
                    if (run.number, attempt) in self._cut:
                        await self._tell(run, attempt, GaveUp("cut", CUT))
                    return
                urls = self._urls(run, fixing=False)
                process = await self._begun(run, attempt, urls)
                if not self._wanted(run, attempt):
                    self._runner.kill(run.number, attempt)
                try:
                    await self._listen(process, run, attempt, urls)
                finally:
                    process.close()
                status, output, flooded = await process.ended()
        except NoProcess as error:
            await self._tell(run, attempt, GaveUp("withheld", str(error)))
            return
        except Exception as error:  # the edge of a run: whatever went wrong, a person is called
            log.exception("run_fault", run=run.number, playbook=run.playbook)
            self._runner.kill(run.number, attempt)
            await self._tell(run, attempt, GaveUp("lost", f"Tocsin could not carry it out: {type(error).__name__}"))
            return
        if output:
            text = self._runner.clean(output, urls)[:PRINTED]
            await self._tell(run, attempt, Printed(text))
        looking = self._looks_no_more((run.number, attempt))
        if looking is not None:
            await self._tell(run, attempt, looking)
        # Nothing comes of this when it said how it ended, or waits for a person.
        if (run.number, attempt) in self._cut:
            came_to = GaveUp("cut", CUT)
        elif status is None:
            came_to = GaveUp("cut", ORPHANED)
        else:
            came_to = GaveUp("lost", _said(status, flooded))
        await self._tell(run, attempt, came_to)
        log.info("run_process_ended", run=run.number, playbook=run.playbook, status=status)

    async def _begun(self, run: Run, attempt: int, urls: dict[str, str]) -> Process:
        files = await asyncio.to_thread(self._files, run.plan)
        if files is None:
            raise NoProcess(f"the plan {run.plan[:8]} it was begun with is not kept any more")
        try:
            confine = await asyncio.to_thread(confinement_of, files, run.playbook)
            process = await self._runner.begin(files, run.number, attempt, 2 * run.patience, confine)
        except Unconfined as error:
            raise NoProcess(f"it was not begun: {error}") from None
        except Exception as error:  # noqa: BLE001  # whatever keeps a process from beginning, it did not
            raise NoProcess(f"its process could not be begun: {error}") from None
        state = self._state()
        recorded = state.steps.get(run.number, {})
        steps = tuple(recorded[ordinal] for ordinal in sorted(recorded) if evidence.BEFORE < ordinal < evidence.AFTER)
        about = _about(run, state.incidents.get(run.incident))
        start = Start(
            run.playbook, about, run.targets, run.args, dict(urls), steps,
            doubt=run.wary, since=run.from_step, approved=run.approved,
        )  # fmt: skip
        await process.start(start)
        return process

    async def _listen(self, process: Process, run: Run, attempt: int, urls: dict[str, str]) -> None:
        while True:
            try:
                report = await process.report()
            except ValueError as error:
                self._runner.kill(run.number, attempt)
                await self._tell(run, attempt, GaveUp("lost", str(error)))
                return
            if report is None:
                return
            if isinstance(report, Looking):
                self._looks((run.number, attempt), report)
                continue
            self._looks_no_more((run.number, attempt))
            if isinstance(report, Unmatched) and report.error:
                log.warning("rule_error", run=run.number, playbook=run.playbook, why=report.error)
            job = await self._tell(run, attempt, report)
            if not isinstance(report, Began):
                over = job.result is not None and not job.result.ok
                if over or isinstance(report, Returned | Unmatched | GaveUp):
                    return
                continue
            reply, withheld = self._reply(run, report, job)
            if isinstance(reply, Go):
                urls |= {f"{name} (fixing)": url for name, url in reply.urls.items()}
            await process.reply(reply)
            if withheld:
                await self._tell(run, attempt, GaveUp("withheld", withheld))
            if isinstance(reply, Stop | Wait):
                return  # its line is closed behind it: that ends it, whatever its code makes of the answer

    def _reply(self, run: Run, began: Began, job: Job) -> tuple[Reply, str]:
        """The answer; and, when nothing begins that the engine did let begin, why not."""
        result = job.result
        if job.unwritten or job.failed or result is None:
            why = job.failed or UNWRITTEN
            return Stop(why), why
        if not result.ok:
            return Stop(result.message), ""
        match result.reason:
            case "wait":
                return Wait(), ""
            case "answered":
                return Answered(result.message), ""
        try:
            return Go(int(result.id or 0), self._urls(run, fixing=True) if began.verb == "fix" else {}), ""
        except NoProcess as error:
            return Stop(str(error)), str(error)

    async def _tell(self, run: Run, attempt: int, report: Report) -> Job:
        return await self._apply(Job(Reported(run.number, attempt, report)))

    def _urls(self, run: Run, fixing: bool) -> dict[str, str]:
        """The credentials of a run's targets, as the plan in force names them."""
        there = self._plan().bindings.of(run.service)
        found: dict[str, str] = {}
        for name in run.targets.values():
            target = there.get(name)
            if target is None:
                raise NoProcess(f"the plan has no target {name} of {run.service} any more")
            try:
                found[name] = credential(target.fixing if fixing else target.reading, self._secret)
            except LookupError as error:
                raise NoProcess(str(error.args[0])) from None
        return found


def _about(run: Run, incident: Incident | None) -> About:
    return About(
        service=run.service,
        incident=run.incident,
        title=incident.title if incident else "",
        severity=incident.severity if incident else "",
        labels=run.labels,
    )


def _said(status: int, flooded: bool) -> str:
    if flooded:
        return "its process was ended: it printed more than 16 MB"
    if status == -24:
        return "its process was ended: it computed for longer than it may"
    if status < 0:
        return f"its process was ended by signal {-status} before it was done"
    return f"its process ended with code {status} before it was done"
