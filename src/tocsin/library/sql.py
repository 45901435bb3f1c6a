"""One's own statements on a database that is a target: to look with, and to change with. PostgreSQL for now.

Values go in as parameters (``%(name)s``), never by putting texts together; a statement is one statement, in a
transaction of its own, with a time it may take. Needs the extra ``postgres``.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import msgspec
from msgspec import Struct

from tocsin.kernel.instant import SECOND, parse_duration
from tocsin.library.postgres.server import Refused, Server, connected
from tocsin.playbooks.language import Span, fix, look

MOST_ROWS = 1_000
MOST_BYTES = 128 * 1024
"""So many bytes rows have as JSON: what a step answers is written down."""
LONGEST_TEXT = 4_000
LONGEST = 10 * 60 * SECOND
COUNTED = ("INSERT", "UPDATE", "DELETE", "MERGE")
"""Commands that say how many rows they changed."""
WARM = ("psycopg",)

Value = str | int | float | bool | None


class Rows(Struct, frozen=True):
    """What a statement answered. ``more``: there was more than had room. What JSON does not have is a text."""

    columns: tuple[str, ...]
    rows: tuple[tuple[Value, ...], ...]
    more: bool = False

    def __str__(self) -> str:
        number = f"{'more than ' if self.more else ''}{len(self.rows):,} row{'s' * (len(self.rows) != 1)}"
        if not self.rows:
            return number
        first = ", ".join(f"{name} {value}" for name, value in zip(self.columns, self.rows[0], strict=True))
        return f"{number}; first: {first}"

    @property
    def value(self) -> Value:
        """The first column of the first row; None without one."""
        return self.rows[0][0] if self.rows and self.rows[0] else None


@look
def rows(
    server: Server, statement: str, values: Mapping[str, Value] | None = None, *, most: int = 100, within: Span = "5s"
) -> Rows:
    """Ask something. The transaction is read-only: a statement that would write fails.

    At most ``most`` rows are read (1,000), and 128 KiB of them, then the statement is cancelled. What it may see, and
    which functions it may call, is the reading user's right: give it no more than it needs.
    """
    read: list[tuple[Value, ...]] = []
    room, more = MOST_BYTES, False
    with _once(server, within, read_only=True) as connection, connection.cursor() as cursor:
        # Row by row, so that a table of a billion rows is not fetched for its first hundred.
        answers = cursor.stream(statement.encode(), values)
        for found in answers:
            one = tuple(map(_plain, found))
            room -= len(msgspec.json.encode(one)) + 1
            if len(read) >= min(most, MOST_ROWS) or room < 0:
                more = True
                break
            read.append(one)
        columns = tuple(str(column.name) for column in cursor.description or ())
        answers.close()
    return Rows(columns, tuple(read), more)


@fix(
    says="run a statement on {server} that changes {most} rows at most",
    undo="by another statement: it is written to the database",
)
def change(
    server: Server,
    statement: str,
    values: Mapping[str, Value] | None = None,
    *,
    most: int,
    uncounted: bool = False,
    within: Span = "10s",
) -> int:
    """Change something, once: interrupted in the middle of it, the run is handed over.

    Answers how many rows it changed. One that changes more than ``most`` is rolled back, and raises Trouble: say how
    many you mean. What triggers and the statements of a WITH change is not counted.

    ``uncounted``: it may be a statement of which nobody counts what it changes, such as SELECT of a function or
    TRUNCATE, and answers 0 then. Without that such a one is rolled back, and raises Trouble.
    """
    return _changed(server, statement, values, most, uncounted, within)


@fix(
    idempotent=True,
    says="run a statement on {server} that changes {most} rows at most",
    undo="by another statement: it is written to the database",
)
def repeatable(
    server: Server,
    statement: str,
    values: Mapping[str, Value] | None = None,
    *,
    most: int,
    uncounted: bool = False,
    within: Span = "10s",
) -> int:
    """Change something where twice is as good as once, as in ``update … set state = 'off' where id = %(id)s``.

    Otherwise as ``change``.
    """
    return _changed(server, statement, values, most, uncounted, within)


def _changed(
    server: Server, statement: str, values: Mapping[str, Value] | None, most: int, uncounted: bool, within: str
) -> int:
    with _once(server, within, read_only=False) as connection:
        # Sent as one prepared statement: a second one after a semicolon is refused, and so is COMMIT in between.
        cursor = connection.execute(statement.encode(), values or None, prepare=True)
        # The driver has a number for others too, but it is that of the rows they answer, or -1.
        if not (cursor.statusmessage or "").startswith(COUNTED):
            if uncounted:
                return 0
            raise Refused("the statement says not how many rows it changes: rolled back; uncounted lets it")
        changed: int = cursor.rowcount
        if changed > most:
            raise Refused(f"it would change {changed:,} rows, and at most {most:,} are meant: rolled back")
        return changed


@contextmanager
def _once(server: Server, within: str, *, read_only: bool) -> Iterator[Any]:
    """A connection within a transaction that ends with the block: committed, or rolled back by what is raised."""
    span = parse_duration(within)
    if not 0 < span <= LONGEST:
        raise Refused(f"a statement takes more than 0s and at most 10m, not {within}")
    with connected(server, within=span / SECOND) as there:
        there.connection.autocommit = False
        there.connection.read_only = read_only
        with there.connection.transaction():
            yield there.connection


def _plain(value: Any) -> Value:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int) and abs(value) < 2**63:
        return value
    if isinstance(value, float) and math.isfinite(value):
        return value
    text = value if isinstance(value, str) else str(value)
    return text if len(text) <= LONGEST_TEXT else text[: LONGEST_TEXT - 1] + "…"
