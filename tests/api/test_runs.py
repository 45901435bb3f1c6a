"""Runs of playbooks over the API."""

from __future__ import annotations

import pytest

from tests.api.client import World


@pytest.mark.parametrize("asked", ["playbook=nope", "service=nope", "incident=99"])
async def test_runs_of_what_there_is_not_are_refused_rather_than_none(world: World, asked: str) -> None:
    answer = await world.call("GET", f"/runs?{asked}")
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


async def test_runs_of_what_there_is_may_be_none(world: World) -> None:
    assert (await world.get("/runs?incident=1"))["items"] == []
    assert (await world.get("/runs"))["items"] == []
