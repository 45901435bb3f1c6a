"""Keys, users, tokens and links. The secret itself is made by the caller, shown once, and never reaches these types."""

from __future__ import annotations

import hashlib
from typing import Literal

from msgspec import Struct

from tocsin.access.limits import KeyLimits
from tocsin.kernel.instant import Instant

Role = Literal["viewer", "responder", "admin"]
ROLES: tuple[Role, ...] = ("viewer", "responder", "admin")


def secret_hash(secret: str) -> bytes:
    """SHA-256 of a random secret of at least 128 bits. (Passwords, which are not random, are hashed with scrypt.)"""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()


def unknown_key(secret: str, source: str) -> str:
    """What whoever comes without a key in force for a source is told, at whatever door, so that who guesses learns
    nothing by comparing.
    """
    return f"this key is not known for {source}, or was revoked" if secret else "no key was sent"


class Key(Struct, kw_only=True):
    """What a monitor authenticates with: one source, one service. ``hint`` is its last four characters.

    ``heartbeat`` names the plan's heartbeat a heartbeat key belongs to. ``declared``: the plan defines it, by the
    reference ``secret``.
    """

    id: int
    hash: bytes
    hint: str
    source: str
    service: str
    name: str
    heartbeat: str = ""
    declared: bool = False
    secret: str = ""
    created_at: Instant
    created_by: str = ""
    revoked_at: Instant | None = None
    limits: KeyLimits = KeyLimits()


class User(Struct, kw_only=True):
    """Someone who may sign in.

    ``person`` is the person of the plan they are, or "". ``password`` is an scrypt hash or "".

    ``epoch`` counts up to end all sessions.
    """

    id: int
    name: str
    role: Role
    person: str = ""
    password: str = ""
    epoch: int = 0
    created_at: Instant
    disabled_at: Instant | None = None


class Token(Struct, kw_only=True):
    """A bearer token of a user (``kind`` token), a sign-in link that works once (link), or a calendar's address (feed).

    A feed signs nobody in; its ``name`` says what it shows.
    """

    id: int
    hash: bytes
    kind: Literal["token", "link", "feed"]
    user: int
    name: str
    created_at: Instant
    expires_at: Instant | None = None
    used_at: Instant | None = None
    revoked_at: Instant | None = None


def may(role: Role, needed: Role) -> bool:
    """Whether a role includes another: admin includes responder, responder includes viewer."""
    return ROLES.index(role) >= ROLES.index(needed)
