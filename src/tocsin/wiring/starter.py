"""A newcomer's first plan: written where there is none, by the node that may write."""

from __future__ import annotations

import os
from pathlib import Path

from tocsin.settings import Settings
from tocsin.store.writer import Store
from tocsin.wiring.plans import files_in_force

NOT_A_PLANS = frozenset({"lost+found"})
"""What a volume of its own brings along."""


def begin_with_starter(settings: Settings, store: Store) -> bool:
    """Give whoever begins a plan to begin with; whether it did. Raises OSError where that cannot be written.

    They begin when no plan was ever in force and the usual folder is missing or empty: what cannot be found of a plan
    that was in force is no beginning. The folder stays whose it is; it may be a mount.
    """
    from tocsin.plan import starter_plan

    folder = settings.plan_folder.resolve()
    if not settings.plan_is_usual or not _nothing_in(folder) or files_in_force(store) is not None:
        return False
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in starter_plan().items():  # one file: there is no half of it
        _write(folder / name, content)
    return True


def _nothing_in(folder: Path) -> bool:
    """Whether a folder is missing or holds nothing that somebody put there as a plan, hidden things apart."""
    if not folder.is_dir():
        return not folder.exists()
    return all(one.name.startswith(".") or one.name in NOT_A_PLANS for one in folder.iterdir())


def _write(file: Path, content: bytes) -> None:
    """Whole, or not at all: what is left of an attempt is hidden."""
    unfinished = file.with_name(f".{file.name}.new")
    with unfinished.open("wb") as out:
        out.write(content)
        out.flush()
        os.fsync(out.fileno())
    unfinished.rename(file)
