"""The HTTP listener: whatever bytes come in whatever pieces, each request is answered once and in its order."""

from __future__ import annotations

import asyncio
import socket
import sys
import time
from collections.abc import AsyncIterator, Callable
from itertools import pairwise
from typing import Any

import httptools
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from tocsin.access.limits import MOST_BODY
from tocsin.intake.request import Reply
from tocsin.runtime import heads, held
from tocsin.runtime import listener as module
from tocsin.runtime.listener import MOST_HEAD, Connection, Exchange, Listener

GET = b"GET /one HTTP/1.1\r\nHost: a\r\n\r\n"
POST = b"POST /two?q=1 HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello"
CHUNKED = b"POST /three HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"


# --- Without a network -----------------------------------------------------------------------------------------------


class Wire(asyncio.Transport):
    """The other side of a connection, in memory."""

    def __init__(self) -> None:
        super().__init__()
        self.sent = bytearray()
        self.ended = False
        self.reading = True

    def write(self, data: Any) -> None:
        assert not self.ended, "nothing is written after the end"
        self.sent += data

    def can_write_eof(self) -> bool:
        return False

    def is_closing(self) -> bool:
        return self.ended

    def close(self) -> None:
        self.ended = True

    abort = close

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True


class Talk:
    """A connection to a listener, and what the listener handed on."""

    def __init__(self, handle: Callable[[Exchange], None] | None = None) -> None:
        self.taken: list[Exchange] = []
        self.listener = Listener(handle or self._at_once)
        self.wire = Wire()
        self.connection = Connection(self.listener)
        self.connection.connection_made(self.wire)

    def _at_once(self, exchange: Exchange) -> None:
        self.taken.append(exchange)
        exchange.answer(Reply(200, exchange.path.encode(), "text/plain"))

    def say(self, *pieces: bytes) -> None:
        """Bytes arrive, a piece at a time, for as long as somebody reads."""
        for piece in pieces:
            if not self.wire.ended:
                self.receive(piece)

    def receive(self, piece: bytes) -> None:
        """Bytes arrive as a transport brings them."""
        while piece:
            room = self.connection.get_buffer(-1)
            size = min(len(room), len(piece))
            room[:size] = piece[:size]
            self.connection.buffer_updated(size)
            piece = piece[size:]

    def answers(self) -> list[tuple[int, bytes]]:
        """Statuses and bodies as a client reads them."""
        return read_answers(bytes(self.wire.sent), [exchange.method for exchange in self.taken])


def read_answers(raw: bytes, methods: list[str] | None = None) -> list[tuple[int, bytes]]:
    """Answers out of a stream of bytes; all of it must be answers."""
    found: list[tuple[int, bytes]] = []
    while raw:
        head, _, raw = raw.partition(b"\r\n\r\n")
        status = int(head.split(b" ")[1])
        if status == 100:
            continue
        fields = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:])
        head_only = methods is not None and len(found) < len(methods) and methods[len(found)] == "HEAD"
        size = 0 if head_only else int(fields[b"content-length"])
        found.append((status, raw[:size]))
        raw = raw[size:]
    return found


def pieces(data: bytes, cuts: list[int]) -> list[bytes]:
    """Data cut at some places."""
    places = sorted({cut % (len(data) + 1) for cut in cuts} | {0, len(data)})
    return [data[a:b] for a, b in pairwise(places)]


REQUESTS = st.lists(
    st.sampled_from(
        [
            GET,
            POST,
            CHUNKED,
            b"HEAD /four HTTP/1.1\r\nHost: a\r\n\r\n",
            b"POST /five HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\nok",
            b"GET /six HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n",
            b"\r\n",
        ]
    ),
    max_size=6,
)
ENDS = st.one_of(
    st.binary(max_size=60),
    st.sampled_from(
        [
            b"",
            b"GET / HTTP/1.0\r\n\r\n",
            b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n",
            b"POST / HTTP/1.1\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabc",
            b"POST / HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            b"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
            b"POST / HTTP/1.1\r\nContent-Length: 99999999999999999999999\r\n\r\n",
            b"POST / HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % (MOST_BODY + 1),
            b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
            b"GET /" + b"x" * MOST_HEAD + b" HTTP/1.1\r\n\r\n",
            b"GET / HTTP/9.9\r\n\r\n",
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        ]
    ),
)


