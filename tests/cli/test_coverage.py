"""`tocsin coverage` and the threshold of a plan: what CI is told when too little is answered."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.stage import Stage, run

PLAN = """\
tocsin: 1
people:
  ana: {name: Ana, email: ana@shop.example}
mail: {server: "smtp://localhost:25", from: t@shop.example}
services:
  cart: {playbooks: [look-at-it, by-hand]}
  bank: {}
routes:
  - {match: ['alertname="CartDown"'], service: cart}
  - {match: ['alertname="CartSlow"'], service: cart}
  - {match: ['alertname="BankDown"'], service: bank}
"""
LOOK = "playbook: look-at-it\nanswers: ['alertname=\"CartDown\"']\nsteps:\n  - tell: hello\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "playbooks").mkdir()
    (tmp_path / "tocsin.yaml").write_text(PLAN)
    (tmp_path / "playbooks/look-at-it.yaml").write_text(LOOK)
    (tmp_path / "playbooks/by-hand.md").write_text("# By hand\n- [ ] Look\n")
    return tmp_path


def test_so_much_is_answered_or_the_exit_code_says_no(folder: Path) -> None:
    def asked(*more: str) -> tuple[int, str]:
        done = run("coverage", "--plan", str(folder), *more)
        return done.code, done.out + done.err

    code, out = asked()
    assert code == 0 and "1 of 3 are answered by act or ask: 33.3%" in out
    assert asked("--fail-under", "33%")[0] == 0
    code, out = asked("--fail-under", "34")
    assert code == 1 and "1 of 3 alert rules (33.3%) are answered by act or ask; at least 34% is asked for" in out
    assert asked("--fail-under", "66%", "--counting", "act,ask,checklist")[0] == 0
    code, out = asked("--fail-under", "67%", "--counting", "act,ask,checklist", "--json")
    rows = json.loads(out)
    assert code == 1 and [one["answer"] for one in rows] == ["nothing", "ask", "checklist", "nothing"]
    assert asked("--fail-under", "half")[0] == 2 and asked("--counting", "luck")[0] == 2


@pytest.mark.parametrize(
    ("said", "good"),
    [("{at least: 30%}", True), ("{at least: 40%}", False), ("{at least: 60%, counting: [ask, checklist]}", True)],
)
def test_a_plan_check_fails_below_the_plans_own_threshold(folder: Path, said: str, good: bool) -> None:
    (folder / "tocsin.yaml").write_text(f"{PLAN}coverage: {said}\n")
    done = run("plan", "check", str(folder))
    assert done.code == (0 if good else 1), done.out
    if not good:
        assert f"{folder}/tocsin.yaml:12:11: error: 1 of 3 alert rules (33.3%)" in done.out
        assert 'bank alertname="BankDown"' in done.out
    found = json.loads(run("plan", "check", str(folder), "--json").out)
    assert found["ok"] is good and found["version"], "it keeps a plan out of the repository, not out of force"


def test_a_threshold_that_cannot_be_meant_is_an_error(folder: Path) -> None:
    wrong = {"{at least: 130%}": "more than all", "{at least: most}": "is not a share", "{}": "at least"}
    for said, why in wrong.items():
        (folder / "tocsin.yaml").write_text(f"{PLAN}coverage: {said}\n")
        done = run("plan", "check", str(folder))
        assert done.code == 1 and why in done.out, done.out


PROBED = """\
tocsin: 1
people: {ana: {name: Ana}}
last resort: [ana]
services:
  cart:
    playbooks: [free-memory]
    probes: [{redis: secret:cart_ro, every: 15s}]
    targets: {main: {redis: SECRET, fix with: secret:cart_rw, match: ['instance="cart-1"']}}
"""
FREE = """\
playbook: free-memory
answers: ['alertname="ProbeRedisFailed"']
works on: {server: redis}
steps:
  - {look: redis.memory, on: server}
"""


def test_a_probes_alert_is_answered_by_what_will_find_its_target(tmp_path: Path) -> None:
    """Its target is the one that it looks at, whatever that one's match asks of others; else nothing would run."""
    (tmp_path / "playbooks").mkdir()
    (tmp_path / "playbooks/free-memory.yaml").write_text(FREE)

    def rows(secret: str) -> list[dict[str, str]]:
        (tmp_path / "tocsin.yaml").write_text(PROBED.replace("SECRET", secret))
        found: list[dict[str, str]] = json.loads(run("coverage", "--plan", str(tmp_path), "--json").out)
        return [one for one in found if one["service"] == "cart"]

    assert [(one["answer"], one["playbook"]) for one in rows("secret:cart_ro")] == [("ask", "free-memory")]
    assert [(one["answer"], one["playbook"]) for one in rows("secret:other")] == [("nothing", "")]
    said = run("coverage", "--plan", str(tmp_path)).out
    assert "cart has no redis target that this alert is about" in said
    checked = run("plan", "check", str(tmp_path)).out
    assert 'warning: nothing answers alertname="ProbeRedisFailed" probe="redis cart_ro"' in checked


def test_live_counts_what_the_servers_plan_counts_as_its_page_does(stage: Stage) -> None:
    row = {"service": "cart", "playbook": "", "answer": "nothing", "why": "", "incidents": 0, "last_at": None}
    rows = [row | {"rule": name, "now": answer} for name, answer in (("a", "checklist"), ("b", "ask"), ("c", "act"))]
    stage.answers["GET /coverage"] = (200, rows)
    counted = {"version": "a1b2c3", "files": {}, "counting": ["act", "checklist"]}
    stage.answers["GET /plan"] = (200, counted)
    done = stage.run("coverage", "--live", "--fail-under", "60%")
    assert done.code == 0 and "2 of 3 are answered by act or checklist" in done.out, done.out + done.err
    done = stage.run("coverage", "--live", "--fail-under", "60%", "--counting", "act")
    assert done.code == 1 and "1 of 3" in done.out
