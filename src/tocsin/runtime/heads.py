"""Heads of requests, parsed once: a monitor sends the same one all day, but for the length of what follows.

A head is recognised by its bytes without the digits of its length. Only heads that the parser took, of requests that
were whole in one piece and that somebody asked to have remembered, are: so nothing is taken here that the parser
would have taken otherwise, and nobody fills this memory who is not let in.
"""

from __future__ import annotations

LONGEST = 1_024
MOST = 1_024
"""Heads remembered, of ``LONGEST`` bytes at most each."""
END = b"\r\n\r\n"
LENGTHS = (b"\r\nContent-Length: ", b"\r\ncontent-length: ")


class Head:
    """The head of a request, parsed. ``name``: by what it may be remembered, b"" when it may not."""

    __slots__ = ("headers", "keep_alive", "memo", "method", "name", "path", "query", "target")

    def __init__(
        self, method: str, target: bytes, headers: list[tuple[bytes, bytes]], keep_alive: bool, name: bytes
    ) -> None:
        self.method = method
        self.target = target
        self.headers = headers
        """Names in lower case, and values. Of a remembered head, ``content-length`` is what it was first sent with."""
        self.keep_alive = keep_alive
        self.name = name
        self.memo: object = None
        """What was found out by it, by whoever had it remembered."""
        path, _, query = target.partition(b"?")
        self.path = path.decode("latin-1")
        self.query = query.decode("latin-1")


def named(received: bytearray, size: int) -> tuple[bytes, int]:
    """The name of the head that received bytes begin with, and where it ends: ``(b"", 0)`` without a head to remember.

    ``size``: how many bytes were received. There is a name only if they are one head and all that belongs to it.
    """
    end = received.find(END, 0, min(size, LONGEST)) + len(END)
    if end < len(END):
        return b"", 0
    at = received.find(LENGTHS[0], 0, end)
    if at < 0:
        at = received.find(LENGTHS[1], 0, end)
        if at < 0:
            return b"", 0
    at += len(LENGTHS[0])
    stop = received.find(b"\r", at, end)
    if received[at:stop] != b"%d" % (size - end):
        return b"", 0
    return bytes(received[:at] + received[stop:end]), end


def rememberable(name: bytes, headers: list[tuple[bytes, bytes]]) -> bool:
    """Whether a head has as many lines as the parser saw: it took the end of none, nor of the head, for elsewhere."""
    return name.count(b"\n") == name.count(b"\r\n") == len(headers) + 2


class Heads:
    """The heads that are remembered, by name."""

    def __init__(self) -> None:
        self._heads: dict[bytes, Head] = {}
        self.get = self._heads.get

    def clear(self) -> None:
        """Forget all of them: keys are in them."""
        self._heads.clear()

    def __len__(self) -> int:
        return len(self._heads)

    def remember(self, head: Head, memo: object) -> None:
        """Remember a head that has a name, and what was found out by it."""
        if not head.name:
            return
        if len(self._heads) >= MOST:
            self._heads.clear()
        head.memo = memo
        self._heads[head.name] = head
