"""What people put off, give away or begin themselves: code does nothing behind their backs, and holds no page of it."""

from __future__ import annotations

import pytest

from tests.engine.world import dump
from tests.playbooks.playground import Playground, Pump, Run, drain, kick, level
from tests.playbooks.test_targets_in_turn import Fleet, fleet
from tocsin.engine.commands import Reassign, Snooze
from tocsin.kernel.instant import MINUTE
from tocsin.playbooks.language import playbook, trust
from tocsin.web.by_target import places


@playbook(name="kicks", answers=['alertname="Full"'], trust=trust(start="act"))
def kicks(run: Run, pump: Pump) -> None:
    run.fix(kick, pump)
    run.verify(level, pump, until=lambda now: now.full < 80, within="1m")


def alike(world: Playground) -> None:
    """Replay, and a start from the rows, come to what there is."""
    assert dump(world.replayed().state) == dump(world.engine.state)


def test_what_code_did_on_what_was_put_off_is_not_done_again_when_another_machine_fails():
    """The fix is not one that may be done twice, and its alert has not ended between."""
    world = Fleet(kicks)
    world.full_on("a")
    world.at("1m").resolves_by_hand(1)
    assert world.outcomes == ["overtaken"]
    world.at("3m").full_on("b")
    assert (world.order, world.done, world.incident(1).state) == ("ab", ["kick", "kick"], "triggered")
    assert world.pages[-1] == ("180s", "ana", 1), "of what is left to people no page waits"
    alike(world)
    world.at("4m").ends_on("b")
    world.at("2h")
    assert world.order == "ab"


def test_a_run_that_somebody_stopped_is_not_begun_again_when_another_machine_fails():
    @playbook(name="stopped", answers=['alertname="Full"'], trust=trust(start="act"))
    def stopped(run: Run, pump: Pump) -> None:
        run.look(level, pump)
        if pump.name == "a":
            world.meanwhile(lambda: world.stops(1))
        run.fix(kick, pump)
        run.verify(level, pump, until=lambda now: now.full < 80, within="1m")

    world = Fleet(stopped)
    world.full_on("a")
    assert (world.outcomes, world.done) == (["cancelled"], [])
    world.at("1m").resolves_by_hand(1)
    world.at("5m").full_on("b")
    assert (world.order, world.done, world.incident(1).lifted) == ("a", [], "run_cancelled")
    assert world.pages[-1] == ("300s", "ana", 1)
    alike(world)


def test_code_begins_nothing_on_what_had_no_turn_yet_when_it_was_put_off():
    """Also when that ends and fires again meanwhile, as a new alert."""
    world = Fleet(fleet, rung="ask")
    world.full_on("a", "c")
    assert world.order == "a"
    world.at("1m").resolves_by_hand(1)
    world.at("2m").ends_on("c")
    world.at("3m").full_on("b")
    world.at("4m").full_on("c")
    assert world.order == "ab" and world.run(2).state == "asking"
    assert world.says(2, "no").ok and world.order == "ab"
    assert world.incident(1).works["fleet c"].outcome == "put_off"
    assert "c: not begun (fleet: it was put off when the incident was resolved)" in world.by_target
    alike(world)


def test_code_tries_each_once_more_when_the_snooze_is_over_or_all_that_was_put_off_had_ended():
    world = Fleet(kicks)
    world.full_on("a")
    world.at("1m").resolves_by_hand(1, snooze="30m")
    world.full["a"] = 97
    world.at("31m")
    assert world.order == "aa"
    world.at("32m").resolves_by_hand(1, snooze="30m")
    world.full["a"] = 97
    world.at("33m").ends_on("a")
    world.at("34m").full_on("b")
    assert world.order == "aab" and world.incident(1).put_off == () and world.pages == []


def test_whoever_works_there_by_hand_does_so_while_it_is_put_off_and_when_another_machine_fails():
    @playbook(name="hands", answers=['alertname="Full"'], trust=trust(start="act"))
    def hands(run: Run, pump: Pump) -> None:
        if pump.name == "a" and not runs_by_hand:
            run.hand_over("it is not known", next="look at it")
        run.fix(kick, pump)
        run.verify(level, pump, until=lambda now: now.full < 80, within="1m")

    runs_by_hand: list[bool] = []
    world = Fleet(hands)
    world.full_on("a")
    assert world.takes_over(1).ok
    world.at("1m").resolves_by_hand(1)
    assert world.run(1).taken_until is not None
    runs_by_hand.append(True)
    assert world.runs_by_hand("hands", targets={"pump": "a"}).ok, "what they begin themselves may"
    assert world.outcomes == ["handed_over", "verified"]
    world.at("5m").full_on("b")
    assert world.run(1).taken_until is not None
    assert [run.number for run in world.written.values() if run.targets["pump"] == "a" and not run.by_hand] == [1]
    world.ends_on("a", "b")
    world.at("20m")
    assert world.incident(1).state == "resolved" and world.run(1).taken_until is None
    alike(world)


