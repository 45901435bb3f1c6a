"""Fixtures of the faults: both databases, and which of Tocsin's processes is which."""

from __future__ import annotations

from collections.abc import Callable

import psutil
import pytest

from tests.support.server import TocsinServer
from tests.support.waiting import eventually


@pytest.fixture(params=["sqlite", "postgres"])
def database(request: pytest.FixtureRequest) -> str | None:
    """The URL for `tocsin up --database`: None for its SQLite, or an empty database on a real PostgreSQL."""
    return None if request.param == "sqlite" else str(request.getfixturevalue("postgres_url"))


@pytest.fixture
def process_of() -> Callable[[TocsinServer, str], psutil.Process]:
    """Call with a server and `core` or `faces`: the process that does it, once it does."""
    return find_process


def find_process(server: TocsinServer, name: str) -> psutil.Process:
    """The core is the child that listens for monitors; the faces are the other one."""

    def find() -> psutil.Process | None:
        assert server.process is not None
        children = server.process.family()[1:]
        try:
            listening = {child.pid: _listens(child, server.port) for child in children}
        except psutil.Error:
            return None
        if len(children) < 2 or not any(listening.values()):
            return None
        return next(child for child in children if listening[child.pid] == (name == "core"))

    found = eventually(find, within=20, what=f"the {name} process")
    assert found is not None
    return found


def _listens(process: psutil.Process, port: int) -> bool:
    return any(
        one.status == psutil.CONN_LISTEN and one.laddr.port == port
        for one in process.net_connections(kind="tcp")
    )
