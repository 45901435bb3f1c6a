"""How monitors come in: what each source's own file tells of it, from which everything else that names it is made."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tocsin.intake.entrance import InBody
from tocsin.intake.entrances import KINDS, called, door, entrances, sender_url, snippet, where
from tocsin.intake.sources import OWN, SOURCES
from tocsin.plan.words import SOURCE


def test_every_source_with_a_door_has_an_entrance_and_no_other() -> None:
    assert {name for name, source in SOURCES.items() if source.entrance is not None} == set(KINDS) == set(entrances())
    assert {name for name, source in SOURCES.items() if source.entrance is None} == set(OWN)
    assert set(SOURCE.json({})["enum"]) == set(KINDS)
    assert len({called(kind) for kind in (*KINDS, "trigger")}) == len(KINDS) + 1
    assert all(where(kind) != where("unknown") for kind in KINDS)


def test_the_names_are_known_without_a_file_of_a_source_being_read() -> None:
    """Or a plan's check and every start of the command line would pay for all of them."""
    look = (
        "import sys; import tocsin.plan.reading, tocsin.cli.key; from tocsin.intake.sources import SOURCES;"
        "assert 'alertmanager' in SOURCES and len(list(SOURCES)) == len(SOURCES) and SOURCES.get('none') is None;"
        "read = lambda: [one for one in sys.modules if one.startswith('tocsin.intake.sources.')];"
        "assert read() == [], read(); SOURCES['events']; print(*read())"
    )
    done = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, check=False)
    assert (done.stdout.strip(), done.stderr) == ("tocsin.intake.sources.events", "")


@pytest.mark.parametrize("kind", KINDS)
def test_the_address_a_sender_is_given_leads_to_its_own_door_with_its_key(kind: str) -> None:
    entrance, url = entrances()[kind], sender_url("https://tocsin.example", kind, "KEY")
    path = url.removeprefix("https://tocsin.example") + ("/api/v2/alerts" if kind == "alertmanager" else "")
    assert door(entrances(), "POST", path) == kind
    found = entrance.read(path)
    assert found is not None
    assert found[0] == ("" if isinstance(entrance.key, InBody) else "KEY")
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
        ("PUT", "/am/k/api/v2/alerts", "alertmanager"), ("POST", "/am/k/api/v2/alerts/", "alertmanager"),
        ("GET", "/am/k/api/v2/alerts/", None), ("PUT", "/am/k/api/v2/silences", None),
        ("POST", "/v2/enqueue/", "pagerduty"),
    ],
)  # fmt: skip
def test_what_is_a_door_and_what_the_faces_answer(method: str, path: str, kind: str | None) -> None:
    assert door(entrances(), method, path) == kind


def test_keys_are_read_from_the_path() -> None:
    assert entrances()["alertmanager"].read("/am/k/api/v2/alerts") == ("k", "/api/v2/alerts")
    assert entrances()["alertmanager"].read("/am/k/api/v2/alerts/") == ("k", "/api/v2/alerts"), "as there"
    assert entrances()["pagerduty"].read("/v2/enqueue/") == ("", "/v2/enqueue")
    assert entrances()["heartbeat"].read("/ping/k") == ("k", "/")
    assert entrances()["events"].read("/api/events/k") == ("k", "/api/events")
    assert entrances()["events"].read("/api/events") == ("", "/api/events")
