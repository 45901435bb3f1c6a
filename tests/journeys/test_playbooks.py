"""Playbooks on the real thing: a real Valkey near its limit, a real Tocsin, and its processes killed on the way."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.server import TocsinServer
from tests.support.valkey import Valkey, running_valkey
from tests.support.waiting import eventually

pytestmark = pytest.mark.journey

PLAN = """
tocsin: 1
team: shop
people: {ana: {name: Ana}}
escalations: {shop: [{page: ana, wait: 5m}]}
services:
  cart-redis:
    escalation: shop
    playbooks: [free-memory]
    targets:
      main: {redis: secret:cart_ro, fix with: secret:cart_admin, match: ['instance="cart-1"']}
      locked: {redis: secret:cart_ro, fix with: secret:cart_ro, match: ['instance="cart-2"']}
      gone: {redis: secret:gone, fix with: secret:gone, match: ['instance="cart-3"']}
  files:
    escalation: shop
    playbooks: [write-once, write-again]
    targets:
      disk: {kind: disk, look with: secret:disk, fix with: secret:disk}
  hosts:
    escalation: shop
    wait for code: 5m
    playbooks: [write-each]
    targets:
      a: {kind: disk, look with: secret:disk_a, fix with: secret:disk_a, match: ['instance="a"']}
      b: {kind: disk, look with: secret:disk_b, fix with: secret:disk_b, match: ['instance="b"']}
      c: {kind: disk, look with: secret:disk_c, fix with: secret:disk_c, match: ['instance="c"']}
routes:
  - {match: ['alertname="HostFull"'], service: hosts}
  - {match: ['alertname=~"Redis.*"'], service: cart-redis, group: {by: [alertname, instance]}}
  - {match: ['alertname=~"Files.*"'], service: files}
"""

MEMORY = '''"""Cart Redis, memory near its limit: expire what nobody has read for a while, else wake someone."""

from tocsin import Run, at_most, playbook, trust
from tocsin.library import redis


@playbook(
    name="free-memory",
    answers=['alertname="RedisMemoryHigh"'],
    guards=[at_most(10, per="6h")],
    trust=trust(start="act", ceiling="act"),
    hand_over_after="1m",
)
def free_memory(run: Run, server: redis.Server) -> None:
    before = run.look(redis.memory, server)
    if before.used_ratio < 0.80:
        run.hand_over("its memory is not near its limit", before)
    idle = run.look(redis.idle_keys, server, older_than="1s", sample=10_000)
    if not idle.expirable:
        run.hand_over("no key is safe to expire", before, idle)
    run.fix(redis.expire, server, idle.expirable, older_than="1s", spread="1s")
    run.verify(redis.memory, server, until=lambda now: now.used_ratio < 0.80, within="20s", every="200ms",
               harm=lambda now: now.hit_ratio < before.hit_ratio - 0.10)
'''

FILES = '''"""Changes that take a while, so that something can happen to them."""

import time
from pathlib import Path

from tocsin import Run, Target, fix, look, playbook, trust


class Disk(Target, frozen=True):
    kind = "disk"


@look
def lines(disk: Disk) -> int:
    path = Path(disk.credential)
    return len(path.read_text().splitlines()) if path.exists() else 0


def write(disk: Disk) -> None:
    with Path(disk.credential).open("a") as opened:
        opened.write("written\\n")
    while Path(disk.credential + ".hold").exists():
        time.sleep(0.01)


@fix
def once(disk: Disk) -> None:
    write(disk)


@fix(idempotent=True)
def again(disk: Disk) -> None:
    write(disk)


@playbook(name="write-once", answers=['alertname="FilesOnce"'], trust=trust(start="act"))
def write_once(run: Run, disk: Disk) -> None:
    run.look(lines, disk)
    run.fix(once, disk)
    run.verify(lines, disk, until=lambda now: now >= 1, within="5s")


@playbook(name="write-again", answers=['alertname="FilesAgain"'], trust=trust(start="act"))
def write_again(run: Run, disk: Disk) -> None:
    run.look(lines, disk)
    run.fix(again, disk)
    run.verify(lines, disk, until=lambda now: now >= 2, within="5s")


@playbook(name="write-each", answers=['alertname="HostFull"'], trust=trust(start="act"))
def write_each(run: Run, disk: Disk) -> None:
    run.fix(again, disk)
    run.verify(lines, disk, until=lambda now: now >= 1, within="5s")
'''


@pytest.fixture(scope="module")
def valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Valkey]:
    with running_valkey(tmp_path_factory.mktemp("valkey")) as server:
        yield server


@pytest.fixture(scope="module")
def server(valkey: Valkey, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TocsinServer]:
    folder = tmp_path_factory.mktemp("playbooks")
    (folder / "plan" / "playbooks").mkdir(parents=True)
    (folder / "plan" / "tocsin.yaml").write_text(PLAN)
    (folder / "plan" / "playbooks" / "memory.py").write_text(MEMORY)
    (folder / "plan" / "playbooks" / "files.py").write_text(FILES)
    secrets = {
        "TOCSIN_SECRET_CART_RO": valkey.reading,
        "TOCSIN_SECRET_CART_ADMIN": valkey.fixing,
        "TOCSIN_SECRET_GONE": "redis://127.0.0.1:1/0",
        "TOCSIN_SECRET_DISK": str(folder / "disk"),
        **{f"TOCSIN_SECRET_DISK_{one.upper()}": str(folder / f"disk_{one}") for one in "abc"},
    }
    made = TocsinServer(folder, plan=folder / "plan", environment=secrets)
    made.start()
    yield made
    made.stop()


def fires(server: TocsinServer, name: str, instance: str = "", state: str = "firing") -> int:
    """An alert comes; answers with its incident's number once it is resolved or has a run."""
    arguments = ["--service", "inbox", "--title", f"{name} {instance}", "--label", f"alertname={name}"]
    arguments += ["--label", f"instance={instance}"] if instance else []
    server.run("send", *arguments, "--severity", "critical", *(["--resolve"] if state == "resolved" else []))
    return int(server.json("incidents", "list", "--state", "all", "--limit", "1")[0]["number"])


