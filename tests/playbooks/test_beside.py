"""What is beside a run while it lives: other targets that are ill or apart, and people who work there."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from tests.playbooks.playground import SERVICE, Playground, Pump, Run, drain, kick, level
from tocsin.engine.commands import StartRun
from tocsin.intake.event import Event
from tocsin.kernel.matcher import implied, parse_matcher
from tocsin.playbooks.language import blast_radius, playbook, trust
from tocsin.playbooks.targets import Target, Targets

FULL = ['alertname="Full"']
EACH = SERVICE.replace("service: cart}", "service: cart, group: {by: [instance, alertname]}}")
BY_NAME = SERVICE.replace("service: cart}", "service: cart, group: {by: [alertname]}}")
NOT_WELL = "the other target is not well: "


@playbook(name="one-at-a-time", answers=FULL, trust=trust(start="act"), guards=[blast_radius(1)])
def one_at_a_time(run: Run, pump: Pump) -> None:
    run.fix(kick, pump)
    run.verify(level, pump, until=lambda now: now.full < 80, within="1m")


@playbook(name="two-steps", answers=FULL, trust=trust(start="ask"), guards=[blast_radius(1)])
def two_steps(run: Run, pump: Pump) -> None:
    run.fix(drain, pump)
    run.fix(kick, pump)
    run.verify(level, pump, until=lambda now: now.full < 80, within="1m")


@playbook(name="plain", answers=FULL, trust=trust(start="act"))
def plain(run: Run, pump: Pump) -> None:
    run.fix(kick, pump)
    run.verify(level, pump, until=lambda now: now.full < 80, within="1m")


# -- another one must be well, at every fix ----------------------------------------------------------------------------


def test_a_target_is_left_alone_when_the_other_fell_ill_while_a_person_was_asked() -> None:
    world = Playground(one_at_a_time, rung="ask", plan=EACH)
    world.fires("Full", instance="cart-1")
    assert world.run(1).state == "asking"
    world.at("1m").fires("Down", instance="cart-2")
    assert world.says(1, "yes").ok
    assert world.done == [] and world.run(1).outcome == "handed_over"
    assert world.run(1).why.endswith(NOT_WELL + "an alert about it fires")


def test_the_second_fix_is_held_back_as_the_first_would_be() -> None:
    world = Playground(two_steps, rung="ask", plan=EACH)
    world.fires("Full", instance="cart-1")
    world.says(1, "yes")
    assert world.done == ["drain"] and world.run(1).state == "asking"
    world.fires("Down", instance="cart-2")
    world.says(1, "yes")
    assert world.done == ["drain"] and world.run(1).why.endswith(NOT_WELL + "an alert about it fires")


def test_its_own_trouble_and_its_own_lock_keep_nobody_from_going_on() -> None:
    world = Playground(two_steps, rung="ask", plan=EACH)
    world.fires("Full", instance="cart-1").fires("Down", instance="cart-1")
    world.at("1m").fires("Down", instance="cart-2")
    world.at("2m").resolves("Down", instance="cart-2")
    world.says(1, "yes")
    world.says(1, "yes")
    assert world.done == ["drain", "kick"], "the other one is well again"


# -- what is quiet is not well -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("silence", "alert", "why"),
    [
        ('instance="cart-2"', True, "an alert about it fires"),
        ('instance="cart-2"', False, "a silence covers it"),
        ('instance=~"cart-2|cart-9"', False, "a silence covers it"),
        ('alertname="Down"', True, "an alert about it fires"),
        ('alertname="Down"', False, ""),
        ('instance="cart-1"', False, ""),
    ],
)
def test_a_target_that_somebody_has_apart_is_not_the_one_that_is_well(silence: str, alert: bool, why: str) -> None:
    world = Playground(one_at_a_time, rung="ask", plan=EACH)
    assert world.silences(silence, for_="2h").ok
    if alert:
        world.fires("Down", instance="cart-2")
        assert not world.engine.state.incidents
    asked = world.runs_by_hand("one-at-a-time", targets={"pump": "main"})
    assert asked.ok is not bool(why)
    assert why == "" or asked.message == f"Not now: {NOT_WELL}{why}"


def test_what_a_silence_kept_quiet_counts_no_more_when_it_is_over() -> None:
    world = Playground(one_at_a_time, plan=EACH)
    world.silences('instance="cart-2"', for_="10m")
    world.fires("Down", instance="cart-2")
    world.at("5m").resolves("Down", instance="cart-2")
    world.fires("Full", instance="cart-1")
    assert world.run(1).why == NOT_WELL + "a silence covers it"
    world.resolves("Full", instance="cart-1").at("40m").fires("Full", instance="cart-1")
    assert world.done == ["kick"]


def test_what_fires_makes_a_target_ill_though_a_person_closed_its_incident() -> None:
    world = Playground(one_at_a_time, plan=EACH)
    world.fires("Down", instance="cart-2")
    assert world.resolves_by_hand(1).ok and not world.incident(1).open
    world.at("10m").fires("Full", instance="cart-1")
    assert world.done == [] and world.run(1).why == NOT_WELL + "an alert about it fires"


def test_a_watchdog_that_always_fires_makes_nobody_ill() -> None:
    beats = EACH.replace(
        "  cart:\n", "  cart:\n    heartbeats: {watchdog: {every: 1m, alert: ['alertname=\"Watchdog\"']}}\n"
    )
    world = Playground(one_at_a_time, plan=beats)
    world.fires("Watchdog", instance="cart-2").fires("Full", instance="cart-1")
    assert world.done == ["kick"]


def test_a_silence_names_a_target_when_it_covers_whatever_is_about_it() -> None:
    by = (parse_matcher('instance="cart-2"'), parse_matcher('job=~"cart.*"'))
    for texts, meant in (
        (['instance="cart-2"'], True),
        (['instance!="cart-1"', 'job=~"cart.*"'], True),
        (['instance="cart-2"', 'alertname="Down"'], False),
        (['job="cart"'], False),
        (['region!="eu"'], False),
        (['alertname=~".+"'], True),
        (['alertname!=""', 'region=~".*"', 'instance="cart-2"'], True),
        (['region=~".+"'], False),
        (['region=~"eu|"'], False),
    ):
        assert implied(tuple(map(parse_matcher, texts)), by) is meant, texts


# -- who works there ---------------------------------------------------------------------------------------------------


def test_nothing_is_changed_beside_whoever_has_the_incident_of_its_probe() -> None:
    world = Playground(plain, plan=BY_NAME.replace("look with: secret:ro", "look with: secret:main_ro", 1))
    world.fires("RedisFailed", probe="cart/main", instance="secret:main_ro")
    assert world.acknowledges(1).ok
    world.at("1m").fires("Full", instance="cart-2")
    assert world.done == ["kick"], "it is about the other one"
    world.at("2m").fires("Full", instance="cart-1", region="other")
    world.resolves("Full", instance="cart-2").resolves("Full", instance="cart-1", region="other")
    world.at("30m").fires("Full", instance="cart-1")
    assert world.done == ["kick"] and world.run(2).why.endswith("Ana has incident #1")


@pytest.mark.parametrize("last", ["cart-1", "cart-7"])
def test_whoever_has_an_incident_of_hundreds_of_alerts_has_the_target_of_the_last_one_too(last: str) -> None:
    world = Playground(plain, plan=BY_NAME)
    many = [Event({"alertname": "Down", "instance": f"x-{n}"}, world.now) for n in range(600)]
    world.hears(*many, Event({"alertname": "Down", "instance": last}, world.now))
    assert list(world.engine.state.incidents) == [1] and world.acknowledges(1).ok
    world.at("1m").fires("Full", instance="cart-1")
    if last == "cart-7":
        assert world.done == ["kick"]
    else:
        assert world.done == [] and world.run(1).why.endswith("Ana has incident #1")


def test_of_hundreds_of_alerts_each_makes_its_target_ill() -> None:
    world = Playground(one_at_a_time, plan=BY_NAME)
    many = [Event({"alertname": "Down", "instance": f"x-{n}"}, world.now) for n in range(600)]
    world.hears(*many, Event({"alertname": "Down", "instance": "cart-2"}, world.now))
    world.fires("Full", instance="cart-1")
    assert world.done == [] and world.run(1).why == NOT_WELL + "an alert about it fires"


def test_in_a_storm_each_alert_is_looked_at_once_and_not_once_for_each_run(monkeypatch: pytest.MonkeyPatch) -> None:
    head, _, rest = EACH.partition("      main:")
    told = "      t{0}: {{kind: pump, look with: secret:ro, fix with: secret:rw, match: ['instance=\"t-{0}\"']}}\n"
    plan = head + "".join(map(told.format, range(100))) + rest[rest.index("  payments:") :]
    world = Playground(one_at_a_time, plan=plan)
    monkeypatch.setattr(world, "check", lambda: None)
    about, asked = Targets.about, list[str]()

    def counted(self: Targets, service: str, labels: Mapping[str, str]) -> list[Target]:
        asked.append(service)
        return about(self, service, labels)

    monkeypatch.setattr(Targets, "about", counted)
    world.hears(*[Event({"alertname": "Full", "instance": f"t-{n}"}, world.now) for n in range(100)])
    assert set(world.outcomes) == {"blocked"} and len(world.written) == 100
    assert {run.why for run in world.written.values()} == {"none of the other 99 targets is well"}
    assert 200 <= len(asked) <= 300, "to bind its run, and for the guard"


def test_which_alert_is_about_which_target_follows_alerts_restarts_and_plans() -> None:
    """The playground compares what is kept with what looking at every alert says, after each input."""
    world = Playground(one_at_a_time, plan=EACH)
    world.fires("Down", instance="cart-2")
    world.fires("Full", instance="cart-1")
    assert world.run(1).why == NOT_WELL + "an alert about it fires"
    assert world.engine.state.concerned.services == {"cart"}
    world.fires("Down", key="k", instance="cart-2").fires("Down", key="k", instance="cart-1")
    world.resolves("Down", instance="cart-2").at("1m").fires("Down", instance="cart-2")
    moved = world.text.replace('instance="cart-2"', 'instance="cart-3"')
    world.put_in_force(moved.encode())
    world.resolves("Full", instance="cart-1").at("40m").fires("Full", instance="cart-1")
    assert world.done == ["kick"], "the other target is another machine now, and that is well"
    world.restarted()
    world.put_in_force(world.text.encode())
    world.resolves("Full", instance="cart-1").at("80m").fires("Full", instance="cart-1")
    assert world.run(3).why == NOT_WELL + "an alert about it fires"


@pytest.mark.parametrize(
    ("actor", "may"),
    [("person:ana", True), ("person:ana (token laptop)", True), ("person:ben", False), ("token:laptop", False)],
)
def test_whoever_took_over_runs_the_playbook_by_whatever_way_they_come(actor: str, may: bool) -> None:
    world = Playground(plain, rung="ask")
    world.fires("Full", instance="cart-1")
    world.stops(1)
    assert world.takes_over(1).ok
    asked = world.asked(StartRun(actor=actor, playbook="plain", service="cart", targets={"pump": "main"}))
    assert asked.ok is may
    assert (world.done == ["kick"]) is may
    assert may or asked.message == "Not now: Ana works on main by hand (took over run 1)"
