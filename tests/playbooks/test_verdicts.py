"""What ``until`` and ``harm`` answer counts when it is yes or no, and as no evidence otherwise."""

from __future__ import annotations

from typing import Any

import pytest

from tests.playbooks.playground import Level, Playground, Pump, Run, drain, level
from tests.playbooks.test_stories import FULL, fires
from tocsin.playbooks.language import playbook, trust


class bool_:  # noqa: N801  # as numpy calls its own
    def __init__(self, is_so: bool) -> None:
        self.is_so = is_so

    def __bool__(self) -> bool:
        return self.is_so


def ended(until: Any, harm: Any = None) -> tuple[str, str]:
    @playbook(name="judged", answers=FULL, trust=trust(start="act"))
    def judged(run: Run, pump: Pump) -> None:
        run.fix(drain, pump)
        run.verify(level, pump, until=until, harm=harm, within="3s")

    world = Playground(judged)
    fires(world)
    return world.run(1).state, world.run(1).why


@pytest.mark.parametrize(
    ("until", "said"),
    [
        (lambda now: (now.full > 99, "so"), "until answered (False, 'so'), which is neither yes nor no"),
        (lambda now: now.__str__, "which is neither yes nor no"),
        (lambda now: now, "until answered Level(full=40), which is neither yes nor no"),
    ],
)
def test_what_is_neither_yes_nor_no_verifies_nothing(until: Any, said: str) -> None:
    state, why = ended(until)
    assert state == "ended" and "did not hold within 3s" in why and said in why


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (lambda now: now.full > 97 and "worse", "harm answered 'worse', which is neither yes nor no"),
        (lambda now: now.full - 97 if now.full > 97 else 0, "harm answered 2, which is neither yes nor no"),
        (lambda now: [now] if now.full > 97 else [], "which is neither yes nor no"),
        (lambda now: (now.full > 97, "worse"), "which is neither yes nor no"),
    ],
)
def test_harm_that_is_no_plain_no_ends_it_at_once_whatever_is_seen_later(harm: Any, said: str) -> None:
    @playbook(name="harmful", answers=FULL, trust=trust(start="act"))
    def harmful(run: Run, pump: Pump) -> None:
        run.fix(drain, pump)
        run.verify(level, pump, until=lambda now: now.full < 80, harm=harm, within="1m", every="5s")

    world = Playground(harmful)
    levels = [99, 99, 40]
    world.carrier.instead[level.name] = lambda pump: Level(levels.pop(0))
    fires(world)
    assert world.run(1).outcome == "handed_over" and said in world.run(1).why
    assert len(levels) == 2 and world.pages


@pytest.mark.parametrize("until", [lambda now: bool_(now.full < 80), lambda now: now.full < 80])
def test_yes_is_yes_whoever_made_it_and_what_is_empty_is_no(until: Any) -> None:
    def harm(now: Level) -> Any:
        return "worse" if now.full > 90 else ""

    assert ended(until, harm)[0] == "watching"
    assert ended(until, lambda now: [])[0] == "watching"
    assert "did not hold" in ended(lambda now: bool_(now.full > 80))[1]
