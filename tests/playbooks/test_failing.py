"""A run that no incident began and that could not finish: its incident shows it, and a person goes on from there."""

from __future__ import annotations

from tests.engine.world import dump
from tests.playbooks.playground import SERVICE, Playground, Pump, kick, level
from tests.playbooks.test_triggers import TRIGGERS, empty_it, pulls
from tocsin import Run, playbook, trust

BOTH = SERVICE.replace("  payments:", TRIGGERS.replace("  payments:", "")
    + "      spare: {playbook: empty-it, secret: secret:apm_spare, targets: {pump: spare}}\n  payments:")  # fmt: skip


def failed() -> Playground:
    world = Playground(empty_it, plan=BOTH)
    world.after_drain = 97
    pulls(world)
    world.at("1m")
    return world


def test_its_incident_shows_it_and_a_page_says_what_it_found():
    world = failed()
    (incident,) = world.engine.state.incidents.values()
    run = world.run(1)
    assert (run.incident, incident.run) == (incident.number, 1)
    assert incident.tried[0].startswith("empty-it could not finish: playground.level: it did not hold")
    assert any("Fixed: playground.drain" in one for one in incident.tried)
    assert dump(world.replayed().state) == dump(world.engine.state)


def test_a_person_goes_on_from_its_incident_and_what_then_holds_ends_it():
    world = failed()
    world.after_drain = 40
    assert world.resumes(1, step=2).ok
    world.at("3m")
    assert world.run(2).outcome == "verified" and world.run(2).incident == 1
    assert not any(one.firing for one in world.engine.state.alerts.values())
    assert world.incident(1).state == "resolved"


def test_each_target_and_each_playbook_has_an_incident_of_its_own_and_the_same_again_joins_it():
    world = Playground(empty_it, plan=BOTH)
    world.full = {"main": 10, "spare": 10}
    for minute, one in enumerate(("slow", "spare", "slow")):
        world.at(f"{minute}m")
        pulls(world, one)
    assert [one.incident for one in world.written.values()] == [1, 2, 1] and world.incident(1).run == 3
    assert dump(world.replayed().state) == dump(world.engine.state)


def test_one_that_did_harm_after_its_incident_was_over_is_gone_on_with_from_the_new_one():
    @playbook(name="late-harm", answers=['alertname="Full"'], trust=trust(start="act"))
    def late_harm(run: Run, pump: Pump) -> None:
        run.fix(kick, pump)
        world.deep, deep = 1, world.deep
        world.resolves("Full", instance="cart-1")
        world.deep = deep
        run.verify(level, pump, until=lambda now: now.full < 50, within="10s", harm=lambda now: now.full > 90)

    world = Playground(late_harm)
    world.after_drain = 99
    world.fires("Full", instance="cart-1", service="inbox")
    assert (world.incident(1).state, world.run(1).incident) == ("resolved", 2)
    assert any("goes on from there" in one.what for one in world.timeline if one.incident == 1)
    world.comes_back()
    assert world.incident(2).works == {}, "a start takes it for nothing that was done about the new one"
    world.after_drain = 10
    assert world.resumes(1, step=2).ok


def test_one_that_fails_once_more_when_its_incident_was_resolved_is_told_of_there_and_nowhere_else():
    resolved: list[bool] = []

    @playbook(name="vain", trust=trust(start="act"))
    def vain(run: Run, pump: Pump) -> None:
        run.fix(kick, pump)
        if world.engine.state.incidents:
            world.deep, deep = 1, world.deep
            resolved.append(world.resolves_by_hand(1).ok)
            world.deep = deep
        run.verify(level, pump, until=lambda now: now.full < 50, within="10s")

    world = Playground(vain)
    world.after_drain = 99
    assert world.runs_by_hand("vain", targets={"pump": "main"}, role="admin").ok
    assert world.run(1).incident == 1 and world.resumes(1, step=1, word="again").ok
    assert resolved == [True] and world.run(2).outcome == "handed_over"
    assert world.incident(1).open and world.run(2).incident == 1
    assert not any("goes on from there" in one.what for one in world.timeline)


def test_two_questions_that_no_incident_asks_are_two_pages():
    world = Playground(empty_it, rung="ask", plan=BOTH)
    world.full["spare"] = 97
    pulls(world, "slow")
    pulls(world, "spare")
    world.at("1m")
    assert world.outcomes == ["asking", "asking"]
    assert sorted(one.title[:18] for one in world.engine.state.incidents.values()) == ["empty-it asks: May"] * 2
