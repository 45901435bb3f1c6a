"""From what is written of the synthetic page to what the engine keeps: one for each channel, if it can be sent."""

from __future__ import annotations

from collections.abc import Iterator, Set

from tocsin.kernel.instant import HOUR, MINUTE, format_duration
from tocsin.pages.loops import CHANNELS, LoopSpec
from tocsin.plan.decoder import Field, Record
from tocsin.plan.findings import Findings
from tocsin.plan.model import NEEDS
from tocsin.plan.words import (
    EMAIL,
    LOOP_EVERY,
    LOOP_WITHIN,
    MATRIX_USER,
    NTFY_TOPIC,
    REFERENCE,
    SECRET,
    SLACK_CHANNEL,
    TWILIO_SENDER,
    URL,
)


class SyntheticPage(Record):
    """Tocsin pages itself through the channels named, and somebody is told when such a page does not come back."""

    what = "a synthetic page"
    every = Field(LOOP_EVERY, "How often one leaves by each channel. Default: 1h.")
    within = Field(LOOP_WITHIN, "How soon it must be back, before the next one leaves. Default: 5m.")
    service = Field(REFERENCE, "Whose people are told, by other channels, when one is not back. Default: inbox.")
    webhook = Field(URL, "Where one is posted: Tocsin's own /loopback, the long way round as people's pages go.")
    email = Field(EMAIL, "A mailbox whose mail server posts what comes in to Tocsin's /loopback.")
    matrix = Field(MATRIX_USER, "A Matrix user of yours who is nobody; Tocsin hears the message in the room itself.")
    slack = Field(SLACK_CHANNEL, "A channel of yours that nobody reads; Slack tells the app what is said in it.")
    ntfy = Field(NTFY_TOPIC, "A topic that nobody subscribes to; Tocsin asks the server for it itself.")
    sms = Field(TWILIO_SENDER, "A number of yours that nobody reads; Twilio tells that the text message arrived.")
    call = Field(TWILIO_SENDER, "A number of yours that picks up by itself; Twilio tells that it did.")
    pagerduty = Field(SECRET, "The key of a service there made for it, by reference; its webhook posts to /loopback.")
    apprise = Field(SECRET, "An Apprise URL, by reference, of what posts to Tocsin's /loopback: json://…, secret:NAME.")


def loops_of(page: SyntheticPage, service: str, ready: Set[str], findings: Findings) -> Iterator[LoopSpec]:
    """The synthetic page of each channel that is named. ``ready``: what the plan sets up, ``mail`` among it."""
    every, within = page.every or HOUR, page.within or 5 * MINUTE
    if within >= every:
        said = f"a synthetic page has {format_duration(within)} to come back, and the next leaves every"
        findings.error(page.where("within"), f"{said} {format_duration(every)}", "within is shorter than every")
    if not any(channel in page.places for channel in CHANNELS):
        findings.error(page.at, "the synthetic page names no channel", f"name some of {', '.join(CHANNELS)}")
    for channel in CHANNELS:
        need, address = NEEDS.get(channel, ""), page.values.get(channel)
        if need and channel in page.places and need not in ready:
            message = f"a synthetic page is to leave by {channel}, and the plan does not set that up"
            hint = "add mail: {server: …, from: …}" if need == "mail" else f"add channels: {{{need}: …}}"
            findings.error(page.where(channel), message, hint)
        if isinstance(address, str):
            yield LoopSpec(channel=channel, address=address, every=every, within=within, service=service)
