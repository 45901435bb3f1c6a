"""Predicates in CEL: what they say, what cannot be one, and that an error is no match and for everybody to see."""

from __future__ import annotations

import sys

import pytest

from tests.playbooks.playground import Playground, Pump, Run, drain, level
from tocsin.plan.composing import with_composed
from tocsin.playbooks.cel import RuleError, rule
from tocsin.playbooks.language import About, Misused, playbook
from tocsin.playbooks.manifest import read_manifests
from tocsin.playbooks.runner.reading import with_manifest

ABOUT = About(service="cart", incident=3, title="Full", severity="sev1", labels={"zone": "eu", "n": "7"})
FULL = ['alertname="Full"']


@playbook(answers=FULL, where="labels.zone == 'eu'")
def only_in_europe(run: Run, pump: Pump) -> None:
    run.fix(drain, pump)
    run.verify(level, pump, until=lambda now: now.full < 80, within="2m")


@playbook(answers=FULL, where="has(labels.zone)", when=lambda about: about.labels["zone"] == "us")
def both_must_hold(run: Run, pump: Pump) -> None:
    run.fix(drain, pump)
    run.verify(level, pump, until=lambda now: now.full < 80, within="2m")


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("labels.zone == 'eu' && severity in ['sev1', 'sev2']", True),
        ("service == 'cart' && incident > 5", False),
        ("has(labels.nope) && labels.nope == 'x'", False),
        ("int(labels.n) > 5 || title.matches('^Em')", True),
    ],
)
def test_a_rule_says_whether_an_incident_is_meant(text: str, holds: bool) -> None:
    assert rule(text)(ABOUT) is holds


TEN = "[0,1,2,3,4,5,6,7,8,9]"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("labels.nope == 'x'", 'Key not found in map : "nope"'),
        ("incident / 0 == 1", "divide by zero"),
        (f"{TEN}.all(a,{TEN}.all(b,{TEN}.all(c,{TEN}.all(d,{TEN}.all(e, true)))))", "Iteration budget exceeded"),
    ],
)
def test_a_rule_without_an_answer_is_an_error_and_ends(text: str, why: str) -> None:
    with pytest.raises(RuleError, match=why):
        rule(text)(ABOUT)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("labels.zone", "comes to string, not to true or false"),
        ("nope == 1", "undeclared reference to 'nope'"),
        ("(", "where is no CEL"),
        ("true || " * 300 + "true", "more than 2,000 characters"),
    ],
)
def test_what_can_be_no_rule_is_refused(text: str, why: str) -> None:
    with pytest.raises(Misused, match=why):
        rule(text)


def test_without_the_extra_the_plan_is_told_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cel_expr_python", None)
    with pytest.raises(Misused, match=r"pip install 'tocsin\[cel\]'"):
        rule("true")


def test_a_bad_rule_refuses_the_plan_with_its_line() -> None:
    text = "playbook: a\nanswers: ['alertname=\"X\"']\nwhere: nope == 1\nsteps:\n  - tell: hello\n"
    found = read_manifests(with_manifest(with_composed({"playbooks/a.yaml": text.encode()})))
    assert [(one.file, one.line) for one in found.faults] == [("playbooks/a.yaml", 3)]
    assert "undeclared reference to 'nope'" in found.faults[0].message and "labels" in found.faults[0].hint


def test_what_is_not_meant_is_left_alone_and_what_is_runs() -> None:
    world = Playground(only_in_europe)
    world.fires("Full", instance="cart-1", zone="us")
    assert (world.run(1).outcome, world.done) == ("not_needed", []) and world.pages
    world.fires("Full", instance="cart-1", zone="eu")
    twice = Playground(both_must_hold)
    twice.fires("Full", instance="cart-1", zone="eu")
    assert twice.done == []
    good = Playground(only_in_europe)
    good.fires("Full", instance="cart-1", zone="eu")
    assert good.done == ["drain"] and good.pages == []


def test_a_rule_without_an_answer_is_no_match_and_everybody_sees_it() -> None:
    world = Playground(only_in_europe)
    world.fires("Full", instance="cart-1")
    run = world.run(1)
    assert (run.outcome, world.done) == ("not_needed", [])
    assert "rule_error" in world.told(1) and "Key not found" in run.why
    assert [page[1] for page in world.pages] == ["ana"], "a person is called at once"
    assert any("its rule came to no answer" in one for one in world.incident(1).tried)
    standing = world.engine.state.standings["cart", "only-in-europe"]
    assert "Key not found" in standing.rule_error and standing.rung == "act", "and it costs no trust"
    world.at("2m").resolves("Full", instance="cart-1")
    world.at("1h").fires("Full", instance="cart-1", zone="eu")
    assert world.done == ["drain"]
    assert world.engine.state.standings["cart", "only-in-europe"].rule_error == ""
