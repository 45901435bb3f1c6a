"""Amounts as a half-asleep person reads them."""

from __future__ import annotations


def size_of(count: int) -> str:
    """Bytes in B, kB, MB and so on, which are thousands."""
    amount = float(count)
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if amount < 1000:
            return f"{amount:.0f} {unit}" if unit == "B" or amount >= 10 else f"{amount:.1f} {unit}"
        amount /= 1000
    return f"{amount:.1f} PB"