def run_of(server: TocsinServer, incident: int, *states: str) -> dict[str, Any]:
    """The incident's run, once it is in one of these states or outcomes."""

    def there() -> dict[str, Any]:
        found: list[dict[str, Any]] = server.call("GET", f"/api/v1/runs?incident={incident}")[1]["items"]
        return found[0] if found and {found[0]["state"], found[0]["outcome"]} & set(states) else {}

    return eventually(there, what=f"the run of #{incident} to be {states}", within=30)


def idle(valkey: Valkey) -> None:
    """Fill it, and let its keys rest until they count as idle: Valkey counts in whole seconds."""
    valkey.fill()
    key = "cart:6199"
    eventually(lambda: (valkey.admin.object("idletime", key) or 0) >= 1, what="its keys to be idle")


def test_memory_is_freed_and_nobody_wakes_up(server: TocsinServer, valkey: Valkey) -> None:
    idle(valkey)
    assert valkey.used_ratio > 0.9
    left = _rate_left(server)
    began = time.monotonic()
    incident = fires(server, "RedisMemoryHigh", "cart-1")
    run = run_of(server, incident, "watching", "handed_over")
    took = time.monotonic() - began
    assert run["state"] == "watching", run["findings"]
    assert valkey.used_ratio < 0.8
    fires(server, "RedisMemoryHigh", "cart-1", "resolved")
    assert run_of(server, incident, "verified")["outcome"] == "verified"
    assert server.json("incidents", "list", "--state", "all")[0]["state"] == "resolved"
    assert server.call("GET", f"/api/v1/incidents/{incident}/pages")[1]["items"] == []
    assert took < 20
    assert _rate_left(server) == left - 1
    (rate,) = (one for one in server.call("GET", f"/api/v1/runs/{run['number']}")[1]["took"] if one["kind"] == "rate")
    assert rate["now"] == f"took 1 of 10; {left - 1} of 10 left"
    assert "readingword" not in server.log.read_text() and "fixingword" not in server.log.read_text()


@pytest.mark.parametrize(
    ("instance", "found"),
    [
        ("cart-1", "its memory is not near its limit"),
        ("cart-2", "NoPermissionError"),
        ("cart-3", "Connection refused"),
        ("cart-9", "has no redis target that this alert is about"),
    ],
)
def test_what_code_cannot_finish_is_handed_over_with_what_it_found(
    server: TocsinServer, valkey: Valkey, instance: str, found: str
) -> None:
    valkey.admin.flushall()  # keys that a playbook gave an end before may still be on their way out
    valkey.admin.set("cart:kept", "a")
    if instance == "cart-2":
        idle(valkey)
    keys = valkey.keys
    incident = fires(server, "RedisMemoryHigh", instance)
    if instance != "cart-9":
        assert run_of(server, incident, "handed_over", "watching")["outcome"] == "handed_over"
    pages = eventually(lambda: server.call("GET", f"/api/v1/incidents/{incident}/pages")[1]["items"], what="a page")
    assert pages[0]["person"] == "ana"
    eventually(lambda: found in _last_page(server), what="the findings in the page")
    assert valkey.keys == keys, "it touched nothing"
    fires(server, "RedisMemoryHigh", instance, "resolved")


