"""Ports on the loopback: whether one is free, and which one is."""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterable


class Busy(Exception):
    """A wanted port is taken, or may not be used. The text says what to do about it."""


def free(port: int) -> bool:
    """Whether a server could listen on 127.0.0.1:`port` now. Raises PermissionError for a port that needs root."""
    with socket.socket() as test:
        test.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            test.bind(("127.0.0.1", port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                return False
            raise
    return True


def wanted(port: int, what: str, option: str, taken: Iterable[int] = ()) -> int:
    """`port` itself when it is free; for 0 any free one. Raises Busy, naming the nearest free port, when it is not."""
    taken = set(taken)
    if port == 0:
        return near(18080, taken)
    try:
        if port not in taken and free(port):
            return port
    except OSError as error:
        another = f"{option} {near(18080, taken)}"
        raise Busy(f"{what} cannot listen on port {port}: {error.strerror}. Choose another: {another}") from None
    raise Busy(
        f"Port {port} is busy: another program listens on 127.0.0.1:{port}, and {what} wants it.\n"
        f"Stop that program (another demo?) or choose another port: {option} {near(port + 1, taken | {port})}"
    )


def near(first: int, taken: Iterable[int] = ()) -> int:
    """The first free port from `first` on that is not in `taken`.

    Below 32768 where possible: from there on the kernel gives ports to outgoing connections, and a caller of a server
    that has just died could be given that very port and be connected to itself.
    """
    avoided = set(taken)
    port: int
    for port in (*range(max(first, 1024), max(first, 1024) + 2000), *range(18080, 32768)):
        if port < 65536 and port not in avoided and free(port):
            return port
    raise Busy("there is no free port on 127.0.0.1")
