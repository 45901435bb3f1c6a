"""Incidents answered with code, as stories in virtual time."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from tests.engine.world import dump
from tests.playbooks.playground import SERVICE, Playground, Pump, Run, drain, kick, level, pour
from tocsin.engine.commands import Result, StartRun
from tocsin.engine.engine import Engine
from tocsin.intake.sources import SOURCES
from tocsin.playbooks.language import at_most, blast_radius, breaker, cooldown, freeze, playbook, trust, unless
from tocsin.playbooks.manifest import Guard

FULL = ['alertname="Full"']


@playbook(answers=FULL, guards=[at_most(3, per="6h"), cooldown("15m")], trust=trust(start="ask"))
def empty_it(run: Run, pump: Pump) -> None:
    before = run.look(level, pump)
    if before.full < 50:
        run.hand_over("it is not full", before)
    run.fix(drain, pump)
    run.verify(level, pump, until=lambda now: now.full < 80, within="2m", harm=lambda now: now.full > before.full)


def fires(world: Playground, instance: str = "cart-1", name: str = "Full") -> None:
    world.fires(name, instance=instance)


def test_code_fixes_it_and_nobody_wakes_up():
    world = Playground(empty_it)
    fires(world)
    assert world.done == ["drain"]
    assert world.run(1).state == "watching"
    assert world.incident(1).paused == "playbook_verified"
    world.at("40s").resolves("Full", instance="cart-1")
    world.at("5m")
    assert world.incident(1).state == "resolved"
    assert world.run(1).outcome == "verified"
    assert world.pages == []
    assert world.steps(1) == ["look level done", "fix drain done", "verify level done"]


def test_what_is_verified_and_still_fires_after_ten_minutes_wakes_a_person():
    world = Playground(empty_it)
    fires(world)
    world.at("9m59s")
    assert world.pages == []
    world.at("10m")
    assert world.pages == [("600s", "ana", 1)]
    assert world.run(1).outcome == "handed_over"
    assert "not_cleared" in world.told(1)
    assert any("still fire" in sentence for sentence in world.incident(1).tried)


def test_a_fix_that_does_not_hold_is_handed_over_with_what_was_seen():
    world = Playground(empty_it)
    world.after_drain = 95
    fires(world)
    assert world.run(1).outcome == "handed_over"
    assert [page[1] for page in world.pages] == ["ana"]
    assert world.pages[0][0] == "120s"
    tried = " ".join(world.incident(1).tried)
    assert "97 % full" in tried and "did not hold within 2m" in tried and "95 % full" in tried


def test_harm_is_handed_over_at_once():
    world = Playground(empty_it)
    world.after_drain = 99
    fires(world)
    assert world.pages == [("0s", "ana", 1)]
    assert "it shows harm" in " ".join(world.incident(1).tried)


def test_no_answer_is_no_evidence():
    world = Playground(empty_it)

    def breaks(pump: Pump) -> int:
        world.dead = True
        return 0

    world.carrier.instead[drain.name] = breaks
    fires(world)
    assert world.run(1).outcome == "handed_over"
    assert "no look answered within 2m (ConnectionError: nobody answers)" in " ".join(world.incident(1).tried)


def test_a_playbook_hands_over_by_itself():
    world = Playground(empty_it)
    world.full["main"] = 10
    fires(world)
    assert world.done == []
    assert world.pages == [("0s", "ana", 1)]
    assert world.incident(1).tried[0] == "empty-it could not finish: it is not full"
    assert world.rung("empty-it") == "act", "who hands over before anything is changed has done right"


def test_after_three_fixes_in_one_night_a_person_is_woken():
    world = Playground(empty_it)
    for hour in range(3):
        world.full["main"] = 97
        world.at(f"{hour}h")
        fires(world)
        world.at(f"{hour}h1m").resolves("Full", instance="cart-1")
    assert world.pages == []
    world.at("3h")
    fires(world)
    last = world.engine.state.counters.incident
    assert world.pages == [("10800s", "ana", last)]
    assert world.run(4).outcome == "blocked"
    assert "guard_at_most" in world.told(last)
    assert "empty-it was not run: at most 3 runs" in " ".join(world.incident(last).tried)


def test_it_asks_first_and_goes_on_when_a_person_says_yes():
    world = Playground(empty_it, rung="ask")
    fires(world)
    assert world.done == [] and world.run(1).state == "asking"
    assert world.pages == [("0s", "ana", 1)], "a person has to answer, so a person is paged"
    asked = "empty-it asks: May it do playground.drain(main)? Answer where the incident is shown"
    assert asked in world.incident(1).tried
    world.at("1m")
    assert not world.says(1, "maybe").ok
    assert world.says(1, "yes").ok
    assert world.done == ["drain"] and world.run(1).state == "watching"
    assert asked not in world.incident(1).tried, "nobody is paged with a question that was answered"
    assert "empty-it asked: May it do playground.drain(main)? Ana answered: yes" in world.incident(1).tried
    assert world.incident(1).paused == "playbook_verified"
    world.at("7m")
    assert len(world.pages) == 1, "the next step waits: code has it"
    assert world.steps(1) == ["look level done", "fix drain done", "verify level done"]
    assert world.looks == 2, "what was looked at before the question is not looked at again"


def test_what_was_approved_and_fails_is_told_at_once_to_whoever_is_first():
    world = Playground(empty_it, rung="ask")
    world.after_drain = 95
    fires(world)
    world.at("1m")
    world.says(1, "yes")
    assert world.run(1).outcome == "handed_over"
    assert world.pages == [("0s", "ana", 1), ("180s", "ana", 1)], "not four minutes later, and not the second step"
    assert world.incident(1).tried[0].startswith("empty-it could not finish: playground.level: it did not hold")
    world.at("8m")
    assert world.pages[2:] == [("480s", "ben", 1)]


def test_no_means_no():
    world = Playground(empty_it, rung="ask")
    fires(world)
    assert world.says(1, "no").ok
    assert world.done == [] and world.run(1).outcome == "cancelled"
    assert not any("asks:" in one for one in world.incident(1).tried)
    assert not world.says(1, "yes").ok
    world.at("5m")
    assert [page[1] for page in world.pages] == ["ana", "ben"]


def test_nobody_answers_and_its_default_counts():
    world = Playground(empty_it, rung="ask")
    fires(world)
    world.at("31m")
    assert world.run(1).outcome == "cancelled" and world.done == []
    assert "approval_late" in world.told(1)


@pytest.mark.parametrize("rung", ["observe", "suggest"])
def test_who_only_watches_ends_at_the_first_fix_and_holds_no_page(rung):
    world = Playground(empty_it, rung=rung)
    fires(world)
    assert world.done == [] and world.pages == [("0s", "ana", 1)]
    assert world.run(1).outcome == {"observe": "observed", "suggest": "suggested"}[rung]
    assert "It would have done playground.drain(main)" in world.run(1).findings
    suggested = "empty-it suggests playground.drain(main)" in world.incident(1).tried
    assert suggested == (rung == "suggest")


def test_where_nobody_is_paged_nothing_is_changed():
    world = Playground(empty_it, paging=False)
    fires(world)
    assert world.done == [] and world.outcomes == ["observed"]


def test_a_person_who_has_it_is_not_worked_beside():
    @playbook(name="slow", answers=FULL, trust=trust(start="act"))
    def slow(run: Run, pump: Pump) -> None:
        run.verify(level, pump, until=lambda now: world.incident(1).state == "acknowledged", within="4m", every="30s")
        run.fix(drain, pump)
        run.verify(level, pump, until=lambda now: now.full < 80, within="1m")

    world = Playground(slow)
    passing = world.passing

    def acknowledged(until):
        passing(until)
        if world.incident(1).state != "acknowledged":
            world.acknowledges(1)

    world.carrier.rest = acknowledged
    fires(world)
    assert world.done == [] and world.run(1).outcome == "handed_over"
    assert "Ana has the incident" in world.run(1).why


def test_two_that_answer_one_incident_take_no_turns():
    @playbook(name="other", answers=FULL, trust=trust(start="act"))
    def other(run: Run, pump: Pump) -> None:
        run.fix(kick, pump)
        run.verify(level, pump, until=lambda now: now.full < 80, within="1m")

    world = Playground(empty_it, other)
    fires(world)
    assert world.done == ["drain"]
    assert "playbook_stands_by" in world.told(1)


def test_a_target_is_locked_while_a_run_has_it():
    world = Playground(empty_it, rung="ask")
    fires(world)
    assert world.run(1).state == "asking"
    refused: list[Result] = []

    def asked_again(pump: Pump) -> int:
        refused.append(world.runs_by_hand("empty-it", targets={"pump": "main"}))
        assert world.runs_by_hand("empty-it", targets={"pump": "spare"}).ok
        return 1

    world.carrier.instead[drain.name] = asked_again
    begun = world.runs_by_hand("empty-it", targets={"pump": "main"})
    assert begun.ok
    told = "Run 1 of empty-it asks before it changes cart/main: its question is withdrawn once this one changes"
    assert world.run(2).findings[0].startswith(told)
    assert refused[0].code == "conflict" and "run 2 of empty-it works on cart/main" in refused[0].message
    assert world.run(1).outcome == "overtaken", "a question keeps no person"
    stopped = world.stops(3)
    assert stopped.code == "conflict" and stopped.message == "Run 3 is over and closed"


def test_a_target_that_vanished_is_said_and_a_person_called():
    world = Playground(empty_it)
    world.fires("Full", instance="cart-9")
    assert world.pages == [("0s", "ana", 1)]
    assert "empty-it was not run: cart has no pump target that this alert is about" in world.incident(1).tried


def test_what_runs_by_hand_is_allowed_by_whoever_asks():
    world = Playground(empty_it, rung="ask")
    assert world.runs_by_hand("empty-it").code == "invalid", "two targets, and nothing to tell them apart"
    assert world.runs_by_hand("empty-it", targets={"pump": "main"}).ok
    assert world.done == ["drain"] and world.outcomes == ["verified"]


def test_a_run_is_cancelled_before_it_changes_anything_more():
    @playbook(name="two", answers=FULL, trust=trust(start="act"))
    def two(run: Run, pump: Pump) -> None:
        run.fix(drain, pump)
        world.stops(1)
        run.fix(kick, pump)
        run.verify(level, pump, until=lambda now: now.full < 80, within="1m")

    world = Playground(two)
    fires(world)
    assert world.done == ["drain"] and world.outcomes == ["cancelled"]
    assert world.pages == [("0s", "ana", 1)]


def test_guards_that_look_at_the_clock_and_at_others():
    guards: list[Guard] = [freeze("Mon 04:00-Mon 05:00"), unless("payments")]

    @playbook(name="careful", answers=FULL, trust=trust(start="act"), guards=guards)
    def careful(run: Run, pump: Pump) -> None:
        run.fix(drain, pump)
        run.verify(level, pump, until=lambda now: now.full < 80, within="1m")

    world = Playground(careful)
    world.fires("PaymentsDown")
    fires(world)
    assert world.run(1).why == "not while payments has an incident"
    world.at("1m").resolves("PaymentsDown").resolves("Full", instance="cart-1")
    world.at("1h5m")
    fires(world)
    assert world.run(2).why == "nothing is changed Mon 04:00-Mon 05:00 (UTC)"
    assert world.done == []


def test_never_the_last_one_that_is_well():
    @playbook(name="wide", answers=FULL, trust=trust(start="ask"), guards=[blast_radius(percent=100)])
    def wide(run: Run, pump: Pump) -> None:
        run.fix(drain, pump)
        run.verify(level, pump, until=lambda now: now.full < 80, within="1m")

    world = Playground(wide, rung="ask")
    fires(world)
    world.fires("Full", instance="cart-2", region="other")
    world.runs_by_hand("wide", targets={"pump": "spare"})
    assert world.run(2).why == "the other target is not well: another run works on it"


def test_code_leaves_the_last_target_alone_while_the_other_is_broken_and_goes_on_when_it_is_well():
    @playbook(name="one", answers=FULL, trust=trust(start="act"), guards=[blast_radius(2)])
    def one(run: Run, pump: Pump) -> None:
        run.fix(kick, pump)
        run.verify(level, pump, until=lambda now: now.full < 80, within="1m")

    world = Playground(one, plan=SERVICE.replace("service: cart}", "service: cart, group: {by: [instance]}}"))
    world.after_drain = 97
    fires(world)
    world.at("5m")
    assert world.run(1).outcome == "handed_over" and world.incident(1).open
    world.trusts("one", "act")
    world.at("6m")
    fires(world, "cart-2")
    assert world.run(2).why == "the other target is not well: an alert about it fires"
    assert world.done == ["kick"]
    assert any("is not well" in sentence for sentence in world.incident(2).tried)
    world.at("20m")
    for instance in ("cart-1", "cart-2"):
        world.resolves("Full", instance=instance)
    world.at("60m")
    fires(world, "cart-2")
    assert world.done == ["kick", "kick"]


def test_a_rehearsal_that_changed_nothing_keeps_no_fix_back():
    """Cooldown and rate are there so that fixes are not repeated: looking costs none of them."""
    world = Playground(empty_it, rung="suggest")
    for minute in range(4):
        world.at(f"{minute}m")
        world.runs_by_hand("empty-it", targets={"pump": "main"})
        assert world.run(minute + 1).outcome == "suggested"
    world.trusts("empty-it", "act")
    world.at("4m22s")
    fires(world)
    assert world.done == ["drain"] and world.pages == []
    world.at("5m").resolves("Full", instance="cart-1")
    world.at("12m")
    world.full["main"] = 97
    fires(world)
    assert "its last change was less than 15 min ago" in world.run(6).why


def test_a_breaker_opens_and_trust_falls_by_itself():
    @playbook(name="weak", answers=FULL, trust=trust(start="act"), guards=[breaker(failures=2)])
    def weak(run: Run, pump: Pump) -> None:
        run.fix(kick, pump)
        run.verify(level, pump, until=lambda now: now.full < 80, within="1m")

    world = Playground(weak)
    world.after_drain = 97
    for minute, rung in ((0, "ask"), (40, "suggest")):
        world.at(f"{minute}m")
        fires(world)
        if world.run(world.engine.state.counters.run).state == "asking":
            world.says(world.engine.state.counters.run, "yes")
        assert world.engine.state.standings["cart", "weak"].rung == rung
        world.resolves("Full", instance="cart-1")
    world.at("80m")
    fires(world)
    assert world.run(3).outcome == "blocked" and "failed 2 times in a row" in world.run(3).why
    assert "trust_fell" in world.told(1)


def test_edited_code_is_trusted_less_and_a_changed_plan_is_not():
    world = Playground(empty_it)
    world.put_in_force(world.text.encode() + b"\n# a comment\n")
    assert world.rung("empty-it") == "act"
    world.manifests = [msgspec.structs.replace(one, meaning="another") for one in world.manifests]
    world.put_in_force(world.text.encode())
    assert world.rung("empty-it") == "ask"


def test_whoever_changes_code_is_told_what_it_costs_and_what_is_still_being_written_costs_nothing():
    world = Playground(empty_it, rung="ask")
    told: list[str] = []
    keep = world.engine.apply

    def listening(*given: Any, **more: Any) -> Any:
        applied = keep(*given, **more)
        if applied.result is not None:
            told.append(applied.result.message)
        return applied

    world.engine.apply = listening  # type: ignore[method-assign]
    for meaning in ("first", "second"):
        world.manifests = [msgspec.structs.replace(one, meaning=meaning) for one in world.manifests]
        world.put_in_force(world.text.encode() + meaning.encode().join((b"#", b"\n")))
    assert world.rung("empty-it") == "ask" and not any(told), "no run and no person has said a word about it"
    world.trusts("empty-it", "act")
    world.manifests = [msgspec.structs.replace(one, meaning="third") for one in world.manifests]
    world.put_in_force(world.text.encode())
    assert world.rung("empty-it") == "ask"
    assert told[-1] == (
        "empty-it of cart is trusted to ask now, not to act: its code was changed. To put it back: "
        "tocsin playbook trust empty-it act --service cart --why …"
    )


def test_a_run_for_an_incident_is_for_its_service():
    world = Playground(empty_it, rung="observe")
    fires(world)
    refused = world.asked(StartRun(actor="person:ana", playbook="empty-it", incident=1, service="payments"))
    assert (refused.code, refused.message, refused.field) == ("invalid", "Incident #1 is of cart", "service")


def test_it_climbs_on_evidence_and_never_above_its_ceiling():
    @playbook(name="good", answers=FULL, trust=trust(start="ask"), guards=[breaker(returns=100)])
    def good(run: Run, pump: Pump) -> None:
        run.fix(drain, pump)
        run.verify(level, pump, until=lambda now: now.full < 80, within="1m")

    world = Playground(good, rung="ask")
    rungs = []
    for number in range(1, 19):
        assert world.runs_by_hand("good", targets={"pump": "main"}).ok
        rungs.append(world.engine.state.standings["cart", "good"].rung)
        world.at(f"{number}m")
    assert rungs.index("act") == 15, "16 of 16 is the least that is at least 80 % by Wilson's lower bound"


def test_a_fix_that_does_harm_after_the_incident_is_over_is_an_incident_of_its_own():
    @playbook(name="late-harm", answers=FULL, trust=trust(start="act"))
    def late_harm(run: Run, pump: Pump) -> None:
        run.fix(kick, pump)
        world.deep, deep = 1, world.deep
        world.resolves("Full", instance="cart-1")
        world.deep = deep
        run.verify(level, pump, until=lambda now: now.full < 50, within="10s", harm=lambda now: now.full > 90)

    world = Playground(late_harm)
    world.after_drain = 99
    fires(world)
    assert world.incident(1).state == "resolved"
    assert world.incident(2).title.startswith("late-harm could not finish") and world.pages == [("0s", "ana", 2)]


def test_what_is_missing_of_a_run_by_hand_is_said_in_words_that_fit_every_face():
    """Names stand within sentences: they keep their small letters when a face begins them with a capital."""
    world = Playground(empty_it)

    def said(**more: Any) -> str:
        return world.asked(StartRun(actor="person:ana", playbook="empty-it", **more)).message

    assert said() == "Say which service or incident it is for"
    assert said(service="nope") == "The service nope does not use empty-it"
    assert said(service="cart", targets={"x": "main"}) == "No target fits: empty-it has no target x; it has pump"
    wrong = said(service="cart", targets={"pump": "main"}, args={"foo": "1"})
    assert wrong == "The playbook empty-it has no parameter foo"


def test_the_trust_that_fell_says_once_that_a_run_was_handed_over():
    world = Playground(empty_it)
    world.after_drain = 99
    fires(world)
    world.at("10m")
    why = world.engine.state.standings["cart", "empty-it"].because
    assert why.count("handed over") == 1, why


def test_one_run_at_a_time_works_on_an_incident():
    world = Playground(empty_it, rung="ask")
    fires(world)
    refused = world.asked(StartRun(actor="person:ana", playbook="empty-it", incident=1, targets={"pump": "spare"}))
    assert refused.code == "conflict" and "stop that first" in refused.message
    world.stops(1)
    world.at("16m")
    assert world.asked(StartRun(actor="person:ana", playbook="empty-it", incident=1)).ok
    assert world.run(2).targets == {"pump": "main"}, "by the alert's labels"


def test_a_schedule_runs_it_and_its_failure_is_an_incident():
    @playbook(name="hygiene", schedule="30 3 * * *", trust=trust(start="act"))
    def hygiene(run: Run, pump: Pump) -> None:
        run.fix(drain, pump)
        run.verify(level, pump, until=lambda now: now.full < 80, within="10s")

    world = Playground(hygiene)
    world.at("31m")
    assert world.done == ["drain", "drain"] and world.outcomes == ["verified", "verified"]
    world.after_drain = 90
    world.at("24h31m")
    assert world.outcomes[2:] == ["handed_over", "asking"], "trust fell with the first, so the second asks"
    assert len(world.pages) >= 1


def test_replayed_and_reloaded_it_is_the_same():
    world = Playground(empty_it, rung="ask")
    fires(world)
    world.at("1m")
    world.says(1, "yes")
    world.at("3m")
    assert dump(world.replayed().state) == dump(world.engine.state)
    assert dump(Engine(world.loaded(), world.engine.plan, SOURCES).state) == dump(world.engine.state)


@playbook(answers=FULL, trust=trust(start="act"))
def pours_it(run: Run, pump: Pump) -> None:
    run.look(level, pump)
    run.fix(pour, pump)
    run.verify(level, pump, until=lambda now: now.full < 80, within="2m")


@playbook(answers=FULL, trust=trust(start="act"))
def kicks_it(run: Run, pump: Pump) -> None:
    run.look(level, pump)
    run.fix(kick, pump)
    run.verify(level, pump, until=lambda now: now.full < 80, within="2m")


@pytest.mark.parametrize(("body", "most"), [(empty_it, 2), (pours_it, 1), (kicks_it, 1)])
def test_killed_at_every_point_of_its_journal(body, most):
    """What is not idempotent runs once at most, or a person is called; and either way somebody or something has it."""
    whole = Playground(body)
    fires(whole)
    points = whole.carrier.points
    assert points == 12
    outcomes = set()
    for point in range(1, points + 1):
        world = Playground(body)
        world.carrier.kill_at = point
        fires(world)
        world.at("5m")
        run = world.run(1)
        outcomes.add(run.outcome or run.state)
        assert len(world.done) <= most, (point, world.done)
        if run.state == "watching":
            assert world.done and world.pages == []
        else:
            assert run.outcome == "handed_over" and [page[1] for page in world.pages] == ["ana"], point
            assert body is kicks_it, "only what can neither be repeated nor looked at is handed over"
            assert "doing it twice may do harm" in " ".join(world.incident(1).tried)
    assert outcomes == ({"watching", "handed_over"} if body is kicks_it else {"watching"})


def test_a_storm_leaves_one_run_in_mind_and_every_other_incident_pages_at_once():
    apart = SERVICE.replace("service: cart}", "service: cart, group: {by: [region], window: 5m}}")
    world = Playground(empty_it, rung="ask", plan=apart)
    for number in range(60):
        world.fires("Full", instance="cart-1", region=f"r{number}")
    assert len(world.engine.state.runs) == 1 and len(world.written) == 1
    why = "empty-it waits for run 1 of empty-it, which asks before it changes cart/main"
    assert [work.why for work in world.incident(60).works.values()] == [why]
    assert dump(Engine(world.loaded(), world.engine.plan, SOURCES).state) == dump(world.engine.state)
    world.at("3m")
    assert set(world.reached) == set(range(1, 61)), "in bundles, and none waits for code"
