"""Runs that another program asks for: what it may say, what it may not, and who hears of what could not be finished."""

from __future__ import annotations

from typing import Any

import pytest

from tests.engine.world import dump
from tests.plan.written import example
from tests.playbooks.playground import SERVICE, Playground, Pump, drain, level, manifest
from tocsin import Run, at_most, playbook, trust
from tocsin.engine.commands import PullTrigger, Result
from tocsin.engine.engine import Engine
from tocsin.engine.inputs import Decided, Quarantine
from tocsin.intake.sources import SOURCES
from tocsin.plan import Reading, read_plan
from tocsin.playbooks import language
from tocsin.playbooks.manifest import MANIFEST, Fault, Manifests, encode_manifests

TRIGGERS = """    triggers:
      slow: {playbook: empty-it, secret: secret:apm_slow_cart, targets: {pump: main}, takes: [down_to]}
      by-label: {playbook: empty-it, secret: secret:apm_by_label, takes: [down_to]}
  payments:"""
PLAN = SERVICE.replace("  payments:", TRIGGERS)


@playbook(name="empty-it", guards=[at_most(3, per="1h")], trust=trust(start="act"))
def empty_it(run: Run, pump: Pump, down_to: float = 80) -> None:
    before = run.look(level, pump)
    if before.full < down_to:
        run.hand_over("it is not full", before)
    run.fix(drain, pump)
    run.verify(level, pump, until=lambda now: now.full < down_to, within="10s")


def pulls(world: Playground, trigger: str = "slow", key: str = "", **said: Any) -> Result:
    command = PullTrigger(actor=f"trigger:cart/{trigger}", service="cart", trigger=trigger, **said)
    result = world.apply(Decided(command, key))
    assert result is not None
    return result


def test_it_runs_the_plans_playbook_on_its_target_and_nobody_is_paged():
    world = Playground(empty_it, plan=PLAN)
    result = pulls(world)
    assert result.ok and result.id == "1"
    world.at("1m")
    run = world.run(1)
    assert (run.targets, run.by, run.outcome) == ({"pump": "main"}, "trigger:cart/slow", "verified")
    assert world.done == ["drain"] and world.pages == []


def test_labels_tell_which_target_is_meant_and_none_is_guessed():
    world = Playground(empty_it, plan=PLAN)
    assert pulls(world, "by-label", labels={"instance": "cart-2"}).ok
    assert world.run(1).targets == {"pump": "spare"}
    for labels in ({}, {"instance": "cart-9"}):
        refused = pulls(world, "by-label", labels=labels)
        assert (refused.code, refused.field) == ("invalid", "labels"), labels
    assert len(world.engine.state.runs) == 1


def test_a_sender_sets_what_the_plan_lets_it_and_nothing_else():
    world = Playground(empty_it, plan=PLAN)
    for args, why in (({"pump": '"x"'}, "may not set pump"), ({"down_to": '"full"'}, "down_to is a number")):
        refused = pulls(world, args=args)
        assert refused.code == "invalid" and why in refused.message
    assert "no trigger none of cart" in pulls(world, "none").message
    assert world.engine.state.runs == {}
    assert pulls(world, args={"down_to": "99"}).ok
    world.at("1m")
    assert world.run(1).args == {"down_to": "99"}


def test_sent_again_it_runs_once():
    world = Playground(empty_it, rung="ask", plan=PLAN)
    first, again = pulls(world, key="event-1"), pulls(world, key="event-1")
    assert first == again and first.id == "1"
    world.at("10s")
    assert world.outcomes == ["asking"]
    other = pulls(world, key="event-2")
    assert (other.ok, other.id) == (True, "1"), "it is under way: that is the run that is meant"
    assert list(world.engine.state.runs) == [1]


def test_its_guards_hold_for_it():
    world = Playground(empty_it, plan=PLAN)
    for minute in range(3):
        assert pulls(world).ok
        world.at(f"{minute + 1}m")
        world.full["main"] = 97
    refused = pulls(world)
    assert refused.code == "conflict" and "at most 3 runs in 1 h" in refused.message
    assert world.done == ["drain"] * 3


def test_it_allows_no_fix_and_its_question_pages_a_person_until_it_is_answered():
    world = Playground(empty_it, rung="ask", plan=PLAN)
    pulls(world)
    world.at("30s")
    assert world.done == [] and world.outcomes == ["asking"]
    (incident,) = world.engine.state.incidents.values()
    assert incident.open and "asks: May it do" in incident.title and world.pages
    assert world.says(1, "yes").ok
    world.at("2m")
    assert world.done == ["drain"] and world.run(1).outcome == "verified"
    world.at("10m")
    assert all(not one.firing for one in world.engine.state.alerts.values())


def test_what_it_began_and_could_not_finish_is_heard_of():
    world = Playground(empty_it, plan=PLAN)
    world.full["main"] = 10
    pulls(world)
    world.at("30s")
    assert world.outcomes == ["handed_over"]
    (incident,) = world.engine.state.incidents.values()
    assert "empty-it could not finish: it is not full" in incident.title and world.pages


