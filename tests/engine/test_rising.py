"""Stories of incidents that become graver, more urgent or a higher customer's, and of silenced alerts that would."""

from __future__ import annotations

import msgspec
import pytest

from tests.engine.test_conditions import PLAN, TIERED, paged
from tests.engine.world import World, dump
from tocsin.engine.commands import Acknowledge, ApplyPlan, Reassign
from tocsin.engine.inputs import Received
from tocsin.intake.request import Request


def test_a_tier_without_an_escalation_of_its_own_is_paged_by_the_next_lower_ones():
    """Also from the start. What is lower than all that have one is paged as anybody is."""
    plan = TIERED.replace(b"[gold, silver]", b"[platinum, gold, silver]")
    world = World(plan).fires("Down", service="two", plan="gold", instance="a")
    world.at("1m").fires("Down", service="two", plan="platinum", instance="b")
    assert (world.incident(1).customer_tier, paged(world)) == ("platinum", [("0s", "ben")])
    assert paged(World(plan).fires("Down", service="two", plan="platinum")) == [("0s", "ben")]
    world = World(plan).fires("Down", service="two", plan="silver", instance="a")
    world.at("1m").fires("Down", service="two", plan="platinum", instance="b")
    assert paged(world) == [("0s", "kei"), ("60s", "ben")]
    assert "The escalation for gold customers applies" in [entry.what for entry in world.timeline]


@pytest.mark.parametrize("ends", ["by itself", "edited"])
def test_what_a_silenced_alert_would_change_counts_when_its_silence_ends(ends):
    """Its tier, its severity, and that it is urgent: till then nobody is paged for it."""
    tier = World(TIERED).fires("Down", service="two", instance="a")
    graver = World(PLAN).fires("Down", service="two", severity="warning", instance="a")
    plan = PLAN.replace(b"urgency: low, hours", b"urgency: {sev3: low}, hours")
    urgent = World(plan).at("16h").fires("Down", service="four", severity="warning", instance="a")
    for world, before, after in ((tier, ["kei"], ["ben"]), (graver, ["kei"], ["ana", "ben"]), (urgent, [], ["kei"])):
        silence = world.silences('instance="b"', for_="4m").id
        began = int(world.clock[:-1])
        service, more = ("four", {}) if world is urgent else ("two", {"plan": "gold"} if world is tier else {})
        world.at(f"{began + 60}s").fires("Down", service=service, instance="b", **more)
        assert [person for _, person in paged(world)] == before
        assert world.incident(1).severity == ("sev1" if world is tier else "sev3")
        if ends == "edited":
            world.at(f"{began + 120}s")
            world.silences('instance="c"', for_="4m", id=silence)
        else:
            world.at(f"{began + 240}s")
        assert paged(world)[len(before) :] == [(world.clock, person) for person in after]
        assert (world.incident(1).severity, world.incident(1).urgency) == ("sev1", "high")
        assert dump(world.replayed().state) == dump(world.engine.state)


def test_what_a_silenced_alert_becomes_counts_when_its_silence_ends():
    world = World(PLAN).fires("Down", service="two", severity="warning", instance="a", key="a")
    world.fires("Down", service="two", severity="warning", instance="b", key="b")
    world.silences('instance="b"', for_="4m")
    world.at("1m").fires("Down", service="two", severity="critical", instance="b", key="b")
    assert (paged(world), world.incident(1).severity) == ([("0s", "kei")], "sev3")
    world.at("4m")
    assert paged(world)[1:] == [("240s", "ana"), ("240s", "ben")]


def test_what_comes_back_graver_than_all_that_was_put_off_is_paged_for_at_once():
    world = World(PLAN).fires("Down", service="two", severity="warning", instance="a", key="a")
    world.fires("Down", service="two", severity="warning", instance="b", key="b")
    assert world.resolves_by_hand(1, snooze="30m").ok
    world.at("1m").resolves("Down", service="two", key="b").fires("Down", service="two", instance="b", key="b")
    assert (paged(world)[1:], world.incident(1).severity) == ([("60s", "ana"), ("60s", "ben")], "sev1")


def test_what_joins_a_snoozed_incident_anew_is_paged_for_at_once_as_grave_as_it_is():
    world = World(PLAN).fires("Down", service="two", severity="warning", instance="a")
    assert world.resolves_by_hand(1, snooze="30m").ok
    world.at("1m").fires("Down", service="two", instance="b")
    assert (paged(world)[1:], world.incident(1).severity) == ([("60s", "ana"), ("60s", "ben")], "sev1")


def test_a_new_plan_is_applied_without_what_is_silenced():
    world = World(TIERED).fires("Down", service="two", instance="a")
    world.silences('plan="gold"', for_="1h")
    world.fires("Down", service="two", plan="gold", instance="b")
    world.put_in_force(TIERED.replace(b"vip: [{page: ben, wait: 10m}]", b"vip: [{page: ben, wait: 20m}]"))
    assert world.at("1m").asked(ApplyPlan(incident=1, actor="person:ana")).ok
    assert (world.incident(1).customer_tier, paged(world)) == ("silver", [("0s", "kei"), ("60s", "kei")])


