"""What holds for every process in which code of a plan runs: limits, and a mark by which all it started is found."""

from __future__ import annotations

import ctypes
import os
import resource
import signal
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


def has_children() -> bool:
    """Whether a process that this one started, or that came to it (``adopt``), is still its child. Takes none away."""
    if not hasattr(os, "waitid"):  # macOS: a plan is written there, and kept in force on Linux
        return False
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return False
    return True


def end_strays(known: set[int]) -> None:
    """End all children of this process but these, and what comes to it by that."""
    place = Path(f"/proc/self/task/{os.getpid()}/children")
    for _ in range(20 if place.exists() else 0):
        text = place.read_text()
        strays = [pid for pid in map(int, text.split()) if pid not in known]
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
