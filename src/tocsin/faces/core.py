"""The faces' end of the line to the core.

The faces never write to the database; the core answers a command after its commit,
so what is read next already shows it.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any, TypeVar

import msgspec

from tocsin.engine.commands import AnyCommand, Result
from tocsin.kernel.instant import SECOND
from tocsin.runtime.line import (
    MAX_FRAME,
    AnyAsk,
    AskEvents,
    AskFiring,
    AskGuards,
    AskKnown,
    AskReload,
    AskStatus,
    AskSubmit,
    AskWatch,
    Changed,
    Firing,
    HeardReply,
    Known,
    Reloaded,
    Status,
    Weighing,
    encode,
    frame,
    read_answer,
    read_frame,
)

T = TypeVar("T")

DECIDED_WITHIN = 0.8
"""The part of the time an answer may take in which a command must be decided; the rest is for its commit."""


class CoreGone(Exception):
    """The core cannot be reached or did not answer in time. Callers answer 503 with Retry-After.

    ``asked``: the question had left by then, so that what it asks for may be done all the same.
    """

    def __init__(self, why: str, *, asked: bool = False) -> None:
        super().__init__(why)
        self.asked = asked

    def words(self, writes: bool) -> str:
        """What the one who asked is told. ``writes``: they wanted something changed."""
        if not self.asked:
            return "Tocsin's core does not answer at the moment" + ("; nothing was changed" if writes else "")
        return "Tocsin's core did not answer in time" + (
            "; what you asked for may still be done: look before you repeat it" if writes else ""
        )


class CoreClient:
    """A connection to the core, opened when first needed and again after it broke."""

    def __init__(self, path: str, timeout: float = 10.0) -> None:
        self._path = path
        self._timeout = timeout
        self._next = 0
        self._waiting: dict[int, asyncio.Future[Any]] = {}
        self._writer: asyncio.StreamWriter | None = None
        self._reading: asyncio.Task[None] | None = None
        self._opening = asyncio.Lock()

    async def submit(self, command: AnyCommand, idempotency_key: str = "") -> Result:
        """Have a command decided. Raises CoreGone.

        The core lets it drop a little before this stops waiting: whoever was told that it failed is not surprised.
        """
        until = round((asyncio.get_running_loop().time() + self._timeout * DECIDED_WITHIN) * SECOND)
        return await self._ask(AskSubmit(self._number(), command, idempotency_key, until), Result)

    async def events(self, service: str, body: bytes, actor: str) -> HeardReply:
        """Hand in events for a service, in the form of ``POST /api/events``. Raises CoreGone."""
        return await self._ask(AskEvents(self._number(), service, body, actor), HeardReply)

    async def reload(self, actor: str, only: str = "") -> Reloaded:
        """Have the plan folder read again; ``only`` that version of it counts, where one is named. Raises CoreGone."""
        return await self._ask(AskReload(self._number(), actor, only), Reloaded)

    async def status(self) -> Status:
        """How the core is. Raises CoreGone."""
        return await self._ask(AskStatus(self._number()), Status)

    async def known(self, *, token: bytes = b"", user: int = 0) -> Known:
        """Who a token's hash or a user's id names, from the core's memory. Raises CoreGone."""
        return await self._ask(AskKnown(self._number(), token, user), Known)

    async def guards(self, service: str, playbook: str, target: str = "", run: int = 0) -> Weighing:
        """What is left of a playbook's guards now, or of a run's that lives. Raises CoreGone."""
        return await self._ask(AskGuards(self._number(), service, playbook, target, run), Weighing)

    async def firing(self, incident: int = 0, newest: int = 0) -> Firing:
        """How many alerts fire, of an incident or (0) of all, and how many each silence keeps quiet.

        ``newest``: how many of those a page of the incident is about are named. Raises CoreGone.
        """
        return await self._ask(AskFiring(self._number(), incident, newest), Firing)

    async def changes(self) -> AsyncIterator[Changed]:
        """What changes from now on, on a connection of its own.

        Raises CoreGone when it breaks: read anew, then watch again.
        """
        reader, writer = await self._open()
        try:
            writer.write(frame(encode(AskWatch(0))))
            while True:
                answer = read_answer(await read_frame(reader))
                if isinstance(answer.body, Changed):
                    yield answer.body
        except (OSError, EOFError) as error:
            raise CoreGone(str(error)) from error
        finally:
            writer.close()

    async def close(self) -> None:
        """Close the connection."""
        if self._reading:
            self._reading.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._reading
        if self._writer:
            self._writer.close()

    def _number(self) -> int:
        self._next += 1
        return self._next

    async def _open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        try:
            return await asyncio.open_unix_connection(self._path, limit=MAX_FRAME)
        except OSError as error:
            raise CoreGone(f"the core does not answer at {self._path}: {error.strerror}") from error

    async def _ask(self, ask: AnyAsk, kind: type[T]) -> T:
        async with self._opening:
            if self._writer is None or self._writer.is_closing():
                reader, self._writer = await self._open()
                self._reading = asyncio.create_task(self._read(reader, self._writer))
        answered: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting[ask.n] = answered
        try:
            self._writer.write(frame(encode(ask)))
            answer = await asyncio.wait_for(answered, self._timeout)
        except (OSError, TimeoutError) as error:
            raise CoreGone("the core did not answer in time", asked=True) from error
        finally:
            self._waiting.pop(ask.n, None)
        if not isinstance(answer, kind):
            raise CoreGone(f"the core answered {type(answer).__name__}, not {kind.__name__}")
        return answer

    async def _read(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                answer = read_answer(await read_frame(reader))
                waiting = self._waiting.get(answer.n)
                if waiting is not None and not waiting.done():
                    waiting.set_result(answer.body)
        except (OSError, EOFError, msgspec.DecodeError) as error:
            for waiting in self._waiting.values():
                if not waiting.done():
                    waiting.set_exception(CoreGone(f"the line to the core broke: {error}", asked=True))
        finally:
            writer.close()
