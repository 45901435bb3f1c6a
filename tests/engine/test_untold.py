"""Whoever has an incident that becomes more than it was hears of it by some method, or it is as if nobody had it."""

from __future__ import annotations

import pytest

from tests.engine.test_reach import PUSH
from tests.engine.test_snoozes import alike
from tests.engine.world import World
from tocsin.engine.commands import Acknowledge

MAIL = "ana@shop.example"


def _taken(*bad: str, answer: str = "failed address") -> World:
    """Ana has a SEV3 for a day, and her push is used before her mail. What goes to ``bad`` is refused from then on."""
    world = World()
    world.has("ana", PUSH)
    world.fires("Disk", job="checkout", instance="a", severity="warning").at("1m")
    world.acknowledges(1, "24h")
    world.left.clear()
    world.answers = lambda page: answer if page.address in bad else "sent"
    world.at("2m").fires("Disk", job="checkout", instance="b")
    return world


@pytest.mark.parametrize("answer", ["failed client", "retry", "failed address"])
def test_the_word_that_one_method_does_not_take_goes_by_the_next(answer):
    world = _taken(PUSH, answer=answer).at("4m")
    told = [page.address for page in world.told_pages if page.title.startswith("Incident #1, which you have, is SEV1")]
    assert told[:2] == [PUSH, MAIL]
    assert world.incident(1).state == "acknowledged" and not [way for way in world.left if way[3] == "page"]
    world.at("62m")
    assert world.incident(1).state == "triggered", "not for longer than if she had taken it then"
    alike(world)


@pytest.mark.parametrize("answer", ["failed client", "retry"])
def test_where_no_method_takes_the_word_it_is_as_if_nobody_had_it(answer):
    world = _taken(PUSH, MAIL, answer=answer)
    assert (world.incident(1).state, world.incident(1).acknowledged_until) == ("triggered", None)
    assert "Whoever has it could not be told: paging begins again" in [entry.what for entry in world.timeline]
    world.at("8m")
    assert "ben" in [way[1] for way in world.left if way[3] == "page"]
    assert not [row for row in world.rows(1) if row.kind == "notice" and row.state == "intended"]
    alike(world)


def test_the_word_is_not_needed_any_more_when_somebody_else_has_it_or_it_is_over():
    for over in (False, True):
        world = _taken(PUSH, answer="retry")
        (waits,) = [row for row in world.rows(1) if row.kind == "notice" and row.state == "intended"]
        if over:
            world.resolves_by_hand(1)
        else:
            assert world.asked(Acknowledge(incident=1, actor="person:ben")).ok
        assert waits.state == "overtaken"
        alike(world)


def test_a_second_rise_takes_the_place_of_the_word_on_the_first():
    world = World()
    world.has("ana", PUSH)
    world.fires("Disk", job="checkout", instance="a", severity="warning").at("1m")
    world.acknowledges(1, "24h")
    world.answers = lambda page: "never" if page.kind == "notice" else "sent"
    world.at("2m").fires("Disk", job="checkout", instance="b", severity="error")
    world.at("3m").fires("Disk", job="checkout", instance="c")
    (waits,) = [row for row in world.rows(1) if row.kind == "notice" and row.state == "intended"]
    assert waits.title == "Incident #1, which you have, is SEV1, was SEV2: Disk fires"
