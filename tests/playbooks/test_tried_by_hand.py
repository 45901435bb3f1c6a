"""A person has a playbook run for an incident whose alerts it does not answer: it works on what these are about."""

from __future__ import annotations

from tests.playbooks.playground import Run
from tests.playbooks.test_targets_in_turn import Fleet, other
from tocsin.playbooks.language import playbook, trust
from tocsin.web.by_target import tries

SEVERAL = "Alerts fire about several targets (a, b): say on which other is to run"


@playbook(name="anywhere", answers=['alertname="Stuck"'], trust=trust(start="act"))
def anywhere(run: Run) -> None:
    run.tell(run.about.labels["instance"])


def test_what_came_back_is_worked_on_and_not_what_its_incident_was_opened_for() -> None:
    world = Fleet(other)
    world.full_on("a")
    world.at("1m").ends_on("a")
    world.at("3m").full_on("b")
    assert world.incident(1).reopened == 1 and len(world.engine.state.incidents) == 1
    assert world.runs_by_hand("other", incident=1).ok
    assert world.run(1).targets == {"pump": "b"} and world.run(1).labels["instance"] == "b"


def test_nor_is_an_alert_that_has_ended_or_is_silenced() -> None:
    world = Fleet(other)
    world.full_on("a", "b", "c")
    world.at("1m").ends_on("a")
    world.silences('instance="c"', for_="1h")
    assert world.runs_by_hand("other", incident=1).ok
    assert world.run(1).targets == {"pump": "b"} and world.run(1).labels["instance"] == "b"


def test_whoever_has_it_run_says_on_which_of_several() -> None:
    world = Fleet(other)
    world.full_on("a", "b")
    refused = world.runs_by_hand("other", incident=1)
    assert (refused.ok, refused.code, refused.field) == (False, "invalid", "targets")
    assert SEVERAL in refused.message and world.done == []
    assert world.runs_by_hand("other", incident=1, targets={"pump": "b"}).ok
    assert world.run(1).targets == {"pump": "b"} and world.run(1).labels["instance"] == "b"


def test_and_has_it_run_on_any_other_target_they_name() -> None:
    world = Fleet(other)
    world.full_on("a", "b")
    assert world.runs_by_hand("other", incident=1, targets={"pump": "f"}).ok
    assert world.run(1).targets == {"pump": "f"}


def test_one_without_targets_is_told_of_what_fires() -> None:
    world = Fleet(anywhere)
    world.full_on("a", "b")
    world.at("1m").ends_on("a")
    assert world.runs_by_hand("anywhere", incident=1).ok
    assert world.run(1).labels["instance"] == "b"


def test_the_room_offers_it_on_each_of_them() -> None:
    world = Fleet(other)
    world.full_on("a", "b")
    plan, alerts = world.engine.plan, world.engine.state.alerts.values()
    found = tries(world.incident(1), plan, alerts, world.manifests)
    assert [one.said for one in found] == ["other on a", "other on b"]
    world.at("1m").ends_on("a")
    assert [one.said for one in tries(world.incident(1), plan, alerts, world.manifests)] == ["other"]
