"""Telegram, through a bot of the team's. What speaks to that is ``telegram_bot``."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from tocsin.notation.decoder import Field
from tocsin.notation.words import SECRET, URL
from tocsin.pages.profile import BadAddress, Own, Paced, Profile, SetUp, Wording

if TYPE_CHECKING:
    from tocsin.pages.channels.setup import Setup
    from tocsin.pages.message import Channel

_CHAT = re.compile(r"[1-9][0-9]{2,15}")


class Telegram(Paced):
    """The Telegram bot pages leave by. People add their own chats with it in Tocsin's settings."""

    what = "a Telegram bot"
    token = Field(SECRET, "Its token from @BotFather, by reference: secret:NAME.", required=True)
    webhook_secret = Field(
        SECRET, "Has Telegram post answers here, with this secret, instead of being asked for them: secret:NAME."
    )
    server = Field(URL, "Where its Bot API is. Default: https://api.telegram.org.")


def checked(text: str) -> str:
    """The number of a person's chat with the bot. Raises BadAddress."""
    if not _CHAT.fullmatch(text):
        # A group's is negative: its button could be pressed, and its pages answered, by anybody in it.
        raise BadAddress("write the number that Tocsin's bot answers when you send it /start, such as 123456789")
    return text


def _make(setup: Setup) -> Channel | None:
    from tocsin.pages.channels.telegram_bot import channel

    return channel(setup)


PROFILE: Final = Profile(
    name="telegram",
    called="Telegram",
    by="on Telegram",
    make=_make,
    set_up=SetUp("telegram", Telegram, "Pages as messages of a Telegram bot, with a button that acknowledges."),
    own=Own(checked, asks="the number that Tocsin's Telegram bot answers to /start"),
    directness=40,
    wording=Wording("Messages on Telegram.", "chat"),
    follows=True,
)
