"""The ways pages leave by, as a plan sets them up: mail, the other channels, and the team's own words for each."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

from tocsin.notation.decoder import Field, Record, RecordOf
from tocsin.notation.findings import Findings
from tocsin.notation.positions import Position
from tocsin.notation.words import EMAIL, SECRET, TEXT
from tocsin.pages.pace import Pace
from tocsin.pages.profile import Paced
from tocsin.pages.profiles import profiles
from tocsin.pages.templates import Words
from tocsin.plan import model
from tocsin.plan.words import LINE_TEMPLATE, SMTP, TEXT_TEMPLATE


class Mail(Paced):
    """The mail server pages leave through."""

    what = "a mail server"
    together = {"user": "password", "password": "user", "burst": "rate"}
    server = Field(SMTP, "smtp://, smtp+starttls:// or smtps:// and host:port.", required=True)
    sender = Field(EMAIL, "The address pages come from.", required=True, key="from")
    user = Field(TEXT, "Who signs in.")
    password = Field(SECRET, "With what: secret:NAME.")


SET_UPS: Final = {one.set_up.key: one.set_up for one in profiles().values() if one.set_up is not None}
"""What is set up once for everybody, as channels say; several may share it."""


class Channels(
    Record,
    more={key: Field(RecordOf(one.record), one.about) for key, one in SET_UPS.items() if one.record is not None},
):
    """The ways to reach people that have to be set up once for everybody."""

    what = "the channels"


class OwnText(Record):
    """The team's own words for a channel that has no subject."""

    what = "the words of a channel"
    text = Field(TEXT_TEMPLATE, "What a page says, with placeholders such as $title.", required=True)


class OwnWords(Record):
    """The team's own words for a channel: text with placeholders."""

    what = "the words of a channel"
    subject = Field(LINE_TEMPLATE, "The one line: subject or head. Default: [SEV1] checkout: what is wrong (#12).")
    text = Field(TEXT_TEMPLATE, "What follows it. How to answer, and that it may be a repetition, is always added.")


class Messages(
    Record,
    more={
        name: Field(RecordOf(OwnText if one.wording.style == "short" else OwnWords), one.wording.about)
        for name, one in profiles().items()
        if one.wording is not None
    },
):
    """The team's own words for pages. What is left out is said in Tocsin's words."""

    what = "the messages"


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


def warn_of_channels(plan: model.Plan, mail: Mail | None, places: Mapping[str, Position], findings: Findings) -> None:
    """Say what will surprise of the ways a plan sets up. ``places``: where each of its people stands."""
    _warn_of_mail(mail, findings)
    _warn_of_unheard(plan, places, findings)


def _warn_of_mail(said: Mail | None, findings: Findings) -> None:
    """Say when the password of the mail server can be read by whoever carries it."""
    server = (said.server or "") if said is not None and said.password else ""
    if said is None or not server.startswith("smtp:"):
        return
    if urlsplit(server).hostname not in ("localhost", "127.0.0.1", "::1"):
        hint = "write smtp+starttls:// or smtps://"
        findings.warning(said.where("server"), "the mail password travels unencrypted with smtp://", hint)


def _warn_of_unheard(plan: model.Plan, places: Mapping[str, Position], findings: Findings) -> None:
    """Say of each channel that pages somebody once when what people answer there is not heard."""
    ways = {way: person.key for person in reversed(plan.people.values()) for way, _ in person.declared()}
    for name, one in profiles().items():
        key = one.set_up.key if one.set_up is not None else ""
        if name in ways and one.hears_by and one.hears_by not in plan.channels.get(key, {}):
            message = f"who acknowledges in {one.called} is escalated over all the same: Tocsin does not hear of it"
            hint = f"set its webhook up and add channels: {{{key}: {{{one.hears_by}: secret:NAME}}}}"
            findings.warning(places[ways[name]], message, hint)


def read_channels(said: Channels | None, findings: Findings) -> dict[str, dict[str, str]]:
    """What is said of each channel."""
    found: dict[str, dict[str, str]] = {}
    for name in said.fields if said else ():
        one = said.values.get(name) if said else None
        if isinstance(one, Paced):
            found[name] = {key: str(value) for key, value in one.values.items() if key not in Paced.fields}
            one.check(findings)
    return found


def read_paces(mail: Mail | None, channels: Channels | None) -> dict[str, Pace]:
    """How many pages a second each channel is given, where that is said: text messages and calls alike by Twilio's."""
    said = {"mail": mail} | ({name: channels.values.get(name) for name in channels.fields} if channels else {})
    found: dict[str, Pace] = {}
    for name, one in said.items():
        if isinstance(one, Paced) and one.rate is not None:
            pace = Pace(one.rate, one.burst or max(1, math.floor(one.rate)))
            found |= {way: pace for way, its in profiles().items() if its.set_up is not None and its.set_up.key == name}
    return found
