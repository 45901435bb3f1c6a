"""Matrix, through a user of a server of the team's. What speaks to that is ``matrix_client``."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from tocsin.notation.decoder import Field, Word
from tocsin.notation.words import SECRET, STRING, URL
from tocsin.pages.profile import Address, BadAddress, Loopback, Own, Paced, Profile, SetUp, Wording

if TYPE_CHECKING:
    from tocsin.pages.channels.setup import Setup
    from tocsin.pages.message import Channel

_OWN = re.compile(r"@[^\s:@]{1,200}:[A-Za-z0-9.\-\[\]:]{1,255}")
USER: Final = Word(
    "a Matrix user",
    str,
    pattern=r"@[!-9;-~]{1,200}:[A-Za-z0-9.\-]{1,200}(:[0-9]{1,5})?",
    write='write it whole and quoted, such as "@ana:matrix.shop.example"',
    also=STRING,
)


class Matrix(Paced):
    """The Matrix server pages leave through, and the user that sends them."""

    what = "a Matrix server"
    server = Field(URL, "The homeserver's address, such as https://matrix.shop.example.", required=True)
    token = Field(SECRET, "The access token of the user that sends: secret:NAME.", required=True)


def checked(text: str) -> str:
    """A user's name, whole. Raises BadAddress."""
    if not _OWN.fullmatch(text):
        raise BadAddress("write the Matrix user in full, such as @ana:matrix.shop.example")
    return text


def _make(setup: Setup) -> Channel | None:
    from tocsin.pages.channels.matrix_client import Matrix

    return Matrix(setup) if "matrix" in setup.channels else None


PROFILE: Final = Profile(
    name="matrix",
    called="Matrix",
    by="on Matrix",
    make=_make,
    set_up=SetUp("matrix", Matrix, "Pages as direct messages on Matrix; acknowledged by a reaction or a reply."),
    address=Address(USER, "Their Matrix user, who is paged in a direct room; needs `channels: {matrix: …}`."),
    own=Own(checked),
    directness=60,
    wording=Wording("Messages on Matrix.", "chat"),
    loopback=Loopback(
        USER, "A Matrix user of yours who is nobody; Tocsin hears the message in the room itself."
    ),
    follows=True,
)
