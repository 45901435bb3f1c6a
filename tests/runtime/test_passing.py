"""Passing requests on to the faces: byte for byte, whatever becomes of either end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from tocsin.runtime import listener as listener_module
from tocsin.runtime.listener import Listener
from tocsin.runtime.passing import Passer

Serve = Callable[[bytes, asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Faces:
    """The other process, in this one: reads requests on a Unix socket and answers as a test says."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.requests: list[bytes] = []
        self.open = 0
        self.serve: Serve = hello
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        self.path.unlink(missing_ok=True)
        self._server = await asyncio.start_unix_server(self._take, self.path)

    async def stop(self) -> None:
        """As a crash: nobody listens, and what was open is cut."""
        if self._server is not None:
            self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.open += 1
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                size = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
                body = await reader.readexactly(size)
                self.requests.append(head + body)
                await self.serve(head, reader, writer)
        except (EOFError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            self.open -= 1
            self._tasks.discard(task)
            writer.transport.abort()


async def hello(head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer with two bytes; to HEAD with their length alone."""
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n" + (b"" if head.startswith(b"HEAD") else b"hi"))


class Street:
    """A listener that passes everything on to the faces."""

    def __init__(self, folder: Path) -> None:
        self.faces = Faces(folder / "f.sock")
        self.passer = Passer(str(self.faces.path))
        self.listener = Listener(self.passer.handle)

    async def start(self) -> None:
        await self.faces.start()
        await self.listener.start("127.0.0.1", 0)
        assert self.listener._server is not None
        self.port = self.listener._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        await self.listener.stop(0.1)
        await self.passer.close()
        await self.faces.stop()

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection("127.0.0.1", self.port)

    async def ask(self, request: bytes) -> bytes:
        """Everything that comes back until the other end hangs up."""
        reader, writer = await self.connect()
        writer.write(request)
        answer = await asyncio.wait_for(reader.read(-1), 5)
        writer.close()
        return answer


@pytest.fixture
async def street(tmp_path: Path) -> AsyncIterator[Street]:
    """Listener, passer and faces."""
    one = Street(tmp_path)
    await one.start()
    yield one
    await one.stop()


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.01)


CLOSE = b"GET /x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
KEEP = b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n"


async def test_what_the_outside_says_about_itself_is_not_believed(street: Street) -> None:
    """Headers that only Tocsin may set are taken out, whatever their case; the real ones are put in."""
    await street.ask(
        b"POST /form?a=b HTTP/1.1\r\nHost: shop\r\nX-Tocsin-Client: 10.0.0.1\r\nx-TOCSIN-user: admin\r\n"
        b"X-Forwarded-For: 10.0.0.1\r\nForwarded: for=10.0.0.1\r\nCookie: s=1\r\nConnection: close\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\nX-Tocsin-Client: 10.0.0.9\r\n\r\n"
    )
    (request,) = street.faces.requests
    assert request.startswith(b"POST /form?a=b HTTP/1.1\r\n")
    assert b"cookie: s=1\r\n" in request
    assert b"10.0.0" not in request
    assert b"admin" not in request
    assert request.count(b"x-tocsin-client: 127.0.0.1\r\nx-tocsin-scheme: http\r\n") == 1
    assert b"transfer-encoding" not in request
    assert request.endswith(b"content-length: 2\r\n\r\nab")


@pytest.mark.parametrize(
    ("request_", "answer"),
    [
        (KEEP, b"HTTP/1.1 304 Not Modified\r\netag: x\r\n\r\n"),
        (KEEP, b"HTTP/1.1 304 Not Modified\r\netag: x\r\ncontent-length: 9\r\n\r\n"),
        (KEEP, b"HTTP/1.1 204 No Content\r\n\r\n"),
        (KEEP.replace(b"GET", b"HEAD"), b"HTTP/1.1 200 OK\r\ncontent-length: 999\r\n\r\n"),
        (KEEP, b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n"),
        (KEEP, b"HTTP/1.1 303 See Other\r\nlocation: /\r\ncontent-length: 0\r\n\r\n"),
    ],
    ids=["304", "304 with a length", "204", "HEAD", "chunked", "empty"],
)
async def test_the_end_of_an_answer_is_known(street: Street, request_: bytes, answer: bytes) -> None:
    """Even of one without a body: the connection takes the next request, and the one to the faces is kept."""

    async def serve(head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(answer)

    street.faces.serve = serve
    reader, writer = await street.connect()
    for _ in range(3):
        writer.write(request_)
        assert await asyncio.wait_for(reader.readexactly(len(answer)), 5) == answer
    assert street.faces.open == (0 if request_.startswith(b"HEAD") else 1), (
        "kept, but after HEAD, where nothing shows it"
    )
    assert len(street.faces.requests) == 3
    writer.close()


async def test_an_answer_without_a_length_ends_with_the_connection(street: Street) -> None:
    """It cannot be told otherwise."""

    async def serve(head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nuntil the end")
        writer.close()

    street.faces.serve = serve
    assert (await street.ask(KEEP)).endswith(b"until the end")


async def test_a_stream_arrives_as_it_is_made(street: Street) -> None:
    """Each event when it happens, not when the stream is over."""
    more = asyncio.Event()

    async def serve(head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\none\r\n")
        await more.wait()
        writer.write(b"3\r\ntwo\r\n0\r\n\r\n")

    street.faces.serve = serve
    reader, writer = await street.connect()
    writer.write(KEEP)
    await asyncio.wait_for(reader.readuntil(b"one\r\n"), 5)
    more.set()
    await asyncio.wait_for(reader.readuntil(b"two\r\n0\r\n\r\n"), 5)
    writer.close()


async def test_a_client_that_hangs_up_frees_a_stream_that_says_nothing(street: Street) -> None:
    """At once, not with its next event: streams that nobody reads would otherwise take all places."""

    async def serve(head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
        await reader.read(1)
        raise EOFError

    street.faces.serve = serve
    reader, writer = await street.connect()
    writer.write(KEEP)
    await reader.readuntil(b"\r\n\r\n")
    assert street.faces.open == 1
    writer.close()
    await until(lambda: not street.faces.open)
    await until(lambda: not street.passer._tasks)
    assert len(street.faces.requests) == 1, "and it is not asked again for nobody"


async def test_a_client_that_reads_slowly_slows_the_faces_down(street: Street, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing piles up in the core; one that reads nothing at all is hung up on."""
    monkeypatch.setattr(listener_module, "SLOW_REQUEST", 0.3)
    sent = 0

    async def serve(head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 500000000\r\n\r\n")
        while True:
            writer.write(b"x" * 100_000)
            await writer.drain()
            sent += 100_000

    street.faces.serve = serve
    _, writer = await street.connect()
    writer.transport.pause_reading()  # type: ignore[attr-defined]
    writer.write(KEEP)
    await until(lambda: sent)
    await until(lambda: not street.faces.open)
    assert sent < 50_000_000
    writer.close()


async def test_faces_that_are_gone_are_an_answer_and_they_come_back(street: Street) -> None:
    """503 while nobody listens, pages again when they are back, without a new connection of the client's."""
    reader, writer = await street.connect()

    async def status() -> bytes:
        writer.write(KEEP)
        head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)
        await reader.readexactly(int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]))
        return head.split(b" ")[1]

    assert await status() == b"200"
    await street.faces.stop()
    assert await status() == b"503"
    await street.faces.start()
    assert await status() == b"200"
    writer.close()


