"""Below a folder, and nowhere else: what is there, what grows, what may go; and deleting just that.

This file is run as it stands on the machine the folder is on: in a step's own process here, or by the ``python3`` of a
machine that is reached by SSH, which gets it and the question on its standard input. So it needs nothing but Python's
own library, 3.7 or newer, and the question is data on every way there: no name of a file is ever part of a command.
A folder is held by its handle, and each one on the way below it is opened in turn, never through a link.
"""

from __future__ import annotations

import errno
import os
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from fnmatch import fnmatchcase
from pathlib import PurePosixPath
from typing import Any

MOST_LOOKED_AT = 200_000
"""Files a look goes through before it says that there are too many."""
MOST_DELETED = 800
"""Files of one preview: what a step answers is written down."""
LONGEST_NAME = 180
DEEPEST = 32
_BELOW = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class Fault(Exception):
    """The folder cannot be worked on; the message says why."""


def answer(asked: dict[str, Any]) -> dict[str, Any]:
    """Answer one question: ``{"what": usage, growth, preview, delete or now, "folder": …}`` and what that one takes.

    What it cannot do is ``{"fault": why}``.
    """
    try:
        with _opened(asked["folder"]) as top:
            done: dict[str, Any] = _WHAT[asked["what"]](top, asked)
            return done
    except Fault as fault:
        return {"fault": str(fault)}


def _usage(top: int, asked: dict[str, Any]) -> dict[str, Any]:
    files = list(_below(top))
    system = os.fstatvfs(top)
    total = max(1, system.f_blocks - system.f_bfree + system.f_bavail)  # what is kept for root is nobody else's
    inodes = system.f_files
    return {
        "size": sum(one["size"] for one in files),
        "files": len(files),
        "free": system.f_bavail * system.f_frsize,
        "used_ratio": round(1 - system.f_bavail / total, 4),
        "inodes_ratio": round(1 - system.f_favail / inodes, 4) if inodes else 0.0,
    }


def _growth(top: int, asked: dict[str, Any]) -> dict[str, Any]:
    before = {one["name"]: one["size"] for one in _below(top)}
    time.sleep(asked["seconds"])
    after = list(_below(top))
    grown = [(one["name"], one["size"] - before.get(one["name"], 0)) for one in after]
    ranked = sorted(((name, more) for name, more in grown if more > 0), key=lambda one: (-one[1], one[0]))
    largest = sorted(after, key=lambda one: (-one["size"], one["name"]))
    return {"largest": largest[: asked["most"]], "grown": dict(ranked[: asked["most"]])}


def _preview(top: int, asked: dict[str, Any]) -> dict[str, Any]:
    now = time.time_ns()  # noqa: TID251  # how old a file is says the clock of the machine it is on
    everything = list(_below(top))
    there = sorted(
        (one for one in everything if _may_go(asked["delete"], one["name"]) and _like(one["name"], asked["match"])),
        key=lambda one: (one["changed"], one["name"]),
    )
    floor = max(0, len(there) - max(0, asked["keep"]))
    old = [one for one in there[:floor] if one["changed"] <= now - asked["older"]]
    open_now, blind = _open_files(os.fstat(top).st_dev)
    loose = [one for one in old if one["inode"] not in open_now]
    files = []
    left = sum(one["size"] for one in everything)
    for one in loose[:MOST_DELETED]:
        if asked["down_to"] is not None and left <= asked["down_to"]:
            break
        files.append(one)
        left -= one["size"]
    return {
        "files": files, "size": sum(one["size"] for one in files), "held": len(old) - len(loose),
        "young": floor - len(old), "kept": len(there) - floor, "blind": blind,
    }  # fmt: skip


def _delete(top: int, asked: dict[str, Any]) -> dict[str, Any]:
    gone = freed = 0
    for one in asked["files"]:
        with suppress(OSError):
            if _may_go(asked["delete"], one["name"]) and _unlinked(top, one):
                gone, freed = gone + 1, freed + one["size"]
    return {"files": gone, "size": freed, "left": len(asked["files"]) - gone}


def _now(top: int, asked: dict[str, Any]) -> dict[str, Any]:
    """What a name is now: ``file`` None when it is no file there."""
    with suppress(OSError), _folder_of(top, asked["name"]) as (at, own):
        one = os.stat(own, dir_fd=at, follow_symlinks=False)
        if stat.S_ISREG(one.st_mode):
            return {"file": _file(asked["name"], one)}
    return {"file": None}


_WHAT = {"usage": _usage, "growth": _growth, "preview": _preview, "delete": _delete, "now": _now}


# -- below a folder, and nowhere else ----------------------------------------------------------------------------------


