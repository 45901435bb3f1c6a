"""Starts that do not go as they should: each says what to do, in the form that was asked for."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
import urllib.request
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tests.journeys.telling import a_plan
from tests.support.ports import free_port
from tests.support.processes import Process, inherited_environment
from tests.support.server import TocsinServer, tocsin_command
from tests.support.waiting import eventually

pytestmark = [pytest.mark.journey, pytest.mark.cold]


def test_a_wish_to_reload_while_it_starts_does_not_end_it(tocsin_server: Callable[..., TocsinServer]) -> None:
    server = tocsin_server(plan=a_plan(), start=False)
    server.start(wait=False)
    assert server.process is not None
    eventually(server.data.exists, what="the data folder, the first thing it makes")
    until = time.monotonic() + 20
    while server.status("/readyz") != 200 and time.monotonic() < until and server.process.running:
        os.kill(server.process.popen.pid, signal.SIGHUP)
        time.sleep(0.005)
    assert server.process.running
    assert server.status("/readyz") == 200


@pytest.mark.parametrize("where", [0, 8192])
def test_a_damaged_database_is_said_in_a_sentence(tocsin_server: Callable[..., TocsinServer], where: int) -> None:
    """At its head, and further in, where the damage shows only to who reads on."""
    server = tocsin_server(plan=a_plan())
    assert server.stop() == 0
    path = server.data / "tocsin.db"
    held = bytearray(path.read_bytes())
    held[where : where + 65536 if where else 4096] = b"\x5a" * (min(65536, len(held) - where) if where else 4096)
    path.write_bytes(held)
    before = len(server.output())
    server.start(wait=False)
    assert server.process is not None
    assert server.process.popen.wait(20) == 1
    said = server.output()[before:]
    assert "tocsin.db" in said
    assert "tocsin db check" in said
    assert "Traceback" not in said


def test_a_plan_that_cannot_be_begun_is_said_in_a_sentence(
    tocsin_server: Callable[..., TocsinServer], tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("not a folder")
    server = tocsin_server(plan=tmp_path / "file" / "plan", start=False)
    server.start(wait=False)
    assert server.process is not None
    assert server.process.popen.wait(20) == 1
    assert str(tmp_path / "file") in server.output()
    assert "Traceback" not in server.output()


PLAN = """
tocsin: 1
team: shop
people: {ana: {name: Ana}}
escalations: {shop: [{page: ana, wait: 5m}]}
services: {shop: {escalation: shop, playbooks: [look-around]}}
"""
PLAYBOOK = """
from tocsin import Run, look, playbook, trust


@look
def around() -> int:
    return 7


@playbook(name="look-around", trust=trust(start="act"))
def look_around(run: Run) -> None:
    run.look(around)
"""


def test_what_is_started_without_any_word_does_all_its_work(tmp_path: Path) -> None:
    """Its data lies in the working folder, written as a relative one; what it starts works elsewhere."""
    plan = tmp_path / "tocsin-data" / "plan"
    (plan / "playbooks").mkdir(parents=True)
    (plan / "tocsin.yaml").write_text(PLAN)
    (plan / "playbooks" / "around.py").write_text(PLAYBOOK)
    command = [str(tocsin_command()), "up", "--port", str(port := free_port())]
    process = Process(command, log=tmp_path / "log", cwd=tmp_path, env=inherited_environment(PYTHONUNBUFFERED="1"))
    try:
        eventually(lambda: _answers(f"http://127.0.0.1:{port}/readyz"), within=30, what="readiness")
        run = [str(tocsin_command()), "playbook", "run", "look-around", "--service", "shop", "--wait", "--json"]
        done = subprocess.run(
            run, cwd=tmp_path, env=inherited_environment(), capture_output=True, text=True, timeout=60, check=False
        )
        assert json.loads(done.stdout)["outcome"] == "done", done.stdout + done.stderr
    finally:
        process.stop()


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def test_what_the_unit_starts_may_write_the_plan_it_begins_with() -> None:
    """The file system is read-only to it but for its own folder, and no package is named that nobody published."""
    unit = (Path(__file__).parents[2] / "packaging" / "tocsin.service").read_text()
    (command,) = [line.split() for line in unit.splitlines() if line.startswith("ExecStart=")]
    folders = [Path(word) for before, word in pairwise(command) if before in ("--data", "--plan")]
    assert folders
    assert all(folder.is_relative_to("/var/lib/tocsin") for folder in folders)
    assert "pip install tocsin" not in unit


def test_everything_on_standard_error_is_json_when_that_was_asked_for(
    tocsin_server: Callable[..., TocsinServer],
) -> None:
    hook = {"url": "https://hook.example/ana", "secret": "secret:hook"}
    plan: dict[str, Any] = a_plan(people={"ana": {"name": "Ana", "webhook": hook}})
    server = tocsin_server(plan=plan, arguments=["--log-format", "json"])
    faces = [line for line in _children(server) if line != _core(server)]
    os.kill(faces[0], signal.SIGKILL)
    eventually(lambda: "SIGKILL" in server.output(), what="the word of its end")
    assert server.stop() == 0
    lines = [line for line in server.output().splitlines() if line.startswith("{")]
    assert any("secret:hook" in line for line in lines)
    assert any("SIGKILL" in line and json.loads(line)["level"] == "error" for line in lines)
    rest = [line for line in server.output().splitlines() if not line.startswith("{")]
    assert not [line for line in rest if "warning:" in line or "tocsin:" in line]


def _children(server: TocsinServer) -> list[int]:
    import psutil

    assert server.process is not None
    return sorted(child.pid for child in psutil.Process(server.process.popen.pid).children())


def _core(server: TocsinServer) -> int:
    """The child that listens."""
    import psutil

    return next(pid for pid in _children(server) if psutil.Process(pid).net_connections(kind="tcp"))
