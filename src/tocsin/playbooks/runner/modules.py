"""Importing a plan's playbooks from a folder, in a process that is theirs."""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from tocsin.playbooks.runner.solutions import modules_with_clients

PACKAGE = "playbooks"
TESTS = re.compile(r"(test_.*|.*_test|conftest)\.py")


def module_names(folder: Path) -> Iterator[tuple[str, str]]:
    """The file of each module below ``folder``/playbooks, and what it is imported as."""
    for path in sorted((folder / PACKAGE).rglob("*.py")):
        file = path.relative_to(folder).as_posix()
        if TESTS.fullmatch(path.name):
            continue
        parts = list(path.relative_to(folder).with_suffix("").parts)
        if parts[-1] == "__init__":
            parts.pop()
        yield file, ".".join(parts)


def make_importable(folder: Path) -> None:
    """Have ``from playbooks.shared import …`` find the plan's own modules before any other."""
    sys.path.insert(0, str(folder))
    sys.dont_write_bytecode = True
    importlib.invalidate_caches()


def forget_modules() -> None:
    """Have the next import of ``playbooks`` read it again: another plan's may have been imported before."""
    for name in [one for one in sys.modules if one.partition(".")[0] == PACKAGE]:
        del sys.modules[name]


def warm() -> None:
    """Import what the libraries in use need for their work, so that no run has to wait for it."""
    known = modules_with_clients()
    for name, module in list(sys.modules.items()):
        for needed in getattr(module, "WARM", ()) if name.startswith(known) else ():
            try:
                importlib.import_module(needed)
            except ImportError:
                continue  # the run that needs it says what to install
