"""What is due is found, however much of what was there is gone."""

from __future__ import annotations

from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.engine.world import PLAN, World
from tocsin.engine.state import TOGETHER, alert_due
from tocsin.intake.event import Event
from tocsin.kernel.instant import MINUTE

moves = st.lists(
    st.one_of(
        st.tuples(st.just("fires"), st.integers(0, 90), st.sampled_from(["", "2m", "40m"])),
        st.tuples(st.just("ends"), st.integers(0, 90), st.just("")),
        st.tuples(st.just("passes"), st.integers(1, 40), st.just("")),
        st.tuples(st.just("restarts"), st.just(0), st.just("")),
    ),
    max_size=30,
)


def _found(world: World) -> None:
    """The alerts of each timer are those that are there, and it is set to no later than the first of them is due."""
    state = world.engine.state
    for stretch in range(state.counters.alert // TOGETHER + 2):
        there = [alert for id, alert in sorted(state.alerts.items()) if id // TOGETHER == stretch]
        assert list(state.alerts_of(stretch)) == there
        dues = [due for due in map(alert_due, there) if due is not None]
        assert state.alerts_due(stretch) == min(dues, default=None)
    dues = [due for due in map(alert_due, state.alerts.values()) if due is not None]
    soonest = world.engine.next_due()
    assert not dues or (soonest is not None and soonest <= min(dues))


@settings(deadline=None)
@given(st.integers(0, 2 * TOGETHER), moves)
@example(TOGETHER - 1, [("ends", 0, ""), ("passes", 20, ""), ("fires", 70, ""), ("restarts", 0, ""), ("fires", 71, "")])
@example(TOGETHER, [("passes", 20, ""), ("ends", 80, ""), ("passes", 20, ""), ("restarts", 0, ""), ("passes", 20, "")])
def test_of_alerts_that_share_a_timer_each_is_looked_at_when_it_is_due(before, then):
    world, minutes = World(PLAN), 0
    ends = world.now + MINUTE
    world.hears(*(Event(labels={"alertname": f"old{n}"}, starts_at=world.now, ends_at=ends) for n in range(before)))
    for what, value, expires in then:
        match what:
            case "fires":
                world.fires(f"a{value}", expires=expires)
            case "ends":
                world.resolves(f"a{value}")
            case "passes":
                minutes = max(minutes + value, 0)
                world.at(f"{minutes}m")
            case "restarts":
                world.restarted("0s")
        _found(world)
    world.at("3d")
    _found(world)
    assert all(alert.firing for alert in world.engine.state.alerts.values())


def test_what_was_drawn_up_of_a_schedule_is_kept_when_the_plan_changes_elsewhere():
    text = b"""
tocsin: 1
team: shop
people:
  ana: {email: ana@shop.example}
  ben: {email: ben@shop.example}
schedules:
  first: {layers: [{rotate: [ana, ben], every: week, starts: 2026-11-16 with ana}]}
  second: {layers: [{rotate: [ben, ana], every: week, starts: 2026-11-16 with ben}]}
escalations:
  shop: [{page: first, wait: 5m}, {page: second, wait: 5m}]
services:
  shop: {escalation: shop}
last resort: ana
"""
    world = World(text)
    before = dict(world.engine.plan.rosters)
    world.put_in_force(text.replace(b"with ben", b"with ana"))
    after = world.engine.plan.rosters
    assert after["first"] is before["first"]
    assert after["second"] is not before["second"]
    assert after["second"].schedule == world.engine.plan.schedules["second"]
    assert [shift.person for shift in before["second"].who(world.now)] == ["ben"]
    assert [shift.person for shift in after["second"].who(world.now)] == ["ana"]
    assert world.replayed().state.duties == world.engine.state.duties
