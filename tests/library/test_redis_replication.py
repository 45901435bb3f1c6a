"""What is wrong between a real replica and its real primary is told apart, and only what loses nothing is mended."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from types import SimpleNamespace
from typing import Any, NamedTuple, TypeVar

import pytest
import redis as client

from tests.support.passage import Passage, passage
from tests.support.valkey import Valkey, caught_up, running_valkey
from tests.support.waiting import eventually
from tocsin import Refused
from tocsin.library import redis_replication as replication
from tocsin.library.redis import WITHIN, Server
from tocsin.playbooks.language import Vault, vault

T = TypeVar("T")
REPLICA, PRIMARY = Server(name="replica"), Server(name="primary")
CONFIG = {
    "repl-diskless-sync-delay": "0",
    "repl-ping-replica-period": "1",
    "repl-backlog-size": "16kb",
    "masteruser": "follower",
    "masterauth": "followword",
}


class Pair(NamedTuple):
    """A primary, a replica, and what lies between them."""

    primary: Valkey
    replica: Valkey
    between: Passage

    @property
    def at(self) -> str:
        """Where the replica reaches the primary."""
        return f"127.0.0.1:{self.between.port}"

    def link(self, up: bool = True) -> None:
        """Wait until the link is up, with everything that was written, or down."""

        def is_so() -> bool:
            if up:
                return caught_up(self.primary, self.replica)
            here: Any = self.replica.admin.info("replication")
            return bool(here.get("master_link_status") == "down")

        eventually(is_so, what=f"the link to be {'up' if up else 'down'}", within=20)

    def compared(self, over: str = "100ms", too_far: int = 100_000) -> replication.Compared:
        """What the look says, by the reading users."""
        found = self.as_step(
            False, lambda: replication.compared(REPLICA, PRIMARY, at=self.at, over=over, too_far=too_far)
        )
        assert isinstance(found, replication.Compared)
        return found

    def as_step(self, fixing: bool, call: Callable[[], T]) -> T:
        """Run a call as a step does: with the rights for looking, or for fixing."""
        urls = {"replica": self.replica, "primary": self.primary}
        held = {name: one.fixing if fixing else one.reading for name, one in urls.items()}
        token = vault.set(Vault(held))
        try:
            return call()
        finally:
            vault.reset(token)


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    with (
        running_valkey(tmp_path_factory.mktemp("primary"), CONFIG) as primary,
        running_valkey(tmp_path_factory.mktemp("replica"), CONFIG) as replica,
        passage(primary.port) as between,
    ):
        primary.admin.acl_setuser(
            "follower", enabled=True, passwords=["+followword"], commands=["+psync", "+replconf", "+ping"]
        )
        yield Pair(primary, replica, between)


@pytest.fixture
def pair(servers: Pair) -> Pair:
    """A replica that follows, and keeps up."""
    servers.between.let()
    servers.replica.admin.config_set("masterauth", "followword")
    servers.replica.admin.replicaof("127.0.0.1", str(servers.between.port))
    servers.primary.admin.set("cart", "full")
    servers.link()
    return servers


def test_one_that_keeps_up_is_well(pair: Pair) -> None:
    found = pair.compared()
    assert (found.broken, found.agree, found.behind, found.refused, found.full_syncs) == ("", True, 0, 0, 0)
    assert str(found) == "it follows, and keeps up; both are of one history; 0 B behind"
    done = pair.as_step(True, lambda: replication.follow.function(REPLICA, PRIMARY, at=pair.at))
    assert done == f"it follows {pair.at} already"


def test_a_link_that_is_down_is_told_from_a_wrong_password_and_a_primary_that_is_gone(pair: Pair) -> None:
    pair.between.shut()
    pair.link(up=False)
    assert (pair.compared().broken, pair.compared().agree) == ("down", True)
    pair.replica.admin.config_set("masterauth", "wrong")
    pair.between.let()
    found = pair.compared(over="3s")
    assert found.broken == "refused"
    assert found.refused >= 1
    gone = pair.as_step(False, lambda: _with_primary("redis://127.0.0.1:1/0"))
    assert str(gone) == "its primary does not answer"


def _with_primary(address: str) -> replication.Compared:
    held = vault.get()
    assert held is not None
    token = vault.set(Vault({**held.urls, "primary": address}))
    try:
        return replication.compared(REPLICA, PRIMARY, over="100ms")
    finally:
        vault.reset(token)


def test_one_that_lost_its_primary_follows_it_again(pair: Pair) -> None:
    pair.replica.admin.replicaof("NO", "ONE")
    pair.primary.admin.set("meanwhile", "1")
    found = pair.compared()
    assert (found.broken, found.agree, found.why) == (
        "lost",
        True,
        "it followed this primary, and took no write of its own since",
    )
    done = pair.as_step(True, lambda: replication.follow.function(REPLICA, PRIMARY, at=pair.at))
    assert done.startswith(f"it follows {pair.at} again")
    pair.link()
    assert pair.replica.admin.get("meanwhile") == "1"
    assert pair.compared().broken == ""


def test_one_that_took_writes_of_its_own_is_left_alone(pair: Pair) -> None:
    pair.replica.admin.replicaof("NO", "ONE")
    pair.replica.admin.set("only here", "1")
    found = pair.compared()
    assert (found.broken, found.agree) == ("lost", False)
    assert "writes of its own" in found.why
    with pytest.raises(Refused, match="would lose data: it took"):
        pair.as_step(True, lambda: replication.follow.function(REPLICA, PRIMARY, at=pair.at))
    assert pair.replica.admin.get("only here") == "1"
    assert pair.replica.admin.set("and takes", "more"), "writes are let through again"
    pair.replica.admin.replicaof("127.0.0.1", str(pair.between.port))
    pair.link()


def test_one_whose_primary_answers_late_is_left_alone(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    """By then it takes writes again, and nobody has looked at those."""
    pair.replica.admin.replicaof("NO", "ONE")
    read, passed = replication._read, [0.0]

    def late(asked: client.Redis) -> replication.Replication:
        found = read(asked)
        if asked.connection_pool.connection_kwargs["port"] == pair.primary.port:
            passed[0] += replication.FENCE + 1
            pair.replica.admin.client_unpause()  # as its end does
            pair.replica.admin.set("precious", "1")
        return found

    monkeypatch.setattr(replication, "_read", late)
    monkeypatch.setattr(replication, "time", SimpleNamespace(monotonic=lambda: passed[0]))
    with pytest.raises(replication.Unsafe, match="takes writes again: try once more"):
        pair.as_step(True, lambda: replication.follow.function(REPLICA, PRIMARY, at=pair.at))
    assert pair.replica.admin.role()[0] == "master" and pair.replica.admin.get("precious") == "1"
    assert replication.DECIDED + WITHIN < replication.FENCE, "what is answered in time was done within the fence"
    pair.replica.admin.replicaof("127.0.0.1", str(pair.between.port))
    pair.link()


def test_one_that_is_far_behind_catches_up_over_a_new_connection(pair: Pair) -> None:
    pair.between.hold()
    pair.primary.admin.mset({f"big:{number}": "x" * 10_000 for number in range(100)})

    def far() -> replication.Compared | None:
        found = pair.compared()
        return found if found.broken == "lagging" else None

    found = eventually(far, what="it to be far behind")
    assert found is not None and found.behind > 100_000
    pair.between.let()
    assert pair.as_step(True, lambda: replication.reconnect.function(REPLICA)) == 1
    pair.link()
    assert pair.compared().broken == ""


def test_one_that_copies_everything_again_and_again_is_said_to(pair: Pair) -> None:
    """The link breaks often, and the backlog is too small for what is written meanwhile."""
    over = threading.Event()

    def breaks() -> None:
        mine = client.Redis(port=pair.primary.port)
        while not over.is_set():
            with suppress(client.ConnectionError):
                mine.mset({f"flood:{number}": "y" * 10_000 for number in range(10)})
            pair.between.cut()
            over.wait(0.4)

    thread = threading.Thread(target=breaks)
    thread.start()
    try:
        found = eventually(
            lambda: seen if (seen := pair.compared(over="3s")).broken == "resyncing" else None, what="it", within=20
        )
        assert found is not None and found.full_syncs >= 1
    finally:
        over.set()
        thread.join()
    pair.link()


def state(
    follows: str = "", *, history: str = "a", offset: int = 10, earlier: str = "", until: int = -1
) -> replication.Replication:
    return replication.Replication(follows, False, False, 0, history, offset, earlier, until)


@pytest.mark.parametrize(
    ("replica", "primary", "agree"),
    [
        (state("p:1", offset=9), state(offset=10), True),
        (state("p:1", offset=11), state(offset=10), False),
        (state(history="b", offset=9, earlier="a", until=9), state(offset=10), True),
        (state(history="b", offset=10, earlier="a", until=9), state(offset=10), False),
        (state(history="b", offset=11, earlier="a", until=11), state(offset=10), False),
        (state("old:1", history="z", offset=5), state(history="a", offset=10, earlier="z", until=5), True),
        (state("old:1", history="z", offset=6), state(history="a", offset=10, earlier="z", until=5), False),
        (state("p:1"), state("q:1"), False),
        (state(), state(), False),
        (state(history="b"), state(history="a"), False),
    ],
)
def test_data_agree_only_where_histories_say_so(
    replica: replication.Replication, primary: replication.Replication, agree: bool
) -> None:
    assert replication.agreement(replica, primary)[0] is agree
