"""`tocsin playbook`: what it refuses, and in which words."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest

from tests.cli.stage import Stage, run
from tocsin.access.actors import THIS_MACHINE
from tocsin.api.models.guards import guards_out
from tocsin.api.models.playbooks import run_sheet_out
from tocsin.cli.run_sheet import print_run
from tocsin.engine.weighing import Guards, Weighed
from tocsin.playbooks.left import Left
from tocsin.playbooks.run import Run
from tocsin.playbooks.trust import Climb

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


def test_what_is_refused_is_said_in_the_words_of_the_options(stage: Stage) -> None:
    def refuses(detail: str, field: str) -> tuple[int, dict[str, object]]:
        return 409, {"status": 409, "code": "conflict", "detail": detail, "field": field}

    detail = "Step 1 may have been done: say that it is to be done again"
    stage.answers["POST /runs/17/continue"] = refuses(detail, "word")
    done = stage.run("playbook", "continue", "17", "--step", "1", "--why", "x")
    assert (done.code, "done again (--again or --done)." in done.err) == (1, True), done.err
    stage.answers["POST /runs"] = refuses("No target fits: two do", "targets")
    done = stage.run("playbook", "run", "free-memory", "--service", "cart")
    assert (done.code, "No target fits: two do (--target)." in done.err) == (1, True), done.err


def test_who_took_over_is_said_as_people_say_it(capsys: pytest.CaptureFixture[str]) -> None:
    taken = Run(
        number=17, playbook="free-memory", service="cart", plan="1", meaning="m", started_at=1, deadline=1,
        taken_by=f"token:{THIS_MACHINE}", taken_until=1_790_000_000_000_000,
    )  # fmt: skip
    print_run(msgspec.to_builtins(run_sheet_out(taken, [])), as_json=False)
    said = capsys.readouterr().out
    assert "Tocsin's command line works on its targets by hand until 2026-" in said and "token:" not in said
    assert not re.search(r"\dT\d", said), "no machine's time"


def test_a_playbook_that_nobody_uses_is_named(folder: Path) -> None:
    done = run("playbook", "dry-run", "free-memory", "--plan", str(folder))
    assert (done.code, "No service uses the playbook free-memory" in done.err) == (1, True), done.err
    done = run("playbook", "dry-run", "free-memory", "--service", "cart", "--plan", str(folder))
    assert "The service cart does not use free-memory" in done.err
    assert "There is no playbook nope" in run("playbook", "dry-run", "nope", "--plan", str(folder)).err


def test_the_plans_folder_is_said_as_a_folder_or_with_plan(folder: Path) -> None:
    for command in (("playbook", "lint"), ("plan", "check"), ("coverage",)):
        for how in ((str(folder),), ("--plan", str(folder))):
            done = run(*command, *how)
            assert "No such option" not in done.err and "no plan folder" not in done.err, done.err
            assert run(*command, *how).code == run(*command, str(folder)).code
    twice = run("playbook", "lint", str(folder), "--plan", "elsewhere")
    assert twice.code == 2 and "Say the plan's folder once" in twice.err
    assert "There is no folder elsewhere/playbooks" in run("playbook", "test", "--plan", "elsewhere", "-k", "x").err


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


def test_what_is_left_of_guards_is_said_with_when_it_changes(stage: Stage) -> None:
    rate = Left(kind="rate", rule="at most 3 runs in 6 h", now="1 of 3 left", left=1, of=3, until=1_790_000_000_000_000,
                then="one more")  # fmt: skip
    held = Left(kind="cooldown", rule="15 min after a change", now="rests after its last change", no="4 min left")
    climb = Climb(rung="ask", ceiling="act", right=12, tried=12, bound=0.757, next="act", more=4)
    each = (Weighed(targets={"server": "main"}, left=(rate, held), no="4 min left"), Weighed(targets={"server": "b"}))
    guards = guards_out(Guards(service="cart", playbook="free-memory", at=5, climb=climb, each=each, more=3))
    stage.answers["GET /playbooks"] = 200, [{"service": "cart", "name": "free-memory"}]
    stage.answers["GET /playbooks/cart/free-memory/guards"] = 200, msgspec.to_builtins(guards)
    done = stage.run("playbook", "guards", "free-memory", "--target", "main")
    assert done.code == 0, done.err
    assert stage.asked[-1].query == {"target": ["main"]}
    said = " ".join(done.out.split())
    assert "ask (12 of 12 right, at least 76%; 4 more in a row that are right, and it acts alone)" in said
    assert "main: 4 min left" in said and "b: would run now" in said
    assert "rate 1 of 3 left until 2026-" in said and "then one more (at most 3 runs in 6 h)" in said
    assert "3 more targets: --target NAME" in said
    assert stage.run("playbook", "guards", "--json").json == [msgspec.to_builtins(guards)]
    assert stage.run("playbook", "guards", "other").code != 0
    stage.answers["GET /runs/7/guards"] = 200, msgspec.to_builtins(guards)
    assert stage.run("playbook", "guards", "--run", "7", "--json").json == [msgspec.to_builtins(guards)]


def test_lint_says_to_whom_a_playbook_hands_over_first(folder: Path) -> None:
    file = folder / "playbooks/free_memory.py"
    file.write_text(file.read_text().replace("    name=", '    hand_over_to="dba",\n    name=', 1))
    plan = folder / "tocsin.yaml"
    plan.write_text(plan.read_text() + "escalations: {dba: [{page: ana, wait: 5m}]}\n")
    done = run("playbook", "lint", str(folder))
    assert "free-memory (hands over to dba first)" in done.out, done.out + done.err
    assert run("playbook", "lint", str(folder), "--json").json["hand_over_to"] == {"free-memory": "dba"}


def test_a_parameter_is_what_the_playbook_says_it_is_and_a_text_whatever_it_looks_like(stage: Stage) -> None:
    kinds = {"who": "text", "most": "whole number", "share": "number", "all": "flag"}
    params = [{"name": name, "kind": kind, "default": ""} for name, kind in kinds.items()]
    stage.answers["GET /playbooks"] = (200, [{"name": "other", "params": []}, {"name": "clean", "params": params}])
    stage.problem("POST /runs", 409, "conflict", "Not now")

    def gives(*args: str) -> tuple[object, str]:
        """What the server is sent, and what is said."""
        asked = len(stage.asked)
        done = stage.run("playbook", "run", "clean", "--service", "cart", *(w for one in args for w in ("--arg", one)))
        sent = [one for one in stage.asked[asked:] if one.method == "POST"]
        return (sent[0].body["args"] if sent else None), done.err

    for text in ("2024", "1.10", "true", "", "a=b", "null", "-1"):
        assert gives(f"who={text}")[0] == {"who": text}
    assert gives("most=3", "share=1.5", "all=true")[0] == {"most": 3, "share": 1.5, "all": True}
    assert gives("share=2", "all=false", "most=-4")[0] == {"share": 2, "all": False, "most": -4}
    for wrong, kind in (("most=3.5", "whole number"), ("most=x", "whole"), ("share=nan", "number"), ("all=y", "flag")):
        sent, said = gives(wrong)
        assert sent is None and f"is a {kind}" in said, said
    assert "clean takes no whom: it takes who, most, share, all." in gives("whom=x")[1]
