"""The plan folder as the faces look at it: what lies there may not be in force."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

from tocsin.kernel.instant import Instant

Files = Mapping[str, bytes]


class OnDisk:
    """How the plan folder is read: as it is ``written``, and ``whole``, with what its playbooks declare; both raise
    PlanFolderError. ``one``: whoever compares plans holds it, so that one comparison runs at a time.
    """

    def __init__(self, written: Callable[[], Files], whole: Callable[[], Files]) -> None:
        self.written = written
        self.whole = whole
        self.one = asyncio.Lock()
        self.looked: tuple[Instant, str, bool] | None = None
        """When it was looked at last, beside which version, and whether it held something else."""
