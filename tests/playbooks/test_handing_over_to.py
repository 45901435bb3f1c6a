"""Who gets what code could not mend, and what counts when nobody answers it."""

from __future__ import annotations

import pytest

from tests.playbooks.playground import SERVICE, Playground, Pump, Run, drain, kick, level
from tests.playbooks.test_stories import FULL, fires
from tocsin.kernel.instant import MINUTE
from tocsin.notation.findings import Findings
from tocsin.plan import read_plan
from tocsin.plan.composing import compose
from tocsin.playbooks.language import Misused, playbook, trust
from tocsin.playbooks.manifest import MANIFEST, Manifests, Trust, encode_manifests

DBA = SERVICE.replace("  ben:", "  dora: {name: Dora, email: dora@shop.example}\n  ben:").replace(
    "services:", "  dba:\n    - {page: dora, wait: 5m}\nservices:", 1
)


@playbook(answers=FULL, hand_over_to="dba", trust=trust(start="ask", within="10m", default="yes"))
def careful(run: Run, pump: Pump) -> None:
    run.fix(drain, pump)
    run.verify(level, pump, until=lambda now: now.full < 80, within="1m")


@playbook(answers=FULL, hand_over_to="dba", trust=trust(start="ask", within="10m"))
def timid(run: Run, pump: Pump) -> None:
    run.fix(kick, pump)
    run.verify(level, pump, until=lambda now: now.full < 80, within="1m")


@playbook(hand_over_to="dba", schedule="0 4 * * *")
def nightly(run: Run) -> None:
    run.hand_over("nothing fits any more")


def test_those_it_hands_over_to_are_paged_first_and_the_services_own_after_them():
    world = Playground(careful, plan=DBA)
    world.after_drain = 95
    fires(world)
    world.at("1m")
    assert world.run(1).outcome == "handed_over" and world.pages == [("60s", "dora", 1)]
    assert "Handed over to the escalation dba" in [entry.what for entry in world.timeline]
    world.at("16m")
    assert [who for _, who, _ in world.pages] == ["dora", "ana", "ben"], "nobody who was to be paged is left out"


@pytest.mark.parametrize("other_plan", [False, True])
def test_they_are_before_everybody_else_still_when_paging_begins_anew(other_plan):
    """By an alert that a silence over the others does not cover; whether or not the plan says other steps by then."""
    world = Playground(careful, plan=DBA)
    world.after_drain = 95
    fires(world)
    world.at("7m").silences('instance="cart-1"', for_="1h")
    if other_plan:
        world.put_in_force(world.text.replace("{page: ben, wait: 10m}", "{page: ben, wait: 20m}").encode())
    world.at("10m").pages.clear()
    fires(world, "elsewhere")
    assert [who for _, who, _ in world.at("16m").pages] == ["dora", "ana"]


def test_who_only_watches_calls_nobody_else():
    world = Playground(careful, plan=DBA, rung="observe")
    fires(world)
    world.at("6m")
    assert [who for _, who, _ in world.pages] == ["ana", "ben"]


def test_who_has_the_incident_keeps_it():
    world = Playground(careful, plan=DBA, rung="ask")
    world.after_drain = 95
    fires(world)
    assert world.at("30s").acknowledges(1).ok and world.says(1, "yes").ok
    world.at("20m")
    assert world.run(1).outcome == "handed_over" and [who for _, who, _ in world.pages] == ["ana"]


def test_what_a_schedule_began_is_handed_over_to_them_too():
    world = Playground(nightly, plan=DBA)
    world.at("24h")
    assert [who for _, who, _ in world.pages][:3] == ["dora", "ana", "ben"]


def test_a_question_nobody_answers_is_answered_as_the_playbook_says_when_it_says():
    world = Playground(careful, plan=DBA, rung="ask")
    fires(world)
    world.at("9m59s")
    assert world.done == [] and world.run(1).state == "asking"
    assert "Without an answer in 10 min: yes" in " ".join(entry.what for entry in world.timeline)
    world.at("10m")
    assert world.done == ["drain"] and world.run(1).state == "watching"
    assert world.run(1).approved_by == "", "nobody allowed it: no evidence for its trust"
    refused = Playground(timid, plan=DBA, rung="ask")
    fires(refused)
    refused.at("10m")
    assert refused.done == [] and refused.run(1).outcome == "cancelled"


def test_a_default_of_yes_is_none_while_somebody_has_the_incident():
    world = Playground(careful, plan=DBA, rung="ask")
    fires(world)
    assert world.at("1m").acknowledges(1).ok
    world.at("11m")
    assert world.done == [] and world.run(1).outcome == "handed_over"


def test_an_escalation_that_is_not_there_is_an_error_with_its_place():
    world = Playground(careful, plan=DBA)
    files = {"tocsin.yaml": SERVICE.replace("PLAYBOOKS", "careful").encode()}
    reading = read_plan(files | {MANIFEST: encode_manifests(Manifests(tuple(world.manifests)))})
    assert [(one.file, one.line, one.message) for one in reading.findings if one.level == "error"] == [
        ("playbooks/here.py", 1, "careful hands over to an unknown escalation 'dba'")
    ]
    assert world.engine.plan.playbooks["careful"].hand_over_to == "dba"


def test_yaml_says_the_same():
    text = b"""
playbook: careful
hand over to: dba
trust: {start: ask, within: 10m, default: yes}
steps:
  - tell: hello
"""
    findings = Findings()
    (found,) = compose({"playbooks/careful.yaml": text}, findings)
    assert findings.sorted() == () and found.hand_over_to == "dba"
    assert found.trust == Trust("ask", "act", "responder", 10 * MINUTE, "yes")


@pytest.mark.parametrize("wrong", [{"within": "10s"}, {"within": "2d"}, {"default": "maybe"}])
def test_what_cannot_be_meant_is_refused(wrong: dict[str, str]):
    with pytest.raises(Misused):
        trust(**wrong)  # type: ignore[arg-type]
