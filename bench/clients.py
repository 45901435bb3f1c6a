"""Load beside a measurement, each kind in a process of its own so that it does not wait for the one that measures.

`python -m bench.clients events URL PATH... RATE` posts events at a steady rate until its standard input closes.
`python -m bench.clients pages URL TOKEN PATH` reads one page again and again, from one connection.
Both then print one line of JSON: what was done, how fast, and what was not answered 2xx.
"""

from __future__ import annotations

import asyncio
import http.client
import json
import sys
import threading
import time
import urllib.parse
from datetime import UTC, datetime, timedelta
from statistics import quantiles

CONNECTIONS = 16


def alert(number: int, started: str, ends: str) -> dict[str, object]:
    """The alert load.lua sends under this number."""
    service, latency = number // 8 % 50, number // 400 % 2 == 1
    digits = f"{number:010d}"
    return {
        "labels": {
            "alertname": "HighLatencyP99" if latency else "HighErrorRate",
            "instance": f"node-{digits}.prod.example.net:9100",
            "job": f"svc-{service:02d}",
            "severity": "warning" if latency else "critical",
            "cluster": f"prod-eu-{number % 2}",
            "namespace": f"team-{number % 20:02d}",
            "pod": f"svc-{service:02d}-7f9c6d5b4-{digits}",
            "region": f"eu-west-{number % 3 + 1}",
        },
        "annotations": {
            "summary": f"Error rate of svc-{service:02d} on node-{digits} is above its budget",
            "description": "More than 5 % of the requests of the last five minutes failed. The deployment, the database"
            " and the queue behind it are linked from the dashboard; look there first.",
            "runbook_url": f"https://runbooks.example.net/svc-{service:02d}/error-rate",
        },
        "startsAt": started,
        "endsAt": ends,
        "generatorURL": "http://prometheus-0.monitoring.example.net:9090/graph?g0.expr=rate%28http_requests_total"
        "%7Bcode%3D~%225..%22%7D%5B5m%5D%29+%3E+0.05&g0.tab=1",
    }


def rfc3339(moment: datetime) -> str:
    """As Prometheus writes times."""
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"


async def events(url: str, paths: list[str], rate: float, ended: asyncio.Event) -> dict[str, float]:
    """Post single alerts at a steady rate: nine of ten repeat one of 2,000 that fire, the tenth is new."""
    at = urllib.parse.urlsplit(url)
    assert at.hostname is not None
    queue: asyncio.Queue[bytes] = asyncio.Queue()
    done = {"sent": 0, "not_2xx": 0}
    took: list[float] = []

    async def connection() -> None:
        reader, writer = await asyncio.open_connection(at.hostname, at.port)
        while True:
            request = await queue.get()
            began = time.monotonic()
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            length = next(
                (int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")), 0
            )
            if length:
                await reader.readexactly(length)
            took.append(time.monotonic() - began)
            done["sent"] += 1
            done["not_2xx"] += not head.startswith(b"HTTP/1.1 2")

    tasks = [asyncio.create_task(connection()) for _ in range(CONNECTIONS)]
    started = rfc3339(datetime.now(UTC))
    began = time.monotonic()
    number = new = 0
    while not ended.is_set():
        due = int((time.monotonic() - began) * rate)
        ends = rfc3339(datetime.now(UTC) + timedelta(minutes=4))
        for _ in range(due - number):
            number += 1
            if number % 10 == 0:
                new += 1
            which = 900_000_000 + (10_000 + new if number % 10 == 0 else number % 2_000)
            body = json.dumps([alert(which, started, ends)], separators=(",", ":")).encode()
            head = f"POST {paths[number % len(paths)]} HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\n"
            queue.put_nowait(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        await asyncio.sleep(0.002)
    seconds = time.monotonic() - began
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return {
        "per_second": done["sent"] / seconds,
        "not_2xx": done["not_2xx"],
        "left": queue.qsize(),
        "p99_ms": percentile(took, 99) * 1000,
    }


def pages(url: str, token: str, path: str, ended: threading.Event) -> dict[str, float]:
    """Read a page in a loop."""
    at = urllib.parse.urlsplit(url)
    assert at.hostname is not None
    connection = http.client.HTTPConnection(at.hostname, at.port, timeout=60)
    took: list[float] = []
    failed = size = 0
    while not ended.is_set():
        began = time.monotonic()
        connection.request("GET", path, headers={"Authorization": f"Bearer {token}"})
        answer = connection.getresponse()
        size = len(answer.read())
        failed += answer.status != 200
        took.append(time.monotonic() - began)
    return {
        "read": len(took),
        "not_2xx": failed,
        "bytes": size,
        "p50_ms": percentile(took, 50) * 1000,
        "p99_ms": percentile(took, 99) * 1000,
    }


def percentile(values: list[float], percent: int) -> float:
    """The value that `percent` of a hundred do not exceed; 0 of nothing."""
    if len(values) < 2:
        return values[0] if values else 0.0
    return quantiles(values, n=100, method="inclusive")[percent - 1]


def main() -> None:
    """Run one kind until standard input closes."""
    kind, url, *rest = sys.argv[1:]
    if kind == "events":
        print(json.dumps(asyncio.run(_events_until_told(url, rest[:-1], float(rest[-1])))))
        return
    ended = threading.Event()
    threading.Thread(target=_wait_for_end, args=(ended,), daemon=True).start()
    print(json.dumps(pages(url, rest[0], rest[1], ended)))


def _wait_for_end(ended: threading.Event) -> None:
    sys.stdin.read()
    ended.set()


async def _events_until_told(url: str, paths: list[str], rate: float) -> dict[str, float]:
    ended = asyncio.Event()

    async def told() -> None:
        await asyncio.to_thread(sys.stdin.read)
        ended.set()

    waiting = asyncio.create_task(told())
    found = await events(url, paths, rate, ended)
    await waiting
    return found


if __name__ == "__main__":
    main()
