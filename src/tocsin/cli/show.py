"""How facts are printed: tables and sheets for people, JSON for scripts.

On a terminal rich draws (and is imported only then). Into a pipe or a file go plain aligned columns: no colour, no
lines drawn, nothing cut off.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple, TypeVar

import click

from tocsin.cli.text import clean, width
from tocsin.kernel.instant import Instant, parse_rfc3339

ON_A_TERMINAL = 100
"""How many rows a person is shown unless they ask for more."""

F = TypeVar("F", bound=Callable[..., Any])


class Cell(NamedTuple):
    """A text with a weight: ``ring`` (wants you), ``held`` (somebody has it), ``rest`` (well), ``mute`` (can wait)."""

    text: str
    weight: str = ""


class Column(NamedTuple):
    """``least``: on a terminal with fewer cells the column is left out; 0 keeps it always. ``wide``: it may wrap."""

    head: str
    least: int = 0
    wide: bool = False
    right: bool = False


Row = Sequence[str | Cell]

STYLES = {"ring": "bold red", "held": "yellow", "rest": "green", "mute": "dim", "head": "bold", "": ""}
STATE_WEIGHTS = {
    "triggered": "ring",
    "acknowledged": "held",
    "resolved": "rest",
    "firing": "ring",
    "active": "held",
    "pending": "",
    "expired": "mute",
    "failed": "ring",
    "late": "ring",
}


def json_option(command: F) -> F:
    """Give a command ``--json``; it arrives as ``as_json``."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON for scripts.")(command)


def limit_option(command: F) -> F:
    """Give a list command ``--limit``."""
    return click.option(
        "--limit",
        type=click.IntRange(min=0),
        metavar="N",
        help=f"Print at most N; 0 prints all.  [default: {ON_A_TERMINAL} on a terminal, else all]",
    )(command)


def terminal() -> bool:
    """Whether a person reads this on a terminal."""
    return sys.stdout.isatty()


def asked(limit: int | None, as_json: bool) -> int | None:
    """How many rows to ask for: None for all of them."""
    if limit is None:
        return ON_A_TERMINAL + 1 if terminal() and not as_json else None
    return limit or None


def state(word: str) -> Cell:
    """A state with its weight."""
    return Cell(word, STATE_WEIGHTS.get(word, ""))


def moment(value: object) -> Instant | None:
    """An instant of the API's JSON (RFC 3339), or None for null or what cannot be read."""
    try:
        return parse_rfc3339(value) if isinstance(value, str) and value else None
    except ValueError:
        return None


def instant(value: object) -> Instant:
    """The same where the API always has one; 0 when it does not."""
    return moment(value) or 0


# --- for scripts


def print_json(value: Any) -> None:
    """One JSON document, indented. Pure ASCII: no text inside can reach the terminal as it is."""
    click.echo(json.dumps(value, indent=2))


def print_array(items: Iterable[Any]) -> None:
    """A JSON array, one item a line, each printed as it comes. When reading fails midway, the array stays open."""
    first = True
    for item in items:
        sys.stdout.write(("[\n" if first else ",\n") + json.dumps(item))
        first = False
    sys.stdout.write("[]\n" if first else "\n]\n")


# --- for people


def print_list(
    items: Iterable[dict[str, Any]],
    columns: Sequence[Column],
    row: Callable[[dict[str, Any]], Row],
    *,
    as_json: bool,
    limit: int | None,
    empty: str,
    what: str,
) -> None:
    """Print a list as JSON or as a table. ``empty`` is the sentence for none; ``what`` names the things (plural)."""
    if as_json:
        print_array(items)
        return
    rows = [row(item) for item in items]
    more = limit is None and terminal() and len(rows) > ON_A_TERMINAL
    if more:
        rows = rows[:ON_A_TERMINAL]
    if not rows:
        click.echo(empty)
        return
    print_table(columns, rows)
    if more:
        click.echo(f"These are the first {ON_A_TERMINAL} {what}; --limit 0 prints all.", err=True)


def print_table(columns: Sequence[Column], rows: Sequence[Row]) -> None:
    """Print rows under their heads: drawn by rich on a terminal, plain columns elsewhere."""
    cells = [[_cell(value) for value in row] for row in rows]
    if terminal():
        _drawn(columns, cells)
        return
    sizes = [
        max(width(column.head), *(width(row[place].text) for row in cells)) if column is not columns[-1] else 0
        for place, column in enumerate(columns)
    ]
    for line in ([Cell(column.head.upper()) for column in columns], *cells):
        padded = [
            " " * (size - width(cell.text)) + cell.text if column.right else cell.text + " " * (size - width(cell.text))
            for cell, size, column in zip(line, sizes, columns, strict=True)
        ]
        click.echo("  ".join(padded).rstrip())


def _drawn(columns: Sequence[Column], rows: list[list[Cell]]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    screen = shutil.get_terminal_size().columns
    shown = [place for place, column in enumerate(columns) if screen >= column.least]
    fixed = sum(
        2 + max(width(columns[place].head), *(width(row[place].text) for row in rows))
        for place in shown
        if not columns[place].wide
    )
    console = Console(width=screen, highlight=False)
    if any(columns[place].wide for place in shown) and screen - fixed < 20:
        # Too narrow for columns: each row becomes two lines, what it is and what it says.
        for row in rows:
            short = [row[place] for place in shown if not columns[place].wide and row[place].text]
            console.print(Text("  ").join(Text(cell.text, STYLES[cell.weight]) for cell in short))
            for place in shown:
                if columns[place].wide and row[place].text:
                    console.print(Text(f"  {row[place].text}"))
        return
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for place in shown:
        column = columns[place]
        table.add_column(
            column.head, no_wrap=not column.wide, overflow="fold", justify="right" if column.right else "left"
        )
    for row in rows:
        table.add_row(*(Text(row[place].text, STYLES[row[place].weight]) for place in shown))
    console.print(table)


def _cell(value: str | Cell) -> Cell:
    cell = value if isinstance(value, Cell) else Cell(value)
    return Cell(clean(cell.text), cell.weight)


def heading(text: str) -> None:
    """A line that begins a section."""
    click.echo()
    click.echo(_styled(clean(text), "head"))


def line(text: str, weight: str = "") -> None:
    """One line of text, made safe."""
    click.echo(_styled(clean(text), weight))


def facts(pairs: Iterable[tuple[str, str]]) -> None:
    """Names and values, one a line, aligned; empty values are left out."""
    kept = [(clean(name), clean(value)) for name, value in pairs if value]
    size = max((width(name) for name, _ in kept), default=0)
    for name, value in kept:
        click.echo(f"  {name}{' ' * (size - width(name))}  {value}")


def _styled(text: str, weight: str) -> str:
    if not terminal() or not weight:
        return text
    looks: dict[str, dict[str, Any]] = {
        "ring": {"fg": "red", "bold": True},
        "held": {"fg": "yellow"},
        "rest": {"fg": "green"},
        "mute": {"dim": True},
        "head": {"bold": True},
    }
    from os import environ

    return text if environ.get("NO_COLOR") else click.style(text, **looks[weight])


def labels(pairs: dict[str, str], without: Sequence[str] = ()) -> str:
    """Labels on one line: ``instance=cart-1 job=redis``."""
    return " ".join(f"{name}={value}" for name, value in sorted(pairs.items()) if name not in without)


def plain(text: str, *, lines: bool = False) -> str:
    """A text made safe, to be printed by itself; with ``lines`` it may have several."""
    return clean(text, lines=lines)
