"""Somebody who silences something is at it: code changes nothing there beside them."""

from __future__ import annotations

import pytest

from tests.engine.world import dump
from tests.playbooks.playground import SERVICE, Playground, Pump, Run, drain, kick, level
from tests.playbooks.test_triggers import PLAN, empty_it, pulls
from tocsin.engine import weighing
from tocsin.engine.commands import SetSilence
from tocsin.kernel.instant import HOUR, SECOND
from tocsin.kernel.matcher import parse_matcher
from tocsin.playbooks.language import playbook, trust

FULL = ['alertname="Full"']


def _paged(world: Playground) -> list[str]:
    """Whom pages went to, without reminders of silences."""
    return [page.person for page in world.told_pages if page.kind == "page"]


def test_what_is_silenced_while_a_run_looks_is_left_alone() -> None:
    @playbook(name="looks-long", answers=FULL, trust=trust(start="act"))
    def looks_long(run: Run, pump: Pump) -> None:
        run.look(level, pump)
        for matchers in silences:
            world.silences(*matchers, for_="2h")
        world.passing(world.now + 30 * SECOND)
        run.fix(drain, pump)
        run.verify(level, pump, until=lambda now: now.full < 80, within="1m")

    for silences, why in (  # noqa: B007 - the playbook reads it
        ([['instance="cart-1"']], "a silence of Ana covers main"),
        ([['alertname="Full"', 'instance="cart-1"']], "somebody has silenced all alerts that it is for"),
    ):
        world = Playground(looks_long)
        world.fires("Full", instance="cart-1")
        assert world.done == [] and world.run(1).outcome == "handed_over" and not world.run(1).failed
        assert world.run(1).why.endswith(f"was not done: {why}")
        world.at("1h")
        assert _paged(world) == [], "it is silenced"
        assert dump(world.replayed().state) == dump(world.engine.state)
        world.at("2h1m")
        assert _paged(world) == ["ana"], "it fires still, and code is done with it"
    for harmless in ([['alertname="Slow"', 'instance="cart-1"']], [['instance="cart-2"']], []):
        silences = harmless
        world = Playground(looks_long)
        world.fires("Full", instance="cart-1")
        assert world.done == ["drain"], harmless


def test_who_silences_one_target_wakes_nobody_about_the_others_that_code_is_mending() -> None:
    @playbook(name="looks-long", answers=FULL, trust=trust(start="act"))
    def looks_long(run: Run, pump: Pump) -> None:
        run.look(level, pump)
        if pump.name == "main":
            world.fires("Full", instance="cart-2")
            world.silences('instance="cart-1"', for_="2h")
            world.passing(world.now + 30 * SECOND)
        run.fix(drain, pump)
        run.verify(level, pump, until=lambda now: now.full < 80, within="1m")

    world = Playground(looks_long)
    world.full["spare"] = 97
    world.fires("Full", instance="cart-1")
    world.at("5m")
    assert [run.outcome or run.state for run in world.written.values()] == ["handed_over", "watching"]
    assert world.done == ["drain"] and world.pages == [], "code is at what is heard"
    world.at("6m").resolves("Full", instance="cart-2")
    world.at("1h59m")
    assert world.run(2).outcome == "verified" and _paged(world) == []
    world.at("2h1m")
    assert _paged(world) == ["ana"], "cart-1 fires still, and code is done with it"
    assert any("a silence of Ana covers main" in one for one in world.incident(1).tried)
    assert dump(world.replayed().state) == dump(world.engine.state)


@pytest.mark.parametrize("how", ["silences", "acknowledges"])
def test_who_steps_in_between_two_fixes_costs_the_playbook_nothing(how: str) -> None:
    @playbook(name="two-fixes", answers=FULL, trust=trust(start="act"))
    def two_fixes(run: Run, pump: Pump) -> None:
        run.fix(drain, pump)
        if how == "silences":
            world.silences('instance="cart-1"', for_="2h")
        else:
            world.acknowledges(1)
        world.passing(world.now + 30 * SECOND)
        run.fix(kick, pump)
        run.verify(level, pump, until=lambda now: now.full < 80, within="1m")

    world = Playground(two_fixes)
    world.fires("Full", instance="cart-1")
    world.at("5m")
    run = world.run(1)
    assert (run.outcome, run.changed, world.done) == ("handed_over", True, ["drain"])
    assert not run.failed and world.rung("two-fixes") == "act"
    assert [one.now for one in run.took if one.kind == "breaker"] == ["counts as no failure"]


@playbook(name="nightly-drain", schedule="5 3 * * *", trust=trust(start="act"))
def nightly_drain(run: Run, pump: Pump) -> None:
    run.fix(drain, pump)
    run.verify(level, pump, until=lambda now: now.full < 80, within="1m")


def test_a_schedule_changes_nothing_that_was_silenced_beforehand() -> None:
    world = Playground(nightly_drain)
    world.silences('instance="cart-1"', for_="2h")
    world.at("10m")
    assert {one.targets["pump"]: one.outcome for one in world.written.values()} == {
        "main": "blocked",
        "spare": "verified",
    }
    assert world.pages == [], "whoever silenced it knows"
    assert world.runs_by_hand("nightly-drain", targets={"pump": "main"}, role="admin").ok, "a person knows what they do"
    assert world.done == ["drain", "drain"]


