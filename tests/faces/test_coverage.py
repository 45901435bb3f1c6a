"""Coverage: what has come is counted for the rule it is of, and thousands of names take no time of others."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from tests.plan.written import good
from tocsin.faces.coverage import Answered, coverage
from tocsin.store.reads import Trouble

PLAN = """
services:
  cart:
    probes:
      - {name: a, redis: secret:a, every: 30s}
      - {name: b, redis: secret:b, every: 30s}
  bank: {}
routes:
  - {match: ['alertname="Slow"'], service: bank}
"""


class Told:
    """Faces of which coverage asks no more than this."""

    class reads:  # noqa: N801
        """What is asked."""

        standings, troubles = "standings", "troubles"

    def __init__(self, troubles: list[Trouble]) -> None:
        self.troubles = troubles

    async def read(self, what: str, *_: Any) -> list[Any]:
        """As from the store, newest first."""
        return self.troubles if what == "troubles" else []


def trouble(service: str, count: int, **labels: str) -> Trouble:
    return Trouble(service, labels, "error", count, 10 * count)


async def answered(troubles: list[Trouble]) -> list[Answered]:
    return await coverage(Told(troubles), good(PLAN), 10**15)  # type: ignore[arg-type]  # all it asks of them


async def test_what_came_is_counted_for_the_rule_it_is_of() -> None:
    """Two probes of a kind apart; what no rule is about by its name; what a probe that is gone had, once."""
    redis = "ProbeRedisFailed"
    rows = await answered(
        [
            trouble("cart", 3, alertname=redis, probe="b", instance="secret:b"),
            trouble("cart", 2, alertname=redis, probe="gone"),
            trouble("cart", 5, alertname=redis, probe="a", instance="secret:a"),
            trouble("cart", 1, alertname="Odd"),
            trouble("bank", 4, alertname="Slow", heartbeat="x"),
            trouble("bank", 6, alertname="Slow"),
            trouble("left", 9, alertname="Odd"),
        ]
    )
    came = {(one.planned.service, one.planned.rule): (one.came, one.last) for one in rows}
    assert came == {
        ("cart", f'alertname="{redis}" probe="a"'): (5, 50),
        ("cart", f'alertname="{redis}" probe="b"'): (3, 30),
        ("cart", f'alertname="{redis}"'): (2, 20),
        ("cart", 'alertname="Odd"'): (1, 10),
        ("bank", 'alertname="Slow"'): (10, 60),
    }


async def test_thousands_of_names_hold_nobody_up() -> None:
    """Each costs as much as the one before, and the loop goes on meanwhile."""
    began = time.process_time()
    asked = asyncio.create_task(answered([trouble("cart", 1, alertname=f"A{n}") for n in range(5_000)]))
    turns = 0
    while not asked.done():
        await asyncio.sleep(0.001)
        turns += 1
    assert len(await asked) == 5_003 and turns > 5
    assert time.process_time() - began < 2.0, "once it was 14 s"
