"""Whether there is room left where a database lies."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path
from tempfile import TemporaryFile

LEAST_ROOM = 16 * 1024 * 1024
TRIED = 1024 * 1024
_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT})


def next_to_none(folder: Path) -> bool:
    """Whether a folder's disk is full, or what its user may have of it is used up; False where nobody can say.

    A quota is in no number of the file system's: it is tried.
    """
    try:
        if shutil.disk_usage(folder).free < LEAST_ROOM:
            return True
        with TemporaryFile(dir=folder) as file:
            os.posix_fallocate(file.fileno(), 0, TRIED)
    except OSError as error:  # it may be gone as a whole
        return error.errno in _NO_ROOM
    return False
