"""How soon a page leaves when its time has come: idle, and beside 2,000 events a second with 100,000 timers pending."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable
from contextlib import ExitStack
from datetime import UTC, datetime
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlsplit

from bench.clients import percentile
from bench.figures import Beside
from bench.servers import Tocsin
from tests.faults.counting import everything
from tests.support.catcher import Catcher, running_catcher
from tests.support.postgres import Postgres
from tests.support.waiting import eventually
from tocsin.kernel.instant import parse_rfc3339

Say = Callable[[str], None]

WAIT = 3
"""Seconds from the first step to the second, whose page is the one that is timed."""
PENDING = 100_000
RATE = 2_000.0
EVERY = 0.04
"""Seconds between two incidents whose timers are measured."""
BATCH = 500
_SECRET = {"TOCSIN_SECRET_HOOK": "whsec_" + base64.b64encode(b"t" * 32).decode()}


def plan(hook: str) -> dict[str, Any]:
    """A service whose second step is timed; one whose incidents wait for a morning; the inbox takes the background."""
    night = (datetime.now(UTC).hour - 1) % 24  # as far west or east as it is one o'clock in the night there
    zone = f"Etc/GMT{'+' if night <= 12 else '-'}{night if night <= 12 else 24 - night}"
    return {
        "tocsin": 1,
        "people": {
            "first": {"webhook": {"url": f"{hook}/first", "secret": "secret:hook"}},
            "timed": {"webhook": {"url": f"{hook}/timed", "secret": "secret:hook"}},
            "sleeper": {"timezone": zone, "webhook": {"url": f"{hook}/sleeper", "secret": "secret:hook"}},
        },
        "last resort": "first",
        "escalations": {
            "timed": [{"page": "first", "wait": f"{WAIT}s"}, {"page": "timed", "wait": "7d"}],
            "night": [{"page": "sleeper", "wait": "7d"}],
            "inbox": [{"page": "first", "wait": "7d"}],
        },
        "services": {
            "timed": {"escalation": "timed"},
            "night": {"escalation": "night", "urgency": "low"},
            "inbox": {"escalation": "inbox"},
        },
    }


def measure(pages: int, pending: int, postgres: Postgres | None, say: Say) -> dict[str, Any]:
    """Milliseconds from the instant a step is due until its page's request has been read at its receiver."""
    with running_catcher() as catcher, ExitStack() as cleanup:
        server = Tocsin(postgres=postgres, plan=plan(catcher.url), secrets=_SECRET, keys=8)
        cleanup.callback(server.close)
        for person in ("first", "timed"):
            server.server.run("contact", "rules", "--person", person, "--bundle-within", "0s")
        key = server.key("events", "timed")
        idle = _late(server, key, catcher, pages, "idle")
        say(f"idle: p50 {percentile(idle, 50):.1f} p99 {percentile(idle, 99):.1f} worst {max(idle):.1f} ms")
        began = time.monotonic()
        waiting = _fill(server, pending)
        say(f"{waiting:,} incidents wait, each by a timer of its own; that took {time.monotonic() - began:.0f} s")
        with Beside("events", server.url, *server.paths, str(RATE)) as events:
            time.sleep(3)
            loud = _late(server, key, catcher, pages, "loud")
        faults = server.decisions().get("tocsin_audit_faults", 0.0)
    found = {
        "pages": len(loud), "pending": waiting, "events": events.found, "faults": faults,
        "idle_p50": percentile(idle, 50), "idle_p99": percentile(idle, 99), "idle_worst": max(idle),
        "p50": percentile(loud, 50), "p99": percentile(loud, 99), "worst": max(loud),
    }  # fmt: skip
    say(
        f"beside {events.found['per_second']:,.0f} events/s: p50 {found['p50']:.1f} p99 {found['p99']:.1f}"
        f" worst {found['worst']:.1f} ms; {faults:.0f} faults of the self-audit"
    )
    return found


def _late(server: Tocsin, key: str, catcher: Catcher, pages: int, name: str) -> list[float]:
    """Open incidents one after the other, and see how late each one's second step reaches its person."""
    catcher.requests.clear()
    connection = _connection(server)
    for number in range(pages):
        title = f"{name}-{number}"
        _post(connection, key, [{"title": title, "key": title, "labels": {"alertname": title}}])
        time.sleep(EVERY)
    timed = eventually(
        lambda: found if len(found := [one for one in list(catcher.requests) if one.path == "/timed"]) >= pages else [],
        within=WAIT + 60, what=f"{pages} pages",
    )  # fmt: skip
    wall = time.time() - time.monotonic()
    at = {one.json()["data"]["incident"]["title"]: wall + one.at for one in timed}
    opened = {
        one["title"]: parse_rfc3339(one["opened_at"]) / 1e6
        for one in everything(server.server, "/api/v1/incidents", service="timed", state="triggered")
    }
    return [(when - opened[title] - WAIT) * 1000 for title, when in at.items()]


def _fill(server: Tocsin, pending: int) -> int:
    """Open incidents that wait for somebody's morning, each by a timer of its own; how many do."""
    keys = [server.key("events", "night") for _ in range(3)]
    connection = _connection(server)
    for turn, first in enumerate(range(0, pending, BATCH)):
        named = (f"n{number}" for number in range(first, min(first + BATCH, pending)))
        _post(connection, keys[turn % 3], [{"title": n, "key": n, "labels": {"alertname": n}} for n in named])
    return int(server.decisions()["tocsin_incidents_open"])


def _connection(server: Tocsin) -> HTTPConnection:
    at = urlsplit(server.url)
    assert at.hostname is not None
    return HTTPConnection(at.hostname, at.port, timeout=60)


def _post(connection: HTTPConnection, key: str, events: list[dict[str, Any]]) -> None:
    body = json.dumps({"events": events}).encode()
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {key}"}
    connection.request("POST", "/api/events", body, headers)
    answer = connection.getresponse()
    said = answer.read()
    if answer.status != 202:
        raise RuntimeError(f"an event was not taken: {answer.status} {said[:200]!r}")
