"""What goes wrong in the demo, and when. A timetable: data, no code.

Times are seconds after everything was green for the first time, at pace 1; a faster demo divides them all.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Deed = Literal["hang", "kill", "start", "log everything", "let a crawler in"]
"""What is done to a process: SIGSTOP, SIGKILL, a new one, SIGUSR1, SIGUSR1."""


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
    ``mends`` None: code fixes it, and nobody may be paged for it. Else ``paged`` are the people who must have mail
    about it, and ``handed_over`` says that code must have looked first and called them.
    """

    title: str
    breaks: Act
    mends: Act | None = None
    service: str
    paged: tuple[str, ...] = ()
    handed_over: bool = False

    @property
    def fixed_by_code(self) -> bool:
        """Whether nobody but a playbook mends it."""
        return self.mends is None


CHAPTERS = (
    Chapter(
        title="A process hangs, and code restarts it",
        breaks=Act(at=8, role="payments", deed="hang", says="payments hangs: process {pid} is stopped (SIGSTOP)"),
        service="payments",
    ),
    Chapter(
        title="A folder fills, and code clears it",
        breaks=Act(
            at=25,
            role="checkout",
            deed="log everything",
            says="checkout, process {pid}, logs every step: its log folder fills",
        ),
        service="checkout",
    ),
    Chapter(
        title="A cart store fills its memory, and code frees it",
        breaks=Act(
            at=41,
            role="storefront",
            deed="let a crawler in",
            says="storefront, process {pid}, keeps the carts of a crawler for ever: Valkey's memory fills",
        ),
        service="carts",
    ),
    Chapter(
        title="A dependency dies, and code hands it over with what it found",
        breaks=Act(
            at=57,
            role="payments",
            deed="kill",
            says="payments dies: process {pid} is gone (SIGKILL), and its supervisor has given up",
        ),
        mends=Act(at=82, role="payments", deed="start", says="payments is started again: process {pid}"),
        service="payments",
        paged=("ana", "ben"),
        handed_over=True,
    ),
    Chapter(
        title="A heartbeat stops",
        breaks=Act(
            at=95, role="worker", deed="kill", says="worker dies: process {pid} is gone, and orders pile up (SIGKILL)"
        ),
        mends=Act(at=113, role="worker", deed="start", says="worker is started again: process {pid} drains the queue"),
        service="worker",
        paged=("ana",),
    ),
)

THE_END = 124.0
"""When everything should be green again."""

FOLDER_LIMIT = 20 * 1024 * 1024
"""Bytes checkout's log folder may hold before its probe fails."""


def without(service: str, chapters: tuple[Chapter, ...] = CHAPTERS) -> tuple[Chapter, ...]:
    """The same without the faults of a service, which cannot be made here. Nothing else moves: the pause is short."""
    return tuple(chapter for chapter in chapters if chapter.service != service)


def timetable(chapters: tuple[Chapter, ...] = CHAPTERS) -> list[tuple[Chapter, Act]]:
    """Every act with its chapter, in order of time."""
    acts = [(chapter, act) for chapter in chapters for act in (chapter.breaks, chapter.mends) if act]
    return sorted(acts, key=lambda pair: pair[1].at)