def _rate_left(server: TocsinServer) -> int:
    """What the engine says is left of the playbook's rate, asked by the command line."""
    (found,) = server.json("playbook", "guards", "free-memory", "--target", "main")
    (each,) = found["each"]
    assert each["blocks"] == "", each
    (rate,) = (one for one in each["guards"] if one["kind"] == "rate")
    return int(rate["left"])


def _last_page(server: TocsinServer) -> str:
    return server.log.read_text().rpartition("──── page for")[2]


@pytest.mark.parametrize(
    ("name", "written", "came_to"), [("FilesOnce", 1, "handed_over"), ("FilesAgain", 2, "watching")]
)
def test_kill_9_in_the_middle_of_a_change(server: TocsinServer, name: str, written: int, came_to: str) -> None:
    disk = Path(server.environment["TOCSIN_SECRET_DISK"])
    hold = Path(f"{disk}.hold")
    disk.unlink(missing_ok=True)
    hold.touch()
    incident = fires(server, name)
    eventually(lambda: disk.exists() and disk.read_text(), what="the change to have begun")
    server.kill9()
    hold.unlink()
    server.start()
    run = run_of(server, incident, "watching", "handed_over")
    assert (run["outcome"] or run["state"]) == came_to, run
    assert disk.read_text().count("written") == written
    if came_to == "handed_over":
        assert run["why"].startswith("handed over: Tocsin stopped while files.once(disk) was under way")
        _goes_on(server, incident, str(run["number"]))
        assert disk.read_text().count("written") == 1
    fires(server, name, state="resolved")


def test_three_hosts_of_one_incident_are_each_fixed_though_tocsin_is_killed_at_the_second(server: TocsinServer) -> None:
    """The one that was under way goes on, the last begins after it, and nobody is paged."""
    disks = {one: Path(server.environment[f"TOCSIN_SECRET_DISK_{one.upper()}"]) for one in "abc"}
    hold = Path(f"{disks['b']}.hold")
    hold.touch()
    for host in disks:
        incident = fires(server, "HostFull", host)
    eventually(lambda: disks["b"].exists(), what="the change on b to have begun")
    assert disks["a"].exists() and not disks["c"].exists()
    why = server.run("why", str(incident)).stdout
    assert "for code, of at most 5 min in all" in why
    server.kill9()
    hold.unlink()
    server.start()
    eventually(disks["c"].exists, what="the change on c")
    for host in disks:
        fires(server, "HostFull", host, "resolved")

    def came_to() -> list[tuple[str, str]]:
        runs = server.call("GET", f"/api/v1/runs?incident={incident}")[1]["items"]
        return [(one["targets"]["disk"], one["outcome"]) for one in reversed(runs)]

    eventually(lambda: came_to() == [(host, "verified") for host in disks], what="each to be verified, in order")
    shown = server.json("incidents", "show", str(incident))
    assert [(one["targets"], one["outcome"]) for one in shown["code"]] == [([host], "verified") for host in disks]
    assert shown["state"] == "resolved" and shown["pages"] == []
    assert "Code, by target" in server.run("incidents", "show", str(incident)).stdout


def _goes_on(server: TocsinServer, incident: int, number: str) -> None:
    """A person has looked, and says that the change was made: a new run verifies it and changes nothing."""
    for step in ("2", "3"):
        refused = server.run("playbook", "continue", number, "--step", step, "--why", "I looked", check=False)
        assert refused.returncode == 1 and "may have been done" in refused.stderr
    assert server.run("playbook", "take-over", number, "--why", "I look at it").returncode == 0
    assert server.json("incidents", "list")[0]["state"] == "acknowledged"
    made = server.json("playbook", "continue", number, "--step", "3", "--done", "--why", "I saw the line")
    assert (made["continues"], made["because"]) == (int(number), "I saw the line")
    assert run_of(server, incident, "watching", "handed_over")["state"] == "watching"
    assert server.run("playbook", "give-back", number).returncode == 0
