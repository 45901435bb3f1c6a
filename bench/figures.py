"""The figures beside intake: how soon a page leaves, what 50,000 active alerts cost, how fast commands start."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
import time
import urllib.parse
from collections.abc import Callable
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from http.client import HTTPConnection
from statistics import median
from typing import Any

from bench.clients import alert, percentile, rfc3339
from bench.load_plan import tocsin_plan
from bench.servers import Tocsin
from tests.support.catcher import Catcher, running_catcher
from tests.support.postgres import Postgres
from tests.support.processes import inherited_environment
from tests.support.server import tocsin_command

Say = Callable[[str], None]

ACTIVE = 50_000
PAGES = 200
BESIDE = 1_000.0
READERS = 8
LISTS = ("/", "/alerts", "/api/v1/incidents", "/api/v1/alerts")
EXPORT = "/api/v1/export/incidents"
_SECRET = {"TOCSIN_SECRET_BENCH_HOOK": "whsec_" + base64.b64encode(b"m" * 32).decode()}


class Beside:
    """A child of `bench.clients` that runs while the block does; `found` is what it said at its end."""

    def __init__(self, *arguments: str) -> None:
        self._arguments = arguments
        self.found: dict[str, float] = {}

    def __enter__(self) -> Beside:
        self._child = subprocess.Popen(
            [sys.executable, "-m", "bench.clients", *self._arguments],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=inherited_environment(),
        )  # fmt: skip
        return self

    def __exit__(self, *_: object) -> None:
        try:
            said, _nothing = self._child.communicate(timeout=90)
            self.found = json.loads(said or "{}")
        except subprocess.TimeoutExpired:
            self._child.kill()
            self._child.wait()


def fill(server: Tocsin, alerts: int, ahead: timedelta = timedelta(hours=6)) -> None:
    """Have this many alerts active, sent 500 at a time."""
    connection = _connection(server)
    now = datetime.now(UTC)
    started, ends = rfc3339(now - timedelta(minutes=1)), rfc3339(now + ahead)
    for turn, first in enumerate(range(0, alerts, 500)):
        body = json.dumps([alert(n, started, ends) for n in range(first, min(first + 500, alerts))]).encode()
        connection.request("POST", server.paths[turn % len(server.paths)], body, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        answer.read()
        if answer.status != 200:
            raise RuntimeError(f"filling: {answer.status}")
    connection.close()


def page_latency(pages: int, postgres: Postgres | None, say: Say) -> dict[str, Any]:
    """From just before an event is posted until the channel's request has been read at its other end, in milliseconds.

    Beside it: 1,000 events a second, eight readers of the heaviest page and one of the export, without a pause.
    """
    with running_catcher() as catcher, ExitStack() as cleanup:
        server = Tocsin(postgres=postgres, plan=tocsin_plan(f"{catcher.url}/page"), secrets=_SECRET, keys=8)
        cleanup.callback(server.close)
        server.server.run("contact", "rules", "--person", "ana", "--bundle-within", "0s")  # each page by itself
        fill(server, 10_000)
        key = server.key("events", "svc-00")
        heaviest = max(LISTS, key=lambda path: median(_times(server, path, 10)))
        quiet = _pages(server, key, catcher, max(20, pages // 4), "quiet")
        with Beside("events", server.url, *server.paths, str(BESIDE)) as events, ExitStack() as readers:
            token = server.server.token
            looping = [readers.enter_context(Beside("pages", server.url, token, heaviest)) for _ in range(READERS)]
            exporting = readers.enter_context(Beside("pages", server.url, token, EXPORT))
            time.sleep(3)
            loud = _pages(server, key, catcher, pages, "loud")
        ledger = _ledger(server, pages)
        found = {
            "pages": len(loud), "heaviest": heaviest,
            "p50": percentile(loud, 50), "p99": percentile(loud, 99), "slowest": max(loud, default=0.0),
            "quiet_p50": percentile(quiet, 50), "quiet_p99": percentile(quiet, 99),
            "ledger_p50": percentile(ledger, 50), "ledger_p99": percentile(ledger, 99),
            "events": events.found, "export": exporting.found,
            "reads": sum(one.found.get("read", 0) for one in looping),
            "reads_failed": sum(one.found.get("not_2xx", 0) for one in looping),
            "read_p99": max(one.found.get("p99_ms", 0) for one in looping),
        }  # fmt: skip
    say(
        f"{len(loud)} pages: p50 {found['p50']:.1f} p99 {found['p99']:.1f} worst {found['slowest']:.1f} ms beside"
        f" {events.found['per_second']:,.0f} events/s (p99 {events.found['p99_ms']:.1f} ms), {found['reads']:.0f} reads"
        f" of {heaviest}, {exporting.found['read']:.0f} exports; with nothing beside p50 {found['quiet_p50']:.1f}"
        f" p99 {found['quiet_p99']:.1f}; by the ledger, intended to answered, p50 {found['ledger_p50']:.1f}"
        f" p99 {found['ledger_p99']:.1f}"
    )
    return found


def _pages(server: Tocsin, key: str, catcher: Catcher, pages: int, name: str) -> list[float]:
    """Post an event of a new incident, wait for its page; again and again. Milliseconds each."""
    connection = _connection(server)
    took = []
    for number in range(pages):
        title = f"{name}-{number}-of-{pages}"
        body = json.dumps({"key": title, "title": title, "severity": "critical"}).encode()
        seen = len(catcher.requests)
        began = time.monotonic()
        connection.request(
            "POST", "/api/events", body, {"Content-Type": "application/json", "Authorization": f"Bearer {key}"}
        )
        answer = connection.getresponse()
        answer.read()
        if answer.status != 202:
            raise RuntimeError(f"the event was answered {answer.status}")
        took.append((_arrival(catcher, title.encode(), seen) - began) * 1000)
        # Not in step with anything: some forty a second at most.
        time.sleep(0.02 + number % 7 / 1000)
    connection.close()
    return took


def _arrival(catcher: Catcher, title: bytes, seen: int) -> float:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        for one in catcher.requests[seen:]:
            if title in one.body:
                return one.at
        time.sleep(0.001)
    raise RuntimeError(f"no page for {title.decode()} in 30 s")


def _ledger(server: Tocsin, pages: int) -> list[float]:
    """What the ledger itself says of the last pages: from intent to the channel's answer, in milliseconds."""
    took: list[float] = []
    cursor = ""
    while len(took) < pages:
        status, listed = server.server.call("GET", f"/api/v1/pages?limit=100{cursor}")
        if status != 200:
            raise RuntimeError(f"the ledger was answered {status}")
        for page in listed["items"]:
            finished = page.get("finished_at")
            if finished:
                took.append(_between(page["intended_at"], finished))
        if not listed.get("next"):
            break
        cursor = f"&cursor={urllib.parse.quote(listed['next'])}"
    return took[:pages]


