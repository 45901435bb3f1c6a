"""Steps that wait for a page of another step, or of another reason: when that is refused, somebody else is paged."""

from __future__ import annotations

from tests.engine.world import PLAN, World, dump
from tocsin.engine.commands import AddResponders
from tocsin.engine.inputs import Delivered

STEPS = b"{page: ana, wait: 5m}\n    - {page: ben, wait: 10m, repeat: 2}"
AGAIN = PLAN.replace(STEPS, b"{page: ana, wait: 10s}\n    - {page: ana, wait: 15m}\n    - {page: ben, wait: 10m}")


def busy(plan: bytes) -> World:
    """Three pages left to Ana: the fourth waits for half a minute to go with others."""
    world = World(plan)
    for name in "ABC":
        world.fires(name, service="search")
    world.pages.clear()
    world.answers = lambda page: "failed 550" if page.incident == 4 and page.person == "ana" else "sent"
    return world.fires("Down", job="checkout")


def fourth(world: World) -> list[tuple[str, str]]:
    return [(at, person) for at, person, number in world.pages if number == 4]


def test_a_step_that_leans_on_a_page_that_is_refused_is_followed_at_once():
    """The second step pages nobody, for the first one's page still waits: that one's refusal is its own."""
    world = busy(AGAIN).at("11s")
    assert fourth(world) == []
    world.at("1m")
    assert fourth(world) == [("30s", "ana"), ("30s", "ben"), ("30s", "kei")]
    assert any(entry.what == "Step 2 reached nobody" for entry in world.timeline)
    assert dump(world.replayed().state) == dump(world.engine.state)


def test_a_step_of_which_another_is_on_its_way_is_not_followed_before_its_time():
    both = AGAIN.replace(b"{page: ana, wait: 15m}", b"{page: [ana, kei], wait: 15m}")
    world = busy(both).at("2m")
    assert fourth(world) == [("30s", "ana"), ("40s", "kei")]


def test_when_what_took_a_steps_pages_place_is_refused_for_good_the_next_step_is_paged():
    """Ana was asked for help while the page of the first step was on its way."""
    world = World()
    world.answers = lambda page: "never" if page.person == "ana" else "sent"
    world.fires("Down", job="checkout").at("1s")
    assert world.asked(AddResponders(actor="person:ben", incident=1, targets=("person:ana",))).ok
    step, help = [row for row in world.rows(1) if row.person == "ana"]
    world.at("2s").apply(Delivered(step.id, "retry", "server", "503"))
    assert world.rows(1)[0].overtaken_by == help.id
    world.at("3s").apply(Delivered(help.id, "failed", "address", "550"))
    left = [(at, person, kind) for at, person, _, kind in world.left if person != "ana"]
    assert left == [("3s", "ben", "notice"), ("3s", "ben", "page"), ("3s", "kei", "page")], "who asked is told as well"
    assert dump(world.replayed().state) == dump(world.engine.state)


def test_what_waited_from_the_round_before_and_has_left_since_counts_for_the_round_that_leans_on_it():
    """The step is paged twice: for Ana, whose page still waits then, nothing is written down the second time."""
    twice = b"  twice:\n    - {page: [ana, kei], wait: 20s, repeat: 2}\n    - {page: ben, wait: 10m}\nservices:\n"
    plan = PLAN.replace(b"services:\n", twice).replace(b"checkout: {escalation: shop", b"checkout: {escalation: twice")
    world = busy(plan)
    world.answers = lambda page: "never" if page.person == "kei" else "sent"
    world.at("34s")
    *_, again = [row for row in world.rows(4) if row.person == "kei"]
    assert fourth(world) == [("0s", "kei"), ("20s", "kei"), ("30s", "ana")]
    world.apply(Delivered(again.id, "failed", "address", "550"))
    assert not any(entry.what == "Step 1 reached nobody" for entry in world.timeline)
    world.at("39s")
    assert [person for _, person in fourth(world)[3:]] == []
    world.at("1m")
    assert fourth(world)[3] == ("40s", "ben")
