"""What one more alert of a storm costs: it is not looked again at all that came before it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.playbooks.playground import SERVICE, Playground, Pump, Run, drain, level
from tocsin.engine import apart, choosing, guarding
from tocsin.engine.weighing import MOST_SHOWN, weigh
from tocsin.playbooks.language import blast_radius, playbook, trust
from tocsin.silences.silence import Silence

SPARE = "      spare:"
ONE = SERVICE.replace("service: cart}", "service: cart, group: {by: [region]}}")


def fleet(number: int, more: str = "") -> str:
    """The plan with so many targets more."""
    access = "kind: pump, look with: secret:ro, fix with: secret:rw"
    those = "".join(f"      t{one}: {{{access}, match: ['instance=\"t{one}\"']}}\n" for one in range(number))
    return ONE.replace(SPARE, those + more + SPARE)


@playbook(name="asks-first", answers=['alertname="Full"'], trust=trust(start="ask"))
def asks_first(run: Run, pump: Pump) -> None:
    run.fix(drain, pump)
    run.verify(level, pump, until=lambda now: now.full < 80, within="1m")


@playbook(name="gives-up", answers=['alertname="Full"'], trust=trust(start="act"), guards=[blast_radius(1)])
def gives_up(run: Run, pump: Pump) -> None:
    run.hand_over("nothing is known of it", run.look(level, pump))


def counted(patch: pytest.MonkeyPatch, place: Any, name: str) -> list[int]:
    """How often a function is called from now on, and how much it gives where it gives several."""
    calls, real = [0], getattr(place, name)

    def count(*args: Any) -> Any:
        calls[0] += 1
        found = real(*args)
        return each(found) if isinstance(found, Iterator) else found

    def each(found: Iterator[Any]) -> Iterator[Any]:
        for one in found:
            calls[0] += 1
            yield one

    patch.setattr(place, name, count)
    return calls


def stormy(body: Callable[..., None], name: str, number: int) -> Playground:
    world = Playground(body, rung="", plan=fleet(number))
    world.full |= {f"t{one}": 97 for one in range(number)}
    for one in range(number - 1):
        world.fires(name, instance=f"t{one}", region="eu")
    assert len(world.engine.state.incidents) == 1
    return world


@pytest.mark.parametrize(
    ("body", "name", "number", "works"),
    [
        pytest.param(asks_first, "Full", 40, 1, id="while a run works"),
        pytest.param(gives_up, "Full", 40, 30, id="when code was asked about enough"),
        pytest.param(gives_up, "Other", 40, 0, id="that no playbook answers"),
    ],
)
def test_one_more_alert_is_not_paid_for_by_those_before_it(
    body: Callable[..., None], name: str, number: int, works: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(choosing, "MOST_WORKS", 30)
    world = stormy(body, name, number)
    (incident,) = world.engine.state.incidents.values()
    assert len(incident.works) == works
    turns, heard = counted(monkeypatch, choosing, "_turn_of"), counted(monkeypatch, choosing, "_heard")
    world.fires(name, instance=f"t{number - 1}", region="eu")
    assert world.engine.state.members[incident.number].firing >= {number}
    assert turns[0] + heard[0] < 10, (turns, heard)


def test_what_makes_a_group_unwell_is_looked_for_once_for_all_its_targets(monkeypatch: pytest.MonkeyPatch) -> None:
    both = "      t5: {kind: pump, look with: secret:ro, match: ['instance=\"t5\"', 'role=~\"db|cache\"']}\n"
    world = Playground(gives_up, rung="", plan=fleet(5, both))
    world.silences('instance="t0"', for_="2h")
    world.silences('instance=~"t[12]"', for_="2h")
    world.silences('role=~"db|cache"', for_="2h")
    world.silences('instance="t3"', 'team="shop"', for_="2h")
    world.silences('instance="t4"', for_="2h", after="1h")
    for one in range(40):
        world.silences(f'instance="elsewhere-{one}"', for_="2h")
    asked, named = counted(monkeypatch, apart, "implied"), counted(monkeypatch, guarding, "_named")
    gone_through = counted(monkeypatch, Silence, "state")
    found = weigh(world.engine.state, world.engine.plan, world.now, "cart", "gives-up")
    assert found is not None and len(found.each) == 8 < MOST_SHOWN
    assert gone_through[0] == len(world.engine.state.silences), "once for all of them"
    said = {left.now for one in found.each for left in one.left if left.kind == "blast"}
    assert said == {"4 of 8 not well, 0 being changed, 1 more allowed"}, "t0, t1, t2 and t5 are silenced"
    assert asked[0] <= 2 * 8 * 3, "of a silence of something else nothing is asked: for the guard, and for the target"
    assert named[0] == 1
    alone = [
        weigh(world.engine.state, world.engine.plan, world.now, "cart", "gives-up", one.targets["pump"])
        for one in found.each
    ]
    assert [one.each[0] for one in alone if one is not None] == list(found.each)