def test_what_it_was_not_let_fix_is_heard_of():
    world = Playground(empty_it, plan=PLAN.replace("main: {kind: pump, look with: secret:ro, fix with: secret:rw,",
                                                   "main: {kind: pump, look with: secret:ro,"))  # fmt: skip
    assert pulls(world).ok
    world.at("1m")
    assert world.outcomes == ["handed_over"] and world.done == []
    (incident,) = world.engine.state.incidents.values()
    assert "the plan gives nothing to fix main with" in incident.title and world.pages


@playbook(name="asks-first", trust=trust(start="act"))
def asks_first(run: Run, pump: Pump) -> None:
    if run.ask("Drain it?", choices=("yes", "no"), default="no", within="10m") == "yes":
        run.fix(drain, pump)


def firing(world: Playground) -> list[str]:
    return [one.title for one in world.engine.state.alerts.values() if one.firing]


def test_a_question_that_nobody_answered_calls_nobody_to_answer_it():
    world = Playground(empty_it, rung="ask", plan=PLAN)
    pulls(world)
    world.at("31m")
    assert world.outcomes == ["cancelled"]
    (said,) = firing(world)
    assert "empty-it could not finish: nobody answered in time: May it do" in said
    other = Playground(asks_first, plan=PLAN.replace("empty-it", "asks-first").replace(", takes: [down_to]", ""))
    pulls(other)
    other.at("9m")
    assert len(firing(other)) == 1 and other.pages
    other.at("20m")
    pages = len(other.pages)
    assert other.outcomes == ["done"] and firing(other) == []
    other.at("3h")
    assert len(other.pages) == pages


def test_a_question_of_what_cannot_be_judged_calls_nobody_to_answer_it():
    world = Playground(empty_it, rung="ask", plan=PLAN)
    pulls(world)
    world.at("10s")
    world.apply(Quarantine("run", "1", "a fault"))
    assert world.outcomes == ["handed_over"]
    assert [one for one in firing(world) if "asks" in one] == []


def test_what_was_refused_is_asked_anew_when_it_is_sent_again():
    world = Playground(empty_it, plan=PLAN)
    for minute in range(3):
        assert pulls(world).ok
        world.at(f"{minute + 1}m")
        world.full["main"] = 97
    assert pulls(world, key="event-9\ndigest").code == "conflict"
    world.at("3h")
    again = pulls(world, key="event-9\ndigest")
    assert again.ok and pulls(world, key="event-9\ndigest") == again
    assert pulls(world, key="event-9\nother").code == "reused"


def test_an_id_of_several_lines_is_one_id():
    world = Playground(empty_it, plan=PLAN)
    assert [pulls(world, key=f"a\n{last}\ndigest").id for last in ("b", "c", "b")] == ["1", "2", "1"]


def test_replayed_and_reloaded_it_is_the_same():
    world = Playground(empty_it, rung="ask", plan=PLAN)
    pulls(world)
    world.at("1m")
    assert dump(world.replayed().state) == dump(world.engine.state)
    assert dump(Engine(world.loaded(), world.engine.plan, SOURCES).state) == dump(world.engine.state)


# -- what a plan says of them ------------------------------------------------------------------------------------------


def reading(text: str, fault: Fault | None = None) -> Reading:
    declared = next(one for one in language.declared if one.body is empty_it)
    manifests = encode_manifests(Manifests((manifest(declared),), ()) if fault is None else Manifests((), (fault,)))
    return read_plan({"tocsin.yaml": text.encode(), MANIFEST: manifests})


def test_a_trigger_is_a_key_and_names_what_it_runs():
    plan = reading(example("triggers.yaml").decode()).plan
    assert plan is not None
    assert [(one.name, one.playbook, one.targets, one.takes) for one in plan.triggers] == [
        ("slow", "empty-it", {"pump": "main"}, ("down_to",)),
        ("by-label", "empty-it", {}, ("down_to",)),
    ]
    assert [(one.source, one.name, one.secret) for one in plan.keys] == [
        ("trigger", "slow", "secret:apm_slow_cart"),
        ("trigger", "by-label", "secret:apm_by_label"),
    ]


@pytest.mark.parametrize(
    ("was", "now", "why"),
    [
        ("playbook: empty-it", "playbook: empty", "does not use a playbook"),
        ("targets: {pump: main}", "targets: {pumps: main}", "has no target"),
        ("targets: {pump: main}", "targets: {pump: other}", "no pump target"),
        ("takes: [down_to]", "takes: [pump]", "has no parameter"),
        ("secret:apm_slow_cart", "secret:apm_by_label", "already a key of cart"),
    ],
)
def test_what_a_trigger_cannot_mean_is_refused(was: str, now: str, why: str):
    text = example("triggers.yaml").decode()
    assert was in text
    found = reading(text.replace(was, now, 1))
    assert found.plan is None and why in "\n".join(map(str, found.findings))


def test_a_trigger_of_a_playbook_that_cannot_be_read_has_one_finding_where_it_is():
    found = reading(example("triggers.yaml").decode(), Fault("playbooks/other.py", 1, "importing it ended Python"))
    assert found.plan is None
    assert [one.message for one in found.findings if one.level == "error"] == ["importing it ended Python"]
