"""Shifts as an iCalendar file (RFC 5545), for the calendar programs people have."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple

from tocsin.kernel.identity import identity
from tocsin.kernel.instant import Instant, to_datetime

_LINE: Final = 75
"""Bytes of a line, after which it goes on in the next one."""


class Event(NamedTuple):
    """One entry. ``key`` is the same whenever the same shift is written again."""

    key: str
    summary: str
    start: Instant
    end: Instant
    description: str = ""


def written(name: str, events: Iterable[Event], now: Instant) -> bytes:
    """A calendar of that name. Times are in UTC; calendar programs show them in their own zone."""
    lines = [
        "BEGIN:VCALENDAR",
        "VERSION:2.0",
        "PRODID:-//Tocsin//On call//EN",
        "CALSCALE:GREGORIAN",
        "METHOD:PUBLISH",
        f"X-WR-CALNAME:{_text(name)}",
        "REFRESH-INTERVAL;VALUE=DURATION:PT1H",
        "X-PUBLISHED-TTL:PT1H",
    ]
    for event in events:
        lines += [
            "BEGIN:VEVENT",
            f"UID:{identity(event.key).hex()}@tocsin",
            f"DTSTAMP:{_time(now)}",
            f"DTSTART:{_time(event.start)}",
            f"DTEND:{_time(event.end)}",
            f"SUMMARY:{_text(event.summary)}",
            *([f"DESCRIPTION:{_text(event.description)}"] if event.description else []),
            "TRANSP:TRANSPARENT",
            "END:VEVENT",
        ]
    lines.append("END:VCALENDAR")
    return b"".join(_folded(line) for line in lines)


def _time(at: Instant) -> str:
    return f"{to_datetime(at):%Y%m%dT%H%M%SZ}"


def _text(text: str) -> str:
    """A text as a property holds it: one line, with what has a meaning there escaped."""
    text = text.replace("\\", "\\\\").replace(";", "\\;").replace(",", "\\,")
    text = "\\n".join(text.splitlines())
    return "".join(one if one.isprintable() else " " for one in text)


def _folded(line: str) -> bytes:
    """A line in pieces of at most 75 bytes, never inside a character."""
    pieces, piece = [], b""
    for one in line:
        raw = one.encode("utf-8", "replace")
        if len(piece) + len(raw) > _LINE:
            pieces.append(piece)
            piece = b" "
        piece += raw
    return b"\r\n".join([*pieces, piece]) + b"\r\n"
