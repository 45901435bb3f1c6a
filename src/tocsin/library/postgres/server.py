"""A PostgreSQL server as a target, and a connection to it that is bounded in every way.

Each statement has a time, each lock is waited for a second at most, and a server that accepts a connection and then
says nothing is let go of. What a connection does is read in ``pg_stat_activity`` under the name ``tocsin``.
"""

from __future__ import annotations

import os
import re
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, ClassVar, LiteralString, TypeVar

from tocsin.playbooks import language
from tocsin.playbooks.language import Target, Uninstalled

if TYPE_CHECKING:
    from psycopg import Connection

T = TypeVar("T")
WITHIN = 5.0
"""Seconds a statement may take, and a server to accept a connection."""
SLACK = 5.0
"""So many seconds more until a connection that says nothing is let go of."""
MOST_QUERY = 160
_TEXT = re.compile(r"\$(\w*)\$.*?\$\1\$|'(?:[^']|'')*'?|(?<!\$)\b\d[\d.]*\b", re.DOTALL)
_SCHEMES = ("postgresql://", "postgres://")

_SETTINGS: LiteralString = """
select set_config('statement_timeout', %(within)s, false), set_config('lock_timeout', '1000', false),
       set_config('idle_in_transaction_session_timeout', '10000', false), set_config('timezone', 'UTC', false),
       current_setting('server_version_num')::int, pg_has_role('pg_read_all_stats', 'usage'), pg_is_in_recovery()
"""


class Server(Target, frozen=True):
    """One PostgreSQL server, reached at one of its databases; not through a pooler such as PgBouncer."""

    kind: ClassVar[str] = "postgres"


class Missing(Uninstalled):
    """The client's package is not installed."""


class Trouble(Exception):
    """The server cannot be worked on; the message says why."""


class Refused(Trouble, language.Refused):
    """It was not begun, or rolled back: nothing was changed."""


class Open:
    """An open connection. ``version`` such as 170002; ``standby``: it replays another server's log."""

    def __init__(self, connection: Connection[Any], within: float) -> None:
        self.connection = connection
        said = connection.execute(_SETTINGS, {"within": str(int(within * 1000))}).fetchone()
        assert said is not None
        self.version, self._sees_all, self.standby = int(said[4]), bool(said[5]), bool(said[6])

    def see_all(self) -> None:
        """Raise Trouble where other people's sessions are hidden: half of the truth looks like no trouble at all."""
        if not self._sees_all:
            raise Trouble("this user sees its own sessions only: GRANT pg_monitor to it")

    def rows(self, made: Callable[..., T], query: LiteralString, values: dict[str, Any] | None = None) -> list[T]:
        """What a query answers, each row made by a call with its columns."""
        from psycopg.rows import args_row

        with self.connection.cursor(row_factory=args_row(made)) as cursor:
            return cursor.execute(query, values).fetchall()

    def row(self, query: LiteralString, values: dict[str, Any] | None = None) -> tuple[Any, ...] | None:
        """The first row of an answer."""
        found: tuple[Any, ...] | None = self.connection.execute(query, values).fetchone()
        return found


@contextmanager
def connected(server: Server, *, within: float = WITHIN, database: str = "") -> Iterator[Open]:
    """A connection with the credential of the step that asks; every statement commits by itself.

    ``within``: seconds a statement may take. ``database``: another one than the address names. Raises Missing without
    the extra, Trouble for an address that is none, and what the driver raises.
    """
    try:
        import psycopg
    except ImportError:
        raise Missing("the client for PostgreSQL is not there: pip install 'tocsin[postgres]'") from None
    address = server.credential
    if not address.startswith(_SCHEMES):
        raise Trouble(f"the secret of {server.name} is no address: postgresql://user:password@host:5432/database")
    how: dict[str, Any] = {"dbname": database} if database else {}
    connection = psycopg.connect(
        address, autocommit=True, connect_timeout=int(WITHIN), application_name="tocsin", tcp_user_timeout=10_000,
        keepalives_idle=5, keepalives_interval=2, keepalives_count=3, **how,
    )  # fmt: skip
    try:
        with _let_go(connection, within + SLACK):
            yield Open(connection, within)
    finally:
        connection.close()


@contextmanager
def _let_go(connection: Connection[Any], seconds: float) -> Iterator[None]:
    """Cut a connection that is still in use after so long: the server's own timeouts need a server that lives."""
    fired = threading.Event()
    with socket.socket(fileno=os.dup(connection.fileno())) as line:

        def cut() -> None:
            fired.set()
            with suppress(OSError):
                line.shutdown(socket.SHUT_RDWR)

        timer = threading.Timer(seconds, cut)
        timer.daemon = True
        timer.start()
        try:
            yield
        except Exception:
            if fired.is_set():
                raise Trouble(f"it said nothing for {seconds:g} s") from None
            raise
        finally:
            timer.cancel()


def masked(query: str) -> str:
    """A statement as people may read it: without the values in it, on one line, shortened."""
    text = " ".join(_TEXT.sub("?", query).split())
    return text if len(text) <= MOST_QUERY else f"{text[: MOST_QUERY - 1]}…"


def size(count: int) -> str:
    """Bytes as people say them."""
    amount = float(count)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if abs(amount) < 1024:
            return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1024
    return f"{amount:.1f} TiB"


def span(seconds: float) -> str:
    """A time as people say it, by its largest unit."""
    for unit, length in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} s"
