"""Keys of monitors, users, their tokens and links. Secrets are made here, shown once, and only their hashes kept."""

from __future__ import annotations

from typing import Annotated

from litestar import delete, get, patch, post
from litestar.params import Parameter
from litestar.types import ControllerRouterHandler

from tocsin.access.credentials import Key, secret_hash
from tocsin.access.limits import KeyLimits
from tocsin.api import models as m
from tocsin.api.asking import Cursor, IdempotencyKey, Limit, Number
from tocsin.engine.commands import CreateKey, CreateToken, LimitKey, RevokeKey, RevokeToken, SetUser
from tocsin.faces.faces import LINK_PATH, Faces
from tocsin.faces.feeds import FEED
from tocsin.faces.problem import invalid
from tocsin.faces.sessions import derived_secret, fresh_secret
from tocsin.faces.who import Who, lacking, new_password
from tocsin.intake.entrances import sender_url
from tocsin.kernel.instant import DAY, format_rfc3339
from tocsin.store.reads import LIMIT

UserName = Annotated[str, Parameter(min_length=1, max_length=200)]
TOKEN_PREFIX = "tocsin_"  # noqa: S105 (no secret: it lets scanners of secrets recognise one)


@get("/keys", tags=["access"])
async def list_keys(faces: Faces, limit: Limit = LIMIT, cursor: Cursor = None) -> m.Listed[m.PublishedKey]:
    """List keys, revoked ones too, the newest first."""
    return m.listed(await faces.read(faces.reads.keys, after=cursor, limit=limit), m.key_out)


@post("/keys", tags=["access"])
async def create_key(faces: Faces, who: Who, data: m.KeyIn, idempotency_key: IdempotencyKey = None) -> m.NewKey:
    """Let a monitor in. The key is shown this once."""
    secret = _secret(faces, who, "key", idempotency_key)
    command = CreateKey(
        actor=who.actor,
        hash=secret_hash(secret),
        hint=secret[-4:],
        source=data.source,
        service=data.service,
        name=data.name,
        heartbeat=data.heartbeat,
        limits=m.limits_in(data.limits, KeyLimits()),
    )
    result = await faces.submit(command, idempotency_key or "")
    return m.NewKey(id=int(result.id), key=secret, url=sender_url(faces.link(""), data.source, secret))


@patch("/keys/{number:int}", tags=["access"])
async def change_key(
    faces: Faces, who: Who, number: Number, data: m.KeyChange, idempotency_key: IdempotencyKey = None
) -> m.PublishedKey:
    """Change how much a key may send. It counts at once."""
    key = await _key(faces, number)
    command = LimitKey(actor=who.actor, id=number, limits=m.limits_in(data.limits, key.limits))
    await faces.submit(command, idempotency_key or "")
    return m.key_out(await _key(faces, number))


async def _key(faces: Faces, number: int) -> Key:
    return await faces.found(f"key {number}", faces.reads.key, number)


@delete("/keys/{number:int}", tags=["access"])
async def revoke_key(faces: Faces, who: Who, number: Number, idempotency_key: IdempotencyKey = None) -> None:
    """Shut a monitor out."""
    await faces.submit(RevokeKey(actor=who.actor, id=number), idempotency_key or "")


@get("/me", tags=["access"])
async def me(faces: Faces, who: Who) -> m.Me:
    """Say who you are here."""
    assert who.user is not None
    plan = await faces.plan()
    zone = plan.zone_of(who.user.person) if plan is not None else "UTC"
    return m.Me(user=who.user.name, role=who.user.role, person=who.user.person, actor=who.actor, timezone=zone)


@get("/users", tags=["access"])
async def list_users(faces: Faces, limit: Limit = LIMIT, cursor: Cursor = None) -> m.Listed[m.PublishedUser]:
    """List users, disabled ones too, the newest first."""
    return m.listed(await faces.read(faces.reads.users, after=cursor, limit=limit), m.user_out)


@post("/users", tags=["access"])
async def create_user(
    faces: Faces, who: Who, data: m.UserIn, idempotency_key: IdempotencyKey = None
) -> m.PublishedUser:
    """Let somebody sign in."""
    command = SetUser(
        actor=who.actor,
        name=data.name,
        role=data.role,
        person=data.person,
        password=await _hashed(faces, data.password),
        new=True,
    )
    result = await faces.submit(command, idempotency_key or "")
    return await _user(faces, result.id)


