"""Calls by Twilio. What makes them is ``twilio``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tocsin.pages.channels.sms import NUMBER, TELEPHONE, TWILIO
from tocsin.pages.profile import Loopback, Profile, Wording

if TYPE_CHECKING:
    from tocsin.pages.channels.setup import Setup
    from tocsin.pages.message import Channel


def _make(setup: Setup) -> Channel | None:
    from tocsin.pages.channels.twilio import call

    return call(setup)


PROFILE: Final = Profile(
    name="call",
    called="Phone call",
    by="by telephone",
    make=_make,
    set_up=TWILIO,
    own=TELEPHONE,
    directness=30,
    wording=Wording("What a call says before it asks for a key.", "short"),
    loopback=Loopback(NUMBER, "A number of yours that picks up by itself; Twilio tells that it did."),
    rings=True,
)
