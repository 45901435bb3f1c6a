"""What goes wrong in the demo, and when. A timetable: data, no code.

Times are seconds after everything was green for the first time, at pace 1; a faster demo divides them all.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Deed = Literal["hang", "resume", "kill", "start", "log everything", "clear the log"]
"""What is done to a process: SIGSTOP, SIGCONT, SIGKILL, a new one, SIGUSR1, SIGUSR2."""


@dataclass(frozen=True, kw_only=True)
class Act:
    """One thing done to one process of the shop. ``says`` tells it in a sentence; ``{pid}`` is the process's."""

    at: float
    role: str
    deed: Deed
    says: str


@dataclass(frozen=True, kw_only=True)
class Chapter:
    """One fault from breaking to mending, and what Tocsin has to make of it when nobody answers.

    ``service`` is the one whose incident must be open at some moment in between and resolved before the next chapter.
    ``paged`` are the people who must have mail about it.
    """

    title: str
    breaks: Act
    mends: Act
    service: str
    paged: tuple[str, ...]


CHAPTERS = (
    Chapter(
        title="A process hangs",
        breaks=Act(at=8, role="payments", deed="hang", says="payments hangs: process {pid} is stopped (SIGSTOP)"),
        mends=Act(at=36, role="payments", deed="resume", says="payments goes on: process {pid} runs again (SIGCONT)"),
        service="payments",
        paged=("ana", "ben"),
    ),
    Chapter(
        title="A folder fills",
        breaks=Act(
            at=50,
            role="checkout",
            deed="log everything",
            says="checkout, process {pid}, logs every step: its log folder fills",
        ),
        mends=Act(
            at=68,
            role="checkout",
            deed="clear the log",
            says="checkout is told to stop that, and the log is thrown away",
        ),
        service="checkout",
        paged=("ana",),
    ),
    Chapter(
        title="A dependency dies",
        breaks=Act(at=82, role="payments", deed="kill", says="payments dies: process {pid} is gone (SIGKILL)"),
        mends=Act(at=100, role="payments", deed="start", says="payments is started again: process {pid}"),
        service="payments",
        paged=("ana",),
    ),
    Chapter(
        title="A heartbeat stops",
        breaks=Act(
            at=114, role="worker", deed="kill", says="worker dies: process {pid} is gone, and orders pile up (SIGKILL)"
        ),
        mends=Act(at=134, role="worker", deed="start", says="worker is started again: process {pid} drains the queue"),
        service="worker",
        paged=("ana",),
    ),
)

THE_END = 146.0
"""When everything should be green again."""

FOLDER_LIMIT = 20 * 1024 * 1024
"""Bytes checkout's log folder may hold before its probe fails."""


def timetable(chapters: tuple[Chapter, ...] = CHAPTERS) -> list[tuple[Chapter, Act]]:
    """Every act with its chapter, in order of time."""
    acts = [(chapter, act) for chapter in chapters for act in (chapter.breaks, chapter.mends)]
    return sorted(acts, key=lambda pair: pair[1].at)
