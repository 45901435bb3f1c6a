"""What the engine does for the loops: cheap deafness, clocks that were set back, parked requests within bounds."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.engine.world import START, World, dump
from tocsin.engine import parking
from tocsin.engine.engine import Engine
from tocsin.engine.inputs import Deaf, Received, Seen
from tocsin.engine.state import MOST_DEAF
from tocsin.intake.request import Request
from tocsin.intake.sources import SOURCES
from tocsin.kernel.instant import HOUR, MINUTE, SECOND, Duration, Instant, format_rfc3339


def posts(
    world: World, *names: str, at: Instant | None = None, ends: int = 4 * MINUTE, waited: Duration = 0, **note: str
) -> None:
    """Prometheus repeats alerts, by a clock that may be wrong. ``waited``: they lay in a socket so long."""
    at = world.now if at is None else at
    times = {"startsAt": format_rfc3339(START), "endsAt": format_rfc3339(at + ends)}
    body = [{"labels": {"alertname": name, "job": "checkout"}, "annotations": note, **times} for name in names]
    kind = {"content-type": "application/json"}
    request = Request(
        source="alertmanager", method="POST", path="/api/v2/alerts", body=json.dumps(body).encode(), headers=kind
    )
    world.apply(Received(0, "inbox", at, request, waited=waited))


def test_deafness_changes_no_alert_until_its_end_comes_up() -> None:
    """Fifty thousand alerts are not written anew for a restart; most are heard of again before it matters."""
    world = World()
    posts(world, "Down")
    before = dict(world.tables["alerts"])
    world.at("2m").apply(Deaf(world.now - MINUTE, world.now))
    assert world.tables["alerts"] == before


@pytest.mark.parametrize(
    ("gaps", "ends"),
    [
        ([], 4),
        ([(1, 3)], 4 + 2 + 5),
        ([(1, 2), (2, 3)], 4 + 2 + 5 + 5),
        ([(1, 2), (5, 6)], 4 + 2 + 5 + 5),
        ([(0, 1), (1, 30)], 4 + 30 + 5 + 5),
    ],
    ids=["none", "one", "two", "the second in the time won by the first", "long"],
)
def test_an_alert_lives_longer_by_the_time_nothing_could_be_heard_and_five_minutes(
    gaps: list[tuple[int, int]], ends: int
) -> None:
    """For each such time; whether it came up in between or not."""
    world = World()
    posts(world, "Down")
    for start, end in gaps:
        world.at(f"{start}m")
        world.now = START + end * MINUTE
        world.apply(Deaf(START + start * MINUTE, world.now))
    world.at(f"{ends}m" if ends * MINUTE > world.now - START else f"{(world.now - START) // SECOND}s")
    alert = world.engine.state.alerts[1]
    assert START + ends * MINUTE - SECOND <= (alert.ends_at or 0) <= START + ends * MINUTE
    assert not alert.firing


def test_times_that_go_on_from_one_another_win_their_five_minutes_once() -> None:
    """A disk that was full for ten minutes, said in slices."""
    world = World()
    posts(world, "Down")
    world.at("1m").apply(Deaf(world.now, world.now))
    for minute in range(2, 12):
        world.at(f"{minute}m").apply(Deaf(world.now - MINUTE, world.now, continued=True))
        assert world.engine.state.alerts[1].firing
    assert [world.at(time).engine.state.alerts[1].firing for time in ("18m", "19m")] == [True, False]
    assert world.engine.state.alerts[1].ends_at == START + 19 * MINUTE


def test_an_alert_heard_of_since_is_not_moved() -> None:
    """What was said after the deafness counts as it was said."""
    world = World()
    posts(world, "Down")
    world.at("2m").apply(Deaf(world.now - MINUTE, world.now))
    world.at("3m")
    posts(world, "Down")
    world.at("7m")
    assert not world.engine.state.alerts[1].firing


def test_deafness_is_the_same_live_from_the_tables_and_replayed() -> None:
    """And only so many times are remembered."""
    world = World()
    posts(world, "Down", ends=HOUR)
    for minute in range(1, 60, 2):
        world.at(f"{minute}m").apply(Deaf(world.now - SECOND, world.now))
    assert len(world.engine.state.counters.deaf) == MOST_DEAF
    world.at("61m")
    assert world.engine.state.alerts[1].firing
    assert dump(world.replayed().state) == dump(world.engine.state)
    assert dump(Engine(world.loaded(), world.engine.plan, SOURCES).state) == dump(world.engine.state)


# --- What waited in the sockets of a process that was stopped ---------------------------------------------------------


def stops(world: World, lasted: Duration) -> Instant:
    """Tocsin stands still, and says so when it goes on; when it began."""
    start = world.now
    world.now += lasted
    world.apply(Deaf(start, world.now))
    return start


def awake(world: World) -> World:
    """Whatever is due by now happens."""
    world.ring(world.now)
    return world


@settings(max_examples=150, deadline=None)
@given(
    st.integers(1, 900),
    st.lists(
        st.tuples(st.floats(0, 1, exclude_max=True), st.sampled_from([1, 20, 40, 70, 240, 600]), st.booleans()),
        max_size=6,
    ),
    st.sampled_from([30, 240, 600]),
    st.integers(1, 4),
)
def test_nothing_that_was_said_to_fire_while_tocsin_was_stopped_ends_anything(lasted, said, first, alerts):
    """Whatever ends passed meanwhile: alerts fire on, the acknowledgement holds, nobody is paged a second time."""
    world = World()
    names = [f"Down{number}" for number in range(alerts)]
    posts(world, *names, ends=first * SECOND)
    for incident in world.at("1s").engine.state.incidents:
        world.acknowledges(incident, "2h")
    paged, ids = list(world.pages), set(world.engine.state.alerts)
    start = stops(world, lasted * SECOND)
    for share, ends, changed in sorted(said):
        at = start + int(share * lasted * SECOND)
        text = {"summary": f"{share}"} if changed else {}
        posts(world, *names, at=at, ends=ends * SECOND, waited=world.now - at, **text)
    back = world.now
    awake(world)
    assert {(alert.id, alert.state) for alert in world.engine.state.alerts.values()} == {(id, "firing") for id in ids}
    assert dump(world.replayed().state) == dump(world.engine.state)
    # Its monitor, heard in time as it always was, goes on where it was.
    world.now = back + 15 * SECOND
    awake(world)
    posts(world, *names, ends=first * SECOND)
    world.now += SECOND
    awake(world)
    assert {alert.id for alert in world.engine.state.alerts.values() if alert.firing} == ids
    assert {one.state for one in world.engine.state.incidents.values()} == {"acknowledged"}
    assert world.pages == paged
    # And what it then says is over is over, at once.
    posts(world, *names, ends=-SECOND)
    assert not [alert for alert in world.engine.state.alerts.values() if alert.firing]


def test_an_end_that_was_told_while_tocsin_was_stopped_is_one_when_it_is_read() -> None:
    """When it came it had passed; when it is said to have been is kept."""
    world = World()
    posts(world, "Down", "Slow", "Full")
    start = stops(world.at("1m"), 10 * MINUTE)
    posts(world, "Down", at=start + 3 * MINUTE, ends=-MINUTE, waited=7 * MINUTE)
    posts(world, "Slow", "Full", "Hot", at=start + 3 * MINUTE, ends=-MINUTE, waited=7 * MINUTE)
    down, slow, _ = world.engine.state.alerts.values()
    for one in (down, slow):
        assert (one.state, one.ends_at, one.reason) == ("resolved", start + 2 * MINUTE, "source_resolved")


def test_what_began_while_tocsin_was_stopped_is_paged_for_on_return_whatever_end_has_passed() -> None:
    """Nobody could hear its repetitions: it lives as long again as its sender gave it."""
    world = World()
    start = stops(world, 5 * MINUTE)
    posts(world, "Down", "Slow", "Full", at=start + SECOND, ends=30 * SECOND, waited=5 * MINUTE - SECOND)
    awake(world)
    assert [person for _, person, _ in world.pages] == ["ana"] * 3
    assert {alert.ends_at for alert in world.engine.state.alerts.values()} == {world.now + 30 * SECOND}


def test_an_end_of_plain_http_that_passed_while_tocsin_was_stopped_is_no_mistake() -> None:
    """It had not when it was sent."""
    world = World()
    start = stops(world, MINUTE)
    body = json.dumps({"title": "Backup fails", "key": "b", "ends_at": format_rfc3339(start + 20 * SECOND)}).encode()
    asked = Request(source="events", method="POST", path="/api/events", body=body)
    world.apply(Received(0, "inbox", start + SECOND, asked, waited=59 * SECOND))
    (alert,) = world.engine.state.alerts.values()
    assert (alert.title, alert.firing) == ("Backup fails", True)
    assert not world.engine.state.parked


def test_monitors_are_understood_by_their_own_clock_while_ours_was_set_back() -> None:
    """An end four minutes ahead is four minutes ahead, whatever the hour is said to be."""
    world = World().at("2h")
    posts(world, "Down", at=world.now - HOUR)
    (alert,) = world.engine.state.alerts.values()
    assert alert.firing
    assert alert.ends_at == world.now + 4 * MINUTE
    world.at("2h1m")
    world.apply(Seen(alert.id, ((world.now, b"\1"),)))
    assert alert.ends_at == world.now + 4 * MINUTE


def test_parked_requests_are_bounded_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """The oldest go; what is left and what is remembered are the same in the tables."""
    monkeypatch.setattr(parking, "MOST_PARKED", 5)
    world = World()
    for number in range(12):
        request = Request(source="events", method="POST", path="/api/events", body=b"%d" % number)
        world.apply(Received(0, "inbox", world.now, request, aside="a fault"))
    assert [parked.request.body for parked in world.engine.state.parked.values()] == [b"7", b"8", b"9", b"10", b"11"]
    assert dump(Engine(world.loaded(), world.engine.plan, SOURCES).state) == dump(world.engine.state)
    monkeypatch.setattr(parking, "MOST_PARKED_BYTES", 100)
    request = Request(source="events", method="POST", path="/api/events", body=b"x" * 1_000)
    world.apply(Received(0, "inbox", world.now, request, aside="a fault"))
    assert len(world.engine.state.parked) == 1, "the newest is kept, however long"
