"""One system that several services have as a target: one lock, one count of changes, one person who works there."""

from __future__ import annotations

from itertools import permutations

import pytest

from tests.engine.world import dump
from tests.playbooks.playground import SERVICE, Playground, Pump, Run, drain, level
from tocsin.engine.commands import SetTrust, TakeOverRun
from tocsin.engine.weighing import weigh
from tocsin.playbooks.language import at_most, blast_radius, breaker, cooldown, playbook, trust
from tocsin.playbooks.manifest import Guard
from tocsin.playbooks.targets import Target, Targets

FULL = ['alertname="Full"']
OURS = """
  cart:
    escalation: shop
    playbooks: [PLAYBOOKS]
    targets:
      main: {kind: pump, look with: secret:one, fix with: secret:rw, match: ['instance="one"']}
      spare: {kind: pump, look with: secret:two, fix with: secret:rw, match: ['instance="two"']}
  pay:
    escalation: shop
    playbooks: [PLAYBOOKS]
    targets:
      main: {kind: pump, look with: secret:one, fix with: secret:rw2, match: ['instance="one"']}
"""
PLAN = (
    SERVICE[: SERVICE.index("  cart:\n")].rstrip()
    + OURS
    + """  payments: {escalation: shop}
routes:
  - {match: ['of="pay"'], service: pay}
  - {match: ['alertname=~".+"'], service: cart}
"""
)


class Shared(Playground):
    """A world of two services with one system."""

    def until(self, offset: str) -> Shared:
        self.at(offset)
        return self

    def full_of(self, service: str, instance: str = "one") -> Shared:
        self.full |= {"main": 97, "spare": 20}
        self.fires("Full", instance=instance, of=service)
        return self

    def over_of(self, service: str, instance: str = "one") -> Shared:
        self.resolves("Full", instance=instance, of=service)
        return self


def pumps(name: str, *guards: Guard) -> Shared:
    """One whose playbook drains a pump, and may by itself for both services."""

    @playbook(name=name, answers=FULL, trust=trust(start="act"), guards=list(guards))
    def body(run: Run, pump: Pump) -> None:
        run.fix(drain, pump)
        run.verify(level, pump, until=lambda now: now.full < 80, within="1m")

    return Shared(body, plan=PLAN)


def last(world: Playground) -> str:
    return world.written[max(world.written)].why


def test_two_services_change_one_system_one_after_the_other() -> None:
    world = pumps("one-by-one")
    world.full_of("cart")
    assert world.run(1).state == "watching", "it holds the system until its alert has ended"
    world.full_of("pay")
    work = world.incident(2).works["one-by-one main"]
    said = "run 1 of one-by-one, which watches what it fixed on cart/main, which is pay/main too"
    assert work.why == f"one-by-one waits for {said}" and world.pages == []
    shown = weigh(world.engine.state, world.engine.plan, world.now, "pay", "one-by-one")
    held = said.replace(", which watches", " watches")
    assert shown is not None and shown.each[0].left[0].no == held, "what is shown is what keeps it"
    world.full_of("cart", "two")
    assert world.outcomes == ["watching", "watching"], "the other system is another one"
    world.over_of("cart").until("1m")
    assert world.outcomes == ["verified", "watching", "watching"] and world.run(3).service == "pay"
    assert dump(world.replayed().state) == dump(world.engine.state)


def test_a_lock_that_was_taken_before_counts_from_the_start() -> None:
    """Nothing of it is in a row: what ran, or was taken over, when an older version wrote it down holds as well."""
    world = pumps("restarted")
    world.full_of("cart")
    world.comes_back()
    world.full_of("pay")
    work = world.incident(2).works["restarted main"]
    assert work.awaits == 1 and "cart/main" in work.why


def test_who_took_a_system_over_has_it_for_every_service() -> None:
    world = pumps("taken")
    world.after_drain = 95
    world.full_of("cart")
    world.at("2m")
    assert world.run(1).outcome == "handed_over" and world.takes_over(1).ok
    world.full_of("pay")
    assert last(world) == "Ana works on main by hand (took over run 1)"
    shown = weigh(world.engine.state, world.engine.plan, world.now, "pay", "taken")
    assert shown is not None and shown.each[0].left[1].no == last(world)
    other = world.asked(TakeOverRun(actor="person:ben", run=max(world.written), why="mine"))
    assert not other.ok, "that run was never let begin"
    assert world.gives_back(1).ok
    world.until("3m").over_of("pay").at("10m")
    world.over_of("cart").until("20m").full_of("pay")
    assert world.done == ["drain", "drain"]


