"""What becomes of trust when the plan is edited: what code may do follows what was said about it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from tests.playbooks.playground import Playground, Pump, Run, drain, level
from tocsin.playbooks.language import playbook, trust
from tocsin.playbooks.manifest import Rung
from tocsin.playbooks.trust import EDITED, START

FULL = ['alertname="Full"']


@playbook(name="drains", answers=FULL, trust=trust(start="act"))
def drains(run: Run, pump: Pump) -> None:
    run.fix(drain, pump)
    run.verify(level, pump, until=lambda now: now.full < 80, within="1m")


class Author(Playground):
    """Whoever edits the plan, and reads what a reload answers."""

    def __init__(self, body: Callable[..., None] = drains) -> None:
        super().__init__(body, rung="")

    def edits(self, code: str = "", **trusted: Any) -> str:
        """A reload with other code or another ``trust(…)``. Answers what it says."""
        (one,) = self.manifests
        given = {"meaning": code or one.meaning, "trust": msgspec.structs.replace(one.trust, **trusted)}
        self.manifests = [msgspec.structs.replace(one, **given)]
        text = self.text.encode() + f"# {len(self.plans)}\n".encode()
        apply = self.engine.apply
        said: list[str] = []

        def listening(*given: Any, **more: Any) -> Any:
            applied = apply(*given, **more)
            said.append(applied.result.message if applied.result is not None else "")
            return applied

        self.engine.apply = listening  # type: ignore[method-assign]
        self.put_in_force(text)
        self.engine.apply = apply  # type: ignore[method-assign]
        return said[0]

    @property
    def stands(self) -> tuple[str, str]:
        one = self.engine.state.standings["cart", "drains"]
        return one.rung, one.because

    def holds(self) -> None:
        """A run that a person began, and that holds."""
        assert self.runs_by_hand("drains", targets={"pump": "main"}).ok


PUT_BACK = "To put it back: tocsin playbook trust drains {} --service cart --why …"
FELL = "drains of cart is trusted to {} now, not to act: {}. "


@pytest.mark.parametrize("code", ["other", ""])
def test_code_that_its_author_starts_lower_stands_there(code: str) -> None:
    world = Author()
    assert world.stands == ("act", START)
    said = world.edits(code, start="observe")
    assert world.stands == ("observe", START)
    assert said == FELL.format("observe", "the plan starts it lower") + PUT_BACK.format("act")
    world.fires("Full", instance="cart-1")
    assert world.done == [] and world.run(1).outcome == "observed"
    world.edits(code, start="observe")
    assert world.stands == ("observe", START), "once is enough"


def test_what_is_put_back_is_no_higher_than_the_plan_lets_it_go() -> None:
    world = Author()
    assert world.edits(start="observe", ceiling="ask").endswith(PUT_BACK.format("ask"))
    world = Author()
    assert world.edits(start="suggest", ceiling="suggest") == FELL.format("suggest", "the plan starts it lower")[:-2]


@pytest.mark.parametrize("start", ["suggest", "act"])
def test_what_nobody_has_said_a_word_about_stands_where_the_plan_starts_it(start: Rung) -> None:
    world = Author()
    world.edits("first", start="ask")
    world.edits("second", start=start)
    assert world.stands == (start, START)


def test_what_its_runs_have_said_is_not_raised_by_the_plan_and_falls_with_it() -> None:
    world = Author()
    world.edits(start="ask")
    world.holds()
    assert world.edits(start="act") == "" and world.stands == ("ask", START)
    assert world.engine.state.standings["cart", "drains"].held == 1
    assert "the plan starts it lower" in world.edits(start="suggest") and world.stands == ("suggest", START)


def test_what_a_person_said_stands_whatever_the_plan_starts_it_at_and_falls_with_the_code_alone() -> None:
    world = Author()
    world.trusts("drains", "ask")
    assert world.edits(start="observe") == "" and world.stands == ("ask", "Ana: a test")
    assert world.edits("other", start="observe").startswith("drains of cart is trusted to suggest now, not to ask")
    assert world.stands == ("suggest", EDITED)


def test_a_start_that_was_lowered_while_tocsin_was_away_counts_too() -> None:
    world = Author()
    (one,) = world.manifests
    world.manifests = [msgspec.structs.replace(one, trust=msgspec.structs.replace(one.trust, start="suggest"))]
    world.restarted()
    world.put_in_force(world.text.encode() + b"# edited meanwhile\n")
    assert world.stands == ("suggest", START)
    assert world.replayed().state.standings["cart", "drains"].rung == "suggest"
