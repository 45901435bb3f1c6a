"""The core's end of the line to the faces."""

from __future__ import annotations

import asyncio
import contextlib
import os
from pathlib import Path
from typing import Protocol

import msgspec
import structlog

from tocsin.engine.commands import AnyCommand, Result
from tocsin.kernel.instant import Duration
from tocsin.runtime.begun import ended
from tocsin.runtime.line import (
    AnswerChanged,
    AnswerFiring,
    AnswerHeard,
    AnswerKnown,
    AnswerReloaded,
    AnswerResult,
    AnswerStatus,
    AnswerWeighing,
    AnyAnswer,
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
    read_ask,
    read_frame,
)

log = structlog.get_logger("tocsin.line")

MOST_BEHIND = 8 * 1024 * 1024
"""A watcher that has this much unread is hung up on; it reads anew when it comes back."""


class Answering(Protocol):
    """Who answers what comes over the line."""

    async def submit(self, command: AnyCommand, idempotency_key: str = "", until: Duration = 0) -> Result: ...
    async def events(self, service: str, body: bytes, actor: str) -> HeardReply: ...
    async def reload(self, actor: str, only: str = "") -> Reloaded: ...
    def status(self) -> Status: ...
    def known(self, token: bytes, user: int) -> Known: ...
    async def guards(self, service: str, playbook: str, target: str, run: int) -> Weighing: ...
    def firing(self, incident: int, newest: int) -> Firing: ...


class LineServer:
    """Listens on a Unix socket that only its owner can open."""

    def __init__(self, answering: Answering) -> None:
        self.answering = answering
        self._server: asyncio.Server | None = None
        self._watchers: set[asyncio.StreamWriter] = set()
        self._open: set[asyncio.Task[None]] = set()

    async def start(self, path: Path) -> None:
        """Begin to listen."""
        path.unlink(missing_ok=True)  # noqa: ASYNC240  # once, before anything is listened to
        before = os.umask(0o177)
        try:
            self._server = await asyncio.start_unix_server(self._serve, path)
        finally:
            os.umask(before)

    async def close(self) -> None:
        """Hang up on everybody."""
        if self._server is not None:
            self._server.close()
        await ended(self._open)

    def tell(self, changed: Changed) -> None:
        """Tell watchers what one commit changed."""
        if not self._watchers:
            return
        notice = frame(encode(AnswerChanged(0, changed)))
        for writer in list(self._watchers):
            if writer.is_closing() or writer.transport.get_write_buffer_size() > MOST_BEHIND:
                self._watchers.discard(writer)
                writer.transport.abort()
            else:
                writer.write(notice)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._open.add(task)
        try:
            while True:
                ask = read_ask(await read_frame(reader))
                if isinstance(ask, AskWatch):
                    self._watchers.add(writer)
                    continue
                answering = asyncio.create_task(self._answer(ask, writer))
                # One that was asked is decided to its end, even when nobody waits for the answer any more.
                self._open.add(answering)
                answering.add_done_callback(self._open.discard)
        except (OSError, EOFError):
            pass
        except msgspec.DecodeError as error:
            log.error("line_garbled", error=str(error))
        except asyncio.CancelledError:
            pass
        finally:
            self._open.discard(task)
            self._watchers.discard(writer)
            writer.close()

    async def _answer(self, ask: AnyAsk, writer: asyncio.StreamWriter) -> None:
        answer: AnyAnswer
        try:
            match ask:
                case AskSubmit():
                    result = await self.answering.submit(ask.command, ask.idempotency_key, ask.until)
                    answer = AnswerResult(ask.n, result)
                case AskEvents():
                    answer = AnswerHeard(ask.n, await self.answering.events(ask.service, ask.body, ask.actor))
                case AskReload():
                    answer = AnswerReloaded(ask.n, await self.answering.reload(ask.actor, ask.only))
                case AskStatus():
                    answer = AnswerStatus(ask.n, self.answering.status())
                case AskKnown():
                    answer = AnswerKnown(ask.n, self.answering.known(ask.token, ask.user))
                case AskGuards():
                    found = await self.answering.guards(ask.service, ask.playbook, ask.target, ask.run)
                    answer = AnswerWeighing(ask.n, found)
                case AskFiring():
                    answer = AnswerFiring(ask.n, self.answering.firing(ask.incident, ask.newest))
                case AskWatch():
                    return
        except Exception:  # the line's edge: whoever asked is told by the time that ran out
            log.exception("line_fault", ask=type(ask).__name__)
            return
        with contextlib.suppress(OSError):
            writer.write(frame(encode(answer)))
            await writer.drain()
