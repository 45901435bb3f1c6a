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
