"""Redis and Valkey: memory near its limit, too many clients, a slow script, persistence failing.

Needs the extra ``redis`` (``pip install 'tocsin[redis]'``) on the machine Tocsin runs on. A target's credential is an
address such as ``redis://user:password@host:6379/0`` (``rediss://`` with TLS). Which rights are enough for what is in
``docs/solutions/redis.md``; none of it reads a server's configuration, which holds passwords.
"""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import accumulate
from typing import TYPE_CHECKING, Any, ClassVar

import msgspec
from msgspec import Struct

from tocsin.kernel.instant import SECOND, parse_duration
from tocsin.playbooks.language import Span, Target, Uninstalled, fix, look

if TYPE_CHECKING:
    from redis import Redis

WARM = ("redis",)
WITHIN = 5.0
"""Seconds an answer may take."""
AT_ONCE = 500
MOST_KEYS = 5_000
LONGEST_KEY = 200
MOST_WHO = 10
MOST_NAMES = 192 * 1024
"""So many bytes names of keys have as JSON, all together: a result and a step's arguments have room for no more."""


class Server(Target, frozen=True):
    """One Redis or Valkey server."""

    kind: ClassVar[str] = "redis"


class Missing(Uninstalled):
    """The client's package is not installed."""


class Full(Exception):
    """A server lets no client in, so not this one either; the message says what to do."""


@contextmanager
def connected(server: Server, *, choose: bool = True) -> Iterator[Redis]:
    """A client of a server, with the credential of the step that asks. ``choose``: of the database its address names,
    which a server that is blocked refuses.

    Raises Missing without the extra, and Full when the server is at its limit of clients.
    """
    try:
        import redis
    except ImportError:
        raise Missing("the client for Redis is not there: pip install 'tocsin[redis]'") from None
    client = redis.Redis.from_url(
        server.credential,
        socket_timeout=WITHIN,
        socket_connect_timeout=WITHIN,
        decode_responses=True,
        encoding_errors="surrogateescape",
    )
    if not choose:
        client.connection_pool.connection_kwargs["db"] = 0
    try:
        _let_in(client)
        yield client
    finally:
        client.close()


def _let_in(client: Redis) -> None:
    """Have a connection made. A server at its ``maxclients`` lets nobody in: tried until one of its places is free."""
    from redis.exceptions import ConnectionError as Lost

    until = time.monotonic() + WITHIN
    while True:
        try:
            client.connection_pool.release(client.connection_pool.get_connection())
            return
        except Lost as error:
            if "max number of clients" not in str(error):
                raise
            if time.monotonic() >= until:
                raise Full(
                    f"it has taken no client more for {WITHIN:g} s: every one of its maxclients is in use, and nobody "
                    "gets in to close any. End clients where they run, or raise maxclients (CONFIG SET) with a "
                    "connection that is open still"
                ) from None
        time.sleep(0.1)


def told(client: Redis, *sections: str) -> dict[str, Any]:
    """These sections of what a server says of itself."""
    found: dict[str, Any] = {}
    for section in sections:
        answer: Any = client.info(section)
        found |= answer
    return found


# -- memory ------------------------------------------------------------------------------------------------------------


class Memory(Struct, frozen=True):
    """What a server holds, and how near it is to its limit. ``limit`` 0: it has none; then ``used_ratio`` is 0.

    ``hit_ratio``: of the reads since it started, how many found their key; 1 before the first.
    """

    used: int
    limit: int
    used_ratio: float
    policy: str
    keys: int
    evicted: int
    hit_ratio: float

    def __str__(self) -> str:
        limit = f"{self.used_ratio:.0%} of {size_of(self.limit)}" if self.limit else "no limit"
        return f"{size_of(self.used)} used ({limit}), {self.keys:,} keys, {self.policy}, hit ratio {self.hit_ratio:.0%}"


