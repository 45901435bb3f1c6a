"""The HTTP listener in front of everything: intake is answered here, everything else is passed on to the faces.

A framework around the hot path costs two to four times its rate, so this is httptools on a bare asyncio protocol: one
request at a time per connection, bounded heads and bodies, deadlines against slow senders.
"""

from __future__ import annotations

import asyncio
import contextlib
import resource
import socket
import ssl
import sys
import time
from collections import deque
from collections.abc import Callable
from http import HTTPStatus
from typing import Any, cast

import httptools
import structlog

from tocsin.access.limits import MOST_BODY
from tocsin.intake.request import Reply
from tocsin.kernel.instant import MILLISECOND, Duration
from tocsin.runtime.exchange import Exchange as Exchange
from tocsin.runtime.heads import Head, Heads, named, rememberable
from tocsin.runtime.held import Held

MOST_HEAD = 32 * 1024
MOST_CONNECTIONS = 8_192
KEPT_FILES = 768
MOST_PIPELINED = 16
IDLE = 90.0
SLOW_REQUEST = 30.0
LINGER = 3.0
RECEIVED_AT_ONCE = 256 * 1024
SWEEP = 1.0

log = structlog.get_logger("tocsin.listener")

_STATUS = {s.value: f"HTTP/1.1 {s.value} {s.phrase}\r\n".encode() for s in HTTPStatus}
_LAST_DATA: int | None = getattr(socket, "TCP_INFO", None) if sys.platform == "linux" else None
"""Where the kernel says, 52 bytes on, how many milliseconds ago data came last (``tcpi_last_data_recv``).

That goes on while this process is stopped, and nothing else tells what came then from what comes now.
"""
_CLOSE = b"connection: close\r\n"
_WHY = {
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: f"the body has more than {MOST_BODY} bytes",
    HTTPStatus.SERVICE_UNAVAILABLE: "too much is being sent at once; send it again",
}
"""Refusals by which the target is known."""


Handle = Callable[[Exchange], None]


