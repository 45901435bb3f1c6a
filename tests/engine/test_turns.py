"""``page one of``: each in turn, by escalation and step, whatever other incidents come between."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from tests.engine.world import World, dump
from tocsin.engine.state import State
from tocsin.escalation.turns import chosen, next_in_turn

PLAN = b"""
tocsin: 1
people:
  ana: {name: Ana, email: ana@shop.example}
  ben: {name: Ben, email: ben@shop.example}
  kei: {name: Kei, email: kei@shop.example}
  zoe: {name: Zoe, email: zoe@shop.example}
mail: {server: smtp://localhost:25, from: tocsin@shop.example}
last resort: ana
escalations:
  support: [{page one of: [ben, zoe], wait: 5m}, {page one of: [ben, kei, zoe], wait: 5m}]
  shop: [{page one of: [ben, zoe], wait: 5m}]
services:
  support: {escalation: support}
  desk: {escalation: support}
  shop: {escalation: shop}
  till: {escalation: shop}
"""


def paged(world: World, *services: str) -> list[str]:
    """Who is paged when each of these services has an incident, a while after the one before."""
    found = []
    for service in services:
        world.fires(f"Down{world.seq}", service=service)
        number = max(world.engine.state.incidents)
        found.append(world.rows(number)[-1].person)
        world.acknowledges(number)
        world.at(f"{world.seq}m")
    return found


def test_turns_go_round_though_another_service_has_every_second_incident():
    world = World(PLAN)
    assert paged(world, "support", "shop", "support", "shop", "support", "shop", "support", "shop") == [
        "ben", "ben", "zoe", "zoe", "ben", "ben", "zoe", "zoe",
    ]  # fmt: skip


def test_services_with_one_escalation_share_its_round():
    assert paged(World(PLAN), "support", "desk", "support", "desk") == ["ben", "zoe", "ben", "zoe"]


def test_each_step_goes_its_own_round():
    world = World(PLAN)
    firsts, seconds = [], []
    for number in range(1, 5):
        world.fires(f"Down{number}", service="support").at(f"{number * 20 - 14}m")
        first, second = (row.person for row in world.rows(number))
        firsts.append(first)
        seconds.append(second)
        world.acknowledges(number)
        world.at(f"{number * 20}m")
    assert firsts == ["ben", "zoe", "ben", "zoe"]
    assert seconds == ["ben", "kei", "zoe", "ben"]


def test_whoever_could_not_be_reached_comes_next_when_they_can_again():
    world = World(PLAN.replace(b"email: zoe@shop.example", b"timezone: UTC"))
    assert paged(world, "support", "support") == ["ben", "ben"]
    world.has("zoe", "https://zoe.example/hook")
    assert paged(world, "support", "support", "support") == ["zoe", "ben", "zoe"]


def test_turns_outlive_a_restart_and_are_the_same_in_a_replay():
    world = World(PLAN)
    assert paged(world, "support") == ["ben"]
    assert dump(State(world.loaded())) == dump(world.engine.state)
    world.restarted()
    assert paged(world, "support") == ["zoe"]
    assert world.replayed().state.counters.rounds == world.engine.state.counters.rounds


def test_a_plan_without_a_step_forgets_its_round():
    world = World(PLAN)
    paged(world, "support", "shop")
    assert set(world.engine.state.counters.rounds) == {"support/1", "shop/1"}
    world.put_in_force(PLAN.replace(b"shop: [{page one of: [ben, zoe], wait: 5m}]", b"shop: [{page: [ben, zoe]}]"))
    assert set(world.engine.state.counters.rounds) == {"support/1"}


@given(st.lists(st.sets(st.sampled_from("abcde"), min_size=1), max_size=40))
def test_nobody_has_two_turns_while_another_who_could_have_one_waits(there: list[set[str]]):
    lately: tuple[str, ...] = ()
    turns = []
    for people in there:
        turns.append(next_in_turn(sorted(people), lately))
        lately = chosen(lately, turns[-1])
    for place, person in enumerate(turns):
        before = max((at for at in range(place) if turns[at] == person), default=None)
        if before is not None:
            assert there[place] <= {person, *turns[before + 1 : place]}, "somebody there waited longer"


def test_a_round_of_the_same_people_is_even():
    lately: tuple[str, ...] = ()
    turns = []
    for _ in range(9):
        turns.append(next_in_turn("abc", lately))
        lately = chosen(lately, turns[-1])
    assert turns == list("abcabcabc")
    assert all(first != second for first, second in pairwise(turns))


def test_a_turn_that_reaches_nobody_is_followed_by_the_next_step_though_the_one_before_has_a_method_to_come():
    """Ben's mail is to leave after two minutes; Zoe's turn, after one, is hers alone."""
    step = b"{page one of: [ben, zoe], wait: 5m},"
    world = World(PLAN.replace(step, step.replace(b"5m", b"1m, repeat: 2")))
    world.has("ben", "https://push.example/ben")
    world.answers = lambda page: "failed address" if page.person == "zoe" else "sent"
    world.fires("Down", service="support").at("1m")
    told = [(at, person) for at, person, _, kind in world.left if kind == "page"]
    assert told[:2] == [("0s", "ben"), ("60s", "zoe")]
    assert ("60s", "ben") in told[2:], "the second step's turn begins with Ben"
