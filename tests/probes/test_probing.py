"""The loop that keeps probes looking, in virtual time: an hour of probing takes no time at all."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Awaitable, Callable, Coroutine
from itertools import pairwise
from typing import Any

import pytest

from tocsin.intake.checked import Checked, Measured, Probe
from tocsin.intake.event import Event
from tocsin.intake.specs import ProbeSpec
from tocsin.kernel.instant import SECOND, Instant
from tocsin.kernel.outside import Outside
from tocsin.runtime.outbound import Outbound
from tocsin.runtime.probing import AT_ONCE, REMEMBERED, Prober, first_after


class _Hurried(selectors.SelectSelector):
    """Does not wait for what is due later: it moves the clock there."""

    def __init__(self, loop: VirtualLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> Any:
        ready = super().select(0)
        if not ready and timeout is None:
            raise AssertionError("everything waits and nothing is due")
        if not ready and timeout:
            self._loop.now += timeout
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop whose clock jumps to the next thing that is due."""

    now = 0.0

    def __init__(self) -> None:
        super().__init__(_Hurried(self))

    def time(self) -> float:
        return self.now


class Stage:
    """A prober with probes that do as told, and all it said, with the second in which it said it."""

    def __init__(self, specs: list[ProbeSpec], **how: Any) -> None:
        self.ok: dict[str, bool] = {}
        self.takes: dict[str, float] = {}
        self.stands_still: dict[str, float] = {}
        """Seconds in which this whole process is stopped while that probe looks."""
        self.looks: list[tuple[float, str]] = []
        self.busy = 0
        self.most_busy = 0
        self.overlaps = 0
        self.said: list[tuple[float, str, str]] = []
        self.refuse = False
        self.kept_after = 0.0
        """Seconds that the commit of what is said takes."""
        self.events: list[Event] = []
        self._looking: set[str] = set()
        self.prober = Prober(
            specs, self._submit, probes={"fake": self._check}, outside=Outbound(), now=self.wall, **how
        )

    def second(self) -> float:
        return self.loop().time()

    def loop(self) -> VirtualLoop:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        return loop

    def wall(self) -> Instant:
        return int(self.second() * SECOND)

    async def _check(self, spec: ProbeSpec, now: Instant, outside: Outside) -> Checked:
        self.looks.append((self.second(), spec.name))
        self.overlaps += spec.name in self._looking
        self._looking.add(spec.name)
        self.busy += 1
        self.most_busy = max(self.most_busy, self.busy)
        try:
            await asyncio.sleep(self.takes.get(spec.name, 0.01))
            self.loop().now += self.stands_still.pop(spec.name, 0.0)
        finally:
            self.busy -= 1
            self._looking.discard(spec.name)
        looked = len([name for _, name in self.looks if name == spec.name])
        measured = Measured("took", looked, "s", 9) if self.ok.get(spec.name, True) else None
        return Checked(self.ok.get(spec.name, True), f"{spec.name} was looked at", measured=measured)

    async def _submit(self, spec: ProbeSpec, event: Event) -> None:
        if self.refuse:
            raise ConnectionError("503")
        self.events.append(event)
        self.said.append((self.second(), spec.name, event.state))
        await asyncio.sleep(self.kept_after)

    def states(self, name: str) -> list[str]:
        return [state for _, who, state in self.said if who == name]

    async def until(self, second: float) -> None:
        await asyncio.sleep(second - self.second())


def probe(name: str, every: int = 10, failures: int = 2, timeout: int = 5, target: str = "x") -> ProbeSpec:
    return ProbeSpec(
        service="shop",
        name=name,
        kind="fake",
        target=target,
        every=every * SECOND,
        failures=failures,
        timeout=timeout * SECOND,
    )


def virtually(story: Callable[[], Coroutine[Any, Any, None]]) -> None:
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.run(story())


def plays(specs: list[ProbeSpec], script: Callable[[Stage], Awaitable[None]], **how: Any) -> Stage:
    """Run the prober while the script lasts."""
    stages = []

    async def story() -> None:
        stage = Stage(specs, **how)
        stages.append(stage)
        running = asyncio.create_task(stage.prober.run())
        await script(stage)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        assert len(asyncio.all_tasks()) == 1, "every probe ends with the prober"

    virtually(story)
    return stages[0]


def test_the_first_result_is_always_said_and_then_only_changes() -> None:
    async def script(stage: Stage) -> None:
        await stage.until(100)
        assert stage.states("a") == ["resolved"]
        stage.ok["a"] = False
        await stage.until(200)
        stage.ok["a"] = True
        await stage.until(300)

    stage = plays([probe("a")], script)
    assert stage.states("a") == ["resolved", "firing", "resolved"]
    assert len(stage.looks) == 30 or len(stage.looks) == 29


