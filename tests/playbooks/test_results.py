"""What a run's steps answer is bounded, each and all together, and a run that would hold more is handed over."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from tests.playbooks.playground import Playground, Pump, Run, drain, level
from tests.playbooks.test_withheld import by_hand
from tocsin.engine.inputs import Reported
from tocsin.playbooks.language import About, look, playbook
from tocsin.playbooks.run import MOST_RESULT, MOST_RESULTS, MOST_SAID, MOST_STEPS, TOO_MUCH, Finished, Step
from tocsin.playbooks.runner.frames import MAX_FRAME, encode
from tocsin.playbooks.session import Session, Start


@look
def much(pump: Pump) -> str:
    return "ü" * (MOST_RESULT // 2 - 2)


@playbook(answers=['alertname="Full"'])
def looks_at_much(run: Run, pump: Pump) -> None:
    for _ in range(20):
        run.look(much, pump)
    run.fix(drain, pump)
    run.verify(level, pump, until=lambda now: True, within="1m")


@look
def raw(pump: Pump) -> str:
    return "logs/caf\udce9.log"


@look
def broken(pump: Pump) -> str:
    raise OSError("cannot read caf\udce9.log")


@playbook(answers=['alertname="Full"'])
def looks_at_bytes(run: Run, pump: Pump) -> None:
    run.look(raw, pump)


@playbook(answers=['alertname="Full"'])
def looks_at_what_breaks(run: Run, pump: Pump) -> None:
    run.look(broken, pump)


def test_an_answer_that_is_no_text_is_handed_over_with_what_to_do() -> None:
    world = Playground(looks_at_bytes)
    world.fires("Full", instance="cart-1")
    assert world.run(1).outcome == "handed_over"
    assert "raw answered cannot be written down: it holds bytes that are no text" in world.run(1).why
    assert "errors='replace'" in world.run(1).why
    world = Playground(looks_at_what_breaks)
    world.fires("Full", instance="cart-1")
    assert r"cannot read caf\udce9.log" in world.run(1).why


class Heard:
    """A wire that keeps what is told."""

    def __init__(self) -> None:
        self.told: list[Any] = []

    def __getattr__(self, name: str) -> Any:
        return lambda report: self.told.append(report)


def test_a_run_whose_steps_answer_too_much_is_handed_over_before_it_changes_anything() -> None:
    world = Playground(looks_at_much)
    world.fires("Full", instance="cart-1")
    assert world.done == []
    assert world.run(1).outcome == "handed_over" and world.run(1).why.endswith(TOO_MUCH)
    assert [page[1] for page in world.pages] == ["ana"]
    looked = MOST_RESULTS // MOST_RESULT
    assert world.steps(1) == ["look much done"] * (looked + 1)


def test_a_process_that_says_more_than_it_may_is_not_believed() -> None:
    world = Playground(by_hand)
    world.carrier.carry = lambda *given: None  # type: ignore[method-assign]
    world.fires("Full", instance="cart-1")
    for ordinal in range(1, 4):
        world.apply(Reported(1, 1, Finished(ordinal, "look", "a.see", "x", True, result="x" * 2 * 1024 * 1024)))
    assert world.run(1).why.endswith(TOO_MUCH)
    assert len(world.tables["steps"][1, 3][1]) < 1_000


def test_what_is_held_of_a_run_fits_into_what_its_process_is_told() -> None:
    def steps(results: Sequence[str]) -> tuple[Step, ...]:
        words = "ü" * MOST_SAID
        given = {"verb": "look", "function": words[:100], "digest": "x" * 32, "shown": words[:300], "began_at": 1}
        return tuple(
            Step(run=1, ordinal=number, result=one, said=words, error=words, **given)  # type: ignore[arg-type]
            for number, one in enumerate(results)
        )

    most = steps(["x" * (MOST_RESULTS // MOST_STEPS)] * MOST_STEPS)
    assert len(encode(Start("p", About("cart"), {}, {}, {}, most))) < MAX_FRAME
    full = steps([msgspec.json.encode("x").decode()] * 3)
    assert Session(Heard(), full, {}, str)._results == 9
