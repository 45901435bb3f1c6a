"""Alerts that join a large incident by the short way are found by code as any are."""

from __future__ import annotations

import msgspec

from tests.playbooks.test_beside import plain
from tests.playbooks.test_targets_in_turn import Fleet
from tocsin.engine.inputs import Received
from tocsin.intake.request import Request


def _posts(world: Fleet, name: str, *instances: str) -> None:
    """As an Alertmanager's client does: in one batch."""
    batch = [
        {
            "labels": {"alertname": name, "severity": "critical", "instance": instance},
            "annotations": {},
            "endsAt": "2027-01-01T00:00:00Z",
        }
        for instance in instances
    ]
    headers = {"content-type": "application/json"}
    body = msgspec.json.encode(batch)
    request = Request(source="alertmanager", method="POST", path="/api/v2/alerts", headers=headers, body=body)
    world.apply(Received(0, "inbox", world.now, request))


def test_what_joins_many_that_no_code_answers_is_answered_by_code() -> None:
    world = Fleet(plain)
    _posts(world, "Odd", *(f"x{n}" for n in range(25)))
    world.at("10s")
    _posts(world, "Odd", *(f"y{n}" for n in range(25)))
    world.at("20s")
    _posts(world, "Full", "a", "b")
    assert (len(world.engine.state.incidents), world.done) == (1, ["kick", "kick"])