@pytest.mark.parametrize(
    ("silence", "blocked"),
    [
        (['alertname=~".+"'], {"main", "spare"}),
        (['alertname!=""'], {"main", "spare"}),
        (['alertname=~".+"', 'instance="cart-2"'], {"spare"}),
        (['severity="critical"'], set()),
    ],
)
def test_a_silence_of_everything_is_one_of_each_target(silence: list[str], blocked: set[str]) -> None:
    world = Playground(nightly_drain)
    world.silences(*silence, for_="2h")
    world.at("10m")
    assert {one.targets["pump"] for one in world.written.values() if one.outcome == "blocked"} == blocked


def test_it_covers_a_target_that_says_of_no_alert_that_it_is_its_own() -> None:
    world = Playground(nightly_drain, plan=SERVICE.replace(""", match: ['instance="cart-1"']""", ""))
    world.silences('alertname=~".+"', for_="2h")
    world.at("10m")
    assert [one.outcome for one in world.written.values()] == ["blocked", "blocked"]


def test_of_several_silences_the_first_is_named_whatever_order_they_are_kept_in() -> None:
    said = set()
    for kept in (1, -1):
        world = Playground(nightly_drain)
        for author in ("Zoe", "Ben"):
            match = parse_matcher('instance="cart-1"')
            world.asked(
                SetSilence(
                    matchers=(match,), author=author, comment="x", starts_at=world.now, ends_at=world.now + 2 * HOUR,
                    actor="person:ana",
                )
            )  # fmt: skip
            world.now += SECOND
        rows = world.tables["silences"]
        world.tables["silences"] = dict(list(rows.items())[::kept])
        world.comes_back()
        world.at("10m")
        said.add(next(one.why for one in world.written.values() if one.targets == {"pump": "main"}))
        assert dump(world.replayed().state) == dump(world.engine.state)
    assert said == {"a silence of Zoe covers main"}


def test_whoever_silences_what_a_schedule_is_at_is_not_told_that_it_could_not_go_on() -> None:
    @playbook(name="nightly-look", schedule="5 3 * * *", trust=trust(start="act"))
    def nightly_look(run: Run, pump: Pump) -> None:
        run.look(level, pump)
        if pump.name == "main":
            world.silences('instance="cart-1"', for_="2h")
        run.fix(drain, pump)
        run.verify(level, pump, until=lambda now: now.full < 80, within="1m")

    world = Playground(nightly_look)
    world.at("10m")
    said = {one.targets["pump"]: (one.outcome, one.failed) for one in world.written.values()}
    assert said == {"main": ("handed_over", False), "spare": ("verified", False)}
    assert world.engine.state.incidents == {} and world.pages == []


def test_a_trigger_is_told_so_and_what_is_left_of_guards_says_it_too() -> None:
    world = Playground(empty_it, plan=PLAN)
    world.silences('instance="cart-1"', for_="2h")
    refused = pulls(world)
    assert (refused.code, refused.message) == ("conflict", "Not now: a silence of Ana covers main")
    found = weighing.weigh(world.engine.state, world.engine.plan, world.now, "cart", "empty-it", "main")
    assert found is not None and found.each[0].no == "a silence of Ana covers main"


def test_who_watches_may_watch_what_is_silenced() -> None:
    world = Playground(empty_it, plan=PLAN, rung="observe")
    world.silences('instance="cart-1"', for_="2h")
    assert pulls(world).ok and world.run(1).outcome == "observed"


TWO = (
    SERVICE.replace("    - {page: ana, wait: 5m}\n", "    - {page: [ana, ben], wait: 5m, until acknowledged by: 2}\n")
    .replace("  ben:", "  dora: {name: Dora, email: dora@shop.example}\n  ben:", 1)
    .replace("escalations:\n", "escalations:\n  dba:\n    - {page: [WHO], wait: 5m}\n")
)


@playbook(name="asks-first", answers=FULL, trust=trust(start="ask"), hand_over_to="dba")
def asks_first(run: Run, pump: Pump) -> None:
    run.look(level, pump)
    if run.ask("Shall I?", within="20m", default="yes") == "yes":
        run.fix(drain, pump)
    run.verify(level, pump, until=lambda now: now.full < 80, within="1m")


@playbook(name="asks-and-fails", answers=FULL, trust=trust(start="ask"), hand_over_to="dba")
def asks_and_fails(run: Run, pump: Pump) -> None:
    run.ask("Shall I?", within="20m", default="yes")
    run.hand_over("nothing fits")


def test_who_has_it_as_one_of_two_keeps_it_when_code_steps_aside_for_them() -> None:
    world = Playground(asks_first, rung="ask", plan=TWO.replace("WHO", "ana, dora"))
    world.fires("Full", instance="cart-1")
    assert world.at("1m").acknowledges(1).ok and world.incident(1).state == "triggered"
    world.at("25m")
    assert world.done == [] and "Ana has the incident" in world.run(1).why
    assert list(world.incident(1).answers) == ["ana"], "she said so, and it holds"
    assert not any(entry.what.startswith("Handed over to the escalation") for entry in world.timeline)
    assert [who for _, who, _ in world.pages].count("ana") == 1


def test_who_has_it_as_one_of_two_keeps_it_when_code_hands_over_to_others() -> None:
    for who, first in (("ana, dora", "dora"), ("ana", "ben")):
        world = Playground(asks_and_fails, rung="ask", plan=TWO.replace("WHO", who))
        world.fires("Full", instance="cart-1")
        assert world.at("1m").acknowledges(1).ok
        before = len(world.pages)
        world.at("26m")
        assert list(world.incident(1).answers) == ["ana"]
        after = [who for _, who, _ in world.pages[before:]]
        assert "ana" not in after and first in after
