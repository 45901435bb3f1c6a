"""What the Redis solution looks at and changes, on a real Valkey; nothing else is touched."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import TypeVar

import msgspec
import pytest
import redis as client
from redis.exceptions import ResponseError

from tests.support import steps
from tests.support.valkey import VALUE, Valkey, connections, running_valkey
from tests.support.waiting import eventually
from tocsin.library import redis
from tocsin.playbooks.language import Vault, vault
from tocsin.playbooks.run import MOST_RESULT

T = TypeVar("T")
SERVER = redis.Server(name="main")
ENDLESS = "while true do end"
WRITES = "redis.call('set', KEYS[1], '1'); while true do end"


@pytest.fixture(scope="module")
def valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Valkey]:
    with running_valkey(tmp_path_factory.mktemp("valkey")) as server:
        server.admin.config_set("busy-reply-threshold", "100")
        yield server


@pytest.fixture
def step(valkey: Valkey) -> Callable[[Callable[[], T]], T]:
    """Runs a call as a step does: with an admin's credential."""

    def run(call: Callable[[], T]) -> T:
        token = vault.set(Vault({"main": f"redis://127.0.0.1:{valkey.port}/0"}))
        try:
            return call()
        finally:
            vault.reset(token)

    return run


def test_only_idle_keys_without_an_end_are_given_one(valkey: Valkey, step: Callable[..., T]) -> None:
    valkey.admin.flushall()
    valkey.admin.mset({f"old:{n}": VALUE for n in range(20)})
    valkey.admin.set("ends", VALUE, ex=500)
    eventually(lambda: valkey.admin.object("idletime", "old:0"), what="the keys to be idle")
    valkey.admin.set("fresh", VALUE)
    found = step(lambda: redis.idle_keys(SERVER, older_than="1s"))
    assert isinstance(found, redis.Idle)
    assert (found.looked_at, found.idle, len(found.expirable)) == (22, 21, 20)
    names = (*found.expirable, "fresh", "gone")
    hours = step(lambda: redis.expire.function(SERVER, names, older_than="1h", spread="200s"))
    assert hours == 0, "idle for a second is in use for whoever says an hour"
    assert step(lambda: redis.expire.function(SERVER, names, older_than="1s", spread="200s")) == 20
    assert valkey.admin.ttl("fresh") == -1
    assert 400 < int(valkey.admin.ttl("ends")) <= 500
    ends = [int(valkey.admin.ttl(key)) for key in found.expirable]
    assert max(ends) - min(ends) > 100, "spread, not all at one moment"
    again = step(lambda: redis.expire.function(SERVER, found.expirable, older_than="1s", spread="200s"))
    assert again == 0, "again it does nothing"
    full = step(lambda: redis.memory(SERVER))
    assert isinstance(full, redis.Memory) and full.keys == 22 and 0 < full.used_ratio < 1


def test_names_of_idle_keys_have_room_in_a_step(valkey: Valkey, step: Callable[..., T]) -> None:
    valkey.admin.flushall()
    valkey.admin.mset({f'"{n:049d}': "x" for n in range(5_000)})
    found = step(lambda: redis.idle_keys(SERVER, older_than="0s"))
    assert isinstance(found, redis.Idle) and found.idle == 5_000
    assert 3_000 < len(found.expirable) < 5_000
    assert len(msgspec.json.encode([["main", found.expirable], {"older_than": "7d", "spread": "60s"}])) < MOST_RESULT
    assert len(msgspec.json.encode(found)) < MOST_RESULT


def test_idle_connections_are_dropped_and_no_other(valkey: Valkey, step: Callable[..., T]) -> None:
    def connection() -> client.Redis:
        made = client.Redis(port=valkey.port, single_connection_client=True)
        made.ping()
        return made

    idle, waits, busy = [connection() for _ in range(3)], connection().pubsub(), connection()
    waits.subscribe("news")
    ids = {int(one.client_id()) for one in idle}

    def all_idle() -> redis.Clients | None:
        busy.ping()
        seen = step(lambda: redis.clients(SERVER, idle_for="1s"))
        assert isinstance(seen, redis.Clients)
        return seen if ids <= set(seen.idle) and int(busy.client_id()) not in seen.idle else None

    assert eventually(all_idle, what="three to be idle, and the one that is used not")
    assert step(lambda: redis.drop_clients.function(SERVER, tuple(ids), idle_for="1h")) == 0, "none for so long"
    assert step(lambda: redis.drop_clients.function(SERVER, tuple(ids), idle_for="1s")) == 3
    assert step(lambda: redis.drop_clients.function(SERVER, tuple(ids), idle_for="1s")) == 0
    assert busy.ping()
    waits.ping()
    left = valkey.admin.client_list()
    assert ids.isdisjoint(int(one["id"]) for one in left)


def test_at_the_limit_of_clients_it_gets_in_once_a_place_is_free_and_else_says_why_not(
    valkey: Valkey, step: Callable[..., T], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = str(valkey.admin.config_get("maxclients")["maxclients"])
    valkey.admin.config_set("maxclients", "10")
    try:
        with connections(valkey.port, 10 - len(valkey.admin.client_list())) as held:
            monkeypatch.setattr(redis, "WITHIN", 0.3)
            with pytest.raises(redis.Full, match=r"every one of its maxclients is in use.*raise maxclients"):
                step(lambda: redis.clients(SERVER, idle_for="1s"))
            monkeypatch.undo()
            freed = threading.Timer(0.3, held[0].close)
            freed.start()
            found = step(lambda: redis.clients(SERVER, idle_for="1h"))
            assert isinstance(found, redis.Clients) and (found.limit, found.used_ratio) == (10, 1.0)
            freed.join()
    finally:
        valkey.admin.config_set("maxclients", before)


@pytest.mark.parametrize(("script", "ends"), [(ENDLESS, True), (WRITES, False)])
def test_a_script_that_blocks_is_seen_and_ended_unless_it_has_written(
    valkey: Valkey, step: Callable[..., T], script: str, ends: bool
) -> None:
    assert step(lambda: redis.kill_script.function(SERVER)) == "no script ran any more"
    other = client.Redis(port=valkey.port)

    def runs() -> None:
        with pytest.raises((ResponseError, client.ConnectionError)):
            other.eval(script, 1, "written")

    thread = threading.Thread(target=runs)
    thread.start()

    def blocked() -> bool:
        found = step(lambda: redis.answering(SERVER))
        assert isinstance(found, redis.Answering)
        return found.busy

    eventually(blocked, what="it to be busy")
    another = {"main": f"redis://127.0.0.1:{valkey.port}/1"}
    assert steps.step(another, redis.answering, SERVER).busy, "also by an address with another database"
    if ends:
        assert steps.step(another, redis.kill_script, SERVER) == "the script was ended"
        thread.join(10)
        found = step(lambda: redis.answering(SERVER))
        assert isinstance(found, redis.Answering) and found.answers
    else:
        with pytest.raises(ResponseError, match=r"UNKILLABLE|write commands"):
            step(lambda: redis.kill_script.function(SERVER))
        with suppress(client.ConnectionError):
            valkey.admin.shutdown(nosave=True, force=True)
        thread.join(10)
    assert not thread.is_alive()


def test_credentials_are_for_steps_alone() -> None:
    with pytest.raises(LookupError, match="reached within"):
        redis.memory(SERVER)
