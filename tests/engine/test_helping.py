"""A call for help that nobody picks up: it is made again, by the person's rules, and who waits for it hears of it."""

from __future__ import annotations

import pytest

from tests.engine.test_calls import LIA, MAIL, ZOE, alone, says
from tests.engine.test_calls import PLAN as LIA_FIRST
from tests.engine.world import START, World
from tocsin.engine.commands import Acknowledge, AddResponders, Reassign
from tocsin.kernel.instant import MINUTE
from tocsin.pages.ledger import Page, Receipt

PLAN = LIA_FIRST.replace(b"page: lia", b"page: zoe")


@pytest.fixture
def world() -> World:
    """Zoe has an incident and asks Lia, who can be called, for help with it, twenty minutes after the start."""
    return asked(World(PLAN))


def asked(world: World, mail: bool = False) -> World:
    """As above; Lia gets mail as well, or not."""
    world.has("lia", LIA, channel="call")
    world.has("zoe", ZOE, channel="call")
    if mail:
        world.has("lia", MAIL, channel="email")
    world.at("20m").fires("Down", service="checkout")
    assert world.asked(Acknowledge(actor="person:zoe", incident=1)).ok
    world.left.clear()
    assert world.asked(AddResponders(actor="person:zoe", incident=1, targets=("person:lia",))).ok
    return world


def left(world: World, *kinds: str) -> list[tuple[str, str, str]]:
    """What left of these kinds: seconds after help was asked for, whom to, and by which address."""
    return [(f"{float(at[:-1]) - 1200:g}s", who, address) for at, who, address, kind in world.left if kind in kinds]


def call(world: World) -> Page:
    """The last call to Lia for help that was made."""
    return [row for row in world.rows(1, "lia") if row.kind == "help" and row.channel == "call" and row.attempts][-1]


def rings_out(world: World, at: str, receipt: Receipt = "no_answer") -> None:
    """By then the last call rang, and nobody took it."""
    world.at(at)
    says(world, receipt, call(world))


def unheard(world: World) -> list[str]:
    return [entry.what for entry in world.timeline if entry.reason == "help_unheard"]


@pytest.mark.parametrize(("receipt", "how"), [("no_answer", " did not pick up"), ("busy", "'s telephone was busy")])
def test_a_call_for_help_is_made_again_as_a_page_is_and_who_waits_hears_of_it_twice(
    world: World, receipt: Receipt, how: str
) -> None:
    rings_out(world, "20m40s", receipt)
    first = "The call for help has not reached Lia, who did not pick up the telephone; it is tried again"
    assert unheard(world) == [first]
    assert any(f"Lia{how}" in entry.what and "called again in" in entry.what for entry in world.timeline)
    rings_out(world, "22m20s", receipt)
    assert len(unheard(world)) == 1, "that is known"
    alone(world)
    rings_out(world, "24m", receipt)
    world.at("50m")
    assert left(world, "help") == [("0s", "lia", LIA), ("100s", "lia", LIA), ("200s", "lia", LIA)], "three in all"
    assert unheard(world)[1:] == ["The call for help did not reach Lia, who did not pick up the telephone"]
    told = [row.title.partition(":")[0] for row in world.rows(1, "zoe") if row.kind == "notice" and row.left]
    assert told == unheard(world), "and not that nobody answered, besides"
    assert (world.incident(1).state, world.incident(1).acknowledged_by) == ("acknowledged", "person:zoe")
    alone(world)


def test_their_next_method_is_used_at_once_and_they_are_called_again_beside_it() -> None:
    world = asked(World(PLAN), mail=True)
    rings_out(world, "20m40s")
    assert left(world, "help") == [("0s", "lia", LIA), ("40s", "lia", MAIL)]
    rings_out(world, "22m20s")
    rings_out(world, "24m")
    world.at("2h")
    assert left(world, "help")[2:] == [("100s", "lia", LIA), ("200s", "lia", LIA)]
    assert unheard(world) == [], "the mail left"


@pytest.mark.parametrize("how", ["comes", "over", "takes it"])
def test_nobody_is_called_again_who_comes_to_help_nor_for_what_is_over(how: str) -> None:
    world = asked(World(PLAN), mail=True)
    rings_out(world, "20m40s")
    mail = next(row for row in world.rows(1, "lia") if row.channel == "email")
    if how == "comes":
        world.asked(Acknowledge(actor="person:lia", incident=1, page=mail.id))
    elif how == "takes it":
        world.asked(Acknowledge(actor="person:lia", incident=1))
    else:
        world.resolves("Down", service="checkout")
    world.at("2h")
    assert [one for one in left(world, "help") if one[2] == LIA] == [("0s", "lia", LIA)]
    alone(world)


NOBODY = "Lia has not answered the call for help in 10 min: incident #1, Down checkout"


def silence(world: World) -> list[str]:
    """What was said of that nobody came: whom to, and when."""
    rows = [row for row in world.rows(1) if row.reason == "help_unanswered" and row.left]
    return [f"{row.person} {((row.left_at or 0) - START) // MINUTE}m {row.title}" for row in rows]