def test_only_failures_in_a_row_fire_and_the_event_says_since_when() -> None:
    async def script(stage: Stage) -> None:
        await stage.until(15)
        for count in range(1, 20):  # every other look fails
            stage.ok["a"] = count % 2 == 0
            await asyncio.sleep(10)
        assert stage.states("a") == ["resolved"]
        stage.ok["a"] = False
        await asyncio.sleep(100)

    stage = plays([probe("a", failures=3)], script)
    assert stage.states("a") == ["resolved", "firing"]
    fired = stage.said[-1][0]
    assert (fired * SECOND - stage.events[-1].starts_at) == pytest.approx(20 * SECOND, abs=SECOND)


def test_a_look_that_failed_because_this_process_stood_still_says_nothing_of_its_target() -> None:
    """A paused container comes back to deadlines that passed long ago."""

    async def script(stage: Stage) -> None:
        await stage.until(15)
        stage.ok["a"], stage.stands_still["a"] = False, 600.0
        await stage.until(620)
        stage.ok["a"] = True
        await stage.until(700)
        assert stage.states("a") == ["resolved"]
        stage.ok["a"] = False
        await stage.until(720)

    assert plays([probe("a", failures=1)], script).states("a") == ["resolved", "firing"]


def test_after_a_restart_a_lasting_failure_is_said_again_and_so_is_health() -> None:
    async def script(stage: Stage) -> None:
        stage.ok["a"] = False
        await stage.until(60)

    for _ in range(2):
        stage = plays([probe("a"), probe("b")], script)
        assert stage.states("a") == ["firing"]
        assert stage.states("b") == ["resolved"]


def test_a_refused_event_is_said_again_with_the_next_look() -> None:
    async def script(stage: Stage) -> None:
        await stage.until(15)
        stage.ok["a"], stage.refuse = False, True
        await stage.until(100)
        assert stage.states("a") == ["resolved"]
        stage.refuse = False
        await stage.until(112)

    assert plays([probe("a")], script).states("a") == ["resolved", "firing"]


def test_a_change_that_was_refused_and_passed_is_not_said_at_all() -> None:
    async def script(stage: Stage) -> None:
        await stage.until(15)
        stage.ok["a"], stage.refuse = False, True
        await stage.until(100)
        stage.ok["a"] = True
        await stage.until(120)
        stage.refuse = False
        await stage.until(200)

    assert plays([probe("a")], script).states("a") == ["resolved"]


