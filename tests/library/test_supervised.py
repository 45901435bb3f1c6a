"""What the supervisor form of the process solution sees and does, on a real supervisord."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tests.support.ports import free_port
from tests.support.steps import step
from tests.support.waiting import eventually
from tocsin import Refused
from tocsin.library import supervised
from tocsin.library.described import Trouble

WEB = supervised.Program(name="web")


class Supervisor:
    """A supervisord with a socket, and an HTTP server that wants a password; it runs web, and broken does not run."""

    def __init__(self, folder: Path) -> None:
        self.socket, self.port = folder / "s.sock", free_port()
        program = f'{sys.executable} -c "import time; time.sleep(600)"'
        config = folder / "conf"
        config.write_text(
            f"""
[supervisord]
nodaemon=true
logfile={folder / "log"}
pidfile={folder / "pid"}
[unix_http_server]
file={self.socket}
[inet_http_server]
port=127.0.0.1:{self.port}
username=fixer
password=fixingword
[rpcinterface:supervisor]
supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface
[program:web]
command={program}
startsecs=0
stopwaitsecs=1
[program:deaf]
command={sys.executable} -c "import signal, time; signal.signal(15, signal.SIG_IGN); time.sleep(600)"
startsecs=1
stopwaitsecs=1
[program:broken]
command=/nowhere/at/all
startretries=0
"""
        )
        supervisord = Path(sys.executable).parent / "supervisord"
        self.process = subprocess.Popen(
            [supervisord, "-c", config], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )

    def held(self, program: str = "web", **more: Any) -> dict[str, Any]:
        return {"web": {"at": str(self.socket), "program": program, **more}}

    def call(self, method: str, program: str) -> None:
        """Ask it for something; that it is so already is no matter."""
        with suppress(Trouble):
            supervised._call(supervised.Where(str(self.socket), program), method, program, True)

    def state(self, program: str = "web") -> supervised.State:
        return step(self.held(program), supervised.state, WEB)


@pytest.fixture(scope="module")
def supervisor() -> Iterator[Supervisor]:
    with tempfile.TemporaryDirectory(prefix="tocsin-") as short:  # a socket's path has room for 100 letters
        made = Supervisor(Path(short))
        try:
            eventually(lambda: made.socket.exists() and made.state().running, what="supervisor to run it")
            yield made
        finally:
            made.process.terminate()
            with suppress(subprocess.TimeoutExpired):
                made.process.wait(15)
            if made.process.poll() is None:
                made.process.kill()
                made.process.wait()


def test_a_program_is_restarted_once_and_its_successor_is_left_alone(supervisor: Supervisor) -> None:
    before = supervisor.state()
    assert (
        before.running and before.pid > 0 and step(supervisor.held(), supervised.was_replaced, WEB, before.pid) is False
    )
    os.kill(before.pid, signal.SIGSTOP)  # it hangs; supervisor does not see that
    assert supervisor.state().running
    said = step(supervisor.held(), supervised.restart, WEB, before.pid)
    after = supervisor.state()
    assert said == f"process {before.pid} was stopped; process {after.pid} is RUNNING"
    assert after.running and after.pid != before.pid and not Path(f"/proc/{before.pid}").exists()
    assert step(supervisor.held(), supervised.was_replaced, WEB, before.pid) is True
    assert "left alone" in step(supervisor.held(), supervised.restart, WEB, before.pid)
    assert supervisor.state().pid == after.pid
    assert supervised.restart.probe is supervised.was_replaced and not supervised.restart.idempotent


def test_what_supervisor_does_by_itself_meanwhile_is_no_failure(
    supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It dies, and supervisor starts it again, after it was looked at and before anything is asked for."""
    before, really = supervisor.state(), supervised._state
    seen = []

    def stale(where: supervised.Where) -> supervised.State:
        seen.append(1)
        return supervised.State("EXITED", 0, 0, 1) if len(seen) == 1 else really(where)

    monkeypatch.setattr(supervised, "_state", stale)
    said = step(supervisor.held(), supervised.restart, WEB, before.pid)
    assert said.endswith(f"process {before.pid} is RUNNING")
    monkeypatch.undo()
    os.kill(supervisor.state("deaf").pid, signal.SIGKILL)
    supervisor.call("stopProcess", "deaf")
    running = supervised.State("RUNNING", 1, 9, 0)
    monkeypatch.setattr(supervised, "_state", lambda where: running)
    assert "was stopped" in step(supervisor.held("deaf"), supervised.restart, WEB, 1)


def test_what_a_person_stopped_meanwhile_stays_stopped(supervisor: Supervisor) -> None:
    before = supervisor.state()
    supervisor.call("stopProcess", "web")
    with pytest.raises(Refused, match=f"process {before.pid} was stopped meanwhile, and is not started"):
        step(supervisor.held(), supervised.restart, WEB, before.pid)
    assert (supervisor.state().state, supervisor.state().pid) == ("STOPPED", 0)
    assert "is RUNNING" in step(supervisor.held(), supervised.restart, WEB, 0), "who has seen it stopped may start it"


def test_one_that_hears_no_sigterm_is_ended_too_and_grace_bounds_the_wait(supervisor: Supervisor) -> None:
    eventually(lambda: supervisor.state("deaf").running, what="it to run")
    before = supervisor.state("deaf")
    with pytest.raises(Trouble, match=r"does not answer within 0\.3 s"):
        step(supervisor.held("deaf"), supervised.restart, WEB, before.pid, grace="300ms")
    with pytest.raises(Refused, match="stopped meanwhile"):
        step(supervisor.held("deaf"), supervised.restart, WEB, before.pid)
    eventually(lambda: supervisor.state("deaf").pid == 0, what="supervisor to have killed it")
    assert supervisor.state("deaf").state == "STOPPED"
    step(supervisor.held("deaf"), supervised.restart, WEB, 0)
    assert supervisor.state("deaf").running


def test_what_does_not_start_and_what_is_not_there_say_so(supervisor: Supervisor) -> None:
    assert supervisor.state("broken").state == "FATAL"
    with pytest.raises(Trouble, match="NO_FILE"):
        step(supervisor.held("broken"), supervised.restart, WEB, 0)
    with pytest.raises(Trouble, match="BAD_NAME"):
        supervisor.state("none")
    with pytest.raises(Trouble, match="cannot be asked"):
        step(supervisor.held(at="/nowhere.sock"), supervised.state, WEB)


def test_its_http_server_wants_the_password(supervisor: Supervisor) -> None:
    at = {"at": f"http://127.0.0.1:{supervisor.port}", "user": "fixer"}
    good = supervisor.held(**at, secrets={"password": "fixingword\n"})
    assert step(good, supervised.state, WEB).running
    with pytest.raises(Trouble, match="401"):
        step(supervisor.held(**at, secrets={"password": "wrong"}), supervised.state, WEB)
