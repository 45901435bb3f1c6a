"""The sweeper: a process that outlives the demo by a moment and takes away what it left.

``python -m tocsin.demo.sweeper FOLDER`` reads its standard input, which the demo holds open: ``group N`` names a
process group the demo started, ``gone N`` one that ended. When the input ends, which even ``kill -9`` brings about,
every group still known is ended and FOLDER is removed.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import IO

POLITE = 3.0
"""Seconds a group has after SIGTERM."""


def exists(group: int) -> bool:
    """Whether any process of the group is alive."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def end_groups(groups: Iterable[int], polite: float = POLITE) -> None:
    """SIGTERM each group and, after `polite` seconds, SIGKILL what is left of it. Waits for the end, 5 s at most."""
    left = {group for group in groups if exists(group)}
    for number, seconds in ((signal.SIGTERM, polite), (signal.SIGKILL, 5.0)):
        for group in left:
            for each in (number, signal.SIGCONT):  # a stopped process hears SIGTERM only once it goes on
                try:
                    os.killpg(group, each)
                except (ProcessLookupError, PermissionError):
                    break
        deadline = time.monotonic() + seconds
        while left and time.monotonic() < deadline:
            left = {group for group in left if exists(group)}
            if left:
                time.sleep(0.02)


def sweep(orders: IO[str], folder: Path) -> None:
    """Follow `orders` to their end, then clean up."""
    groups: set[int] = set()
    for line in orders:
        word, _, number = line.strip().partition(" ")
        if word == "group":
            groups.add(int(number))
        elif word == "gone":
            groups.discard(int(number))
    end_groups(groups)
    shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    # Ctrl-C and a closing terminal reach everyone; this one stays for the cleaning.
    for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(each, signal.SIG_IGN)
    sweep(sys.stdin, Path(sys.argv[1]))
