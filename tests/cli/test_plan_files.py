"""`tocsin plan check` and `schema`: on files alone, as a compiler talks."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.stage import run

GOOD = """\
tocsin: 1
people:
  ana: {name: Ana, email: ana@shop.example}
mail: {server: "smtp://127.0.0.1:25", from: tocsin@shop.example}
last resort: [ana]
escalations:
  shop: [{page: ana, wait: 5m}]
services:
  checkout: {escalation: shop}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A plan folder with a good plan."""
    made = tmp_path / "plan"
    made.mkdir()
    (made / "tocsin.yaml").write_text(GOOD)
    return made


def test_a_good_plan_is_told_in_words(folder: Path) -> None:
    """What it holds, and what happens when nobody is reached."""
    done = run("plan", "check", str(folder))
    assert done.code == 0, done.out + done.err
    assert "This plan is good: 1 file with 1 person, 2 services and 1 escalation." in done.out
    assert "When nobody else can be reached, ana is paged." in done.out


def test_errors_are_printed_as_a_compiler_prints_them(folder: Path) -> None:
    """file:line:column that editors can jump to, all at once, and exit code 1."""
    (folder / "tocsin.yaml").write_text(GOOD.replace("escalation: shop", "escalaton: shop, tier: many"))
    done = run("plan", "check", "plan", cwd=folder.parent)
    assert done.code == 1
    places = [line for line in done.out.splitlines() if line.startswith("plan/tocsin.yaml:9:") and ": error: " in line]
    assert len(places) == 2
    assert "escalation" in done.out
    assert "This plan is not good: 2 errors to put right." in done.out


def test_json_has_every_finding_and_the_summary(folder: Path) -> None:
    """A good plan has a version, a bad one has none."""
    found = run("plan", "check", str(folder), "--json").json
    assert found["ok"] is True
    assert len(found["version"]) == 64
    assert found["summary"]["people"] == 1
    (folder / "tocsin.yaml").write_text("tocsin: 1\n")
    done = run("plan", "check", str(folder), "--json")
    assert done.code == 1
    assert done.json["version"] is done.json["summary"] is None
    assert {"level", "file", "line", "column", "message", "hint"} == done.json["findings"][0].keys()


def test_strict_makes_warnings_errors(folder: Path) -> None:
    """A plan with addresses and no server to mail them is good, and not when warnings count."""
    text = GOOD.replace('mail: {server: "smtp://127.0.0.1:25", from: tocsin@shop.example}\n', "")
    (folder / "tocsin.yaml").write_text(text)
    mild = run("plan", "check", str(folder))
    assert mild.code == 0
    assert ": warning: " in mild.out
    assert "Nobody can be paged but on the console." in mild.out
    strict = run("plan", "check", str(folder), "--strict")
    assert strict.code == 1
    assert "--strict" in strict.out


def test_where_the_plan_is_when_nobody_says(folder: Path) -> None:
    """TOCSIN_PLAN, else plan in the data folder."""
    assert run("plan", "check", TOCSIN_PLAN=str(folder)).code == 0
    assert run("plan", "check", TOCSIN_DATA=str(folder.parent)).code == 0
    missing = run("plan", "check", cwd=folder.parent)
    assert missing.code == 1
    assert "There is no plan folder tocsin-data/plan. Say where the plan is: tocsin plan check FOLDER" in missing.err


def test_the_schema_is_json_schema() -> None:
    """An editor can use it as it is printed."""
    schema = json.loads(run("plan", "schema").out)
    assert "$schema" in schema
    assert "services" in json.dumps(schema)
