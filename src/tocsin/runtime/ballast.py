"""Room kept for the day the disk is full: a file that is let go, so that pages can still be written down."""

from __future__ import annotations

import contextlib
import os
import shutil
from pathlib import Path

SIZE = 32 * 1024 * 1024
ENOUGH = 2 * SIZE
"""This much must be free before intake is opened again and the ballast taken back."""


class Ballast:
    """One file in the data folder."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def take(self) -> bool:
        """Set the room aside, when there is enough of it; says whether it is set aside now."""
        if self._path.exists() and self._path.stat().st_size == SIZE:
            return True
        if shutil.disk_usage(self._path.parent).free < ENOUGH:
            return False
        try:
            with self._path.open("wb") as file:
                os.posix_fallocate(file.fileno(), 0, SIZE)
        except OSError:
            self.release()
            return False
        return True

    @property
    def wants(self) -> str:
        """What it needs to be taken, and what there is."""
        free = shutil.disk_usage(self._path.parent).free
        return f"{ENOUGH >> 20} MB have to be free on the data folder's disk, {free >> 20} MB are"

    def release(self) -> bool:
        """Let the room go; says whether there was any."""
        there = self._path.exists()
        with contextlib.suppress(OSError):
            self._path.unlink(missing_ok=True)
        return there
