"""How many alerts a second are taken: Tocsin, durably, beside Alertmanager, in memory; interleaved rounds of wrk."""

from __future__ import annotations

import json
import random
import subprocess
import time
import urllib.request
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psutil

from bench.servers import Server, Tocsin, Watch, pinned, program

LUA = Path(__file__).parent / "load.lua"
SET = 12_800
"""Alerts that are sent again and again."""
WARM = 2.0
SERVER_CORE, WRK_CORE = "0", "1"


@dataclass(frozen=True)
class Load:
    """One cell of the table."""

    kind: str
    batch: int
    connections: int
    pinned: bool

    @property
    def name(self) -> str:
        """Such as `distinct, 64 per POST, 64 connections, pinned`."""
        where = "one core" if self.pinned else "both cores"
        return f"{self.kind:8} {self.batch:2}/POST {self.connections:3} conn., {where}"


LOADS = (
    Load("distinct", 1, 64, True),
    Load("resent", 1, 64, True),
    Load("distinct", 64, 64, True),
    Load("resent", 64, 64, True),
    Load("distinct", 1, 256, True),
    Load("resent", 1, 256, True),
    Load("distinct", 1, 64, False),
    Load("resent", 1, 64, False),
    Load("distinct", 64, 64, False),
    Load("resent", 64, 64, False),
)


@dataclass
class Round:
    """What one round of one server came to. Times in milliseconds, memory in bytes.

    `microseconds` is the processor time the server used for each alert: what is left to compare when others use the
    machine; `others` is how busy, in percent, the machine was just before with nothing of ours running.
    """

    server: str
    alerts_per_second: float
    requests: int
    refused: int
    errors: int
    p50: float
    p99: float
    slowest: float
    log: int
    resident: int
    microseconds: float
    others: float
    unjudged: int
    faults: list[str] = field(default_factory=list)


def wrk(server: Server, load: Load, seconds: float, seed: int, started: str) -> dict[str, Any]:
    """Run wrk against a server and return what its script printed."""
    command = [
        *pinned(WRK_CORE if load.pinned else ""), program("wrk"), "-t1", f"-c{load.connections}",
        f"-d{seconds:g}s", "--timeout", "20s", "--latency", "-s", str(LUA), server.url,
        "--", load.kind, str(load.batch), str(SET), str(seed), started, *server.paths,
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=seconds + 120)
    lines = [line for line in done.stdout.splitlines() if line.startswith("JSON ")]
    if done.returncode or not lines:
        raise RuntimeError(f"wrk failed: {done.stdout}\n{done.stderr}")
    told: dict[str, Any] = json.loads(lines[0][5:])
    return told


def one_round(start: Callable[[str], Server], load: Load, seconds: float, number: int) -> Round:
    """A fresh server, warmed up, measured for some seconds, and checked: every alert answered 2xx was judged."""
    others = psutil.cpu_percent(0.5)
    server = start(SERVER_CORE if load.pinned else "")
    try:
        started = (datetime.now(UTC) - timedelta(minutes=1)).strftime("%Y-%m-%dT%H:%M:%S.000Z")
        # Two rounds share no distinct alert; nor do warming up and measuring.
        seed = number * 100_000_000
        warm = Load(load.kind, 64 if load.kind == "resent" else load.batch, load.connections, load.pinned)
        wrk(server, warm, WARM, seed, started)
        settle(server)
        before = server.decisions()
        used = server.processor_seconds()
        with Watch(server) as watch:
            told = wrk(server, load, seconds, seed + (50_000_000 if load.kind == "distinct" else 0), started)
        used = server.processor_seconds() - used
        taken = told["requests"] - told["status"]
        unjudged, faults = 0, list[str]()
        if isinstance(server, Tocsin):
            unjudged, faults = check(server, load, before, taken, seconds)
        return Round(
            server=server.name,
            alerts_per_second=taken * load.batch / (told["microseconds"] / 1e6),
            requests=told["requests"],
            refused=told["status"],
            errors=told["connect"] + told["read"] + told["write"] + told["timeout"],
            p50=told["p50"] / 1000,
            p99=told["p99"] / 1000,
            slowest=told["max"] / 1000,
            log=watch.most_log,
            resident=watch.most_resident,
            microseconds=used / max(1, taken * load.batch) * 1e6,
            others=others,
            unjudged=unjudged,
            faults=faults,
        )
    finally:
        server.close()


