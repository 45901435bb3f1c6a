"""An alert that its source names by a key can be silenced by that, though it has no labels."""

from __future__ import annotations

import pytest

from tests.engine.world import World, dump
from tocsin.engine.engine import Engine
from tocsin.intake.event import Event
from tocsin.intake.sources import SOURCES


def fails(world: World, key: str, /, service: str = "checkout", **labels: str) -> World:
    """An event with a key; without labels unless told."""
    one = Event(key=key, labels=labels, own_title=f"{key} failed", severity="critical", starts_at=world.now)
    return world.hears(one, service=service)


def quiet(world: World) -> list[str]:
    """The keys of what a silence covers."""
    return [alert.key for alert in world.engine.state.alerts.values() if alert.silences]


@pytest.mark.parametrize(
    "matchers",
    [('key="ledger"',), ('key=~"led.*"', 'service="checkout"'), ('source="events"', 'key!~"other|third"')],
)
def test_a_silence_means_an_alert_by_its_key(matchers: tuple[str, ...]):
    world = World()
    assert world.silences(*matchers, for_="1h").ok
    fails(fails(fails(world, "ledger"), "other"), "third", service="search")
    assert quiet(world) == ["ledger"]
    assert [row.title for row in world.engine.state.alerts.values() if row.incident == 0] == ["ledger failed"]


def test_what_fires_already_is_found_by_its_key_and_let_go_again():
    world = World()
    fails(world, "ledger")
    silence = world.silences('key="ledger"', 'service="checkout"', for_="1h")
    assert quiet(world) == ["ledger"]
    assert dump(Engine(world.loaded(), world.engine.plan, SOURCES).state) == dump(world.engine.state)
    assert dump(world.replayed().state) == dump(world.engine.state)
    world.expires(silence.id)
    assert quiet(world) == []


def test_its_labels_may_come_and_go_and_its_own_count_first():
    world = World()
    world.silences('key="ledger"', for_="1h")
    world.silences('key="mine"', for_="1h")
    fails(world, "ledger")
    fails(world, "ledger", disk="a")
    assert quiet(world) == ["ledger"]
    fails(world, "theirs", key="mine")
    assert quiet(world) == ["ledger", "theirs"]


def test_what_its_labels_name_has_them_alone():
    """As in Alertmanager, where a label that is not there is the empty text."""
    world = World()
    world.silences('service=""', 'source=""', 'alertname="Down"', for_="1h")
    world.fires("Down", job="checkout")
    assert [bool(alert.silences) for alert in world.engine.state.alerts.values()] == [True]
