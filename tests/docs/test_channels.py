"""What the manual says of each channel is what the channel says of itself."""

from __future__ import annotations

import re
from pathlib import Path

from tocsin.pages.profile import Profile
from tocsin.pages.profiles import CONSOLE, profiles

DOCS = Path(__file__).parents[2] / "docs"
REACH = re.sub(r"\s+", " ", (DOCS / "reach.md").read_text())
CHANNELS = re.sub(r"\s+", " ", (DOCS / "channels" / "README.md").read_text())
CALLED = {"push": ("device", "web push"), "call": ("call",), "email": ("email", "mail")}


def named(sentence: str) -> set[str]:
    """The channels that a sentence names."""
    words = {name: CALLED.get(name, (one.called.lower(),)) for name, one in profiles().items()}
    return {
        name for name, those in words.items() if any(re.search(rf"\b{word}s?\b", sentence.lower()) for word in those)
    }


def found(text: str, begins: str, ends: str) -> str:
    """What stands between two phrases of a page."""
    (part,) = re.findall(f"{re.escape(begins)}(.*?){re.escape(ends)}", text)
    return str(part)


def those(wanted: str) -> set[str]:
    """The channels of which something holds; none for the console."""
    return {name for name, one in profiles().items() if getattr(one, wanted) and name != CONSOLE}


def test_which_methods_people_add_and_which_the_plan_alone_names() -> None:
    own = those("own")
    assert named(found(REACH, "People add ", " themselves")) == own
    assert named(found(REACH, "themselves, as far as", "the plan alone names")) == set(profiles()) - own - {CONSOLE}


def test_in_which_order_methods_are_used() -> None:
    order = found(REACH, "From the most direct on: ", ".").split("; then ")
    levels = [level for part in (order[0].split(", "), order[1:]) for level in part]
    by_level: dict[int, set[str]] = {}
    for name, one in profiles().items():
        if name != CONSOLE:
            by_level.setdefault(one.directness, set()).add(name)
    assert [named(level) for level in levels] == [by_level[level] for level in sorted(by_level)]


def test_by_which_channels_tocsin_pages_itself() -> None:
    assert named(found(REACH, "it pages itself by ", ", and says by another")) == those("loopback")


def test_every_channel_has_a_row_and_those_that_follow_are_named() -> None:
    rows = [line.split("|") for line in (DOCS / "channels" / "README.md").read_text().splitlines() if line[:2] == "| "]
    first = [row[1] for row in rows[1 : 1 + len(profiles())]]
    assert named(" ".join(first)) == set(profiles())
    assert named(found(CHANNELS, "acknowledged in one step. ", " are told again")) == those("follows")
    set_up = {next(iter(named(row[1]))): row[3] for row in rows[1 : 1 + len(profiles())]}
    for name, one in profiles().items():
        assert _key(one) in set_up[name], name


def _key(one: Profile) -> str:
    """What of the plan sets a channel up, as the table has it; "" where the plan need not."""
    if one.set_up is None or one.set_up.record is None or not one.set_up.needed:
        return ""
    return one.set_up.key
