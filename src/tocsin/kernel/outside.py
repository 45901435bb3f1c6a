"""What plugs are handed when they need the outside: requests, connections and calls that may block.

Only shapes. The hands themselves are in ``runtime.outbound``; they guard where a connection may go.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal, Protocol, TypeVar

from msgspec import Struct

from tocsin.kernel.instant import Instant

T = TypeVar("T")

Trouble = Literal["auth", "rate_limit", "client", "server", "deadline", "unreachable", "tls", "refused_address"]


class Answer(Struct, frozen=True, kw_only=True):
    """What an HTTP server answered. Header names are in lower case.

    ``body`` holds at most what was asked for; ``truncated`` says that there was more.
    ``certificate_until``: when the server's TLS certificate ends; None without TLS.
    """

    status: int
    headers: dict[str, str]
    body: bytes
    truncated: bool = False
    certificate_until: Instant | None = None


class Unanswered(Struct, frozen=True):
    """Nothing usable came back. ``error`` completes the sentence "X did not answer: …" for a person."""

    code: Trouble
    error: str


class Line(Protocol):
    """An open connection."""

    def close(self) -> object:
        """Let go of it."""
        ...


class Outside(Protocol):
    """The hands. Nothing is raised for what the outside does; ``within`` is in seconds and covers everything."""

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        content: bytes = b"",
        within: float,
        limit: int,
    ) -> Answer | Unanswered:
        """One HTTP request on a connection of its own. Redirects are not followed; at most ``limit`` bytes are read."""
        ...

    async def connect(self, host: str, port: int, *, within: float) -> Line | Unanswered:
        """Open a TCP connection. The caller closes it."""
        ...

    async def aside(self, key: str, call: Callable[[], T], *, within: float) -> T:
        """Run a call that may block for ever on a thread of its own, one thread per key at most.

        While a call with the same key is under way, that one's answer is awaited instead of starting another, so calls
        with one key must ask the same. Raises TimeoutError when no answer came in time, and whatever the call raises.
        """
        ...
