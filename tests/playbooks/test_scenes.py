"""A scene as the author of a playbook uses it: nothing is done for real, and an alert goes where it would go."""

from __future__ import annotations

from pathlib import Path

import pytest

from tocsin.library.redis import Missing
from tocsin.testing import Scene
from tocsin.wiring import named_step

PLAN = """
tocsin: 1
people: {ana: {}}
services:
  worker:
    playbooks: [own]
    targets: {main: {kind: box, look with: secret:ro, fix with: secret:rw, match: ['instance="w-1"']}}
"""
OWN = """
from pathlib import Path
from tocsin import Run, Target, fix, look, playbook


class Box(Target, frozen=True):
    kind = "box"


@look
def state(box: Box) -> int:
    return 1


@look
def kicked(box: Box) -> bool:
    return False


@fix(probe=kicked)
def kick(box: Box) -> None:
    Path(__file__).with_name("KICKED").touch()


@playbook(answers=['alertname="X"'])
def own(run: Run, box: Box) -> None:
    before = run.look(state, box)
    try:
        run.fix(kick, box)
    except Exception:
        run.hand_over("it could not be kicked", before, next="Kick it")
    run.verify(state, box, until=lambda now: now > 1, within="10s")
"""


@pytest.fixture
def plan(tmp_path: Path) -> Path:
    (tmp_path / "playbooks").mkdir()
    (tmp_path / "tocsin.yaml").write_text(PLAN)
    (tmp_path / "playbooks" / "own.py").write_text(OWN)
    return tmp_path


def test_a_step_without_a_fake_is_not_done_and_no_outcome_hides_it(plan: Path) -> None:
    scene = Scene(plan)
    scene.trust("own", "act")
    with pytest.raises(LookupError, match=r"own\.state is not faked.*scene\.fake\(own\.state, …\), or scene\.real"):
        scene.fires("X", service="worker", instance="w-1")
    scene = Scene(plan)
    scene.real(named_step("playbooks.own.state"))
    scene.trust("own", "act")
    with pytest.raises(LookupError, match=r"own\.kick is not faked"):
        scene.fires("X", service="worker", instance="w-1")
    assert not (plan / "playbooks" / "KICKED").exists()
    scene = Scene(plan)
    scene.real(named_step("playbooks.own.state"), named_step("playbooks.own.kick"))
    scene.trust("own", "act")
    scene.fires("X", service="worker", instance="w-1")
    assert (plan / "playbooks" / "KICKED").exists() and "fix own.kick done" in scene.steps


def test_an_answer_of_another_kind_says_whose_it_is(plan: Path) -> None:
    scene = Scene(plan)
    scene.fake(named_step("playbooks.own.state"), 0.5)
    scene.fires("X", service="worker", instance="w-1")
    assert "own.state answered 0.5, and says it answers int: " in scene.findings[0] and "own.py:" in scene.findings[0]


def test_a_flag_is_a_number_as_python_has_it(plan: Path) -> None:
    scene = Scene(plan)
    scene.fake(named_step("playbooks.own.state"), True)
    scene.fake(named_step("playbooks.own.kick"), None)
    scene.trust("own", "act")
    scene.fires("X", service="worker", instance="w-1")
    assert scene.outcome == "handed_over" and "did not hold within 10s; last seen: True" in scene.findings[0]


def test_a_client_that_is_not_installed_costs_no_trust(plan: Path) -> None:
    """Neither where it looks nor where it was about to fix: nothing was done, and the playbook is not at fault."""
    for name, rest in (("state", []), ("kick", ["look own.state done"])):
        scene = Scene(plan)
        scene.fake(named_step("playbooks.own.state"), 0)
        scene.fake(named_step(f"playbooks.own.{name}"), Missing("the client is not there: pip install it"))
        scene.trust("own", "act")
        scene.fires("X", service="worker", instance="w-1")
        assert scene.outcome == "handed_over" and not scene.run.failed and scene.steps[: len(rest)] == rest
        assert f"own.{name} cannot be done on this machine: the client is not there" in scene.findings[0]
        assert scene.run.fixes == 0 and scene.paged == ["ana"]
