"""`tocsin playbook`: what it refuses, and in which words."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.stage import Stage, run

PLAN = """\
tocsin: 1
people:
  ana: {name: Ana, email: ana@shop.example}
last resort: [ana]
services:
  cart: {targets: {main: {redis: secret:cart_ro, fix with: secret:cart_rw}}}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A plan with a new playbook that no service uses."""
    (tmp_path / "tocsin.yaml").write_text(PLAN)
    assert run("playbook", "new", "free-memory", "--plan", str(tmp_path)).code == 0
    return tmp_path


def test_a_run_needs_to_know_for_what(stage: Stage) -> None:
    done = stage.run("playbook", "run", "free-memory")
    assert (done.code, "--service NAME or --incident NUMBER" in done.err, stage.asked) == (2, True, [])


def test_a_playbook_that_nobody_uses_is_named(folder: Path) -> None:
    done = run("playbook", "dry-run", "free-memory", "--plan", str(folder))
    assert (done.code, "No service uses the playbook free-memory" in done.err) == (1, True), done.err
    done = run("playbook", "dry-run", "free-memory", "--service", "cart", "--plan", str(folder))
    assert "The service cart does not use free-memory" in done.err
    assert "There is no playbook nope" in run("playbook", "dry-run", "nope", "--plan", str(folder)).err


MATCHED = PLAN.replace("fix with: secret:cart_rw}", "fix with: secret:cart_rw, match: ['instance=\"cart-1\"']}")


def test_what_is_written_to_begin_with_passes_its_own_test_whatever_it_is_called(tmp_path: Path) -> None:
    """Also with a target that asks for an instance, and under a name that is a word of Python."""
    used = MATCHED.replace("}}}\n", "}}, playbooks: [class]}\n")
    (tmp_path / "tocsin.yaml").write_text(used + "routes: [{match: ['alertname=~\".+\"'], service: cart}]\n")
    assert run("playbook", "new", "class", "--plan", str(tmp_path)).code == 0
    assert run("playbook", "lint", str(tmp_path)).out == "1 playbook: class.\n"
    done = run("playbook", "test", str(tmp_path))
    assert done.code == 0, done.out + done.err


def test_a_kill_test_over_nothing_is_not_passed(tmp_path: Path) -> None:
    (tmp_path / "tocsin.yaml").write_text(MATCHED)
    assert run("playbook", "new", "free-memory", "--plan", str(tmp_path)).code == 0
    (tmp_path / "playbooks" / "test_free_memory.py").write_text(
        "def test_killed_anywhere(each_kill):\n"
        "    for scene in each_kill(lambda scene: scene.fires('RedisMemoryHigh')):\n"
        "        assert scene.paged == []\n"
    )
    done = run("playbook", "test", str(tmp_path))
    assert done.code == 1 and "no playbook has run: no service uses free-memory" in done.out
