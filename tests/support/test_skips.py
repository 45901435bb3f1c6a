"""A skipped test is loud here and a failure in CI."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("workers", ["0", "1"])
def test_a_skip_is_named_here_and_fails_in_ci(tmp_path: Path, workers: str) -> None:
    (tmp_path / "conftest.py").write_text((ROOT / "tests" / "conftest.py").read_text())
    (tmp_path / "test_one.py").write_text("import pytest\ndef test_it():\n    pytest.skip('no such program')\n")
    (tmp_path / "test_all.py").write_text("import pytest\npytest.skip('no such system', allow_module_level=True)\n")

    def run(ci: str) -> subprocess.CompletedProcess[str]:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
        environment |= {"CI": ci, "PYTHONPATH": str(ROOT)}
        command = [sys.executable, "-m", "pytest", "-c", os.devnull, "--rootdir", str(tmp_path), "-n", workers]
        return subprocess.run(
            [*command, "-p", "no:cacheprovider", "--continue-on-collection-errors", str(tmp_path)],
            env=environment, cwd=tmp_path, capture_output=True, text=True, check=False,
        )  # fmt: skip

    here, ci = run("false"), run("true")
    assert here.returncode == 0, here.stdout
    assert "NOT TESTED HERE: 2 skipped" in here.stdout
    assert "test_one.py::test_it: Skipped: no such program" in here.stdout
    assert "no such system" in here.stdout
    assert ci.returncode == 1, ci.stdout
    assert "in CI nothing may be: Skipped: no such program" in ci.stdout
    assert "in CI nothing may be: Skipped: no such system" in ci.stdout
