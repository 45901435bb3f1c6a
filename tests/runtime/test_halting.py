"""Runs that are to end: before they have a process, while they wait for their turn, and when they do not listen."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from types import SimpleNamespace
from typing import Any

import pytest

from tests.runtime.test_running import Hands, Scripted
from tocsin.engine.commands import Result
from tocsin.engine.inputs import Reported
from tocsin.engine.running import STOP
from tocsin.kernel.instant import SECOND, Duration
from tocsin.playbooks.confinement import Confine, Unconfined
from tocsin.playbooks.manifest import MANIFEST, Manifest, Manifests, encode_manifests
from tocsin.playbooks.run import Began, Finished, GaveUp, Looking, Report, Returned, Run
from tocsin.playbooks.session import Reply, Stop
from tocsin.playbooks.targets import Target, Targets
from tocsin.runtime import running
from tocsin.runtime.jobs import Job
from tocsin.runtime.running import CUT, Runs

DRAIN = Manifest(name="drain", file="playbooks/drain.py", line=1, function="drain:drain", about="", meaning="m")
FILES = {MANIFEST: encode_manifests(Manifests((DRAIN,)))}


class Slow(Hands):
    """A runner that begins when it is let, and whose processes say nothing until they are ended."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = asyncio.Event()
        self.may = asyncio.Event()

    async def begin(
        self, files: Mapping[str, bytes], run: int, attempt: int, cpu: Duration, confine: Confine | None
    ) -> Scripted:
        self.asked.set()
        await self.may.wait()
        one = Silent(self.says)
        self.begun.append(one)
        return one

    def kill(self, run: int, attempt: int) -> None:
        super().kill(run, attempt)
        for one in self.begun:
            assert isinstance(one, Silent)
            one.over.set()


class Silent(Scripted):
    """Says what it has to say, then nothing, until it is ended or its line is closed."""

    def __init__(self, says: list[Report]) -> None:
        super().__init__(says)
        self.over = asyncio.Event()

    async def report(self) -> Report | None:
        if not self.says:
            await self.over.wait()
        return await super().report()

    async def ended(self) -> tuple[int | None, str, bool]:
        await self.over.wait()
        return -9, "", False

    def close(self) -> None:
        super().close()
        self.over.set()


class Bench:
    """Runs over a state made by hand. ``judge`` answers what is reported."""

    def __init__(self, judge: Callable[[Reported], Result] = lambda told: STOP) -> None:
        self.hands = Slow()
        self.run = Run(number=1, playbook="drain", service="cart", plan="p", started_at=0, deadline=1)
        self.state: Any = SimpleNamespace(runs={1: self.run}, steps={}, incidents={})
        self.told: list[Report] = []
        self.submitted: list[Report] = []

        async def apply(job: Job) -> Job:
            assert isinstance(job.input, Reported)
            self.told.append(job.input.report)
            job.result = judge(job.input)
            return job

        plan: Any = SimpleNamespace(bindings=Targets(()))
        self.runs = Runs(
            self.hands, lambda: self.state, lambda: plan, lambda version: FILES, str, apply, self._submit
        )

    def _submit(self, job: Job) -> None:
        assert isinstance(job.input, Reported)
        self.submitted.append(job.input.report)

    async def over(self) -> None:
        """Wait until none is under way."""
        async with asyncio.timeout(5):
            while self.runs.under_way:
                await asyncio.sleep(0)


async def within(what: Awaitable[Any]) -> None:
    await asyncio.wait_for(what, 5)


async def test_one_that_is_halted_before_it_has_a_process_is_ended_when_it_gets_one() -> None:
    bench = Bench()
    bench.runs.begin(bench.run)
    await within(bench.hands.asked.wait())
    bench.runs.halt(1, 1)
    bench.hands.may.set()
    await bench.over()
    assert len(bench.hands.begun) == 1 and bench.hands.begun[0].closed


async def test_one_whose_time_went_by_while_it_waited_for_its_turn_gets_no_process() -> None:
    bench = Bench()
    bench.hands.may.set()
    bench.runs.begin(bench.run)
    bench.state.runs = {}
    await bench.over()
    bench.run.attempt = 2
    bench.state.runs = {1: bench.run}
    bench.runs.begin(bench.run)
    bench.runs.halt(1, 2)
    await bench.over()
    assert bench.hands.begun == [] and bench.told == []


async def test_one_that_is_told_stop_or_is_over_is_hung_up_on() -> None:
    for says in (Began(1, "fix", "a.drain", "x"), Finished(1, "look", "a.see", "x", True)):
        bench = Bench()
        bench.hands.says = [says]
        bench.hands.may.set()
        bench.runs.begin(bench.run)
        await bench.over()
        (process,) = bench.hands.begun
        assert process.closed and process.says == []
        wanted: list[Reply] = [Stop(STOP.message)] if isinstance(says, Began) else []
        assert process.replies == wanted


