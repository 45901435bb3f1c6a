"""One request at the listener, and its answer."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from tocsin.intake.request import Reply
from tocsin.runtime.heads import Head

if TYPE_CHECKING:
    from tocsin.runtime.listener import Connection


class Exchange:
    """One request being answered. ``answer`` may be called once, from the event loop."""

    __slots__ = ("_connection", "body", "came", "head", "when_gone")

    def __init__(self, connection: Connection, head: Head, body: bytes) -> None:
        self._connection = connection
        self.head = head
        self.body = body
        self.came = connection.came
        """When its beginning reached this machine, by the monotonic clock; None when nobody asked or can tell."""
        self.when_gone: Callable[[], None] | None = None
        """Called when the other end hangs up before the answer is complete."""

    @property
    def method(self) -> str:
        """``GET`` and the like."""
        return self.head.method

    @property
    def target(self) -> bytes:
        """Path and query as they were sent."""
        return self.head.target

    @property
    def path(self) -> str:
        """The path as it was sent, without the query."""
        return self.head.path

    @property
    def query(self) -> str:
        """What follows the question mark, "" when nothing does."""
        return self.head.query

    @property
    def headers(self) -> list[tuple[bytes, bytes]]:
        """Names in lower case, and values."""
        return self.head.headers

    def remember(self, memo: object) -> None:
        """Have the next request with this head come with ``memo`` in its head, and without being parsed."""
        self._connection.listener.heads.remember(self.head, memo)

    def header(self, name: bytes) -> str:
        """A header's value, "" when absent. ``name`` in lower case."""
        for have, value in self.head.headers:
            if have == name:
                return value.decode("latin-1")
        return ""

    @property
    def peer(self) -> str:
        """The address at the other end."""
        return self._connection.peer

    @property
    def secure(self) -> bool:
        """Whether it came over TLS."""
        return self._connection.secure

    def answer(self, reply: Reply) -> None:
        """Send the answer, when the other end is still there."""
        self._connection.answered(self, reply)

    def pass_on(self, data: bytes) -> None:
        """Send bytes of an answer as they are."""
        self._connection.write(data)

    def passed(self, keep_alive: bool) -> None:
        """The answer passed on is complete."""
        self._connection.finish(keep_alive and self.head.keep_alive)

    @property
    def gone(self) -> bool:
        """Whether the other end has hung up."""
        return self._connection.closed

    async def drained(self) -> None:
        """Wait until the other end has taken enough of what was sent."""
        await self._connection.drained()
