"""Playbooks over thousands of systems: what guards cost when each has its run, and runs that wait for a person."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from typing import Any

import msgspec
import psutil

from bench.playbooks import ROUTES, fire_all
from bench.servers import new_folder
from tests.support.server import TocsinServer
from tests.support.waiting import eventually
from tocsin.engine.engine import Engine
from tocsin.engine.inputs import AnyInput, PlanChange, Received, Reported
from tocsin.engine.state import Counters, Loaded
from tocsin.intake.request import Request
from tocsin.intake.sources import SOURCES
from tocsin.kernel.instant import SECOND, parse_rfc3339
from tocsin.plan import read_plan
from tocsin.playbooks.run import Began
from tocsin.playbooks.runner.reading import with_manifest

TARGETS = 5_000
WAITING = 1_000
AT_REST = 10.0
CODE = '''
from tocsin import Run, Target, at_most, breaker, cooldown, fix, look, playbook, trust

class Null(Target, frozen=True):
    kind = "null"

@look
def see(null: Null) -> int:
    return 1

@fix(idempotent=True)
def change(null: Null) -> int:
    return 1

@playbook(
    name="guarded", answers=['alertname="Three"'], trust=trust(start="ask"), hand_over_after="1h",
    guards=[
        at_most(9999, per="6h"), at_most(9, per="6h", over="target"), at_most(9999, per="1h", over="fleet"),
        cooldown("15m"), breaker(returns=9999),
    ],
)
def guarded(run: Run, null: Null) -> None:
    run.fix(change, null)
    run.verify(see, null, until=lambda now: now == 1, within="5s")
'''


def _files(targets: int) -> dict[str, bytes]:
    """A plan of so many systems, and one playbook with every guard that counts runs."""
    head = 'tocsin: 1\npeople: {ana: {}}\nservices:\n  "null":\n    playbooks: [guarded]\n    targets:\n'
    each = [
        f"      t{n}: {{kind: \"null\", look with: secret:x, fix with: secret:x, match: 'instance=\"{n}\"'}}\n"
        for n in range(targets)
    ]
    return {"tocsin.yaml": (head + "".join(each) + ROUTES).encode(), "playbooks/null.py": CODE.encode()}


def measure(quick: bool, say: Callable[[str], None]) -> dict[str, Any]:
    """Microseconds an alert costs the engine that begins a run and asks, of the first and the last tenth of all
    targets; and memory and processor of so many runs that wait.
    """
    first, last = _storm(TARGETS // 10 if quick else TARGETS)
    found: dict[str, Any] = {"first_us": first, "last_us": last} | _waiting(WAITING // 10 if quick else WAITING)
    say(
        f"many targets: a run begun and asking costs {first:.0f} µs at first and {last:.0f} µs at last;"
        f" {found['waiting']} that wait take {found['waiting_mb']:.0f} MB and {found['waiting_cpu']:.1f} % of a core"
    )
    return found


def _storm(targets: int) -> tuple[float, float]:
    plan = read_plan(with_manifest(_files(targets))).plan
    assert plan is not None
    engine = Engine(Loaded(Counters()), plan, SOURCES)
    now, seq = parse_rfc3339("2026-11-23T03:00:00Z"), 0

    def apply(input: AnyInput) -> None:
        nonlocal seq, now
        seq, now = seq + 1, now + SECOND // 1000
        engine.apply(seq, input, now, plan=plan if isinstance(input, PlanChange) else None)
        engine.take()

    apply(PlanChange(plan.version))
    took: list[float] = []
    for number in range(targets):
        event = {"title": "Three", "labels": {"alertname": "Three", "instance": str(number)}, "severity": "critical"}
        body = msgspec.json.encode({"events": [event]})
        began = time.perf_counter()
        apply(Received(0, "inbox", now, Request(source="events", method="POST", path="/", body=body)))
        apply(Reported(number + 1, 1, Began(1, "fix", "null.change", f"d{number}", idempotent=True)))
        took.append((time.perf_counter() - began) * 1e6)
    asking = sum(run.state == "asking" for run in engine.state.runs.values())
    assert asking == targets, f"{asking} of {targets} runs ask"
    tenth = targets // 10
    return sum(took[:tenth]) / tenth, sum(took[-tenth:]) / tenth


def _waiting(runs: int) -> dict[str, float]:
    folder = new_folder()
    for name, content in _files(runs).items():
        path = folder / "plan" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    server = TocsinServer(folder, plan=folder / "plan", environment={"TOCSIN_SECRET_X": "nothing"})
    server.start()
    try:
        assert server.process is not None
        everything = psutil.Process(server.process.pid).children(recursive=True)
        before = sum(one.memory_info().rss for one in everything)
        fire_all(server, runs)

        def asking() -> bool:
            runs_now, after = 0, ""
            while True:
                found = server.call("GET", f"/api/v1/runs?state=live&limit=500{after}")[1]
                runs_now += sum(one["state"] == "asking" for one in found["items"])
                if not found["next"]:
                    return bool(runs_now == runs)
                after = f"&cursor={found['next']}"

        eventually(asking, within=300, what=f"{runs} runs to ask")
        time.sleep(AT_REST)  # pages and notices of the storm are done with
        left = psutil.Process(server.process.pid).children(recursive=True)
        processes = len(left)
        spent = sum(sum(one.cpu_times()[:2]) for one in left)
        time.sleep(AT_REST)
        spent = sum(sum(one.cpu_times()[:2]) for one in left) - spent
        after = sum(one.memory_info().rss for one in left)
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)
    return {
        "waiting": runs, "waiting_mb": (after - before) / 2**20, "waiting_cpu": spent / AT_REST * 100,
        "waiting_processes": processes - len(everything),
    }  # fmt: skip
