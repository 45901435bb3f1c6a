"""What people are shown of guards is what runs are refused by, and it changes when it says that it will."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.playbooks.playground import SERVICE, Playground, Pump, Run, kick, level
from tocsin.engine.guarding import guarded
from tocsin.engine.state import Changes
from tocsin.engine.turn import Turn
from tocsin.engine.weighing import Guards, Weighed, weigh, weigh_run
from tocsin.kernel.instant import HOUR, MINUTE, Instant, from_datetime
from tocsin.playbooks.guards import Situation, blocked, frozen, left, measure, turns_at
from tocsin.playbooks.language import (
    at_most,
    blast_radius,
    breaker,
    cooldown,
    freeze,
    playbook,
    trust,
    unless,
)
from tocsin.playbooks.left import Left
from tocsin.playbooks.manifest import Guard, Manifest
from tocsin.playbooks.remembered import Remembered
from tocsin.playbooks.run import Run as Row
from tocsin.playbooks.targets import Targets
from tocsin.playbooks.trust import Standing, climb, proven

FULL = ['alertname="Full"']
EACH = SERVICE.replace("service: cart}", "service: cart, group: {by: [instance, alertname]}}")
MADRID = "Europe/Madrid"


@playbook(
    name="kicks",
    answers=FULL,
    trust=trust(start="act"),
    guards=[
        at_most(3, per="1h"), at_most(4, per="2h", over="fleet"), cooldown("10m"), blast_radius(1), breaker(failures=2),
        unless("payments"), freeze("Sat 00:00-Sun 00:00"),
    ],
)  # fmt: skip
def kicks(run: Run, pump: Pump) -> None:
    run.fix(kick, pump)
    run.verify(level, pump, until=lambda now: now.full < 80, within="1m")


def weighed(world: Playground, target: str = "main") -> Weighed:
    found = weigh(world.engine.state, world.engine.plan, world.now, "cart", "kicks", target)
    assert found is not None
    (one,) = found.each
    return one


def of(one: Weighed, kind: str) -> Left:
    return next(left for left in one.left if left.kind == kind)


def refused(world: Playground, target: str = "main") -> str:
    """Why the engine would not let a run begin on a target now."""
    engine = world.engine
    turn = Turn(engine.state, engine.plan, {}, Changes(), 0, world.now)
    run = Row(
        number=10**6, playbook="kicks", service="cart", plan="", targets={"pump": target}, rung="act",
        started_at=world.now, deadline=world.now + HOUR,
    )  # fmt: skip
    no = guarded(turn, engine.plan.playbooks["kicks"], run)
    return no.why if no is not None else ""


def test_a_rate_a_cooldown_and_a_budget_say_what_is_left_and_until_when() -> None:
    world = Playground(kicks, plan=EACH)
    new = weighed(world)
    assert new.no == "" and of(new, "rate").now == "3 of 3 left" and of(new, "rate").until is None
    assert of(new, "cooldown").now == "no change to rest from"
    began = world.now
    world.fires("Full", instance="cart-1")
    ended = world.run(1).ended_at or world.run(1).verified_at
    world.resolves("Full", instance="cart-1")
    done = world.run(1).ended_at
    assert ended and done and world.run(1).outcome == "verified"
    now = weighed(world)
    rate, budget, rest = of(now, "rate"), of(now, "budget"), of(now, "cooldown")
    assert (rate.now, rate.left, rate.of, rate.until) == ("2 of 3 left", 2, 3, began + HOUR)
    assert (budget.now, budget.until) == ("3 of 4 left", began + 2 * HOUR)
    assert (rest.until, rest.no) == (done + 10 * MINUTE, now.no) and rest.no.endswith("10 min left")
    assert of(weighed(world, "spare"), "cooldown").no == "", "the other one needs no rest"
    over = done + 10 * MINUTE
    world.now = over - 1
    assert weighed(world).no == refused(world) != ""
    world.now = over
    assert weighed(world).no == refused(world) == ""
    world.now = began + HOUR
    assert of(weighed(world), "rate").now == "3 of 3 left"


def test_what_a_run_took_is_in_its_record_and_one_that_changed_nothing_took_nothing() -> None:
    world = Playground(kicks, plan=EACH)
    world.fires("Full", instance="cart-1").resolves("Full", instance="cart-1")
    took = {one.kind: one.now for one in world.run(1).took}
    assert took["rate"] == "took 1 of 3; 2 of 3 left"
    assert took["budget"] == "took 1 of 4; 3 of 4 left"
    assert took["cooldown"] == "rests now" and took["blast"] == "held 1 at a time, and gave it back"
    assert took["breaker"] == "counts as no failure" and "freeze" not in took
    world.after_drain = 99  # in vain
    world.at("20m").fires("Full", instance="cart-2")
    world.at("25m")
    assert world.run(2).outcome == "handed_over"
    took = {one.kind: one.now for one in world.run(2).took}
    assert took["rate"] == "took 1 of 3; 1 of 3 left"
    assert took["breaker"].startswith("counts as a failure; closed: 1 of 2 failures in a row")
    watching = Playground(kicks, rung="suggest")
    watching.fires("Full", instance="cart-1")
    assert watching.run(1).outcome == "suggested" and watching.run(1).took == ()


def test_a_run_that_asks_is_measured_as_itself() -> None:
    world = Playground(kicks, rung="ask", plan=EACH)
    world.fires("Full", instance="cart-1")
    assert world.run(1).state == "asking"
    found = weigh_run(world.engine.state, world.engine.plan, world.now, 1)
    assert found is not None
    (one,) = found.each
    assert one.no == "" and of(one, "lock").now == "this run holds it"
    assert of(one, "rate").now == "2 of 3 left after this run"
    assert of(one, "blast").now == "1 of 2 not well, 1 being changed, 0 more allowed"
    beside = weighed(world)
    assert beside.no == "run 1 of kicks asks before it changes cart/main" == refused(world)
    assert of(beside, "lock").now == "held by run 1 of kicks, which asks"
    world.fires("PaymentsDown")
    (one,) = weigh_run(world.engine.state, world.engine.plan, world.now, 1).each  # type: ignore[union-attr]
    assert one.no == "not while payments has an incident"
    world.says(1, "yes")
    assert world.done == [] and world.run(1).why.endswith(one.no), "what was shown is what it is refused for"
    assert weigh_run(world.engine.state, world.engine.plan, world.now, 1) is None, "it is over"


@playbook(
    name="once", answers=FULL, trust=trust(start="ask"),
    guards=[at_most(1, per="1h", over="fleet"), breaker(failures=1)],
)  # fmt: skip
def once(run: Run, pump: Pump) -> None:
    run.fix(kick, pump)
    run.verify(level, pump, until=lambda now: now.full < 80, within="1m")


def test_what_is_asked_of_a_beginning_alone_holds_back_no_run_that_lives() -> None:
    world = Playground(once, rung="ask", plan=EACH)
    world.fires("Full", instance="cart-1")
    beside = Row(
        number=9, playbook="once", service="cart", plan="", targets={"pump": "spare"}, state="ended",
        outcome="handed_over", started_at=world.now, deadline=0, ended_at=world.now, fixes=1,
    )  # fmt: skip
    world.engine.state.remembered.keep(beside)  # as when a plan that is edited counts more of them
    (one,) = weigh_run(world.engine.state, world.engine.plan, world.now, 1).each  # type: ignore[union-attr]
    assert one.no == "" and of(one, "budget").now == "0 of 1 left after this run"
    assert of(one, "breaker").now.startswith("open: ")
    new = weigh(world.engine.state, world.engine.plan, world.now, "cart", "once", "spare")
    assert new is not None and "and it had them" in of(new.each[0], "budget").no
    world.says(1, "yes")
    assert world.done == ["kick"]


def test_a_person_who_works_there_is_named_and_until_when() -> None:
    world = Playground(kicks, rung="ask", plan=EACH)
    world.fires("Full", instance="cart-1")
    assert world.takes_over(1).ok
    one = weighed(world)
    person = of(one, "person")
    assert person.now == "Ana works on main by hand (took over run 1)" == one.no == refused(world)
    assert person.until == world.run(1).taken_until
    assert weighed(world, "spare").left[1].no == ""


def test_an_open_breaker_says_until_when() -> None:
    world = Playground(kicks, plan=EACH)
    world.after_drain = 99
    world.fires("Full", instance="cart-1")
    world.at("10m").resolves("Full", instance="cart-1")
    world.trusts("kicks", "act")
    world.at("20m").fires("Full", instance="cart-2").at("30m")
    assert world.outcomes == ["handed_over", "handed_over"]
    world.at("40m")
    breaks = of(weighed(world), "breaker")
    assert breaks.no == "it failed 2 times in a row within 1 d" and (breaks.left, breaks.of) == (0, 2)
    assert breaks.until == (world.run(1).ended_at or 0) + 24 * HOUR and breaks.then == "closed"
    assert weighed(world).no == refused(world)


def test_looking_changes_nothing_and_what_is_not_there_is_not_found() -> None:
    world = Playground(kicks, rung="", plan=EACH)
    state, plan = world.engine.state, world.engine.plan
    state.standings.clear()
    before = state.counters.run, state.counters.applied
    found = weigh(state, plan, world.now, "cart", "kicks")
    assert isinstance(found, Guards) and [one.targets for one in found.each] == [{"pump": "main"}, {"pump": "spare"}]
    assert (state.counters.run, state.counters.applied) == before and not state.standings
    assert not world.engine.take().runs
    assert weigh(state, plan, world.now, "payments", "kicks") is None
    assert weigh(state, plan, world.now, "cart", "other") is None
    assert weighed(world, "gone").no == "cart has no pump target gone"


# -- for any past ------------------------------------------------------------------------------------------------------

PAST = st.lists(
    st.tuples(st.integers(0, 180), st.integers(0, 5), st.sampled_from(["verified", "handed_over", "not_needed"])),
    max_size=8,
)
Past = list[tuple[int, int, Any]]
GUARDS: st.SearchStrategy[Guard] = st.one_of(
    st.builds(lambda n, per, over: at_most(n, per=f"{per}m", over=over), st.integers(1, 4), st.integers(5, 120),
              st.sampled_from(["playbook", "target", "fleet"])),
    st.builds(lambda lasts: cooldown(f"{lasts}m"), st.integers(1, 120)),
    st.builds(lambda n, within: breaker(failures=n, within=f"{within}m"), st.integers(1, 3), st.integers(30, 180)),
)  # fmt: skip


def _situation(guard: Guard, past: Past, now: Instant) -> Situation:
    manifest = Manifest(name="it", file="f", line=1, function="f", about="", meaning="", guards=(guard,))
    runs = Remembered()
    for number, (began, took, outcome) in enumerate(past, start=1):
        row: Any = Row(
            number=number, playbook="it", service="cart", plan="", targets={"p": "a"}, state="ended", outcome=outcome,
            started_at=began * MINUTE, deadline=0, ended_at=(began + took) * MINUTE, fixes=outcome != "not_needed",
        )  # fmt: skip
        runs.keep(row)
    return Situation(
        manifest=manifest, service="cart", locks=("cart/a",), incident=0, returned=(), runs=runs, targets=Targets(()),
        busy=(), broken=(), unwell=lambda locks: "", now=now, thorough=True,
    )  # fmt: skip


@given(GUARDS, PAST, st.integers(185, 400))
def test_a_guard_changes_when_it_says_and_not_before(guard: Guard, past: Past, at: int) -> None:
    here = _situation(guard, past, at * MINUTE)
    found = measure(here, guard)
    shown = next(one for one in left(here) if one.rule)
    assert shown.no == (found.no.why if found.no else "")
    first = blocked(here)
    assert (first.why if first else "") == next((one.no for one in left(here) if one.no), "")
    if found.until is None:
        assert found.no is None
        return
    assert found.until > here.now
    before, after = (measure(_situation(guard, past, instant), guard) for instant in (found.until - 1, found.until))
    assert (before.no is None, before.left) == (found.no is None, found.left)
    if found.no is not None:
        assert after.no is None, "it lets a run begin from then on"
    else:
        assert after.left is not None and found.left is not None and after.left > found.left


@given(
    st.datetimes(datetime(2026, 1, 1), datetime(2027, 12, 31)), st.integers(0, 6), st.integers(0, 1439),
    st.integers(1, 7 * 24 - 1),
)  # fmt: skip
def test_a_freeze_says_when_it_turns(at: datetime, day: int, minute: int, hours: int) -> None:
    names = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
    end = day * 1440 + minute + hours * 60
    text = f"{names[day]} {minute // 60:02}:{minute % 60:02}-"
    text += f"{names[end // 1440 % 7]} {end // 60 % 24:02}:{end % 60:02}"
    guard, now = freeze(text, timezone=MADRID), from_datetime(at.replace(tzinfo=ZoneInfo(MADRID)))
    inside, turn = frozen(guard, now) is not None, turns_at(guard, now)
    assert now < turn <= now + 8 * 24 * HOUR
    assert (frozen(guard, turn) is not None) != inside
    assert (frozen(guard, turn - MINUTE) is not None) == inside or turn - MINUTE < now
    halfway = now + (turn - now) // 2
    assert (frozen(guard, halfway) is not None) == inside


@pytest.mark.parametrize("rung", ["observe", "suggest", "ask", "act"])
@given(st.integers(0, 60), st.integers(0, 20))
def test_what_is_missing_to_climb_is_exactly_that(rung: Any, right: int, wrong: int) -> None:
    manifest = Manifest(name="it", file="f", line=1, function="f", about="", meaning="")
    watches = rung in ("observe", "suggest")
    stands = Standing(service="s", playbook="it", rung=rung, meaning="", since=0)
    if watches:
        stands.agreed, stands.differed = right, wrong
    else:
        stands.held, stands.failed = right, wrong
    found = climb(manifest, stands)
    assert (found.right, found.tried) == (right, right + wrong)
    if rung == "act":
        assert found.next == "" and found.why
        return
    assert proven(right + found.more, right + wrong + found.more)
    assert found.more == 1 or not proven(right + found.more - 1, right + wrong + found.more - 1)
