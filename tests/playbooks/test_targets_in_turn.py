"""An incident about several targets: each is answered in its turn, and pages wait as long as code gets somewhere."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from tests.engine.world import dump
from tests.playbooks.playground import SERVICE, Playground, Pump, Run, drain, kick, level
from tocsin.engine.commands import Reassign, StartRun
from tocsin.engine.engine import Engine
from tocsin.engine.inputs import Deaf, Quarantine
from tocsin.engine.wanted import chain_of
from tocsin.intake.event import Event
from tocsin.intake.sources import SOURCES
from tocsin.kernel.instant import MINUTE, SECOND
from tocsin.kernel.matcher import parse_matcher
from tocsin.playbooks.language import at_most, blast_radius, breaker, cooldown, playbook, trust
from tocsin.playbooks.manifest import Guard

HOSTS = "abcdef"
SPARE = "      spare: {kind: pump, look with: secret:ro, fix with: secret:rw, match: ['instance=\"cart-2\"']}\n"
MORE = "".join(
    f"      {one}: {{kind: pump, look with: secret:ro, fix with: secret:rw, match: ['instance=\"{one}\"']}}\n"
    for one in HOSTS
)
FLEET = SERVICE.replace(SPARE, SPARE + MORE).replace("service: cart}", "service: cart, group: {by: [region]}}")
MANY: list[Guard] = [breaker(failures=99, returns=99)]


@playbook(name="fleet", answers=['alertname="Full"'], trust=trust(start="act"))
def fleet(run: Run, pump: Pump) -> None:
    before = run.look(level, pump)
    if before.full < 50:
        run.hand_over("it is not full", before)
    run.fix(drain, pump)
    run.verify(level, pump, until=lambda now: now.full < 80, within="1m")


@playbook(name="other", answers=['alertname="Stuck"'], trust=trust(start="act"))
def other(run: Run, pump: Pump) -> None:
    run.fix(kick, pump)
    run.verify(level, pump, until=lambda now: now.full < 80, within="1m")


class Fleet(Playground):
    """A service with many targets; ``order``: those that code began to work on, as it did."""

    def __init__(self, *playbooks: Callable[..., None], plan: str = FLEET, **more: Any) -> None:
        super().__init__(*playbooks, plan=plan, **more)
        self.full |= dict.fromkeys(HOSTS, 97)
        self.replanned = 0

    def at(self, offset: str) -> Fleet:
        super().at(offset)
        return self

    @property
    def order(self) -> str:
        return "".join(run.targets["pump"] for run in self.written.values() if run.outcome != "blocked")

    def full_on(self, *hosts: str, name: str = "Full", severity: str = "critical") -> None:
        for host in hosts:
            self.fires(name, instance=host, severity=severity)

    def full_together(self, *hosts: str, name: str = "Full") -> None:
        """They fire in one request."""
        told = [
            Event(labels={"alertname": name, "severity": "critical", "instance": one}, starts_at=self.now,
                  severity="critical", own_title=f"{name} fires")
            for one in hosts
        ]  # fmt: skip
        self.hears(*told)

    def meanwhile(self, *happens: Callable[[], object]) -> None:
        """Things happen while a run's step is under way."""
        self.deep, deep = 1, self.deep
        for one in happens:
            one()
        self.deep = deep

    def ends_on(self, *hosts: str, name: str = "Full", severity: str = "critical") -> None:
        for host in hosts:
            self.resolves(name, instance=host, severity=severity)

    @property
    def by_target(self) -> str:
        return next((one for one in self.incident(1).tried if one.startswith("By target: ")), "")


def test_each_target_is_fixed_in_its_turn_and_nobody_wakes_up():
    """The second begins the moment the first is verified, and the incident ends when all alerts have."""
    world = Fleet(fleet)
    world.full_on("a", "b", "c")
    assert world.order == "abc" and world.clock == "0s", "none waited for another's alert to end"
    assert [world.run(one).state for one in (1, 2, 3)] == ["watching"] * 3
    assert world.incident(1).paused == "playbook_verified"
    world.at("40s").ends_on("a")
    assert world.run(1).outcome == "verified" and world.run(2).state == "watching"
    world.at("3m").ends_on("b", "c")
    world.at("20m")
    assert world.incident(1).state == "resolved" and world.pages == []
    assert world.outcomes == ["verified"] * 3
    assert dump(world.replayed().state) == dump(world.engine.state)


