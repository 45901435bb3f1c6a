"""What channels are made from: the parts of a plan they need, and the hands they are given."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, TextIO

from tocsin.catalog.people import Person
from tocsin.kernel.outside import Outside, Unanswered
from tocsin.kernel.secret import SecretAway
from tocsin.pages.message import Failed

if TYPE_CHECKING:
    import socket
    import ssl

DEADLINE = 14.0
"""Seconds an attempt may take: below the 15 that callers count on."""


class MailServer(Protocol):
    """The mail server of a plan.

    ``server`` is ``smtp://``, ``smtp+starttls://`` or ``smtps://`` host[:port];
    ``password`` is a reference, never the password.
    """

    @property
    def server(self) -> str: ...
    @property
    def sender(self) -> str: ...
    @property
    def user(self) -> str: ...
    @property
    def password(self) -> str: ...


class Sockets(Outside, Protocol):
    """The hands, of which one opens real sockets."""

    async def connect(self, host: str, port: int, *, within: float) -> socket.socket | Unanswered:
        """As ``Outside.connect``: connected, not blocking."""
        ...

    @property
    def tls(self) -> ssl.SSLContext:
        """Which certificates are believed."""
        ...


def _no_key(purpose: str) -> bytes:
    """For a setup that was given no key: what is signed with it is believed by nobody else."""
    return bytes(32)


@dataclass(frozen=True)
class Setup:
    """``secret`` gives the text behind a reference such as ``secret:smtp``; raises LookupError, OSError or ValueError.

    ``channels``: what the plan says of each channel, by its name there. ``mark`` tells this installation from others.
    ``derive`` gives 32 secret bytes of this installation for a purpose, always the same.
    ``looped`` finds the synthetic pages of this installation whose marks stand in a text.
    ``loops``: where the plan has synthetic pages go, by channel.
    ``public_url``: where providers call it back, without a slash at its end.
    ``terminal``: where the console channel prints, None for standard output.
    """

    outside: Sockets
    secret: Callable[[str], str]
    mail: MailServer | None = None
    channels: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    mark: str = ""
    loops: Mapping[str, str] = field(default_factory=dict)
    public_url: str = ""
    derive: Callable[[str], bytes] = _no_key
    looped: Callable[[bytes], Iterable[int]] = lambda text: ()
    people: Mapping[str, Person] = field(default_factory=dict)
    terminal: TextIO | None = None


def no_secret(reference: str, error: BaseException | None) -> Failed:
    """The answer when a secret cannot be had. Only a person can change that, so the next way is tried; but one that
    somebody is asked for, who does not answer now, is waited for as a provider is.
    """
    if isinstance(error, SecretAway):
        return Failed("unreachable", str(error))
    return Failed("auth", f"{reference} cannot be read: is it set on this machine?", permanent=True)
