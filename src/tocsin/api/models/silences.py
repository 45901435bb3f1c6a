"""Silences as they are published and asked for."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

from tocsin.api.models.values import Moment, Span
from tocsin.faces.problem import invalid
from tocsin.kernel.instant import (
    Instant,
    format_rfc3339,
)
from tocsin.kernel.matcher import Matcher, MatcherError, Operator, matcher, parse_matcher
from tocsin.runtime.line import Firing
from tocsin.silences.silence import Silence


class PublishedSilence(Struct, frozen=True, kw_only=True):
    """A silence. ``origin``: "" silences alerts of every service, else only those that came with keys of that one.

    ``quiet_now``: how many alerts it keeps quiet now, of ``firing_now`` that fire at all; null when the core does not
    answer, or a node that stands by was asked.
    """

    id: str
    state: Literal["pending", "active", "expired"]
    matchers: list[str]
    author: str
    comment: str
    starts_at: Moment
    ends_at: Moment
    created_at: Moment
    updated_at: Moment
    origin: str
    quiet_now: int | None
    firing_now: int | None


class MatcherIn(Struct, frozen=True, forbid_unknown_fields=True):
    """One condition on one label."""

    label: Annotated[str, Meta(min_length=1, max_length=1_000)]
    operator: Operator
    value: Annotated[str, Meta(max_length=4_096)]


class SilenceIn(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A silence. Matchers are texts as Alertmanager writes them (``instance=~"cart-.*"``) or objects.

    It begins at ``starts_at`` (without it: now) and ends at ``ends_at``, or ``duration`` after its beginning.
    ``everything``: that it is meant so when an alert without any label meets all matchers (``team!="web"``).
    """

    matchers: Annotated[
        list[Annotated[str, Meta(min_length=1, max_length=6_000)] | MatcherIn], Meta(min_length=1, max_length=100)
    ]
    comment: Annotated[str, Meta(min_length=1, max_length=10_000)]
    author: Annotated[str, Meta(max_length=200)] = ""
    starts_at: Moment | None = None
    ends_at: Moment | None = None
    duration: Span | None = None
    origin: Annotated[str, Meta(max_length=200)] = ""
    everything: bool = False


def silence_out(one: Silence, now: Instant, firing: Firing | None) -> PublishedSilence:
    """A silence as it is now. ``firing``: what fires, and by which silence it is quiet; None when nobody can say."""
    return PublishedSilence(
        id=one.id,
        state=one.state(now),
        matchers=[str(m) for m in one.matchers],
        author=one.author,
        comment=one.comment,
        starts_at=format_rfc3339(one.starts_at),
        ends_at=format_rfc3339(one.ends_at),
        created_at=format_rfc3339(one.created_at),
        updated_at=format_rfc3339(one.updated_at),
        origin=one.origin,
        quiet_now=0 if one.state(now) != "active" else firing.quiet.get(one.id, 0) if firing is not None else None,
        firing_now=firing.count if firing is not None else None,
    )


def matchers_in(given: list[str | MatcherIn]) -> tuple[Matcher, ...]:
    """Matchers that were sent. Raises Problem 400 that names which one."""
    found = []
    for place, one in enumerate(given):
        try:
            found.append(parse_matcher(one) if isinstance(one, str) else matcher(one.label, one.operator, one.value))
        except MatcherError as error:
            raise invalid(f"matchers.{place}", str(error)) from None
    return tuple(found)