def test_the_gravest_goes_first_then_the_one_that_came_first():
    """What comes while code works elsewhere has its turn, too."""

    @playbook(name="slow", answers=['alertname="Full"'], trust=trust(start="act"))
    def slow(run: Run, pump: Pump) -> None:
        run.look(level, pump)
        if pump.name == "a":
            for host, severity in (("b", "warning"), ("c", "critical"), ("d", "warning"), ("e", "critical")):
                world.meanwhile(
                    partial(world.full_on, host, severity=severity),
                    lambda: world.passing(world.now + SECOND),
                )
        run.fix(drain, pump)
        run.verify(level, pump, until=lambda now: now.full < 80, within="1m")

    world = Fleet(slow)
    world.full_on("a", severity="warning")
    assert world.order == "acebd" and world.pages == []


def test_what_fails_calls_a_person_at_once_and_the_others_are_answered_without_anybody_waiting():
    world = Fleet(fleet)
    world.full["b"] = 20
    world.full_on("a", "b", "c")
    assert world.order == "abc" and world.pages == [("0s", "ana", 1)]
    assert [world.run(one).outcome or world.run(one).state for one in (1, 2, 3)] == [
        "watching", "handed_over", "watching",
    ]  # fmt: skip
    assert not world.run(3).holding and world.incident(1).lifted == "handed_over"
    assert world.incident(1).tried[0].startswith("fleet could not finish on b: it is not full")
    assert world.by_target == (
        "By target: a, c: fixed and verified, its alerts have yet to end (fleet); b: not fixed (fleet: it is not full)"
    )
    world.at("5m")
    assert world.pages[-1] == ("300s", "ben", 1), "and the next after her, when she does not answer"


def test_a_fix_in_vain_costs_trust_so_the_next_target_is_asked_about():
    world = Fleet(fleet)
    world.after_drain = 97
    world.full_on("a", "b")
    assert world.clock == "60s" and world.pages == [("60s", "ana", 1)]
    assert world.run(1).outcome == "handed_over" and world.run(2).state == "asking"
    world.after_drain = 40
    world.at("2m").says(2, "yes")
    assert world.done == ["drain", "drain"] and world.run(2).state == "watching"
    assert world.incident(1).paused is None, "a needs somebody still"


def slowly(world_of: list[Fleet], minutes: int, wait: str) -> Callable[..., None]:
    """A playbook whose fix is to be begun only after so many minutes, and after which its alert ends."""

    @playbook(name="slowly", answers=['alertname="Full"'], trust=trust(start="act"), hand_over_after=wait)
    def body(run: Run, pump: Pump) -> None:
        world = world_of[0]
        world.meanwhile(lambda: world.passing(world.now + minutes * MINUTE))
        run.fix(drain, pump)
        run.verify(level, pump, until=lambda now: now.full < 80, within="1m")
        world.meanwhile(lambda: world.ends_on(pump.name))

    return body


def test_pages_wait_only_so_long_in_all():
    """Each run is in time, and all of them together are not: a person is called then, and code goes on."""
    there: list[Fleet] = []
    world = Fleet(slowly(there, 12, "15m"))
    there.append(world)
    world.full_together("a", "b", "c", "d")
    assert world.order == "abcd" and world.clock == f"{48 * 60}s"
    assert world.pages[0] == ("1800s", "ana", 1), "thirty minutes, for the playbook may take fifteen"
    assert world.told(1).count("code_limit") == 1 and world.incident(1).lifted == "code_limit"
    told = next(page for page in world.told_pages)
    assert told.incident == 1 and world.outcomes == ["verified"] * 4
    assert "Pages have waited 30 min for code in all, and wait no longer" in world.incident(1).tried
    assert dump(world.replayed().state) == dump(world.engine.state)


def test_the_plan_says_how_long_pages_wait_for_code_in_all():
    there: list[Fleet] = []
    world = Fleet(
        slowly(there, 4, "5m"), plan=FLEET.replace("    playbooks: [", "    wait for code: 6m\n    playbooks: [")
    )
    there.append(world)
    world.full_together("a", "b")
    assert world.pages[0] == ("360s", "ana", 1)
    assert "slowly runs on b; a person is called in 2 min if it has not fixed it" in [
        entry.what for entry in world.timeline
    ]


def test_a_target_whose_alert_comes_back_is_a_persons():
    """Code tries each target once until the incident is over: what did not last is not done again."""
    world = Fleet(fleet)
    world.full_on("a", "b")
    world.at("1m").ends_on("a")
    assert world.run(1).outcome == "verified"
    world.at("2m").full_on("a")
    assert world.pages == [("120s", "ana", 1)] and world.order == "ab"
    assert world.incident(1).tried[0] == "fleet had fixed a (run 1), and its alert fires again"
    assert "fixed_and_back" in world.told(1)


