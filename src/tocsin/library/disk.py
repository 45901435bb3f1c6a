"""A folder or file system that fills: find what is large and what grows, rotate it, preview, delete what may go.

For folders on the machine Tocsin runs on, and on machines with ``python3`` reached by SSH (``on: web-1``). A target
is ``{folder: /var/log/shop, delete: ['*.log.*']}`` in the plan: nothing outside the folder and nothing that is not like
one of ``delete`` is ever touched, and no symbolic link is followed, whoever puts one there in the middle of it. What is
done below the folder does ``below``, the same code here and there.
"""

from __future__ import annotations

from typing import Any, ClassVar

import msgspec
from msgspec import Struct

from tocsin.kernel.instant import SECOND, parse_duration
from tocsin.library import below, carried
from tocsin.library.described import Refused
from tocsin.library.described import Trouble as Trouble
from tocsin.playbooks.language import Span, Target, fix, look


class Where(Struct, frozen=True):
    """What the plan says of a folder. ``delete``: patterns of what may go; () when nothing may.

    ``rotate``: the command that rotates the logs in it, where a step may have it run. ``on``: the machine it lies on
    (see ``ssh.Reach``), None for this one.
    """

    folder: str
    delete: tuple[str, ...] = ()
    rotate: tuple[str, ...] = ()
    on: dict[str, Any] | None = None
    secrets: dict[str, str] = {}


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
    return msgspec.convert(_ask(place.where, "usage"), Usage)


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
    seconds = parse_duration(over) / SECOND
    return msgspec.convert(_ask(place.where, "growth", seconds, seconds=seconds, most=most), Growth)


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
    older = parse_duration(older_than) * 1000  # nanoseconds
    found = _ask(place.where, "preview", older=older, keep=keep, match=match, down_to=down_to)
    return msgspec.convert(found, Preview)


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
    return msgspec.convert(_ask(place.where, "delete", files=msgspec.to_builtins(files)), Deleted)


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
        raise Refused(f"the plan does not say how {place.name} is rotated: rotate: [logrotate, -f, /etc/logrotate.d/…]")
    if was_rotated(place, file):
        return f"{file.name} was rotated already"
    succeed(where.rotate, carried.machine(where.on), where.secrets, within)
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


def _now(where: Where, name: str) -> File | None:
    """What a name below the folder is now; None when it is no file there."""
    return msgspec.convert(_ask(where, "now", name=name)["file"], File | None)


def _ask(where: Where, what: str, waits: float = 0, **more: Any) -> dict[str, Any]:
    """Ask ``below``, where the folder is. Raises Trouble when it cannot say."""
    asked = {"what": what, "folder": where.folder, "delete": list(where.delete), **more}
    return carried.ask(below, where.on, where.secrets, asked, waits)
