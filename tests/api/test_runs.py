"""Runs of playbooks over the API."""

from __future__ import annotations

import msgspec
import pytest
from sqlalchemy import insert, update

from tests.api.client import World
from tocsin.engine import commands as c
from tocsin.engine.weighing import Guards, Weighed
from tocsin.playbooks.left import Left
from tocsin.playbooks.run import Run, Step
from tocsin.playbooks.trust import Climb
from tocsin.runtime.line import Weighing
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


async def test_what_is_left_of_guards_is_read_as_the_core_measures_it(world: World) -> None:
    climb = Climb(rung="ask", ceiling="act", right=3, tried=4, bound=0.30064, next="act", more=30)
    rate = Left(kind="rate", rule="at most 3 runs in 1 h", now="0 of 3 left", no="it had them", left=0, of=3,
                until=9000)  # fmt: skip
    weighed = Weighed(targets={"server": "main"}, left=(rate,), no="it had them")
    world.core.weighing = Weighing(Guards(service="shop", playbook="p", at=5, climb=climb, each=(weighed,), more=2))
    found = await world.get("/playbooks/shop/p/guards?target=main")
    assert world.core.weighed == [("shop", "p", "main", 0)]
    assert found["climb"]["at_least"] == 0.301 and found["climb"]["more"] == 30 and found["more"] == 2
    (each,) = found["each"]
    assert (each["targets"], each["blocks"]) == ({"server": "main"}, "it had them")
    assert each["guards"] == [
        {"kind": "rate", "rule": "at most 3 runs in 1 h", "now": "0 of 3 left", "blocks": "it had them", "left": 0,
         "of": 3, "until": "1970-01-01T00:00:00.009Z", "then": ""}
    ]  # fmt: skip
    world.core.weighing = Weighing()
    assert (await world.call("GET", "/playbooks/shop/p/guards")).status_code == 404
    for world.core.weighing, world.core.gone in ((Weighing(why="another node writes"), False), (Weighing(), True)):
        answer = await world.call("GET", "/playbooks/shop/p/guards")
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")


async def test_the_guards_of_a_run_are_read_while_it_lives_and_what_it_took_afterwards(world: World) -> None:
    _run(world, "running")
    climb = Climb(rung="act", ceiling="act", right=0, tried=0, bound=0, why="no rung above")
    world.core.weighing = Weighing(Guards(service="shop", playbook="p", at=5, climb=climb, each=(Weighed(),)))
    assert (await world.get("/runs/7/guards"))["each"] == [{"targets": {}, "blocks": "", "guards": []}]
    assert world.core.weighed == [("shop", "p", "", 7)]
    with world.filler.engine.begin() as connection:
        run = Run(number=7, playbook="p", service="shop", plan="v", started_at=1, deadline=2, state="ended",
                  took=(Left(kind="cooldown", now="rests now", until=9, then="it may run"),))  # fmt: skip
        connection.execute(update(tables.runs).where(tables.runs.c.number == 7).values(body=encode(run)))
    assert (await world.call("GET", "/runs/7/guards")).status_code == 409
    (took,) = (await world.get("/runs/7"))["took"]
    assert (took["kind"], took["now"], took["then"]) == ("cooldown", "rests now", "it may run")
    assert (await world.call("GET", "/runs/8/guards")).status_code == 404