def test_a_rise_for_which_the_plan_has_no_other_escalation_leaves_the_steps_as_they_are():
    """Those of an incident that was given to somebody, and those of the plan it began with."""
    plan = TIERED.replace(b"[gold, silver]", b"[gold, silver, bronze]").replace(b"tier: silver}", b"tier: bronze}")
    world = World(plan).fires("Down", service="two", instance="a")
    assert world.asked(Reassign(incident=1, person="ana", actor="person:kei")).ok
    world.at("1m").fires("Down", service="two", instance="b", plan="silver")
    assert (world.incident(1).customer_tier, paged(world)) == ("silver", [("0s", "kei"), ("0s", "ana")])
    world = World(plan).fires("Down", service="two", instance="a")
    world.put_in_force(plan.replace(b"{page: kei, wait: 10m}", b"{page: ana, wait: 10m}"))
    world.at("1m").fires("Down", service="two", instance="b", plan="silver")
    assert (world.incident(1).customer_tier, paged(world)) == ("silver", [("0s", "kei")])
    world.at("2m").fires("Down", service="two", instance="c", plan="gold")
    assert paged(world)[1:] == [("120s", "ben")]


def test_a_step_that_was_passed_over_is_paged_once_the_incident_is_of_that_tier():
    """From that step on, as though it had begun with it."""
    world = World(TIERED).fires("Down", service="one", plan="silver", instance="a")
    world.at("1m").fires("Down", service="one", plan="gold", instance="b")
    assert paged(world) == [("0s", "kei"), ("60s", "ana")]
    assert "Step 1 is for it now" in [entry.what for entry in world.timeline]
    world.at("2m").fires("Down", service="one", plan="gold", instance="c").at("6m")
    assert paged(world)[2:] == [("360s", "kei")]
    assert dump(world.replayed().state) == dump(world.engine.state)


def test_a_step_for_the_graver_is_paged_also_when_everybody_was_paged_in_vain():
    world = World(PLAN).fires("Down", service="one", severity="warning", customer_tier="gold", instance="a").at("20m")
    assert paged(world) == [("0s", "kei"), ("300s", "zoe")]
    world.fires("Down", service="one", customer_tier="gold", instance="b")
    assert paged(world)[2:] == [("1200s", "ben")]


def test_a_rise_pages_nobody_while_somebody_has_it_or_a_step_asks_for_other_hours():
    world = World(TIERED).fires("Down", service="one", plan="silver", instance="a")
    assert world.asked(Acknowledge(incident=1, actor="person:kei")).ok
    world.at("1m").fires("Down", service="one", plan="gold", instance="b")
    assert paged(world) == [("0s", "kei")]
    plan = PLAN.replace(b"when: {hours: office}", b"when: {hours: office, severity: sev1}")
    world = World(plan).fires("Down", service="one", severity="warning", instance="a")
    world.at("1m").fires("Down", service="one", instance="b")
    assert paged(world) == [("0s", "kei")], "it is three in the morning"


def test_an_urgency_that_a_new_plan_gives_to_a_silenced_alert_counts_when_its_silence_ends():
    """The incident waits for its service's hours all the while."""
    plan = PLAN.replace(b"urgency: low, hours", b"urgency: {sev1: low, sev3: low}, hours")
    world = World(plan).at("16h").fires("Down", service="four", severity="warning", instance="a")
    world.silences('instance="b"', for_="2h")
    world.fires("Down", service="four", instance="b")
    world.at("17h").put_in_force(plan.replace(b"sev1: low", b"sev1: high"))
    assert paged(world) == []
    world.at("18h")
    assert paged(world) == [("64800s", "kei")]


def test_an_alert_whose_labels_change_so_that_nothing_silences_it_is_taken_in_at_once():
    world = World(PLAN)
    world.silences('region="eu"', for_="4h")
    world.fires("Down", service="two", key="a", region="eu")
    assert paged(world) == []
    world.at("1m").fires("Down", service="two", key="a", region="us")
    assert paged(world) == [("60s", "ana"), ("60s", "ben")]


def test_the_newest_annotations_are_the_title_also_of_an_alert_an_older_version_kept_a_title_with():
    world = World()
    labels = {"alertname": "Disk", "job": "checkout", "severity": "critical"}
    for at, summary in (("0s", "Disk 80% full"), ("1m", "Disk 99% full")):
        body = msgspec.json.encode([{"labels": labels, "annotations": {"summary": summary}}])
        headers = {"content-type": "application/json"}
        request = Request(source="alertmanager", method="POST", path="/api/v2/alerts", headers=headers, body=body)
        world.at(at).apply(Received(0, "inbox", world.now, request))
        if at == "0s":
            rows = world.tables["alerts"]
            for id, (kind, raw) in rows.items():
                rows[id] = kind, msgspec.json.encode(msgspec.json.decode(raw) | {"title": summary})
            world.restarted()
    assert [alert.title for alert in world.engine.state.alerts.values()] == ["Disk 99% full"]
