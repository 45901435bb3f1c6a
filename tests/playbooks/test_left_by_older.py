"""What runs of an older version left in the midst of a change: their rows say neither what is in doubt nor who settled
it.
"""

from __future__ import annotations

import msgspec
import pytest

from tests.playbooks.playground import kick
from tests.playbooks.test_beside import plain
from tests.playbooks.test_changed_again import LEFT, cut, drains, drops, failed, last, looks, stuck
from tests.playbooks.test_targets_in_turn import Fleet


def upgraded(world: Fleet) -> Fleet:
    """Start again from rows as they were written before a run kept what it left."""
    for number, (kind, raw) in list(world.tables["runs"].items()):
        row = msgspec.json.decode(raw)
        for field in ("settled_by", "unsure", "kept_until"):
            row.pop(field, None)
        world.tables["runs"][number] = (kind, msgspec.json.encode(row))
    world.engine.state.counters.completed = 1
    world.comes_back()
    assert world.engine.state.counters.completed == 2
    return world


def test_the_fix_of_which_nobody_knows_is_refused_after_an_upgrade_too() -> None:
    world = upgraded(cut(plain))
    assert world.run(1).unsure[0].startswith(kick.name)
    assert 1 not in world.engine.state.steps, "nor are its steps kept in mind"
    world.at("1m").fires("Full", instance="a", region="other")
    assert world.done == [] and "run 1 may have done it already" in last(world).why


@pytest.mark.parametrize("how", ["resolved", "by hand"])
def test_what_a_person_settled_before_the_upgrade_asks_nobody_again(how: str) -> None:
    world = cut(plain, drains, looks)
    if how == "resolved":
        world.full["a"] = 40
        assert world.resolves_by_hand(1).ok
        world.at("5m").ends_on("a")
        world.at("10m")
    else:
        assert world.runs_by_hand("looks", targets={"pump": "a"}, role="admin").ok
    upgraded(world)
    assert world.run(1).settled_by and not world.run(1).in_midst
    before = len(world.done)
    assert stuck(world).state == "watching" and len(world.done) == before + 1, last(world).why


@pytest.mark.parametrize("how", ["over", "acknowledged", "by hand before", "by hand elsewhere"])
def test_what_nobody_settled_asks_still(how: str) -> None:
    world = cut(plain, drains, looks) if how != "by hand before" else Fleet(plain, drains, looks)
    match how:
        case "over":
            world.at("1m").ends_on("a")
            world.at("3m")
            assert world.incident(1).state == "resolved"
        case "acknowledged":
            world.acknowledges(1, "1m")
            world.at("1h")
        case "by hand before":
            assert world.runs_by_hand("looks", targets={"pump": "a"}, role="admin").ok
            world.carrier.kill_at = world.carrier.points + 2
            world.full_on("a")
        case "by hand elsewhere":
            assert world.runs_by_hand("looks", targets={"pump": "b"}, role="admin").ok
    upgraded(world)
    done = list(world.done)
    run = stuck(world)
    assert run.state == "asking" and world.done == done
    assert LEFT.replace("run 1", f"run {2 if how == 'by hand before' else 1}") in run.findings


def test_of_an_incident_that_is_forgotten_only_what_is_in_doubt_counts_on() -> None:
    for world, counts in ((failed(drops, drains), False), (cut(plain, drains), True)):
        world.full["a"] = 40
        world.ends_on("a")
        world.at("100h")
        assert 1 not in world.engine.state.incidents
        upgraded(world)
        assert world.run(1).in_midst is counts
        assert stuck(world).state == ("asking" if counts else "watching")
