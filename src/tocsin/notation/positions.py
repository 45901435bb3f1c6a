"""Where something stands in the plan's files."""

from __future__ import annotations

from typing import Generic, NamedTuple, TypeVar

T = TypeVar("T")


class Position(NamedTuple):
    """A place in a file, counted from 1 as editors do; columns count characters."""

    file: str
    line: int
    column: int

    def seen_from(self, other: Position) -> str:
        """How to name this place to a reader who stands at ``other``: the file only when it is another one."""
        return f"on line {self.line}" if self.file == other.file else f"in {self.file}:{self.line}"


class Placed(NamedTuple, Generic[T]):
    """A value, and where it was written."""

    value: T
    at: Position
