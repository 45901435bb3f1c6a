"""Keys of monitors with their limits, users, tokens and links."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import UNSET, Meta, Struct, UnsetType, structs

from tocsin.access.credentials import Key, Role, Token, User
from tocsin.access.limits import LEAST_BODY, LEAST_RATE, MOST_ALERTS, MOST_BODY, MOST_BURST, MOST_RATE, KeyLimits
from tocsin.api.models.values import Moment, Name, Span, moment
from tocsin.intake.entrances import Kind
from tocsin.intake.request import Limits
from tocsin.kernel.instant import (
    format_rfc3339,
)


class PublishedLimits(Struct, frozen=True, kw_only=True):
    """How much a key may send: requests per second and at once, bytes of a request, alerts in one."""

    rate: float
    burst: int
    body: int
    alerts: int


class PublishedKey(Struct, frozen=True, kw_only=True):
    """A key, without its secret. ``hint`` is its last four characters; ``declared``: the plan defines it.

    ``limits_set`` names those of its ``limits`` that are its own; the others are as for every key.
    """

    id: int
    name: str
    source: str
    service: str
    hint: str
    heartbeat: str
    declared: bool
    created_at: Moment
    created_by: str
    revoked_at: Moment | None
    limits: PublishedLimits
    limits_set: list[str]


class NewKey(Struct, frozen=True, kw_only=True):
    """A key just made. ``key`` is never shown again; ``url`` is what one pastes into the sender."""

    id: int
    key: str
    url: str


class PublishedUser(Struct, frozen=True, kw_only=True):
    """Someone who may sign in. ``person``: who of the plan they are, or ""."""

    name: str
    role: Role
    person: str
    password: bool
    created_at: Moment
    disabled_at: Moment | None


class PublishedToken(Struct, frozen=True, kw_only=True):
    """A bearer token or a one-time sign-in link, without its secret."""

    id: int
    kind: Literal["token", "link", "feed"]
    user: str
    name: str
    created_at: Moment
    expires_at: Moment | None
    used_at: Moment | None
    revoked_at: Moment | None


class NewToken(Struct, frozen=True, kw_only=True):
    """A bearer token just made; ``token`` is never shown again."""

    id: int
    token: str
    expires_at: Moment | None


class NewLink(Struct, frozen=True, kw_only=True):
    """A one-time sign-in link just made; ``url`` is never shown again."""

    id: int
    url: str
    expires_at: Moment


class Me(Struct, frozen=True, kw_only=True):
    """Who you are here. ``actor`` is how timelines name you, ``timezone`` the zone in which you are told times."""

    user: str
    role: Role
    person: str
    actor: str
    timezone: str


class LimitsIn(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How much a key may send; null: as every key. ``rate``: requests per second; ``burst``: at once, by default five
    seconds of the rate; ``body``: bytes of a request; ``alerts``: how many one request may hold."""

    rate: Annotated[float, Meta(ge=LEAST_RATE, le=MOST_RATE)] | UnsetType | None = UNSET
    burst: Annotated[int, Meta(ge=1, le=MOST_BURST)] | UnsetType | None = UNSET
    body: Annotated[int, Meta(ge=LEAST_BODY, le=MOST_BODY)] | UnsetType | None = UNSET
    alerts: Annotated[int, Meta(ge=1, le=MOST_ALERTS)] | UnsetType | None = UNSET


class KeyChange(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is to be changed of a key; limits that are left out stay."""

    limits: LimitsIn


class KeyIn(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the key is for. ``heartbeat``: which heartbeat of the plan it beats (``source`` heartbeat only)."""

    source: Kind
    service: Name
    name: Annotated[str, Meta(max_length=200)] = ""
    heartbeat: Annotated[str, Meta(max_length=200)] = ""
    limits: LimitsIn | None = None


class UserIn(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A new user. Without a password they sign in by link."""

    name: Name
    role: Role
    person: Annotated[str, Meta(max_length=200)] = ""
    password: Annotated[str, Meta(max_length=1_000)] | None = None


class UserChange(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is to be changed; the rest stays. ``sign_out`` ends all sessions."""

    role: Role | None = None
    person: Annotated[str, Meta(max_length=200)] | None = None
    password: Annotated[str, Meta(max_length=1_000)] | None = None
    disabled: bool | None = None
    sign_out: bool = False


class LinkIn(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``expires_in``: how long the link may wait to be used."""

    expires_in: Span = "15m"


class TokenIn(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A name that timelines will show, and how long it is good for (null: until revoked)."""

    name: Name
    expires_in: Span | None = None


def key_out(one: Key) -> PublishedKey:
    """A key without its secret."""
    limits = Limits().of(one.limits)
    return PublishedKey(
        id=one.id,
        name=one.name,
        source=one.source,
        service=one.service,
        hint=one.hint,
        heartbeat=one.heartbeat,
        declared=one.declared,
        created_at=format_rfc3339(one.created_at),
        created_by=one.created_by,
        revoked_at=moment(one.revoked_at),
        limits=PublishedLimits(rate=limits.rate, burst=limits.burst, body=limits.body, alerts=limits.alerts),
        limits_set=[name for name in one.limits.__struct_fields__ if getattr(one.limits, name) is not None],
    )


def limits_in(said: LimitsIn | None, before: KeyLimits) -> KeyLimits:
    """What is set for a key from now on."""
    if said is None:
        return before
    given = {name: getattr(said, name) for name in said.__struct_fields__ if getattr(said, name) is not UNSET}
    return structs.replace(before, **given)


def user_out(one: User) -> PublishedUser:
    """A user."""
    return PublishedUser(
        name=one.name,
        role=one.role,
        person=one.person,
        password=bool(one.password),
        created_at=format_rfc3339(one.created_at),
        disabled_at=moment(one.disabled_at),
    )


def token_out(one: Token, user: str) -> PublishedToken:
    """A token or link without its secret."""
    return PublishedToken(
        id=one.id,
        kind=one.kind,
        user=user,
        name=one.name,
        created_at=format_rfc3339(one.created_at),
        expires_at=moment(one.expires_at),
        used_at=moment(one.used_at),
        revoked_at=moment(one.revoked_at),
    )