@pytest.mark.parametrize("method", [b"GET", b"HEAD", b"POST"])
async def test_faces_that_die_before_they_answer_are_an_answer(street: Street, method: bytes) -> None:
    """502, whatever was asked, and once."""

    async def serve(head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        raise EOFError

    street.faces.serve = serve
    answer = await street.ask(CLOSE.replace(b"GET", method))
    assert answer.startswith(b"HTTP/1.1 502 ")
    assert answer.count(b"HTTP/1.1") == 1


async def test_faces_that_die_in_the_middle_end_the_answer(street: Street) -> None:
    """The client sees that it is not whole; nothing is added to it."""

    async def serve(head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf")
        await writer.drain()
        raise EOFError

    street.faces.serve = serve
    assert await street.ask(KEEP) == b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf"


async def test_a_kept_connection_that_was_closed_meanwhile_costs_nobody_an_answer(street: Street) -> None:
    """The request is asked again on a new one."""

    async def serve(head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(street.faces.requests) == 2:
            raise EOFError  # closed just as the second request came
        await hello(head, reader, writer)

    street.faces.serve = serve
    reader, writer = await street.connect()
    for _ in range(3):
        writer.write(KEEP)
        assert (await asyncio.wait_for(reader.readuntil(b"hi"), 5)).startswith(b"HTTP/1.1 200")
    writer.close()


async def test_no_more_are_under_way_than_may_be(street: Street, monkeypatch: pytest.MonkeyPatch) -> None:
    """The others hear so at once."""
    monkeypatch.setattr("tocsin.runtime.passing.MOST_AT_ONCE", 2)
    monkeypatch.setattr("tocsin.runtime.passing.KEPT", 0)
    free = asyncio.Event()

    async def serve(head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await free.wait()
        await hello(head, reader, writer)

    street.faces.serve = serve
    first = [asyncio.create_task(street.ask(CLOSE)) for _ in range(2)]
    await until(lambda: len(street.faces.requests) == 2)
    assert (await street.ask(CLOSE)).startswith(b"HTTP/1.1 503 ")
    free.set()
    assert all(answer.endswith(b"hi") for answer in await asyncio.gather(*first))


async def test_however_many_look_on_somebody_can_acknowledge(street: Street, monkeypatch: pytest.MonkeyPatch) -> None:
    """Streams count for nothing; what hangs while it is read leaves places for the button and the page with it."""
    monkeypatch.setattr("tocsin.runtime.passing.MOST_AT_ONCE", 4)
    monkeypatch.setattr("tocsin.runtime.passing.KEPT", 2)
    free, streams = asyncio.Event(), [await street.connect() for _ in range(6)]

    async def serve(head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if b" /live " in head:
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\n\r\n: here\n\n")
            await writer.drain()
        if b" /p/" not in head:
            await free.wait()
        await hello(head, reader, writer)

    street.faces.serve = serve
    for reader, writer in streams:
        writer.write(b"GET /live HTTP/1.1\r\nhost: x\r\n\r\n")
        await asyncio.wait_for(reader.readuntil(b": here"), 5)
    export = b"GET /export HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"
    hanging = [asyncio.create_task(street.ask(export)) for _ in range(2)]
    await until(lambda: len(street.faces.requests) == 8)
    assert (await street.ask(export)).startswith(b"HTTP/1.1 503 ")
    for method in (b"GET", b"POST"):
        asked = method + b" /p/token HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
        assert (await street.ask(asked)).startswith(b"HTTP/1.1 200 ")
    free.set()
    await asyncio.gather(*hanging)
    for _, writer in streams:
        writer.close()