def test_one_of_two_replicas_that_says_resolved_for_a_moment_is_no_alert_that_came_back():
    """Where a source's alerts have to stay quiet for a while, a target's have to, too, before it counts as verified."""
    world = Fleet(fleet)
    world.full_on("a", "b")
    world.incident(1).quiet = MINUTE
    world.at("1m").ends_on("a")
    assert world.run(1).state == "watching" and world.run(1).quiet_at == world.now + MINUTE
    world.at("90s").full_on("a")
    assert world.run(1).state == "watching" and world.run(1).quiet_at is None and world.pages == []
    world.at("3m").ends_on("a")
    world.apply(Deaf(world.now, world.now))
    world.at("4m")
    assert world.run(1).state == "watching", "nobody could be heard: it has five minutes more"
    world.at("9m")
    assert world.run(1).outcome == "verified" and world.run(2).state == "watching" and world.pages == []


def test_no_target_means_a_person_at_once_and_code_for_the_others():
    world = Fleet(fleet)
    world.full_together("nobody", "a")
    assert world.pages == [("0s", "ana", 1)] and world.order == "a"
    assert "fleet was not run: cart has no pump target that this alert is about" in world.incident(1).tried


def test_guards_hold_for_each_target_and_say_which_was_left():
    @playbook(name="thrice", answers=['alertname="Full"'], trust=trust(start="act"), guards=[at_most(3, per="6h")])
    def thrice(run: Run, pump: Pump) -> None:
        run.fix(drain, pump)
        run.verify(level, pump, until=lambda now: now.full < 80, within="1m")

    world = Fleet(thrice)
    world.full_together("a", "b", "c", "d", "e")
    assert world.order == "abc" and world.pages == [("0s", "ana", 1)]
    assert world.by_target.endswith("; d, e: not begun (thrice: at most 3 runs in 6 h, and it had them)")


def test_several_targets_of_one_incident_are_no_trouble_that_comes_back():
    """The breaker that is always there counts returns of the trouble, not the targets it was about."""
    world = Fleet(fleet)
    world.full_together(*HOSTS)
    assert world.order == HOSTS and world.pages == []
    for host in HOSTS:
        world.ends_on(host)
    assert world.incident(1).state == "resolved" and world.outcomes == ["verified"] * 6
    for minute in (1, 2):
        world.at(f"{minute}m").full_on("a")
        world.ends_on("a")
    world.at("3m").full_on("b")
    assert world.run(9).outcome == "blocked" and "came back 3 times" in world.run(9).why


def test_one_at_a_time_is_one_that_is_not_verified_yet():
    """Of three, two are ill: the second is begun at once, for the third is well."""

    @playbook(
        name="careful", answers=['alertname="Full"'], trust=trust(start="act"), guards=[blast_radius(1), cooldown("1h")]
    )
    def careful(run: Run, pump: Pump) -> None:
        run.fix(drain, pump)
        run.verify(level, pump, until=lambda now: now.full < 80, within="1m")

    world = Fleet(careful)
    world.full_together("a", "b")
    assert world.order == "ab" and world.pages == []


def test_the_last_that_is_well_is_waited_for_while_code_may_get_somewhere():
    """Of two, the other is ill until its alert ends: the second begins then, and pages wait for it."""

    @playbook(name="careful", answers=['alertname="Full"'], trust=trust(start="act"), guards=[blast_radius(1)])
    def careful(run: Run, pump: Pump) -> None:
        run.fix(drain, pump)
        run.verify(level, pump, until=lambda now: now.full < 80, within="1m")

    world = Fleet(careful, plan=SERVICE)
    world.full |= {"main": 97, "spare": 97}
    world.full_on("cart-1")
    world.at("10s").full_on("cart-2")
    assert world.order == "main" and world.pages == []
    world.at("2m").ends_on("cart-1")
    assert world.run(2).targets == {"pump": "spare"} and world.run(2).state == "watching"
    world.at("3m").ends_on("cart-2")
    assert world.incident(1).state == "resolved" and world.pages == []

    world = Fleet(careful, plan=SERVICE)
    world.full |= {"main": 97, "spare": 97}
    world.full_on("cart-1")
    world.at("10s").full_on("cart-2")
    world.at("10m")
    assert world.pages == [("600s", "ana", 1)], "and a person, when its alert does not end"
    assert world.order == "main"


def test_two_playbooks_for_different_alerts_each_have_their_turn():
    """Of as grave alerts that came together, the plan's order counts; on one target the second waits for the first."""
    world = Fleet(fleet, other)
    world.hears(
        *(
            Event(labels={"alertname": name, "severity": "critical", "instance": "a"}, starts_at=world.now,
                  severity="critical", own_title=name)
            for name in ("Stuck", "Full")
        )
    )  # fmt: skip
    assert [run.playbook for run in world.written.values()] == ["fleet"], "it stands first in the plan"
    assert "playbook_stands_by" not in world.told(1)
    world.at("1m").ends_on("a")
    assert [run.playbook for run in world.written.values()] == ["fleet", "other"]
    assert world.done == ["drain", "kick"] and world.pages == []
    world.at("2m").ends_on("a", name="Stuck")
    assert world.incident(1).state == "resolved" and world.pages == []


