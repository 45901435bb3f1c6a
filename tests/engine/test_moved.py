"""A page follows its contact method: what has not arrived when that leads elsewhere goes there, and nobody else is
woken for it.
"""

from __future__ import annotations

import pytest

from tests.engine.world import World
from tocsin.engine.inputs import Delivered

OLD, NEW = "https://old.example/hook", "https://new.example/hook"
GONE = "the plan no longer has this webhook"


def plan(url: str) -> bytes:
    """Ana is paged by a webhook, and Ben after her."""
    return f"""
tocsin: 1
people:
  ana: {{name: Ana, webhook: {{url: '{url}', secret: 'secret:hook'}}}}
  ben: {{name: Ben, email: ben@shop.example}}
mail: {{server: smtp://localhost:25, from: tocsin@shop.example}}
last resort: ben
escalations: {{shop: [{{page: ana, wait: 10m}}, {{page: ben, wait: 10m}}]}}
services: {{checkout: {{escalation: shop}}, search: {{escalation: shop}}}}
routes: [{{match: ['job="search"'], service: search, group: {{by: [region], window: 5m}}}}]
""".encode()


@pytest.fixture
def world() -> World:
    return World(plan(OLD))


def went(world: World) -> list[tuple[str, str]]:
    """To whom pages went, and where to."""
    return [(person, address) for _, person, address, kind in world.left if kind == "page"]


def test_a_page_on_its_way_to_an_address_that_the_plan_replaces_goes_to_the_new_one(world: World):
    world.answers = lambda page: "never"
    world.fires("Down", service="checkout")
    (page,) = world.rows(1)
    world.put_in_force(plan(NEW))
    world.answers = lambda page: "sent"
    world.apply(Delivered(page.id, "failed", "client", GONE))
    world.at("1s")
    assert went(world) == [("ana", OLD), ("ana", NEW)], "and Ben sleeps on"
    assert (page.state, page.address) == ("sent", NEW)


def test_what_waits_to_be_tried_again_goes_to_the_new_address(world: World):
    world.answers = lambda page: "retry" if page.person == "ana" else "sent"
    world.fires("Down", service="checkout")
    before = went(world)
    world.put_in_force(plan(NEW))
    world.answers = lambda page: "sent"
    world.at("10s")
    assert went(world)[len(before) :] == [("ana", NEW)]


def test_pages_that_wait_to_go_together_go_together_to_the_new_address(world: World):
    world.rules("ana", bundle_after=1)
    for number in range(3):
        world.fires("Down", job="search", region=f"r{number}")
    assert went(world) == [("ana", OLD)]
    world.put_in_force(plan(NEW))
    world.at("5m")
    assert went(world) == [("ana", OLD), ("ana", NEW)]
    assert sorted(world.reached) == [1, 2, 3]


def test_a_start_sends_what_was_on_its_way_to_where_the_plan_says_now(world: World):
    world.answers = lambda page: "never"
    world.fires("Down", service="checkout")
    world.answers = lambda page: "sent"
    world.restarted(plan=plan(NEW))
    assert went(world) == [("ana", OLD), ("ana", NEW)]
    (page,) = world.rows(1)
    assert page.unsure, "it may have left to the old one"


def test_a_page_whose_method_the_plan_drops_goes_by_another_of_the_same_person(world: World):
    world.answers = lambda page: "never"
    world.fires("Down", service="checkout")
    (page,) = world.rows(1)
    hook = f"webhook: {{url: '{OLD}', secret: 'secret:hook'}}".encode()
    world.put_in_force(plan(OLD).replace(hook, b"email: ana@shop.example"))
    world.answers = lambda page: "sent"
    world.apply(Delivered(page.id, "failed", "client", GONE))
    assert went(world) == [("ana", OLD), ("ana", "ana@shop.example")]