@settings(max_examples=150)
@given(REQUESTS, ENDS, st.lists(st.integers(0, 2_000), max_size=12))
@example([GET, GET], b"", list(range(200)))
def test_whatever_comes_in_whatever_pieces_nothing_raises_and_the_cuts_do_not_matter(
    requests: list[bytes], end: bytes, cuts: list[int]
) -> None:
    """Valid requests in front are answered in their order, then at most one refusal, then the end."""
    data = b"".join(requests) + end
    whole, cut = Talk(), Talk()
    whole.say(data)
    cut.say(*pieces(data, cuts))
    assert cut.answers() == whole.answers()
    assert [(one.method, one.path, one.body) for one in cut.taken] == [
        (one.method, one.path, one.body) for one in whole.taken
    ]
    sound = sum(1 for request in requests if request != b"\r\n")
    assert [status for status, _ in whole.answers()][:sound] == [200] * sound
    refused = [status for status, _ in whole.answers() if status >= 400]
    assert len(refused) <= 1


LINES = st.sampled_from(
    [
        b"Host: a\r\n",
        b"Content-Length: %d\r\n",
        b"content-length: %d\r\n",
        b"CONTENT-LENGTH: %d\r\n",
        b"Content-Length:  %d\r\n",
        b"Content-Length: 0%d\r\n",
        b"Content-Length: +%d\r\n",
        b"Content-Length: %d\n",
        b"X: y\r\n Content-Length: %d\r\n",
        b"X: Content-Length: %d\r\n",
        b"X-Content-Length: %d\r\n",
        b"Transfer-Encoding: chunked\r\n",
        b"Expect: 100-continue\r\n",
        b"Connection: close\r\n",
        b"Connection: upgrade\r\nUpgrade: h2c\r\n",
        b"\n",
        b"\r\n",
    ]
)
POSTED = st.tuples(
    st.sampled_from([b"", b"\r\n"]),
    st.sampled_from([b"POST /a HTTP/1.1\r\n", b"POST /b?c HTTP/1.1\r\n", b"PUT / HTTP/1.0\r\n"]),
    st.lists(LINES, max_size=3),
    st.sampled_from([b"", b"hello", b"hello, all of you", b"5\r\nhello\r\n0\r\n\r\n", b"hello" + POST]),
)


@settings(max_examples=300)
@given(st.lists(POSTED, min_size=1, max_size=3), st.lists(st.integers(0, 2), min_size=2, max_size=8))
@example([(b"", b"POST /a HTTP/1.1\r\n", [b"Content-Length: %d\r\n"], b"hello")], [0, 0, 0])
def test_a_head_that_is_remembered_says_what_it_would_have_said_to_the_parser(
    posted: list[tuple[bytes, bytes, list[bytes], bytes]], order: list[int]
) -> None:
    """Whatever heads come again and again, with whatever lengths: who remembers them hears the same."""

    def remembering(exchange: Exchange) -> None:
        remembers.taken.append(exchange)
        exchange.remember("seen")
        exchange.answer(Reply(200, exchange.path.encode(), "text/plain"))

    remembers, parses = Talk(remembering), Talk()
    for place in order:
        start, first, lines, body = posted[place % len(posted)]
        head = b"".join(line % len(body) if b"%" in line else line for line in lines)
        message = start + first + head + b"\r\n" + body
        remembers.say(message)
        parses.say(message)
        assert remembers.answers() == parses.answers()
        assert [(one.method, one.path, one.query, one.body) for one in remembers.taken] == [
            (one.method, one.path, one.query, one.body) for one in parses.taken
        ]

def test_a_remembered_head_is_not_parsed_again_and_may_bring_another_length() -> None:
    def handle(exchange: Exchange) -> None:
        talk.taken.append(exchange)
        memos.append(exchange.head.memo)
        exchange.remember("known")
        exchange.answer(Reply(200))

    memos: list[object] = []
    talk = Talk(handle)
    longer = POST.replace(b": 5", b": 11").replace(b"hello", b"hello again")
    talk.say(POST, longer, POST + GET, longer[:-3], longer[-3:], POST)
    assert memos == [None, "known", None, None, None, "known"]
    assert [one.body for one in talk.taken] == [b"hello", b"hello again", b"hello", b"", b"hello again", b"hello"]
    assert len({id(one.head) for one in talk.taken}) == 4


