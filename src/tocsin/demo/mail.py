"""A mail catcher: an SMTP server on the loopback that keeps what it is sent and passes nothing on."""

from __future__ import annotations

import asyncio
import email
import email.policy
import socket
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from email.message import EmailMessage
from typing import Any

LARGEST = 2 * 1024 * 1024
"""Bytes of one mail; a larger one is refused."""

MOST = 300
"""Mails kept; after that the oldest goes for each that comes."""


@dataclass(frozen=True, kw_only=True)
class Letter:
    """One mail as it arrived. ``number`` counts up from 1; ``at`` is the wall time of its arrival, HH:MM:SS."""

    number: int
    at: str
    sender: str
    to: tuple[str, ...]
    subject: str
    text: str
    html: str
    source: str
    headers: tuple[tuple[str, str], ...]

    def header(self, name: str) -> str:
        """The first header of that name, or ""."""
        return next((value for found, value in self.headers if found.lower() == name.lower()), "")

    @property
    def initial(self) -> str:
        """The first letter of the one it is for."""
        return (self.to[0] if self.to else "?")[:1].upper()


def read(number: int, at: str, sender: str, to: tuple[str, ...], content: bytes) -> Letter:
    """A letter from the bytes that came. What cannot be read is left empty; the source always shows all of it."""
    parsed = email.message_from_bytes(content, policy=email.policy.default)
    text = html = ""
    headers: list[tuple[str, str]] = []
    subject = ""
    # The standard library's parser raises many things for headers and charsets that break the rules, and a
    # mail that cannot be read is still a mail that arrived.
    try:
        headers = [(name, str(value)) for name, value in parsed.items()]
        subject = str(parsed.get("Subject", "")).strip()
        if isinstance(parsed, EmailMessage):
            text, html = _content(parsed, "plain"), _content(parsed, "html")
    except (LookupError, ValueError, TypeError, AttributeError, email.errors.MessageError):
        pass
    return Letter(
        number=number,
        at=at,
        sender=sender,
        to=to,
        subject=subject or "(no subject)",
        text=text,
        html=html,
        source=content.decode("utf-8", "replace"),
        headers=tuple(headers),
    )


def _content(parsed: EmailMessage, kind: str) -> str:
    part = parsed.get_body(preferencelist=(kind,))
    if part is None or part.get_content_type() != f"text/{kind}":
        return ""
    found = part.get_content()
    return found if isinstance(found, str) else ""


class Catcher:
    """The letters caught so far, newest last, and the SMTP server that catches them."""

    def __init__(self, on_letter: Callable[[Letter], None] | None = None) -> None:
        """`on_letter` is called in the event loop with each letter that arrives."""
        self.letters: deque[Letter] = deque(maxlen=MOST)
        self.caught = 0
        self._on_letter = on_letter
        self._server: asyncio.Server | None = None

    def letter(self, number: int) -> Letter | None:
        """The letter of that number, while it is kept."""
        return next((letter for letter in self.letters if letter.number == number), None)

    async def listen(self, line: socket.socket) -> None:
        """Serve SMTP on a socket that listens.

        Raises ImportError without aiosmtpd, which the extra ``demo`` installs.
        """
        from aiosmtpd.smtp import SMTP

        loop = asyncio.get_running_loop()

        def connection() -> Any:
            return SMTP(
                self, data_size_limit=LARGEST, enable_SMTPUTF8=True, hostname="localhost", timeout=60, loop=loop
            )

        self._server = await loop.create_server(connection, sock=line)

    async def handle_DATA(self, server: object, session: object, envelope: Any) -> str:  # noqa: N802  # aiosmtpd names it so
        """Keep one mail. Called by the SMTP server once the whole of it is here."""
        self.caught += 1
        content = envelope.original_content or b""
        to = tuple(str(address)[:200] for address in envelope.rcpt_tos[:20])
        letter = read(self.caught, time.strftime("%H:%M:%S"), str(envelope.mail_from or ""), to, content)
        self.letters.append(letter)
        if self._on_letter:
            self._on_letter(letter)
        return f"250 kept as number {letter.number}"

    async def close(self) -> None:
        """Stop listening."""
        if self._server:
            self._server.close()
