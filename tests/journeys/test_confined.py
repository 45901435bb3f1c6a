"""Confined playbooks in a real Tocsin: refused by the kernel, at work where they may, killed and gone on with."""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support import needs
from tests.support.server import TocsinServer
from tests.support.waiting import eventually

pytestmark = pytest.mark.journey

PLAN = """
tocsin: 1
people: {ana: {name: Ana}}
escalations: {shop: [{page: ana, wait: 5m}]}
services:
  logs:
    escalation: shop
    playbooks: [strays, works, calls, nowhere, tidies]
    targets:
      strays: {kind: box, look with: secret:box, fix with: secret:box, match: 'alertname="Strays"'}
      works: {kind: box, look with: secret:box, fix with: secret:box, match: 'alertname="Works"'}
      goes-on: {kind: box, look with: secret:box, fix with: secret:box, match: 'alertname="WorksOn"'}
      other: {kind: box, look with: secret:box, fix with: secret:box, match: 'alertname=~"Calls|Nowhere"'}
      full: {folder: HERE/logs, delete: ['*.log.*']}
routes:
  - {match: ['alertname=~".+"'], service: logs, group: {by: [alertname]}}
"""
CODE = '''
import socket
import time
from pathlib import Path

from tocsin import Run, Target, confine, fix, look, playbook, trust

WAY = confine(write=["HERE/logs"], read=["HERE/seen"])
ACT = trust(start="act")


class Box(Target, frozen=True):
    kind = "box"


@look
def lines(box: Box) -> int:
    path = Path(box.credential)
    return len(path.read_text().splitlines()) if path.exists() else 0


@fix(idempotent=True)
def write(box: Box, path: str) -> None:
    with Path(path).open("a") as opened:
        opened.write("written\\n")
    while Path("HERE/logs/hold").exists():
        time.sleep(0.01)


@look
def call(box: Box) -> str:
    socket.create_connection(("127.0.0.1", PORT), 2).close()
    return "answered"


@playbook(answers=['alertname="Strays"'], trust=ACT, confine=WAY)
def strays(run: Run, box: Box) -> None:
    run.fix(write, box, path="HERE/seen/new")
    run.verify(lines, box, until=lambda now: now >= 1, within="5s")


@playbook(answers=['alertname=~"Works.*"'], trust=ACT, confine=WAY)
def works(run: Run, box: Box) -> None:
    run.fix(write, box, path="HERE/logs/works")
    run.verify(lines, box, until=lambda now: now >= 1, within="5s")


@playbook(answers=['alertname="Calls"'], trust=ACT, confine=WAY)
def calls(run: Run, box: Box) -> None:
    run.look(call, box)


@playbook(answers=['alertname="Nowhere"'], trust=ACT, confine=confine(write=["HERE/gone"]))
def nowhere(run: Run, box: Box) -> None:
    run.look(lines, box)
'''
TIDIES = """
playbook: tidies
about: The log folder is full; delete what was rotated.
answers: ['alertname="Full"']
works on: {place: folder}
trust: {start: act}
confine: {write: HERE/logs}
steps:
  - look: disk.preview
    on: place
    with: {older_than: 1s, keep: 1}
    as: found
  - fix: disk.delete
    on: place
    with: {files: {from: found.files}}
  - verify: disk.preview
    on: place
    with: {older_than: 1s, keep: 1}
    until: {files: {empty: yes}}
    within: 10s
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TocsinServer]:
    needs.program("bwrap")
    folder = tmp_path_factory.mktemp("confined")
    (folder / "plan" / "playbooks").mkdir(parents=True)
    (folder / "logs").mkdir()
    (folder / "seen").mkdir()
    with socket.create_server(("127.0.0.1", 0)) as near:
        for name, text in (("tocsin.yaml", PLAN), ("playbooks/box.py", CODE), ("playbooks/tidies.yaml", TIDIES)):
            text = text.replace("HERE", str(folder)).replace("PORT", str(near.getsockname()[1]))
            (folder / "plan" / name).write_text(text)
        (folder / "data" / "secrets").mkdir(parents=True)
        (folder / "data" / "secrets" / "box").write_text(str(folder / "logs" / "works"))
        made = TocsinServer(folder, plan=folder / "plan")
        made.start()
        yield made
        made.stop()


def fired(server: TocsinServer, name: str) -> int:
    server.run("send", "--service", "inbox", "--title", name, "--label", f"alertname={name}", "--severity", "critical")
    return int(server.json("incidents", "list", "--state", "all", "--limit", "1")[0]["number"])


def run_of(server: TocsinServer, incident: int, *states: str) -> dict[str, Any]:
    def there() -> dict[str, Any]:
        found: list[dict[str, Any]] = server.call("GET", f"/api/v1/runs?incident={incident}")[1]["items"]
        assert found and {found[0]["state"], found[0]["outcome"]} & set(states), found
        return found[0]

    return eventually(there, what=f"the run of #{incident} to be {states}", within=20)


def test_one_that_writes_outside_is_handed_over_with_what_the_kernel_said(server: TocsinServer) -> None:
    run = run_of(server, fired(server, "Strays"), "handed_over")
    assert "box.write failed: OSError: [Errno 30] Read-only file system" in run["why"], run
    assert run["advice"].startswith("see whether it needs more than it is confined to: writes "), run
    assert list((server.data.parent / "seen").iterdir()) == []


def test_one_that_writes_where_it_may_is_verified(server: TocsinServer) -> None:
    run_of(server, fired(server, "Works"), "watching", "verified")
    assert (server.data.parent / "logs" / "works").read_text() == "written\n"
    listed = {one["name"]: one["confined"] for one in server.json("playbook", "list")}
    assert listed["works"] == f"writes {server.data.parent}/logs; reads {server.data.parent}/seen; no network"


def test_one_without_network_reaches_nobody_and_one_that_cannot_be_confined_is_not_begun(server: TocsinServer) -> None:
    assert "Connection refused" in run_of(server, fired(server, "Calls"), "handed_over")["why"]
    run = run_of(server, fired(server, "Nowhere"), "handed_over")
    assert run["why"].startswith("handed over: it was not begun: its confinement names "), run
    steps = server.call("GET", f"/api/v1/runs/{run['number']}")[1]["steps"]
    assert steps == [], "nothing of it ran"
    checked = json.loads(server.run("plan", "check", str(server.data.parent / "plan"), "--json").stdout)
    said = [one["message"] for one in checked["findings"] if "cannot be confined here" in one["message"]]
    assert checked["ok"] and len(said) == 1 and said[0].startswith("nowhere cannot be confined here: its confinement")


def test_a_full_folder_is_tidied_by_a_confined_playbook_in_yaml(server: TocsinServer) -> None:
    now = time.time()
    for number in range(3):
        path = server.data.parent / "logs" / f"shop.log.{number}"
        path.write_text("x")
        os.utime(path, (now - 60 + number, now - 60 + number))
    run = run_of(server, fired(server, "Full"), "watching", "verified")
    seen = server.call("GET", f"/api/v1/runs/{run['number']}")[1]["steps"][0]["said"]
    assert seen.endswith("0 open, as far as may be seen"), "it sees no other process, and says so"
    assert sorted(one.name for one in server.data.parent.glob("logs/shop.log.*")) == ["shop.log.2"]


def test_a_dry_run_is_confined_too_and_a_run_by_hand(server: TocsinServer) -> None:
    place: tuple[str, ...] = ("--plan", str(server.data.parent / "plan"))
    place = (*place, "--data", str(server.data), "--target", "box=other")
    dry = server.run("playbook", "dry-run", "calls", *place, check=False)
    assert "Connection refused" in dry.stdout, dry
    dry = server.run("playbook", "dry-run", "nowhere", *place, check=False)
    assert dry.returncode == 1 and "It was not begun: its confinement names" in dry.stderr, dry
    asked = server.run("playbook", "run", "calls", "--service", "logs", "--target", "box=other", "--wait", check=False)
    assert asked.returncode == 1 and "Connection refused" in asked.stdout, asked


def test_it_goes_on_after_a_kill_in_the_midst_of_its_change(server: TocsinServer) -> None:
    works, hold = server.data.parent / "logs" / "works", server.data.parent / "logs" / "hold"
    works.unlink()
    hold.touch()
    incident = fired(server, "WorksOn")
    eventually(works.exists, what="its change to begin")
    server.kill9()
    hold.unlink()
    server.restart()
    run = run_of(server, incident, "watching", "verified")
    assert run["attempt"] == 2 and works.read_text() == "written\n" * 2
