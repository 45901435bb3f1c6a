"""What there is to say about a plan: findings, all at once, each with its place and what to write instead."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from difflib import get_close_matches
from typing import Literal

from msgspec import Struct

from tocsin.kernel.instant import Instant
from tocsin.notation.positions import Position

Level = Literal["error", "warning", "notice"]

MAX_FINDINGS = 500
"""More than anyone reads. The rest is counted."""

_COMPARED = 1_000_000
"""How many words are compared in search of hints, about a second's worth; findings after that go without."""

_SHOWN = 60


class Finding(Struct, frozen=True):
    """One thing to know about a plan. An ``error`` refuses the plan; a ``warning`` or a ``notice`` lets it stand.

    ``line`` and ``column`` count from 1. ``hint`` says what to write instead; "" when there is nothing to add.
    """

    level: Level
    file: str
    line: int
    column: int
    message: str
    hint: str = ""

    def __str__(self) -> str:
        place = f"{_one_line(self.file)}:{self.line}:{self.column}"
        hint = f"\n    {_one_line(self.hint)}" if self.hint else ""
        return f"{place}: {self.level}: {_one_line(self.message)}{hint}"


class Findings:
    """Collects findings while a plan is read.

    ``now``: from when on those that look ahead do; 0 where that is not known: from where things begin.
    """

    def __init__(self, now: Instant = 0) -> None:
        self.now = now
        self._kept: list[Finding] = []
        self._more = 0
        self._compared = 0
        self.errors = 0

    def error(self, at: Position, message: str, hint: str = "") -> None:
        """Refuse the plan for this."""
        self.errors += 1
        self._add("error", at, message, hint)

    def warning(self, at: Position, message: str, hint: str = "") -> None:
        """Say what will probably surprise; the plan stands."""
        self._add("warning", at, message, hint)

    def notice(self, at: Position, message: str, hint: str = "") -> None:
        """Say what is good to know."""
        self._add("notice", at, message, hint)

    def may_compare(self, words: int) -> bool:
        """Whether a hint may still be looked for among so many words: not for findings that will only be counted."""
        self._compared += words
        return len(self._kept) < MAX_FINDINGS and self._compared <= _COMPARED

    def nearest(self, word: str, known: Collection[str]) -> str:
        """The hint for an unknown word: the nearest known one, or all of them when they are few."""
        if not self.may_compare(len(known)):
            return ""
        names = list(known)
        close = nearest(word, names)
        if close:
            return f"did you mean {close}?"
        if not names:
            return ""
        return f"known here: {', '.join(names)}" if len(names) <= 20 else ""

    def sorted(self) -> tuple[Finding, ...]:
        """Everything found, by file and line."""
        found = sorted(self._kept, key=lambda one: (one.file, one.line, one.column))
        if self._more:
            last = found[-1]
            level: Level = "error" if self.errors else "warning"
            found.append(Finding(level, last.file, last.line, last.column, f"and {self._more} more like these"))
        return tuple(found)

    def _add(self, level: Level, at: Position, message: str, hint: str) -> None:
        if len(self._kept) >= MAX_FINDINGS:
            self._more += 1
        else:
            self._kept.append(Finding(level, at.file, at.line, at.column, message, hint))


def nearest(word: str, known: Iterable[str]) -> str:
    """The known word nearest to ``word``, or "" when none is near."""
    by_folded: dict[str, str] = {}
    for name in known:
        by_folded.setdefault(_folded(name), name)
    close = get_close_matches(_folded(word[:_SHOWN]), by_folded, n=1, cutoff=0.6)
    return by_folded[close[0]] if close else ""


def shown(text: str) -> str:
    """A text as a message quotes it: on one line, shortened, in single quotes."""
    return f"'{_one_line(text if len(text) <= _SHOWN else text[: _SHOWN - 1] + '…')}'"


def _folded(text: str) -> str:
    return text.casefold().replace("_", " ").replace("-", " ")


def _one_line(text: str) -> str:
    return text if text.isprintable() else "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)
