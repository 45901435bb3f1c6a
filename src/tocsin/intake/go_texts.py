"""Texts as the Go libraries behind Alertmanager read and write them: times, request addresses, quoted strings."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from functools import lru_cache

from tocsin.intake.bounds import cut
from tocsin.kernel.instant import DAY, MINUTE, Instant, from_datetime

ZERO: Instant = from_datetime(datetime.fromisoformat("0001-01-01T00:00:00Z"))
"""Go's zero time: what a Go client sends for a time it does not set."""
_LAST: Instant = from_datetime(datetime.fromisoformat("9999-12-31T23:59:59Z"))

_SHORT = {char: "\\" + letter for char, letter in zip('\a\b\f\n\r\t\v"\\', 'abfnrtv"\\', strict=True)}


def quoted(text: str) -> str:
    """A text as Go's ``%q`` writes it."""
    return '"' + "".join(_SHORT.get(char) or (char if char.isprintable() else _escaped(char)) for char in text) + '"'


def _escaped(char: str) -> str:
    code = ord(char)
    return f"\\x{code:02x}" if code < 0x80 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


# Times: the layouts that go-openapi's strfmt tries. Nearly every sender writes the first.
_USUAL = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,9})?Z")
_ANY = re.compile(
    r"(?P<date>[0-9]{4}-[0-9]{2}-[0-9]{2})(?:"
    r"T(?P<time>[0-9]{1,2}:[0-9]{2}:[0-9]{2})(?P<fraction>[.,][0-9]+)?(?P<zone>Z|[+-][0-9]{2}:[0-9]{2})?"
    r"|T(?P<time2>[0-9]{1,2}:[0-9]{2}:[0-9]{2})(?P<fraction2>[.,](?:[0-9]{3}|[0-9]{6}))(?P<zone2>[+-][0-9]{4})"
    r"|T(?P<time3>[0-9]{1,2}:[0-9]{2})Z?"
    r"| (?P<time4>[0-9]{1,2}:[0-9]{2}:[0-9]{2})(?P<fraction4>[.,][0-9]+)?)"
)


@lru_cache(maxsize=4_096)
def instant(text: str) -> Instant:
    """The instant of a time as Alertmanager reads it; "" is 1970, as in its library.

    Raises ValueError with what is wrong.

    Remembered, because alerts of one batch share their ends.
    """
    if not text:
        return 0
    if _USUAL.fullmatch(text):
        try:
            return min(from_datetime(datetime.fromisoformat(text)), _LAST)
        except ValueError:
            pass  # year 0, or a day that does not exist: read again below, which says so
    found = _ANY.fullmatch(text)
    if found is None:
        raise ValueError(f"is not a time: {quoted(cut(text, 64))}")
    part = found.groupdict()
    year = int(text[:4])
    clock = [int(text) for text in (part["time"] or part["time2"] or part["time3"] or part["time4"]).split(":")]
    fraction = (part["fraction"] or part["fraction2"] or part["fraction4"] or ".0")[1:7].ljust(6, "0")
    zone = (part["zone"] or part["zone2"] or "Z").replace(":", "")
    try:
        # Python knows no year 0; like year 4 it has 366 days, and four years lie between them.
        day = datetime(year or 4, int(text[5:7]), int(text[8:10]), tzinfo=UTC)
        moment = day.replace(hour=clock[0], minute=clock[1], second=clock[2] if len(clock) > 2 else 0)
    except ValueError as error:
        raise ValueError(f"is not a time: {quoted(cut(text, 64))}, {error}") from None
    at = from_datetime(moment) + int(fraction) - (0 if year else 1_461 * DAY)
    if zone != "Z":
        ahead = (int(zone[1:3]) * 60 + int(zone[3:])) * MINUTE
        at += ahead if zone[0] == "-" else -ahead
    return at if ZERO <= at <= _LAST else max(ZERO + 1, min(at, _LAST))


# generatorURL: what Go's url.ParseRequestURI accepts.
_CONTROL = re.compile(r"[\0-\x1f\x7f]")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*:")
_USER = re.compile(r"(?:[A-Za-z0-9\-._:~!$&'()*+,;=@]|%[0-9a-fA-F]{2})*")
_PERCENT = re.compile(r"%(?![0-9a-fA-F]{2})")
_HOST_CHAR = r"[A-Za-z0-9!$&'()*+,;=:\[\]<>\"\-._~\x80-\U0010ffff]"
_HOST = re.compile(rf"(?:{_HOST_CHAR}|%25|%[89a-fA-F][0-9a-fA-F])*")
_ZONED = re.compile(rf"\[(?:{_HOST_CHAR}|%[89a-fA-F][0-9a-fA-F])*%25(?:{_HOST_CHAR}|%[0-9a-fA-F]{{2}})*\](?::[0-9]*)?")


def is_request_uri(text: str) -> bool:
    """Whether Go's ``url.ParseRequestURI`` takes it: an absolute URI, or an absolute path."""
    if not text or _CONTROL.search(text):
        return False
    if text == "*":
        return True
    found = _SCHEME.match(text)
    if found is None and text.startswith(":"):
        return False
    rest = text[found.end() :] if found else text
    rest = rest.partition("?")[0]
    if not rest.startswith("/"):
        return found is not None
    if found and rest.startswith("//"):
        authority, slash, path = rest[2:].partition("/")
        if not _is_authority(authority):
            return False
        rest = slash + path
    return _PERCENT.search(rest) is None


def _is_authority(authority: str) -> bool:
    user, at, host = authority.rpartition("@")
    if at and not _USER.fullmatch(user):
        return False
    if host.startswith("["):
        inside, bracket, port = host.rpartition("]")
        if not bracket or not re.fullmatch(r"(?::[0-9]*)?", port):
            return False
        if "%25" in inside:
            return _ZONED.fullmatch(host) is not None
    elif ":" in host and not re.fullmatch(r"[0-9]*", host.rpartition(":")[2]):
        return False
    return _HOST.fullmatch(host) is not None
