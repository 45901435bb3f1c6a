"""Text messages by Twilio, and what calls by Twilio have in common with them. What speaks to it is ``twilio``."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from tocsin.notation.decoder import Field, Word
from tocsin.notation.words import SECRET, STRING, URL
from tocsin.pages.profile import BadAddress, Loopback, Own, Paced, Profile, SetUp, Wording

if TYPE_CHECKING:
    from tocsin.pages.channels.setup import Setup
    from tocsin.pages.message import Channel

_E164 = r"\+(?:1[2-9][0-9]{9}|7[0-9]{10}|[2-689][0-9]{7,14})"
"""ITU-T E.164: at most 15 digits with the country, whose code begins with 1 to 9. Numbers in +1 and +7 all have 11. The
shortest elsewhere have four after a country's three: these, a few islands' landlines, are not taken, for a number that
was left half typed is seen more often.
"""
_NUMBER = re.compile(_E164)
_DIGITS = re.compile(r"\+[1-9][0-9]*")
_FILL = re.compile(r"[\s().\-/\u2010-\u2015]")
ACCOUNT: Final = Word(
    "a Twilio account's SID", str, pattern=r"AC[0-9A-Za-z]{1,64}", write="it begins with AC", also=STRING
)
NUMBER: Final = Word(
    "a number of yours at Twilio",
    str,
    pattern=_E164,
    write='write it as E.164, quoted: "+" and its country first, 8 to 15 digits, no spaces, such as "+34910000000"',
    also=STRING,
)


class Twilio(Paced):
    """The Twilio account that sends text messages and calls."""

    what = "a Twilio account"
    account = Field(ACCOUNT, "Its Account SID (AC…).", required=True)
    token = Field(SECRET, "Its auth token: secret:NAME. What Twilio tells is signed with it.", required=True)
    sender = Field(NUMBER, "The number messages and calls come from.", required=True, key="from")
    server = Field(URL, "Default: https://api.twilio.com.")


def checked(text: str) -> str:
    """A number as E.164: a plus sign, the country, the number; spaces and dashes are left out. Raises BadAddress."""
    number = _FILL.sub("", text)
    if not _DIGITS.fullmatch(number):
        raise BadAddress("write the number with + and its country, such as +34 600 000 000")
    if not _NUMBER.fullmatch(number):
        raise BadAddress(_fault(number[1:]))
    return number


def _fault(digits: str) -> str:
    country = digits[0] if digits[0] in "17" else ""
    if len(digits) == 11 and country:
        return "in +1 an area's number begins with 2 to 9"
    has = f"in +{country} a telephone number has 11" if country else "with its country a telephone number has 8 to 15"
    return f"{len(digits)} digits: {has} of them"


TWILIO: Final = SetUp("twilio", Twilio, "Text messages and calls by Twilio, acknowledged by a reply or a key.")
TELEPHONE: Final = Own(checked, asks="a number with + and its country")


def _make(setup: Setup) -> Channel | None:
    from tocsin.pages.channels.twilio import sms

    return sms(setup)


PROFILE: Final = Profile(
    name="sms",
    called="Text message",
    by="by text message",
    make=_make,
    set_up=TWILIO,
    own=TELEPHONE,
    directness=20,
    wording=Wording("Text messages, at most 320 characters of it.", "short"),
    loopback=Loopback(
        NUMBER, "A number of yours that nobody reads; Twilio tells that the text message arrived."
    ),
)
