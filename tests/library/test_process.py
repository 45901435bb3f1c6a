"""What the solution for processes sees and does, on real ones; no other process is touched."""

from __future__ import annotations

import ast
import inspect
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import msgspec
import psutil
import pytest

from tests.support.ports import free_port
from tests.support.sshd import Sshd, running_sshd
from tests.support.waiting import eventually
from tocsin.library import alive, process
from tocsin.playbooks.language import Vault, vault

T = TypeVar("T")
IT = process.Process(name="main")
SERVES = """
import http.server, signal, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(302 if self.path == "/away" else 200)
        self.send_header("Location", "/")
        self.end_headers()
    def log_message(self, *args): pass
if "--deaf" in sys.argv:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[2])), Handler).serve_forever()
"""


class Place:
    """A real service with a pid file, which the test starts again as a supervisor would."""

    def __init__(self, folder: Path) -> None:
        self.port, self.pidfile = free_port(), folder / "it.pid"
        self.started: list[subprocess.Popen[bytes]] = []
        self.said: dict[str, object] = {
            "pidfile": str(self.pidfile),
            "command": "shop-service",
            "health": f"http://127.0.0.1:{self.port}/",
            "restart": ["supervisor"],
        }

    def start(self, *more: str) -> subprocess.Popen[bytes]:
        self.started.append(subprocess.Popen([sys.executable, "-c", SERVES, "shop-service", str(self.port), *more]))
        self.pidfile.write_text(f"{self.started[-1].pid}\n")
        eventually(lambda: self.step(lambda: process.answering(IT)).answers, what="the service")
        return self.started[-1]

    def step(self, call: Callable[[], T]) -> T:
        token = vault.set(Vault({"main": msgspec.json.encode(self.said).decode()}))
        try:
            return call()
        finally:
            vault.reset(token)

    def state(self) -> process.State:
        return self.step(lambda: process.state(IT, over="50ms"))


@pytest.fixture(scope="module")
def sshd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    with running_sshd(tmp_path_factory.mktemp("sshd")) as server:
        yield server


@pytest.fixture
def near(tmp_path: Path) -> Iterator[Place]:
    """Here alone: where the way there makes no difference."""
    made = Place(tmp_path)
    yield made
    for one in made.started:
        one.kill()
        one.wait()


@pytest.fixture(params=["here", "by SSH"])
def place(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Place]:
    made = Place(tmp_path)
    if request.param == "by SSH":
        sshd = request.getfixturevalue("sshd")
        made.said["on"] = {"host": "127.0.0.1", "port": sshd.port, "user": sshd.user, "host_keys": [sshd.host_key]}
        made.said["secrets"] = {"key": sshd.key}
    yield made
    for one in made.started:
        one.kill()
        one.wait()


def test_a_hung_process_is_seen_ended_and_its_successor_told_from_it(place: Place) -> None:
    hung = place.start()
    hung.send_signal(signal.SIGSTOP)
    eventually(lambda: place.state().status == "stopped", what="it to be stopped")
    before = place.state()
    answer = place.step(lambda: process.answering(IT, within="200ms"))
    assert (answer.answers, answer.pid, answer.why) == (False, hung.pid, "no answer within 200ms")
    assert place.step(lambda: process.was_replaced(IT, before.pid, before.started)) is False

    said = place.step(lambda: process.stop.function(IT, before.pid, before.started, grace="5s"))
    assert "after SIGTERM" in said, "gracefully, although it was stopped"
    assert hung.wait(5) == -signal.SIGTERM
    assert "gone" in place.step(lambda: process.stop.function(IT, before.pid, before.started)), "again it does nothing"
    assert "which is gone" in place.state().why

    place.start()
    after = place.step(lambda: process.answering(IT))
    assert after.answers and after.started > before.started
    assert place.step(lambda: process.was_replaced(IT, before.pid, before.started)) is True
    place.step(lambda: process.stop.function(IT, before.pid, before.started))
    assert place.state().running, "the successor is not what was to be ended"