@look
def memory(server: Server) -> Memory:
    """How much memory a server uses."""
    with connected(server) as client:
        info: Any = client.info()
    used, limit = int(info["used_memory"]), int(info.get("maxmemory", 0))
    hits, misses = int(info.get("keyspace_hits", 0)), int(info.get("keyspace_misses", 0))
    keys = sum(int(one["keys"]) for name, one in info.items() if re.fullmatch(r"db\d+", name))
    return Memory(
        used=used,
        limit=limit,
        used_ratio=used / limit if limit else 0.0,
        policy=str(info.get("maxmemory_policy", "")),
        keys=keys,
        evicted=int(info.get("evicted_keys", 0)),
        hit_ratio=hits / (hits + misses) if hits + misses else 1.0,
    )


class Idle(Struct, frozen=True):
    """Keys that nobody has read for a while, of those that were looked at.

    ``expirable``: of them, those without an end of their own, the largest idle time first.
    """

    looked_at: int
    idle: int
    expirable: tuple[str, ...]

    def __str__(self) -> str:
        return f"{len(self.expirable):,} of {self.looked_at:,} keys looked at are idle and have no end of their own"


@look
def idle_keys(server: Server, *, older_than: Span = "7d", sample: int = 10_000, match: str = "*") -> Idle:
    """Keys that nobody has read for longer than ``older_than``, among at most ``sample`` of those like ``match``.

    On a server that counts frequency instead (an LFU policy) nothing is known to be idle.
    """
    seconds = parse_duration(older_than) // SECOND
    looked, idle = 0, 0
    found: list[tuple[int, str]] = []
    with connected(server) as client:
        for names in _batches(client.scan_iter(match=match, count=AT_ONCE), sample):
            pipe = client.pipeline(transaction=False)
            for name in names:
                pipe.object("idletime", name)
                pipe.ttl(name)
            answers = pipe.execute(raise_on_error=False)
            looked += len(names)
            for place, name in enumerate(names):
                rest, left = answers[2 * place], answers[2 * place + 1]
                if isinstance(rest, int) and rest >= seconds:
                    idle += 1
                    if left == -1 and name.isprintable() and len(name) <= LONGEST_KEY:
                        found.append((rest, name))
    found.sort(key=lambda one: (-one[0], one[1]))
    return Idle(looked, idle, _that_fit([name for _, name in found[:MOST_KEYS]]))


def _that_fit(names: list[str]) -> tuple[str, ...]:
    ends = accumulate(len(msgspec.json.encode(name)) + 1 for name in names)
    return tuple(name for name, end in zip(names, ends, strict=True) if end <= MOST_NAMES)


