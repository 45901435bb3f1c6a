"""Fetches a plan's files from a folder. The only file of this room that touches a disk."""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path
from typing import Final

from tocsin.plan.checklists import is_checklist
from tocsin.plan.reading import MAX_BYTES, MAX_FILE_BYTES, MAX_FILES
from tocsin.playbooks.manifest import FOLDER as PLAYBOOKS

_SUFFIXES: Final = (".yaml", ".yml")
_TESTS: Final = re.compile(r"(test_.*|.*_test|conftest)\.py")
_MAX_ENTRIES: Final = 100_000


class PlanFolderError(Exception):
    """A plan's folder cannot be used as it is; the message says what to change. Nothing of it was taken."""


def load_folder(path: str | os.PathLike[str]) -> dict[str, bytes]:
    """The contents of every ``*.yaml`` and ``*.yml`` file in a folder and its sub-folders, by path inside it; and of
    every ``*.py`` below its sub-folder ``playbooks`` that is no test, and every ``*.md`` that is no README.

    Paths have ``/`` whatever the system. Hidden files and folders (``.git``, ``.venv``) are left out, and linked
    folders are not entered. A path to a single file gives that file. Raises PlanFolderError when the folder or a file
    in it cannot be read, a link leads out of the folder, or a bound is passed: 1,000 files, 1 MB each, 16 MB in all.
    """
    root = Path(path)
    try:
        if root.is_file():
            return {root.name: _content(root, root.name, MAX_BYTES)}
        if not root.is_dir():
            raise PlanFolderError(f"there is no plan folder {root}")
        return _walk(root)
    except OSError as error:
        raise PlanFolderError(f"cannot read the plan: {error.filename or root}: {error.strerror}") from None


def _walk(root: Path) -> dict[str, bytes]:
    inside = root.resolve()
    found: dict[str, bytes] = {}
    size = entries = 0
    for folder, folders, names in os.walk(root, onerror=_raise):
        entries += len(folders) + len(names)
        if entries > _MAX_ENTRIES:
            hint = "give the plan a folder of its own"
            raise PlanFolderError(f"{root} holds more than {_MAX_ENTRIES:,} files and folders: {hint}")
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in folders:
            _refuse_way_out(Path(folder, name), inside)
        for name in sorted(names):
            file = Path(folder, name)
            shown = file.relative_to(root).as_posix()
            if name.startswith(".") or not (name.endswith(_SUFFIXES) or _is_playbook(shown, name)):
                continue
            if not shown.isprintable():
                raise PlanFolderError(f"the file name {shown!r} is not plain text: rename it")
            _refuse_way_out(file, inside)
            if len(found) == MAX_FILES:
                raise PlanFolderError(f"{root} holds more than {MAX_FILES:,} plan files")
            found[shown] = _content(file, shown, MAX_BYTES - size)
            size += len(found[shown])
    return found


def _is_playbook(shown: str, name: str) -> bool:
    if not shown.startswith(PLAYBOOKS):
        return False
    return is_checklist(shown) or (name.endswith(".py") and not _TESTS.fullmatch(name))


def _refuse_way_out(path: Path, inside: Path) -> None:
    if path.is_symlink() and not path.resolve().is_relative_to(inside):
        raise PlanFolderError(f"{path} is a link out of the plan's folder: put what it leads to into the folder")


def _content(file: Path, shown: str, left: int) -> bytes:
    # Without waiting: a pipe that somebody named like a plan must not hold up a reload.
    descriptor = os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as opened:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise PlanFolderError(f"{shown} is not a file")
        content = opened.read(MAX_FILE_BYTES + 1)
    if len(content) > MAX_FILE_BYTES:
        raise PlanFolderError(f"{shown} has more than {MAX_FILE_BYTES:,} bytes: split it")
    if len(content) > left:
        raise PlanFolderError(f"the plan has more than {MAX_BYTES:,} bytes in all")
    return content


def _raise(error: OSError) -> None:
    raise error
