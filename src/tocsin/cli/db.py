"""``tocsin db``: works on the database itself, without a server."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import update_wrapper
from pathlib import Path
from typing import Any, TypeVar, cast

import click

from tocsin.cli import show
from tocsin.cli.failure import OK, REFUSED, Refused
from tocsin.cli.place import DEFAULT_DATA, data_option
from tocsin.cli.text import count

F = TypeVar("F", bound=Callable[..., Any])


def database_options(command: F) -> F:
    """Give a command ``--data`` and ``--database`` and hand it the database's URL as its argument ``url``."""

    def with_url(*args: Any, data: Path | None, database: str | None, **kwargs: Any) -> Any:
        return command(*args, url=_url(data or Path(DEFAULT_DATA), database or ""), **kwargs)

    wrapped = data_option(update_wrapper(with_url, command))
    return cast(
        F,
        click.option(
            "--database",
            envvar="TOCSIN_DATABASE",
            metavar="URL",
            show_default="SQLite in DATA",
            show_envvar=True,
            help="Database, such as postgresql://tocsin@db/tocsin.",
        )(wrapped),
    )


def _url(data: Path, database: str) -> str:
    from tocsin.store.opening import url_for

    if not database and not data.is_dir():
        raise Refused(f"There is no Tocsin data folder at {data}: say where it is with --data, or use --database.")
    return url_for(data, database)


@contextmanager
def plain_words(url: str) -> Iterator[None]:
    """Turn what a database or its driver raises into a sentence and exit code 1."""
    import sqlite3

    from sqlalchemy.exc import SQLAlchemyError

    from tocsin.store.opening import SchemaError

    drivers: tuple[type[Exception], ...] = (sqlite3.Error, SQLAlchemyError)
    with suppress(ImportError):
        import psycopg

        drivers += (psycopg.Error,)
    try:
        yield
    except SchemaError as error:
        said = str(error).rstrip(".")
        raise Refused(f"{said[:1].upper()}{said[1:]}{'' if said.endswith('?') else '.'}") from None
    except drivers as error:
        # The driver's own error without the statement and the link to documentation SQLAlchemy adds.
        said = str(getattr(error, "orig", None) or error).strip()
        raise Refused(f"{without_password(url)} cannot be used: {said}") from error


@click.group()
def db() -> None:
    """Migrate, back up and check the database.

    These work on the database itself: they need no server, and the user who may read its files.
    """


@db.command()
@database_options
@show.json_option
def migrate(url: str, as_json: bool) -> None:
    """Bring the database's tables up to this version of Tocsin.

    `tocsin up` does this by itself when it starts; here it can be done beforehand. Stop the server first.

    \b
    Examples:
      tocsin db migrate
      tocsin db migrate --database postgresql://tocsin@db/tocsin
    """
    from tocsin.store import opening

    with plain_words(url):
        changed = opening.migrate(url)
    if as_json:
        show.print_json({"database": without_password(url), "migrated": changed})
    else:
        click.echo(f"{without_password(url)} {'has been brought up to date' if changed else 'was up to date already'}.")


@db.command()
@click.argument("to", metavar="FILE", type=click.Path(path_type=Path))
@database_options
@show.json_option
def backup(url: str, to: Path, as_json: bool) -> None:
    """Copy the database into one file, while the server runs.

    SQLite only; PostgreSQL has pg_dump. The copy is of one moment and readable by its owner alone:
    it holds everything Tocsin knows.

    \b
    Examples:
      tocsin db backup /var/backups/tocsin-monday.db
    """
    if to.exists() or to.is_symlink():
        raise Refused(f"{to} exists already: a backup never replaces a file.")
    if not to.absolute().parent.is_dir():
        raise Refused(f"There is no folder {to.absolute().parent}.")
    from tocsin.store import opening

    whole = False
    try:
        with plain_words(url):
            opening.backup(url, to)
        whole = True
    finally:
        # Half a copy must not be taken for one.
        if not whole:
            to.unlink(missing_ok=True)
    size = to.stat().st_size
    if as_json:
        show.print_json({"file": str(to), "bytes": size})
    else:
        click.echo(f"{to} holds a copy, {megabytes(size)}.")


@db.command()
@database_options
@show.json_option
def check(url: str, as_json: bool) -> int:
    """Check that the database is whole.

    That it can be read, has this version's schema, and agrees with itself.

    Exit code 0 when nothing is wrong, 1 otherwise.

    \b
    Examples:
      tocsin db check
      tocsin db check --data /var/lib/tocsin --json
    """
    from tocsin.store import opening

    with plain_words(url):
        faults = opening.check(url)
    if as_json:
        show.print_json({"database": without_password(url), "ok": not faults, "faults": faults})
    else:
        for fault in faults:
            show.line(fault, "ring")
        told = f"{count(len(faults), 'fault')} found in" if faults else "No fault found in"
        click.echo(f"{told} {without_password(url)}.")
    return REFUSED if faults else OK


def without_password(url: str) -> str:
    """A database URL that may be shown."""
    from urllib.parse import urlsplit, urlunsplit

    parts = urlsplit(url)
    if parts.password is None:
        return url
    place = f"{parts.username or ''}:***@{parts.hostname or ''}{f':{parts.port}' if parts.port else ''}"
    return urlunsplit(parts._replace(netloc=place))


def megabytes(size: int) -> str:
    """A size in the unit that suits it: ``40 kB``, ``3.2 MB``."""
    for unit, bound in (("kB", 1_000_000), ("MB", 1_000_000_000)):
        if size < bound:
            number = size * 1000 / bound
            return f"{number:.0f} {unit}" if number >= 100 or unit == "kB" else f"{number:.1f} {unit}"
    return f"{size / 1e9:.1f} GB"
