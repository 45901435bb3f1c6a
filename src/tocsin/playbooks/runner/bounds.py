"""What holds for every process in which code of a plan runs: limits, and a mark by which all it started is found."""

from __future__ import annotations

import ctypes
import os
import resource
import select
import signal
import time
from contextlib import suppress
from pathlib import Path

MARK = "TOCSIN_RUNNER"
"""The name of the mark in a process's environment. Whatever it starts has it too."""
SUBREAPER = 36
MOST_FILE = 256 * 1024 * 1024
MOST_MEMORY = 4 * 1024**3
MOST_OPEN = 1_024


def bound() -> None:
    """Give this process its limits. What it forks has them too."""
    for what, most in (
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, MOST_FILE),
        (resource.RLIMIT_NOFILE, MOST_OPEN),
        (resource.RLIMIT_AS, MOST_MEMORY),
    ):
        limit(what, most)
    with suppress(OSError):  # when memory runs out, it goes before Tocsin does
        Path("/proc/self/oom_score_adj").write_text("500")


def limit(what: int, most: int) -> None:
    """Set one limit, for good."""
    hard = resource.getrlimit(what)[1]
    with suppress(OSError, ValueError):  # a service that may not set limits has its own
        resource.setrlimit(what, (most, most) if hard == resource.RLIM_INFINITY or hard > most else (hard, hard))


def adopt() -> None:
    """Have processes whose parent ends below this one come to it. Only Linux can."""
    if hasattr(ctypes.CDLL(None), "prctl"):
        ctypes.CDLL(None).prctl(SUBREAPER, 1, 0, 0, 0)


def children() -> set[int]:
    """The processes that this one started, in whatever thread, or that came to it (``adopt``); ended ones that nobody
    has waited for are among them. None where the system does not say, as on macOS: a plan is written there, and kept in
    force on Linux.
    """
    found = set[int]()
    for place in Path("/proc/self/task").glob("*/children"):
        with suppress(OSError):  # a thread that ends meanwhile leaves its own to another one
            found.update(map(int, place.read_text().split()))
    return found


def lasting(known: set[int], patience: float) -> set[int]:
    """Children but these that still run after so many seconds. Waits for what is ending, and takes no process away:
    whoever started one may ask yet how it ended. Python's own helper that ends with its process does not count.
    """
    until = time.monotonic() + patience
    found, seen = set[int](), set(known)
    while new := children() - seen:  # what ends leaves its own to this one
        seen |= new
        found |= {pid for pid in new if not _ends(pid, until) and not _is_tracker(pid)}
    return found


def _ends(pid: int, until: float) -> bool:
    try:
        descriptor = os.pidfd_open(pid)
    except OSError:
        return True
    try:
        return bool(select.select([descriptor], [], [], max(0.0, until - time.monotonic()))[0])
    finally:
        os.close(descriptor)


def _is_tracker(pid: int) -> bool:
    """Whether it is what ``multiprocessing`` starts at the first lock or shared memory, and again when it is gone."""
    with suppress(OSError):
        return b"multiprocessing.resource_tracker" in Path(f"/proc/{pid}/cmdline").read_bytes()
    return False


def end_strays(known: set[int]) -> None:
    """End all children of this process but these, and what comes to it by that."""
    for _ in range(20):
        strays = children() - known
        if not strays:
            return
        for pid in strays:
            with suppress(OSError):
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)


def end_marked(mark: str) -> int:
    """End every process that carries a mark in its environment. Says how many."""
    wanted = f"{MARK}={mark}".encode()
    ended = 0
    for place in Path("/proc").iterdir():
        if not place.name.isdigit() or int(place.name) == os.getpid():
            continue
        with suppress(OSError):
            if wanted in (place / "environ").read_bytes().split(b"\0"):
                os.kill(int(place.name), signal.SIGKILL)
                ended += 1
    return ended
