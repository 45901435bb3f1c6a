"""A process ends when told to, and takes its children with it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tests.support.processes import Process
from tests.support.waiting import eventually

PARENT = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
print(child.pid, flush=True)
time.sleep(600)
"""

STARTER = """
import os, sys
from pathlib import Path
from tests.support.processes import Process
from tests.support.waiting import eventually
process = Process(["sh", "-c", "echo here; exec sleep 600"], log=Path(sys.argv[1]))
eventually(process.output)
print(process.pid, flush=True)
os._exit(1)
"""


def gone(pid: int) -> bool:
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


@pytest.mark.parametrize("end", ["stop", "kill9"])
def test_nothing_is_left_of_a_process_and_its_children(tmp_path: Path, end: str) -> None:
    process = Process([sys.executable, "-c", PARENT], log=tmp_path / "log")
    child = int(eventually(process.output, what="the child's pid"))
    getattr(process, end)()
    assert not process.running
    assert gone(child)


def test_a_process_that_ends_early_is_reported_with_its_last_words(tmp_path: Path) -> None:
    process = Process([sys.executable, "-c", "raise SystemExit('no plan here')"], log=tmp_path / "log")
    with pytest.raises(AssertionError, match="no plan here"):
        process.wait_until(lambda: False, within=10, what="the impossible")


def test_a_process_dies_with_the_test_that_started_it(tmp_path: Path) -> None:
    root = Path(__file__).parents[2]
    command = [sys.executable, "-c", STARTER, str(tmp_path / "log")]
    started = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    eventually(lambda: gone(int(started.stdout)), what="the kernel to end it")