def test_an_alert_that_no_playbook_answers_calls_a_person_at_once_and_code_works_beside():
    """It may be a consequence of the others, and nobody knows: nothing that code does delays its page."""
    world = Fleet(fleet)
    world.full_on("a", "b")
    assert world.incident(1).paused == "playbook_verified"
    world.at("10s").fires("Slow", instance="x")
    assert world.pages == [("10s", "ana", 1)] and world.incident(1).lifted == "unanswered"
    assert "No playbook answers Slow fires: its pages wait for code no longer" in [one.what for one in world.timeline]
    world.full_on("c")
    assert world.order == "abc"
    world.at("1m").ends_on("a", "b")
    assert world.outcomes == ["verified", "verified", "watching"]
    world.at("6m")
    assert world.pages == [("10s", "ana", 1), ("310s", "ben", 1)]
    assert dump(world.replayed().state) == dump(world.engine.state)


def test_what_comes_together_with_an_alert_that_no_playbook_answers_does_not_hold_its_page():
    world = Fleet(fleet)
    world.hears(
        *(
            Event(labels={"alertname": name, "severity": "critical", "instance": "a"}, starts_at=world.now,
                  severity="critical", own_title=name)
            for name in ("Full", "Weird")
        )
    )  # fmt: skip
    assert world.pages == [("0s", "ana", 1)] and world.order == "a" and not world.run(1).holding


def test_an_alert_that_comes_while_a_run_works_does_not_wait_for_its_end():
    @playbook(name="slow", answers=['alertname="Full"'], trust=trust(start="act"))
    def slow(run: Run, pump: Pump) -> None:
        world.meanwhile(
            lambda: world.passing(world.now + 30 * SECOND),
            lambda: world.fires("Weird", instance="x"),
            lambda: world.passing(world.now + 30 * SECOND),
        )
        run.fix(drain, pump)
        run.verify(level, pump, until=lambda now: now.full < 80, within="1m")

    world = Fleet(slow)
    world.full_on("a")
    assert world.pages == [("30s", "ana", 1)] and world.run(1).state == "watching"


def test_code_that_joins_stops_no_escalation_that_is_on():
    """Ana was paged about what no playbook answers: what code does about others keeps nobody from the next."""
    world = Fleet(fleet)
    world.fires("Weird", instance="x", severity="critical")
    assert world.pages == [("0s", "ana", 1)]
    world.at("4m").full_on("a", severity="warning")
    assert world.order == "a" and world.run(1).state == "watching" and not world.run(1).holding
    world.at("6m").ends_on("a", severity="warning")
    assert world.pages == [("0s", "ana", 1), ("300s", "ben", 1)]
    assert dump(world.replayed().state) == dump(world.engine.state)


def test_after_people_were_called_code_has_nothing_wait_also_when_what_they_were_called_for_has_ended():
    world = Fleet(fleet)
    world.fires("Weird", instance="x")
    world.full_on("a")
    world.resolves("Weird", instance="x")
    world.full_on("b")
    world.at("6m")
    assert world.order == "ab" and world.pages == [("0s", "ana", 1), ("300s", "ben", 1)]


def test_an_acknowledgement_that_runs_out_is_not_followed_by_waiting_for_code():
    world = Fleet(fleet)
    world.fires("Weird", instance="x")
    world.acknowledges(1, hold="10m")
    world.at("5m").full_on("a")
    world.resolves("Weird", instance="x")
    world.at("11m")
    assert world.pages == [("0s", "ana", 1), ("600s", "ana", 1)] and world.order == "a"


def test_a_plan_that_gains_a_playbook_stops_no_escalation():
    world = Fleet(fleet)
    world.put_in_force(world.text.replace("playbooks: [fleet]", "playbooks: []").encode())
    world.full_on("a")
    world.at("4m").put_in_force(world.text.encode())
    world.full_on("b")
    assert world.order == "ab"
    world.at("6m")
    assert world.pages == [("0s", "ana", 1), ("300s", "ben", 1)]


