"""What goes between Tocsin and a run's process, and between Tocsin and a zygote."""

from __future__ import annotations

import array
import socket

import msgspec
from msgspec import Struct

from tocsin.kernel.instant import Duration
from tocsin.playbooks.run import Report
from tocsin.playbooks.session import Reply, Start

MAX_FRAME = 8 * 1024 * 1024


class Fork(Struct, frozen=True, tag="fork"):
    """To a zygote: begin a process. Its end of the control pipe comes along."""

    run: int
    attempt: int
    cpu: Duration


class Kill(Struct, frozen=True, tag="kill"):
    """To a zygote: end a run's process and everything it started, now."""

    run: int
    attempt: int


class Ready(Struct, frozen=True, tag="ready"):
    """From a zygote: the playbooks are imported. ``failed``: of each file that could not be, why."""

    failed: dict[str, str] = {}


class Gone(Struct, frozen=True, tag="gone"):
    """From a zygote: a run's process ended, with this status (negative: by a signal), having printed this."""

    run: int
    attempt: int
    status: int
    output: str
    flooded: bool = False


Order = Fork | Kill
Word = Ready | Gone

encode = msgspec.msgpack.Encoder().encode
read_order = msgspec.msgpack.Decoder(Order).decode
read_word = msgspec.msgpack.Decoder(Word).decode
read_start = msgspec.msgpack.Decoder(Start).decode
read_reply = msgspec.msgpack.Decoder(Reply).decode
read_report = msgspec.msgpack.Decoder(Report).decode


def frame(body: bytes) -> bytes:
    """A frame as it goes over a stream: four bytes of length, then the body."""
    return len(body).to_bytes(4, "big") + body


def receive(line: socket.socket) -> bytes:
    """The next frame of a stream. Raises EOFError at its end."""
    size = int.from_bytes(_exactly(line, 4), "big")
    if size > MAX_FRAME:
        raise EOFError(f"a frame of {size} bytes is over the bound")
    return _exactly(line, size)


def _exactly(line: socket.socket, size: int) -> bytes:
    held = bytearray()
    while len(held) < size:
        some = line.recv(size - len(held))
        if not some:
            raise EOFError("the other end is gone")
        held += some
    return bytes(held)


def send_with(line: socket.socket, body: bytes, file: int) -> None:
    """One packet, and a file descriptor with it."""
    line.sendmsg([body], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [file]))])


def receive_with(line: socket.socket) -> tuple[bytes, int | None]:
    """One packet and the descriptor that came with it; ``b""`` at the end."""
    body, extra, _, _ = line.recvmsg(65_536, socket.CMSG_SPACE(4))
    for level, kind, data in extra:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
            return body, array.array("i", data[:4])[0]
    return body, None
