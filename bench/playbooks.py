"""How quick code answers: from an alert to the first step, what a step costs, and how many runs there can be."""

from __future__ import annotations

import json
import shutil
import tempfile
import time
import urllib.request
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from statistics import median, quantiles
from typing import Any

from bench.servers import new_folder
from tests.support.server import TocsinServer
from tests.support.waiting import eventually
from tocsin.engine.commands import StartRun
from tocsin.engine.engine import Engine
from tocsin.engine.inputs import AnyInput, Decided, PlanChange, Reported
from tocsin.intake.sources import SOURCES
from tocsin.kernel.instant import SECOND, parse_rfc3339
from tocsin.plan import read_plan
from tocsin.playbooks.run import Began, Finished, Report, Returned
from tocsin.playbooks.runner.reading import with_manifest
from tocsin.store.opening import migrate, open_writer, url_for
from tocsin.store.rows import Journaled

FIXES = 40
PLAN = """
tocsin: 1
people: {ana: {}}
services:
  null:
    playbooks: [three-steps, many-steps]
    targets:
"""
ROUTES = 'routes:\n  - {match: [\'alertname=~".+"\'], service: "null", group: {by: [alertname, instance]}}\n'
CODE = f'''
from tocsin import Run, Target, breaker, fix, look, playbook, trust

class Null(Target, frozen=True):
    kind = "null"

@look
def see(null: Null) -> int:
    return 1

@fix(idempotent=True)
def change(null: Null, number: int) -> int:
    return number

@playbook(name="three-steps", answers=['alertname="Three"'], trust=trust(start="act"), guards=[breaker(returns=9999)])
def three_steps(run: Run, null: Null) -> None:
    run.look(see, null)
    run.fix(change, null, 1)
    run.verify(see, null, until=lambda now: now == 1, within="5s")

@playbook(name="many-steps", answers=['alertname="Many"'], trust=trust(start="act"), guards=[breaker(returns=9999)])
def many_steps(run: Run, null: Null) -> None:
    for number in range({FIXES}):
        run.fix(change, null, number)
    run.verify(see, null, until=lambda now: now == 1, within="5s")
'''


def plan_files(targets: int) -> dict[str, bytes]:
    """A plan of so many systems that are nothing, with two playbooks that do nothing to them."""
    lines = [
        f"      t{n}: {{kind: \"null\", look with: secret:x, fix with: secret:x, match: 'instance=\"{n}\"'}}"
        for n in range(targets)
    ]
    text = PLAN.replace("  null:", '  "null":') + "\n".join(lines) + "\n" + ROUTES
    return {"tocsin.yaml": text.encode(), "playbooks/null.py": CODE.encode()}


def measure(runs: int, say: Callable[[str], None]) -> dict[str, Any]:
    """From alert to first step and per step (ms), runs per second of the journal alone and of real processes."""
    found = {"journal_per_s": _journal(runs * 10)} | _real(runs)
    say(
        f"playbooks: first step after {found['first_p50_ms']:.0f} ms (p99 {found['first_p99_ms']:.0f}), a fix costs "
        f"{found['step_p50_ms']:.1f} ms, {found['journal_per_s']:.0f} runs/s in the journal alone, "
        f"{found['real_per_s']:.0f} with their processes"
    )
    return found


def _journal(runs: int) -> float:
    """Three-step runs per second, every input a commit of its own with its fsync."""
    with tempfile.TemporaryDirectory(dir=new_folder()) as place:
        url = url_for(Path(place))
        migrate(url)
        store = open_writer(url, "bench")
        plan = read_plan(with_manifest(plan_files(1))).plan
        assert plan is not None
        engine = Engine(store.load(), plan, SOURCES)
        now, seq = parse_rfc3339("2026-11-23T03:00:00Z"), 0

        def apply(input: AnyInput) -> str:
            nonlocal seq, now
            seq, now = seq + 1, now + SECOND // 1000
            result = engine.apply(seq, input, now, plan=plan if isinstance(input, PlanChange) else None).result
            store.commit([Journaled(seq, now, input)], engine.take(), engine.state)
            return result.id if result is not None else ""

        apply(PlanChange(plan.version))
        began = time.perf_counter()
        for _ in range(runs):
            number = int(apply(Decided(StartRun(actor="user:bench", playbook="three-steps", service="null"))))
            for report in REPORTS:
                apply(Reported(number, 1, report))
        took = time.perf_counter() - began
        store.close()
    return runs / took