def _between(first: str, last: str) -> float:
    return (datetime.fromisoformat(last) - datetime.fromisoformat(first)).total_seconds() * 1000


def full_house(postgres: Postgres | None, restarts: int, say: Say) -> dict[str, Any]:
    """With 50,000 active alerts: lists, memory, and starting again, politely and after kill -9."""
    server = Tocsin(postgres=postgres, keys=4)
    try:
        fill(server, ACTIVE)
        active = server.decisions()["tocsin_alerts_firing"]
        lists = {path: _times(server, path, 50) for path in LISTS}
        resident = server.resident()
        core = server.core
        others = (
            sum(m.memory_info().rss for m in server.server.process.family() if m.pid != core.pid)
            if server.server.process
            else 0
        )
        stopped, killed = [], []
        for _ in range(restarts):
            server.server.stop()
            stopped.append(_ready(server))
            assert server.server.process is not None
            server.server.process.kill9()
            killed.append(_ready(server))
        still = server.decisions()["tocsin_alerts_firing"]
        after = server.resident()
    finally:
        server.close()
    found = {
        "active": active,
        "active_after_restart": still,
        "core_rss": resident,
        "core_rss_after_restart": after,
        "other_rss": others,
        "lists": {path: {"p50": median(times), "p99": percentile(times, 99)} for path, times in lists.items()},
        "restart": median(stopped),
        "restart_worst": max(stopped),
        "restart_killed": median(killed),
        "restart_killed_worst": max(killed),
    }
    told = "; ".join(
        f"{path} p50 {median(times):.1f} p99 {percentile(times, 99):.1f} ms" for path, times in lists.items()
    )
    say(
        f"{active:,.0f} active: {told}; core {resident >> 20} MB (after starting again {after >> 20}), supervisor and"
        f" faces {others >> 20} MB; started again in {median(stopped):.2f} s, after kill -9 {median(killed):.2f} s"
    )
    return found


def starts(times: int, say: Say) -> dict[str, Any]:
    """`tocsin --help`, and `tocsin up` until /readyz says 200, from an empty folder and a used one. Seconds."""
    helped = []
    for _ in range(times):
        began = time.monotonic()
        subprocess.run([tocsin_command(), "--help"], stdout=subprocess.DEVNULL, env=inherited_environment(), check=True)
        helped.append(time.monotonic() - began)
    empty, used = [], []
    for _ in range(times):
        server = Tocsin(keys=0, started=False)
        try:
            empty.append(_ready(server))
            server.server.stop()
            used.append(_ready(server))
        finally:
            server.close()
    found = {
        "help": median(helped),
        "empty": median(empty),
        "empty_worst": max(empty),
        "used": median(used),
        "used_worst": max(used),
    }
    say(
        f"tocsin --help {found['help']:.3f} s; tocsin up ready after {found['empty']:.2f} s from an empty folder,"
        f" {found['used']:.2f} s from a used one"
    )
    return found


def _ready(server: Tocsin) -> float:
    """Start it and return the seconds until /readyz answers 200."""
    at = urllib.parse.urlsplit(server.url)
    assert at.hostname is not None
    began = time.monotonic()
    server.server.start(wait=False)
    while time.monotonic() - began < 60:
        connection = HTTPConnection(at.hostname, at.port, timeout=5)
        try:
            connection.request("GET", "/readyz")
            if connection.getresponse().status == 200:
                return time.monotonic() - began
        except OSError:
            pass
        finally:
            connection.close()
        time.sleep(0.005)
    raise RuntimeError(f"Tocsin was not ready within a minute:\n{server.server.output()[-2000:]}")


def _times(server: Tocsin, path: str, times: int) -> list[float]:
    """How long a signed-in reader waits for a page, in milliseconds, over one connection; the first is not counted."""
    connection = _connection(server)
    took = []
    for _ in range(times + 1):
        began = time.monotonic()
        connection.request("GET", path, headers={"Authorization": f"Bearer {server.server.token}"})
        answer = connection.getresponse()
        answer.read()
        took.append((time.monotonic() - began) * 1000)
        if answer.status != 200:
            raise RuntimeError(f"{path} was answered {answer.status}")
    connection.close()
    return took[1:]


def _connection(server: Tocsin) -> HTTPConnection:
    at = urllib.parse.urlsplit(server.url)
    assert at.hostname is not None
    return HTTPConnection(at.hostname, at.port, timeout=60)
