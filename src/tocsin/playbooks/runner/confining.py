"""Starts a zygote under bubblewrap: it and all runs it forks have no more of the machine than a confinement says.

The whole zygote is confined, before it imports anything: a child that was forked cannot be confined any more without a
new program, and that costs every run what a zygote costs once. Nothing here asks for root's rights: bubblewrap makes a
user namespace. That is also what keeps a run from the memory, the files and the environment of other processes of
Tocsin's user, which it could reach by /proc otherwise.
"""

from __future__ import annotations

import functools
import os
import shutil
import signal
import stat
import subprocess
import sys
import sysconfig
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from secrets import token_hex
from tempfile import TemporaryDirectory

import msgspec

from tocsin.playbooks.confinement import PRIVATE, SHARED, Confine, Unconfined
from tocsin.playbooks.runner.bounds import MARK, end_marked
from tocsin.playbooks.runner.importing import Imported
from tocsin.playbooks.runner.looking import Looks
from tocsin.playbooks.runner.reading import code_of, scrubbed, unpack

BWRAP = "bwrap"
PACKAGE = "bubblewrap"
MOST_PRIVATE = 256 * 1024 * 1024
"""Bytes that all runs of one confinement have together in /tmp, and again in /dev/shm, which are memory."""
NOTHING = 64 * 1024
PATIENCE = 10.0
ENDED_WITHIN = 1.0
TRIED_WITHIN = 10.0
"""Seconds that whoever reads a plan waits to be told how its playbooks can be confined."""
_TRIED = Looks()
_PROGRAMS = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/nix/store")
_CONFIGURED = (
    "alternatives", "ca-certificates", "crypto-policies", "gai.conf", "group", "host.conf", "hosts", "ld.so.cache",
    "ld.so.conf", "ld.so.conf.d", "localtime", "nsswitch.conf", "passwd", "pki", "protocols", "resolv.conf", "services",
    "ssl/certs", "ssl/openssl.cnf", "timezone",
)  # fmt: skip
"""Of /etc what programs need to find names, users and certificates. No key and no password lies there."""
_KERNEL = ("sys", "sysrq-trigger", "irq", "bus", "fs", "acpi", "scsi")
"""Of /proc what root's user could change without root's rights: the kernel asks for no more than the owner there."""
_ASIDE = 'echo 500 >/proc/self/oom_score_adj 2>/dev/null; exec "$@"'
"""When memory runs out it goes before Tocsin does; once it is confined it may not say so itself."""


def seen(confine: Confine) -> tuple[tuple[int, int], ...]:
    """Which files its paths name now. Another answer later: they were made anew, and an older zygote has the old ones.

    Raises Unconfined for one that is not there, or is a link.
    """
    found = []
    for path in (*confine.read, *confine.write):
        try:
            one = os.lstat(path)
        except OSError as error:
            raise Unconfined(f"its confinement names {path}, which cannot be seen: {error.strerror}") from None
        if stat.S_ISLNK(one.st_mode):
            raise Unconfined(f"its confinement names {path}, which is a link: name what it leads to")
        found.append((one.st_dev, one.st_ino))
    return tuple(found)


def confined(
    confine: Confine, command: Sequence[str], *, code: Path | None = None, hidden: Sequence[Path] = ()
) -> list[str]:
    """A command under bubblewrap. ``code``: a folder it sees as well; ``hidden``: those that are kept from it.

    Raises Unconfined when that cannot be on this machine.
    """
    program = shutil.which(BWRAP)
    if program is None:
        raise Unconfined(f"{PACKAGE} is not on this machine, and it is to be confined (apt-get install {PACKAGE})")
    seen(confine)
    covers = [cover for one in hidden for cover in _covers(confine, one.resolve())]
    return [
        "/bin/sh", "-c", _ASIDE, "sh", program, "--die-with-parent", "--cap-drop", "ALL", "--unshare-user",
        "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try",
        *([] if confine.network else ["--unshare-net"]),
        *_base(confine),
        *_paths(confine),
        *(part for one in covers for part in ("--size", str(NOTHING), "--tmpfs", str(one))),
        *(["--ro-bind", str(code), str(code)] if code is not None else []),
        *(part for one in ("/", *covers) for part in ("--remount-ro", str(one))),
        "--chdir", "/", "--", *command,
    ]  # fmt: skip


def troubles(
    ways: Iterable[Confine], files: Mapping[str, bytes], hidden: Sequence[Path] = (), within: float = TRIED_WITHIN
) -> dict[Confine, Imported | str]:
    """What comes of a plan's code when it is confined so, as found by trying, or why nothing can be confined so on this
    machine. Blocks for some 500 ms each, and for ``within`` seconds in all when a file system does not answer.
    """
    until = time.monotonic() + within
    code = tuple(sorted(code_of(files).items()))
    begun = {
        one: _TRIED.begin((one, code, tuple(hidden)), functools.partial(_tried_or_why, one, files, hidden))
        for one in dict.fromkeys(ways)
    }
    found: dict[Confine, Imported | str] = {}
    for one, (looked, since) in begun.items():
        try:
            found[one] = looked.result(max(0.0, until - time.monotonic()) if since < within else 0.0)
        except TimeoutError:
            found[one] = f"trying it did not end within {within:.0f} s: does a file system not answer?"
    return found


