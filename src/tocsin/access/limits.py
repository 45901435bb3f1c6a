"""How much one key may send: what was set for it, within bounds, and how that is written."""

from __future__ import annotations

import math
import re

from msgspec import Struct

MOST_RATE, MOST_BURST, MOST_BODY, MOST_ALERTS = 100_000.0, 1_000_000, 16 * 1024 * 1024, 50_000
LEAST_RATE, LEAST_BODY = 1 / 60, 1024
SIZES = {
    "B": 1,
    "kB": 10**3,
    "KB": 10**3,
    "MB": 10**6,
    "GB": 10**9,
    "TB": 10**12,
    "KiB": 2**10,
    "MiB": 2**20,
    "GiB": 2**30,
    "TiB": 2**40,
}
RATE_PATTERN = r"[0-9]{1,7}(\.[0-9]{1,6})?/[smh]"
SIZE_PATTERN = r"[0-9]{1,9}(\.[0-9]{1,6})? ?[A-Za-z]{1,3}"
_PER = {"s": 1, "m": 60, "h": 3600}
WORTH = 5.0
"""A burst that is not set is so many seconds of the rate."""


class KeyLimits(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What was set for a key; None: as for every key.

    ``rate`` is requests per second, ``burst`` how many may come at once, ``body`` a request's bytes, ``alerts`` how
    many alerts one request may hold.
    """

    rate: float | None = None
    burst: int | None = None
    body: int | None = None
    alerts: int | None = None

    def fault(self) -> tuple[str, str] | None:
        """The first field that is out of bounds and what it may be; None when all are within."""
        if self.rate is not None and not LEAST_RATE <= self.rate <= MOST_RATE:
            return "rate", f"a rate is from 1/m to {MOST_RATE:.0f}/s"
        if self.burst is not None and not 1 <= self.burst <= MOST_BURST:
            return "burst", f"a burst is from 1 to {MOST_BURST} requests"
        if self.body is not None and not LEAST_BODY <= self.body <= MOST_BODY:
            return "body", f"a body has from {show_size(LEAST_BODY)} to {show_size(MOST_BODY)}"
        if self.alerts is not None and not 1 <= self.alerts <= MOST_ALERTS:
            return "alerts", f"a request holds from 1 to {MOST_ALERTS} alerts"
        return None

    @property
    def at_once(self) -> int | None:
        """How many requests may come at once: as set, else in proportion to the rate; None when neither is set."""
        if self.burst is None and self.rate is not None:
            return max(1, math.ceil(self.rate * WORTH))
        return self.burst


def read_rate(text: str) -> float:
    """Requests per second of a text such as ``50/s``, ``10/m`` or ``0.5/s``. Raises ValueError."""
    if not re.fullmatch(RATE_PATTERN, text.strip()):
        raise ValueError("write a rate such as 50/s or 10/m")
    number, _, per = text.strip().partition("/")
    return float(number) / _PER[per]


def read_size(text: str) -> int:
    """Bytes of a text such as ``1MB`` or ``512 KiB``. Raises ValueError."""
    found = re.fullmatch(r"([0-9.]+) ?([A-Za-z]+)", text.strip())
    if not re.fullmatch(SIZE_PATTERN, text.strip()) or found is None or found[2] not in SIZES:
        raise ValueError("write a size such as 1MB or 512KiB")
    return round(float(found[1]) * SIZES[found[2]])


def show_rate(rate: float) -> str:
    """A rate as it is written."""
    return f"{rate:g}/s" if rate >= 1 else f"{rate * 60:g}/m"


def show_size(size: int) -> str:
    """A size as it is written, in the largest unit it is a whole number of."""
    for unit in ("MiB", "MB", "KiB", "KB"):
        if size % SIZES[unit] == 0:
            return f"{size // SIZES[unit]}{unit}"
    return f"{size}B"


def show(limits: KeyLimits) -> str:
    """What was set, as one text such as ``50/s, 500 alerts``; "" when nothing was."""
    said = [
        show_rate(limits.rate) if limits.rate is not None else "",
        f"{limits.burst:,} at once" if limits.burst is not None else "",
        f"{limits.alerts:,} alerts" if limits.alerts is not None else "",
        show_size(limits.body) if limits.body is not None else "",
    ]
    return ", ".join(part for part in said if part)