def test_a_question_nobody_answered_in_time_lets_code_go_on_and_nobody_waits_for_it():
    @playbook(name="asks", answers=['alertname="Full"'], trust=trust(start="act"))
    def asks(run: Run, pump: Pump) -> None:
        run.ask("Drain it?", choices=("yes", "no"), default="yes", within="2m")
        run.fix(drain, pump)
        run.verify(level, pump, until=lambda now: now.full < 80, within="1m")

    world = Fleet(asks)
    world.full_on("a")
    world.at("6m")
    assert world.done == ["drain"] and world.pages == [("0s", "ana", 1), ("300s", "ben", 1)]

    world = Fleet(asks)
    world.full_on("a")
    world.at("1m").says(1, "yes")
    world.at("6m")
    assert world.done == ["drain"] and world.pages == [("0s", "ana", 1)], "somebody knows of it"


def test_opened_again_by_another_alert_each_target_may_be_tried_once_more():
    """What code did the last time is not remembered for what it did now."""
    world = Fleet(fleet)
    world.full_on("a")
    world.at("1m").ends_on("a")
    assert world.incident(1).state == "resolved"
    world.full["a"] = 97
    world.at("5m").fires("Weird", instance="x")
    world.at("5m30s").full_on("a")
    assert world.order == "aa" and world.run(2).state == "watching"
    assert list(world.incident(1).works) == ["fleet a"] and world.incident(1).works["fleet a"].run == 2
    assert not any("fires again" in one for one in world.incident(1).tried)
    assert dump(world.replayed().state) == dump(world.engine.state)


def test_what_was_handed_over_the_last_time_is_not_told_again():
    world = Fleet(fleet)
    world.full["b"] = 20
    world.full_on("b")
    world.at("2m").ends_on("b")
    world.at("5m").fires("Weird", instance="x")
    world.fires("Weird", instance="y")
    assert world.incident(1).works == {} and world.incident(1).told_by == 0
    world.full["b"] = 97
    world.full_on("b")
    assert world.order == "bb" and world.run(2).state == "watching"


def test_a_plan_that_shortens_what_pages_wait_for_code_counts_at_once():
    world = Fleet(fleet)
    world.full_on("a")
    world.put_in_force(world.text.replace("    playbooks: [", "    wait for code: 1m\n    playbooks: [").encode())
    world.at("2m")
    assert world.pages == [("60s", "ana", 1)] and world.incident(1).lifted == "code_limit"
    assert dump(world.replayed().state) == dump(world.engine.state)


def test_a_plan_without_the_playbook_or_the_target_ends_the_wait_at_once_and_proves_nothing():
    for less in (
        ("playbooks: [fleet]", "playbooks: []"),
        (next(line for line in MORE.splitlines(keepends=True) if line.startswith("      a:")), ""),
    ):
        world = Fleet(fleet)
        world.full_on("a")
        world.at("1m").put_in_force(world.text.replace(*less).encode())
        assert world.pages == [("60s", "ana", 1)]
        world.at("2m").full_on("b")
        assert world.run(1).outcome == "overtaken" and "The alerts ended" not in world.run(1).findings
        assert world.engine.state.standings["cart", "fleet"].held == 0
        assert dump(world.replayed().state) == dump(world.engine.state)


def test_a_fix_is_not_proven_by_a_plan_that_asks_others_about_its_alert():
    """Its alert fires still, whomever the plan would ask about it now."""
    world = Fleet(fleet, other)
    world.full_on("b", name="Stuck")
    world.full_on("a")
    world.manifests = [
        replace(one, answers=((parse_matcher('alertname="Fuller"'),),)) if one.name == "fleet" else one
        for one in world.manifests
    ]
    world.put_in_force((world.text + "\n").encode())
    world.at("1m").fires("Stuck", instance="c", severity="critical")
    assert world.run(2).state == "watching" and world.pages == [("0s", "ana", 1)]


def test_a_run_by_hand_that_is_not_meant_has_code_begin_nothing():
    """Nor is it forgotten what code could not do."""
    gone = [False]

    @playbook(name="first", answers=['alertname="Full"'], when=lambda about: not gone[0], trust=trust(start="act"))
    def first(run: Run, pump: Pump) -> None:
        run.hand_over("I cannot")

    @playbook(name="kicker", answers=['alertname="Full"'], trust=trust(start="act"))
    def kicker(run: Run, pump: Pump) -> None:
        run.fix(kick, pump)
        run.verify(level, pump, until=lambda now: now.full < 80, within="1m")

    world = Fleet(first, kicker)
    world.full_on("a")
    gone[0] = True
    world.at("2m")
    assert world.asked(StartRun(actor="person:ana", playbook="first", incident=1)).ok
    assert world.outcomes == ["handed_over", "not_needed"] and world.done == []
    assert world.incident(1).works["first a"].run == 1 and world.incident(1).told_by == 1


