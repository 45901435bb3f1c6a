"""A browser's push subscription, as it says it and as it is kept: where to post, and the keys to encrypt with."""

from __future__ import annotations

import base64
import binascii
from typing import Any
from urllib.parse import urlsplit

import msgspec
from msgspec import Struct

LONGEST = 2_000
_POINT, _AUTH = 65, 16


class Subscription(Struct, frozen=True):
    """``endpoint`` is the push service's URL for this browser; ``p256dh`` and ``auth`` are base64url."""

    endpoint: str
    p256dh: str
    auth: str

    def written(self) -> str:
        """As an address is kept."""
        return msgspec.json.encode(self).decode()

    @property
    def point(self) -> bytes:
        """The browser's public key, an uncompressed point of P-256."""
        return unpadded(self.p256dh)

    @property
    def secret(self) -> bytes:
        """The secret it shares with whoever may send to it."""
        return unpadded(self.auth)


def read_subscription(text: str) -> Subscription:
    """Read what ``PushSubscription.toJSON()`` gives, or what ``written`` gave. Raises ValueError with a sentence."""
    if len(text) > LONGEST:
        raise ValueError(f"a subscription has at most {LONGEST:,} characters")
    try:
        said = msgspec.json.decode(text, type=dict[str, Any])
    except msgspec.DecodeError:
        raise ValueError("this is no push subscription") from None
    keys = said.get("keys", said)
    parts = (said.get("endpoint"), *((keys.get(name) for name in ("p256dh", "auth")) if isinstance(keys, dict) else ()))
    endpoint, p256dh, auth = (part if isinstance(part, str) else "" for part in (*parts, "", "")[:3])
    try:
        url = urlsplit(endpoint)
        usable = url.scheme == "https" and bool(url.hostname) and (url.port is None or url.port > 0)
        usable = usable and endpoint.isascii() and endpoint.isprintable() and " " not in endpoint
        point, secret = unpadded(p256dh), unpadded(auth)
    except (ValueError, binascii.Error):
        raise ValueError("this is no push subscription") from None
    if not usable or url.username is not None:
        raise ValueError("a push subscription's endpoint is an https:// URL")
    if len(point) != _POINT or point[0] != 4 or len(secret) != _AUTH:
        raise ValueError("a push subscription has a P-256 key of 65 bytes and a secret of 16")
    return Subscription(endpoint, p256dh, auth)


def unpadded(text: str) -> bytes:
    """The bytes of base64url without its padding. Raises ValueError."""
    return base64.b64decode(text.rstrip("=") + "=" * (-len(text.rstrip("=")) % 4), altchars=b"-_", validate=True)