def test_heads_that_are_not_asked_for_are_not_remembered_and_never_many() -> None:
    talk = Talk()
    talk.say(POST, POST)
    assert [one.head.memo for one in talk.taken] == [None, None]

    def handle(exchange: Exchange) -> None:
        exchange.remember("known")
        exchange.answer(Reply(200))

    talk = Talk(handle)
    talk.say(*(POST.replace(b"/two", b"/%d" % n) for n in range(3 * heads.MOST)))
    assert 0 < len(talk.listener.heads) <= heads.MOST


@settings(max_examples=80)
@given(REQUESTS, ENDS, st.lists(st.integers(0, 2_000), max_size=6), st.data())
def test_answers_that_take_their_time_keep_their_order(
    requests: list[bytes], end: bytes, cuts: list[int], data: st.DataObject
) -> None:
    """However answers are delayed: one for each request taken, in order, and a refusal only after them."""
    waiting: list[Exchange] = []

    def handle(exchange: Exchange) -> None:
        talk.taken.append(exchange)
        waiting.append(exchange)

    talk = Talk(handle)
    for piece in pieces(b"".join(requests) + end, cuts):
        if not talk.wire.ended and talk.wire.reading:
            talk.receive(piece)
        now: bool = data.draw(st.booleans())
        if waiting and now:
            one = waiting.pop(0)
            one.answer(Reply(200, one.path.encode(), "text/plain"))
    while waiting:
        assert len(waiting) == 1, "one request at a time"
        one = waiting.pop(0)
        one.answer(Reply(200, one.path.encode(), "text/plain"))
        one.answer(Reply(500, b"a second answer goes nowhere"))
    answered = talk.answers()
    assert [status for status, _ in answered][: len(talk.taken)] == [200] * len(talk.taken)
    assert len(answered) <= len(talk.taken) + 1


def test_ten_thousand_pipelined_requests_do_not_nest() -> None:
    """The first takes its time; then all others are answered at once, without a stack as high as they are many."""
    waiting: list[Exchange] = []

    def handle(exchange: Exchange) -> None:
        talk.taken.append(exchange)
        if exchange.path == "/one":
            exchange.answer(Reply(200))
        else:
            waiting.append(exchange)

    talk = Talk(handle)
    talk.say(POST + GET * 10_000)
    assert not talk.wire.reading, "and meanwhile nothing more is read"
    waiting.pop().answer(Reply(202))
    assert len(talk.answers()) == 10_001
    assert talk.wire.reading


def test_a_fault_of_our_own_is_answered() -> None:
    """With 500, and the next request goes on."""

    def handle(exchange: Exchange) -> None:
        talk.taken.append(exchange)
        if exchange.path == "/one":
            raise KeyError("a fault of our own")
        exchange.answer(Reply(200))

    talk = Talk(handle)
    with capture_logs() as logs:
        talk.say(GET + POST)
    assert [status for status, _ in talk.answers()] == [500, 200]
    assert [one["event"] for one in logs] == ["request_fault"]


def test_a_header_that_never_ends_is_cut_off_before_it_is_gathered() -> None:
    """The parser would keep all of it, and copy it again with every piece."""
    talk = Talk()
    talk.say(b"GET / HTTP/1.1\r\nx-long: ")
    for _ in range(1_000):
        talk.say(b"x" * 1_000)
        if talk.wire.ended:
            break
    assert [status for status, _ in talk.answers()] == [431]


