"""A folder or file system that fills: find what is large and what grows, rotate it, preview, delete what may go.

For folders on the machine Tocsin runs on. A target is ``{folder: /var/log/shop, delete: ['*.log.*']}`` in the plan:
nothing outside the folder and nothing that is not like one of ``delete`` is ever touched, and no symbolic link is
followed, whoever puts one there in the middle of it.
"""

from __future__ import annotations

import errno
import os
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from typing import ClassVar

import msgspec
from msgspec import Struct

from tocsin.kernel.instant import SECOND, parse_duration
from tocsin.playbooks.language import Span, Target, fix, look

MOST_LOOKED_AT = 200_000
"""Files a look goes through before it says that there are too many."""
MOST_DELETED = 800
"""Files of one preview: what a step answers is written down."""
LONGEST_NAME = 180
DEEPEST = 32
_BELOW = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class Where(Struct, frozen=True):
    """What the plan says of a folder. ``delete``: patterns of what may go; () when nothing may.

    ``rotate``: the command that rotates the logs in it, where a step may have it run.
    """

    folder: str
    delete: tuple[str, ...] = ()
    rotate: tuple[str, ...] = ()


class Folder(Target, frozen=True):
    """One folder and the file system it lies on."""

    kind: ClassVar[str] = "folder"

    @property
    def where(self) -> Where:
        """What the plan says of it. Raises ValueError for anything else."""
        try:
            return msgspec.json.decode(self.credential, type=Where)
        except msgspec.MsgspecError:
            raise ValueError(f"{self.name} is no folder: write {{folder: /var/log/x, delete: ['*.log.*']}}") from None


class Trouble(Exception):
    """The folder cannot be worked on; the message says why."""


class File(Struct, frozen=True):
    """One file below the folder. ``size``: bytes on disk; ``inode`` and ``changed`` (ns) tell it from another one."""

    name: str
    size: int
    inode: int
    changed: int


class Usage(Struct, frozen=True):
    """How full it is. ``size``: bytes on disk of the folder's files; ``free``, ``used_ratio``, ``inodes_ratio``: of
    the file system.
    """

    size: int
    files: int
    free: int
    used_ratio: float
    inodes_ratio: float

    def __str__(self) -> str:
        system = f"its disk is {self.used_ratio:.0%} full, {said(self.free)} are free"
        return f"{said(self.size)} in {self.files:,} files; {system}"


@look
def usage(place: Folder) -> Usage:
    """How much the folder holds, and how full its file system is."""
    with _opened(place.where) as top:
        files = list(_below(top))
        system = os.fstatvfs(top)
    total = max(1, system.f_blocks - system.f_bfree + system.f_bavail)  # what is kept for root is nobody else's
    inodes = system.f_files
    return Usage(
        size=sum(one.size for one in files),
        files=len(files),
        free=system.f_bavail * system.f_frsize,
        used_ratio=round(1 - system.f_bavail / total, 4),
        inodes_ratio=round(1 - system.f_favail / inodes, 4) if inodes else 0.0,
    )


class Growth(Struct, frozen=True):
    """What is large and what grew while it was looked at, largest first. ``grown``: bytes, by name."""

    largest: tuple[File, ...]
    grown: dict[str, int]

    def __str__(self) -> str:
        large = ", ".join(f"{one.name} ({said(one.size)})" for one in self.largest[:3]) or "nothing"
        more = ", ".join(f"{name} (+{said(size)})" for name, size in list(self.grown.items())[:3]) or "nothing"
        return f"largest: {large}; growing: {more}"


@look
def growth(place: Folder, *, over: Span = "1s", most: int = 10) -> Growth:
    """Its largest files, and those that grow: two looks, ``over`` apart."""
    with _opened(place.where) as top:
        before = {one.name: one.size for one in _below(top)}
        time.sleep(parse_duration(over) / SECOND)
        after = list(_below(top))
    grown = {one.name: one.size - before.get(one.name, 0) for one in after}
    ranked = sorted(((name, more) for name, more in grown.items() if more > 0), key=lambda one: (-one[1], one[0]))
    largest = sorted(after, key=lambda one: (-one.size, one.name))
    return Growth(tuple(largest[:most]), dict(ranked[:most]))


