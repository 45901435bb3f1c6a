"""A heartbeat that was never heard: nobody is alarmed, and whoever answers for its service is told once."""

from __future__ import annotations

import msgspec

from tests.engine.test_stories import _ping
from tests.engine.world import PLAN, START, World, dump
from tocsin.engine.commands import CreateKey
from tocsin.engine.engine import Engine
from tocsin.intake.sources import SOURCES
from tocsin.kernel.instant import DAY

SINCE = "since Mon 23 Nov 2026 03:00 UTC"
WATCHDOG = f"The heartbeat watchdog of orders was not heard once {SINCE}"
BOTH = "2 heartbeats were not heard once: until they are their absence alarms nobody"
WEEKLY = PLAN.replace(b"nightly: {every: 10m, grace: 5m}", b"nightly: {every: 7d, grace: 1d}")


def told(world: World) -> list[tuple[str, str]]:
    """Whom notices of it went to, and what they said."""
    return [(page.person, page.title) for page in world.told_pages if page.reason == "heartbeat_unheard"]


def pinged(world: World) -> None:
    """The first sign of life of the nightly one."""
    key = world.asked(CreateKey(hash=b"h", hint="h", source="heartbeat", service="orders", heartbeat="nightly"))
    world.apply(_ping(world, int(key.id), ""))


def test_after_a_day_the_lead_is_told_once_and_nobody_is_paged():
    world = World().at("27h")
    assert told(world) == [], "it waits for her morning"
    world.at("29h")
    assert told(world) == [("ana", BOTH)]
    (page,) = world.told_pages
    assert (page.kind, page.lines) == ("notice", (f"nightly of orders, {SINCE}", f"watchdog of orders, {SINCE}"))
    assert world.engine.state.incidents == {} and world.engine.state.heartbeats["orders", "nightly"].state == "new"
    world.restarted(plan=PLAN).put_in_force(PLAN)
    world.at("10d")
    assert len(told(world)) == 1
    assert dump(world.replayed().state) == dump(world.engine.state)
    assert dump(Engine(world.loaded(), world.engine.plan, SOURCES).state) == dump(world.engine.state)


def test_one_that_was_heard_is_not_told_of_and_is_late_in_its_own_time():
    world = World().at("20h")
    pinged(world)
    world.at("20h14m")
    assert world.pages == []
    world.at("30h")
    assert told(world) == [("ana", WATCHDOG)]
    assert world.pages[0] == (f"{(20 * 60 + 15) * 60}s", "ana", 1), "it is late, as any other"


def test_what_comes_once_a_week_has_its_week():
    world = World(WEEKLY).at("7d")
    assert told(world) == [("ana", WATCHDOG)]
    world.at("9d")
    assert len(told(world)) == 2


def test_a_start_of_a_job_that_was_never_heard_counts_from_then():
    world = World(WEEKLY).at("12h")
    key = world.asked(CreateKey(hash=b"h", hint="h", source="heartbeat", service="orders", heartbeat="nightly"))
    world.apply(_ping(world, int(key.id), "/start"))
    assert world.engine.state.heartbeats["orders", "nightly"].due == START + DAY // 2 + 8 * DAY


def test_an_older_version_s_heartbeat_counts_from_the_first_start_of_this_one():
    world = World().at("6h")
    for place, heart in world.engine.state.heartbeats.items():
        before = msgspec.structs.replace(heart, declared_at=None, due=None)
        world.tables["heartbeats"][place] = (type(before), msgspec.json.encode(before))
    world.restarted(plan=PLAN)
    world.at("29h")
    assert told(world) == []
    world.at("31h")
    assert len(told(world)) == 1
