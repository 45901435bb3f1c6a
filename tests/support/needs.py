"""What a test needs of the machine; without it the test is skipped, and with CI=true that is a failure."""

from __future__ import annotations

import shutil

import pytest


def program(*names: str) -> str:
    """The path of the first of `names` on PATH; skips the test when none is there."""
    for name in names:
        if path := shutil.which(name):
            return path
    pytest.skip(f"no {' or '.join(names)} on this machine: `make setup` installs it where it may")
