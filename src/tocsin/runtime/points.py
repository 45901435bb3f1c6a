"""The points of a page's way out at which the process may die: named, so that a test can kill it at every one.

``passed`` does nothing. A test's own entry (``tests/faults/node.py``) puts something that kills in its place before it
starts the core; nothing that is shipped reads a setting, a file or an environment variable for it.
What lies between ``CHECKED`` and ``ANSWERED`` is on the wire, where the recipients of the test stop at every stage.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum


class Point(StrEnum):
    """In the order of a page's way."""

    WRITING = "writing"
    """Judged in memory, and the commit has not begun: twice for a page, with its intent and with its outcome."""
    WRITTEN = "written"
    """Committed, and nobody was told: twice as well."""
    TOLD = "told"
    """The commit is known to the loop, and what it holds is not handed on yet: twice as well."""
    QUEUED = "queued"
    """The page is in its channel's lane."""
    CHECKED = "checked"
    """It was looked at once more and its message composed: the next thing are its bytes."""
    ANSWERED = "answered"
    """The channel has its provider's answer."""
    HANDED_IN = "handed_in"
    """The outcome waits for the writer."""


def _nothing(point: Point, about: object) -> None:
    """What happens at a point."""


passed: Callable[[Point, object], None] = _nothing
"""Called at each point. The second argument is the Page, or the Changes of the commit."""
