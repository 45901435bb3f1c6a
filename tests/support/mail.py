"""A real SMTP server that keeps what it is sent, and can misbehave."""

from __future__ import annotations

import asyncio
import email
import email.policy
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import EmailMessage, MIMEPart
from typing import Any, Literal

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP

from tests.support.ports import free_port
from tests.support.waiting import eventually

Stage = Literal["MAIL", "RCPT", "DATA"]


@dataclass(frozen=True)
class Mail:
    """One message as it came over the wire."""

    sender: str
    recipients: tuple[str, ...]
    message: EmailMessage

    @property
    def subject(self) -> str:
        """The decoded subject."""
        return str(self.message["subject"])

    def text(self) -> str:
        """The plain-text body."""
        part = self.message.get_body(("plain",))
        return _lines(part)

    def html(self) -> str:
        """The HTML body, empty when there is none."""
        part = self.message.get_body(("html",))
        return _lines(part)


def _lines(part: MIMEPart | None) -> str:
    return str(part.get_content()).replace("\r\n", "\n") if part is not None else ""


@dataclass
class MailServer:
    """An SMTP server on 127.0.0.1 without TLS. Change its manners while it runs:

    `refuse("451 4.3.0 try later", at="DATA")` answers so at that stage; `mute()` accepts connections and never says a
    word; `stall()` takes the whole message and never confirms it, `stall(at="RCPT")` never answers that; `behave()`
    delivers again. `stalled` counts how often it stopped so.
    """

    host: str = "127.0.0.1"
    port: int = field(default_factory=free_port)
    messages: list[Mail] = field(default_factory=list)
    connections: int = 0
    stalled: int = 0
    _refusal: tuple[str, Stage] | None = None
    _mute: bool = False
    _stall: Stage | None = None
    _open: set[asyncio.BaseTransport] = field(default_factory=set)

    def behave(self) -> None:
        """Deliver everything."""
        self._refusal, self._mute, self._stall = None, False, None

    def refuse(self, reply: str, *, at: Stage = "RCPT") -> None:
        """Answer `reply`, a 4xx or 5xx line, at a stage of the conversation."""
        self._refusal = (reply, at)

    def mute(self) -> None:
        """Accept new connections and never answer, not even with a banner."""
        self._mute = True

    def stall(self, *, at: Stage = "DATA") -> None:
        """Take what is said up to a stage, at DATA the message whole (it is kept), and never answer it."""
        self._stall = at

    async def _maybe_stall(self, stage: Stage) -> None:
        if self._stall == stage:
            self.stalled += 1
            await asyncio.Event().wait()

    def hang_up(self) -> None:
        """Cut all open connections; only to be called in the server's own thread."""
        for transport in list(self._open):
            transport.close()

    def wait_for(self, count: int = 1, *, within: float = 10.0) -> list[Mail]:
        """All messages, once there are at least `count`."""
        return eventually(
            lambda: list(self.messages) if len(self.messages) >= count else None,
            within=within,
            what=f"{count} mail(s), {len(self.messages)} so far",
        ) or []

    # What follows is aiosmtpd's handler interface.

    async def handle_MAIL(self, server: Any, session: Any, envelope: Any, address: str, options: list[str]) -> str:
        """Take or refuse a sender."""
        if self._refusal and self._refusal[1] == "MAIL":
            return self._refusal[0]
        await self._maybe_stall("MAIL")
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return "250 OK"

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: list[str]) -> str:
        """Take or refuse a recipient."""
        if self._refusal and self._refusal[1] == "RCPT":
            return self._refusal[0]
        await self._maybe_stall("RCPT")
        envelope.rcpt_tos.append(address)
        envelope.rcpt_options.extend(options)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        """Take or refuse a message."""
        if self._refusal and self._refusal[1] == "DATA":
            return self._refusal[0]
        message = email.message_from_bytes(envelope.content, policy=email.policy.default)
        assert isinstance(message, EmailMessage)
        self.messages.append(Mail(envelope.mail_from, tuple(envelope.rcpt_tos), message))
        await self._maybe_stall("DATA")
        return "250 Message accepted"


class _Conversation(SMTP):
    async def _handle_client(self) -> None:
        keeper: MailServer = self.event_handler
        keeper.connections += 1
        transport = self.transport
        assert transport is not None, "a conversation without a connection"
        keeper._open.add(transport)
        try:
            if keeper._mute:
                keeper.stalled += 1
                await asyncio.Event().wait()
            await super()._handle_client()
        finally:
            keeper._open.discard(transport)


class _Listener(Controller):
    def factory(self) -> SMTP:
        return _Conversation(self.handler, hostname="mail.test")


@contextmanager
def running_mail_server() -> Iterator[MailServer]:
    """An SMTP server, in a thread of its own, for as long as the block lasts."""
    server = MailServer()
    listener = _Listener(server, hostname=server.host, port=server.port)
    listener.start()
    server.connections = 0  # starting connected once, to see whether it answers
    try:
        yield server
    finally:
        # Since Python 3.12 a server is closed only when its last connection is, and the mute ones would take minutes.
        listener.loop.call_soon_threadsafe(server.hang_up)
        listener.stop()
