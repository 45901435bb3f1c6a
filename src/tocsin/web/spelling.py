"""How numbers, spans, lists and names are written, whoever reads them."""

from __future__ import annotations

from collections.abc import Sequence
from unicodedata import bidirectional

from tocsin.kernel.instant import SECOND, Duration

NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
ISOLATES = "\u2068\u2069"
"""Around a name: what is beside it is not drawn into its direction."""


def count(number: int, noun: str, nouns: str = "") -> str:
    """``3 alerts``, ``1 alert``; digits, with thousands parted."""
    return f"{number:,}\u00a0{noun if number == 1 else nouns or noun + 's'}"


def spelled(number: int) -> str:
    """``two`` for 2, digits from 13 on."""
    return NUMBERS[number] if 0 <= number < len(NUMBERS) else f"{number:,}"


def listed(names: Sequence[str], last: str = "and") -> str:
    """``Ana``, ``Ana and Ben``, ``Ana, Ben and Chi``."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} {last} {names[-1]}" if names else ""


def sentence(text: str) -> str:
    """A text as a sentence: with a capital, and a full stop when it has no end."""
    return f"{text[:1].upper()}{text[1:]}{'' if text.endswith(('.', '?')) else '.'}"


def span(duration: Duration) -> str:
    """A span as people say it, two units at most: ``40 s``, ``2 min 10 s``, ``13 min``, ``4 h 5 min``, ``3 d 2 h``.

    Seconds are dropped from ten minutes on. A negative span counts as none.
    """
    seconds = max(0, round(duration / SECOND))
    if seconds < 60:
        return f"{seconds}\u00a0s"
    if seconds < 600:
        minutes, rest = divmod(seconds, 60)
        return f"{minutes}\u00a0min" + (f" {rest}\u00a0s" if rest else "")
    minutes = seconds // 60
    if minutes < 60:
        return f"{minutes}\u00a0min"
    hours, rest = divmod(minutes, 60)
    if hours < 24:
        return f"{hours}\u00a0h" + (f" {rest}\u00a0min" if rest else "")
    days, hours = divmod(hours, 24)
    return f"{days}\u00a0d" + (f" {hours}\u00a0h" if hours and days < 7 else "")


def initials(name: str) -> str:
    """Two letters for a round badge."""
    words = [word for word in name.strip(ISOLATES).replace("-", " ").replace(".", " ").split() if word[0].isalnum()]
    return "".join(word[0] for word in (words[:1] + words[-1:] if len(words) > 1 else words))[:2].upper() or "?"


def isolated(name: str) -> str:
    """A name that reads from right to left, so that what follows it stays behind it; others as they are."""
    turns = any(bidirectional(sign) in ("R", "AL") for sign in name)
    return f"{ISOLATES[0]}{name}{ISOLATES[1]}" if turns else name
