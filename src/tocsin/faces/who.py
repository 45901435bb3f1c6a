"""Who is asking: a bearer token, a browser's session, or nobody yet; what they may; and that their browser meant it.

A handler says what it needs with the option ``needs``: ``anyone``, ``viewer``, ``responder`` or ``admin``; or
``key``: then it asks for one itself. Without it
reading needs a viewer and everything else an admin. ``csrf=False`` is for addresses that are a secret themselves.
"""

from __future__ import annotations

import asyncio
import secrets
from typing import Any, Literal
from urllib.parse import urlsplit

from litestar.connection import ASGIConnection, Request
from litestar.handlers import BaseRouteHandler
from litestar.response import Response
from msgspec import Struct

from tocsin.access.actors import THIS_MACHINE, by_token
from tocsin.access.credentials import Role, Token, User, may, secret_hash
from tocsin.engine.commands import UseLink
from tocsin.faces import sessions
from tocsin.faces.faces import Faces
from tocsin.faces.passwords import hash_password, password_is
from tocsin.faces.problem import LARGEST, Problem
from tocsin.faces.sessions import Session
from tocsin.kernel.instant import SECOND, Instant

CSRF_HEADER, CSRF_FIELD = "x-csrf-token", "csrf"
Needs = Literal["anyone", "key", "viewer", "responder", "admin"]
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})


class Who(Struct, kw_only=True):
    """The one who asks. ``address`` is the client's; ``csrf`` is the token that forms of this browser carry.

    ``visit``: what the form token is bound to before signing in.
    """

    user: User | None = None
    token: Token | None = None
    session: Session | None = None
    address: str = ""
    secure: bool = False
    csrf: str = ""
    visit: str = ""
    new_visit: bool = False

    @property
    def role(self) -> Role | None:
        """Their role; None for nobody."""
        return self.user.role if self.user else None

    @property
    def actor(self) -> str:
        """How commands and timelines name them."""
        if self.user is None:
            return ""
        if self.token is not None and self.token.name:
            return f"token:{self.token.name}"
        return f"person:{self.user.person}" if self.user.person else f"user:{self.user.name}"

    @property
    def acting(self) -> str:
        """The same for what only a person can do, where a token stands for its user: ``person:ana (token ci)``."""
        if self.user is None or self.token is None or not self.token.name or not self.user.person:
            return self.actor
        return by_token(f"person:{self.user.person}", self.token.name)

    @property
    def by(self) -> str:
        """How what people do is recorded. A named token of theirs does it in their name; the token in the data folder,
        which whoever is on that machine uses, in nobody's.
        """
        here = self.token is not None and self.token.name == THIS_MACHINE
        return self.actor if here else self.acting

    @property
    def name(self) -> str:
        """What people call them: the person of the plan they are, or their user name."""
        return (self.user.person or self.user.name) if self.user else ""

    def may(self, role: Role) -> bool:
        """Whether they may do what needs this role."""
        return self.user is not None and may(self.user.role, role)


class NotSignedIn(Problem):
    """Nobody, or nobody any more. A browser is led to sign in."""

    def __init__(self, detail: str = "sign in, or send a bearer token") -> None:
        super().__init__(401, "not_signed_in", detail, headers={"WWW-Authenticate": 'Bearer realm="tocsin"'})


def cookie_names(secure: bool) -> tuple[str, str]:
    """The names of the session's and the visit's cookie. The prefix has browsers refuse them from anywhere else."""
    return ("__Host-tocsin", "__Host-tocsin-visit") if secure else ("tocsin", "tocsin-visit")


async def known(connection: ASGIConnection[Any, Any, Any, Any], faces: Faces) -> Who:
    """Find out who is asking. Raises NotSignedIn for a bearer token that is no good: it is never just ignored."""
    headers = connection.headers
    client = connection.client.host if connection.client else ""
    scheme = headers.get("x-tocsin-scheme") or connection.scope["scheme"]
    secure = faces.settings.cookie_secure if faces.settings.cookie_secure is not None else scheme == "https"
    who = Who(address=headers.get("x-tocsin-client") or client, secure=secure)
    now = faces.now()
    authorization = headers.get("authorization", "")
    if authorization:
        kind, _, secret = authorization.partition(" ")
        if kind.lower() != "bearer" or not secret.strip():
            raise NotSignedIn("the Authorization header must be `Bearer` and a token")
        found = await faces.bearer(secret_hash(secret.strip()))
        if found is None or found[0].kind != "token":
            raise NotSignedIn("this token is not known here")
        token, user = found
        if token.revoked_at is not None:
            raise NotSignedIn("this token was revoked")
        if token.expires_at is not None and now >= token.expires_at:
            raise NotSignedIn("this token has expired")
        if user.disabled_at is not None:
            raise NotSignedIn("the user of this token is disabled")
        who.token, who.user = token, user
        return who
    named, visit = cookie_names(secure)
    session = sessions.read(connection.cookies.get(named, ""), faces.signing_key, now)
    if session is not None:
        user_now = await faces.user(session.user)
        if user_now is not None and user_now.disabled_at is None and user_now.epoch == session.epoch:
            who.user, who.session = user_now, session
            who.csrf = sessions.form_token(faces.signing_key, session.sid)
            return who
    who.visit = connection.cookies.get(visit, "")
    if not 16 <= len(who.visit) <= 64:
        who.visit, who.new_visit = secrets.token_urlsafe(16), True
    who.csrf = sessions.form_token(faces.signing_key, who.visit.encode())
    return who