class Preview(Struct, frozen=True):
    """What would be deleted, oldest first, and how much it frees. ``held``: files left alone because a process has
    them open, which would free nothing; ``blind``: processes may have some open that could not be looked into.
    ``young`` and ``kept``: those left alone for their age and for the floor.
    """

    files: tuple[File, ...]
    size: int
    held: int
    young: int
    kept: int
    blind: bool = False

    def __str__(self) -> str:
        names = ", ".join(one.name for one in self.files[:3]) + (", …" if len(self.files) > 3 else "")
        left = f"left alone: {self.kept} newest, {self.young} too young, {self.held} open"
        left += ", as far as may be seen" * self.blind
        return f"{len(self.files):,} files may go ({names}), {said(self.size)}; {left}"


@look
def preview(
    place: Folder, *, older_than: Span = "1d", keep: int = 2, match: str = "*", down_to: int | None = None
) -> Preview:
    """What may go: of the files the plan lets be deleted and that are like ``match``, those not changed for
    ``older_than``; never the ``keep`` newest of them. ``down_to``: stop once the folder would hold no more bytes.
    """
    where = place.where
    now = time.time_ns()  # noqa: TID251  # a step is the world outside: how old a file is says this machine's clock
    before = now - parse_duration(older_than) // SECOND * 10**9
    with _opened(where) as top:
        everything = list(_below(top))
        device = os.fstat(top).st_dev
    there = sorted(
        (one for one in everything if _may_go(where, one.name) and _like(one.name, match)),
        key=lambda one: (one.changed, one.name),
    )
    floor = max(0, len(there) - max(0, keep))
    old = [one for one in there[:floor] if one.changed <= before]
    open_now, blind = _open_files(device)
    loose = [one for one in old if one.inode not in open_now]
    files: list[File] = []
    left = sum(one.size for one in everything)
    for one in loose[:MOST_DELETED]:
        if down_to is not None and left <= down_to:
            break
        files.append(one)
        left -= one.size
    return Preview(
        tuple(files), sum(one.size for one in files), len(old) - len(loose), floor - len(old), len(there) - floor, blind
    )


class Deleted(Struct, frozen=True):
    """What went: ``files`` of ``size`` bytes. ``left``: were not there any more, or are not what they were."""

    files: int
    size: int
    left: int

    def __str__(self) -> str:
        return f"{self.files:,} files deleted, {said(self.size)} freed" + (
            f"; {self.left} left alone" * bool(self.left)
        )


@fix(idempotent=True, says="delete {files} files below {place}", undo="it cannot be: what is deleted is gone")
def delete(place: Folder, files: tuple[File, ...]) -> Deleted:
    """Delete these files, each only if the plan lets it go and it is still the very file of the preview, unchanged.

    Each folder on the way is opened in turn and never through a link, so what is deleted lies below the declared one.
    """
    where, gone, freed = place.where, 0, 0
    with _opened(where) as top:
        for one in files:
            with suppress(OSError):
                if _may_go(where, one.name) and _unlinked(top, one):
                    gone, freed = gone + 1, freed + one.size
    return Deleted(gone, freed, len(files) - gone)


@look
def was_rotated(place: Folder, file: File) -> bool:
    """Whether a name is not the file any more that was looked at: moved away, replaced, or cut shorter."""
    now = _now(place.where, file.name)
    return now is None or now.inode != file.inode or now.size < file.size


@fix(
    probe=was_rotated,
    says="rotate {file} of {place} with the plan's command",
    undo="the rotated file stays beside it, as the command leaves it",
)
def rotate(place: Folder, file: File, *, within: Span = "2m") -> str:
    """Run the plan's ``rotate`` (such as ``logrotate -f …``) for a file that grows, unless it was rotated by now.

    A file that is written to is neither deleted nor cut here: whoever writes it must be told to go on in another one,
    which is what the plan's command is for. Raises Trouble without one, when it fails, and when the file is after it
    what it was.
    """
    from tocsin.library.commands import succeed  # and with it asyncio: for who rotates alone

    where = place.where
    if not where.rotate:
        raise Trouble(f"the plan does not say how {place.name} is rotated: rotate: [logrotate, -f, /etc/logrotate.d/…]")
    if was_rotated(place, file):
        return f"{file.name} was rotated already"
    succeed(where.rotate, None, {}, within)
    if not was_rotated(place, file):
        raise Trouble(f"{where.rotate[0]} ended well, and {file.name} is what it was: is it told of that one?")
    now = _now(where, file.name)
    left = f"holds {said(now.size)}" if now else "is gone"
    return f"{file.name} was rotated: it held {said(file.size)}, and {left} now"