def test_whoever_has_code_try_says_on_which_of_several_targets() -> None:
    """And it works there, for the alert that is about it; never on one they did not mean."""
    world = Fleet(fleet)
    world.full["a"] = 20
    world.full_on("a", "b")
    world.at("1m").ends_on("b")
    world.at("2m").full_on("b")
    refused = world.runs_by_hand("fleet", incident=1)
    assert (refused.ok, refused.code, refused.field) == (False, "invalid", "targets")
    assert "Alerts fire about several targets (a, b): say on which fleet is to run" in refused.message
    assert world.runs_by_hand("fleet", incident=1, targets={"pump": "b"}).ok
    run = list(world.written.values())[-1]
    assert run.targets == {"pump": "b"} and run.labels["instance"] == "b"


def test_whoever_has_code_try_need_not_say_where_there_is_one_target() -> None:
    """Alerts that have ended, or that a silence covers, are not meant."""
    world = Fleet(fleet)
    world.full |= {"a": 20, "b": 20}
    world.full_on("a", "b")
    world.at("1m").ends_on("a")
    assert world.runs_by_hand("fleet", incident=1).ok
    assert list(world.written.values())[-1].targets == {"pump": "b"}


def test_whoever_has_code_try_need_not_say_where_code_is_done_with_the_others() -> None:
    world = Fleet(fleet, rung="ask")
    world.full_together("a", "b")
    assert world.run(1).state == "asking" and world.stops(1).ok, "and code begins nothing more there by itself"
    assert list(world.incident(1).works) == ["fleet a"]
    assert world.runs_by_hand("fleet", incident=1).ok
    assert list(world.written.values())[-1].targets == {"pump": "b"}


def test_what_a_person_stops_is_stopped_also_after_a_person_was_called():
    world = Fleet(fleet, rung="ask")
    world.full["a"] = 20
    world.full_together("a", "b", "c")
    assert world.outcomes == ["handed_over", "asking"] and world.incident(1).lifted == "handed_over"
    world.stops(2)
    assert world.order == "ab" and world.incident(1).lifted == "run_cancelled"


def test_what_a_first_failure_took_from_its_guards_is_one_failure():
    @playbook(name="bad", answers=['alertname="Full"'], trust=trust(start="act"))
    def bad(run: Run, pump: Pump) -> None:
        run.fix(drain, pump)
        raise ValueError("x")

    world = Fleet(bad)
    world.full_on("a")
    said = " ".join(one.now for one in world.run(1).took)
    assert "1 of 3 failures in a row" in said and "came back 1" not in said


def test_an_incident_set_aside_waits_for_no_code():
    world = Fleet(fleet)
    world.full_on("a")
    world.apply(Quarantine("incident", "1", "a fault"))
    assert world.incident(1).held_since is None


def as_an_older_version_wrote_it(world: Fleet) -> None:
    """Its rows have none of what newer ones keep, and it is started again."""
    incident = world.incident(1)
    incident.works, incident.held, incident.held_since, incident.called = {}, 0, None, False
    world.engine.changes.incidents[1] = incident
    for run in world.engine.state.runs.values():
        run.holding, run.opening = False, 0
        world.engine.changes.runs[run.number] = run
    world.check = lambda: None  # type: ignore[method-assign]
    world._take(world.engine.take())
    world.comes_back()
    del world.check
    world.check()


def test_after_an_upgrade_pages_wait_on_for_what_code_does():
    """The plan is put in force before anything else, as each start does."""
    world = Fleet(fleet)
    world.full_on("a")
    as_an_older_version_wrote_it(world)
    assert world.pages == [] and world.incident(1).paused == "playbook_verified"
    assert world.run(1).holding and list(world.incident(1).works) == ["fleet a"]
    world.at("1m").full_on("b")
    world.at("2m").ends_on("b")
    assert world.order == "ab" and world.pages == []
    world.at("11m")
    assert world.pages == [("602s", "ana", 1)], "two seconds of them nobody heard anything"


def test_after_an_upgrade_whoever_was_paged_before_is_followed_by_the_next():
    world = Fleet(fleet)
    world.fires("Weird", instance="x")
    as_an_older_version_wrote_it(world)
    world.at("4m").full_on("a")
    world.at("6m")
    assert world.pages == [("0s", "ana", 1), ("300s", "ben", 1)] and world.incident(1).called


def test_whoever_stops_a_run_wants_no_other_to_begin():
    world = Fleet(fleet, rung="ask")
    world.full_together("a", "b")
    assert world.pages == [("0s", "ana", 1)]
    world.stops(1)
    world.at("1h")
    assert world.order == "a" and world.incident(1).lifted == "run_cancelled"


def test_a_no_is_said_of_one_target():
    world = Fleet(fleet, rung="ask")
    world.full_together("a", "b")
    world.says(1, "no")
    assert world.order == "ab" and world.run(2).state == "asking"


