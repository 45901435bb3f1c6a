"""Every plan in the documentation is a good one."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tocsin.plan import read_plan

ROOT = Path(__file__).parents[2]
BLOCKS = [
    (f"{page.relative_to(ROOT)}:{number}", block)
    for page in (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")))
    for number, block in enumerate(re.findall(r"```yaml\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL), 1)
    if "tocsin: 1" in block
]


@pytest.mark.parametrize("block", [block for _, block in BLOCKS], ids=[name for name, _ in BLOCKS])
def test_a_plan_in_the_documentation_is_read_without_a_finding(block: str) -> None:
    assert read_plan({"tocsin.yaml": block.encode()}).findings == ()


def test_there_are_plans_in_the_documentation() -> None:
    assert BLOCKS
