"""The ways pages leave by, as a plan sets them up: mail, the other channels, and the team's own words for each."""

from __future__ import annotations

import math
from urllib.parse import urlsplit

from tocsin.pages.pace import Pace
from tocsin.pages.templates import Words
from tocsin.plan import model
from tocsin.plan.decoder import Field, Record, RecordOf
from tocsin.plan.findings import Findings
from tocsin.plan.words import (
    BURST,
    EMAIL,
    LINE_TEMPLATE,
    PACE,
    SECRET,
    SMTP,
    TEXT,
    TEXT_TEMPLATE,
    TWILIO_ACCOUNT,
    TWILIO_SENDER,
    URL,
)

_OWN = ("localhost", "127.0.0.1", "::1")


class Paced(Record):
    """How fast a channel's provider is sent to."""

    what = "a channel's pace"
    together = {"burst": "rate"}
    rate = Field(PACE, "Messages it is sent at most, such as 1/s or 30/m; first pages go before others. Default: any.")
    burst = Field(BURST, "How many of them may go at once. Default: one second of the rate.")


class Mail(Paced):
    """The mail server pages leave through."""

    what = "a mail server"
    together = {"user": "password", "password": "user", "burst": "rate"}
    server = Field(SMTP, "smtp://, smtp+starttls:// or smtps:// and host:port.", required=True)
    sender = Field(EMAIL, "The address pages come from.", required=True, key="from")
    user = Field(TEXT, "Who signs in.")
    password = Field(SECRET, "With what: secret:NAME.")


class Matrix(Paced):
    """The Matrix server pages leave through, and the user that sends them."""

    what = "a Matrix server"
    server = Field(URL, "The homeserver's address, such as https://matrix.shop.example.", required=True)
    token = Field(SECRET, "The access token of the user that sends: secret:NAME.", required=True)


class PagerDuty(Paced):
    """Where PagerDuty's events go."""

    what = "PagerDuty's address"
    server = Field(URL, "Default: https://events.pagerduty.com; in Europe https://events.eu.pagerduty.com.")


class Slack(Paced):
    """The Slack app pages leave through."""

    what = "a Slack app"
    token = Field(SECRET, "Its bot token (xoxb-…), by reference: secret:NAME.", required=True)
    signing_secret = Field(SECRET, "What Slack signs button presses with, which it posts here: secret:NAME.")
    app_token = Field(SECRET, "Instead: its app-level token (xapp-…). Presses come by a connection to Slack then.")
    server = Field(URL, "Where its Web API is. Default: https://slack.com.")


class Telegram(Paced):
    """The Telegram bot pages leave by. People add their own chats with it in Tocsin's settings."""

    what = "a Telegram bot"
    token = Field(SECRET, "Its token from @BotFather, by reference: secret:NAME.", required=True)
    webhook_secret = Field(
        SECRET, "Has Telegram post answers here, with this secret, instead of being asked for them: secret:NAME."
    )
    server = Field(URL, "Where its Bot API is. Default: https://api.telegram.org.")


class Ntfy(Paced):
    """The ntfy server pages leave by. People add their own topics in Tocsin's settings."""

    what = "an ntfy server"
    together = {"user": "password", "password": "user", "burst": "rate"}
    server = Field(URL, "Where it is. Default: https://ntfy.sh.")
    token = Field(SECRET, "An access token that may write to people's topics (tk_…): secret:NAME.")
    user = Field(TEXT, "Instead: who signs in.")
    password = Field(SECRET, "With what: secret:NAME.")


class Twilio(Paced):
    """The Twilio account that sends text messages and calls."""

    what = "a Twilio account"
    account = Field(TWILIO_ACCOUNT, "Its Account SID (AC…).", required=True)
    token = Field(SECRET, "Its auth token: secret:NAME. What Twilio tells is signed with it.", required=True)
    sender = Field(TWILIO_SENDER, "The number messages and calls come from.", required=True, key="from")
    server = Field(URL, "Default: https://api.twilio.com.")


class Push(Paced):
    """Web push. People add their own devices in Tocsin's settings."""

    what = "web push"
    contact = Field(EMAIL, "Whom a push service may write to when something is wrong. Default: Tocsin's own address.")


class Webhooks(Paced):
    """Webhooks, which people name themselves: each host is sent at most so many."""

    what = "the pace of webhooks"


class ThroughApprise(Paced):
    """Apprise, whose URLs people name by secrets: each is sent at most so many."""

    what = "the pace of Apprise"


