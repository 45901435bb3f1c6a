"""Whether there is room where the database lies: what a disk says, what a quota says, and what says nothing."""

from __future__ import annotations

import errno
import os
import shutil
import sqlite3
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.store.conftest import TZDATA
from tocsin.store.opening import create, url_for
from tocsin.store.sqlite import SqliteStore

FAILED = sqlite3.OperationalError("disk I/O error")


@pytest.mark.parametrize(
    ("free", "says", "none"),
    [
        (1 << 40, 0, False),
        (1 << 20, 0, True),
        (1 << 40, errno.EDQUOT, True),
        (1 << 40, errno.ENOSPC, True),
        (1 << 40, errno.EIO, False),
        (None, 0, False),
    ],
)
def test_a_failed_commit_is_for_want_of_room_only_where_there_is_none(
    free: int | None, says: int, none: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLite says "disk I/O error" of a quota; and a file system that is gone must not end the writer."""
    create(url_for(tmp_path, ""))
    store = SqliteStore(tmp_path / "tocsin.db", TZDATA)

    def usage(path: Path) -> SimpleNamespace:
        if free is None:
            raise OSError(errno.ENOTCONN, "Transport endpoint is not connected")
        return SimpleNamespace(free=free)

    def allocate(*_: int) -> None:
        if says:
            raise OSError(says, os.strerror(says))

    there = set(tmp_path.iterdir())
    monkeypatch.setattr(shutil, "disk_usage", usage)
    monkeypatch.setattr(os, "posix_fallocate", allocate)
    assert store.no_room(FAILED) is none
    assert store.no_room(sqlite3.OperationalError("database or disk is full"))
    assert set(tmp_path.iterdir()) == there
    store.close()
