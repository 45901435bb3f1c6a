"""Stories of those who were asked for cover: who is told when somebody else takes it, and when nobody is wanted."""

from __future__ import annotations

import pytest

from tests.engine.test_overrides import answers, at
from tests.engine.test_telling import PLAN, left, titles, with_a_telephone
from tests.engine.world import World, dump
from tocsin.engine.commands import AnswerOverride, AskCover, CancelOverride

# They begin on a Monday, 03:00 UTC; mornings are at 08:00, five hours in. Three take turns by the day.
THREE = PLAN.replace(b"rotate: [ana, ben]", b"rotate: [ana, ben, kei]")
TIMES = "primary, Mon 23 Nov 2026 03:30 to Mon 23 Nov 2026 04:00 UTC"
FAR = "primary, Thu 26 Nov 2026 03:00 to Thu 26 Nov 2026 04:00 UTC"


def asked(world: World, *times: str, actor: str = "person:ana") -> World:
    """Ana's place is to be taken; tonight unless told."""
    start, end = times or ("30m", "1h")
    command = AskCover(schedule="primary", person="ana", starts_at=at(start), ends_at=at(end), actor=actor)
    assert world.asked(command).ok
    return world


def test_who_was_asked_reads_in_the_morning_that_somebody_else_took_it():
    """Kei was called for tonight; that Ben has it wakes nobody, and is said once."""
    world = asked(with_a_telephone(THREE, "kei"))
    assert left(world, "kei") == [("0s", "https://kei.example/call")]
    world.at("10m")
    assert answers(world, "ben").ok
    world.at("4h59m")
    assert len(titles(world, "kei")) == 1, "nobody is woken to be told that they may sleep"
    world.at("6h")
    assert titles(world, "kei")[1:2] == [f"Ben takes over, and nobody else is wanted: {TIMES}"]
    world.at("30h")
    assert sum("nobody else is wanted" in title for title in titles(world, "kei")) == 1
    assert not any("nobody else" in title for person in ("ana", "ben", "zoe") for title in titles(world, person))
    assert dump(world.replayed().state) == dump(world.engine.state)


@pytest.mark.parametrize("how", ["taken", "taken back"])
def test_who_has_not_read_of_a_request_is_told_neither(how):
    """It begins on Thursday, so it waits for the morning; before that it is settled, and its notices leave no more."""
    world = asked(World(THREE), "72h", "73h")
    if how == "taken":
        assert answers(world, "ben").ok
    else:
        assert world.asked(CancelOverride(id=1, actor="person:ana")).ok
    world.at("6h")
    for person in ("ben", "kei"):
        assert not any("wanted" in title for title in titles(world, person)), person


def test_of_two_requests_alike_the_other_is_still_asked():
    world = asked(asked(World(THREE), "72h", "73h"), "72h", "73h")
    assert world.asked(CancelOverride(id=1, actor="person:ana")).ok
    world.at("6h")
    assert titles(world, "kei") == [f"Somebody is wanted for Ana: {FAR}"]


def test_who_was_asked_is_told_that_it_was_taken_back():
    world = asked(with_a_telephone(THREE, "kei"))
    world.at("10m")
    assert world.asked(CancelOverride(id=1, actor="person:ana")).ok
    world.at("6h")
    assert f"Taken back, nobody is wanted any more: {TIMES}" in titles(world, "kei")
    assert not any("Taken back" in title for title in titles(world, "ana")), "she did it herself"


def test_that_nobody_took_it_is_said_to_all_once():
    """By who asked, too: nobody may think that somebody had it."""
    world = asked(with_a_telephone(THREE, "kei"), actor="person:zoe")
    world.at("59m")
    assert not any("Nobody took it" in title for title in titles(world, "zoe"))
    world.at("1h").restarted()
    world.at("6h")
    for person in ("ana", "ben", "kei", "zoe"):
        found = [title for title in titles(world, person) if "Nobody took it" in title]
        assert found == [f"Nobody took it, and its time is over: {TIMES}"], person
    assert all(clock == "18000s" for clock, _ in left(world, "kei")[1:2])


def test_who_asked_is_not_told_that_somebody_takes_over_who_takes_nobodys_place():
    """Ana asked twice. Ben has her place by the one, and what Kei agrees to changes nothing."""
    world = asked(asked(World(THREE), "72h", "73h"), "72h", "73h")
    for number, person in ((1, "ben"), (2, "kei")):
        assert world.asked(AnswerOverride(actor=f"person:{person}", id=number, person=person)).ok
    world.at("6h")
    when = "from Thu 26 Nov 2026 03:00 to Thu 26 Nov 2026 04:00 UTC"
    told = titles(world, "ana")
    assert f"Ben takes over: {FAR}" in told
    assert f"Kei agreed to what takes nobody's place: ana is not on call by primary {when}" in told
    assert not any(title.startswith("Kei takes over") for title in told)
    assert dump(world.replayed().state) == dump(world.engine.state)
