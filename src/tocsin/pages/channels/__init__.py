"""Channels: one file reaches people in one way. What to send, to whom and when is decided elsewhere.

To add one: a file with a factory ``(Setup) -> Channel | None`` and a line here. None: the plan does not set it up.
"""

from __future__ import annotations

from collections.abc import Callable

from tocsin.pages.channels import (
    apprise,
    console,
    email,
    matrix,
    ntfy,
    pagerduty,
    push,
    slack,
    telegram,
    twilio,
    webhook,
)
from tocsin.pages.channels.setup import Setup
from tocsin.pages.message import Channel

CHANNELS: dict[str, Callable[[Setup], Channel | None]] = {
    "email": email.channel,
    "webhook": webhook.channel,
    "matrix": matrix.channel,
    "push": push.channel,
    "slack": slack.channel,
    "telegram": telegram.channel,
    "ntfy": ntfy.channel,
    "sms": twilio.sms,
    "call": twilio.call,
    "apprise": apprise.channel,
    "pagerduty": pagerduty.channel,
    "console": console.channel,
}
