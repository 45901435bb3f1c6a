"""Every channel is known everywhere it has to be: the register, the plan, what follows an incident, the manual."""

from __future__ import annotations

from pathlib import Path

import pytest

from tocsin.pages.channels import CHANNELS
from tocsin.pages.channels.setup import Setup
from tocsin.pages.contacts import OWN, THEIRS
from tocsin.pages.ledger import FOLLOWED
from tocsin.plan import channels, schema
from tocsin.plan.model import NEEDS, OPEN
from tocsin.runtime.outbound import Outbound
from tocsin.web.words import BY

MANUAL = (Path(__file__).parents[2] / "docs" / "channels" / "README.md").read_text()
SAID = {
    "matrix": {"server": "https://matrix.example", "token": "secret:m"},
    "slack": {"token": "secret:s", "signing secret": "secret:k"},
    "telegram": {"token": "secret:b"},
    "ntfy": {},
    "twilio": {"account": "AC1", "token": "secret:t", "from": "+34911000000"},
}


class Mail:
    """A mail server of a plan."""

    server, sender, user, password = "smtp://localhost", "tocsin@shop.example", "", ""


def test_the_plan_knows_every_channel_of_the_register_and_no_other() -> None:
    assert set(CHANNELS) == {*NEEDS, *OPEN, "console"}
    assert set(NEEDS.values()) - {"mail"} <= set(channels.Channels.fields)
    assert set(CHANNELS) - {"console", *THEIRS} <= set(schema.Person.fields)
    assert not THEIRS & set(schema.Person.fields), "these belong to people"
    assert set(CHANNELS) - {"console", "pagerduty", "apprise"} <= OWN
    assert set(CHANNELS) == set(BY)


@pytest.mark.parametrize("name", CHANNELS)
def test_a_channel_is_called_by_its_name_and_is_in_the_manual(name: str) -> None:
    made = CHANNELS[name](Setup(Outbound(), dict[str, str]().__getitem__, mail=Mail(), channels=SAID))
    assert made is not None
    assert made.name == name
    assert made.real == (name != "console")
    word = {"sms": "[text message]", "call": "[call]", "push": "[web push]"}.get(name, name)
    assert word in MANUAL.lower()


def test_only_channels_can_follow_an_incident() -> None:
    assert set(CHANNELS) > FOLLOWED
