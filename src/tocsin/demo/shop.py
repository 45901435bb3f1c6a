"""The shop: four small real processes that talk HTTP on the loopback, one with a queue on disk.

``python -m tocsin.demo.shop ROLE …`` runs one of them:

- ``payments`` charges cards (``POST /charge``, ``GET /health``);
- ``checkout`` takes orders: asks payments for the money, then puts each order as a file in the queue folder. SIGUSR1
  makes it log every step of a debugging session into its log folder, one file after another, and clears none away;
- ``storefront`` is what visitors see; its ``/health`` asks payments, and a visitor of its own buys something regularly.
  Each visitor has a cart in the cart store, when ``SHOP_CARTS`` in the environment names one. SIGUSR1 lets in a crawler
  that begins thousands of carts, which storefront keeps for ever;
- ``worker`` drains the queue folder and pings its heartbeat URL.

Only the standard library. Everything is bounded: bodies, waiting times, the queue, the log.
None of them knows that a demo is being given.
"""

from __future__ import annotations

import argparse
import http.client
import http.server
import json
import os
import signal
import socket
import sys
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

ROLES = ("payments", "checkout", "storefront", "worker")

PATIENCE = 0.8
"""Seconds one process of the shop waits for another."""

LARGEST_BODY = 16 * 1024
MOST_ORDERS = 2_000
"""Files the queue folder may hold before checkout refuses orders."""

LOG_STEP = 1024 * 1024
LOG_EVERY = 0.1
LOG_LIMIT = 32 * 1024 * 1024
"""A debugging session writes a file of LOG_STEP bytes every LOG_EVERY seconds, and ends after LOG_LIMIT."""

CART_LASTS = 600
"""Seconds a cart is kept for."""
CRAWLED = 6_600
CART = b"1 teapot, blue; " * 60
CARTS_AT_ONCE = 200

MOST_REQUESTS = 32
"""Requests one process handles at a time; more wait in the listen queue."""

Answer = tuple[int, Mapping[str, Any]]


def call(url: str, body: bytes | None = None, within: float = PATIENCE) -> tuple[int, bytes]:
    """GET, or POST when there is a body. Status and at most 64 KiB of the answer; OSError when none came in time."""
    request = urllib.request.Request(url, data=body, headers={"Content-Type": "application/json"})
    try:
        with _direct.open(request, timeout=within) as answer:
            return int(answer.status), answer.read(65536)
    except urllib.error.HTTPError as refused:
        with refused:
            return refused.code, refused.read(65536)
    except http.client.HTTPException as broken:
        raise ConnectionError(f"{type(broken).__name__}: {broken}") from broken


# Everything is on the loopback; a proxy configured in the environment has no business here.
_direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers in JSON from the server's table of ``"GET /path"`` to functions of the body."""

    protocol_version = "HTTP/1.1"
    timeout = 5
    server: Shopkeeper

    def do_GET(self) -> None:
        """Answer a GET."""
        self._answer(b"")

    def do_POST(self) -> None:
        """Answer a POST whose body is not larger than LARGEST_BODY."""
        try:
            length = int(self.headers.get("Content-Length", "0"))
        except ValueError:
            length = -1
        if not 0 <= length <= LARGEST_BODY:
            self.close_connection = True
            self._send(413, {"error": f"at most {LARGEST_BODY} bytes"})
            return
        self._answer(self.rfile.read(length))

    def _answer(self, body: bytes) -> None:
        found = self.server.routes.get(f"{self.command} {urllib.parse.urlsplit(self.path).path}")
        status, content = found(body) if found else (404, {"error": "there is nothing here"})
        self._send(status, content)

    def _send(self, status: int, content: Mapping[str, Any]) -> None:
        data = json.dumps(content).encode() + b"\n"
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def version_string(self) -> str:
        """What the Server header says."""
        return "shop"

    def log_message(self, format: str, *args: object) -> None:  # the base class names it so
        """Say nothing of each request."""


