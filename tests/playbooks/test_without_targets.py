"""Guards of a playbook that works on no target, and parameters that are no whole numbers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.engine.world import dump
from tests.playbooks.playground import Level, Playground, Pump, Run, drain, level
from tocsin.engine import weighing
from tocsin.playbooks.language import at_most, playbook, trust


@playbook(name="targetless", trust=trust(start="act"), guards=[at_most(1, per="6h", over="target")])
def targetless(run: Run) -> None:
    run.fix(drain, Pump(name="main"))
    run.verify(level, Pump(name="main"), until=lambda now: now.full < 80, within="1m")


class Anywhere(Playground):
    """What its functions do needs no target of the plan."""

    def fakes(self) -> dict[str, Callable[..., Any]]:
        def drained(pump: Pump) -> int:
            self.done.append("drain")
            return 57

        return super().fakes() | {level.name: lambda pump: Level(20), drain.name: drained}


def test_a_rate_by_target_counts_the_runs_of_a_playbook_that_has_none() -> None:
    world = Anywhere(targetless)
    assert world.runs_by_hand("targetless", role="admin").ok
    assert world.run(1).outcome == "verified", world.run(1).why
    world.at("40m")
    refused = world.runs_by_hand("targetless", role="admin")
    assert (refused.code, world.done) == ("conflict", ["drain"])
    assert "at most 1 runs for this service" in refused.message
    found = weighing.weigh(world.engine.state, world.engine.plan, world.now, "cart", "targetless")
    assert found is not None and (found.each[0].left[2].left, found.each[0].left[2].of) == (0, 1)
    world.at("6h1m")
    assert world.runs_by_hand("targetless", role="admin").ok
    assert dump(world.replayed().state) == dump(world.engine.state)


@playbook(name="by-steps", trust=trust(start="act"))
def by_steps(run: Run, pump: Pump, by: int = 1, share: float = 0.5) -> None:
    assert isinstance(by, int)
    run.look(level, pump)


def test_half_a_number_is_refused_where_a_whole_one_is_meant() -> None:
    world = Playground(by_steps)
    refused = world.runs_by_hand("by-steps", targets={"pump": "main"}, args={"by": "2.5"}, role="admin")
    assert (refused.code, refused.field) == ("invalid", "args")
    assert refused.message == "The parameter by is a whole number"
    given = {"by": "2", "share": "2.5"}
    assert world.runs_by_hand("by-steps", targets={"pump": "main"}, args=given, role="admin").ok
    assert world.rung("by-steps") == "act" and [one.failed for one in world.written.values()] == [False]
