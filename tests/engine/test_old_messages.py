"""What an answer to an old message is for: what it told of and still is so, and nobody else's."""

from __future__ import annotations

from tests.engine.test_reach import storm
from tests.engine.test_snoozes import alike
from tests.engine.world import PLAN, World
from tocsin.engine.commands import Acknowledge, AddResponders
from tocsin.kernel.instant import HOUR
from tocsin.pages.ledger import Page

LONG = PLAN.replace(b"reopen within: 30m", b"reopen within: 48h")


def _message() -> tuple[World, Page]:
    """Incidents 4, 5 and 6 came in one message. Ana has not answered it."""
    world = storm(World(LONG), *"ABCDEF").at("31s")
    (first,) = [page for page in world.told_pages if page.bundled]
    assert [world.engine.state.pages[id].incident for id in first.bundled] == [4, 5, 6]
    return world, first


def _has(world: World, *numbers: int) -> list[str]:
    return [world.incident(number).acknowledged_by for number in numbers]


def test_what_others_have_is_not_taken_over_by_a_late_answer_for_what_is_over():
    world, first = _message()
    for number in (4, 5, 6):
        world.asked(Acknowledge(incident=number, actor="person:ben", hold=6 * HOUR))
    world.at("2m").resolves("D", job="checkout").at("10m")
    said = world.asked(Acknowledge(incident=4, page=first.id))
    assert (said.ok, said.message) == (False, "Incident #4 is resolved already")
    assert _has(world, 5, 6) == ["person:ben"] * 2


def test_trouble_of_today_is_not_answered_by_a_message_of_yesterday():
    """Neither by one that names what is over, nor by one that names what was opened again."""
    world, first = _message()
    for number in (4, 5, 6):
        world.asked(Acknowledge(incident=number, actor="person:ben"))
    for name in "DEF":
        world.at("2m").resolves(name, job="checkout")
    world.at("20h").fires("E", job="checkout").fires("F", job="checkout")
    of_five = world.engine.state.pages[first.bundled[1]]
    assert not world.asked(Acknowledge(incident=4, page=first.id)).ok
    said = world.asked(Acknowledge(incident=5, page=of_five.id))
    assert (said.ok, said.message) == (False, "Incident #5 was opened again since that page")
    assert [world.incident(number).state for number in (5, 6)] == ["triggered"] * 2
    (new,) = [row for row in world.rows(5) if row.person == "ana" and row.intended_at == world.now]
    assert world.asked(Acknowledge(incident=5, page=new.id)).ok
    assert _has(world, 5, 6) == ["person:ana", ""]
    assert world.asked(Acknowledge(incident=6, actor="person:ana")).ok, "by hand, who sees what it is now"
    alike(world)


def test_what_still_is_as_the_message_told_is_answered_beside_what_was_opened_again():
    world, first = _message()
    world.at("2m").resolves("D", job="checkout").at("3m").fires("D", job="checkout")
    assert world.asked(Acknowledge(incident=4, page=first.id)).ok
    assert [world.incident(number).state for number in (4, 5, 6)] == ["triggered", "acknowledged", "acknowledged"]
    alike(world)


def test_a_call_for_help_of_before_is_not_answered_for_the_trouble_of_today():
    """Else who has it now waits for somebody who thinks of other trouble, and a newer call to them is withdrawn."""
    world = World().fires("Down", job="checkout").at("1m")
    world.acknowledges(1)
    ask = AddResponders(actor="person:ana", incident=1, targets=("person:ben",))
    world.asked(ask)
    (old,) = [row for row in world.rows(1, "ben") if row.kind == "help"]
    world.at("5m").resolves("Down", job="checkout").at("10m").fires("Down", job="checkout").at("11m")
    world.acknowledges(1)
    world.answers = lambda page: "retry"
    world.asked(ask)
    said = world.asked(Acknowledge(incident=1, actor="person:ben", page=old.id))
    assert (said.ok, said.message) == (False, "Incident #1 was opened again since that page")
    new = [row for row in world.rows(1, "ben") if row.kind == "help" and row is not old]
    assert (old.answered_at, {row.state for row in new}) == (None, {"intended"})
    assert world.asked(Acknowledge(incident=1, actor="person:ben", page=new[0].id)).ok
    assert world.told(1)[-1] == "answered"
    alike(world)
