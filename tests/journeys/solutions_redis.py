"""Faults of Redis that need one server: its memory, its clients, a script. Made on real Valkeys.

A replica that lost its primary and a disk that is full need more around them: ``test_redis.py``.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import redis

from tests.journeys.faults import Fault
from tests.support.valkey import Valkey, connections, endless, running_valkey
from tests.support.waiting import eventually

MOST = 30
"""How many clients one of the servers takes."""


class OnValkey(Fault):
    """A fault of one Valkey."""

    page = "redis.md"

    def __init__(self, valkey: Valkey, secret: str, now: ExitStack) -> None:
        self.valkey = valkey
        self._secret = secret
        self._now = now
        """What was begun on the server, by whichever of its faults."""

    def target(self) -> dict[str, Any]:
        return {"redis": f"secret:{self._secret}_ro", "fix with": f"secret:{self._secret}_fix"}

    def calm(self) -> None:
        self._now.close()
        eventually(self._others_are_gone, what="the connections to be closed")
        self.valkey.admin.flushall()
        self.valkey.admin.mset({f"session:{number}": "x" for number in range(50)})
        self.valkey.admin.set("ends", "by itself", ex=100_000)

    def _others_are_gone(self) -> bool:
        return len(self._listed()) <= 1

    def _listed(self) -> list[dict[str, Any]]:
        found: Any = self.valkey.admin.client_list(_type="normal")
        return list(found)

    def bystanders(self) -> object:
        return self.valkey.admin.get("ends"), int(self.valkey.admin.ttl("ends")) > 90_000

    def everything(self) -> object:
        """Which keys there are, and how many of them have an end."""
        keyspace: Any = self.valkey.admin.info("keyspace")
        return self.valkey.keys, keyspace["db0"]["expires"], self.bystanders()


class Fills(OnValkey):
    """Its memory is nearly used up, by keys that nobody reads."""

    name = "redis-memory"
    page = "../playbooks/README.md"
    labels = {"alertname": "ProbeRedisFailed", "probe": "memory"}

    def befall(self, round: int) -> None:
        self.calm()
        self.valkey.fill()
        # Valkey counts in whole seconds.
        eventually(lambda: (self.valkey.admin.object("idletime", "cart:6199") or 0) >= 1, what="its keys to be idle")
        assert self.valkey.used_ratio > 0.9

    def over(self) -> bool:
        return self.valkey.used_ratio < 0.8


class Crowded(OnValkey):
    """Applications keep connections that they do nothing with."""

    name = "redis-clients"
    labels = {"alertname": "ProbeRedisFailed", "probe": "clients"}
    held = MOST - 6

    def befall(self, round: int) -> None:
        self.calm()
        subscribed = self._now.enter_context(connections(self.valkey.port, 1))[0].pubsub()
        subscribed.subscribe("news")
        self._now.callback(subscribed.close)
        made = self._now.enter_context(connections(self.valkey.port, self.held))
        ids = {str(one.client_id()) for one in made}
        eventually(lambda: ids <= self._idle(), what="them to be idle")

    def _idle(self) -> set[str]:
        return {one["id"] for one in self._listed() if int(one["idle"]) >= 1}

    def over(self) -> bool:
        return len(self._listed()) < MOST // 2

    def bystanders(self) -> object:
        there: Any = self.valkey.admin.client_list(_type="pubsub")
        return [one["id"] for one in there], super().bystanders()


class Shut(Crowded):
    """Every place is taken, by clients at work: nobody gets in, Tocsin neither."""

    name = "redis-full"
    comes_to = "handed_over"
    says = "every one of its maxclients is in use"

    def befall(self, round: int) -> None:
        super().befall(round)
        with suppress(redis.ConnectionError):
            while True:
                self._now.enter_context(connections(self.valkey.port, 1))

    def over(self) -> bool:
        info: Any = self.valkey.admin.info("clients")
        return bool(info["connected_clients"] == MOST)


class Scripted(OnValkey):
    """A script that does not end."""

    name = "redis-script"
    labels = {"alertname": "RedisBlocked"}

    def befall(self, round: int) -> None:
        self.calm()
        self._now.enter_context(endless(self.valkey))
        eventually(lambda: not self.over(), what="the script to block it")

    def over(self) -> bool:
        try:
            return bool(self.valkey.admin.ping())
        except redis.ResponseError:
            return False

    def bystanders(self) -> object:
        """Nothing can be asked of it while it is blocked."""
        return None

    def everything(self) -> object:
        return super().everything(), super().bystanders()


@contextmanager
def on_valkeys(folder: Path) -> Iterator[tuple[dict[str, str], list[OnValkey], Crowded]]:
    """Three Valkeys: one with a limit on its memory, two with few clients. Secrets for them, and their faults; that of
    the last one is seen by Tocsin's own probe.
    """
    places = [folder / name for name in ("valkey-memory", "valkey-clients", "valkey-probed")]
    for one in places:
        one.mkdir()
    few = {"maxclients": str(MOST), "busy-reply-threshold": "50"}
    with (
        running_valkey(places[0]) as small, running_valkey(places[1], few) as crowded,
        running_valkey(places[2], few) as probed, ExitStack() as now,
    ):  # fmt: skip
        secrets = {
            "TOCSIN_SECRET_SMALL_RO": small.reading, "TOCSIN_SECRET_SMALL_FIX": small.fixing,
            "TOCSIN_SECRET_CROWDED_RO": crowded.reading, "TOCSIN_SECRET_CROWDED_FIX": crowded.fixing,
            "TOCSIN_SECRET_PROBED_RO": probed.reading, "TOCSIN_SECRET_PROBED_FIX": probed.fixing,
        }  # fmt: skip
        few_clients: list[OnValkey] = [kind(crowded, "crowded", now) for kind in (Crowded, Shut, Scripted)]
        yield secrets, [Fills(small, "small", ExitStack()), *few_clients], Crowded(probed, "probed", now)