def test_nothing_is_begun_while_somebody_has_it_and_code_goes_on_when_that_runs_out():
    world = Fleet(fleet, rung="ask")
    world.full_together("a", "b")
    world.acknowledges(1)
    world.says(1, "no")
    assert world.order == "a"
    world.at("61m")
    assert world.order == "ab"


def test_whoever_has_an_incident_is_at_every_target_that_code_could_not_fix_there():
    """Also when its alert has ended meanwhile, and code worked elsewhere last."""
    world = Fleet(fleet)
    world.full["a"] = 20
    world.full_together("a", "b")
    assert world.outcomes == ["handed_over", "watching"]
    world.ends_on("a")
    world.acknowledges(1)
    world.full["a"] = 97
    world.fires("Full", instance="a", region="elsewhere")
    assert world.run(3).incident == 2 and "Ana has incident #1" in world.run(3).why
    assert world.done == ["drain"], "on b alone"


def test_a_silenced_alert_is_left_alone():
    world = Fleet(fleet)
    world.silences('instance="b"', for_="1h")
    world.full_on("a", "b")
    assert world.order == "a"


def test_what_a_silence_kept_apart_has_its_turn_when_that_ends():
    world = Fleet(fleet)
    world.silences('instance="b"', for_="5m")
    world.full_on("b", "a")
    assert world.order == "a"
    world.at("5m")
    assert world.order == "ab" and world.reached == [], "its author is told that it ended, and nobody is paged"


def test_a_person_has_a_playbook_run_on_another_target_while_the_first_is_only_waited_for():
    world = Fleet(fleet, rung="act")
    world.full_on("a")
    assert world.asked(StartRun(actor="person:ana", playbook="fleet", incident=1, targets={"pump": "f"})).ok
    assert world.run(2).whole and world.run(2).state == "watching", "it is there for the incident's alert"
    world.at("5m").ends_on("a")
    assert world.outcomes == ["verified", "verified"]


def test_opened_again_each_target_may_be_tried_once_more():
    world = Fleet(fleet)
    world.full_on("a", "b")
    world.ends_on("a", "b")
    assert world.incident(1).state == "resolved"
    world.full["b"] = 97
    world.at("5m").full_on("b")
    assert world.order == "abb" and world.incident(1).reopened == 1 and world.pages == []
    assert list(world.incident(1).works) == ["fleet b"]


def test_a_storm_over_more_targets_than_code_is_for_is_a_persons():
    """And is bounded: what is kept with an incident does not grow without end."""
    many = "".join(
        f"      t{n}: {{kind: pump, look with: secret:ro, fix with: secret:rw, match: ['instance=\"t{n}\"']}}\n"
        for n in range(130)
    )
    world = Fleet(fleet, plan=SERVICE.replace(SPARE, SPARE + many))
    world.full |= {f"t{n}": 97 for n in range(130)}
    world.full_together(*(f"t{n}" for n in range(130)))
    assert len(world.incident(1).works) == 100 and world.pages == [("0s", "ana", 1)]
    assert "Code has been asked about 100 targets" in " ".join(world.incident(1).tried)
    assert len(world.by_target) <= 500


STEPS = st.one_of(
    st.tuples(st.just("fires"), st.sets(st.sampled_from(["a", "b", "c", "d", "nobody"]), min_size=1, max_size=4)),
    st.tuples(st.just("fires"), st.sets(st.sampled_from(["a", "b", "c", "d"]), min_size=1, max_size=4)),
    st.tuples(st.just("ends"), st.sets(st.sampled_from(["a", "b", "c", "d", "nobody"]), min_size=1, max_size=4)),
    st.tuples(st.just("weird"), st.sampled_from(["x", "y"])),
    st.tuples(st.just("calm"), st.sampled_from(["x", "y"])),
    st.tuples(st.just("plan"), st.sampled_from(["as it was", "a minute", "no other", "no a"])),
    st.tuples(st.just("stuck"), st.sampled_from(["a", "b"])),
    st.tuples(st.just("unstuck"), st.sampled_from(["a", "b"])),
    st.tuples(st.just("passes"), st.sampled_from([1, 40, 120, 400, 700, 2_000])),
    st.tuples(st.just("breaks"), st.sampled_from([40, 97])),
    st.tuples(st.just("trusts"), st.sampled_from(["observe", "ask", "act"])),
    st.tuples(st.just("says"), st.sampled_from(["yes", "no"])),
    st.tuples(st.just("acknowledges")),
    st.tuples(st.just("stops")),
    st.tuples(st.just("restarts")),
    st.tuples(st.just("resolves"), st.sampled_from(["", "5m"])),
    st.tuples(st.just("gives")),
    st.tuples(st.just("takes over")),
    st.tuples(st.just("begins"), st.sampled_from(HOSTS)),
)


