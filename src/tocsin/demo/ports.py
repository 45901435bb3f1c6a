"""Ports on the loopback: held from the moment they are chosen, so that nobody else takes them before they are used."""

from __future__ import annotations

import errno
import socket
from contextlib import ExitStack
from dataclasses import dataclass, fields
from typing import Final

HERE: Final = "127.0.0.1"
PORT: Final = 8080
INBOX_PORT: Final = 8025
MAIL_PORT: Final = 1025


class Busy(Exception):
    """A wanted port is taken, or may not be used. The text says what to do about it."""


class Held:
    """A port that no other program can have until it is let go, or its socket passed on."""

    def __init__(self, line: socket.socket) -> None:
        self.number = int(line.getsockname()[1])
        self._line: socket.socket | None = line

    def take(self) -> socket.socket:
        """The socket that holds it, for a server in this process; it listens. Once only."""
        line, self._line = self._line, None
        assert line is not None, f"port {self.number} was let go"
        return line

    def let_go(self) -> None:
        """Let a program have it that binds it itself."""
        if self._line is not None:
            self.take().close()


def hold(port: int, *, shared: bool = False) -> Held:
    """Hold a port. Raises OSError: EADDRINUSE when somebody has it, PermissionError for one that needs root.

    A socket that listens keeps everybody out. One that is ``shared`` listens to nothing, so that a caller is refused,
    and lets in who asks for it (SO_REUSEPORT) under the same user: there our processes come and go, and it stays ours.
    """
    line = socket.socket()
    try:
        if not shared:
            line.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        line.bind((HERE, port))
        if shared:  # only now: two that ask for it at once would share it with each other
            line.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        else:
            line.listen()
    except BaseException:
        line.close()
        raise
    return Held(line)


def free(port: int) -> bool:
    """Whether a server could listen on a port now."""
    try:
        hold(port).let_go()
    except OSError:
        return False
    return True


def wanted(port: int, what: str, option: str) -> Held:
    """`port` itself, held; for 0 any free one. Raises Busy, naming the nearest free port, when it cannot be had."""
    if port == 0:
        return near(18080)
    try:
        return hold(port)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise Busy(taken(port, what, option)) from None
        another = f"{option} {_free_near(18080)}"
        raise Busy(f"{what} cannot listen on port {port}: {error.strerror}. Choose another: {another}") from None


def taken(port: int, what: str, option: str) -> str:
    """What to say when another program has a port."""
    return (
        f"Port {port} is busy: another program listens on {HERE}:{port}, and {what} wants it.\n"
        f"Stop that program (another demo?) or choose another port: {option} {_free_near(port + 1)}"
    )


def near(first: int, *, shared: bool = False) -> Held:
    """The first port from `first` on that can be had, held.

    Below 32768 where possible: from there on the kernel gives ports to outgoing connections, and a caller of a server
    that has just died could be given that very port and be connected to itself.
    """
    for port in (*range(max(first, 1024), min(max(first, 1024) + 2000, 65536)), *range(18080, 32768)):
        try:
            return hold(port, shared=shared)
        except OSError:
            continue
    raise Busy(f"there is no free port on {HERE}")


def _free_near(first: int) -> int:
    found = near(first)
    found.let_go()
    return found.number


@dataclass(frozen=True, kw_only=True)
class Ports:
    """Where everybody listens on 127.0.0.1, each held until it is listened on; those of the shop's own for good."""

    tocsin: Held
    inbox: Held
    smtp: Held
    payments: Held
    checkout: Held
    storefront: Held
    carts: Held

    @classmethod
    def pick(cls, tocsin: int, inbox: int | None, smtp: int | None) -> Ports:
        """Find all ports; None takes the usual one or one near it. Raises Busy when a wanted one is taken."""
        with ExitStack() as failed:

            def held(one: Held) -> Held:
                failed.callback(one.let_go)
                return one

            def asked(port: int | None, usual: int, what: str, option: str) -> Held:
                return held(near(usual) if port is None else wanted(port, what, option))

            picked = cls(
                tocsin=asked(tocsin, PORT, "Tocsin", "--port"),
                inbox=asked(inbox, INBOX_PORT, "the inbox", "--inbox-port"),
                smtp=asked(smtp, MAIL_PORT, "the mail catcher", "--mail-port"),
                payments=held(near(18090, shared=True)),
                checkout=held(near(18090, shared=True)),
                storefront=held(near(18090, shared=True)),
                carts=held(near(16379)),
            )
            failed.pop_all()
        return picked

    def let_go(self) -> None:
        """Those that are held still."""
        for each in fields(self):
            getattr(self, each.name).let_go()
