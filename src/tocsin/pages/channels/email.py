"""Email, by the plan's own section ``mail``. What sends it, and needs aiosmtplib, is ``smtp``."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from tocsin.notation.words import EMAIL
from tocsin.pages.profile import Address, BadAddress, Loopback, Own, Profile, SetUp, Wording

if TYPE_CHECKING:
    from tocsin.pages.channels.setup import Setup
    from tocsin.pages.message import Channel

_EMAIL = re.compile(r"[^@\s<>,;:\"()\[\]\x00-\x1f]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9.\-]{0,252})")


def checked(text: str) -> str:
    """An address as it is kept, its domain in small letters. Raises BadAddress."""
    if not _EMAIL.fullmatch(text):
        raise BadAddress("write a plain e-mail address, such as ana@shop.example")
    local, _, domain = text.rpartition("@")
    return f"{local}@{domain.lower()}"


def masked(address: str) -> str:
    """The first letter, and the domain."""
    local, _, domain = address.rpartition("@")
    return f"{local[:1]}…@{domain}"


def _make(setup: Setup) -> Channel | None:
    from tocsin.pages.channels.smtp import Email

    return Email(setup, setup.mail) if setup.mail else None


PROFILE: Final = Profile(
    name="email",
    called="Email",
    by="by email",
    make=_make,
    set_up=SetUp("mail", None, "The mail server pages leave through."),
    address=Address(EMAIL, "Where mail pages go; needs `mail`."),
    own=Own(checked, asks="an e-mail address"),
    masked=masked,
    directness=90,
    wording=Wording("Mails.", "full"),
    loopback=Loopback(EMAIL, "A mailbox whose mail server posts what comes in to Tocsin's /loopback."),
)