async def test_a_process_that_goes_on_knows_which_fixes_were_allowed_and_which_are_in_doubt() -> None:
    bench = Bench()
    bench.run.approved, bench.run.doubt, bench.run.from_step = {"2": "a.drain x"}, ("a.kick y",), 2
    bench.hands.says = [Returned()]
    bench.hands.may.set()
    bench.runs.begin(bench.run)
    await bench.over()
    (process,) = bench.hands.begun
    told = process.told
    assert told is not None
    assert (told.approved, told.doubt, told.since) == ({"2": "a.drain x"}, ("a.kick y",), 2)


@pytest.mark.parametrize(
    ("error", "why"),
    [
        (Unconfined("there is no bubblewrap"), "it was not begun: there is no bubblewrap"),
        (OSError("no memory"), "its process could not be begun: no memory"),
    ],
)
async def test_one_that_gets_no_process_is_no_failure_of_its_playbook(
    monkeypatch: pytest.MonkeyPatch, error: Exception, why: str
) -> None:
    async def refuses(*given: Any) -> Scripted:
        raise error

    bench = Bench()
    monkeypatch.setattr(bench.hands, "begin", refuses)
    bench.runs.begin(bench.run)
    await bench.over()
    assert bench.told == [GaveUp("withheld", why)]


async def test_a_fix_without_a_secret_says_what_is_missing() -> None:
    bench = Bench(lambda told: Result(ok=not isinstance(told.report, GaveUp), reason="go"))
    bench.run.targets = {"pump": "main"}
    target = Target(service="cart", name="main", kind="pump", reading="ro", fixing="rw")

    def secret(name: str) -> str:
        if name == "rw":
            raise LookupError("there is no secret rw")
        return name

    bench.runs._plan = lambda: SimpleNamespace(bindings=Targets([target]))  # type: ignore[assignment,return-value]
    bench.runs._secret = secret
    bench.hands.says = [Began(1, "fix", "a.drain", "x")]
    bench.hands.may.set()
    bench.runs.begin(bench.run)
    await bench.over()
    assert bench.told[1] == GaveUp("withheld", "there is no secret rw")
    assert bench.hands.begun[0].replies == [Stop("there is no secret rw")]


async def test_all_are_ended_before_another_node_may_take_over() -> None:
    """One that waits for its turn is begun no more; both are handed over, and are no failure of their playbook."""
    bench = Bench(lambda told: Result(ok=True))
    bench.runs._turn = asyncio.Semaphore(1)
    other = Run(number=2, playbook="drain", service="cart", plan="p", started_at=0, deadline=1)
    bench.state.runs[2] = other
    bench.hands.may.set()
    safe_until = [time.monotonic() + 1_000]
    for run in (bench.run, other):
        bench.runs.begin(run)
    fence = asyncio.create_task(bench.runs.fence(lambda: safe_until[0]))
    await asyncio.sleep(0)
    async with asyncio.timeout(5):
        while not bench.hands.begun:
            await asyncio.sleep(0)
    assert bench.hands.killed == [], "not while the lease is held"
    safe_until[0] = time.monotonic() - 1
    await bench.over()
    fence.cancel()
    assert len(bench.hands.begun) == 1
    assert bench.told == [GaveUp("cut", CUT)] * 2


@pytest.mark.parametrize("lasts", [True, False])
async def test_a_look_is_written_down_when_it_lasts_or_the_process_ends_in_it(
    monkeypatch: pytest.MonkeyPatch, lasts: bool
) -> None:
    monkeypatch.setattr(running, "WRITTEN_AFTER", 0.01 if lasts else 60.0)
    bench = Bench(lambda told: Result(ok=True))
    first, second = Looking(1, "a.see", "x"), Looking(2, "a.busy", "y", "main")
    bench.hands.says = [first, Finished(1, "look", "a.see", "x", True), second]
    bench.hands.may.set()
    bench.runs.begin(bench.run)
    if lasts:
        async with asyncio.timeout(5):
            while not bench.submitted:
                await asyncio.sleep(0.005)
    else:
        async with asyncio.timeout(5):
            while len(bench.told) < 1:
                await asyncio.sleep(0)
    bench.runs.halt(1, 1)
    await bench.over()
    told = [one for one in [*bench.submitted, *bench.told] if isinstance(one, Looking)]
    assert [one.ordinal for one in told] == [2], "once, and the one that ended is only what it came to"
    assert told[0].since >= (0.01 * SECOND if lasts else 0)
    assert isinstance(bench.told[-1], GaveUp)