@patch("/users/{name:str}", tags=["access"])
async def change_user(
    faces: Faces, who: Who, name: UserName, data: m.UserChange, idempotency_key: IdempotencyKey = None
) -> m.PublishedUser:
    """Change a user. A new password, disabling and ``sign_out`` end all their sessions."""
    await _user(faces, name)
    command = SetUser(
        actor=who.actor,
        name=name,
        role=data.role,
        person=data.person,
        password=await _hashed(faces, data.password),
        disabled=data.disabled,
        sign_out=data.sign_out,
    )
    await faces.submit(command, idempotency_key or "")
    return await _user(faces, name)


@post("/users/{name:str}/link", tags=["access"])
async def create_link(
    faces: Faces, who: Who, name: UserName, data: m.LinkIn | None = None, idempotency_key: IdempotencyKey = None
) -> m.NewLink:
    """Make a link that signs a user in once."""
    lasts = m.span((data or m.LinkIn()).expires_in, "expires_in")
    assert lasts is not None
    if lasts > 7 * DAY:
        raise invalid("expires_in", "a sign-in link waits seven days at most")
    secret = _secret(faces, who, "link", idempotency_key)
    expires = faces.now() + lasts
    command = CreateToken(actor=who.actor, hash=secret_hash(secret), kind="link", user=name, expires_at=expires)
    result = await faces.submit(command, idempotency_key or "")
    return m.NewLink(id=int(result.id), url=faces.link(LINK_PATH + secret), expires_at=format_rfc3339(expires))


@post("/users/{name:str}/tokens", tags=["access"])
async def create_token(
    faces: Faces, who: Who, name: UserName, data: m.TokenIn, idempotency_key: IdempotencyKey = None
) -> m.NewToken:
    """Make a bearer token for a user's scripts. It is shown this once."""
    lasts = m.span(data.expires_in, "expires_in")
    expires = None if lasts is None else faces.now() + lasts
    secret = TOKEN_PREFIX + _secret(faces, who, "token", idempotency_key)
    command = CreateToken(
        actor=who.actor, hash=secret_hash(secret), kind="token", user=name, name=data.name, expires_at=expires
    )
    result = await faces.submit(command, idempotency_key or "")
    return m.NewToken(id=int(result.id), token=secret, expires_at=m.moment(expires))


@get("/tokens", tags=["access"], needs="admin")
async def list_tokens(faces: Faces, limit: Limit = LIMIT, cursor: Cursor = None) -> m.Listed[m.PublishedToken]:
    """List tokens and links, spent ones too, the newest first."""

    def read(after: str | None) -> m.Listed[m.PublishedToken]:
        found = faces.reads.tokens(after=after, limit=limit)
        names: dict[int, str] = {}
        for token in found.items:
            if token.user not in names:
                user = faces.reads.user_by_id(token.user)
                names[token.user] = user.name if user else ""
        return m.listed(found, lambda one: m.token_out(one, names[one.user]))

    return await faces.read(read, cursor)


@delete("/tokens/{number:int}", tags=["access"], needs="viewer")
async def revoke_token(faces: Faces, who: Who, number: Number, idempotency_key: IdempotencyKey = None) -> None:
    """Make a token or a link useless. Whoever is no admin may do so with the addresses of calendars they made."""
    assert who.user is not None
    if not who.may("admin"):
        token = await faces.read(faces.reads.token, number)
        if token is None or token.kind != FEED or token.user != who.user.id:
            raise lacking(who.user, "admin")
    await faces.submit(RevokeToken(actor=who.actor, id=number), idempotency_key or "")


def _secret(faces: Faces, who: Who, purpose: str, idempotency_key: str | None) -> str:
    """A random secret; for a request that may be repeated, the same one again, so that the answer is the same."""
    if idempotency_key is None:
        return fresh_secret()
    return derived_secret(faces.signing_key, purpose, who.actor, idempotency_key)


async def _hashed(faces: Faces, password: str | None) -> str | None:
    if password is None:
        return None
    try:
        return await new_password(faces, password)
    except ValueError as error:
        raise invalid("password", str(error)) from None


async def _user(faces: Faces, name: str) -> m.PublishedUser:
    found = await faces.found(f"user {name}", faces.reads.user, name)
    return m.user_out(found)


HANDLERS: list[ControllerRouterHandler] = [
    list_keys,
    create_key,
    change_key,
    revoke_key,
    me,
    list_users,
    create_user,
    change_user,
    create_link,
    create_token,
    list_tokens,
    revoke_token,
]
