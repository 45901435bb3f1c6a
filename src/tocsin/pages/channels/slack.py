"""Slack, through an app of the team's. What speaks to that is ``slack_app``."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from tocsin.notation.decoder import Field, Word
from tocsin.notation.findings import Findings
from tocsin.notation.words import SECRET, STRING, URL
from tocsin.pages.profile import Address, BadAddress, Loopback, Own, Paced, Profile, SetUp, Wording

if TYPE_CHECKING:
    from tocsin.pages.channels.setup import Setup
    from tocsin.pages.message import Channel

_OWN = re.compile(r"[UW][A-Z0-9]{6,20}")
USER: Final = Word(
    "a Slack member's ID",
    str,
    pattern=r"[UW][A-Z0-9]{2,30}",
    write="write the ID that Slack shows under Copy member ID, such as U012ABCDEF",
    also=STRING,
)
ROOM: Final = Word(
    "a Slack channel's ID",
    str,
    pattern=r"[CG][A-Z0-9]{2,30}",
    write="write the ID that Slack shows at the end of the channel's details, such as C012ABCDEF",
    also=STRING,
)


class Slack(Paced):
    """The Slack app pages leave through."""

    what = "a Slack app"
    token = Field(SECRET, "Its bot token (xoxb-…), by reference: secret:NAME.", required=True)
    signing_secret = Field(SECRET, "What Slack signs button presses with, which it posts here: secret:NAME.")
    app_token = Field(SECRET, "Instead: its app-level token (xapp-…). Presses come by a connection to Slack then.")
    server = Field(URL, "Where its Web API is. Default: https://slack.com.")

    def check(self, findings: Findings) -> None:
        """Somebody must be able to answer."""
        if not {"signing secret", "app token"} & self.places.keys():
            message = "nobody could answer in Slack: neither a signing secret nor an app token is named"
            findings.error(self.at, message, "add signing secret: secret:NAME, or app token: secret:NAME")


def checked(text: str) -> str:
    """A member's ID. Raises BadAddress."""
    if not _OWN.fullmatch(text):
        raise BadAddress("write the member ID from the Slack profile, such as U024BE7LH")
    return text


def _make(setup: Setup) -> Channel | None:
    from tocsin.pages.channels.slack_app import channel

    return channel(setup)


PROFILE: Final = Profile(
    name="slack",
    called="Slack",
    by="on Slack",
    make=_make,
    set_up=SetUp("slack", Slack, "Pages as direct messages in Slack, with a button that acknowledges."),
    address=Address(USER, "Their member ID, for direct messages; needs `channels: {slack: …}`."),
    own=Own(checked),
    directness=50,
    wording=Wording("Messages in Slack.", "chat"),
    loopback=Loopback(
        ROOM, "A channel of yours that nobody reads; Slack tells the app what is said in it.", in_words=True
    ),
    follows=True,
)
