"""A channel is its file and its name: what its file says is what the plan, the pages and the manual know of it."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tocsin.pages.channels import NAMES
from tocsin.pages.channels.setup import Setup
from tocsin.pages.profile import BadAddress
from tocsin.pages.profiles import CONSOLE, DEVICE, owned, profile, profiles, theirs
from tocsin.plan import channels, schema, synthetic
from tocsin.runtime.outbound import Outbound

MANUAL = (Path(__file__).parents[2] / "docs" / "channels" / "README.md").read_text()
SAID = {
    "matrix": {"server": "https://matrix.example", "token": "secret:m"},
    "slack": {"token": "secret:s", "signing secret": "secret:k"},
    "telegram": {"token": "secret:b"},
    "ntfy": {},
    "twilio": {"account": "AC1", "token": "secret:t", "from": "+34911000000"},
}
HEAVY = ("aiosmtplib", "apprise", "asyncio", "cryptography", "email.utils", "httpx2", "socket", "ssl", "websockets")


class Mail:
    """A mail server of a plan."""

    server, sender, user, password = "smtp://localhost", "tocsin@shop.example", "", ""


def test_what_a_plan_may_say_of_channels_is_what_they_say_of_themselves() -> None:
    every = profiles()
    assert tuple(every) == NAMES
    assert set(NAMES).isdisjoint({"name", "timezone", "holidays", "every", "within", "service"}), "these are other keys"
    assert {name for name in NAMES if every[name].address} == set(schema.Person.fields) & set(NAMES)
    assert {one.needs for one in every.values()} - {"", "mail"} <= set(channels.Channels.fields)
    assert set(synthetic.SyntheticPage.fields) & set(NAMES) == {name for name in NAMES if every[name].loopback}
    assert set(channels.Messages.fields) == {name for name in NAMES if every[name].wording}


def test_people_may_add_what_holds_no_secret_and_reach_them() -> None:
    assert owned() == set(NAMES) - {CONSOLE, "pagerduty", "apprise"}
    assert theirs() == {DEVICE, "sms", "call", "telegram", "ntfy"}
    assert set(NAMES) - theirs() - {CONSOLE} == {name for name in NAMES if profile(name).address}
    assert theirs() <= set(schema.Person.elsewhere), "whoever writes them in a plan is told where they belong"


@pytest.mark.parametrize("name", NAMES)
def test_a_channel_is_called_as_its_file_and_is_in_the_manual(name: str) -> None:
    said = profile(name)
    assert said.name == name
    made = said.make(Setup(Outbound(), dict[str, str]().__getitem__, mail=Mail(), channels=SAID))
    assert made is not None
    assert made.name == name
    assert made.real is said.real is (name != CONSOLE)
    word = {"sms": "[text message]", "call": "[call]", "push": "[web push]"}.get(name, name)
    assert word in MANUAL.lower()
    assert re.fullmatch(r"(by|on) .+", said.by)


@pytest.mark.parametrize("name", [name for name in NAMES if profile(name).needs])
def test_a_channel_that_needs_something_is_not_there_without_it(name: str) -> None:
    assert profile(name).make(Setup(Outbound(), dict[str, str]().__getitem__)) is None


@pytest.mark.parametrize("name", sorted(owned()))
def test_what_people_add_themselves_is_looked_at(name: str) -> None:
    own = profile(name).own
    assert own is not None
    with pytest.raises(BadAddress):
        own.check("secret:smtp")


def test_a_channel_that_is_gone_is_called_by_its_name() -> None:
    gone = profile("pager")
    assert (gone.called, gone.by, gone.masked("0123456789"), gone.real) == ("Pager", "by pager", "…789", True)
    assert not (gone.follows or gone.apart or gone.rings or gone.own)


def test_a_plan_is_read_without_what_channels_send_with() -> None:
    """Their files are imported wherever a plan is: no client, no loop, no socket may come along."""
    loaded = f"import sys, tocsin.plan; print(*(name for name in {HEAVY} if name in sys.modules))"
    said = subprocess.run([sys.executable, "-c", loaded], capture_output=True, text=True, timeout=30, check=True)
    assert said.stdout.split() == []
