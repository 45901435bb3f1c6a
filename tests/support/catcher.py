"""An HTTP or HTTPS server that keeps every request and answers as told: slowly, wrongly, or not at all."""

from __future__ import annotations

import json
import socket
import ssl
import struct
import threading
import time
import urllib.parse
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.support.certificates import Certificate
from tests.support.waiting import eventually


@dataclass(frozen=True)
class Received:
    """One request as it came; header names are lower case, `at` is time.monotonic() seconds."""

    method: str
    path: str
    query: dict[str, list[str]]
    headers: dict[str, str]
    body: bytes
    at: float

    def json(self) -> Any:
        """The decoded body."""
        return json.loads(self.body)


@dataclass(frozen=True)
class Reply:
    """What to answer. `delay` seconds pass first; `reset` tears the connection down instead of answering; `half`
    begins to answer and never goes on."""

    status: int = 200
    body: bytes | str = b""
    headers: dict[str, str] = field(default_factory=dict)
    delay: float = 0.0
    reset: bool = False
    half: bool = False


class Catcher:
    """A running catcher: `url` is its base, `requests` what it got, `default` what it answers.

    Replies put into `replies` are used up first, one a request.
    """

    def __init__(self, certificate: Certificate | None = None) -> None:
        """Listen on a free port of 127.0.0.1, with TLS when a certificate is given."""
        self.requests: list[Received] = []
        self.replies: deque[Reply] = deque()
        self.default = Reply()
        self.closing = threading.Event()
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.catcher = self
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate.cert, certificate.key)
            # The handshake is each connection's own thread's affair, not the listener's.
            self._server.socket = context.wrap_socket(
                self._server.socket, server_side=True, do_handshake_on_connect=False
            )
        self.port: int = self._server.server_address[1]
        self.url = f"{'https' if certificate else 'http'}://127.0.0.1:{self.port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    def wait_for(self, count: int = 1, *, within: float = 10.0) -> list[Received]:
        """All requests, once there are at least `count`."""
        return eventually(
            lambda: list(self.requests) if len(self.requests) >= count else None,
            within=within,
            what=f"{count} request(s) at {self.url}",
        ) or []

    def close(self) -> None:
        """Stop listening; delayed replies are given up."""
        self.closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)


@contextmanager
def running_catcher(certificate: Certificate | None = None) -> Iterator[Catcher]:
    """A catcher for as long as the block lasts."""
    catcher = Catcher(certificate)
    try:
        yield catcher
    finally:
        catcher.close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128
    catcher: Catcher

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up or distrusts us is the client's affair."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def _catch(self) -> None:
        catcher = self.server.catcher
        split = urllib.parse.urlsplit(self.path)
        received = Received(
            method=self.command,
            path=split.path,
            query=urllib.parse.parse_qs(split.query, keep_blank_values=True),
            headers={name.lower(): value for name, value in self.headers.items()},
            body=self._body(),
            at=time.monotonic(),
        )
        try:
            reply = catcher.replies.popleft()
        except IndexError:
            reply = catcher.default
        catcher.requests.append(received)
        if reply.delay:
            catcher.closing.wait(reply.delay)
        if reply.reset:
            # Closing with a linger of zero sends RST where a plain close would send FIN.
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.close_connection = True
            self.connection.close()
            return
        body = reply.body.encode() if isinstance(reply.body, str) else reply.body
        self.send_response(reply.status)
        for name, value in reply.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body) + reply.half))
        self.end_headers()
        if reply.half:
            catcher.closing.wait(60)
            return
        if self.command != "HEAD":
            self.wfile.write(body)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = _catch

    def _body(self) -> bytes:
        if self.headers.get("transfer-encoding", "").lower() == "chunked":
            body = b""
            while size := int(self.rfile.readline().split(b";")[0], 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return body
        return self.rfile.read(int(self.headers.get("content-length", 0)))

    def log_message(self, format: str, *args: Any) -> None:  # the base class's name for it
        """Say nothing: the test looks at `requests`."""
