"""All the ways pages leave by, as the channels' own files tell of them; read when first asked for."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache, lru_cache
from typing import Final

from tocsin.pages.channels import NAMES, read
from tocsin.pages.profile import Profile

CONSOLE: Final = "console"
"""The channel that pages whoever nothing else reaches."""
DEVICE: Final = "push"
"""The channel whose addresses browsers give: push subscriptions."""


@cache
def profiles() -> Mapping[str, Profile]:
    """Every channel there is, by its name, in the order of the register."""
    return {name: read(name) for name in NAMES}


@lru_cache(maxsize=1_000)
def profile(channel: str) -> Profile:
    """A channel by its name. The ledger may be older than this version: of one that is gone, what is said of most."""
    found = profiles().get(channel)
    return found or Profile(name=channel, called=channel.capitalize(), by=f"by {channel}", make=lambda setup: None)


@cache
def owned() -> frozenset[str]:
    """The channels people can add methods for."""
    return frozenset(name for name, one in profiles().items() if one.own is not None)


@cache
def theirs() -> frozenset[str]:
    """The channels of which the plan names nobody's address: people add and prove their own."""
    return frozenset(name for name in owned() if profiles()[name].address is None)


def signs_own(channel: str) -> bool:
    """Whether what goes to a method that somebody added is signed with a secret of its own."""
    own = profile(channel).own
    return own is not None and own.signed