async def guard(connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
    """Let a request through to its handler, or refuse it. Leaves the Who in ``connection.state.who``."""
    faces: Faces = connection.app.state.faces
    number = connection.path_params.get("number")
    if isinstance(number, int) and number > LARGEST:  # no database counts so far: before anybody is asked for it
        raise Problem(404, "not_found", f"there is no number {str(number)[:40]} of anything here")
    needs: Needs = handler.opt.get("needs") or ("viewer" if connection.scope.get("method", "GET") in SAFE else "admin")
    if needs == "key":  # no user's: the handler knows which key it wants
        connection.state.who = Who(address=connection.headers.get("x-tocsin-client", ""))
        return
    who = await known(connection, faces)
    connection.state.who = who
    method = connection.scope.get("method", "GET")
    if method not in SAFE and who.token is None and handler.opt.get("csrf", True):
        await _meant(connection, who, faces)
    if needs == "anyone":
        return
    if who.user is None:
        raise NotSignedIn
    if not may(who.user.role, needs):
        raise lacking(who.user, needs)


def lacking(user: User, needs: str) -> Problem:
    """Somebody asks for what their role does not let them do."""
    return Problem(403, "forbidden", f"this needs the role {needs}; {user.name} is {user.role}")


async def _meant(connection: ASGIConnection[Any, Any, Any, Any], who: Who, faces: Faces) -> None:
    """Refuse a browser's request that another site made."""
    headers = connection.headers
    if headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        raise Problem(403, "cross_site", "this request was made by another site")
    origin = headers.get("origin")
    if (
        origin is not None
        and urlsplit(origin).netloc != headers.get("host", "")
        and origin != _origin(faces.settings.public_url)
    ):
        raise Problem(403, "cross_site", "this request was made by another site")
    given = headers.get(CSRF_HEADER, "")
    if not given and isinstance(connection, Request):
        kind = connection.content_type[0]
        if kind in ("application/x-www-form-urlencoded", "multipart/form-data"):
            form = {name: value for name, value in (await connection.form()).items() if isinstance(value, str)}
            connection.state.form = form  # a page that refuses it gives back what somebody wrote
            given = form.get(CSRF_FIELD, "")
    bound = who.session.sid if who.session else who.visit.encode()
    if who.session is None and who.user is None and not given and connection.scope.get("path", "").startswith("/api/"):
        raise NotSignedIn
    if not sessions.form_token_is(given, faces.signing_key, bound):
        raise Problem(403, "csrf", "the page this came from is too old: load it again and repeat")


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


async def sign_in_with_password(faces: Faces, who: Who, name: str, password: str) -> User:
    """The user of that name, if the password is theirs. Raises Problem 401, or 429 after too many tries."""
    name = name.strip()[:200]
    wait = faces.guesses.wait(name, who.address, faces.now())
    if wait:
        seconds = -(-wait // SECOND)
        raise Problem(
            429, "too_many_tries", f"too many tries: wait {seconds} seconds", headers={"Retry-After": str(seconds)}
        )
    user = await faces.read(faces.reads.user, name)
    async with faces.hashing:
        right = await asyncio.to_thread(password_is, password, user.password if user else "")
    if user is None or not right or user.disabled_at is not None:
        raise Problem(401, "wrong_password", "the name or the password is wrong")
    faces.guesses.forget(name, who.address)
    return user


async def sign_in_with_link(faces: Faces, secret: str) -> User:
    """Use up a one-time link. Raises Problem when it is used, expired or unknown. Only ever call it for a POST."""
    result = await faces.core.submit(UseLink(hash=secret_hash(secret)))
    user = await faces.read(faces.reads.user, result.id) if result.ok else None
    if user is None or user.disabled_at is not None:
        raise Problem(
            401, "link_useless", result.message or "this link has been used or has expired: ask for a new one"
        )
    return user


async def link_works(faces: Faces, secret: str, now: Instant) -> bool:
    """Whether a one-time link may still be used, as far as anybody knows: looking uses nothing up."""
    try:
        token = await faces.read(faces.reads.token_by_hash, secret_hash(secret))
    except Problem:
        return True  # the database is away: pressing it says how it is
    if token is None or token.kind != "link" or token.used_at is not None or token.revoked_at is not None:
        return False
    return token.expires_at is None or token.expires_at > now


async def new_password(faces: Faces, password: str) -> str:
    """The hash of a new password, made in a thread. Raises ValueError for a bad length."""
    async with faces.hashing:
        return await asyncio.to_thread(hash_password, password)


def start_session(faces: Faces, who: Who, user: User, response: Response[Any]) -> None:
    """Sign this browser in as the user: set the cookie on the answer."""
    _set(response, who, sessions.write(sessions.begin(user.id, user.epoch, faces.now()), faces.signing_key))


def end_session(who: Who, response: Response[Any]) -> None:
    """Sign this browser out. (``SetUser(sign_out=True)`` ends all sessions of a user.)"""
    response.delete_cookie(cookie_names(who.secure)[0], path="/")


def _set(response: Response[Any], who: Who, value: str) -> None:
    response.set_cookie(
        cookie_names(who.secure)[0],
        value,
        path="/",
        max_age=sessions.ABSOLUTE // SECOND,
        httponly=True,
        secure=who.secure,
        samesite="lax",
    )
