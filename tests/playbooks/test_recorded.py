"""What was written down of a real run is answered again in a test, which may import the plan's own looks."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.playbooks.test_composed import FILE, GOOD, PLAN, memory, night
from tocsin.api.models.playbooks import PublishedStep
from tocsin.library import redis
from tocsin.playbooks.run import Finished
from tocsin.testing import Scene


@pytest.fixture
def plan(tmp_path: Path) -> Path:
    (tmp_path / "playbooks").mkdir()
    (tmp_path / "tocsin.yaml").write_bytes(PLAN)
    (tmp_path / FILE).write_text(GOOD)
    return tmp_path


def sheet(scene: Scene) -> bytes:
    """The last run's steps as ``history --run N --json`` prints them."""
    number = scene.run.number
    steps = [scene._row("steps", key) for key in sorted(scene._rows["steps"]) if key[0] == number]
    fields = set(PublishedStep.__struct_fields__)
    shown: list[dict[str, Any]] = []
    for one in steps:
        plain = msgspec.to_builtins(one)
        result = msgspec.Raw((one.result or "null").encode())
        shown.append({name: plain[name] for name in fields & plain.keys()} | {"result": result})
    return msgspec.json.encode({"number": number, "steps": shown})


def again(plan: Path, record: bytes) -> Scene:
    (plan / "playbooks" / "night.json").write_bytes(record)
    scene = Scene(plan)
    scene.replays("night.json")
    scene.fires("RedisMemoryHigh", instance="cart-1")
    return scene


def test_a_run_goes_as_it_went(plan: Path) -> None:
    held, failed = night(plan, after=memory(0.6)), night(plan, after=memory(0.95))
    assert (held.outcome, failed.outcome) == ("watching", "handed_over")
    for scene in (held, failed):
        repeated = again(plan, sheet(scene))
        assert repeated.steps == scene.steps and repeated.findings == scene.findings
        assert (repeated.outcome, repeated.paged) == (scene.outcome, scene.paged)


def test_what_a_system_refused_it_refuses_again_in_the_same_words(plan: Path) -> None:
    scene = Scene(plan)
    scene.fake(redis.memory, memory(0.97))
    scene.fake(redis.idle_keys, ConnectionError("max number of clients reached"))
    scene.fires("RedisMemoryHigh", instance="cart-1")
    assert any("ConnectionError: max number" in one for one in scene.findings)
    assert again(plan, sheet(scene)).findings == scene.findings


def test_a_dry_run_is_a_record_too(plan: Path) -> None:
    memory_now = msgspec.json.encode(memory(0.97)).decode()
    ended = Finished(1, "look", "tocsin.library.redis.memory", "", ok=True, result=memory_now)
    nothing = msgspec.json.encode(redis.Idle(looked_at=7, idle=0, expirable=())).decode()
    then = Finished(2, "look", "tocsin.library.redis.idle_keys", "", ok=True, result=nothing)
    record = {"ok": True, "would": None, "steps": [msgspec.to_builtins(ended), msgspec.to_builtins(then)], "output": ""}
    assert "0 of 7 keys" in again(plan, msgspec.json.encode(record)).findings[0]


@pytest.mark.parametrize(
    ("record", "says"),
    [
        ("[]", "history --run N --json"),
        ('{"steps": [{"verb": "look", "ordinal": 3, "state": "done", "function": "tocsin.library.redis.memry"}]}',
         "step 3: tocsin.library.redis has no memry"),
        ('{"steps": [{"verb": "look", "state": "done", "function": "tocsin.library.redis.memory"}]}', "too long"),
        ('{"steps": [{"verb": "look", "state": "done", "function": "tocsin.library.redis.memory", "result": {}}]}',
         "answers something else now"),
    ],
)  # fmt: skip
def test_what_is_no_record_is_refused_in_words(plan: Path, record: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        again(plan, record.encode())


OWN = """
from tocsin import Run, look, playbook

@look
def number() -> int:
    return {number}

@playbook(answers=['alertname="X"'])
def own(run: Run) -> None:
    run.look(number)
"""
TEST = """
from playbooks.own import number

def test_it_is_its_own_plans():
    assert number() == {number}
"""


def test_looks_of_ones_own_are_imported_at_the_top_each_from_its_own_plan(tmp_path: Path) -> None:
    for number in (1, 2):
        folder = tmp_path / f"plan{number}" / "playbooks"
        folder.mkdir(parents=True)
        (folder.parent / "tocsin.yaml").write_bytes(PLAN)
        (folder / "own.py").write_text(OWN.format(number=number))
        (folder / f"test_own{number}.py").write_text(TEST.format(number=number))
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "plan1", "plan2"],
        env={**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTEST_PLUGINS": "tocsin.testing.plugin"},
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0 and "2 passed" in done.stdout, done.stdout + done.stderr
