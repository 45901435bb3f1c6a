"""Texts from monitors made safe for a terminal, and times and numbers in the words people use."""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Callable
from datetime import datetime, tzinfo
from typing import ClassVar
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from tocsin.access.actors import called
from tocsin.kernel.instant import DAY, HOUR, MINUTE, SECOND, Duration, Instant, from_datetime, to_datetime

# C0 and C1 controls, DEL, and what reorders or hides text: bidirectional controls, zero-width characters, line and
# paragraph separators, tags, lone surrogates. Any of them could make a terminal show something that is not there.
_UNSAFE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ud800-\udfff\U000e0000-\U000e007f]"
)


def clean(text: str, *, lines: bool = False) -> str:
    """The text with every control character written out (``\\x1b``), so that it cannot steer the terminal.

    Line breaks and tabs become spaces; with ``lines`` line breaks stay.

    >>> clean("a\\x1b[2Jb")
    'a\\\\x1b[2Jb'
    """
    text = text.replace("\r\n", "\n").replace("\t", " ")
    if not lines:
        text = text.replace("\n", " ")
    return _UNSAFE.sub(lambda found: found[0] if found[0] == "\n" else _written_out(found[0]), text)


def _written_out(character: str) -> str:
    point = ord(character)
    return f"\\x{point:02x}" if point < 0x100 else f"\\u{point:04x}" if point < 0x10000 else f"\\U{point:08x}"


def width(text: str) -> int:
    """How many terminal cells a clean text takes: two for wide characters, none for combining ones."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(each) else 2 if unicodedata.east_asian_width(each) in "WF" else 1 for each in text
    )


def span(duration: Duration) -> str:
    """A length of time in its two largest units: ``40 s``, ``2 min 27 s``, ``3 h 5 min``, ``4 d``.

    >>> span(147 * SECOND)
    '2 min 27 s'
    """
    if duration < 0:
        return f"-{span(-duration)}"
    if duration < SECOND:
        return f"{duration // 1000} ms" if duration else "0 s"
    units = [("d", DAY), ("h", HOUR), ("min", MINUTE), ("s", SECOND)]
    first = next(place for place, (_, size) in enumerate(units) if duration >= size)
    parts = []
    for unit, size in units[first : first + 2]:
        count, duration = divmod(duration, size)
        if count:
            parts.append(f"{count} {unit}")
    return " ".join(parts)


def rough(duration: Duration) -> str:
    """The same in its largest unit alone, for lists: ``13 min``; two units below three hours and days."""
    for unit, size in (("d", DAY), ("h", HOUR)):
        if duration >= 3 * size:
            return f"{duration // size} {unit}"
    return span(duration // MINUTE * MINUTE) if duration >= 3 * MINUTE else span(duration)


def ago(moment: Instant | None, now: Instant | None) -> str:
    """``13 min ago``, ``in 2 h``, ``just now``; the clock time when the server did not say what time it is.

    The server tells its time in whole seconds, and up to two of them late:
    what has just happened may seem to lie ahead.
    """
    if moment is None:
        return ""
    if now is None:
        return stamp(moment)
    if moment > now:
        return f"in {rough(moment - now)}" if moment - now >= 2 * SECOND else "just now"
    return f"{rough(now - moment)} ago" if now - moment >= 2 * SECOND else "just now"


class _Reading:
    """In which zone whoever reads is told times. ``asked`` says it, and is asked once, when the first time is told."""

    asked: ClassVar[Callable[[], str]] = staticmethod(lambda: "")
    zone: ClassVar[tzinfo | None] = None


def read_in(zone: Callable[[], str]) -> None:
    """Tell times in the zone of this name from now on; in this machine's where it is "" or none that is known here."""
    _Reading.asked, _Reading.zone = staticmethod(zone), None


def written(said: datetime, ends: bool) -> Instant:
    """The instant that somebody means by a time without a zone, by the clock that they are told times by.

    Of a time that the clock shows twice it is the first, or the last for what ``ends``; of one that it skips the moment
    at which it is set forward. Raises OverflowError and ValueError beyond the calendar.
    """
    zone = _zone()
    both = (said.replace(fold=fold) for fold in (0, 1))
    # In what is skipped, Python has a zone and this machine's clock the other way round.
    first, last = sorted(from_datetime(one.replace(tzinfo=zone) if zone else one.astimezone()) for one in both)
    if first < last and _local(first).replace(tzinfo=None) != said:
        from tocsin.oncall.zone import set_forward

        return set_forward(first, last, _local)
    return last if ends else first


def _local(moment: Instant) -> datetime:
    return to_datetime(moment).astimezone(_zone())


def _zone() -> tzinfo | None:
    """The reader's zone, None for this machine's. ``TZ`` is a choice for this terminal, and counts before it."""
    asked, _Reading.asked = _Reading.asked, staticmethod(lambda: "")
    if not os.environ.get("TZ") and (name := asked()):
        try:
            _Reading.zone = ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            _Reading.zone = None
    return _Reading.zone


def stamp(moment: Instant | None) -> str:
    """Date and time with seconds in the reader's zone: ``2026-11-22 03:24:05 CET``."""
    return "" if moment is None else f"{_local(moment):%Y-%m-%d %H:%M:%S %Z}"


def clock(moment: Instant) -> str:
    """Time of day with seconds in the reader's zone."""
    return f"{_local(moment):%H:%M:%S}"


def day(moment: Instant) -> str:
    """The date in the reader's zone, as a heading: ``Sun 22 Nov 2026``."""
    return f"{_local(moment):%a %d %b %Y}"


def zone(moment: Instant) -> str:
    """The name of the reader's time zone then: ``CET``."""
    return f"{_local(moment):%Z}"


def count(number: int, one: str, many: str = "") -> str:
    """``1 alert``, ``2 alerts``, ``19,400 alerts``."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def person(actor: str) -> str:
    """Who did it, as people say it: ``ana`` for ``person:ana``, nothing for Tocsin itself."""
    return "" if actor == "code" else called(actor)
