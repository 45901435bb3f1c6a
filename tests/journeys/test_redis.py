"""Replication broken and persistence failing, made on real Valkeys: answered by a real Tocsin with the playbooks of the
documentation, or handed over; and what is well is left alone.
"""

from __future__ import annotations

import os
import re
import statistics
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.support.passage import Passage, passage
from tests.support.server import TocsinServer
from tests.support.valkey import Valkey, caught_up, running_valkey
from tests.support.waiting import eventually

pytestmark = pytest.mark.journey

ROUNDS = int(os.environ.get("TOCSIN_ROUNDS", "2"))
"""How often each fault is made; the figures in `docs/solutions/redis.md` are of 20."""
PAGE = Path(__file__).parents[2] / "docs" / "solutions" / "redis.md"
PLAN = """
tocsin: 1
team: shop
people: {{ana: {{name: Ana}}}}
escalations: {{shop: [{{page: ana, wait: 5m}}]}}
services:
  cart-redis:
    escalation: shop
    playbooks: [follow-again]
    targets:
      replica: {{redis: secret:replica_ro, fix with: secret:replica_admin, match: ['instance=~"replica.*"']}}
      primary: {{redis: secret:primary_ro, fix with: secret:primary_ro}}
  sessions-redis:
    escalation: shop
    playbooks: [save-again]
    targets:
      main: {{redis: secret:saving_ro, fix with: secret:saving_admin}}
      disk: {{folder: "{disk}", delete: ["*.log"]}}
routes:
  - {{match: ['alertname="RedisReplicationBroken"'], service: cart-redis, group: {{by: [instance]}}}}
  - {{match: ['alertname="RedisPersistenceFailing"'], service: sessions-redis, group: {{by: [instance]}}}}
"""
REPLICATING = {
    "repl-diskless-sync-delay": "0",
    "repl-ping-replica-period": "1",
    "masteruser": "follower",
    "masterauth": "followword",
}
SAVING = {"save": "3600 1", "rdbcompression": "no"}


class Night(NamedTuple):
    """A Tocsin, and what it looks after."""

    tocsin: TocsinServer
    key: dict[str, str]
    primary: Valkey
    replica: Valkey
    saving: Valkey
    between: Passage

    def answer(self, name: str, instance: str) -> tuple[dict[str, Any], float]:
        """What came of an alert: its run, once it has fixed and verified or handed over, and after how many seconds."""
        began = time.monotonic()
        self.send(name, instance, "firing")

        def ended() -> dict[str, Any]:
            newest = self.tocsin.call("GET", "/api/v1/incidents?state=all&limit=1")[1]["items"]
            assert newest and newest[0]["title"] == f"{name} {instance}", newest
            found = self.tocsin.call("GET", f"/api/v1/runs?incident={newest[0]['number']}")[1]["items"]
            done = found and {found[0]["state"], found[0]["outcome"]} & {"watching", "handed_over"}
            assert done, found
            return dict(found[0])

        run = eventually(ended, what=f"a run about {instance}", within=60)
        took = time.monotonic() - began
        self.send(name, instance, "resolved")
        return run, took

    def send(self, name: str, instance: str, state: str) -> None:
        """What a monitor sends."""
        event = {"key": f"{name}-{instance}", "title": f"{name} {instance}", "severity": "critical", "state": state}
        body = {**event, "labels": {"alertname": name, "instance": instance}}
        path = self.key["url"].removeprefix(self.tocsin.url)
        status, said = self.tocsin.call("POST", path, body, headers={"Authorization": f"Bearer {self.key['key']}"})
        assert status == 202, said

    def paged(self, run: dict[str, Any]) -> list[Any]:
        """The pages of a run's incident."""
        return list(self.tocsin.call("GET", f"/api/v1/incidents/{run['incident']}/pages")[1]["items"])


def documented(name: str) -> str:
    """A playbook of the documentation, trusted, and without what keeps it from answering so often in a row."""
    block = next(one for one in re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL) if f'"{name}"' in one)
    block = block.replace("import Run,", "import Run, breaker,")
    block = re.sub(r"guards=\[.*\],", "guards=[at_most(1000, per='6h'), breaker(failures=1000, returns=1000)],", block)
    return block.replace(" at_most, cooldown,", " at_most,").replace('start="ask"', 'start="act"')


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Night]:
    folder = tmp_path_factory.mktemp("redis")
    with ExitStack() as stack:
        primary = stack.enter_context(running_valkey(tmp_path_factory.mktemp("primary"), REPLICATING))
        replica = stack.enter_context(running_valkey(tmp_path_factory.mktemp("replica"), REPLICATING))
        saving = stack.enter_context(running_valkey(tmp_path_factory.mktemp("saving"), SAVING, disk="4m"))
        between = stack.enter_context(passage(primary.port))
        primary.admin.acl_setuser("follower", enabled=True, passwords=["+followword"], commands=["+psync", "+replconf"])
        playbooks = folder / "plan" / "playbooks"
        playbooks.mkdir(parents=True)
        # The replica reaches its primary by the passage, Tocsin does directly.
        at = f"replica, primary, at='127.0.0.1:{between.port}'"
        (playbooks / "follow.py").write_text(
            re.sub(r"(compared|follow), replica, primary", rf"\1, {at}", documented("follow-again"))
        )
        (playbooks / "save.py").write_text(documented("save-again"))
        (folder / "plan" / "tocsin.yaml").write_text(PLAN.format(disk=saving.disk))
        secrets = {
            "TOCSIN_SECRET_PRIMARY_RO": primary.reading,
            "TOCSIN_SECRET_REPLICA_RO": replica.reading,
            "TOCSIN_SECRET_REPLICA_ADMIN": replica.fixing,
            "TOCSIN_SECRET_SAVING_RO": saving.reading,
            "TOCSIN_SECRET_SAVING_ADMIN": saving.fixing,
        }
        tocsin = TocsinServer(folder, plan=folder / "plan", environment=secrets)
        stack.callback(tocsin.close)
        tocsin.start()
        key = eventually(lambda: tocsin.new_key("events"), what="a key")
        saving.admin.mset({f"session:{number}": "x" * 1_000 for number in range(500)})
        yield Night(tocsin, key, primary, replica, saving, between)


