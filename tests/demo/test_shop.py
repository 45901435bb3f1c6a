"""The shop: real processes, real HTTP, real hanging and dying."""

from __future__ import annotations

import http.server
import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import psutil
import pytest

from tests.support.ports import free_port
from tests.support.waiting import eventually
from tocsin.demo import shop
from tocsin.demo.children import Children
from tocsin.demo.faults import FOLDER_LIMIT


class Shop:
    """A whole shop in a folder; `url` of a role, `argv` to start it."""

    def __init__(self, folder: Path) -> None:
        self.children = Children(folder)
        self.queue, self.log = folder / "queue", folder / "log"
        self.ports = {role: free_port() for role in ("payments", "checkout", "storefront")}

    def url(self, role: str) -> str:
        return f"http://127.0.0.1:{self.ports[role]}"

    def start(self, role: str, *more: str) -> int:
        own = {
            "payments": [],
            "checkout": ["--payments", self.url("payments"), "--queue", str(self.queue), "--log", str(self.log)],
            "storefront": [
                "--payments",
                self.url("payments"),
                "--checkout",
                self.url("checkout"),
                "--order-every",
                "0.1",
            ],
            "worker": ["--queue", str(self.queue)],
        }
        port = ["--port", str(self.ports[role])] if role in self.ports else []
        return self.children.start(role, [sys.executable, "-m", shop.__name__, role, *port, *own[role], *more])

    def get(self, role: str, path: str = "/health", body: bytes | None = None) -> tuple[int, dict[str, object]]:
        status, answer = shop.call(self.url(role) + path, body, within=3.0)
        return status, json.loads(answer)

    def healthy(self, *roles: str) -> bool:
        return all(self.get(role)[0] == 200 for role in roles)


@pytest.fixture
def place(tmp_path):
    found = Shop(tmp_path / "shop-folder")
    found.children.folder.mkdir()
    yield found
    found.children.close()


def test_an_order_travels_from_the_visitor_to_the_worker(place):
    """Storefront → checkout → payments → a file in the queue → gone once the worker is there."""
    for role in ("payments", "checkout", "storefront"):
        place.start(role)
    eventually(lambda: place.healthy("payments", "checkout", "storefront"), what="a healthy shop")
    eventually(lambda: len(shop.waiting(place.queue)) >= 3, what="orders in the queue folder")
    order = json.loads(shop.waiting(place.queue)[0].read_text())
    assert order["cents"] == 1250
    charged = place.get("payments")[1]["charged"]
    assert isinstance(charged, int)
    assert charged >= 3

    place.children.signal("storefront", signal.SIGKILL)
    place.start("worker")
    eventually(lambda: not shop.waiting(place.queue), what="a drained queue")


def test_a_stopped_payments_hangs_and_comes_back(place):
    """SIGSTOP: the connection is taken and nobody answers; storefront says so; SIGCONT mends it."""
    pid = place.start("payments")
    place.start("storefront")
    eventually(lambda: place.healthy("payments", "storefront"), what="a healthy shop")

    place.children.signal("payments", signal.SIGSTOP)
    eventually(lambda: psutil.Process(pid).status() == psutil.STATUS_STOPPED)
    with pytest.raises(OSError, match="timed out"):
        shop.call(place.url("payments") + "/health", within=0.5)
    status, answer = place.get("storefront")
    assert (status, answer["because"]) == (503, "payments: no answer within 0.8 s")

    place.children.signal("payments", signal.SIGCONT)
    eventually(lambda: place.healthy("payments", "storefront"), what="both healthy again")


def test_a_killed_payments_refuses_and_can_be_started_again_on_its_port(place):
    """SIGKILL: nobody listens; orders are refused; a new process takes the port."""
    place.start("payments")
    place.start("checkout")
    eventually(lambda: place.healthy("payments", "checkout"), what="a healthy shop")

    place.children.signal("payments", signal.SIGKILL)
    with pytest.raises(OSError, match="refused"):
        shop.call(place.url("payments") + "/health")
    status, answer = place.get("checkout", "/orders", b'{"cents": 5}')
    assert (status, answer["error"]) == (503, "payments: nobody listens")
    assert shop.waiting(place.queue) == []

    place.start("payments")
    eventually(lambda: place.healthy("payments"), what="payments again")
    assert place.get("checkout", "/orders", b'{"cents": 5}')[0] == 202


