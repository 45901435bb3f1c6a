"""A real Valkey whose disk is full: seen, and mended once there is room again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import pytest
from redis.exceptions import ResponseError

from tests.support.valkey import Valkey, running_valkey
from tests.support.waiting import eventually
from tocsin.library import redis
from tocsin.playbooks.language import Vault, vault

T = TypeVar("T")
SERVER = redis.Server(name="main")
CONFIG = {"save": "3600 1", "rdbcompression": "no", "appendonly": "yes", "auto-aof-rewrite-percentage": "0"}


@pytest.fixture(scope="module")
def valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Valkey]:
    with running_valkey(tmp_path_factory.mktemp("valkey"), CONFIG, disk="4m") as server:
        yield server


def step(valkey: Valkey, call: Callable[[], T], *, fixing: bool = False) -> T:
    """Run a call as a step does, with the rights that the documentation says are enough."""
    token = vault.set(Vault({"main": valkey.fixing if fixing else valkey.reading}))
    try:
        return call()
    finally:
        vault.reset(token)


def looked(valkey: Valkey) -> redis.Persistence:
    found = step(valkey, lambda: redis.persistence(SERVER))
    assert isinstance(found, redis.Persistence)
    return found


def filled(folder: Path) -> Path:
    """Write a file until the disk takes nothing more."""
    path = folder / "old.log"
    with path.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(b"x" * 65_536)
        except OSError:
            return path


def test_a_full_disk_is_seen_and_once_there_is_room_both_are_written_again(valkey: Valkey) -> None:
    valkey.admin.mset({f"cart:{number}": "x" * 1_000 for number in range(500)})
    well = looked(valkey)
    assert well.ok and well.logging and not well.saving and well.data > 500_000
    assert str(well).startswith("the last snapshot was written, 500 writes since the last that was, its log is written")

    old = filled(valkey.disk)

    def refused() -> bool:
        valkey.admin.set("filler", "y" * 50_000)
        return False

    with pytest.raises(ResponseError, match="MISCONF"):
        eventually(refused, what="writes to be refused, because the log cannot be written")
    assert (looked(valkey).snapshots, looked(valkey).log) == (True, False)
    step(valkey, lambda: redis.save.function(SERVER), fixing=True)
    bad = eventually(lambda: found if not (found := looked(valkey)).snapshots else None, what="the snapshot to fail")
    assert bad is not None
    assert (bad.saving, bad.log, bad.ok, bad.saved_at) == (False, False, False, well.saved_at) and bad.refused >= 1
    assert "the last snapshot FAILED" in str(bad) and "its log CANNOT be written" in str(bad)

    old.unlink()
    assert step(valkey, lambda: redis.save.function(SERVER), fixing=True) == "it has begun"
    eventually(lambda: looked(valkey).ok, what="both to be written")
    assert looked(valkey).saved_at >= well.saved_at and looked(valkey).unsaved == 0
    assert valkey.admin.set("cart:new", "1")

    log = next((valkey.disk / "appendonlydir").glob("*.incr.aof")).stat().st_size
    step(valkey, lambda: redis.rewrite.function(SERVER), fixing=True)
    eventually(lambda: not looked(valkey).rewriting, what="the log to be written anew")
    assert looked(valkey).ok
    assert next((valkey.disk / "appendonlydir").glob("*.incr.aof")).stat().st_size < log
