"""Every rota in the recipes says what stands under it."""

from __future__ import annotations

import re
import subprocess
import sys
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from tocsin.kernel.instant import from_datetime
from tocsin.plan import read_plan

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "oncall" / "recipes.md").read_text(encoding="utf-8")
RECIPES = re.findall(r"^## (.+?)$.*?```yaml\n(.*?)```\n+```text\n(.*?)```", PAGE, re.MULTILINE | re.DOTALL)
HEAD = """\
tocsin: 1
people: {ana: {email: ana@shop.example}, ben: {email: ben@shop.example}, kei: {email: kei@shop.example},
  zoe: {email: zoe@shop.example}}
mail: {server: smtp://localhost:25, from: tocsin@shop.example}
"""


@pytest.mark.parametrize(("rota", "told"), [recipe[1:] for recipe in RECIPES], ids=[recipe[0] for recipe in RECIPES])
def test_a_recipe_says_what_stands_under_it(rota: str, told: str) -> None:
    """Without a finding, except of what is meant to be so."""
    reading = read_plan({"tocsin.yaml": (HEAD + rota).encode()})
    assert reading.plan is not None, "\n".join(map(str, reading.findings))
    assert [one.message for one in reading.findings] == []
    steps = [step for escalation in reading.plan.escalations.values() for step in escalation.steps]
    asked = {target for step in steps for target in step.targets}
    lines = told.strip().splitlines()
    assert len(lines) >= 2
    for line in lines:
        at, expected = re.fullmatch(r"(\d{4}-\d\d-\d\d \d\d:\d\d): (.+)", line).groups()  # type: ignore[union-attr]
        found = []
        for key, roster in reading.plan.rosters.items():
            zone = ZoneInfo(roster.schedule.timezone)
            who = roster.who(from_datetime(datetime.fromisoformat(at).replace(tzinfo=zone)))
            people = ", ".join(shift.person for shift in who) or "nobody"
            if f"schedule:{key}:next" in asked:
                at_next = from_datetime(datetime.fromisoformat(at).replace(tzinfo=zone))
                people += f", then {', '.join(shift.person for shift in roster.beside(at_next, 1))}"
            found.append(f"{key} {people}" if len(reading.plan.rosters) > 1 else people)
        assert ", ".join(found) == expected, line


def test_every_recipe_is_looked_at() -> None:
    assert len(RECIPES) == PAGE.count("\n## ") >= 10


def test_the_pictures_say_what_the_engine_says() -> None:
    """Drawn again, they are the same to the letter."""
    done = subprocess.run([sys.executable, ROOT / "tools" / "draw-clocks", "--check"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    clocks = (ROOT / "docs" / "oncall" / "clocks.md").read_text(encoding="utf-8")
    assert all(f"../images/{name}" in clocks for name in ("oncall-clocks.svg", "oncall-sun.svg"))