@pytest.mark.parametrize("how", ["snooze over", "ended meanwhile"])
def test_whoever_works_there_by_hand_is_done_when_the_snooze_is(how):
    @playbook(name="hands", answers=['alertname="Full"'], trust=trust(start="act"))
    def hands(run: Run, pump: Pump) -> None:
        run.hand_over("it is not known", next="look at it")

    world = Fleet(hands)
    world.full_on("a")
    world.takes_over(1)
    world.at("1m").resolves_by_hand(1, snooze="30m")
    if how == "ended meanwhile":
        world.at("2m").ends_on("a")
    world.at("32m")
    assert world.run(1).taken_until is None
    alike(world)


def test_who_is_given_an_incident_is_paged_at_once_though_code_is_at_it():
    for first in ("code waits", "acknowledged"):
        world = Fleet(fleet)
        world.full_on("a")
        assert world.incident(1).paused == "playbook_verified" and world.pages == []
        if first == "acknowledged":
            world.acknowledges(1)
        world.at("1m").asked(Reassign(actor="person:ana", incident=1, person="ben"))
        assert world.pages == [("60s", "ben", 1)] and world.incident(1).paused is None
        assert world.run(1).state == "watching" and not world.run(1).holding
        world.at("2m").ends_on("a")
        assert world.outcomes == ["verified"]
        alike(world)


@pytest.mark.parametrize("how", ["acknowledged", "put off"])
def test_when_an_acknowledgement_ends_nobody_waits_for_code_any_more(how):
    world = Fleet(fleet)
    world.full_on("a")
    if how == "acknowledged":
        assert world.acknowledges(1, hold="2m").ok
    else:
        assert world.asked(Snooze(actor="person:ana", incident=1, until=world.now + 2 * MINUTE)).ok
    world.at("3m")
    assert world.pages == [("120s", "ana", 1)] and world.incident(1).paused is None
    alike(world)


@pytest.mark.parametrize("newcomer", ["Weird", "Full"])
def test_what_joins_while_a_person_has_a_run_at_something_else_is_paged_at_once(newcomer):
    """They know of what they began it for. Whatever fires about its targets waits for it all the same."""

    @playbook(name="long", answers=['alertname="Full"'], trust=trust(start="ask"), hand_over_after="1h")
    def long(run: Run, pump: Pump) -> None:
        world.meanwhile(lambda: world.at("1m"))
        world.meanwhile(lambda: world.full_on("a", name="Full"))
        paged.append(len(world.pages))
        world.meanwhile(lambda: world.at("2m"))
        world.meanwhile(lambda: world.full_on("c", name=newcomer))
        paged.append(len(world.pages))
        run.fix(drain, pump)
        run.verify(level, pump, until=lambda now: now.full < 80, within="1m")

    @playbook(name="never", answers=['alertname="Never"'], trust=trust(start="ask"))
    def never(run: Run, pump: Pump) -> None:
        run.hand_over("no", next="look at it")

    paged: list[int] = []
    world = Fleet(long, never, rung="ask")
    world.full_on("b", name="Never")
    assert world.pages == [("0s", "ana", 1)] and world.incident(1).lifted
    assert world.runs_by_hand("long", incident=1, targets={"pump": "a"}, role="admin").ok
    assert paged == [1, 2] and world.pages[1] == ("120s", "ana", 1)
    (why,) = [one.reason for one in world.timeline if "came after long was begun" in one.what]
    assert why == ("unanswered" if newcomer == "Weird" else "left_unfixed")
    alike(world)


def test_who_is_given_an_incident_is_followed_by_the_next_though_a_run_that_a_person_began_verifies():
    @playbook(name="long", answers=['alertname="Full"'], trust=trust(start="ask"))
    def long(run: Run, pump: Pump) -> None:
        if world.engine.state.counters.run == 1:
            run.hand_over("it only watched", next="look at it")
        world.meanwhile(lambda: world.at("1m"))
        world.meanwhile(lambda: world.asked(Reassign(actor="person:ana", incident=1, person="ben")))
        run.fix(drain, pump)
        run.verify(level, pump, until=lambda now: now.full < 80, within="1m")

    world = Fleet(long, rung="observe")
    world.full_on("a")
    world.trusts("long", "ask")
    assert world.runs_by_hand("long", incident=1, targets={"pump": "a"}, role="admin").ok
    assert world.run(world.engine.state.counters.run).state == "watching"
    world.at("7m")
    assert [page for page in world.pages if page[0] != "0s"][:2] == [("60s", "ben", 1), ("360s", "ben", 1)]
    alike(world)


def test_the_room_of_an_incident_says_what_was_put_off():
    world = Fleet(fleet, rung="ask")
    world.full_on("a", "c")
    world.at("1m").resolves_by_hand(1)
    world.at("3m").full_on("b")
    found = {one.name: one for one in places(world.incident(1), world.engine.plan, (), ())}
    assert (found["c"].badge[2], found["c"].why) == ("Put off", "it was put off when the incident was resolved")
    assert found["a"].badge[2] == "Not needed any more"