@fix(
    idempotent=True,
    says="let {keys} keys of {server} end within {spread}, those still not read for {older_than}",
    undo="it cannot be once they have ended. Until then: PERSIST",
)
def expire(server: Server, keys: tuple[str, ...], *, older_than: Span, spread: Span = "60s") -> int:
    """Give keys an end, spread evenly over a while, so that no server frees everything at one moment.

    A key that has an end already, or was read within ``older_than`` and is in use again, keeps what it has. Returns
    how many were given one.
    """
    seconds = parse_duration(older_than) // SECOND
    over = max(1, parse_duration(spread) // SECOND)
    given = 0
    with connected(server) as client:
        for start in range(0, len(keys), AT_ONCE):
            names = keys[start : start + AT_ONCE]
            asked = client.pipeline(transaction=False)
            for name in names:
                asked.object("idletime", name)
            rests = asked.execute(raise_on_error=False)
            pipe = client.pipeline(transaction=False)
            for place, (name, rest) in enumerate(zip(names, rests, strict=True)):
                if isinstance(rest, int) and rest >= seconds:
                    pipe.expire(name, 1 + (start + place) * over // max(1, len(keys)), nx=True)
            answers = pipe.execute(raise_on_error=False)
            refused = next((one for one in answers if isinstance(one, Exception)), None)
            if refused is not None:
                raise refused
            given += sum(bool(one) for one in answers)
    return given


# -- clients -----------------------------------------------------------------------------------------------------------


class Clients(Struct, frozen=True):
    """Who is connected. ``idle``: the ids of plain connections that have sent nothing for a while, the idlest first.

    ``by``: how many each has, by user, the name it gives itself, and where it is; at most ten, those with most first.

    Replicas, monitors, subscribers and blocked clients wait by nature: they are never among them.
    """

    connected: int
    limit: int
    used_ratio: float
    idle: tuple[int, ...]
    by: dict[str, int] = {}

    def __str__(self) -> str:
        most = ", ".join(f"{number:,} of {who}" for who, number in list(self.by.items())[:3])
        said = f"{self.connected:,} of {self.limit:,} clients ({self.used_ratio:.0%}), {len(self.idle):,} of them idle"
        return f"{said}; most: {most}" if most else said


@look
def clients(server: Server, *, idle_for: Span = "1h") -> Clients:
    """How many clients are connected, and which have been idle for longer than ``idle_for``."""
    with connected(server) as client:
        info: Any = client.info("clients")
        there: list[dict[str, str]] = client.client_list(_type="normal")
        idle = _idle_of(client, there, idle_for)
    limit = int(info.get("maxclients", 0))
    number = int(info["connected_clients"])
    ids = tuple(id for _, id in sorted(idle, reverse=True)[:MOST_KEYS])
    by = Counter(map(_whose, there)).most_common(MOST_WHO)
    return Clients(number, limit, number / limit if limit else 0.0, ids, dict(by))


def _whose(one: Mapping[str, str]) -> str:
    """Whose connection it is: its user and name, as far as it has any, at its host."""
    who = " ".join(word for word in (one.get("user", ""), one.get("name", "")) if word and word != "default")
    return f"{who or 'clients'} at {one['addr'].rpartition(':')[0]}"


def _idle_clients(client: Redis, idle_for: str) -> list[tuple[int, int]]:
    """How many seconds each plain connection has been idle, and its id, of those that were for long enough."""
    return _idle_of(client, client.client_list(_type="normal"), idle_for)


def _idle_of(client: Redis, there: Iterable[Mapping[str, str]], idle_for: str) -> list[tuple[int, int]]:
    seconds = parse_duration(idle_for) // SECOND
    mine = int(client.client_id())
    return [
        (int(one["idle"]), int(one["id"]))
        for one in there
        if int(one["idle"]) >= seconds and int(one["id"]) != mine and not set(one["flags"]) & set("SMObx")
        and int(one.get("sub", 0)) == int(one.get("psub", 0)) == 0
    ]  # fmt: skip


@fix(
    idempotent=True,
    says="close {ids} connections to {server} that are idle for {idle_for}",
    undo="it need not be: a client that needs one opens another",
)
def drop_clients(server: Server, ids: tuple[int, ...], *, idle_for: Span) -> int:
    """Close these connections; a client that needs one opens another. Returns how many were closed.

    One that was used within ``idle_for`` is in use again, and stays.
    """
    dropped = 0
    with connected(server) as client:
        for start in range(0, len(ids), AT_ONCE):
            still = {id for _, id in _idle_clients(client, idle_for)}
            for id in ids[start : start + AT_ONCE]:
                if id in still:
                    answer: Any = client.client_kill_filter(_id=str(id), skipme=True)
                    dropped += int(answer)
    return dropped


# -- a slow script -----------------------------------------------------------------------------------------------------


class Answering(Struct, frozen=True):
    """Whether a server answers at all. ``busy``: it says that a script or function keeps it from doing so."""

    answers: bool
    busy: bool
    took_ms: float

    def __str__(self) -> str:
        if self.busy:
            return "it is busy with a script and answers nothing else"
        return f"it answers within {self.took_ms:.0f} ms"


@look
def answering(server: Server) -> Answering:
    """Whether it answers a ping. Raises when it does not even say that it is busy."""
    from redis.exceptions import ResponseError

    began = time.monotonic()
    try:
        with connected(server, choose=False) as client:
            began = time.monotonic()
            client.ping()
    except ResponseError as error:
        # The client takes the word BUSY off; what is left names the two ways out.
        if "SCRIPT KILL" in str(error) or "busy" in str(error).lower():
            return Answering(False, True, (time.monotonic() - began) * 1000)
        raise
    return Answering(True, False, (time.monotonic() - began) * 1000)


@fix(
    idempotent=True,
    says="end the script that runs on {server}, if it has written nothing",
    undo="it need not be: the script may be run again",
)
def kill_script(server: Server) -> str:
    """End the script that runs. One that has written already cannot be ended so: that raises, and a person decides."""
    from redis.exceptions import ResponseError

    with connected(server, choose=False) as client:
        try:
            client.script_kill()
        except ResponseError as error:
            if "NOTBUSY" in str(error) or "No scripts in execution" in str(error):
                return "no script ran any more"
            raise
    return "the script was ended"


# -- persistence -------------------------------------------------------------------------------------------------------


class Persistence(Struct, frozen=True):
    """Whether what a server holds would survive its end. ``saved_at``: when the last snapshot was done, Unix seconds.

    ``snapshots`` and ``log``: whether the last one of each was written ("the log" is the AOF, and its rewriting).
    ``unsaved``: writes since the last snapshot. ``refused``: writes it has refused because of this since it started.
    ``data``: bytes the data has in memory; a snapshot of it seldom needs more.
    """

    snapshots: bool
    saving: bool
    saved_at: int
    unsaved: int
    logging: bool
    log: bool
    rewriting: bool
    refused: int
    data: int

    @property
    def ok(self) -> bool:
        """Whether nothing failed the last time."""
        return self.snapshots and self.log

    def __str__(self) -> str:
        parts = ["the last snapshot was written" if self.snapshots else "the last snapshot FAILED"]
        parts += [f"{self.unsaved:,} writes since the last that was"]
        parts += [f"its log {'is written' if self.log else 'CANNOT be written'}"] * self.logging
        parts += [f"{self.refused:,} writes refused because of it"] * bool(self.refused)
        return ", ".join(parts)


@look
def persistence(server: Server) -> Persistence:
    """Whether its snapshots and its log are written."""
    with connected(server) as client:
        info = told(client, "persistence", "errorstats", "memory")
    logging = bool(int(info.get("aof_enabled", 0)))
    log = logging and {info.get("aof_last_write_status"), info.get("aof_last_bgrewrite_status")} != {"ok"}
    return Persistence(
        snapshots=info["rdb_last_bgsave_status"] == "ok",
        saving=bool(int(info["rdb_bgsave_in_progress"])),
        saved_at=int(info["rdb_last_save_time"]),
        unsaved=int(info["rdb_changes_since_last_save"]),
        logging=logging,
        log=not log,
        rewriting=bool(int(info.get("aof_rewrite_in_progress", 0)) or int(info.get("aof_rewrite_scheduled", 0))),
        refused=int(info.get("errorstat_MISCONF", {}).get("count", 0)),
        data=int(info.get("used_memory_dataset", info["used_memory"])),
    )


@fix(idempotent=True, says="have {server} begin a snapshot", undo="it need not be: it changes no data")
def save(server: Server) -> str:
    """Begin a snapshot, beside whatever the server does. Verify with ``persistence`` that it was written."""
    return _in_background(server, lambda client: client.bgsave(schedule=False))


@fix(idempotent=True, says="have {server} begin to write its log anew", undo="it need not be: it changes no data")
def rewrite(server: Server) -> str:
    """Begin to write the log (AOF) anew, as short as it can be. Verify with ``persistence`` that it was written."""
    return _in_background(server, lambda client: client.bgrewriteaof())


def _in_background(server: Server, begin: Callable[[Redis], object]) -> str:
    from redis.exceptions import ResponseError

    with connected(server) as client:
        try:
            begin(client)
        except ResponseError as error:
            if "in progress" not in str(error):
                raise
            return "one is being written already"
    return "it has begun"


def _batches(names: Iterable[str], most: int) -> Iterator[list[str]]:
    """Names in lots, at most so many in all; a server is left alone for a moment between lots."""
    lot: list[str] = []
    for number, name in enumerate(names):
        if number >= most:
            break
        lot.append(name)
        if len(lot) == AT_ONCE:
            yield lot
            lot = []
            time.sleep(0.001)
    if lot:
        yield lot


def size_of(count: int) -> str:
    """Bytes as people say them, in KiB, MiB and GiB."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if count < 1024 or unit == "GiB":
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024  # type: ignore[assignment]  # whole bytes, then parts of larger units
    raise AssertionError
