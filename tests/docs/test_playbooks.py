"""Every playbook in the documentation is sound, and its tests pass."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from tocsin.cli.playbook import playbook
from tocsin.cli.playbook_template import COMPOSED
from tocsin.notation.findings import Findings
from tocsin.plan.checklists import read_checklists
from tocsin.plan.composing import with_composed
from tocsin.plan.starter import starter_plan
from tocsin.playbooks.manifest import read_manifests
from tocsin.playbooks.runner.reading import with_manifest

DOCS = Path(__file__).parents[2] / "docs"
BLOCKS = [
    (f"{page.relative_to(DOCS)}:{number}", block)
    for page in sorted([*(DOCS / "playbooks").glob("*.md"), *(DOCS / "solutions").glob("*.md")])
    for number, block in enumerate(re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL), 1)
]
WRITTEN = [(name, block) for name, block in BLOCKS if "@playbook" in block]
TESTED = [block for _, block in BLOCKS if "def test_" in block]
PLAN = """
tocsin: 1
people: {ana: {}}
escalations: {default: [{page: ana, wait: 5m}]}
services:
"""
SHOP = """
  shop:
    playbooks: [end-idle-blocker]
    targets:
      main: {postgres: secret:shop_ro, fix with: secret:shop_fix}
  jobs:
    playbooks: [restart-worker]
    targets:
      one: {kind: worker, look with: secret:jobs_ro, fix with: secret:jobs_fix}
"""


@pytest.mark.parametrize("block", [block for _, block in WRITTEN], ids=[name for name, _ in WRITTEN])
def test_a_playbook_in_the_documentation_is_sound(block: str) -> None:
    found = read_manifests(with_manifest({"playbooks/here.py": block.encode()}))
    assert found.faults == () and len(found.playbooks) == 1


def test_a_playbook_in_yaml_in_the_documentation_is_what_new_writes_and_sound() -> None:
    page = (DOCS / "playbooks" / "yaml.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"```yaml\n(#.*?)```", page, re.DOTALL)
    found = read_manifests(with_manifest(with_composed({"playbooks/here.yaml": block.encode()})))
    assert found.faults == () and [one.name for one in found.playbooks] == ["free-memory"]
    new = COMPOSED.replace("NAME", "free-memory", 1)
    found = read_manifests(with_manifest(with_composed({"playbooks/here.yaml": new.encode()})))
    assert found.faults == () and [one.name for one in found.playbooks] == ["free-memory"]


def test_the_runbook_in_the_documentation_is_a_checklist() -> None:
    page = (DOCS / "playbooks" / "checklists.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"```markdown\n(.*?)```", page, re.DOTALL)
    findings = Findings()
    (found,) = read_checklists({"playbooks/cart-down.md": block.encode()}, findings)
    assert findings.sorted() == () and found.title == "The cart is down"
    assert [one.playbook for one in found.items] == ["", "", "free-memory", ""]
    assert found.items[1].detail == "ps -C cart-worker | wc -l"


MISTAKES = """
from tocsin import Run
from tocsin.library import redis


def body(run: Run, server: redis.Server) -> None:
    run.look(redis.expire, server, ("a",))
    run.fix(redis.memory, server)
    run.look(redis.idle_keys, server, older=7)
"""


def test_mypy_takes_every_playbook_of_the_documentation_and_no_look_with_a_fix(tmp_path: Path) -> None:
    """In one go: it takes seconds to begin."""
    for place, (_, block) in enumerate(WRITTEN):
        (tmp_path / f"good{place}.py").write_text(block)
    (tmp_path / "mistakes.py").write_text(MISTAKES)
    # What the clients' own packages are made of is theirs to check, and takes as long as all the rest.
    (tmp_path / "mypy.ini").write_text("[mypy]\n[mypy-psycopg.*,redis.*]\nfollow_imports = skip\n")
    checked = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--config-file", "mypy.ini", "--cache-dir", "/dev/null", "."],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    wrong = [line for line in checked.stdout.splitlines() if ": error: " in line]
    assert [line.partition(":")[0] for line in wrong] == ["mistakes.py"] * 3, checked.stdout
    assert {line.split(":")[1] for line in wrong} == {"7", "8", "9"}


RUN_17 = """{"number": 17, "steps": [
  {"ordinal": 1, "verb": "look", "function": "playbooks.workers.state", "state": "done", "error": "",
   "result": {"waiting": 4, "working": false}},
  {"ordinal": 2, "verb": "fix", "function": "playbooks.workers.restart", "state": "done", "error": "", "result": null},
  {"ordinal": 3, "verb": "verify", "function": "playbooks.workers.state", "state": "failed",
   "error": "it did not hold within 1m", "result": {"waiting": 5, "working": false}}]}"""


def test_the_first_page_and_its_tests_hold_word_for_word_in_the_plan_that_tocsin_up_writes(tmp_path: Path) -> None:
    """Nothing is added that a reader does not see; what ``playbook new`` writes passes there as well."""
    page = (DOCS / "playbooks" / "README.md").read_text(encoding="utf-8")
    (services, routes) = re.findall(r"```yaml\nservices:\n(.*?)(routes:\n.*?)```", page, re.DOTALL)[0]
    plan = starter_plan()["tocsin.yaml"].decode()
    for name, routed, uses in (("word", routes, "free-memory"), ("routeless", "", "make-room")):
        folder = tmp_path / name / "playbooks"
        folder.mkdir(parents=True)
        own = services.replace("free-memory", uses)
        (folder.parent / "tocsin.yaml").write_text(plan.replace("  # checkout:", f"{own}  # checkout:", 1) + routed)
    (tmp_path / "word" / "playbooks" / "cart_redis.py").write_text(WRITTEN[0][1])
    (tmp_path / "word" / "playbooks" / "test_cart_redis.py").write_text(TESTED[0])
    new = CliRunner().invoke(playbook, ["new", "make-room", "--plan", str(tmp_path / "routeless")])
    assert new.exit_code == 0
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "--import-mode=importlib", "-p", "no:cacheprovider", str(tmp_path)],
        env={**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTEST_PLUGINS": "tocsin.testing.plugin"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0 and "4 passed" in done.stdout, done.stdout + done.stderr


def test_the_tests_in_the_documentation_pass(tmp_path: Path) -> None:
    """Those of the first page's playbook, of one with looks of its own, and of a solution's, in one plan."""
    page = (DOCS / "playbooks" / "README.md").read_text(encoding="utf-8")
    services = re.findall(r"```yaml\nservices:\n(.*?)routes:", page, re.DOTALL)[0]
    (tmp_path / "playbooks").mkdir()
    (tmp_path / "tocsin.yaml").write_text(PLAN + services + SHOP)
    first, blocker = WRITTEN[0][1], next(block for _, block in WRITTEN if 'name="end-idle-blocker"' in block)
    worker = next(block for _, block in WRITTEN if "def restart_worker" in block)
    for name, code, test in zip(("first", "workers", "blocker"), (first, worker, blocker), TESTED, strict=True):
        (tmp_path / "playbooks" / f"{name}.py").write_text(code)
        (tmp_path / "playbooks" / f"test_{name}.py").write_text(test)
    (tmp_path / "playbooks" / "recorded").mkdir()
    (tmp_path / "playbooks" / "recorded" / "run-17.json").write_text(RUN_17)
    done = subprocess.run(
        [sys.executable, "-m", "tocsin", "playbook", "test", str(tmp_path)],
        env={**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTEST_PLUGINS": "tocsin.testing.plugin"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0 and "7 passed" in done.stdout, done.stdout + done.stderr