def test_who_waits_is_told_when_nobody_has_answered_in_time() -> None:
    world = asked(World(PLAN), mail=True)
    (promise,) = (row for row in world.rows(1, "zoe") if row.reason == "help_unanswered")
    assert (promise.state, promise.held, promise.not_before) == ("intended", "help_awaited", START + 30 * MINUTE)
    rings_out(world, "20m40s")
    assert world.asked(Acknowledge(actor="person:zoe", incident=1)).ok, "she goes on having it, and waiting"
    world.at("29m")
    assert silence(world) == []
    world.at("50m")
    assert [one.partition(":")[0] for one in silence(world)] == ["zoe 30m " + NOBODY.partition(":")[0]]
    alone(world)


@pytest.mark.parametrize("how", ["comes", "takes it", "over"])
def test_who_is_helped_is_not_told_that_nobody_comes(how: str) -> None:
    world = asked(World(PLAN), mail=True)
    world.at("25m")
    mail = next(row for row in world.rows(1, "lia") if row.channel == "email")
    if how == "over":
        world.resolves("Down", service="checkout")
    else:
        world.asked(Acknowledge(actor="person:lia", incident=1, page=mail.id if how == "comes" else 0))
    world.at("50m")
    assert silence(world) == []
    alone(world)


def test_who_asks_anew_hears_of_it_once() -> None:
    world = asked(World(PLAN), mail=True)
    world.at("25m")
    world.asked(AddResponders(actor="person:zoe", incident=1, targets=("person:lia",)))
    world.at("50m")
    assert [one.partition(" Lia")[0] for one in silence(world)] == ["zoe 35m"]


def test_who_answered_while_it_rang_is_not_called_again() -> None:
    world = asked(World(PLAN), mail=True)
    rings_out(world, "20m40s")
    world.at("22m10s")
    mail = next(row for row in world.rows(1, "lia") if row.channel == "email")
    world.asked(Acknowledge(actor="person:lia", incident=1, page=mail.id))
    rings_out(world, "22m20s")
    world.at("2h")
    assert len([one for one in left(world, "help") if one[2] == LIA]) == 2
    assert unheard(world) == []


def test_who_is_asked_anew_is_called_anew(world: World) -> None:
    rings_out(world, "20m40s")
    world.at("21m")
    assert world.asked(AddResponders(actor="person:zoe", incident=1, targets=("person:lia",))).ok
    for at in ("21m40s", "23m20s", "25m"):
        rings_out(world, at)
    world.at("2h")
    assert [at for at, _, _ in left(world, "help")] == ["0s", "60s", "160s", "260s"]
    assert unheard(world)[-1] == "The call for help did not reach Lia, who did not pick up the telephone"
    alone(world)


@pytest.mark.parametrize("how", ["has it and goes on", "comes to what she has"])
def test_who_asks_for_help_is_told_that_nobody_comes_though_she_was_asked_before_and_answers_again(how: str) -> None:
    plan = PLAN.replace(b"{name: Zoe}", b"{name: Zoe}, ben: {name: Ben, email: ben@shop.example}")
    world = asked(World(plan), mail=True)
    mail = next(row for row in world.rows(1, "lia") if row.channel == "email")
    world.at("22m")
    assert world.asked(Acknowledge(actor="person:lia", incident=1)).ok
    world.at("23m")
    assert world.asked(AddResponders(actor="person:lia", incident=1, targets=("person:ben",))).ok
    world.at("24m")
    assert world.asked(Acknowledge(actor="person:lia", incident=1, page=0 if "goes" in how else mail.id)).ok
    world.at("50m")
    assert [one.partition(" has")[0] for one in silence(world)] == ["lia 33m Ben"]


def test_that_one_of_those_asked_last_does_not_come_is_told_though_one_of_before_does() -> None:
    plan = PLAN.replace(b"{name: Zoe}", b"{name: Zoe}, ben: {name: Ben, email: ben@shop.example}")
    world = asked(World(plan))
    world.at("20m10s")
    assert world.asked(AddResponders(actor="person:zoe", incident=1, targets=("person:ben",))).ok
    first = call(world)
    rings_out(world, "20m40s")
    assert any(row.instead_of == first.id for row in world.rows(1, "lia")), "her call is made again, for the same"
    world.at("22m")
    assert world.asked(Acknowledge(actor="person:lia", incident=1, page=first.id)).ok
    world.at("50m")
    assert [one.partition(" has")[0] for one in silence(world)] == ["zoe 30m Ben"]


def test_who_is_given_the_incident_need_not_answer_the_call_for_help_as_well() -> None:
    world = asked(World(PLAN), mail=True)
    rings_out(world, "20m40s")
    assert world.asked(Reassign(actor="person:zoe", incident=1, person="lia")).ok
    world.at("50m")
    assert silence(world) == []
    assert [one for one in left(world, "help") if one[2] == LIA] == [("0s", "lia", LIA)], "she is paged for it"
    alone(world)


def test_of_those_who_were_asked_the_others_are_missed_though_somebody_else_is_given_it() -> None:
    plan = PLAN.replace(b"zoe: {name: Zoe}", b"zoe: {name: Zoe}, max: {name: Max, email: max@shop.example}")
    world = asked(World(plan), mail=True)
    assert world.asked(Reassign(actor="person:zoe", incident=1, person="max")).ok
    world.at("50m")
    assert len(silence(world)) == 1
