"""Disk: is there room left where a path lies?

Options: ``used_percent`` (fails at this much or more, counted as df counts it) and ``free_bytes`` (fails below it); or
``folder_bytes``, which looks at the folder alone: the sizes of all files below it may add up to so much. Symbolic links
are not followed, other file systems not entered; at most 100,000 entries are counted, and a folder with more fails.
A file system without a free inode is full, whatever its blocks say. The look happens aside: on a network mount whose
server is gone it may never return, and that is a failure said as such.
"""

from __future__ import annotations

import os
from math import ceil
from pathlib import Path

from tocsin.intake.checked import Checked, Measured
from tocsin.intake.probed import PERCENT, Looks, Probed, said
from tocsin.intake.probes.amounts import size_of
from tocsin.intake.specs import ProbeSpec
from tocsin.kernel.instant import SECOND, Instant
from tocsin.kernel.outside import Outside
from tocsin.notation.decoder import Field
from tocsin.notation.findings import Findings
from tocsin.notation.words import PATH, SIZE

_MOST_ENTRIES = 100_000


async def check(spec: ProbeSpec, now: Instant, outside: Outside) -> Checked:
    """Ask the file system once."""
    if "folder_bytes" in spec.options:
        return await _check_folder(spec, outside)
    path, timeout = spec.target, spec.timeout / SECOND
    try:
        found = await outside.aside(f"disk:{path}", lambda: os.statvfs(path), within=timeout)
    except TimeoutError:
        return Checked(False, f"The disk at {path} did not answer within {timeout:g} s")
    except FileNotFoundError:
        return Checked(False, f"{path} does not exist, so nothing is known of its disk")
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        return Checked(False, f"The disk at {path} cannot be looked at: {reason}")
    used, free = found.f_blocks - found.f_bfree, found.f_bavail
    percent = ceil(100 * used / (used + free)) if used + free else 0  # rounded up, as df does
    free_bytes = free * found.f_frsize
    facts = {"used_percent": str(percent), "free_bytes": str(free_bytes)}
    said = f"The disk at {path} is {percent}% full, {size_of(free_bytes)} free"
    try:
        most = float(spec.options.get("used_percent", "inf").removesuffix("%"))
        least = int(spec.options.get("free_bytes", "0"))
    except ValueError as error:
        return Checked(False, f"The disk at {path} could not be judged: this probe is set wrong: {error}", facts)
    measured = Measured("disk used", percent, "%", most if most <= 100 else None)
    if percent >= most:
        return Checked(False, f"{said}; the limit is {most:g}%", facts, measured)
    if free_bytes < least:
        return Checked(False, f"{said}; at least {size_of(least)} are wanted", facts, measured)
    if found.f_files and not found.f_favail:
        return Checked(False, f"The disk at {path} can take no more files: every inode is in use", facts, measured)
    return Checked(True, said, facts, measured)


async def _check_folder(spec: ProbeSpec, outside: Outside) -> Checked:
    path, timeout = spec.target, spec.timeout / SECOND
    try:
        most = int(spec.options["folder_bytes"])
        held, entries = await outside.aside(f"folder:{path}", lambda: _held(path), within=timeout)
    except TimeoutError:
        return Checked(False, f"{path} could not be counted within {timeout:g} s")
    except FileNotFoundError:
        return Checked(False, f"{path} does not exist, so nothing is known of its size")
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        return Checked(False, f"{path} cannot be looked at: {reason}")
    facts = {"folder_bytes": str(held), "entries": str(entries)}
    if entries > _MOST_ENTRIES:
        return Checked(False, f"{path} holds more than {_MOST_ENTRIES:,} files and folders", facts)
    said, measured = f"{path} holds {size_of(held)}", Measured("folder holds", held, "bytes", most)
    if held > most:
        return Checked(False, f"{said}; the limit is {size_of(most)}", facts, measured)
    return Checked(True, said, facts, measured)


def _held(path: str) -> tuple[int, int]:
    """Bytes in a folder and all below it, and how many entries were counted. What vanishes meanwhile is left out.

    OSError when the folder itself cannot be read.
    """
    device = Path(path).stat().st_dev
    held = entries = 0
    folders = [path]
    while folders:
        folder = folders.pop()
        try:
            listing = os.scandir(folder)
        except OSError:
            if folder == path:
                raise
            continue
        with listing:
            for entry in listing:
                entries += 1
                if entries > _MOST_ENTRIES:
                    return held, entries
                try:
                    found = entry.stat(follow_symlinks=False)
                except OSError:
                    continue
                if entry.is_dir(follow_symlinks=False):
                    if found.st_dev == device:
                        folders.append(entry.path)
                else:
                    held += found.st_size
    return held, entries


class DiskProbe(Probed):
    """Looks how full the file system of a path is."""

    what = "a disk probe"
    exclusive = (("used", "free", "contents"),)
    disk = Field(PATH, "An absolute path on the disk to watch.", required=True)
    used = Field(PERCENT, "Used this much or more is a failure. Default: 90%.")
    free = Field(SIZE, "Less free than this is a failure, such as 2GB.")
    contents = Field(SIZE, "The folder holding more than this is a failure, such as 500MB.")

    def looks_at(self, findings: Findings) -> Looks:
        """A path, and one of ``used_percent`` such as ``90`` or ``97.5``; ``free_bytes``; ``folder_bytes``, the most
        its contents may take.
        """
        limits = said(free_bytes=self.free) or said(folder_bytes=self.contents)
        return self.disk or "", limits or {"used_percent": self.used or "90"}


PROBE = DiskProbe