def test_starts_are_spread_by_name_and_the_same_every_time() -> None:
    specs = [probe(f"p{number}") for number in range(200)]
    starts = [first_after(spec) for spec in specs]
    assert starts == [first_after(spec) for spec in specs]
    assert all(0 <= start < 10 * SECOND for start in starts)
    per_second = [sum(1 for start in starts if start // SECOND == second) for second in range(10)]
    assert max(per_second) < 60, "not all at once"
    assert first_after(probe("p", every=3600)) < 10 * SECOND, "a restart puts things right soon"


def test_a_probe_never_overlaps_itself_and_keeps_its_rhythm() -> None:
    async def script(stage: Stage) -> None:
        stage.takes["a"] = 5.5  # longer than its period
        await stage.until(100)

    stage = plays([probe("a", every=4)], script)
    assert stage.overlaps == 0
    begun = [second for second, _ in stage.looks]
    assert {round(later - earlier, 6) for earlier, later in pairwise(begun)} == {8.0}


def test_at_most_64_look_at_once() -> None:
    async def script(stage: Stage) -> None:
        stage.takes.update({f"p{number}": 8.0 for number in range(500)})
        await stage.until(120)

    stage = plays([probe(f"p{number}", timeout=9) for number in range(500)], script)
    assert 40 <= stage.most_busy <= AT_ONCE


def test_a_hundred_dead_probes_do_not_delay_a_living_one() -> None:
    dead = [probe(f"dead{number}") for number in range(100)]

    async def script(stage: Stage) -> None:
        stage.takes.update({one.name: 5.0 for one in dead})
        await stage.until(300)

    stage = plays([*dead, probe("alive")], script)
    begun = [second for second, name in stage.looks if name == "alive" and second > 20]
    assert all(later - earlier == pytest.approx(10) for earlier, later in pairwise(begun))
    assert {name for _, name in stage.looks} == {one.name for one in dead} | {"alive"}, "the dead have their turn too"


def test_an_unchanged_probe_keeps_its_count_when_the_plan_changes() -> None:
    kept, changed, gone, new = probe("kept", failures=4), probe("changed", failures=4), probe("gone"), probe("new")

    async def script(stage: Stage) -> None:
        await stage.until(15)
        stage.ok.update(kept=False, changed=False)
        await stage.until(35)  # two failures each
        stage.prober.replace([kept, probe("changed", failures=4, target="elsewhere"), new])
        await stage.until(55)  # two more

    stage = plays([kept, changed, gone], script)
    assert stage.states("kept") == ["resolved", "firing"]
    assert stage.states("changed") == ["resolved"], "another target starts counting anew"
    assert stage.states("new") == ["resolved"]
    assert stage.states("gone") == ["resolved"], "healthy and gone: nothing to say"
    assert not [second for second, name in stage.looks if name == "gone" and second > 35]


def test_a_probe_taken_out_while_it_fires_ends_its_alert() -> None:
    async def script(stage: Stage) -> None:
        stage.ok["a"] = False
        await stage.until(50)
        assert stage.states("a") == ["firing"]
        stage.refuse = True
        stage.prober.replace([])
        await stage.until(75)
        stage.refuse = False
        await stage.until(120)

    stage = plays([probe("a")], script)
    assert stage.states("a") == ["firing", "resolved"]
    assert stage.events[-1].title == "The probe a of shop was taken out of the plan"


def test_a_probe_taken_out_while_its_alert_is_being_written_down_ends_it_too() -> None:
    async def script(stage: Stage) -> None:
        await stage.until(15)
        stage.ok["a"], stage.kept_after = False, 5.0
        while stage.states("a") != ["resolved", "firing"]:
            await asyncio.sleep(1)
        stage.prober.replace([])
        await stage.until(120)

    assert plays([probe("a")], script).states("a") == ["resolved", "firing", "resolved"]


def test_a_probe_put_back_before_its_end_was_said_keeps_firing() -> None:
    async def script(stage: Stage) -> None:
        stage.ok["a"] = False
        await stage.until(50)
        stage.refuse = True
        stage.prober.replace([])
        await asyncio.sleep(1)
        stage.prober.replace([probe("a")])
        await asyncio.sleep(1)
        stage.refuse = False
        await stage.until(120)

    assert plays([probe("a")], script).states("a") == ["firing", "firing"]


def test_a_probe_that_breaks_or_has_no_end_is_a_failure_and_keeps_its_turns() -> None:
    async def breaks(spec: ProbeSpec, now: Instant, outside: Outside) -> Checked:
        raise RuntimeError("a fault in the probe itself")

    async def endless(spec: ProbeSpec, now: Instant, outside: Outside) -> Checked:
        await asyncio.Event().wait()
        raise AssertionError

    said: list[Event] = []

    async def submit(spec: ProbeSpec, event: Event) -> None:
        said.append(event)

    async def story() -> None:
        kinds: dict[str, Probe] = {"breaks": breaks, "endless": endless}
        specs = [
            ProbeSpec(service="s", name=kind, kind=kind, target="t") for kind in ("breaks", "endless", "unknown")
        ]
        clock = asyncio.get_running_loop().time
        prober = Prober(specs, submit, probes=kinds, outside=Outbound(), now=lambda: int(clock() * SECOND))
        running = asyncio.create_task(prober.run())
        await asyncio.sleep(100)
        running.cancel()
        assert len(prober.latest) == 3

    virtually(story)
    assert sorted(event.title for event in said) == [
        "The breaks probe of t is broken: RuntimeError",
        "The endless probe of t did not end in 5 s",
        "There is no probe of the kind unknown",
    ]
    assert {event.state for event in said} == {"firing"}


def test_what_was_measured_lately_is_kept_and_no_more() -> None:
    async def script(stage: Stage) -> None:
        await stage.until(35)
        (early,) = stage.prober.measured("shop")
        assert (early.probe, early.what, early.unit, early.limit) == ("shop/a", "took", "s", 9)
        assert [value for _, value in early.points] == [1, 2, 3] or [value for _, value in early.points] == [1, 2, 3, 4]
        assert stage.prober.measured("elsewhere") == ()
        await stage.until(5_000)
        stage.ok["a"] = False
        await stage.until(5_100)
        (late,) = stage.prober.measured("shop")
        assert len(late.points) == REMEMBERED, "bounded; and what measures nothing, as nothing answers, adds nothing"
        assert late.silent and not early.silent
        assert late.points[-1][0] < 5_001 * SECOND and late.points[-1][1] - late.points[0][1] == REMEMBERED - 1
        ((began, ended),) = late.gaps
        assert late.points[-1][0] < began < ended < 5_101 * SECOND and not late.within
        stage.ok["a"] = True
        await stage.until(5_130)
        (again,) = stage.prober.measured("shop")
        ((same, over),) = again.within
        assert same == began and over in dict(again.points) and not again.silent

    plays([probe("a")], script)
