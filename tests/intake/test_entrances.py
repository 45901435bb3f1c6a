"""How monitors come in: one entry for each source, from which everything else that names sources is made."""

from __future__ import annotations

import pytest

from tocsin.intake.entrances import ENTRANCES, KINDS, NAMES, WHERE, door, sender_url, snippet
from tocsin.intake.sources import SOURCES
from tocsin.plan.words import SOURCE


def test_every_source_with_a_door_has_an_entrance_and_no_other() -> None:
    assert {source.name for source in SOURCES.values() if source.door} == set(KINDS)
    assert set(SOURCE.json({})["enum"]) == set(KINDS) == set(WHERE) == set(NAMES) - {"trigger"}


@pytest.mark.parametrize("kind", KINDS)
def test_the_address_a_sender_is_given_leads_to_its_own_door_with_its_key(kind: str) -> None:
    entrance, url = ENTRANCES[kind], sender_url("https://tocsin.example", kind, "KEY")
    path = url.removeprefix("https://tocsin.example") + ("/api/v2/alerts" if kind == "alertmanager" else "")
    assert door("POST", path) == kind
    found = entrance.read(path)
    assert found is not None
    assert found[0] == ("" if entrance.key == "body" else "KEY")
    pasted = snippet(kind, "https://tocsin.example/", "KEY")
    assert "KEY" in pasted
    assert "tocsin.example" in pasted


@pytest.mark.parametrize(
    ("method", "path", "kind"),
    [
        ("POST", "/am/k/api/v2/alerts", "alertmanager"), ("GET", "/am/k/api/v2/alerts", None),
        ("POST", "/am/k/api/v2/silences", None), ("POST", "/am/k", None), ("POST", "/amk/api/v2/alerts", None),
        ("HEAD", "/ping/k/start", "heartbeat"), ("GET", "/ping/", "heartbeat"), ("GET", "/pings", None),
        ("GET", "/v2/enqueue", "pagerduty"), ("POST", "/v2/change/enqueue", "pagerduty"), ("POST", "/v2/x", None),
        ("POST", "/api/events", "events"), ("GET", "/api/events/k", "events"), ("POST", "/api/eventsk", None),
        ("POST", "/api/v1/incidents", None), ("GET", "/", None),
    ],
)  # fmt: skip
def test_what_is_a_door_and_what_the_faces_answer(method: str, path: str, kind: str | None) -> None:
    assert door(method, path) == kind


def test_keys_are_read_from_the_path() -> None:
    assert ENTRANCES["alertmanager"].read("/am/k/api/v2/alerts") == ("k", "/api/v2/alerts")
    assert ENTRANCES["heartbeat"].read("/ping/k") == ("k", "/")
    assert ENTRANCES["events"].read("/api/events/k") == ("k", "/api/events")
    assert ENTRANCES["events"].read("/api/events") == ("", "/api/events")
