"""The plan folder as the faces look at it: what lies there may not be in force."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from tocsin.kernel.instant import Instant

Files = Mapping[str, bytes]


class Look(NamedTuple):
    """What a look at the plan folder showed. ``waits``: it holds other files than those in force. ``unusable``: a
    sentence, why it cannot be told; "" when it can.
    """

    waits: bool = False
    unusable: str = ""


class OnDisk:
    """How the plan folder is read: as it is ``written``, and ``whole``, with what its playbooks declare; both raise
    PlanFolderError.
    """

    def __init__(self, written: Callable[[], Files], whole: Callable[[], Files]) -> None:
        self.written = written
        self.whole = whole
        self.looked: tuple[Instant, str, Look] | None = None
        """When it was looked at last, beside which version, and what was seen."""