class Shopkeeper(http.server.ThreadingHTTPServer):
    """One process of the shop, listening on 127.0.0.1."""

    daemon_threads = True
    request_queue_size = 64
    allow_reuse_port = True
    """Whoever runs the shop may hold its ports for it, also while this process is dead."""

    def __init__(self, port: int, routes: Mapping[str, Callable[[bytes], Answer]]) -> None:
        """Listen on `port` (0: any free one) and answer from `routes`."""
        self.routes = routes
        self._room = threading.BoundedSemaphore(MOST_REQUESTS)
        super().__init__(("127.0.0.1", port), Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Hand the request to a thread once there is room for one more."""
        self._room.acquire()
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Serve one connection and make room."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._room.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Pass over a caller that went away; report anything else."""
        if not isinstance(sys.exc_info()[1], ConnectionError | TimeoutError):
            super().handle_error(request, client_address)


def payments(port: int) -> None:
    """Charge cards until stopped."""
    charged = 0

    def charge(body: bytes) -> Answer:
        nonlocal charged
        try:
            cents = json.loads(body)["cents"]
        except (ValueError, KeyError, TypeError):
            return 400, {"error": 'say how much: {"cents": 1250}'}
        charged += 1
        return 200, {"charged": cents, "number": charged}

    def health(_: bytes) -> Answer:
        return 200, {"status": "ok", "charged": charged}

    Shopkeeper(port, {"GET /health": health, "POST /charge": charge}).serve_forever()


class DebugLog:
    """Debugging sessions that leave their logs behind: LOG_LIMIT bytes each, in files of LOG_STEP."""

    def __init__(self, folder: Path) -> None:
        """Log into ``debug-….log`` in `folder`, which is made."""
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._on = threading.Event()
        threading.Thread(target=self._write, daemon=True).start()

    def start(self, *_: object) -> None:
        """Begin a session, unless one is on."""
        self._on.set()

    def _write(self) -> None:
        line = b"DEBUG cart=8123 step=price item=teapot qty=1 took=0.0004s\n"
        block = line * (LOG_STEP // len(line))
        session = 0
        while True:
            self._on.wait()
            session += 1
            for number in range(LOG_LIMIT // LOG_STEP):
                (self._folder / f"debug-{session}-{number:03d}.log").write_bytes(block)
                time.sleep(LOG_EVERY)
            self._on.clear()


def checkout(port: int, payments_url: str, queue: Path, log: Path) -> None:
    """Take orders until stopped: charge, then put a file into `queue`, whole or not at all."""
    queue.mkdir(parents=True, exist_ok=True)
    signal.signal(signal.SIGUSR1, DebugLog(log).start)
    taken = 0
    one_at_a_time = threading.Lock()

    def order(body: bytes) -> Answer:
        nonlocal taken
        try:
            cents = json.loads(body)["cents"]
        except (ValueError, KeyError, TypeError):
            return 400, {"error": 'say what it costs: {"cents": 1250}'}
        if len(waiting(queue)) >= MOST_ORDERS:
            return 507, {"error": "the queue is full"}
        try:
            status, _ = call(payments_url + "/charge", json.dumps({"cents": cents}).encode())
        except OSError as error:
            return 503, {"error": f"payments: {said(error)}"}
        if status != 200:
            return 502, {"error": f"payments answered {status}"}
        with one_at_a_time:
            taken += 1
            name = f"{os.getpid()}-{taken:06d}"
        # Written beside its name and then renamed, so that the worker never sees half an order.
        half = queue / f".{name}"
        half.write_text(json.dumps({"order": name, "cents": cents}))
        half.rename(queue / f"{name}.json")
        return 202, {"order": name}

    def health(_: bytes) -> Answer:
        return 200, {"status": "ok", "taken": taken, "waiting": len(waiting(queue))}

    Shopkeeper(port, {"GET /health": health, "POST /orders": order}).serve_forever()


class Carts:
    """The carts of visitors, kept in a Redis or Valkey. Speaks the little of its protocol that this takes."""

    def __init__(self, url: str) -> None:
        """`url`: ``redis://user:password@host:port/0``."""
        self._at = urllib.parse.urlsplit(url)
        self._visited = threading.Event()
        threading.Thread(target=self._crawl, daemon=True).start()

    def keep(self, names: Sequence[str], lasts: int = 0) -> None:
        """Keep carts; for so many seconds, or for ever. OSError when the store cannot be reached or takes no more."""
        end = (b"EX", b"%d" % lasts) if lasts else ()
        words = [(b"AUTH", (self._at.username or "").encode(), urllib.parse.unquote(self._at.password or "").encode())]
        words += [(b"SET", f"cart:{name}".encode(), CART, *end) for name in names]
        with socket.create_connection((self._at.hostname or "", self._at.port or 6379), timeout=PATIENCE) as line:
            line.sendall(b"".join(b"*%d\r\n" % len(one) + b"".join(map(_bulk, one)) for one in words))
            with line.makefile("rb") as answers:
                for _ in words:
                    if not (answer := answers.readline()).startswith(b"+"):
                        raise OSError(f"the cart store said {answer[:80]!r}")

    def crawl(self, *_: object) -> None:
        """Let a crawler in."""
        self._visited.set()

    def _crawl(self) -> None:
        crawler = 0
        while True:
            self._visited.wait()
            crawler += 1
            try:
                for first in range(0, CRAWLED, CARTS_AT_ONCE):
                    self.keep([f"crawler-{crawler}-{first + number}" for number in range(CARTS_AT_ONCE)])
            except OSError:
                pass  # it is full, or away
            self._visited.clear()


def _bulk(word: bytes) -> bytes:
    return b"$%d\r\n%s\r\n" % (len(word), word)


def storefront(port: int, payments_url: str, checkout_url: str, order_every: float, carts_url: str = "") -> None:
    """Show the shop until stopped, and let a visitor buy something every so many seconds."""
    carts = Carts(carts_url) if carts_url else None
    if carts is not None:
        signal.signal(signal.SIGUSR1, carts.crawl)

    def health(_: bytes) -> Answer:
        try:
            status, _ = call(payments_url + "/health")
        except OSError as error:
            return 503, {"status": "failing", "because": f"payments: {said(error)}"}
        if status != 200:
            return 503, {"status": "failing", "because": f"payments answered {status}"}
        return 200, {"status": "ok"}

    def visit() -> None:
        visits = 0
        while True:
            time.sleep(order_every)
            visits += 1
            try:
                if carts is not None:
                    carts.keep([f"visitor-{os.getpid()}-{visits}"], CART_LASTS)
            except OSError:
                pass  # who has no cart buys all the same
            try:
                call(checkout_url + "/orders", b'{"cents": 1250}', within=2 * PATIENCE)
            except OSError:
                pass  # a visitor who gets no answer goes away and comes back later

    threading.Thread(target=visit, daemon=True).start()
    Shopkeeper(port, {"GET /": lambda _: (200, {"sells": "teapots"}), "GET /health": health}).serve_forever()


def worker(queue: Path, ping: str, ping_every: float) -> None:
    """Ship what waits in `queue` until stopped, and ping `ping` (when there is one) every so many seconds."""
    queue.mkdir(parents=True, exist_ok=True)
    due = time.monotonic()
    while True:
        for order in waiting(queue)[:50]:
            order.unlink(missing_ok=True)
        if ping and time.monotonic() >= due:
            due = time.monotonic() + ping_every
            try:
                call(ping, b"", within=2.0)
            except OSError:
                pass  # that no ping arrives is exactly what the other side listens for
        time.sleep(0.25)


def waiting(queue: Path) -> list[Path]:
    """The orders in the queue folder, oldest name first."""
    return sorted(path for path in queue.iterdir() if path.suffix == ".json")


def said(error: OSError) -> str:
    """An error in a few words, the same ones each time."""
    inner = error.reason if isinstance(error, urllib.error.URLError) else error
    if isinstance(inner, TimeoutError):
        return f"no answer within {PATIENCE:g} s"
    if isinstance(inner, ConnectionRefusedError):
        return "nobody listens"
    return str(inner)[:200]


def main(argv: Sequence[str] | None = None) -> int:
    """Run one role until it is stopped."""
    parser = argparse.ArgumentParser(prog="python -m tocsin.demo.shop", description=__doc__.split("\n")[0])
    parser.add_argument("role", choices=ROLES)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--payments", default="", metavar="URL")
    parser.add_argument("--checkout", default="", metavar="URL")
    parser.add_argument("--queue", type=Path, default=Path("queue"), metavar="FOLDER")
    parser.add_argument("--log", type=Path, default=Path("log"), metavar="FOLDER")
    parser.add_argument("--order-every", type=float, default=1.0, metavar="SECONDS")
    parser.add_argument("--ping", default="", metavar="URL")
    parser.add_argument("--ping-every", type=float, default=3.0, metavar="SECONDS")
    args = parser.parse_args(argv)
    try:
        if args.role == "payments":
            payments(args.port)
        elif args.role == "checkout":
            checkout(args.port, args.payments, args.queue, args.log)
        elif args.role == "storefront":
            storefront(args.port, args.payments, args.checkout, args.order_every, os.environ.get("SHOP_CARTS", ""))
        else:
            worker(args.queue, args.ping, args.ping_every)
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
