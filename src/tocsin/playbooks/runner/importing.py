"""Importing all of a plan's code in the process that its runs are forked from, or to see whether that can be.

There it may have less than where the plan was read: a confinement, or a file that is gone by now. A module that cannot
be imported takes its own playbooks with it and no others.
"""

from __future__ import annotations

import importlib
import os
import sys
from pathlib import Path

import msgspec
from msgspec import Struct

from tocsin.playbooks import language
from tocsin.playbooks.runner.bounds import adopt, bound, end_strays
from tocsin.playbooks.runner.building import composed_of, declare_composed
from tocsin.playbooks.runner.modules import make_importable, module_names

LONGEST = 300
MOST_TOLD = 50


class Imported(Struct, frozen=True):
    """Which playbooks are there, and of each file that could not be imported, why."""

    declared: list[str]
    failed: dict[str, str]


def import_code(folder: Path) -> dict[str, str]:
    """Import a plan's modules and declare its playbooks, those in YAML as well. Says of each file that fails why."""
    make_importable(folder)
    failed: dict[str, str] = {}
    for file, name in module_names(folder):
        try:
            importlib.import_module(name)
        except BaseException as error:  # noqa: BLE001  # the code of others: whatever it raises is what is to be told
            failed[file] = _said(error)
            # What it, or one that failed with it, declared before that is half of it.
            language.declared[:] = [one for one in language.declared if one.body.__module__ in sys.modules]
    for composed in composed_of(folder):
        try:
            declare_composed((composed,))
        except BaseException as error:  # noqa: BLE001  # likewise
            failed[composed.file] = _said(error)
    return dict(list(failed.items())[:MOST_TOLD])


def why_absent(failed: dict[str, str], file: str = "") -> str:
    """Why a playbook is not there, as the end of a sentence: what its own file raised, else what another one did."""
    said = {file: failed[file]} if file in failed else failed
    return "; ".join(f"importing {one} raises {why}" for one, why in list(said.items())[:3])


def _said(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"[:LONGEST]


def main(folder: Path) -> None:
    """Import, and write what came of it to what was the standard output: what the code prints is nobody's."""
    adopt()
    bound()
    with os.fdopen(os.dup(1), "wb") as out:
        nothing = os.open(os.devnull, os.O_RDWR)
        for number in (0, 1, 2):
            os.dup2(nothing, number)
        failed = import_code(folder)
        out.write(msgspec.json.encode(Imported([one.name for one in language.declared], failed)))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
    end_strays(set())
    os._exit(0)  # whatever a module left running ends here