EVENTS = 'tocsin_decisions_total{kind="events",reason="%s"}'


def check(server: Tocsin, load: Load, before: dict[str, float], taken: int, seconds: float) -> tuple[int, list[str]]:
    """How many counted alerts were not judged, and what else was not as it should be. From /metrics alone.

    Distinct: as many alerts seen for the first time as were answered, and at most as many more as wrk hung up on.
    Re-sent: every alert of the set was heard again in every whole stretch of five seconds; in each it counts once.
    """
    settle(server)
    after = server.decisions()

    def rose(name: str) -> float:
        return after.get(name, 0.0) - before.get(name, 0.0)

    unwanted = ("key_flooded", "parked_request", "unknown_key")
    faults = [f"{rose(EVENTS % reason):.0f} {reason}" for reason in unwanted if rose(EVENTS % reason)]
    if rose("tocsin_requests_refused_total"):
        faults.append(f"{rose('tocsin_requests_refused_total'):.0f} refused")
    if after.get("tocsin_audit_faults", 0):
        faults.append("the self-audit found faults")
    if load.kind == "distinct":
        judged = rose(EVENTS % "first_seen")
        if judged > (taken + load.connections + 1) * load.batch:
            faults.append(f"{judged:.0f} judged, more than were sent")
        return max(0, round(taken * load.batch - judged)), faults
    heard = rose(EVENTS % "heard_again") + rose(EVENTS % "changed")
    wanted = min(SET, taken * load.batch) * max(1, int(seconds // 5) - 1)
    if rose("tocsin_requests_total") < taken:
        faults.append("fewer requests than were answered")
    return max(0, round(wanted - heard)), faults


def settle(server: Server) -> None:
    """Let Tocsin finish what waits, and have gathered repetitions journaled: a timer that rings does that at once."""
    if not isinstance(server, Tocsin):
        return
    ended = 'tocsin_decisions_total{kind="alerts",reason="expired"}'
    had = server.decisions().get(ended, 0.0)
    for _ in range(10):
        soon = (datetime.now(UTC) + timedelta(seconds=1)).isoformat().replace("+00:00", "Z")
        alert = json.dumps([{"labels": {"alertname": "Settle", "at": soon}, "endsAt": soon}]).encode()
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(server.url + server.paths[0], alert, headers, method="POST")
        urllib.request.urlopen(request, timeout=60).close()
        deadline = time.monotonic() + 5
        while time.monotonic() < deadline:
            now = server.decisions()
            if now.get(ended, 0.0) > had and now["tocsin_inputs_waiting"] == 0:
                return
            time.sleep(0.05)
    raise RuntimeError("Tocsin did not settle within a minute")


def measure(
    starts: Sequence[tuple[str, Callable[[str], Server]]],
    loads: Sequence[Load],
    rounds: int,
    seconds: float,
    say: Callable[[str], None],
) -> dict[str, list[Round]]:
    """All loads, `rounds` times, the servers taking turns in an order that changes; by `load name/server name`."""
    found: dict[str, list[Round]] = {}
    number = 0
    order = random.Random(1)
    for turn in range(rounds):
        for load in loads:
            servers = list(starts)
            order.shuffle(servers)
            for name, start in servers:
                number += 1
                one = one_round(start, load, seconds, number % 90 + 1)
                found.setdefault(f"{load.name}/{name}", []).append(one)
                say(f"round {turn + 1}/{rounds}  {load.name:42} {name:13} {told(one)}")
    return found


def told(one: Round) -> str:
    """A round in one line, with what went wrong in it."""
    line = (
        f"{one.alerts_per_second:9,.0f} alerts/s  p99 {one.p99:7.1f} ms  {one.microseconds:6.1f} µs/alert"
        f"  RSS {one.resident >> 20:5} MB  WAL {one.log >> 20:3} MB"
    )
    if one.unjudged or one.errors or one.refused or one.faults:
        line += f"  !! {one.unjudged} unjudged, {one.errors} errors, {one.refused} refused {'; '.join(one.faults)}"
    return line