REPORTS: tuple[Report, ...] = (
    Finished(1, "look", "null.see", "a", True, result="1"),
    Began(2, "fix", "null.change", "b", idempotent=True),
    Finished(2, "fix", "null.change", "b", True, result="1"),
    Began(3, "verify", "null.see", "c", within=SECOND),
    Finished(3, "verify", "null.see", "c", True, result="1"),
    Returned(),
)


def _real(runs: int) -> dict[str, float]:
    folder = new_folder()
    for name, content in plan_files(runs + 1).items():
        path = folder / "plan" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    server = TocsinServer(folder, plan=folder / "plan", environment={"TOCSIN_SECRET_X": "nothing"})
    server.start()
    try:
        # One after the other, as incidents come; then all at once.
        for number in range(runs):
            _fire(server, "Three", number)
            _ended(server, number + 1)
        firsts = _firsts(server, runs)
        _fire(server, "Many", runs)
        _ended(server, runs + 1)
        steps = server.call("GET", f"/api/v1/runs/{runs + 1}")[1]["steps"]
        each = [_ms(b["began_at"]) - _ms(a["began_at"]) for a, b in pairwise(steps[:FIXES])]
        for number in range(runs):
            _fire(server, "Three", number, "resolved")
        began = time.perf_counter()
        fire_all(server, runs)
        _ended(server, 2 * runs + 1)
        took = time.perf_counter() - began
        held = len(server.call("GET", "/api/v1/runs?state=live&limit=500")[1]["items"])
        assert held == runs + 1, f"{held} of {runs + 1} runs were verified: the others did nothing"
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)
    return {
        "first_p50_ms": median(firsts), "first_p99_ms": quantiles(firsts, n=100)[98],
        "step_p50_ms": median(each), "real_per_s": runs / took,
    }  # fmt: skip


def _event(name: str, number: int, state: str) -> dict[str, Any]:
    labels = {"alertname": name, "instance": str(number)}
    return {"title": name, "state": state, "severity": "critical", "labels": labels, "key": f"{name}{number}"}


def _fire(server: TocsinServer, name: str, number: int, state: str = "firing") -> None:
    _post(server, [_event(name, number, state)])


def fire_all(server: TocsinServer, runs: int) -> None:
    """An alert for each of so many targets, in one request."""
    _post(server, [_event("Three", number, "firing") for number in range(runs)])


def _post(server: TocsinServer, events: list[dict[str, Any]]) -> None:
    if not hasattr(server, "bench_key"):
        made = server.call("POST", "/api/v1/keys", {"source": "events", "service": "inbox"})[1]
        server.bench_key = made["key"]  # type: ignore[attr-defined]  # ours, beside its own
    request = urllib.request.Request(
        server.url + "/api/events",
        data=json.dumps({"events": events}).encode(),
        headers={"Content-Type": "application/json", "Authorization": f"Bearer {server.bench_key}"},  # type: ignore[attr-defined]  # as above
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        assert answer.status == 202


def _ended(server: TocsinServer, number: int) -> None:
    """Wait until so many runs have begun and none has a process any more."""

    def there() -> bool:
        found = server.call("GET", "/api/v1/runs?limit=1")[1]["items"]
        if not found or found[0]["number"] < number:
            return False
        live = server.call("GET", "/api/v1/runs?state=live&limit=500")[1]["items"]
        return all(one["state"] == "watching" for one in live)

    eventually(there, within=120, what=f"run {number} to have ended")


def _firsts(server: TocsinServer, runs: int) -> list[float]:
    found = server.call("GET", f"/api/v1/runs?limit={min(runs, 500)}")[1]["items"]
    return [_ms(one["first_step_at"]) - _ms(one["started_at"]) for one in found]


def _ms(text: str) -> float:
    return parse_rfc3339(text) / 1000
