"""A forked `tocsin` is the installed command: the same output, codes, environment, and end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tests.support.nursery import run_warm
from tests.support.processes import Process, inherited_environment
from tests.support.server import TocsinServer, tocsin_command
from tests.support.waiting import eventually

FAMILY = """
import sys, time
from pathlib import Path
from tests.support.server import TocsinServer
server = TocsinServer(Path(sys.argv[1]), warm=True)
server.start()
print(*(one.pid for one in server.process.family()), flush=True)
time.sleep(600)
"""


@pytest.mark.parametrize(
    "arguments",
    [("--version",), ("plan", "chek"), ("status", "--json"), ("plan", "check", "nowhere"), ("oncall", "--help")],
    ids=" ".join,
)
def test_a_command_says_and_returns_what_the_installed_one_does(arguments: tuple[str, ...], tmp_path: Path) -> None:
    env = inherited_environment(NO_COLOR="1", COLUMNS="90", TOCSIN_DATA=str(tmp_path / "none"))
    argv = [str(tocsin_command()), *arguments]
    installed = subprocess.run(argv, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    forked = run_warm(argv, env, 30)
    assert (forked.returncode, forked.stdout, forked.stderr) == (
        installed.returncode,
        installed.stdout,
        installed.stderr,
    )


def test_a_command_reads_its_input_and_runs_in_its_folder(tmp_path: Path) -> None:
    env = inherited_environment(NO_COLOR="1", COLUMNS="90")
    asked = ("key", "create", "--source", "events", "--service", "x", "--data", "here")
    argv = [str(tocsin_command()), *asked]
    installed = subprocess.run(argv, env=env, input="a\n", capture_output=True, text=True, check=False, cwd=tmp_path)
    forked = run_warm(argv, env, 30, stdin="a\n", cwd=tmp_path)
    assert (forked.returncode, forked.stderr) == (installed.returncode, installed.stderr)


def test_a_command_that_takes_too_long_is_ended_and_said(tmp_path: Path) -> None:
    with pytest.raises(subprocess.TimeoutExpired):
        run_warm([str(tocsin_command()), "up", "--data", str(tmp_path)], inherited_environment(), 0.01)


def test_a_server_is_a_session_of_its_own_and_how_it_ended_is_known(tmp_path: Path) -> None:
    argv = [str(one) for one in (tocsin_command(), "up", "--data", tmp_path / "data", "--plan", tmp_path / "none")]
    refused = Process(argv, log=tmp_path / "log", env=inherited_environment(), warm=True)
    assert refused.popen.wait(20) == 1
    assert "there is no plan folder" in refused.output()
    killed = Process(argv[:-2], log=tmp_path / "log2", env=inherited_environment(), warm=True)
    assert os.getsid(killed.pid) == killed.pid
    killed.popen.kill()
    assert killed.popen.wait(20) == -signal.SIGKILL
    assert not killed.running


def test_what_starts_again_has_hashes_of_another_seed(tmp_path: Path) -> None:
    """Else the order of a set that leaks into what is kept or sent would be the same after every restart."""
    first, second = (TocsinServer(tmp_path / name, warm=True) for name in "ab")

    def seed(server: TocsinServer) -> str:
        server.data.parent.mkdir(exist_ok=True)
        server.start(wait=False)
        assert server.process is not None
        return psutil.Process(server.process.family()[0].ppid()).environ()["PYTHONHASHSEED"]

    before, beside = seed(first), seed(second)
    first.kill9()
    again = seed(first)
    for server in (first, second):
        server.kill9()
    assert (before != again, before != beside) == (True, True)


def test_nothing_forked_outlives_the_tests(tmp_path: Path) -> None:
    tests = subprocess.Popen([sys.executable, "-c", FAMILY, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert tests.stdout is not None
    family = [psutil.Process(int(pid)) for pid in tests.stdout.readline().split()]
    assert len(family) == 3
    tests.kill()
    tests.wait()
    eventually(lambda: not any(one.is_running() and one.status() != psutil.STATUS_ZOMBIE for one in family))