def happens(world: Fleet, step: tuple[object, ...]) -> None:
    state = world.engine.state
    run = state.counters.run
    match step:
        case ("fires", set() as hosts):
            world.full |= dict.fromkeys(hosts & set(world.full), 97)
            world.full_together(*sorted(hosts))
        case ("ends", set() as hosts):
            world.ends_on(*sorted(hosts))
        case ("weird", str(host)):
            world.fires("Weird", instance=host)
        case ("calm", str(host)):
            world.resolves("Weird", instance=host)
        case ("plan", str(which)):
            text = world.text
            match which:
                case "a minute":
                    text = text.replace("    playbooks: [", "    wait for code: 1m\n    playbooks: [")
                case "no other":
                    text = text.replace(", other]", "]")
                case "no a":
                    text = text.replace(next(line for line in MORE.splitlines(True) if line.startswith("      a:")), "")
            world.put_in_force(text.encode())
            world.replanned = world.now
        case ("stuck", str(host)):
            world.full_on(host, name="Stuck", severity="warning")
        case ("unstuck", str(host)):
            world.ends_on(host, name="Stuck", severity="warning")
        case ("passes", int(seconds)):
            world.passing(world.now + seconds * SECOND)
        case ("breaks", int(full)):
            world.after_drain = full
        case ("trusts", str(rung)):
            world.trusts("fleet", rung)
        case ("says", str(answer)):
            world.says(run, answer)
        case ("acknowledges",):
            world.acknowledges(max(state.incidents, default=1))
        case ("stops",):
            world.stops(run)
        case ("resolves", str(snooze)):
            world.resolves_by_hand(max(state.incidents, default=1), snooze=snooze)
        case ("gives",):
            world.asked(Reassign(actor="person:ana", incident=max(state.incidents, default=1), person="ben"))
        case ("takes over",):
            world.takes_over(run)
        case ("begins", str(host)):
            incident = max(state.incidents, default=0)
            world.runs_by_hand("fleet", incident=incident, targets={"pump": host}, role="admin")
        case ("restarts",):
            world.comes_back()


def every_target_is_answered_or_named(world: Fleet) -> None:
    """Of each alert that fires unsilenced in an incident that nobody has: code was asked about its target, or is at
    another one, or a person stopped it, or its turn comes when this incident's other runs are over.
    """
    state, plan = world.engine.state, world.engine.plan
    for incident in state.incidents.values():
        if incident.state != "triggered" or incident.lifted == "run_cancelled":
            continue
        if incident.updated_at <= world.replanned:
            continue  # what a plan asks for that is new has its turn when the incident is looked at next
        live = [state.runs[one] for one in state.at_work.get(incident.number, ())]
        for id in state.members[incident.number].heard:
            chain = chain_of(plan, "cart", state.alerts[id].labels, incident.severity)
            assert not chain or live or any(wish.key in incident.works for wish in chain), (incident, chain)
        if incident.hold_until is None and incident.works:
            assert not any(work.outcome == "" and not state.runs[work.run].live for work in incident.works.values())


@settings(max_examples=60)
@given(st.lists(STEPS, min_size=3, max_size=14), st.integers(0, 60), st.booleans())
def test_alerts_over_targets_come_and_end_in_any_order(steps, kill_at, careful) -> None:
    guards: list[Guard] = [*MANY, *([blast_radius(1)] if careful else [])]

    @playbook(name="fleet", answers=['alertname="Full"'], trust=trust(start="act"), guards=guards)
    def body(run: Run, pump: Pump) -> None:
        if run.look(level, pump).full < 50:
            run.hand_over("it is not full")
        run.fix(drain, pump)
        run.verify(level, pump, until=lambda now: now.full < 80, within="1m")

    @playbook(name="other", answers=['alertname="Stuck"'], trust=trust(start="act"), guards=guards)
    def second(run: Run, pump: Pump) -> None:
        run.fix(kick, pump)
        run.verify(level, pump, until=lambda now: now.full < 80, within="1m")

    world = Fleet(body, second, rung="")
    world.carrier.kill_at = kill_at
    for step in steps:
        happens(world, step)  # after each input the playground looks whether each hold has its reason
        every_target_is_answered_or_named(world)
    assert dump(Engine(world.loaded(), world.engine.plan, SOURCES).state) == dump(world.engine.state)
    assert dump(world.replayed().state) == dump(world.engine.state)
    world.passing(world.now + 3 * 3600 * SECOND)
    assert not any(run.live for run in world.engine.state.runs.values()), "every run ends by itself"
    for incident in world.engine.state.incidents.values():
        fires = incident.open and world.engine.state.members[incident.number].loud
        assert not fires or incident.pages, "code could not end it, so a person was called"
