"""What every answer is made of: instants and spans as texts, lists page by page."""

from __future__ import annotations

from typing import Annotated, Any, Generic, TypeVar

from msgspec import Meta, Struct

from tocsin.faces.problem import invalid
from tocsin.kernel.instant import (
    Duration,
    Instant,
    format_rfc3339,
    parse_duration,
    parse_rfc3339,
)
from tocsin.kernel.reason import Reason
from tocsin.store.reads import Slice

T = TypeVar("T")

Moment = Annotated[
    str,
    Meta(
        description="An instant, RFC 3339.",
        examples=["2026-11-22T03:24:00.000Z"],
        max_length=64,
        extra_json_schema={"format": "date-time"},
    ),
]

Span = Annotated[
    str,
    Meta(description="A span of time: a number and a unit, such as 90s, 5m, 1h30m.", examples=["5m"], max_length=64),
]

Name = Annotated[str, Meta(min_length=1, max_length=200)]

class Listed(Struct, Generic[T], frozen=True):
    """One page of a list. ``next`` is the cursor of the following page; null at the end."""

    items: list[T]
    next: str | None


def moment(instant: Instant | None) -> str | None:
    """An instant as it is published, or None."""
    return None if instant is None else format_rfc3339(instant)


def word(reason: Reason | None) -> str | None:
    """A reason's word, or None."""
    return None if reason is None else str(reason)


def listed(found: Slice[Any], publish: Any) -> Listed[Any]:
    """A page of nouns as a page of what is published."""
    return Listed([publish(one) for one in found.items], found.next)


def span(text: str | None, field: str) -> Duration | None:
    """A duration that was sent. Raises Problem 400 that names the field."""
    if text is None:
        return None
    try:
        found = parse_duration(text)
    except ValueError as error:
        raise invalid(field, str(error)) from None
    if not 0 < found < 100 * 365 * 86_400 * 1_000_000:
        raise invalid(field, "a duration is longer than nothing and shorter than a century")
    return found


def instant(text: str | None, field: str) -> Instant | None:
    """An instant that was sent. Raises Problem 400 that names the field."""
    if text is None:
        return None
    try:
        return parse_rfc3339(text)
    except (ValueError, OverflowError) as error:
        raise invalid(field, f"{text!r} is not a time such as 2026-11-22T03:24:00Z ({error})") from None
