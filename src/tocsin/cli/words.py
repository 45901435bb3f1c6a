"""What people type as arguments: lengths of time, times, labels and matchers. Each says how to write it right."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple

import click

from tocsin.cli.text import written
from tocsin.kernel.instant import Duration, Instant, from_datetime, parse_duration


def duration(text: str) -> Duration:
    """A length of time such as ``30m``, ``2h`` or ``1d12h``, in microseconds, more than none."""
    try:
        found = parse_duration(text)
    except ValueError as error:
        raise click.BadParameter(f"{error}.") from None
    if found <= 0:
        raise click.BadParameter(f"{text!r} is no time at all.")
    return found


class Written(NamedTuple):
    """A time without a zone. It is an instant once it is known by which clock the answer will be told: ``meant``."""

    said: datetime
    ends: bool


def time(text: str) -> Instant | Written:
    """A point in time: ``2026-11-22T18:00:00Z``; without a zone it is by the clock that times are told by."""
    return _time(text, ends=False)


def until(text: str) -> Instant | Written:
    """A point in time at which something ends: where the clock shows it twice, the second one."""
    return _time(text, ends=True)


def _time(text: str, *, ends: bool) -> Instant | Written:
    try:
        said = datetime.fromisoformat(text)
        at = from_datetime(said.astimezone())
    except (ValueError, OverflowError):
        raise click.BadParameter(
            f"{text!r} is not a time: write it as 2026-11-22T18:00, or as 2026-11-22T18:00Z in UTC."
        ) from None
    return Written(said, ends) if said.tzinfo is None else at


def meant(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments with instants for times that were written without a zone: whoever answers says by which clock."""
    return {name: written(*one) if isinstance(one, Written) else one for name, one in arguments.items()}


def percent(text: str) -> float:
    """A share such as ``80`` or ``80%``, from 0 to 100."""
    try:
        share = float(text.rstrip("% "))
    except ValueError:
        share = -1.0
    if not 0 <= share <= 100:
        raise click.BadParameter(f"{text!r} is no share: write a number up to 100, such as 80%.")
    return share


def label(text: str) -> tuple[str, str]:
    """``name=value``, split at the first equals sign."""
    name, equals, value = text.partition("=")
    if not equals or not name.strip():
        raise click.BadParameter(f"{text!r} is not a label: write it as name=value, such as region=eu.")
    return name.strip(), value


def matcher(text: str) -> str:
    """``label=value``, ``!=``, ``=~`` or ``!~`` as Alertmanager writes matchers, in its one canonical spelling.

    A lone word is an alert's name, as for ``amtool``. Read by the same reader the server has.
    """
    from tocsin.kernel.matcher import Matcher, MatcherError, parse_matcher

    try:
        if text.strip() and not any(mark in text for mark in '=!~"'):
            return str(Matcher("alertname", "=", text.strip()))
        return str(parse_matcher(text))
    except MatcherError as error:
        raise click.BadParameter(f"{error}.") from None


def identifier(text: str) -> int:
    """The number of a thing that a list names: ``7``."""
    if not text.isascii() or not text.isdigit() or len(text) > 18:
        raise click.BadParameter(f"{text!r} is not a number, such as 7.")
    return int(text)


def number(text: str) -> int:
    """An incident's number as people write it: ``17`` or ``#17``."""
    digits = text.strip().removeprefix("#")
    if not digits.isascii() or not digits.isdigit() or len(digits) > 18:
        raise click.BadParameter(f"{text!r} is not an incident's number, such as 17.")
    return int(digits)
