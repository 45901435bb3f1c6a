"""Faces that crash and clients that misbehave: neither delays an alert or a page."""

from __future__ import annotations

import random
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import psutil
import pytest

from tests.journeys.telling import a_plan
from tests.support.mail import MailServer
from tests.support.server import TocsinServer
from tests.support.waiting import eventually

pytestmark = pytest.mark.faults

Find = Callable[[TocsinServer, str], psutil.Process]
SOON = 3.0
"""Seconds in which an event is taken and its page arrives, on a machine that does other things too."""


# The server as it is, with two seconds for a whole request where it usually gives thirty.
IMPATIENT = """
import sys
sys.argv = sys.argv[1:]
from tocsin.runtime import listener
listener.SLOW_REQUEST = 2.0
from tocsin.cli import main
sys.exit(main())
"""


class Sender:
    """Posts events through one door and times each."""

    def __init__(self, server: TocsinServer) -> None:
        self._server = server
        self._headers = {"Authorization": f"Bearer {server.new_key('events', 'db')['key']}"}
        self.slowest = 0.0

    def __call__(self, number: int) -> None:
        """Post one that opens an incident."""
        body: dict[str, Any] = {"title": f"event {number}", "key": f"e{number}"}
        began = time.monotonic()
        status, said = self._server.call("POST", "/api/events", body, headers=self._headers, authorized=False)
        self.slowest = max(self.slowest, time.monotonic() - began)
        assert status == 202, said


@pytest.fixture
def server(tocsin_server: Callable[..., TocsinServer], mail_server: MailServer) -> TocsinServer:
    """Tocsin that mails ana."""
    started = tocsin_server(plan=a_plan(mail_server, {"db": {}}))
    started.run("contact", "rules", "--bundle-within", "0s")  # each page a mail of its own, to be counted
    return started


def test_faces_that_are_killed_delay_no_page_and_come_back(
    server: TocsinServer, mail_server: MailServer, process_of: Find
) -> None:
    send = Sender(server)
    core = process_of(server, "core")
    for number in range(1, 4):
        faces = process_of(server, "faces")
        faces.kill()
        began = time.monotonic()
        send(number)
        mail_server.wait_for(number, within=SOON)
        assert time.monotonic() - began < SOON
        assert server.status("/readyz") == 200, "their absence alone makes nothing unready"
        eventually(lambda: server.call("GET", "/api/v1/incidents")[0] == 200, within=20, what="the faces to be back")
    assert process_of(server, "core").pid == core.pid
    assert f"event {number}" in str(server.call("GET", "/api/v1/incidents")[1])


def test_faces_that_hang_delay_no_page(server: TocsinServer, mail_server: MailServer, process_of: Find) -> None:
    send = Sender(server)
    faces = process_of(server, "faces")
    faces.suspend()
    try:
        began = time.monotonic()
        send(1)
        mail_server.wait_for(1, within=SOON)
        assert time.monotonic() - began < SOON
        assert server.status("/readyz") == 200
    finally:
        faces.resume()
    assert server.call("GET", "/api/v1/incidents")[0] == 200


@contextmanager
def connected(server: TocsinServer, count: int) -> Iterator[list[socket.socket]]:
    """Open connections."""
    with ExitStack() as stack:
        made = []
        for _ in range(count):
            one = socket.create_connection(("127.0.0.1", server.port), timeout=10)
            stack.callback(one.close)
            made.append(one)
        yield made


def test_senders_that_never_finish_a_request_disturb_nobody(server: TocsinServer, mail_server: MailServer) -> None:
    """Three hundred of them drip a byte at a time, in the head and in the body."""
    send = Sender(server)
    ending = threading.Event()
    with connected(server, 300) as open_ones:
        for place, one in enumerate(open_ones):
            head = b"POST /api/events HTTP/1.1\r\nHost: x\r\n"
            one.sendall(head + (b"Content-Length: 5000\r\n\r\n{" if place % 2 else b"X-Slow: "))

        def drip() -> None:
            while not ending.wait(0.05):
                for one in open_ones:
                    try:
                        one.send(b"a")
                    except OSError:
                        pass

        dripping = threading.Thread(target=drip, daemon=True)
        dripping.start()
        try:
            for number in range(1, 31):
                send(number)
            mail_server.wait_for(30, within=15)
        finally:
            ending.set()
            dripping.join(10)
    assert send.slowest < SOON
    assert server.status("/readyz") == 200


def test_a_sender_that_never_finishes_is_hung_up_on_however_it_drips(
    tocsin_server: Callable[..., TocsinServer],
) -> None:
    """A deadline is for the whole request: a byte now and then does not move it."""
    server = tocsin_server(prefix=[sys.executable, "-c", IMPATIENT])
    with connected(server, 1) as (one,):
        one.sendall(b"POST /api/events HTTP/1.1\r\nHost: x\r\nX-Slow: ")
        began = time.monotonic()

        def hung_up() -> bool:
            try:
                one.send(b"a")
                one.settimeout(0.2)
                return one.recv(1) == b""
            except TimeoutError:
                return False
            except OSError:
                return True

        eventually(hung_up, within=15, what="to be hung up on")
        assert time.monotonic() - began > 1, "a slow line is given some time"


def test_garbage_is_refused_and_disturbs_nobody(server: TocsinServer, mail_server: MailServer) -> None:
    dice = random.Random(7)
    noise = [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + dice.randbytes(400),
        dice.randbytes(2_000),
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET  HTTP/1.1\r\n\r\n",
        b"POST /api/events HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        b"POST /api/events HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n",
        b"POST /api/events HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST /api/events HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"".join(b"X-%d: y\r\n" % n for n in range(9_000)) + b"\r\n",
        b"GET / HTTP/1.1\r\nX: a\x00b\r\n\r\n",
        b"\r\n" * 5_000,
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"CONNECT example.com:443 HTTP/1.1\r\n\r\n",
        b"GET /incidents HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
    ]
    send = Sender(server)
    for number, bytes_sent in enumerate(noise * 2, 1):
        with connected(server, 1) as (one,):
            try:
                one.sendall(bytes_sent)
                one.shutdown(socket.SHUT_WR)
                answer = one.recv(65_536)
            except OSError:
                answer = b""
        line = answer.partition(b"\r\n")[0].decode("latin-1")
        assert line == "" or line.split()[1][0] in "345", (bytes_sent[:60], line)
        send(number)
    assert send.slowest < SOON
    mail_server.wait_for(len(noise) * 2, within=15)
    assert server.status("/readyz") == 200
    assert "Traceback" not in server.output()


def test_readers_that_never_read_disturb_nobody(server: TocsinServer, mail_server: MailServer) -> None:
    """Fifty ask for something large and take nothing of it."""
    send = Sender(server)
    with connected(server, 50) as open_ones:
        for one in open_ones:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
            one.sendall(b"GET /schema/openapi.json HTTP/1.1\r\nHost: x\r\n\r\n" * 10)
        for number in range(1, 11):
            send(number)
        mail_server.wait_for(10, within=15)
    assert send.slowest < SOON
    assert server.call("GET", "/api/v1/incidents")[0] == 200
