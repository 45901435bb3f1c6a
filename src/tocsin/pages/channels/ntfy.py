"""ntfy, through a server of the team's or ntfy.sh. What speaks to that is ``ntfy_server``."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from tocsin.notation.decoder import Field, Word
from tocsin.notation.findings import Findings
from tocsin.notation.words import SECRET, STRING, TEXT, URL
from tocsin.pages.profile import BadAddress, Loopback, Own, Paced, Profile, SetUp, Wording

if TYPE_CHECKING:
    from tocsin.pages.channels.setup import Setup
    from tocsin.pages.message import Channel

_TOPIC = r"[-_A-Za-z0-9]{1,64}"
_HERE = ("localhost", "127.0.0.1", "::1")
TOPIC: Final = Word(
    "a topic of ntfy's",
    str,
    pattern=_TOPIC,
    write="write the topic without its server: letters, digits, - and _, at most 64",
    also=STRING,
)


class Ntfy(Paced):
    """The ntfy server pages leave by. People add their own topics in Tocsin's settings."""

    what = "an ntfy server"
    together = {"user": "password", "password": "user", "burst": "rate"}
    server = Field(URL, "Where it is. Default: https://ntfy.sh.")
    token = Field(SECRET, "An access token that may write to people's topics (tk_…): secret:NAME.")
    user = Field(TEXT, "Instead: who signs in.")
    password = Field(SECRET, "With what: secret:NAME.")

    def check(self, findings: Findings) -> None:
        """One way to sign in, and not so that whoever carries it can read it."""
        if self.token and self.user:
            message = "ntfy is told who signs in by a token or by a user, not both"
            findings.error(self.where("token"), message, "leave one out")
        server = urlsplit(self.server or "")
        if server.scheme == "http" and server.hostname not in _HERE and (self.token or self.password):
            what = "token" if self.token else "password"
            findings.warning(
                self.where("server"), f"ntfy's {what} travels unencrypted with http://", "write https://"
            )


def checked(text: str) -> str:
    """A topic. Raises BadAddress."""
    if not re.fullmatch(_TOPIC, text):
        raise BadAddress("write the topic you subscribed to, without its server: letters, digits, - and _, at most 64")
    return text


def _make(setup: Setup) -> Channel | None:
    from tocsin.pages.channels.ntfy_server import channel

    return channel(setup)


PROFILE: Final = Profile(
    name="ntfy",
    called="ntfy",
    by="by ntfy",
    make=_make,
    set_up=SetUp("ntfy", Ntfy, "Pages as notifications of the ntfy app, with a button that acknowledges."),
    own=Own(checked, asks="the topic you subscribed to in the ntfy app"),
    directness=45,
    wording=Wording("Notifications of ntfy's app: their title and their text.", "chat"),
    loopback=Loopback(
        TOPIC, "A topic that nobody subscribes to; Tocsin asks the server for it itself.", in_words=True
    ),
    follows=True,
)
