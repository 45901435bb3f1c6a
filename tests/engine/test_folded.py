"""More alerts of one key than it may have are folded into one alert, which counts them and names the last."""

from __future__ import annotations

import pytest

from tests.engine.world import World, dump
from tocsin.alerts.alert import Alert
from tocsin.engine import hearing


def folded(world: World) -> Alert:
    """The one alert."""
    (alert,) = (one for one in world.engine.state.alerts.values() if one.labels["alertname"] == "KeyFlooded")
    return alert


def test_what_is_folded_is_counted_and_the_last_of_it_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hearing, "MOST_ACTIVE", 2)
    world = World()
    for number in range(15):
        world.fires(f"Late{number}", job="checkout" if number == 14 else "", severity="warning")
    alert = folded(world)
    assert alert.annotations["folded"] == "13"
    assert alert.annotations["description"].startswith(
        "13 events that fired came beyond that, repetitions counted, and are judged"
    )
    named = alert.annotations["last folded"].splitlines()
    assert (named[0], len(named)) == ("SEV3 checkout: Late14 fires", 10)
    assert named[-1].endswith(": Late5 fires")
    assert [page[1] for page in world.pages][-1] == "kei", "the inbox pages the last resort"
    assert world.resolves_by_hand(alert.incident, "1h").ok
    assert dump(world.replayed().state) == dump(world.engine.state)
    world.resolves("Late0", severity="warning", job="").fires("Late1", severity="warning", job="")
    world.fires("Late15", severity="warning", job="")
    assert folded(world).annotations["folded"] == "13", "there is room again"


def test_what_is_sent_again_is_named_once_and_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hearing, "MOST_ACTIVE", 1)
    world = World().fires("One").fires("Two").fires("Three")
    for minute in range(1, 12):
        world.at(f"{minute}m").fires("Two")
    alert = folded(world)
    assert [line.rpartition(": ")[2] for line in alert.annotations["last folded"].splitlines()] == [
        "Two fires",
        "Three fires",
    ]
    assert alert.annotations["folded"] == "13", "how often something came"


def test_a_flood_that_comes_back_counts_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hearing, "MOST_ACTIVE", 1)
    world = World().fires("One").fires("Two")
    incident = folded(world).incident
    assert world.asked(hearing_over(incident)).ok
    world.at("1m").fires("Three")
    assert folded(world).annotations["last folded"].splitlines()[0].endswith("Three fires")


def hearing_over(incident: int):
    from tocsin.engine.commands import Resolve

    return Resolve(incident=incident, actor="person:ana")
