"""Senders that never rest, remember every alert that was acknowledged to them, and take a dead server for granted."""

from __future__ import annotations

import http.client
import itertools
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from tests.support.server import TocsinServer
from tests.support.waiting import eventually

PER_INCIDENT = 20
"""So many alerts in a row carry the same `incident` label, by which the plan groups them."""


class Load:
    """Several connections that post alerts no two of which are the same.

    `acknowledged` holds the numbers that were answered with success; a number that was not may exist or not.
    """

    def __init__(self, server: TocsinServer, *, connections: int = 6, pause: float = 0.015) -> None:
        """Make keys for the three sources that are used; `pause` seconds lie between two posts of a connection."""
        self.acknowledged: set[int] = set()
        self.answers: dict[int, int] = {}
        self._server, self._pause = server, pause
        self._alertmanager = server.new_key("alertmanager")["key"]
        self._events = server.new_key("events")["key"]
        self._pagerduty = server.new_key("pagerduty")["key"]
        self._numbers = itertools.count()
        self._lock = threading.Lock()
        self._ending = threading.Event()
        self._threads = [threading.Thread(target=self._send, args=(n,), daemon=True) for n in range(connections)]

    @contextmanager
    def running(self) -> Iterator[Load]:
        """For as long as the block lasts."""
        for thread in self._threads:
            thread.start()
        try:
            yield self
        finally:
            self._ending.set()
            for thread in self._threads:
                thread.join(30)

    def wait_for_more(self, count: int, *, within: float = 30.0) -> None:
        """Until `count` more have been acknowledged."""
        enough = len(self.acknowledged) + count
        eventually(lambda: len(self.acknowledged) >= enough, within=within, what=f"{count} more acknowledged alerts")

    def _send(self, which: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self._server.port, timeout=10)
        while not self._ending.wait(self._pause):
            with self._lock:
                numbers = [next(self._numbers) for _ in range(8 if which == 0 else 1)]
            path, headers, body = self._written(which, numbers)
            try:
                connection.request("POST", path, body, {"Content-Type": "application/json", **headers})
                answer = connection.getresponse()
                answer.read()
            except (OSError, http.client.HTTPException):
                connection.close()
                continue
            with self._lock:
                self.answers[answer.status] = self.answers.get(answer.status, 0) + 1
                if 200 <= answer.status < 300:
                    self.acknowledged.update(numbers)

    def _written(self, which: int, numbers: list[int]) -> tuple[str, dict[str, str], str]:
        labels = [{"alertname": "Load", "n": str(n), "incident": f"i{n // PER_INCIDENT}"} for n in numbers]
        if which % 3 == 2:
            payload = {"summary": "load", "source": "x", "severity": "critical", "component": labels[0]["incident"]}
            event = {
                "routing_key": self._pagerduty, "event_action": "trigger", "dedup_key": f"n{numbers[0]}",
                "payload": payload,
            }  # fmt: skip
            return "/v2/enqueue", {}, json.dumps(event)
        if which % 3 == 1:
            event = {"title": f"load {numbers[0]}", "labels": labels[0]}
            return "/api/events", {"Authorization": f"Bearer {self._events}"}, json.dumps(event)
        body = json.dumps([{"labels": one} for one in labels])
        return f"/am/{self._alertmanager}/api/v2/alerts", {}, body


PLAN_ROUTES = [
    {"match": ["alertname=Load"], "service": "load", "group": {"by": ["incident"], "window": "1h"}},
    {"match": ["source=x"], "service": "load", "group": {"by": ["component"], "window": "1h"}},
]
"""Routes that make an incident of every PER_INCIDENT alerts."""