@pytest.fixture
def times(request: pytest.FixtureRequest) -> Iterator[list[float]]:
    """Seconds from each alert to the verification; how they were is said at the end."""
    took: list[float] = []
    yield took
    if took:
        many = f"{len(took)} times, median {statistics.median(took):.2f} s, most {max(took):.2f} s"
        print(f"\n{request.node.name}: {many}")  # the figures of the documentation, with `pytest -s`


def follows(night: Night) -> bool:
    """Whether the replica follows with everything that was written."""
    return caught_up(night.primary, night.replica)


def following(night: Night) -> None:
    """A replica that follows and keeps up."""
    night.replica.admin.replicaof("127.0.0.1", str(night.between.port))
    eventually(lambda: follows(night), what="the replica to follow", within=20)


def test_a_replica_that_lost_its_primary_follows_again_and_nobody_wakes_up(night: Night, times: list[float]) -> None:
    for number in range(ROUNDS):
        following(night)
        night.replica.admin.replicaof("NO", "ONE")
        night.primary.admin.set("written meanwhile", number)
        run, took = night.answer("RedisReplicationBroken", f"replica-{number}")
        assert run["state"] == "watching", run["findings"]
        assert follows(night) and night.replica.admin.get("written meanwhile") == str(number)
        assert night.paged(run) == []
        times.append(took)


def test_a_replica_with_writes_of_its_own_is_handed_over_with_what_is_wrong(night: Night, times: list[float]) -> None:
    for number in range(ROUNDS):
        following(night)
        night.replica.admin.replicaof("NO", "ONE")
        night.replica.admin.set("only here", number)
        run, took = night.answer("RedisReplicationBroken", f"replica-own-{number}")
        assert run["outcome"] == "handed_over"
        assert any("it follows nobody; it took" in one for one in run["findings"])
        assert night.replica.admin.get("only here") == str(number)
        assert [page["person"] for page in night.paged(run)] == ["ana"]
        times.append(took)


def test_a_disk_that_was_full_is_cleared_and_saved_to_again(night: Night, times: list[float]) -> None:
    for number in range(ROUNDS):
        saved = night.saving.admin.lastsave()
        fill(night.saving.disk / f"old-{number}.log")
        (night.saving.disk / "newest.log").touch()
        night.saving.admin.set("unsaved", number)
        night.saving.admin.bgsave()
        eventually(lambda: failing(night), what="a snapshot to fail")
        run, took = night.answer("RedisPersistenceFailing", f"saving-{number}")
        assert run["state"] == "watching", run["findings"]
        assert not failing(night) and night.saving.admin.lastsave() >= saved
        assert night.saving.admin.info("persistence")["rdb_changes_since_last_save"] == 0
        assert sorted(one.name for one in night.saving.disk.iterdir()) == ["dump.rdb", "newest.log"]
        assert night.paged(run) == []
        times.append(took)


def fill(path: Path) -> None:
    """Write until the disk takes nothing more, some hours ago."""
    with path.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(b"x" * 65_536)
    os.utime(path, (time.time() - 7_200,) * 2)  # a file's age is the machine's


def failing(night: Night) -> bool:
    """Whether the last snapshot failed."""
    info = night.saving.admin.info("persistence")
    assert isinstance(info, dict)
    return info["rdb_last_bgsave_status"] == "err" and not info["rdb_bgsave_in_progress"]


@pytest.mark.parametrize(
    ("name", "instance", "why"),
    [
        ("RedisReplicationBroken", "replica-well", "it follows its primary and keeps up"),
        ("RedisPersistenceFailing", "saving-well", "its snapshots and its log are written"),
    ],
)
def test_what_is_well_is_left_alone(night: Night, name: str, instance: str, why: str) -> None:
    following(night)
    for number in range(ROUNDS):
        saved, history = night.saving.admin.lastsave(), night.replica.admin.info("replication")["master_replid"]
        run, _ = night.answer(name, f"{instance}-{number}")
        assert (run["outcome"], run["why"]) == ("handed_over", f"handed over: {why}")
        steps = night.tocsin.call("GET", f"/api/v1/runs/{run['number']}")[1]["steps"]
        assert [step["verb"] for step in steps] == ["look"]
        assert night.saving.admin.lastsave() == saved
        assert night.replica.admin.info("replication")["master_replid"] == history
