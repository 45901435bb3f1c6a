"""`python -m bench.simulation`: let a company live for years, and see whether every page was right. `make simulate`."""

from __future__ import annotations

import argparse
import platform
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

from bench.simulation.run import Size, simulate


def main() -> None:
    """Simulate as much as was asked for; ends with 1 at the first page that is wrong."""
    parser = argparse.ArgumentParser(prog="python -m bench.simulation", description=__doc__)
    parser.add_argument("--incidents", type=int, default=200_000)
    parser.add_argument("--people", type=int, default=1_000)
    parser.add_argument("--schedules", type=int, default=200)
    parser.add_argument("--years", type=int, default=5)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    size = Size(people=asked.people, schedules=asked.schedules, years=asked.years, incidents=asked.incidents)
    with tempfile.TemporaryDirectory(prefix="tocsin-simulation-") as folder:
        told = simulate(size, asked.seed, Path(folder), lambda what: print(what, file=sys.stderr, flush=True))
    print(f"python: {platform.python_version()}")
    for name, value in asdict(told).items():
        print(f"{name}: {value}")


if __name__ == "__main__":
    main()
