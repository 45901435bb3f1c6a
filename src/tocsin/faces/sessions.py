"""Sessions and form tokens: texts signed with the server's key. Nothing is stored; a user's epoch ends sessions."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets

import msgspec
from msgspec import Struct

from tocsin.kernel.instant import DAY, HOUR, MINUTE, Duration, Instant

SLIDING: Duration = 12 * HOUR
"""A session ends when it was not used for this long."""
ABSOLUTE: Duration = 7 * DAY
"""A session ends this long after signing in, used or not."""
RENEW: Duration = 5 * MINUTE
"""A used session is written anew when its last renewal is older than this."""


class Session(Struct, frozen=True, array_like=True):
    """One browser that signed in. ``sid`` is random; ``epoch`` is the user's when it began."""

    user: int
    epoch: int
    sid: bytes
    issued: Instant
    seen: Instant

    def expires(self) -> Instant:
        """When it ends unless used before."""
        return min(self.seen + SLIDING, self.issued + ABSOLUTE)


def begin(user: int, epoch: int, now: Instant) -> Session:
    """A new session."""
    return Session(user, epoch, secrets.token_bytes(16), now, now)


def write(session: Session, key: bytes) -> str:
    """The session as a cookie's value."""
    body = _encode(msgspec.msgpack.encode(session))
    return f"{body}.{_encode(_mac(key, b'session', body.encode()))}"


def read(text: str, key: bytes, now: Instant) -> Session | None:
    """The session a cookie holds; None when it was not signed here or is over."""
    body, _, signature = text.partition(".")
    if len(text) > 512 or not _same(_decode(signature), _mac(key, b"session", body.encode("ascii", "replace"))):
        return None
    try:
        session = _decoder.decode(_decode(body))
    except msgspec.DecodeError:
        return None
    return session if session.issued <= now + MINUTE and now < session.expires() else None


def renewed(session: Session, now: Instant) -> Session | None:
    """The session with its use written down, or None when that was done a moment ago."""
    if now - session.seen < RENEW:
        return None
    return Session(session.user, session.epoch, session.sid, session.issued, now)


def form_token(key: bytes, bound_to: bytes) -> str:
    """The token a browser's form carries, bound to its session (or to its visit before signing in)."""
    return _encode(_mac(key, b"form", bound_to))


def form_token_is(given: str, key: bytes, bound_to: bytes) -> bool:
    """Whether a form came from a page this server made for this browser. Takes the same time for every wrong text."""
    return _same(_decode(given), _mac(key, b"form", bound_to))


def derived_secret(key: bytes, purpose: str, *parts: str, length: int = 32) -> str:
    """A secret of letters and digits that the same request repeated with the same idempotency key gets again."""
    stream = b""
    counter = 0
    text = "\0".join((purpose, *parts)).encode("utf-8", "surrogatepass")
    while len(stream) < length * 2:
        stream += _mac(key, b"secret" + bytes([counter]), text)
        counter += 1
    # Bytes of 248 and above are passed over, so that all 62 characters are equally likely.
    found = "".join(ALPHABET[byte % 62] for byte in stream if byte < 248)
    return found[:length]


def fresh_secret(length: int = 32) -> str:
    """A random secret of letters and digits."""
    return "".join(secrets.choice(ALPHABET) for _ in range(length))


ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

_decoder = msgspec.msgpack.Decoder(Session)


def _mac(key: bytes, purpose: bytes, body: bytes) -> bytes:
    return hmac.new(key, purpose + b"\0" + body, hashlib.sha256).digest()


def _same(one: bytes, other: bytes) -> bool:
    return hmac.compare_digest(one, other)


def _encode(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _decode(text: str) -> bytes:
    try:
        return base64.urlsafe_b64decode(text.encode("ascii") + b"=" * (-len(text) % 4))
    except (binascii.Error, UnicodeEncodeError):
        return b""
