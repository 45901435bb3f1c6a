"""Solutions that packages publish by an entry point: found by their short names, listed, and never mistaken."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tocsin.cli.root import tocsin
from tocsin.plan.composing import with_composed
from tocsin.playbooks.manifest import Manifests, read_manifests
from tocsin.playbooks.runner import solutions
from tocsin.playbooks.runner.reading import with_manifest
from tocsin.testing import Scene

MODULE = '''"""Acme's queue: how long it is, and how it is drained."""

from typing import ClassVar

from msgspec import Struct

from tocsin import Target, fix, look


class Queue(Target, frozen=True):
    kind: ClassVar[str] = "acme-queue"


class Depth(Struct, frozen=True):
    waiting: int


@look
def depth(queue: Queue, *, of: str = "all") -> Depth:
    """How many wait in it."""
    return Depth(5)


@fix(idempotent=True)
def drain(queue: Queue) -> str:
    """Let go of what is too old."""
    return "drained"
'''
GOOD = """\
playbook: drain-queue
about: The queue is long, drain it.
answers: ['alertname="QueueLong"']
works on: {queue: acme-queue}
trust: {start: act}
steps:
  - {look: acme.depth, on: queue, as: before}
  - {fix: acme.drain, on: queue}
  - {verify: acme.depth, on: queue, until: {waiting: {under: 3}}, within: 1m}
"""
PLAN = b"""\
tocsin: 1
people:
  ana: {name: Ana, email: ana@shop.example}
mail: {server: "smtp://localhost:25", from: t@shop.example}
services:
  orders:
    playbooks: [drain-queue]
    targets:
      main: {kind: acme-queue, look with: secret:queue, fix with: secret:queue}
routes:
  - {match: ['alertname=~"Queue.*"'], service: orders}
"""


def package(site: Path, name: str, version: str, entry: str) -> None:
    """What pip leaves of an installed package."""
    info = site / f"{name}-{version}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name.replace('_', '-')}\nVersion: {version}\n")
    (info / "entry_points.txt").write_text(f"[tocsin.solutions]\n{entry}\n")


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where packages are installed, here and in the processes that are begun here."""
    site = tmp_path / "site"
    package(site, "acme_tocsin", "1.2", "acme = acme_tocsin")
    (site / "acme_tocsin" / "playbooks").mkdir(parents=True)
    (site / "acme_tocsin" / "__init__.py").write_text(MODULE)
    (site / "acme_tocsin" / "playbooks" / "drain-queue.yaml").write_text(GOOD)
    monkeypatch.syspath_prepend(str(site))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(site), os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep))
    solutions.installed.cache_clear()
    yield site
    solutions.installed.cache_clear()
    for name in [one for one in sys.modules if one.partition(".")[0] in ("acme_tocsin", "other_tocsin")]:
        del sys.modules[name]


def declared(text: str) -> Manifests:
    """What a plan with this playbook declares, read in a process of its own."""
    files = with_manifest(with_composed({"tocsin.yaml": PLAN, "playbooks/drain-queue.yaml": text.encode()}))
    return read_manifests(files)


def test_a_step_calls_a_package_s_solution_by_its_short_name(site: Path) -> None:
    found = declared(GOOD)
    assert [one.message for one in found.faults] == []
    (made,) = found.playbooks
    assert (made.name, made.fixes, [one.kind for one in made.params]) == ("drain-queue", True, ["acme-queue"])


def test_its_run_is_like_any_other_and_its_client_is_warm(site: Path, tmp_path: Path) -> None:
    plan = tmp_path / "plan"
    (plan / "playbooks").mkdir(parents=True)
    (plan / "tocsin.yaml").write_bytes(PLAN)
    (plan / "playbooks" / "drain-queue.yaml").write_text(GOOD)
    scene = Scene(plan)
    acme = sys.modules["acme_tocsin"]
    scene.fake(acme.depth, [acme.Depth(5), acme.Depth(1)])
    scene.fake(acme.drain, "drained")
    scene.fires("QueueLong")
    assert scene.steps == [
        "look acme_tocsin.depth done", "fix acme_tocsin.drain done", "verify acme_tocsin.depth done",
    ]  # fmt: skip
    assert (scene.outcome, scene.paged) == ("watching", [])
    assert "acme_tocsin".startswith(solutions.modules_with_clients())


@pytest.mark.parametrize(
    ("step", "what", "hint"),
    [
        ("acmee.depth", "there is no solution acmee", "did you mean acme.depth?"),
        ("acme.deth", "acme has no deth", "did you mean acme.depth?"),
        ("nowhere.x", "there is no solution nowhere", "acme"),
    ],
)
def test_what_is_not_there_is_answered_with_what_is(site: Path, step: str, what: str, hint: str) -> None:
    (fault,) = declared(GOOD.replace("look: acme.depth", f"look: {step}")).faults[:1]
    assert fault.message == what and hint in fault.hint
    assert not {"commands", "described", "outgoing"} & set(solutions.names()), "what is no solution is not offered"


def test_a_short_name_that_two_want_or_that_is_tocsins_is_nobodys(site: Path) -> None:
    package(site, "other_tocsin", "0.1", "acme = other_tocsin\nredis = other_tocsin\nbad = other_tocsin:thing")
    (site / "other_tocsin.py").write_text(MODULE)
    solutions.installed.cache_clear()
    (fault,) = declared(GOOD).faults[:1]
    assert fault.message == "acme does not say which solution is meant"
    assert "acme-tocsin 1.2 and other-tocsin 0.1 both call theirs acme; write acme_tocsin in full" in fault.hint
    in_full = declared(GOOD.replace("acme.", "acme_tocsin."))
    assert [one.message for one in in_full.faults] == [] and len(in_full.playbooks) == 1
    wrong = {(one.name, one.module): one.wrong for one in solutions.installed()}
    assert wrong["redis", "other_tocsin"] == "redis is a solution of Tocsin's own"
    assert "names a module alone" in wrong["bad", "other_tocsin:thing"]
    assert solutions.places("redis")[0] == "tocsin.library.redis"
    assert "other_tocsin" not in solutions.places("redis")


def asked(*arguments: str) -> Result:
    """What the command line answers."""
    return CliRunner().invoke(tocsin, ["playbook", *arguments])


def test_the_library_lists_what_is_installed_and_what_each_can_do(site: Path) -> None:
    listed = {one["name"]: one for one in json.loads(asked("library", "--json").output)}
    assert {"redis", "postgres", "disk", "process", "http", "haproxy", "acme"} <= set(listed)
    assert not {"commands", "described", "outgoing"} & set(listed)
    acme = listed["acme"]
    assert acme["package"] == "acme-tocsin 1.2"
    assert (acme["works_on"], acme["playbooks"]) == (["acme-queue"], ["drain-queue"])
    assert [(one["verb"], one["name"], one["about"]) for one in acme["steps"]] == [
        ("look", "depth", "How many wait in it."), ("fix", "drain", "Let go of what is too old."),
    ]  # fmt: skip
    plain = asked("library", "acme").output
    assert "look acme.depth" in plain and "tocsin playbook new drain-queue --from acme" in plain
    assert "redis" in listed["redis"]["works_on"] and "postgres" in listed["postgres"]["works_on"]
    (site / "acme_tocsin" / "__init__.py").write_text("raise SystemExit(3)")
    del sys.modules["acme_tocsin"]
    broken = json.loads(asked("library", "acme", "--json").output)
    assert broken[0]["wrong"] == "importing acme_tocsin raises SystemExit: 3"


def test_a_playbook_that_a_package_brings_is_written_into_the_plan_and_is_its_own_then(
    site: Path, tmp_path: Path
) -> None:
    plan = tmp_path / "plan"
    written = asked("new", "drain-queue", "--from", "acme", "--plan", str(plan))
    assert written.exit_code == 0, written.output
    assert (plan / "playbooks" / "drain-queue.yaml").read_text() == GOOD
    assert asked("new", "drain-queue", "--from", "acme", "--plan", str(plan)).exit_code == 1, "nothing is overwritten"
    none = CliRunner().invoke(tocsin, ["playbook", "new", "other", "--from", "acme", "--plan", str(plan)])
    assert none.exit_code == 1 and "it brings drain-queue" in f"{none.output}{none.exception}"
    absent = CliRunner().invoke(tocsin, ["playbook", "new", "x", "--from", "nobody", "--plan", str(plan)])
    assert absent.exit_code == 1 and "nobody" in f"{absent.output}{absent.exception}"
