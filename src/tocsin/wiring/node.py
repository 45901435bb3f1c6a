"""A node, before anything runs: what must be there is looked at, then core and faces are started and kept alive."""

from __future__ import annotations

import contextlib
import errno
import gc
import resource
import socket
import sqlite3
from collections.abc import Callable, Coroutine
from typing import Any

from tocsin.runtime.supervisor import run_once, supervise
from tocsin.settings import Settings
from tocsin.wiring.telling import set_up_logs, teller

MOST_FILES = 65_536


def up(settings: Settings) -> int:
    """Run a node until it is told to end. Returns the process's exit code."""
    from tocsin.store.opening import SchemaError, create, damage, needs_migration, url_for
    from tocsin.store.sqlite import FolderInUse, hold_folder

    tell = teller(settings.log_format)
    if not settings.plan_is_usual and not settings.plan_folder.exists():
        tell(
            f"there is no plan folder {settings.plan_folder}. Put the plan there, or leave --plan out: "
            f"a starter plan is then written to {settings.usual_plan_folder}"
        )
        return 1
    try:
        lock = hold_folder(settings.data)
    except FolderInUse as error:
        tell(str(error))
        return 1
    except OSError as error:
        tell(f"the data folder {settings.data} cannot be used: {error.strerror}. Name another with --data")
        return 1
    with lock:
        busy = _busy(settings) or _nowhere(settings)
        if busy:
            tell(busy)
            return 1
        url = url_for(settings.data, settings.database)
        try:
            if needs_migration(url) and not create(url) and run_once(lambda: migrated(url, tell)):
                return 1
        except (SchemaError, OSError) as error:
            tell(str(error))
            return 1
        except sqlite3.Error as error:
            tell(damage(url, error) or f"the database {url} cannot be used: {error}")
            return 1
        _share()
        return supervise(
            {
                "core": lambda: run(_core(settings), settings),
                "faces": lambda: run(_faces(settings), settings),
            },
            reload="core",
            say=tell,
        )


def _share() -> None:
    """Import once, before anything is forked, what core and faces both need; its memory is then shared."""
    import anyio  # noqa: F401  # and so with the others: to be there already is all they are for
    import httptools  # noqa: F401
    import structlog  # noqa: F401
    import uvloop  # noqa: F401

    gc.freeze()  # a collection would write to every object, and so copy what is shared
    gc.set_threshold(50_000, 50, 100)  # new things mostly die without the collector


def run(work: Coroutine[Any, Any, int], settings: Settings) -> int:
    """Run one of the two processes to its end. Returns its exit code."""
    import uvloop

    set_up_logs(settings.log_format)
    _more_files()
    try:
        return uvloop.run(work)
    except Exception:  # noqa: BLE001  # the edge of the process: it is started again, and what ended it is told
        import structlog

        structlog.get_logger("tocsin").critical("ended_by_a_fault", exc_info=True)
        return 1


async def _core(settings: Settings) -> int:
    from tocsin.wiring.core import core

    return await core(settings)


async def _faces(settings: Settings) -> int:
    from tocsin.wiring.faces import faces

    return await faces(settings)


def migrated(url: str, tell: Callable[[str], None]) -> int:
    """Bring the database to this version, or say why that cannot be. Returns the exit code of who does it."""
    from sqlalchemy.exc import DatabaseError

    from tocsin.store.opening import SchemaError, damage, migrate

    try:
        migrate(url)
    except SchemaError as error:
        tell(str(error))
        return 1
    except (sqlite3.Error, DatabaseError) as error:
        cause = getattr(error, "orig", None) or error  # without the statement
        said = " ".join(str(cause).split())
        tell(
            damage(url, cause)
            or f"the database cannot be brought up to this version: {said}. "
            "It was left as it was; the next start tries again"
        )
        return 1
    return 0


def _nowhere(settings: Settings) -> str:
    """Why core and faces could not reach each other, or ""."""
    try:
        settings.socket("faces")
    except (OSError, ValueError) as error:
        return str(error)
    return ""


def _more_files() -> None:
    """As many open files as this process may have: connections must not keep a page from leaving."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST_FILES if hard == resource.RLIM_INFINITY else min(MOST_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _busy(settings: Settings) -> str:
    """Why the address cannot be listened on, or ""."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    with contextlib.closing(socket.socket(family)) as tried:
        tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            tried.bind((settings.host, settings.port))
        except OSError as error:
            where = f"{settings.host}:{settings.port}"
            taken = ". Give --port another number, or stop what uses it" if error.errno == errno.EADDRINUSE else ""
            return f"cannot listen on {where}: {error.strerror}{taken}"
    return ""