class Connection(asyncio.BufferedProtocol):
    """One connection: parses requests and answers them in order."""

    def __init__(self, listener: Listener) -> None:
        self.listener = listener
        self._transport: asyncio.Transport | None = None
        self._parser: Any = None
        self._url = b""
        self._headers: list[tuple[bytes, bytes]] = []
        self._head_size = 0
        self._fed = 0
        self._refused: HTTPStatus | None = None
        self._beginning = False
        self._body: list[bytes] = []
        self._body_size = 0
        self._between = True
        self._name = b""
        self._rest = 0
        self._owed = 0
        self._owing: Head | None = None
        self._waiting: deque[Exchange] = deque()
        self._lying = 0
        """Bytes of the bodies that wait."""
        self._current: Exchange | None = None
        self._resumed: asyncio.Event | None = None
        self._ended = False
        """Whether the other end has said that it sends no more, and waits for its answers."""
        self.closed = False
        self.came: Duration | None = None
        self.secure = False
        self.peer = ""
        self.deadline = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client connected."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's transports are not asyncio's by class
        self._parser = httptools.HttpRequestParser(self)
        peer = transport.get_extra_info("peername")
        self.peer = str(peer[0]) if isinstance(peer, tuple) else ""
        self.secure = transport.get_extra_info("ssl_object") is not None
        if not self.listener.add(self):
            self._transport.abort()

    def connection_lost(self, error: Exception | None) -> None:
        """It is gone."""
        self.closed = True
        self._waiting.clear()
        self.listener.remove(self)
        if self._current is not None and self._current.when_gone is not None:
            self._current.when_gone()
        if self._resumed is not None:
            self._resumed.set()

    def eof_received(self) -> bool:
        """The other end sends no more: it has its answers first. A reader of what goes on without end is gone, and TLS
        as Python has it ends both ways at once.
        """
        self._ended = self._current is not None and self._current.when_gone is None and not self.secure
        return self._ended

    def pause_writing(self) -> None:
        """The other end reads slowly."""
        self._resumed = asyncio.Event()

    def resume_writing(self) -> None:
        """The other end has caught up."""
        if self._resumed is not None:
            self._resumed.set()
            self._resumed = None

    def _came(self) -> Duration | None:
        """When the data came that is read next; None when the kernel does not say."""
        if _LAST_DATA is None or self._transport is None:
            return None
        try:
            found = self._transport.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, _LAST_DATA, 56)
        except (OSError, AttributeError):  # gone, or no TCP
            return None
        ago = int.from_bytes(found[52:56], sys.byteorder) * MILLISECOND
        return time.monotonic_ns() // 1_000 - ago if len(found) >= 56 else None

    async def drained(self) -> None:
        """Wait while the other end reads slowly. Raises TimeoutError when it reads nothing for a long time."""
        if self._resumed is not None:
            async with asyncio.timeout(SLOW_REQUEST):
                await self._resumed.wait()

    def get_buffer(self, sizehint: int) -> memoryview:
        """Where bytes may be put: one buffer for all connections, for it is read before anything else is received."""
        if self._between:
            self.came = None
        if self.came is None and self.listener.heeds():
            # Before it is read: that makes room for what its sender still holds, which comes at once.
            self.came = self._came()
        return self.listener.received

    def buffer_updated(self, nbytes: int) -> None:
        """Bytes came."""
        listener = self.listener
        if self._between and self._refused is None:
            name, end = named(listener.buffer, nbytes)
            head = listener.heads.get(name)
            if head is not None:
                self._take(Exchange(self, head, bytes(listener.received[end:nbytes])))
                if self._waiting:
                    self._hold()
                return
            self._name, self._rest = name, nbytes - end
        data = listener.received[:nbytes]
        while data and self._refused is None and not self.closed:
            data = self._owed_body(data) if self._owed else self._fed_to_parser(data)
        self._hold()

    def _hold(self) -> None:
        """Say how much there is of requests that have not begun."""
        if self._refused is None and not self.closed:
            under_way = 0 if self._between else self._head_size + self._body_size
            self.listener.held.hold(self, under_way + self._lying)

    def give_up(self) -> None:
        """As ``Holder.give_up``."""
        self._waiting.clear()
        self._lying = 0
        self._bad(HTTPStatus.SERVICE_UNAVAILABLE)

    def _fed_to_parser(self, data: memoryview) -> memoryview:
        """Have the parser read; what it left, which is nothing except after a request to upgrade."""
        self._fed += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as asked:
            # Nothing is upgraded here: the request is taken as any other, and what follows its body is the next.
            self._parser = httptools.HttpRequestParser(self)
            return data[asked.args[0] :]
        except httptools.HttpParserCallbackError as error:
            self._bad(error.__context__.status if isinstance(error.__context__, _Refused) else HTTPStatus.BAD_REQUEST)
        except httptools.HttpParserError:
            self._bad(HTTPStatus.BAD_REQUEST)
        else:
            # The parser gathers a header until it is whole, and a long one again with every piece.
            if self._fed - self._body_size > 2 * MOST_HEAD + len(data) + 8 * self._body_size:
                self._bad(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
        return data[:0]

    # -- the parser calls these ----------------------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        """A request begins."""
        self._between = False
        self._url = b""
        self._headers = []
        self._body = []
        self._head_size = self._body_size = self._fed = 0
        if self._current is None:
            self.deadline = self.listener.time + SLOW_REQUEST

    def on_url(self, url: bytes) -> None:
        """A part of the target."""
        self._url += url
        self._grow(len(url))

    def on_header(self, name: bytes, value: bytes) -> None:
        """One header."""
        self._headers.append((name.lower(), value))
        self._grow(len(name) + len(value) + 4)

    def _grow(self, size: int) -> None:
        self._head_size += size
        if self._head_size > MOST_HEAD:
            raise _Refused(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)

    def on_headers_complete(self) -> None:
        """The head is whole."""
        for name, value in self._headers:
            if name == b"content-length" and (not value.isdigit() or int(value) > MOST_BODY):
                raise _Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
            if name == b"expect" and value.lower() == b"100-continue" and self._current is None:
                self.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def on_body(self, body: bytes) -> None:
        """A part of the body."""
        self._body.append(body)
        self._body_size += len(body)
        if self._body_size > MOST_BODY:
            raise _Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)

    def on_message_complete(self) -> None:
        """A request is whole: answer it now, or after those before it."""
        parser = self._parser
        self._fed = 0
        method, keep_alive = parser.get_method().decode("latin-1"), parser.should_keep_alive()
        name, self._name = self._name, b""
        upgrade = parser.should_upgrade()
        if upgrade or self._body_size != self._rest or not rememberable(name, self._headers):
            name = b""
        head = Head(method, self._url, self._headers, keep_alive, name)
        # To the parser, what follows a wish to upgrade is another protocol. Nothing is upgraded here: it is the body.
        self._owed = self._promised() if upgrade else 0
        if self._owed:
            self._owing = head
        else:
            self._whole(head)

    def _promised(self) -> int:
        """How many bytes of body a head announces. Raises _Refused when only reading them would tell."""
        found = dict(self._headers)
        if b"transfer-encoding" in found:
            raise _Refused(HTTPStatus.BAD_REQUEST)
        return int(found.get(b"content-length", b"0"))

    def _owed_body(self, data: memoryview) -> memoryview:
        """Take what a request still owes of its body; what is left is the next request's."""
        piece, rest = data[: self._owed], data[self._owed :]
        self._owed -= len(piece)
        self.on_body(bytes(piece))
        if not self._owed and self._owing is not None:
            self._whole(self._owing)
        return rest

    def _whole(self, head: Head) -> None:
        self._between = True
        body = self._body[0] if len(self._body) == 1 else b"".join(self._body)
        self._body = []  # or it would be kept until the next one begins
        self._take(Exchange(self, head, body))

    def _take(self, exchange: Exchange) -> None:
        """Begin with a request, or let it wait for those before it."""
        if self._current is None:
            self._begin(exchange)
        else:
            self._waiting.append(exchange)
            self._lying += len(exchange.body)
            if len(self._waiting) > MOST_PIPELINED and self._transport is not None:
                self._transport.pause_reading()

    # -- answering -----------------------------------------------------------------------------------------------------

    def _begin(self, exchange: Exchange) -> None:
        self._current = exchange
        self.deadline = 0.0
        try:
            self.listener.handle(exchange)
        except Exception:  # the edge of the listener: a fault of our own is answered too
            log.exception("request_fault", method=exchange.method)
            self.answered(exchange, Reply(500, b"Tocsin failed to answer this.\n", "text/plain; charset=utf-8"))

    def write(self, data: bytes) -> None:
        """Send bytes."""
        if not self.closed and self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)

    def answered(self, exchange: Exchange, reply: Reply) -> None:
        """The answer to the request under way."""
        if exchange is not self._current:
            return
        head = [
            _STATUS.get(reply.status) or f"HTTP/1.1 {reply.status} Unknown\r\n".encode(),
            b"content-length: ",
            str(len(reply.body)).encode(),
            b"\r\n",
        ]
        if reply.content_type:
            head += [b"content-type: ", reply.content_type.encode("latin-1"), b"\r\n"]
        for name, value in reply.headers:
            head.append(f"{name}: {value}\r\n".encode("latin-1"))
        keep_alive = exchange.head.keep_alive
        if not keep_alive:
            head.append(_CLOSE)
        head.append(b"\r\n")
        if exchange.head.method != "HEAD":
            head.append(reply.body)
        self.write(b"".join(head))
        self.finish(keep_alive)

    def finish(self, keep_alive: bool) -> None:
        """The answer is out: take the next request, or hang up."""
        self._current = None
        if self.closed or self._transport is None:
            return
        if not keep_alive:
            self._close()
            return
        self.deadline = self.listener.time + IDLE
        if not self._beginning:  # else the loop below goes on: answers at once would nest without end
            self._next()

    def _next(self) -> None:
        """Begin with those that wait, until one is not answered at once."""
        self._beginning, lay = True, self._lying
        while self._waiting and self._current is None and not self.closed:
            if len(self._waiting) == MOST_PIPELINED and self._transport is not None:
                self._transport.resume_reading()
            exchange = self._waiting.popleft()
            self._lying -= len(exchange.body)
            self._begin(exchange)
        self._beginning = False
        if self._current is None and not self._waiting and self._transport is not None and not self.closed:
            if self._refused is not None:
                self._bad(self._refused)
            elif self.listener.closing or self._ended:
                self._transport.close()
        if self._lying != lay:
            self._hold()

    def _close(self) -> None:
        """Hang up once everything was sent, and in any case before long."""
        self._waiting.clear()
        self._lying = 0
        if self._transport is not None and not self.closed:
            self.deadline = self.listener.time + SLOW_REQUEST
            self._transport.close()

    def _bad(self, status: HTTPStatus) -> None:
        """What came is no request this listener takes: say so and hang up, after what came before it is answered."""
        self._refused = status  # from now on nothing more is read
        self._body = []
        self.listener.held.hold(self, self._lying)
        if self._current is None and not self._waiting:
            reply = None
            if status in _WHY:
                path = self._url.partition(b"?")[0].decode("latin-1")
                reply = self.listener.refusal(path, status, _WHY[status])
            reply = reply or Reply(status, status.phrase.encode(), "text/plain")
            self.write(
                _STATUS[status]
                + f"content-type: {reply.content_type}\r\ncontent-length: {len(reply.body)}\r\n".encode("latin-1")
                + _CLOSE
                + b"\r\n"
                + reply.body
            )
            self._linger()

    def _linger(self) -> None:
        """Hang up when the other end does. Closing at once, while it sends, would make it lose the answer."""
        if self._transport is None or self.closed or self._transport.is_closing():
            return
        if self._transport.can_write_eof() and not self._ended:
            self._transport.write_eof()
            self.deadline = self.listener.time + LINGER
        else:
            self._close()

    def hang_up(self) -> None:
        """End it now."""
        if self._transport is not None and not self.closed:
            self._transport.abort()

    def hang_up_when_idle(self) -> None:
        """End it unless a request is being answered."""
        if self._current is None and self._transport is not None and not self.closed:
            self._transport.close()