class Channels(Record):
    """The ways to reach people that have to be set up once for everybody."""

    what = "the channels"
    push = Field(RecordOf(Push), "Pages as notifications of the web app, on devices people add themselves.")
    slack = Field(RecordOf(Slack), "Pages as direct messages in Slack, with a button that acknowledges.")
    telegram = Field(RecordOf(Telegram), "Pages as messages of a Telegram bot, with a button that acknowledges.")
    ntfy = Field(RecordOf(Ntfy), "Pages as notifications of the ntfy app, with a button that acknowledges.")
    twilio = Field(RecordOf(Twilio), "Text messages and calls by Twilio, acknowledged by a reply or a key.")
    pagerduty = Field(RecordOf(PagerDuty), "Incidents handed to PagerDuty, which follows them until they are over.")
    matrix = Field(RecordOf(Matrix), "Pages as direct messages on Matrix; acknowledged by a reaction or a reply.")
    webhook = Field(RecordOf(Webhooks), "How fast webhooks are posted to; they need nothing else here.")
    apprise = Field(RecordOf(ThroughApprise), "How fast Apprise is handed pages; it needs nothing else here.")


class OwnText(Record):
    """The team's own words for a channel that has no subject."""

    what = "the words of a channel"
    text = Field(TEXT_TEMPLATE, "What a page says, with placeholders such as $title.", required=True)


class OwnWords(Record):
    """The team's own words for a channel: text with placeholders."""

    what = "the words of a channel"
    subject = Field(LINE_TEMPLATE, "The one line: subject or head. Default: [SEV1] checkout: what is wrong (#12).")
    text = Field(TEXT_TEMPLATE, "What follows it. How to answer, and that it may be a repetition, is always added.")


class Messages(Record):
    """The team's own words for pages. What is left out is said in Tocsin's words."""

    what = "the messages"
    email = Field(RecordOf(OwnWords), "Mails.")
    matrix = Field(RecordOf(OwnWords), "Messages on Matrix.")
    slack = Field(RecordOf(OwnWords), "Messages in Slack.")
    telegram = Field(RecordOf(OwnWords), "Messages on Telegram.")
    ntfy = Field(RecordOf(OwnWords), "Notifications of ntfy's app: their title and their text.")
    push = Field(RecordOf(OwnWords), "Notifications: their title and their text.")
    apprise = Field(RecordOf(OwnWords), "What Apprise hands on.")
    sms = Field(RecordOf(OwnText), "Text messages, at most 320 characters of it.")
    call = Field(RecordOf(OwnText), "What a call says before it asks for a key.")


def read_messages(said: Messages | None) -> dict[str, Words]:
    """The team's own words by channel."""
    found = ((name, said.values.get(name)) for name in said.fields) if said else ()
    read = ((name, one.values) for name, one in found if isinstance(one, Record))
    return {name: Words(str(texts.get("subject") or ""), str(texts.get("text") or "")) for name, texts in read}


def read_mail(said: Mail | None) -> model.Mail | None:
    """The mail server, if one is named."""
    if said is None:
        return None
    return model.Mail(said.server or "", said.sender or "", said.user or "", said.password or "")


def warn_of_mail(said: Mail | None, findings: Findings) -> None:
    """Say when the password of the mail server can be read by whoever carries it."""
    server = (said.server or "") if said is not None and said.password else ""
    if said is None or not server.startswith("smtp:"):
        return
    if urlsplit(server).hostname not in _OWN:
        hint = "write smtp+starttls:// or smtps://"
        findings.warning(said.where("server"), "the mail password travels unencrypted with smtp://", hint)


def read_channels(said: Channels | None, findings: Findings) -> dict[str, dict[str, str]]:
    """What is said of each channel."""
    found: dict[str, dict[str, str]] = {}
    for name in said.fields if said else ():
        one = said.values.get(name) if said else None
        if isinstance(one, Record):
            found[name] = {key: str(value) for key, value in one.values.items() if key not in Paced.fields}
        if isinstance(one, Slack) and not {"signing secret", "app token"} & one.places.keys():
            message = "nobody could answer in Slack: neither a signing secret nor an app token is named"
            findings.error(one.at, message, "add signing secret: secret:NAME, or app token: secret:NAME")
        if isinstance(one, Ntfy):
            _look_at_ntfy(one, findings)
    return found


def _look_at_ntfy(said: Ntfy, findings: Findings) -> None:
    """Say when nobody could know who signs in, and when whoever carries what proves it can read it."""
    if said.token and said.user:
        message = "ntfy is told who signs in by a token or by a user, not both"
        findings.error(said.where("token"), message, "leave one out")
    parts = urlsplit(said.server or "")
    if parts.scheme == "http" and parts.hostname not in _OWN and (said.token or said.password):
        what = "token" if said.token else "password"
        findings.warning(said.where("server"), f"ntfy's {what} travels unencrypted with http://", "write https://")


def read_paces(mail: Mail | None, channels: Channels | None) -> dict[str, Pace]:
    """How many pages a second each channel is given, where that is said: text messages and calls alike by Twilio's."""
    said = {"mail": mail} | ({name: channels.values.get(name) for name in channels.fields} if channels else {})
    found: dict[str, Pace] = {}
    for name, one in said.items():
        if isinstance(one, Paced) and one.rate is not None:
            pace = Pace(one.rate, one.burst or max(1, math.floor(one.rate)))
            found |= dict.fromkeys([way for way, need in model.NEEDS.items() if need == name] or [name], pace)
    return found