@contextmanager
def _opened(folder: str) -> Iterator[int]:
    path = PurePosixPath(folder)
    if not path.is_absolute() or ".." in path.parts or len(path.parts) < 3:
        raise Fault("a folder is declared by its absolute path, at least two names deep: /var/log/shop")
    try:
        top = os.open(folder, _BELOW)
    except OSError as error:
        raise Fault(f"the folder cannot be opened: {error.strerror} (a link is not followed)") from None
    try:
        yield top
    finally:
        os.close(top)


def _below(top: int) -> Iterator[dict[str, Any]]:
    """The regular files below an open folder, on its own file system. Folders that may not be read are passed over."""
    device, seen = os.fstat(top).st_dev, 0
    for folder, names, files, at in os.fwalk(".", topdown=True, follow_symlinks=False, dir_fd=top):
        if len(PurePosixPath(folder).parts) >= DEEPEST:
            names.clear()
        here = PurePosixPath(folder)
        for name in files:
            seen += 1
            if seen > MOST_LOOKED_AT:
                raise Fault(f"there are more than {MOST_LOOKED_AT:,} files: declare a smaller folder")
            with suppress(OSError):
                one = os.stat(name, dir_fd=at, follow_symlinks=False)
                if stat.S_ISREG(one.st_mode) and one.st_dev == device:
                    path = (here / name).as_posix()
                    if len(path) <= LONGEST_NAME and path.isprintable():
                        yield _file(path, one)


def _file(name: str, one: os.stat_result) -> dict[str, Any]:
    return {"name": name, "size": one.st_blocks * 512, "inode": one.st_ino, "changed": one.st_mtime_ns}


@contextmanager
def _folder_of(top: int, name: str) -> Iterator[tuple[int, str]]:
    """The folder below an open one that a file lies in, and the file's own name. Raises OSError when there is none.

    Each folder on the way is opened in turn and never through a link.
    """
    *folders, own = PurePosixPath(name).parts or ("",)
    if name.startswith("/") or not own or ".." in (*folders, own):
        raise OSError(errno.EINVAL, "no name below the folder")
    at = os.dup(top)
    try:
        for each in folders:
            inner = os.open(each, _BELOW, dir_fd=at)
            os.close(at)
            at = inner
        yield at, own
    finally:
        os.close(at)


def _unlinked(top: int, one: dict[str, Any]) -> bool:
    with _folder_of(top, one["name"]) as (at, name):
        now = os.stat(name, dir_fd=at, follow_symlinks=False)
        same = stat.S_ISREG(now.st_mode) and (now.st_ino, now.st_mtime_ns) == (one["inode"], one["changed"])
        if same and now.st_dev == os.fstat(top).st_dev:
            os.unlink(name, dir_fd=at)
            return True
        return False


def _may_go(patterns: list[str], name: str) -> bool:
    return any(_like(name, pattern) for pattern in patterns)


def _like(name: str, pattern: str) -> bool:
    """A pattern without a slash is of the file's own name. One with a slash is of the whole path below the folder, each
    part of one part as in a shell, ``**`` of any number of folders: ``old/*`` lets nothing go that lies deeper.
    """
    if "/" not in pattern:
        return fnmatchcase(name.rpartition("/")[2], pattern)
    return _path_like(name.split("/"), pattern.split("/"))


def _path_like(names: list[str], patterns: list[str]) -> bool:
    """The places in the pattern that the names so far may have come to; each name moves them on."""
    at = _past({0}, patterns)
    for each in names:
        here = [one for one in at if _part_like(each, patterns, one)]
        at = _past({one + 1 for one in here} | {one for one in here if patterns[one] == "**"}, patterns)
    return len(patterns) in at


def _part_like(name: str, patterns: list[str], at: int) -> bool:
    return at < len(patterns) and (patterns[at] == "**" or fnmatchcase(name, patterns[at]))


def _past(at: set[int], patterns: list[str]) -> set[int]:
    """With those behind each ``**``, which may stand for no folder at all, but at the end for one name at least."""
    for place, pattern in enumerate(patterns[:-1]):
        if place in at and pattern == "**":
            at.add(place + 1)
    return at


def _open_files(device: int) -> tuple[set[int], bool]:
    """The inodes of a file system that a process has open, as far as this user may see; and whether there may be more:
    a process may not be looked into, or those of the machine are not there, as in a confined run.
    """
    found: set[int] = set()
    blind = _first_process() in ("", "bwrap")
    try:
        processes = [one for one in os.listdir("/proc") if one.isdigit()]  # noqa: PTH208  # names are all that is wanted
    except OSError:
        return found, True
    for process in processes:
        try:
            for each in os.scandir(f"/proc/{process}/fd"):
                with suppress(OSError):
                    one = each.stat()
                    if one.st_dev == device:
                        found.add(one.st_ino)
        except PermissionError:
            blind = True
        except OSError:
            continue  # it ended meanwhile
    return found, blind


def _first_process() -> str:
    try:
        with open("/proc/1/comm") as file:  # noqa: PTH123  # a Path would cost the far machine an import
            return file.read().strip()
    except OSError:
        return ""

