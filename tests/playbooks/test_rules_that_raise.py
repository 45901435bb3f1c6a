"""A rule that raises is no match, for everybody to see; and rules know what they will know at night."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.stage import run
from tests.playbooks.playground import Playground, Pump, Run, drain, level
from tests.playbooks.test_stories import FULL
from tocsin.library.alive import answer
from tocsin.playbooks.language import playbook, trust
from tocsin.testing.scene import Scene

PLAN = """
tocsin: 1
team: shop
people: {ana: {name: Ana, email: ana@shop.example}}
mail: {server: smtp://localhost:25, from: tocsin@shop.example}
escalations: {shop: [{page: ana, wait: 5m}]}
services:
  cart: {escalation: shop, playbooks: [meant, hangs]}
"""
CODE = '''
import time
from tocsin import Run, look, playbook

@look
def hanging(word: str) -> int:
    time.sleep(60)
    return 1

@playbook(answers=['alertname="X"'], when=lambda about: "busy" in about.title and about.severity == "sev2")
def meant(run: Run, word: str = "x") -> None:
    run.hand_over(f"{word} {run.about.severity}", next="nothing")

@playbook(hand_over_after="10s")
def hangs(run: Run, word: str) -> None:
    run.look(hanging, word)
'''


@playbook(name="first", answers=FULL, when=lambda about: about.labels["nolabel"] == "x", trust=trust(start="act"))
def first(run: Run, pump: Pump) -> None:
    run.hand_over("never")


@playbook(name="next", answers=FULL, trust=trust(start="act"))
def second(run: Run, pump: Pump) -> None:
    run.fix(drain, pump)
    run.verify(level, pump, until=lambda now: now.full < 80, within="10s")


def test_a_when_that_raises_is_no_match_and_the_next_playbook_has_its_turn() -> None:
    world = Playground(first, second)
    world.fires("Full", instance="cart-1")
    assert world.outcomes == ["not_needed", "watching"] and world.done == ["drain"]
    assert "came to no answer, which counts as no match: KeyError: 'nolabel'" in world.run(1).why
    assert "KeyError" in world.engine.state.standings["cart", "first"].rule_error and world.rung("first") == "act"


@playbook(name="leaves", answers=FULL, trust=trust(start="act"))
def leaves(run: Run, pump: Pump) -> None:
    raise SystemExit(3)


@playbook(name="object", answers=FULL, trust=trust(start="act"))
def answers_no_data(run: Run, pump: Pump) -> None:
    run.look(level, pump)


def test_one_that_leaves_python_says_so_and_one_that_answered_is_in_its_step_no_more() -> None:
    world = Playground(leaves)
    world.fires("Full", instance="cart-1")
    assert "it ended its process by SystemExit: 3 (test_rules_that_raise.py" in world.run(1).why
    world = Playground(answers_no_data)
    world.carrier.instead[level.name] = lambda pump: object()
    world.fires("Full", instance="cart-1")
    assert world.steps(1) == ["look level failed"]
    assert "what tests.playbooks.playground.level answered cannot be written down" in world.run(1).why


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "playbooks").mkdir()
    (tmp_path / "tocsin.yaml").write_text(PLAN)
    (tmp_path / "playbooks/meant.py").write_text(CODE)
    return tmp_path


def test_a_scene_knows_the_severity_and_the_title(folder: Path) -> None:
    scene = Scene(folder)
    scene.fires("X", severity="warning", title="Redis is busy")
    assert (scene.incident.severity, scene.incident.title) == ("sev2", "Redis is busy")
    assert scene.outcome == "handed_over" and "x sev2" in scene.run.why
    scene = Scene(folder)
    scene.fires("X", severity="critical", title="Redis is idle")
    assert scene.outcome == "not_needed"


def test_a_dry_run_does_too_and_takes_parameters(folder: Path) -> None:
    words = ("playbook", "dry-run", "meant", "--plan", str(folder), "--severity", "sev2", "--arg", "word=12")
    done = run(*words, "--title", "it is busy")
    assert (done.code, "hands over: 12 sev2" in done.out) == (0, True), done
    assert "not meant for this" in run(*words, "--title", "idle").out
    assert "meant takes no wrod: it takes word." in run(*words, "--arg", "wrod=1").err


def test_a_dry_run_that_hangs_ends_and_says_where(folder: Path) -> None:
    done = run("playbook", "dry-run", "hangs", "--plan", str(folder), "--arg", "word=a")
    assert done.code == 1 and "did not end within 10 s: it was in its look meant.hanging('a')" in done.out, done


def test_what_speaks_no_http_does_not_answer() -> None:
    import socket
    import threading

    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            there, _ = server.accept()
            with there:
                there.recv(1000)
                there.sendall(b"HELLO THERE\r\n\r\n")

        thread = threading.Thread(target=serve)
        thread.start()
        health = f"http://127.0.0.1:{server.getsockname()[1]}/"
        asked = {"what": "answering", "pidfile": "/nowhere", "command": ["x"], "health": health}
        said = answer({**asked, "seconds": 5.0, "within": "5s"})
        thread.join()
    assert (said["answers"], said["why"]) == (False, "it answered no HTTP: HELLO THERE")