@pytest.mark.parametrize("name", [b"x", b"x" * 200])
def test_a_head_of_many_small_headers_is_bounded_too(name: bytes) -> None:
    """By what it takes in bytes, not by their number."""
    talk = Talk()
    talk.say(b"GET / HTTP/1.1\r\n" + (name + b": y\r\n") * (MOST_HEAD // (len(name) + 5) + 1) + b"\r\n")
    assert [status for status, _ in talk.answers()] == [431]


def test_a_body_that_grows_beyond_the_bound_is_refused_whatever_it_said() -> None:
    """Chunked bodies do not say how long they are."""
    talk = Talk()
    chunk = b"100000\r\n" + b"x" * 0x100000 + b"\r\n"
    talk.say(b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", *[chunk] * 17)
    assert [status for status, _ in talk.answers()] == [413]
    assert talk.taken == []


def test_a_body_of_single_bytes_is_taken() -> None:
    """Chunks of one byte have five bytes around it; a slow pipe sends such."""
    talk = Talk()
    talk.say(b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", *[b"1\r\nx\r\n" * 100] * 1_000, b"0\r\n\r\n")
    assert [len(one.body) for one in talk.taken] == [100_000]


def test_a_promise_to_read_on_is_not_put_into_the_middle_of_an_answer() -> None:
    """``100 Continue`` only when nothing else is being answered."""
    waiting: list[Exchange] = []
    talk = Talk(waiting.append)
    talk.say(GET + b"POST /b HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n")
    assert bytes(talk.wire.sent) == b""
    waiting.pop().answer(Reply(200))
    talk.say(b"ok")
    waiting.pop().answer(Reply(200))
    assert [status for status, _ in talk.answers()] == [200, 200]
    fresh = Talk(waiting.append)
    fresh.say(b"POST /b HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n")
    assert bytes(fresh.wire.sent) == b"HTTP/1.1 100 Continue\r\n\r\n"


def test_a_wish_to_upgrade_is_passed_over() -> None:
    """As ``curl --http2`` sends it: answered as any other, and the connection goes on."""
    talk = Talk()
    asks = b"GET /a HTTP/1.1\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMA\r\n\r\n"
    talk.say(asks + GET, asks)
    assert talk.answers() == [(200, b"/a"), (200, b"/one"), (200, b"/a")]
    assert not talk.wire.ended


@pytest.mark.parametrize("cuts", [[], [70], list(range(200))])
def test_a_wish_to_upgrade_has_its_body(cuts: list[int]) -> None:
    """Else it would be read as the next request, in a name that whoever wrote it may not have."""
    asks = b"POST /a HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: h2c\r\nContent-Length: %d\r\n\r\n"
    talk = Talk()
    talk.say(*pieces(asks % len(GET) + GET + POST + asks % 0 + asks % 2 + b"ok" + GET, cuts))
    assert [(one.path, one.body) for one in talk.taken] == [
        ("/a", GET), ("/two", b"hello"), ("/a", b""), ("/a", b"ok"), ("/one", b""),
    ]  # fmt: skip
    talk = Talk()
    talk.say((asks % 5).replace(b"Content-Length: 5", b"Transfer-Encoding: chunked") + b"5\r\nhello\r\n0\r\n\r\n")
    assert [status for status, _ in talk.answers()] == [400] and talk.taken == []


def test_the_answer_to_head_has_no_body() -> None:
    """Only its length."""
    talk = Talk()
    talk.say(b"HEAD /four HTTP/1.1\r\n\r\n")
    assert b"content-length: 5\r\n" in bytes(talk.wire.sent)
    assert bytes(talk.wire.sent).endswith(b"\r\n\r\n")


def test_headers_are_found_whatever_their_case() -> None:
    """And the target is cut at the first question mark only."""
    talk = Talk()
    talk.say(b"GET /a%20b?c=d?e HTTP/1.1\r\nX-Some: Thing\r\n\r\n")
    (one,) = talk.taken
    assert (one.path, one.query, one.header(b"x-some"), one.header(b"missing")) == ("/a%20b", "c=d?e", "Thing", "")


# --- With a network --------------------------------------------------------------------------------------------------


@pytest.fixture
async def listening(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[tuple[Listener, int]]:
    """A listener that answers with the path, and its port. Its deadlines are short."""
    monkeypatch.setattr(module, "SWEEP", 0.02)
    monkeypatch.setattr(module, "SLOW_REQUEST", 0.2)
    monkeypatch.setattr(module, "IDLE", 0.6)
    monkeypatch.setattr(module, "LINGER", 0.3)
    one = Listener(lambda exchange: exchange.answer(Reply(200, exchange.path.encode(), "text/plain")))
    await one.start("127.0.0.1", 0)
    assert one._server is not None
    yield one, one._server.sockets[0].getsockname()[1]
    await one.stop(0.1)


async def talk_to(port: int, data: bytes) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A connection on which something was said."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(data)
    return reader, writer


async def test_a_connection_is_used_again(listening: tuple[Listener, int]) -> None:
    """One answer after the other, then the end when it is asked for."""
    reader, writer = await talk_to(listening[1], GET)
    assert (await reader.readuntil(b"/one")).startswith(b"HTTP/1.1 200 OK\r\n")
    writer.write(POST + b"GET /last HTTP/1.1\r\nConnection: close\r\n\r\n")
    rest = await asyncio.wait_for(reader.read(-1), 5)
    assert read_answers(rest) == [(200, b"/two"), (200, b"/last")]
    assert b"connection: close\r\n" in rest
    writer.close()


@pytest.mark.parametrize(
    "begun",
    [
        b"",
        b"GET / HT",
        b"GET / HTTP/1.1\r\nHost: a\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: 10\r\n\r\nfive.",
    ],
    ids=["nothing", "a line", "a head", "a body"],
)
async def test_a_slow_sender_is_hung_up_on(listening: tuple[Listener, int], begun: bytes) -> None:
    """Whatever it has begun, and a length that never comes too."""
    reader, writer = await talk_to(listening[1], begun)
    assert await asyncio.wait_for(reader.read(-1), 5) == b""
    writer.close()
    assert listening[0].connections == 0


async def test_a_trickle_does_not_move_the_deadline(listening: tuple[Listener, int]) -> None:
    """A request has its time as a whole, not a new one with every byte."""
    reader, writer = await talk_to(listening[1], b"GET / HTTP/1.1\r\nx: ")

    async def trickle() -> None:
        while True:
            writer.write(b"y")
            await asyncio.sleep(0.02)

    trickling = asyncio.create_task(trickle())
    assert await asyncio.wait_for(_until_end(reader), 5) == b""
    trickling.cancel()
    writer.close()


async def _until_end(reader: asyncio.StreamReader) -> bytes:
    try:
        return await reader.read(-1)
    except ConnectionError:
        return b""


async def test_a_client_that_never_reads_is_hung_up_on(
    listening: tuple[Listener, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An answer nobody takes does not keep a connection for ever."""
    one, port = listening
    one.handle = lambda exchange: exchange.answer(Reply(200, b"x" * 30_000_000, "text/plain"))
    raw = socket.create_connection(("127.0.0.1", port))
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    raw.sendall(b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n")
    async with asyncio.timeout(5):
        while not one.connections:
            await asyncio.sleep(0.01)
        while one.connections:
            await asyncio.sleep(0.01)
    raw.close()


async def test_a_refusal_reaches_a_sender_that_is_still_sending(listening: tuple[Listener, int]) -> None:
    """Closing at once would reset the connection and lose the answer."""
    reader, writer = await talk_to(listening[1], b"POST / HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % (MOST_BODY + 1))
    for _ in range(20):
        writer.write(b"x" * 100_000)
        await asyncio.sleep(0)
    assert (await asyncio.wait_for(reader.readline(), 5)).split(b" ")[1] == b"413"
    writer.close()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells")
@pytest.mark.parametrize("size", [5, 2_000_000])
async def test_it_knows_since_when_what_it_reads_lies_in_its_socket(listening: tuple[Listener, int], size: int) -> None:
    """What more of a long body comes while it is read changes nothing; and nobody is asked when it does not matter."""
    listener, port = listening
    came: list[int | None] = []

    def handle(exchange: Exchange) -> None:
        came.append(exchange.came)
        exchange.answer(Reply(200))

    listener.handle = handle

    def now() -> int:
        return time.monotonic_ns() // 1_000

    for heeds in (True, False):
        listener.heeds = lambda heeds=heeds: heeds  # type: ignore[misc]
        with socket.create_connection(("127.0.0.1", port)) as sender:
            sender.setblocking(False)
            began = now()
            data = b"POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % size + b"x" * size
            data = data[sender.send(data) :]
            ended = now()
            while now() < ended + 60_000:  # the loop stands still
                pass
            while data:
                await asyncio.sleep(0.01)
                data = data[sender.send(data) :]
            while len(came) < (1 if heeds else 2):
                await asyncio.sleep(0.01)
        if heeds:
            assert came[0] is not None
            assert began - 12_000 <= came[0] <= ended + 12_000
    assert came[1] is None


@pytest.mark.parametrize("asked", [1, 3])
async def test_who_has_said_all_and_sends_no_more_has_its_answers(listening: tuple[Listener, int], asked: int) -> None:
    """As ``nc -N`` and Java's ``shutdownOutput`` do: what is judged is answered too."""
    one, port = listening
    late: list[Exchange] = []
    one.handle = late.append
    reader, writer = await talk_to(port, POST * asked + POST[:30])
    writer.write_eof()
    for _ in range(asked):
        async with asyncio.timeout(5):
            while not late:
                await asyncio.sleep(0.01)
            await asyncio.sleep(0.05)  # the end is read, too
        exchange = late.pop()
        exchange.answer(Reply(200, exchange.path.encode(), "text/plain"))
    rest = await asyncio.wait_for(reader.read(-1), 5)
    assert read_answers(rest) == [(200, b"/two")] * asked
    async with asyncio.timeout(5):
        while one.connections:
            await asyncio.sleep(0.01)
    writer.close()


@pytest.mark.parametrize("begun", [b"", POST[:30], GET])
async def test_who_ends_what_nothing_is_owed_to_is_hung_up_on(listening: tuple[Listener, int], begun: bytes) -> None:
    one, port = listening
    reader, writer = await talk_to(port, begun)
    if begun == GET:
        await asyncio.wait_for(reader.readuntil(b"/one"), 5)
    writer.write_eof()
    assert await asyncio.wait_for(reader.read(-1), 5) == b""
    assert not one.connections
    writer.close()


async def test_a_stream_whose_reader_is_gone_is_given_up(listening: tuple[Listener, int]) -> None:
    """Whoever reads what goes on without end says nothing more: their end is the end."""
    one, port = listening
    gone = asyncio.Event()

    def streams(exchange: Exchange) -> None:
        exchange.when_gone = gone.set

    one.handle = streams
    _, writer = await talk_to(port, GET)
    writer.write_eof()
    await asyncio.wait_for(gone.wait(), 5)
    writer.close()


async def test_no_more_connections_than_may_be(listening: tuple[Listener, int]) -> None:
    """Those above the bound are closed at once, the others are served, and room is made again."""
    one, port = listening
    one.most = 3
    kept = [await talk_to(port, GET) for _ in range(3)]
    for reader, _ in kept:
        await reader.readuntil(b"/one")
    reader, _ = await talk_to(port, GET)
    with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
        await reader.readuntil(b"/one")
    kept[0][1].close()
    async with asyncio.timeout(5):
        while one.connections == 3:
            await asyncio.sleep(0.01)
    reader, writer = await talk_to(port, GET)
    await reader.readuntil(b"/one")
    for _, other in (*kept, (reader, writer)):
        other.close()


async def test_when_it_stops_requests_under_way_are_finished(listening: tuple[Listener, int]) -> None:
    """Idle connections end at once, one that waits for its answer gets it."""
    one, port = listening
    waiting: list[Exchange] = []
    one.handle = waiting.append
    reader, writer = await talk_to(port, GET)
    idle, other = await talk_to(port, b"")
    async with asyncio.timeout(5):
        while not waiting or one.connections < 2:
            await asyncio.sleep(0.01)
    stopping = asyncio.create_task(one.stop(5.0))
    assert await asyncio.wait_for(idle.read(-1), 5) == b""
    waiting[0].answer(Reply(200, b"done", "text/plain"))
    assert (await asyncio.wait_for(reader.read(-1), 5)).endswith(b"done")
    await asyncio.wait_for(stopping, 5)
    writer.close()
    other.close()


def test_the_parser_says_where_an_upgrade_begins() -> None:
    """What the listener counts on when it reads on after one."""
    asks = b"GET / HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"
    with pytest.raises(httptools.HttpParserUpgrade) as caught:
        httptools.HttpRequestParser(object()).feed_data(asks + b"rest")
    assert caught.value.args[0] == len(asks)


# --- Much at once ----------------------------------------------------------------------------------------------------


def together(count: int, monkeypatch: pytest.MonkeyPatch, most: int) -> list[Talk]:
    """Connections to one listener that may hold only so much."""
    monkeypatch.setattr(held, "MOST", most)
    talks = [Talk() for _ in range(count)]
    for talk in talks:
        talk.connection.listener.remove(talk.connection)
        talk.connection.listener = talk.listener = talks[0].listener
        talk.listener.add(talk.connection)
    return talks


def head_of(size: int) -> bytes:
    return b"POST /am/no-such-key/api/v2/alerts HTTP/1.1\r\nhost: a\r\ncontent-length: %d\r\n\r\n" % size


def test_bodies_that_come_at_once_have_a_bound_and_the_longest_held_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody has to know a key for it."""
    slow, next_one, last = together(3, monkeypatch, 1_000_000)
    slow.say(head_of(900_000), b"x" * 400_000)
    next_one.say(head_of(900_000), b"x" * 500_000)
    assert not slow.wire.sent and not next_one.wire.sent
    last.say(head_of(900_000), b"x" * 800_000)
    assert [status for status, _ in slow.answers()] == [503]
    assert [status for status, _ in next_one.answers()] == [503]
    assert slow.listener.held.total < 1_000_000 and not slow.connection._body
    slow.receive(b"x" * 400_000)
    assert len(slow.answers()) == 1, "it is not read any more"
    last.say(b"x" * 100_000)
    assert [status for status, _ in last.answers()] == [200]
    assert slow.listener.held.total == 0 and not slow.listener.held._sizes


def test_small_requests_are_let_be_however_much_others_send(monkeypatch: pytest.MonkeyPatch) -> None:
    small, large, other = together(3, monkeypatch, 300_000)
    small.say(head_of(10_000), b"x" * 5_000)
    large.say(head_of(900_000), b"x" * 250_000)
    other.say(head_of(900_000), b"x" * 250_000)
    assert [status for status, _ in large.answers()] == [503]
    small.say(b"x" * 5_000)
    assert [status for status, _ in small.answers()] == [200]


def test_what_waits_behind_an_answer_counts_and_is_let_go_when_it_is_begun(monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[Exchange] = []
    monkeypatch.setattr(held, "MOST", 1_000_000)
    talk = Talk(taken.append)
    whole = head_of(300_000) + b"x" * 300_000
    talk.say(whole, whole, whole)
    assert talk.listener.held.total == 600_000
    for number in range(3):
        taken[number].answer(Reply(200))
    assert talk.listener.held.total == 0 and [status for status, _ in talk.answers()] == [200] * 3
    taken.clear()
    talk.say(*[whole] * 5)
    assert talk.listener.held.total == 0, "it was given up"
    taken[0].answer(Reply(200))
    assert [status for status, _ in talk.answers()] == [200] * 4 + [503]


def test_what_waits_with_a_head_that_is_remembered_counts_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever has a key is given up as anybody else is."""
    taken: list[Exchange] = []

    def handle(exchange: Exchange) -> None:
        taken.append(exchange)
        exchange.remember("known")

    monkeypatch.setattr(held, "MOST", 100_000)
    talk = Talk(handle)
    whole = head_of(20_000) + b"x" * 20_000
    talk.say(whole)
    taken[0].answer(Reply(200))
    talk.say(whole, whole)
    assert taken[1].head.memo == "known"
    assert talk.listener.held.total == 20_000
    talk.say(*[whole] * 5)
    assert talk.listener.held.total == 0, "it was given up"
    taken[1].answer(Reply(200))
    assert [status for status, _ in talk.answers()] == [200, 200, 503]


def test_a_body_is_not_kept_after_its_request_was_answered() -> None:
    talk = Talk()
    talk.say(head_of(300_000) + b"x" * 300_000)
    talk.taken.clear()
    assert not talk.connection._body


def test_whoever_hangs_up_holds_nothing() -> None:
    talk = Talk()
    talk.say(head_of(900_000), b"x" * 400_000)
    assert talk.listener.held.total
    talk.connection.connection_lost(None)
    assert talk.listener.held.total == 0