def test_who_has_an_incident_about_a_system_is_not_worked_beside() -> None:
    world = pumps("beside")
    world.fires("Slow", instance="one", of="pay")
    assert world.acknowledges(1).ok
    world.full_of("cart")
    assert world.done == [] and last(world).endswith("was not done: Ana has incident #1")
    world.full_of("cart", "two")
    assert world.done == ["drain"]


def test_a_silence_over_a_system_by_one_name_holds_by_the_other() -> None:
    world = pumps("silent")
    here, there = (f"secret:rw2, match: ['{what}']" for what in ('instance="one"', 'host="h1"'))
    world.put_in_force(world.text.replace(here, there).encode())
    assert world.silences('host="h1"', for_="1h").ok
    world.full_of("cart")
    assert world.done == [] and last(world) == "a silence of Ana covers main"


@pytest.mark.parametrize(
    ("name", "guard", "why"),
    [
        ("rests", cooldown("2h"), "its last change was less than 2 h ago"),
        ("rated", at_most(1, per="3h", over="target"), "at most 1 runs on this target in 3 h, and it had them"),
        ("returns", breaker(returns=1), "this same trouble came back 1 times within 1 d, whatever was done about it"),
    ],
)
def test_what_was_done_for_one_service_counts_for_the_other(name: str, guard: Guard, why: str) -> None:
    world = pumps(name, guard)
    world.full_of("cart")
    world.until("1m").over_of("cart").at("30m")
    assert world.run(1).outcome == "verified"
    world.full_of("pay")
    assert last(world).startswith(why) and world.done == ["drain"]
    world.full_of("cart", "two")
    assert world.done == ["drain"] * (2 if name != "returns" else 1)


def test_what_failed_for_one_service_opens_the_breaker_of_the_other() -> None:
    world = pumps("fails", breaker(failures=1))
    world.after_drain = 95
    world.full_of("cart")
    world.at("2m")
    assert world.run(1).failed
    world.asked(SetTrust(actor="person:ana", service="cart", playbook="fails", rung="act", why="x", role="admin"))
    world.over_of("cart").until("1h").full_of("pay")
    assert last(world) == "it failed 1 times in a row within 1 d" and world.done == ["drain"]


def test_what_another_service_changes_counts_in_a_blast_radius() -> None:
    world = pumps("blast", blast_radius(1))
    world.full_of("pay")
    assert world.run(1).state == "watching"
    world.full_of("cart", "two")
    assert last(world).startswith("the other target is not well: ") and world.done == ["drain"]


# -- which targets are one system --------------------------------------------------------------------------------------


def made(service: str, name: str, kind: str = "box", reading: str = "secret:a", system: str = "") -> Target:
    return Target(service=service, name=name, kind=kind, reading=reading, system=system)


def test_what_is_read_with_the_same_secret_is_one_system_unless_a_service_tells_several_apart_by_name() -> None:
    for those in permutations([made("s", "db"), made("t", "main"), made("u", "db", reading="secret:b")]):
        assert {one.lock: set(Targets(those).alike([one.lock])) for one in those} == {
            "s/db": {"s/db", "t/main"}, "t/main": {"s/db", "t/main"}, "u/db": {"u/db"},
        }  # fmt: skip
    several = Targets([made("s", "q1"), made("s", "q2"), made("t", "q1"), made("t", "other")])
    assert several.alike(["s/q1"]) == ("s/q1", "t/q1") and several.alike(["s/q2", "t/other"]) == ("s/q2", "t/other")
    assert Targets([made("s", "db"), made("t", "db", kind="redis")]).alike(["s/db"]) == ("s/db",)
    assert not Targets([made("s", "a"), made("s", "b")]).shared, "within a service the name is the lock"
    assert several.alike(["s//tidy", "gone/x"]) == ("s//tidy", "gone/x")


def test_what_a_plan_describes_is_one_system_for_all_that_describe_it_whatever_they_may_do_there() -> None:
    here = [made("s", "logs", system="here:1"), made("s", "dumps", system="here:1"), made("t", "x", system="here:1")]
    targets = Targets(here)
    assert targets.alike(["t/x"]) == ("t/x", "s/logs", "s/dumps")
    assert targets.alike(["s/logs"]) == ("s/logs", "t/x"), "and not what the service itself tells apart"
