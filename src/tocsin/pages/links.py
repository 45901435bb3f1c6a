"""Signed links to one page.

A link names a page and proves that Tocsin made it; whether it still works is decided with the incident.
"""

from __future__ import annotations

import base64
import hashlib
import hmac

from tocsin.kernel.instant import DAY, Instant

WORKS_AFTER_CLOSING = DAY
_MARK = b"tocsin page link v1\0"


def make_token(key: bytes, page_id: int) -> str:
    """The token of a page's link: its number and 128 bits of HMAC-SHA256."""
    return f"{page_id}.{_signature(key, page_id)}"


def read_token(key: bytes, token: str) -> int | None:
    """The page a token names, or None when Tocsin did not make it."""
    number, _, signature = token.partition(".")
    if not number.isascii() or not number.isdigit() or len(number) > 18:
        return None
    page_id = int(number)
    good = hmac.compare_digest(_signature(key, page_id).encode(), signature.encode("utf-8", "surrogatepass"))
    return page_id if good and str(page_id) == number else None


def still_works(resolved_at: Instant | None, now: Instant) -> bool:
    """Whether a link may still be used: until a day after its incident closed."""
    return resolved_at is None or now - resolved_at <= WORKS_AFTER_CLOSING


def _signature(key: bytes, page_id: int) -> str:
    digest = hmac.new(key, _MARK + str(page_id).encode(), hashlib.sha256).digest()[:16]
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