def said(size: int) -> str:
    """Bytes as people say them."""
    if size < 1000:
        return f"{size} bytes"
    amount = float(size)
    for unit in ("kB", "MB", "GB"):
        amount /= 1000
        if amount < 999.5:
            return f"{amount:.0f} {unit}" if amount >= 10 else f"{amount:.1f} {unit}"
    return f"{amount / 1000:.1f} TB"


# -- below a folder, and nowhere else ----------------------------------------------------------------------------------


@contextmanager
def _opened(where: Where) -> Iterator[int]:
    path = PurePosixPath(where.folder)
    if not path.is_absolute() or ".." in path.parts or len(path.parts) < 3:
        raise Trouble("a folder is declared by its absolute path, at least two names deep: /var/log/shop")
    try:
        top = os.open(path, _BELOW)
    except OSError as error:
        raise Trouble(f"the folder cannot be opened: {error.strerror} (a link is not followed)") from None
    try:
        yield top
    finally:
        os.close(top)


def _below(top: int) -> Iterator[File]:
    """The regular files below an open folder, on its own file system. Folders that may not be read are passed over."""
    device, seen = os.fstat(top).st_dev, 0
    for folder, names, files, at in os.fwalk(".", topdown=True, follow_symlinks=False, dir_fd=top):
        if len(PurePosixPath(folder).parts) >= DEEPEST:
            names.clear()
        here = PurePosixPath(folder)
        for name in files:
            seen += 1
            if seen > MOST_LOOKED_AT:
                raise Trouble(f"there are more than {MOST_LOOKED_AT:,} files: declare a smaller folder")
            with suppress(OSError):
                one = os.stat(name, dir_fd=at, follow_symlinks=False)
                if stat.S_ISREG(one.st_mode) and one.st_dev == device:
                    path = (here / name).as_posix()
                    if len(path) <= LONGEST_NAME and path.isprintable():
                        yield _file(path, one)


def _file(name: str, one: os.stat_result) -> File:
    return File(name, one.st_blocks * 512, one.st_ino, one.st_mtime_ns)


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


def _now(where: Where, name: str) -> File | None:
    """What a name below the folder is now; None when it is no file there."""
    with _opened(where) as top, suppress(OSError), _folder_of(top, name) as (at, own):
        one = os.stat(own, dir_fd=at, follow_symlinks=False)
        if stat.S_ISREG(one.st_mode):
            return _file(name, one)
    return None


def _unlinked(top: int, one: File) -> bool:
    with _folder_of(top, one.name) as (at, name):
        now = os.stat(name, dir_fd=at, follow_symlinks=False)
        same = stat.S_ISREG(now.st_mode) and (now.st_ino, now.st_mtime_ns) == (one.inode, one.changed)
        if same and now.st_dev == os.fstat(top).st_dev:
            os.unlink(name, dir_fd=at)
            return True
        return False


def _may_go(where: Where, name: str) -> bool:
    return any(_like(name, pattern) for pattern in where.delete)


def _like(name: str, pattern: str) -> bool:
    """A pattern with a slash is of the whole path below the folder, one without of the file's own name."""
    return fnmatchcase(name if "/" in pattern else name.rpartition("/")[2], pattern)


def _open_files(device: int) -> tuple[set[int], bool]:
    """The inodes of a file system that a process has open, as far as Tocsin's user may see; and whether there may be
    more: a process may not be looked into, or those of the machine are not there, as in a confined run.
    """
    found: set[int] = set()
    blind = _first_process() == "bwrap"
    for process in Path("/proc").iterdir():
        if process.name.isdigit():
            try:
                for each in os.scandir(process / "fd"):
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
        return Path("/proc/1/comm").read_text().strip()
    except OSError:
        return ""
