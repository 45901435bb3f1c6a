"""Runs of playbooks over the API."""

from __future__ import annotations

import msgspec
import pytest
from sqlalchemy import insert

from tests.api.client import World
from tocsin.engine import commands as c
from tocsin.playbooks.run import Run, Step
from tocsin.store import tables

encode = msgspec.json.encode


@pytest.mark.parametrize(
    "asked", ["runs?playbook=nope", "runs?service=nope", "runs?incident=99", "playbooks?service=nope"]
)
async def test_runs_of_what_there_is_not_are_refused_rather_than_none(world: World, asked: str) -> None:
    answer = await world.call("GET", f"/{asked}")
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


async def test_runs_of_what_there_is_may_be_none(world: World) -> None:
    assert (await world.get("/runs?incident=1"))["items"] == []
    assert (await world.get("/runs"))["items"] == []


ORDERS = {
    "continue": {"step": 2, "why": "x"}, "repeat": {"why": "x"}, "take-over": {"why": "x"}, "give-back": None,
    "compare": {"same": True},
}  # fmt: skip


def _run(world: World, state: str, resumed: int = 0) -> None:
    run = Run(number=7, playbook="p", service="shop", plan="v", started_at=1, deadline=2, would="f(x)", resumed=resumed)
    if state == "ended":
        run.state, run.outcome, run.ended_at = "ended", "handed_over", 3
    step = Step(run=7, ordinal=1, verb="look", function="f", digest="d", state="done", began_at=1, result="[1]")
    with world.filler.engine.begin() as connection:
        connection.execute(
            insert(tables.runs).values(
                number=7, incident=0, service="shop", playbook="p", state=state, started_at=1, live=True,
                body=encode(run),
            )
        )
        connection.execute(insert(tables.steps).values(run=7, ordinal=1, body=encode(step)))


async def test_what_a_responder_does_with_a_run_becomes_a_command_with_what_was_recorded(world: World) -> None:
    _run(world, "ended")
    world.core.answer = c.Result(ok=True, id="7")
    for order, body in ORDERS.items():
        assert (await world.call("POST", f"/runs/7/{order}", body, role="viewer")).status_code == 403
        answer = await world.call("POST", f"/runs/7/{order}", body)
        assert answer.status_code == 200, answer.text
    continued, repeated, *others = [command for command, _ in world.core.asked]
    assert isinstance(continued, c.ResumeRun) and isinstance(repeated, c.ResumeRun)
    assert (continued.step, repeated.step) == (2, 0)
    assert [(one.ordinal, one.result) for one in continued.recorded] == [(1, "[1]")]
    assert [(one.ordinal, one.result) for one in repeated.recorded] == [(1, "")], "what it answered does not stand"
    assert [type(one) for one in others] == [c.TakeOverRun, c.GiveBackRun, c.CompareRun]
    answer = await world.call("POST", "/runs/7/continue", {"step": 0, "why": "x"})
    assert answer.status_code == 400, "a step counts from one"
    assert (await world.call("POST", "/runs/7/repeat", {"why": ""})).status_code == 400


async def test_nothing_is_recorded_of_an_order_that_nothing_can_come_of(world: World) -> None:
    _run(world, "ended", resumed=8)
    world.core.answer = c.refuse("conflict", "Run 7 goes on as run 8: continue that one")
    assert (await world.call("POST", "/runs/7/continue", {"step": 2, "why": "x"})).status_code == 409
    ((asked, _),) = world.core.asked
    assert isinstance(asked, c.ResumeRun) and asked.recorded == ()


async def test_a_run_that_is_not_over_or_not_there_is_not_continued(world: World) -> None:
    _run(world, "running")
    assert (await world.call("POST", "/runs/7/repeat", {"why": "x"})).status_code == 409
    assert (await world.call("POST", "/runs/9/continue", {"step": 1, "why": "x"})).status_code == 404
    assert world.core.asked == []


async def test_coverage_is_what_the_plan_names_and_what_has_come(world: World) -> None:
    found = await world.get("/coverage")
    assert found and {"service", "rule", "answer", "playbook", "now", "why", "incidents", "last_at"} == set(found[0])
    assert any(one["incidents"] and one["last_at"] for one in found), "what opened an incident is a rule too"
