"""All the ways monitors come in, as the sources' own files tell of them; read when first asked for."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Final

from tocsin.intake.entrance import Entrance
from tocsin.intake.request import Source
from tocsin.intake.sources import KINDS, SOURCES, Kind

__all__ = ["KINDS", "Kind", "called", "door", "entrances", "sender_url", "snippet", "ways_in", "where"]

TRIGGER: Final = "Trigger of a playbook"
"""What people call the one kind of key that no monitor has."""


def ways_in(sources: Mapping[str, Source]) -> dict[str, Entrance]:
    """The entrances of sources, by kind."""
    return {name: source.entrance for name, source in sources.items() if source.entrance is not None}


@cache
def entrances() -> Mapping[str, Entrance]:
    """Every way in there is."""
    return ways_in(SOURCES)


def _of(source: str) -> Entrance:
    """The command line may be older than its server: a kind it does not know is worded as plain HTTP."""
    found = (SOURCES[source] if source in KINDS else SOURCES["events"]).entrance
    assert found is not None, "keys are made for it"
    return found


def called(source: str) -> str:
    """What people call a kind of key."""
    return _of(source).name if source in KINDS else TRIGGER if source == "trigger" else source


def where(source: str) -> str:
    """Whither the lines of a kind's snippet go."""
    return _of(source).where if source in KINDS else "Into the sender."


def sender_url(base: str, source: str, key: str) -> str:
    """Where a source's senders post to. ``base`` has no slash at its end."""
    return _of(source).url(base, key)


def snippet(source: str, public_url: str, key: str) -> str:
    """Lines to paste into the sender, or to run in a shell."""
    return _of(source).snippet(sender_url(public_url.rstrip("/"), source, key), key)


def door(ways: Mapping[str, Entrance], method: str, path: str) -> str | None:
    """The kind whose way in an address is; None when no monitor calls it."""
    for kind, entrance in ways.items():
        if entrance.read(path) is not None and (not entrance.methods or method in entrance.methods):
            return kind
    return None
