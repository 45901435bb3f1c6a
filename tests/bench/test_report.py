"""What the benchmark makes of its rounds: targets met, missed, and rounds that prove nothing."""

from __future__ import annotations

import json
import time
from typing import Any

from bench import timers
from bench.clients import alert, percentile
from bench.load_plan import SERVICES, alertmanager_config, tocsin_plan
from bench.report import tables
from tocsin.pages.rules import Reach, quiet_until
from tocsin.plan import read_plan

MACHINE = {
    "at": "2026-11-22 01:00 UTC", "cores": 2, "processor": "any", "memory_gb": 24, "kernel": "6", "python": "3.11",
    "alertmanager": "0.25", "wrk": "4.1", "fsync_ms": 0.1, "busy_percent": 1.0, "load": 0.1,
}  # fmt: skip


def rounds(server: str, rate: float, p99: float = 10.0, **more: Any) -> list[dict[str, Any]]:
    """Three rounds whose middle is `rate`."""
    one = {
        "server": server, "requests": 1000, "refused": 0, "errors": 0, "p50": 1.0, "p99": p99, "slowest": 20.0,
        "log": 0, "resident": 1 << 20, "microseconds": 1e6 / rate, "others": 0.0, "unjudged": 0, "faults": [], **more,
    }  # fmt: skip
    return [{**one, "alerts_per_second": rate * factor} for factor in (0.1, 1.0, 7.0)]


def verdict(load: str, base: list[dict[str, Any]], ours: list[dict[str, Any]]) -> str:
    """The last cell of Tocsin's row."""
    measured = {f"{load}/alertmanager": base, f"{load}/sqlite": ours}
    shown = tables({"machine": MACHINE, "rounds": 3, "seconds": 3.0, "intake": measured})
    return next(line for line in shown.splitlines() if "sqlite" in line).split("|")[-2].strip()


SINGLE, BATCHES = "distinct  1/POST  64 conn., one core", "distinct 64/POST  64 conn., one core"
SLOW = rounds("alertmanager", 10_000, p99=100.0)


def test_the_middle_round_counts() -> None:
    """One lucky and one unlucky round change nothing."""
    assert verdict(SINGLE, SLOW, rounds("sqlite", 10_100)) == "≥ 1×: met"
    assert verdict(SINGLE, SLOW, rounds("sqlite", 9_900)) == "MISSED: ratio below 1×"


def test_batches_must_be_four_times_as_fast() -> None:
    """What is enough for single alerts is not enough for batches."""
    assert verdict(BATCHES, SLOW, rounds("sqlite", 39_000)) == "MISSED: ratio below 4×"
    assert verdict(BATCHES, SLOW, rounds("sqlite", 41_000)) == "≥ 4×: met"


def test_a_fast_round_that_lost_alerts_is_a_miss() -> None:
    """Speed without judging every alert proves nothing; nor does a log or a latency out of bounds."""
    assert "not every alert judged" in verdict(SINGLE, SLOW, rounds("sqlite", 90_000, unjudged=1))
    assert "not every alert judged" in verdict(SINGLE, SLOW, rounds("sqlite", 90_000, faults=["3 key_flooded"]))
    assert "WAL above 64 MB" in verdict(SINGLE, SLOW, rounds("sqlite", 90_000, log=65 << 20))
    assert "p99 above Alertmanager's" in verdict(SINGLE, SLOW, rounds("sqlite", 90_000, p99=101.0))


def test_two_free_cores_are_reported_only() -> None:
    """The targets are for one core."""
    assert verdict("distinct  1/POST  64 conn., both cores", SLOW, rounds("sqlite", 5_000)) == "reported"


def test_both_servers_have_the_same_hundred_routes() -> None:
    """The plan is a good one, and Alertmanager's configuration says the same."""
    reading = read_plan({"tocsin.yaml": json.dumps(tocsin_plan()).encode()})
    assert reading.plan is not None, reading.findings
    assert len(reading.plan.services) == SERVICES + 1
    ours = [route["match"] for route in tocsin_plan()["routes"]]
    theirs = [route["matchers"] for route in alertmanager_config()["route"]["routes"]]
    assert ours == theirs
    assert len(ours) == 100


def test_alerts_are_of_one_size_and_two_never_alike() -> None:
    """Each is about 790 bytes, whatever its number."""
    when = "2026-11-22T01:00:00.000Z"
    made = [json.dumps(alert(number, when, when), separators=(",", ":")) for number in (0, 7, 8, 400, 999_999_999)]
    assert len(set(made)) == 5
    assert {len(one) for one in made} == {793}
    assert percentile([float(n) for n in range(101)], 99) == 99.0


def test_a_page_that_leaves_late_is_a_miss() -> None:
    """Idle within 50 ms, beside load within 250."""
    one = {
        "pages": 300, "pending": 100_000, "faults": 0.0, "events": {"per_second": 2000.0, "not_2xx": 0},
        "idle_p50": 3.0, "idle_p99": 51.0, "idle_worst": 60.0, "p50": 9.0, "p99": 249.0, "worst": 300.0,
    }  # fmt: skip
    told = tables({"machine": MACHINE, "timers": {"sqlite": one}}).splitlines()
    verdicts = [line.split("|")[-2].strip() for line in told if "sqlite" in line]
    assert verdicts == ["reported", "MISSED", "reported", "met"]


def test_the_plan_of_the_timers_reads_and_somebody_sleeps() -> None:
    """What waits for a morning waits: it is the middle of the night where that person is."""
    reading = read_plan({"tocsin.yaml": json.dumps(timers.plan("http://127.0.0.1:1")).encode()})
    assert reading.plan is not None, reading.findings
    now = time.time_ns() // 1000
    assert quiet_until(Reach(person="sleeper"), reading.plan.people["sleeper"].timezone, now) is not None