def test_one_that_hears_no_sigterm_is_killed_after_the_grace(place: Place) -> None:
    deaf = place.start("--deaf")
    before = place.state()
    said = place.step(lambda: process.stop.function(IT, before.pid, before.started, grace="200ms"))
    assert "was killed" in said
    assert deaf.wait(5) == -signal.SIGKILL


def test_a_number_that_is_something_else_now_is_left_alone(place: Place) -> None:
    other = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    try:
        place.pidfile.write_text(str(other.pid))
        found = place.state()
        assert not found.running and "something else now" in found.why
        started = alive.stat_of(other.pid)
        assert started is not None
        assert "gone" in place.step(lambda: process.stop.function(IT, other.pid, started.started))
        assert other.poll() is None
    finally:
        other.kill()
        other.wait()


@pytest.mark.parametrize("text", ["", "x", "0", "1", "-5", "99999999999999999999", "12 13"])
def test_a_pid_file_that_is_none_names_no_process(near: Place, text: str) -> None:
    near.pidfile.write_text(text)
    assert "holds no process number" in near.state().why
    near.pidfile.unlink()
    assert "cannot be read" in near.state().why


def test_what_it_uses_is_what_the_system_says(place: Place) -> None:
    one = place.start()
    found = place.state()
    assert (found.pid, found.threads, found.cpu) == (one.pid, psutil.Process(one.pid).num_threads(), 0.0)
    assert abs(found.memory - psutil.Process(one.pid).memory_info().rss) < 2**20
    busy = subprocess.Popen([sys.executable, "-c", "while True: pass", "shop-service"])
    place.started.append(busy)
    place.pidfile.write_text(str(busy.pid))
    eventually(lambda: place.state().cpu > 0.2, what="a busy one to be seen")


def test_no_other_address_answers_for_it(near: Place) -> None:
    near.start()
    near.said["health"] = f"http://127.0.0.1:{near.port}/away"
    assert near.step(lambda: process.answering(IT)).why == "it answered 302"


def test_what_answers_in_the_place_of_a_process_that_is_gone_is_no_answer_of_its(near: Place) -> None:
    """Another program has its port: a restart that came to nothing must not count as verified."""
    near.start()
    near.pidfile.write_text("4194303999\n")
    answer = near.step(lambda: process.answering(IT))
    assert (answer.answers, answer.pid) == (False, 0) and "its process does not run" in answer.why


def test_the_command_of_the_plan_restarts_once_and_says_why_not(place: Place, tmp_path: Path) -> None:
    place.start()
    before = place.state()
    log = tmp_path / "asked"
    place.said["restart"] = [sys.executable, "-c", f"open({str(log)!r}, 'a').write('once;')"]
    place.step(lambda: process.restart.function(IT, before.pid, before.started))
    assert log.read_text() == "once;"
    assert place.step(lambda: process.restart.function(IT, before.pid, before.started - 1)).startswith("another")
    assert log.read_text() == "once;"
    assert process.restart.probe is process.was_replaced and not process.restart.idempotent
    place.said["restart"] = [sys.executable, "-c", "import sys; sys.exit('no such unit')"]
    with pytest.raises(process.Trouble, match=r"ended with 1.*: no such unit"):
        place.step(lambda: process.restart.function(IT, before.pid, before.started))
    place.said["restart"] = ["supervisor"]
    with pytest.raises(process.Trouble, match=r"use process\.stop"):
        place.step(lambda: process.restart.function(IT, before.pid, before.started))
    assert os.getpid() != before.pid


def test_the_code_that_goes_over_the_line_needs_no_new_python_and_nothing_of_ours() -> None:
    tree = ast.parse(inspect.getsource(alive), feature_version=(3, 7))
    names = [one.module for one in ast.walk(tree) if isinstance(one, ast.ImportFrom)]
    assert not [name for name in names if name is None or name.startswith("tocsin")]


def test_where_the_kernel_gives_no_handle_nothing_is_ended(near: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    running = near.start()
    now = near.state()
    monkeypatch.delattr(os, "pidfd_open")
    with pytest.raises(process.Trouble, match=r"it needs 3\.9"):
        near.step(lambda: process.stop.function(IT, now.pid, now.started))
    assert running.poll() is None
