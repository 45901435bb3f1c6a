"""A change that was cut off in its midst: code does not go on to the next target as if nothing had been."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.engine.world import dump
from tests.playbooks.playground import Pump, Run, drain, kick, level
from tests.playbooks.test_beside import FULL, one_at_a_time, plain
from tests.playbooks.test_targets_in_turn import Fleet
from tocsin.engine.weighing import weigh
from tocsin.playbooks.language import blast_radius, playbook, trust


@playbook(name="two", answers=FULL, trust=trust(start="act"), guards=[blast_radius(2)])
def two(run: Run, pump: Pump) -> None:
    run.fix(kick, pump)
    run.verify(level, pump, until=lambda now: now.full < 80, within="1m")


@playbook(name="other-one", answers=['alertname="Stuck"'], trust=trust(start="act"), guards=[blast_radius(1)])
def other_one(run: Run, pump: Pump) -> None:
    run.fix(drain, pump)
    run.verify(level, pump, until=lambda now: now.full < 80, within="1m")


def cut_off(*playbooks: Callable[..., None], hosts: str = "abc") -> Fleet:
    """Alerts about several targets come together, and Tocsin is killed in the midst of the first one's fix."""
    world = Fleet(*playbooks)
    world.carrier.kill_at = 2  # the fix is written down as begun
    world.full_together(*hosts)
    first = world.run(1)
    assert (first.outcome, first.unproven, first.failed) == ("handed_over", True, False)
    assert world.rung(first.playbook) == "act", "it is no failure of the playbook"
    return world


def test_one_at_a_time_is_none_beside_one_that_was_left_half_changed() -> None:
    world = cut_off(one_at_a_time)
    assert world.done == [] and world.outcomes == ["handed_over", "blocked", "blocked"]
    assert world.run(2).why == (
        "1 of 8 targets are being changed, at most 1 may; run 1 left a in the midst of a change: continue it, or take"
        " it over"
    )
    assert [page[1] for page in world.pages] == ["ana"]
    assert dump(world.replayed().state) == dump(world.engine.state)


def test_of_two_at_a_time_the_next_is_asked_about_whatever_the_trust() -> None:
    world = cut_off(two)
    assert world.done == [] and world.run(2).state == "asking"
    assert "It asks because run 1 left a in the midst of a change that nothing verified" in world.run(2).findings
    world.says(2, "yes")
    assert world.done == ["kick"] and world.run(2).state == "watching"
    assert world.run(3).state == "asking", "one yes is for one fix"


def test_without_a_blast_radius_it_is_asked_about_too() -> None:
    world = cut_off(plain)
    assert world.done == [] and world.run(2).state == "asking"
    world.says(2, "no")
    assert world.done == []


def test_killed_again_and_again_it_begins_no_other() -> None:
    world = cut_off(plain)
    world.carrier.kill_at = world.carrier.points + 2
    world.says(2, "yes")
    assert world.run(2).outcome == "handed_over" and world.run(2).unproven
    assert world.run(3).state == "asking" and world.done == []


@pytest.mark.parametrize("how", ["resumes", "by hand", "beside it", "takes over", "gives back", "over"])
def test_it_counts_until_a_person_goes_on_there_or_the_incident_is_over(how: str) -> None:
    world = cut_off(one_at_a_time, other_one)
    world.at("1m").fires("Stuck", instance="d", region="other")
    assert world.run(4).outcome == "blocked", "another incident's counts as well"
    match how:
        case "resumes":
            assert world.resumes(1, word="again").ok
        case "by hand":
            assert world.runs_by_hand("one-at-a-time", incident=1, targets={"pump": "a"}, role="admin").ok
        case "beside it":
            assert world.runs_by_hand("one-at-a-time", targets={"pump": "a"}, role="admin").ok
        case "takes over" | "gives back":
            assert world.takes_over(1).ok
            assert how == "takes over" or world.gives_back(1).ok
        case "over":
            world.at("2m").ends_on("a", "b", "c")
            world.at("20m")
            assert world.incident(1).state == "resolved"
    world.at("30m").fires("Stuck", instance="e", region="another")
    last = world.run(max(world.written))
    assert last.targets == {"pump": "e"} and last.outcome != "blocked", last.why
    assert "drain" in world.done
    assert dump(world.replayed().state) == dump(world.engine.state)


def test_what_is_left_of_it_is_shown_as_it_is_refused() -> None:
    world = cut_off(one_at_a_time)
    took = {left.kind: left.now for left in world.run(1).took}
    assert took["blast"] == "holds 1 until a person goes on there, or the incident is over"
    found = weigh(world.engine.state, world.engine.plan, world.now, "cart", "one-at-a-time", "b")
    assert found is not None
    blast = next(left for left in found.each[0].left if left.kind == "blast")
    assert blast.now == "3 of 8 not well, 1 being changed, 0 more allowed" and blast.no == world.run(2).why
