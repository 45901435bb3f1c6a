"""Two real nodes on one PostgreSQL: a run goes on at the second when the first is killed, or cut off, in the midst."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tests.support.ports import free_port
from tests.support.server import TocsinServer
from tests.support.waiting import eventually

pytestmark = pytest.mark.faults

PLAN = """
tocsin: 1
people: {ana: {name: Ana}}
escalations: {shop: [{page: ana, wait: 5m}]}
services:
  files:
    escalation: shop
    playbooks: [write-on]
    targets:
      disk: {kind: disk, look with: secret:disk, fix with: secret:disk}
routes:
  - {match: ['alertname=~".+"'], service: files}
"""
CODE = '''
import os
import time
from pathlib import Path

from tocsin import Run, Target, fix, look, playbook, trust


class Disk(Target, frozen=True):
    kind = "disk"


@look
def lines(disk: Disk) -> int:
    return len(Path(disk.credential).read_text().splitlines())


@fix(idempotent=True)
def write(disk: Disk) -> None:
    """Writes down which process writes, and when, until it is told to end."""
    with Path(disk.credential).open("a") as opened:
        opened.write(f"{os.getpid()} {time.time()}\\\\n")
    while Path(disk.credential + ".hold").exists():
        Path(f"{disk.credential}.{os.getpid()}").write_text(str(time.time()))
        time.sleep(0.02)


@playbook(name="write-on", answers=['alertname="Files"'], trust=trust(start="act"), hand_over_after="3m")
def write_on(run: Run, disk: Disk) -> None:
    run.fix(write, disk)
    run.verify(lines, disk, until=lambda now: now >= 2, within="20s")
'''.replace("\\\\n", "\\n")
MOST = 10.0
"""Seconds after which a run goes on elsewhere at the latest."""


class Wire:
    """Between a node and its database, so that it can be cut: what is sent goes nowhere, and nothing is closed."""

    def __init__(self, to: int) -> None:
        self.port, self._to = free_port(), to
        self.cut = threading.Event()
        self._lost: list[socket.socket] = []
        """Connections of the time in which it was cut: kept, or they would be closed."""
        self._server = socket.create_server(("127.0.0.1", self.port))
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                one, _ = self._server.accept()
                if self.cut.is_set():
                    self._lost.append(one)
                    continue
                other = socket.create_connection(("127.0.0.1", self._to))
                for a, b in ((one, other), (other, one)):
                    threading.Thread(target=self._pass, args=(a, b), daemon=True).start()

    def _pass(self, a: socket.socket, b: socket.socket) -> None:
        with suppress(OSError):
            while some := a.recv(65_536):
                if not self.cut.is_set():
                    b.sendall(some)
        if not self.cut.is_set():
            b.close()

    def close(self) -> None:
        self._server.close()


class Pair:
    """Two nodes; the first writes, by a wire that can be cut, and a run is in the midst of a change there."""

    def __init__(self, folder: Path, database: str, make: Callable[..., TocsinServer]) -> None:
        self.disk = folder / "disk"
        self.hold = Path(f"{self.disk}.hold")
        self.hold.touch()
        plan = folder / "plan"
        (plan / "playbooks").mkdir(parents=True)
        (plan / "tocsin.yaml").write_text(PLAN)
        (plan / "playbooks" / "files.py").write_text(CODE)
        secrets = {"TOCSIN_SECRET_DISK": str(self.disk)}
        port = int(database.rpartition(":")[2].partition("/")[0])
        self.wire = Wire(port)
        by_wire = database.replace(f":{port}/", f":{self.wire.port}/")
        self.first = make(plan=plan, database=by_wire, environment=secrets)
        self.second = make(plan=plan, database=database, environment=secrets, start=False)
        self.second.start(wait=False)
        eventually(lambda: self.second.status("/healthz") == 200, within=20, what="the standby to answer")
        zygotes = self.second.data / "playbooks"
        eventually(lambda: zygotes.exists() and list(zygotes.iterdir()), within=20, what="its playbooks to be imported")
        self.first.run("send", "--service", "inbox", "--title", "Files", "--label", "alertname=Files")
        eventually(lambda: self.writers() == 1, what="the change to have begun")

    def writers(self) -> int:
        """How many processes have begun with the change."""
        return len(self.disk.read_text().splitlines()) if self.disk.exists() else 0

    def process(self, number: int) -> int:
        return int(self.disk.read_text().splitlines()[number].split()[0])

    def runs(self) -> list[dict[str, Any]]:
        headers = {"Authorization": f"Bearer {self.first.token}"}
        found: list[dict[str, Any]] = self.second.call(
            "GET", "/api/v1/runs", headers=headers, authorized=False
        )[1]["items"]
        return found


@pytest.fixture
def pair(tmp_path: Path, postgres_url: str, tocsin_server: Callable[..., TocsinServer]) -> Iterator[Pair]:
    made = Pair(tmp_path, postgres_url, tocsin_server)
    yield made
    made.hold.unlink(missing_ok=True)
    made.wire.close()


def test_a_run_goes_on_at_the_second_node_when_the_first_is_killed(pair: Pair) -> None:
    began = time.monotonic()
    pair.first.kill9()
    eventually(lambda: pair.writers() == 2, within=20, what="the run to go on at the second node")
    took = time.monotonic() - began
    print(f"the run went on after {took:.1f} s")
    pair.hold.unlink()
    assert took <= MOST, f"the run went on after {took:.1f} s"
    eventually(lambda: pair.runs()[0]["state"] == "watching", within=20, what="the fix to be verified")
    assert pair.writers() == 2
    assert pair.second.stop() == 0


def test_what_a_node_has_under_way_that_is_cut_off_ends_before_the_other_goes_on(pair: Pair) -> None:
    before = pair.process(0)
    began = time.monotonic()
    pair.wire.cut.set()
    eventually(lambda: pair.writers() == 2, within=30, what="the run to go on at the second node")
    took = time.monotonic() - began
    print(f"the run went on after {took:.1f} s")
    beats = Path(f"{pair.disk}.{before}")
    last, other = float(beats.read_text()), float(pair.disk.read_text().splitlines()[1].split()[1])
    assert last < other, "the first one's process worked on when the second one's began"
    with pytest.raises(ProcessLookupError):
        os.kill(before, 0)
    assert took <= MOST, f"the run went on after {took:.1f} s"
    pair.hold.unlink()
    eventually(lambda: pair.runs()[0]["state"] == "watching", within=20, what="the fix to be verified")
    assert pair.second.stop() == 0
