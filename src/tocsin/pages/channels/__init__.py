"""Channels: one file reaches people in one way. What to send, to whom and when is decided elsewhere.

To add one: a file with a ``PROFILE`` (``pages/profile.py``), and its name here. The file is read wherever a plan is, so
what takes its time to be imported (a client, asyncio) is imported where it is used, or in a file beside it.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from tocsin.pages.profile import Profile

NAMES: Final = (
    "webhook",
    "email",
    "matrix",
    "slack",
    "telegram",
    "ntfy",
    "push",
    "sms",
    "call",
    "pagerduty",
    "apprise",
    "console",
)
"""Each line is the name of a channel and of its file here."""


def read(name: str) -> Profile:
    """What a channel's file says of it."""
    found: Profile = import_module(f"{__name__}.{name}").PROFILE
    return found
