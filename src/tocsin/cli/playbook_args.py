"""``--arg NAME=VALUE``: each read as the playbook says its parameter is. A text stays one, whatever it looks like."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isfinite

from tocsin.cli.failure import Refused

Plain = str | int | float | bool


def typed(playbook: str, kinds: Mapping[str, str], given: Sequence[tuple[str, str]]) -> dict[str, Plain]:
    """The parameters by name. ``kinds``: what there is, by name. Raises Refused."""
    found: dict[str, Plain] = {}
    for name, text in given:
        if name not in kinds:
            raise Refused(f"{playbook} takes no {name}: it takes {', '.join(kinds) or 'no parameter'}.")
        try:
            found[name] = _read(kinds[name], text)
        except ValueError:
            raise Refused(f"The parameter {name} is a {kinds[name]}, not {text}.") from None
    return found


def _read(kind: str, text: str) -> Plain:
    match kind:
        case "whole number":
            return int(text)
        case "number":
            number = int(text) if text.removeprefix("-").isdigit() else float(text)
            if not isfinite(number):
                raise ValueError(text)
            return number
        case "flag":
            return ("false", "true").index(text) == 1
    return text