def test_a_debugging_session_fills_the_log_folder_up_to_a_bound(place):
    """SIGUSR1 leaves files behind, more than the probe's limit and no more than its own; a second one as many again."""
    place.start("checkout")
    eventually(lambda: place.healthy("checkout"), what="checkout")

    def held(session: int) -> int:
        return sum(path.stat().st_size for path in place.log.glob(f"debug-{session}-*.log"))

    place.children.signal("checkout", signal.SIGUSR1)
    eventually(lambda: held(1) > shop.LOG_LIMIT - shop.LOG_STEP, within=30, what="a log at its bound")
    assert FOLDER_LIMIT < held(1) <= shop.LOG_LIMIT
    assert place.healthy("checkout")

    def again() -> bool:
        place.children.signal("checkout", signal.SIGUSR1)
        return held(2) > 0

    eventually(again, what="a second session")
    assert held(1) <= shop.LOG_LIMIT


def test_the_worker_pings_until_it_dies(place):
    """A POST every so often to the URL it was given, whatever the answer."""
    pings: list[str] = []

    class Heard(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            pings.append(self.path)
            self.send_response(503)
            self.end_headers()

        def log_message(self, *args):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Heard)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        url = f"http://127.0.0.1:{server.server_address[1]}/ping/abc"
        place.start("worker", "--ping", url, "--ping-every", "0.1")
        eventually(lambda: len(pings) >= 3, what="pings")
        assert set(pings) == {"/ping/abc"}
    finally:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/orders", b"not json", 400),
        ("/orders", b"[]", 400),
        ("/orders", b'{"cents": 1, "note": "' + b"x" * shop.LARGEST_BODY + b'"}', 413),
        ("/nowhere", b"{}", 404),
    ],
)
def test_what_is_not_an_order_is_refused(place, path, body, status):
    """Bad bodies, large ones and wrong paths have their own answers."""
    place.start("checkout")
    eventually(lambda: place.healthy("checkout"), what="checkout")
    assert place.get("checkout", path, body)[0] == status


def test_a_full_queue_refuses_orders(place):
    """The queue folder holds a bounded number of files."""
    place.start("payments")
    place.start("checkout")
    eventually(lambda: place.healthy("payments", "checkout"), what="a healthy shop")
    for number in range(shop.MOST_ORDERS):
        (place.queue / f"{number}.json").touch()
    assert place.get("checkout", "/orders", b'{"cents": 1}')[0] == 507


def test_the_shop_ends_with_whoever_started_it(tmp_path):
    """Kill -9 of the parent: the kernel ends the shop, stopped or not, and the sweeper removes the folder."""
    folder = tmp_path / "left"
    folder.mkdir()
    port = free_port()
    code = (
        "import sys, time, pathlib; from tocsin.demo.children import Children;"
        f"children = Children(pathlib.Path({str(folder)!r}));"
        "shop = [sys.executable, '-m', 'tocsin.demo.shop'];"
        f"print(children.start('payments', [*shop, 'payments', '--port', '{port}']));"
        "print(children.start('worker', [*shop, 'worker']));"
        "print(children._sweeper.pid, flush=True); time.sleep(60)"
    )
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    pids = [int(parent.stdout.readline()) for _ in range(3)]
    eventually(lambda: shop.call(f"http://127.0.0.1:{port}/health")[0] == 200, what="payments")
    os.kill(pids[0], signal.SIGSTOP)

    parent.kill()
    parent.wait()
    parent.stdout.close()
    eventually(lambda: not any(alive(pid) for pid in pids), what="the end of all three")
    eventually(lambda: not folder.exists(), what="the folder's removal")


def alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
