"""Passing requests for people on to the faces, and their answers back, byte for byte.

The faces are another process behind a Unix socket: a dashboard, an export or a crash there cannot delay a page.
"""

from __future__ import annotations

import asyncio

import httptools

from tocsin.intake.request import Reply
from tocsin.runtime.begun import ended
from tocsin.runtime.listener import Exchange

MOST_IDLE = 32
MOST_AT_ONCE = 256
"""Requests under way. Streams of changes, which last for as long as somebody looks, are the faces' to bound."""
KEPT = 64
"""So many of them are for what people do, such as to acknowledge, and for the page behind a page's link."""
DROPPED = {
    b"connection",
    b"keep-alive",
    b"transfer-encoding",
    b"content-length",
    b"upgrade",
    b"te",
    b"trailer",
    b"expect",
    b"proxy-connection",
}
OURS = (b"x-tocsin-", b"x-forwarded-", b"forwarded")
STARTING = Reply(
    503, b"Tocsin's pages are starting; the engine is up.\n", "text/plain; charset=utf-8", (("retry-after", "1"),)
)


class _Answer:
    """Watches an answer go by, to know when it ends."""

    def __init__(self) -> None:
        self.begun = False
        self.stream = False
        self.complete = False
        self.keep_alive = False
        self.parser = httptools.HttpResponseParser(self)

    def on_header(self, name: bytes, value: bytes) -> None:
        """One line of the head."""
        if name.lower() == b"content-type" and value.lower().startswith(b"text/event-stream"):
            self.stream = True

    def on_headers_complete(self) -> None:
        """The head is whole."""
        self.begun = True

    def on_message_complete(self) -> None:
        """The answer is whole."""
        self.complete = True
        self.keep_alive = self.parser.should_keep_alive()


class Passer:
    """Keeps some connections to the faces open and uses each for one request at a time."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._under_way: set[asyncio.Task[None]] = set()
        """Those that are no streams."""

    def handle(self, exchange: Exchange) -> None:
        """Pass one request on."""
        reads = exchange.method in ("GET", "HEAD") and not exchange.path.startswith("/p/")
        if len(self._under_way) >= (MOST_AT_ONCE - KEPT if reads else MOST_AT_ONCE):
            exchange.answer(
                Reply(503, b"Too many requests for pages are under way.\n", "text/plain", (("retry-after", "2"),))
            )
            return
        task = asyncio.create_task(self._pass(exchange))
        for held in (self._tasks, self._under_way):
            held.add(task)
            task.add_done_callback(held.discard)

    async def close(self) -> None:
        """Give up what is under way."""
        await ended(self._tasks)
        for _, writer in self._idle:
            writer.close()

    async def _pass(self, exchange: Exchange) -> None:
        request = _request(exchange)
        answer = _Answer()
        # A kept connection may have been closed meanwhile; nothing was sent back then,
        # so a safe request is tried again.
        for fresh in (False, True) if self._idle and exchange.method in ("GET", "HEAD") else (True,):
            try:
                reader, writer = await self._connect(fresh)
            except OSError:
                exchange.answer(STARTING)
                return
            answer = _Answer()
            try:
                exchange.when_gone = writer.transport.abort  # or a stream that is silent now would be held for nobody
                writer.write(request)
                await self._relay(exchange, answer, reader)
            except (OSError, EOFError, asyncio.LimitOverrunError, httptools.HttpParserError):
                pass
            except asyncio.CancelledError:
                writer.close()
                raise
            exchange.when_gone = None
            if answer.complete and answer.keep_alive and not exchange.gone and len(self._idle) < MOST_IDLE:
                self._idle.append((reader, writer))
            else:
                writer.close()
            if answer.begun or answer.complete or exchange.gone:
                break
        if answer.complete:
            exchange.passed(True)
        elif answer.begun:
            exchange.passed(False)
        else:
            why = b"Tocsin's pages stopped while answering; they start again by themselves.\n"
            exchange.answer(Reply(502, why, "text/plain", (("retry-after", "1"),)))

    async def _relay(self, exchange: Exchange, answer: _Answer, reader: asyncio.StreamReader) -> None:
        if exchange.method == "HEAD":
            head = await reader.readuntil(b"\r\n\r\n")
            answer.begun = answer.complete = True
            exchange.pass_on(head)
            return
        while not answer.complete:
            data = await reader.read(65_536)
            if not data:
                return
            answer.parser.feed_data(data)
            answer.begun = True
            if answer.stream and (task := asyncio.current_task()) is not None:
                self._under_way.discard(task)
            exchange.pass_on(data)
            await exchange.drained()
            if exchange.gone:
                return

    async def _connect(self, fresh: bool) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        while not fresh and self._idle:
            reader, writer = self._idle.pop()
            if not writer.is_closing() and not reader.at_eof():
                return reader, writer
            writer.close()
        return await asyncio.open_unix_connection(self._path)


def _request(exchange: Exchange) -> bytes:
    lines = [exchange.method.encode("latin-1"), b" ", exchange.target, b" HTTP/1.1\r\n"]
    for name, value in exchange.headers:
        if name not in DROPPED and not name.startswith(OURS):
            lines += [name, b": ", value, b"\r\n"]
    lines += [
        b"x-tocsin-client: ",
        exchange.peer.encode("latin-1"),
        b"\r\nx-tocsin-scheme: ",
        b"https" if exchange.secure else b"http",
        b"\r\ncontent-length: ",
        str(len(exchange.body)).encode(),
        b"\r\n\r\n",
        exchange.body,
    ]
    return b"".join(lines)
