"""A run may not signal what it runs in: the process it was forked from, which others at work were too, and Tocsin.

Whoever did it would end them all, and nobody could say afterwards which of them it was. So it is refused where it
happens, and is the failure of that run alone. What a run has another program do is out of reach of this.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

EVERYBODY = -1


def spare_ancestors() -> None:
    """Refuse signals to what this process runs in, from now on, to it and to what it forks."""
    own = os.getpid()

    def hook(event: str, given: tuple[object, ...]) -> None:
        if event not in ("os.kill", "os.killpg"):
            return
        whom, number = given
        if not isinstance(whom, int) or number == 0:
            return
        if event == "os.killpg":
            whom = -whom
        if _reaches(whom, own):
            what = "everything" if whom == EVERYBODY else f"process {abs(whom)}"
            raise PermissionError(f"{what} is not signalled from here: this run itself runs in it")

    sys.addaudithook(hook)


def _reaches(whom: int, own: int) -> bool:
    """Whether a signal reaches an ancestor. ``whom``: as ``kill`` takes it: below 0 a process group, 0 one's own."""
    if whom in (0, EVERYBODY):
        return whom == EVERYBODY
    above = list(_above(own))
    if whom > 0:
        return whom in above
    return any(_group(pid) == -whom for pid in above)


def _above(pid: int) -> Iterator[int]:
    """The ancestors of a process, the nearest first; where /proc is not there its parent alone."""
    if pid == os.getpid():
        yield os.getppid()
    while pid > 1:
        try:
            # The name in the middle may hold anything, so what follows it is read from behind.
            pid = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
        except (OSError, ValueError, IndexError):
            return
        yield pid


def _group(pid: int) -> int:
    with suppress(OSError):
        return os.getpgid(pid)
    return 0