def _tried_or_why(confine: Confine, files: Mapping[str, bytes], hidden: Sequence[Path]) -> Imported | str:
    try:
        return tried(confine, files, hidden)
    except (Unconfined, OSError) as error:
        return str(error)


def tried(confine: Confine, files: Mapping[str, bytes], hidden: Sequence[Path] = ()) -> Imported:
    """Have a plan's code imported confined so, as its zygote would. Blocks as long as that takes: some 500 ms.

    Raises Unconfined when nothing can be confined so on this machine.
    """
    mark = f"trying-{os.getpid()}-{token_hex(8)}"
    with TemporaryDirectory(prefix="tocsin-playbooks-") as place:
        unpack(code_of(files), Path(place))
        command = [sys.executable, "-m", "tocsin.playbooks.runner.importing", place]
        try:
            said = attempt(confined(confine, command, code=Path(place), hidden=hidden), mark)
        finally:
            end_marked(mark)  # what it left behind, where it sees the machine's processes
    try:
        return msgspec.json.decode(said, type=Imported)
    except msgspec.DecodeError:
        raise Unconfined("importing the plan's playbooks ends Python, as it is confined") from None


def attempt(command: Sequence[str], mark: str = "") -> bytes:
    """Run a confined command to its end: what it wrote. Raises Unconfined when it does not come to a good one."""
    try:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            env=scrubbed() | ({MARK: mark} if mark else {}), cwd="/", start_new_session=True,
        )  # fmt: skip
    except OSError as error:
        raise Unconfined(f"{PACKAGE} cannot be run: {error}") from None
    try:
        said, told = process.communicate(timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        with suppress(subprocess.TimeoutExpired):  # one that a file system holds ends when that answers
            process.wait(ENDED_WITHIN)
        raise Unconfined(f"what was confined did not end within {PATIENCE:.0f} s") from None
    if process.returncode != 0:
        words = told.decode(errors="replace").strip().rpartition("\n")[2][:300]
        why = words or f"it ended with {process.returncode}"
        raise Unconfined(f"{PACKAGE} cannot confine it on this machine: {why}")
    return said


def _base(confine: Confine) -> list[str]:
    """The programs, a /proc, a /dev and a /tmp. A /tmp of memory has a bound, or it would be a way to take it all."""
    found: list[str] = []
    for path in _PROGRAMS:
        if Path(path).is_symlink():
            found += ["--symlink", str(Path(path).readlink()), path]
        else:
            found += ["--ro-bind-try", path, path]
    for name in _CONFIGURED:
        found += ["--ro-bind-try", f"/etc/{name}", f"/etc/{name}"]
    if confine.processes:
        found += ["--ro-bind", "/proc", "/proc"]
    else:
        found += ["--unshare-pid", "--proc", "/proc"]
        for name in _KERNEL:
            found += ["--ro-bind-try", f"/proc/{name}", f"/proc/{name}"]
    bounded = ["--size", str(MOST_PRIVATE), "--tmpfs"]
    found += ["--dev", "/dev", *bounded, SHARED, "--remount-ro", "/dev"]
    return [*found, *bounded, PRIVATE, "--dir", "/run"]


def _paths(confine: Confine) -> list[str]:
    """Python, and what is named: outer folders first, so that what lies within another one is laid over it."""
    ways = dict.fromkeys(_python(), "--ro-bind") | dict.fromkeys(confine.read, "--ro-bind")
    ways |= dict.fromkeys(confine.write, "--bind")
    kept: dict[str, str] = {}
    for path in sorted(ways):
        above = next((kept[str(one)] for one in Path(path).parents if str(one) in kept), None)
        if above != ways[path]:  # else it is there already
            kept[path] = ways[path]
    return [part for path, way in kept.items() for part in (way, path, path)]


def _covers(confine: Confine, hidden: Path) -> list[Path]:
    """Where a folder would be seen within what is named. Raises Unconfined when it, or what lies in it, is named."""
    if hidden.is_symlink() or not hidden.is_dir():
        return []
    found = []
    for path in (*_python(), *confine.read, *confine.write):
        true = Path(path).resolve()
        if hidden.is_relative_to(true) and hidden != true:
            found.append(Path(path) / hidden.relative_to(true))
        elif true.is_relative_to(hidden) and path not in _python():
            raise Unconfined(f"its confinement names {path}, which is Tocsin's own")
    return found


@functools.cache
def _python() -> tuple[str, ...]:
    """Where the interpreter and what it can import lie, outside of /usr: as a new one says it, not this one's own path,
    on which the folder may stand that somebody happened to be in.
    """
    try:
        told = subprocess.run(
            [sys.executable, "-c", "import json, sys; print(json.dumps(sys.path[1:]))"],
            capture_output=True, check=True, env=scrubbed(), cwd="/", timeout=PATIENCE,
        ).stdout  # fmt: skip
    except (OSError, subprocess.SubprocessError) as error:
        raise Unconfined(f"it is not known where Python lies: {error}") from None
    places = {sys.prefix, sys.base_prefix, sysconfig.get_path("stdlib"), *msgspec.json.decode(told, type=list[str])}
    places |= {str(Path(one).resolve()) for one in places}
    there = (one for one in places if one.startswith("/") and one != "/" and Path(one).exists())
    return tuple(sorted(one for one in there if not one.startswith("/usr/")))