class _Refused(Exception):
    """A head or body beyond the bounds."""

    def __init__(self, status: HTTPStatus) -> None:
        super().__init__(status.phrase)
        self.status = status


class Listener:
    """Listens on one address and hands every request to ``handle``.

    ``refusal(path, status, message)`` words what is refused before it is a request, None: in plain text.
    """

    def __init__(self, handle: Handle, refusal: Callable[[str, int, str], Reply | None] = lambda *_: None) -> None:
        self.handle = handle
        self.refusal = refusal
        self.time = 0.0
        self.closing = False
        self.heads = Heads()
        self.heeds: Callable[[], bool] = lambda: False
        """Whether it matters since when what is read now lies in its socket."""
        self.buffer = bytearray(RECEIVED_AT_ONCE)
        self.received = memoryview(self.buffer)
        files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        # Some files are kept for the database, the faces and above all for pages.
        self.most = MOST_CONNECTIONS if files < 0 else max(16, min(MOST_CONNECTIONS, files - KEPT_FILES))
        self._connections: set[Connection] = set()
        self.held = Held()
        self._server: asyncio.Server | None = None
        self._sweeping: asyncio.Task[None] | None = None

    async def start(self, host: str, port: int, tls: ssl.SSLContext | None = None) -> None:
        """Begin to listen. Raises OSError when the address is taken."""
        loop = asyncio.get_running_loop()
        self.time = loop.time()
        self._server = await loop.create_server(
            lambda: Connection(self), host, port, ssl=tls, backlog=4_096, ssl_handshake_timeout=10 if tls else None
        )
        self._sweeping = asyncio.create_task(self._sweep())

    async def stop(self, patience: float = 5.0) -> None:
        """Take no new connections, let requests under way finish for ``patience`` seconds, then hang up."""
        self.closing = True
        if self._server is not None:
            self._server.close()
        for connection in list(self._connections):
            connection.hang_up_when_idle()
        for _ in range(int(patience / 0.05)):
            if not self._connections:
                break
            await asyncio.sleep(0.05)
        for connection in list(self._connections):
            connection.hang_up()
        if self._sweeping is not None:
            self._sweeping.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._sweeping

    def add(self, connection: Connection) -> bool:
        """Keep a new connection; False when there are too many."""
        if len(self._connections) >= self.most:
            return False
        connection.deadline = self.time + SLOW_REQUEST
        self._connections.add(connection)
        return True

    def remove(self, connection: Connection) -> None:
        """A connection is gone."""
        self._connections.discard(connection)
        self.held.hold(connection, 0)

    @property
    def connections(self) -> int:
        """How many there are."""
        return len(self._connections)

    async def _sweep(self) -> None:
        """Hang up on what is past its deadline. One coarse clock for all costs the hot path nothing."""
        loop = asyncio.get_running_loop()
        while True:
            self.time = loop.time()
            for connection in [c for c in self._connections if 0 < c.deadline < self.time]:
                connection.hang_up()
            await asyncio.sleep(SWEEP)
