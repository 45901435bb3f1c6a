"""Passwords: scrypt, and a bound on how often one may be guessed."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets
from collections import OrderedDict

from tocsin.kernel.instant import MINUTE, Duration, Instant

SHORTEST, LONGEST = 12, 1_000
_N, _R, _P = 1 << 15, 8, 1
_MEMORY = 64 * 1024 * 1024


def hash_password(password: str, salt: bytes = b"") -> str:
    """``scrypt$N$r$p$salt$hash``. Takes about 100 ms: call it from a thread. Raises ValueError for a bad length."""
    if not SHORTEST <= len(password) <= LONGEST:
        raise ValueError(f"a password has {SHORTEST} to {LONGEST} characters")
    salt = salt or secrets.token_bytes(16)
    made = _scrypt(password, salt, _N, _R, _P)
    return f"scrypt${_N}${_R}${_P}${base64.b64encode(salt).decode()}${base64.b64encode(made).decode()}"


def password_is(password: str, stored: str) -> bool:
    """Whether a password has this hash. Takes as long when there is none, so that names cannot be told apart."""
    parts = stored.split("$")
    if len(parts) != 6 or parts[0] != "scrypt":
        _scrypt(password[:LONGEST], b"nobody's salt...", _N, _R, _P)
        return False
    try:
        n, r, p = (int(part) for part in parts[1:4])
        salt, wanted = (base64.b64decode(part, validate=True) for part in parts[4:])
    except (ValueError, binascii.Error):
        return False
    return hmac.compare_digest(_scrypt(password[:LONGEST], salt, n, r, p), wanted)


def _scrypt(password: str, salt: bytes, n: int, r: int, p: int) -> bytes:
    return hashlib.scrypt(password.encode("utf-8", "surrogatepass"), salt=salt, n=n, r=r, p=p, maxmem=_MEMORY, dklen=32)


class Guesses:
    """How often each name was tried from each address: ``burst`` tries at once, then one each ``every``. Bounded."""

    def __init__(self, burst: int = 5, every: Duration = MINUTE // 2, most: int = 10_000) -> None:
        self._burst = burst
        self._every = every
        self._most = most
        self._free_at: OrderedDict[tuple[str, str], Instant] = OrderedDict()

    def wait(self, name: str, address: str, now: Instant) -> Duration:
        """How long this one must wait before the next try; 0 allows it and counts it."""
        known = self._free_at.pop((name, address), now)
        # A bucket as one number: the instant at which it is full again.
        full_at = max(known, now)
        ahead = full_at - now - (self._burst - 1) * self._every
        self._free_at[name, address] = full_at if ahead > 0 else full_at + self._every
        while len(self._free_at) > self._most:
            self._free_at.popitem(last=False)
        return max(0, ahead)

    def forget(self, name: str, address: str) -> None:
        """A try that succeeded clears the count."""
        self._free_at.pop((name, address), None)
