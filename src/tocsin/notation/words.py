"""The words that whoever declares a record may need: texts, addresses, secrets, numbers, paces."""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit

from tocsin.access.limits import MOST_BURST, RATE_PATTERN, SIZE_PATTERN, SIZES, KeyLimits, read_rate
from tocsin.kernel.instant import DAY, SECOND, Duration, format_duration, parse_duration
from tocsin.notation.decoder import At, Choice, Unfit, Word
from tocsin.notation.findings import nearest, shown

STRING: Final = {"type": "string"}
"""For words no editor takes for a number or a boolean."""
YEAR: Final = 366 * DAY
_DURATION: Final = "([0-9]{1,9}(ms|[smhdw])){1,6}"
HOST: Final = r"([A-Za-z0-9_]([A-Za-z0-9_.\-]{0,252})|\[[0-9A-Fa-f:.%]{2,60}\])"
"""What a machine's name or address looks like."""
NAME_PATTERN: Final = r"[a-z0-9][a-z0-9._\-]{0,63}"
_NAME_RULE: Final = (
    "names are up to 64 lower-case letters, digits, '.', '_' and '-', and begin with a letter or a digit"
)


def whole(what: str, least: int, most: int) -> Word[int]:
    """A whole number within bounds."""

    def parse(text: str) -> int:
        number = int(text)
        if not least <= number <= most:
            raise Unfit(f"{number} is not {what}", f"write a whole number from {least} to {most}")
        return number

    also = {"type": ["integer", "string"], "minimum": least, "maximum": most}
    return Word(what, parse, pattern="[0-9]{1,9}", write=f"write a whole number from {least} to {most}", also=also)


def duration(least: Duration = SECOND, most: Duration = YEAR) -> Word[Duration]:
    """A span of time with its unit, within bounds; microseconds."""
    bounds = f"from {format_duration(least)} to {format_duration(most)}"

    def parse(text: str) -> Duration:
        span = parse_duration(text)
        if not least <= span <= most:
            raise Unfit(f"{shown(text)} is out of bounds here", f"write a duration {bounds}")
        return span

    write = "write a number and its unit (ms, s, m, h, d, w), such as 90s, 5m or 1h30m"
    return Word("a duration", parse, pattern=_DURATION, write=write, also=STRING)


def read_url(text: str) -> str:
    """A URL as it stands, if it is one that holds no secret. Raises Unfit."""
    try:
        parts = urlsplit(text)
        valid = parts.hostname and (parts.port is None or 0 < parts.port < 65536)
    except ValueError:
        valid = False
    if not valid:
        raise Unfit("this is not a URL", "write http:// or https://, a host, and a port up to 65535 if it needs one")
    if parts.username is not None or parts.password is not None:
        raise Unfit("this URL holds a user name or a password", "never put secrets in the plan")
    return text


def read_host_port(text: str) -> str:
    """A machine and a port there can be. Raises Unfit."""
    if not 0 < int(text.rpartition(":")[2]) < 65536:
        raise Unfit(f"{shown(text)} has no valid port", "ports are 1 to 65535")
    return text


def read_size(text: str) -> int:
    """``2GB`` in bytes. Raises Unfit."""
    unit = text.lstrip("0123456789. ")
    number = text.removesuffix(unit)
    if unit not in SIZES:
        close = nearest(unit, SIZES) or "GB"
        raise Unfit(f"unknown unit {shown(unit)}", f"did you mean {close}? Units are {', '.join(SIZES)}")
    return round(float(number) * SIZES[unit])


def read_limit(limits: KeyLimits) -> KeyLimits:
    """Limits that keep their bounds. Raises Unfit."""
    fault = limits.fault()
    if fault is not None:
        raise Unfit(fault[1])
    return limits


def per_second(text: str) -> float:
    """``30/m`` as a number a second. Raises Unfit."""
    return read_limit(KeyLimits(rate=read_rate(text))).rate or 0.0


TEXT: Final = Word("a text", str)
TITLE: Final = Word("a title", str, pattern=r"[^\x00-\x1f]{1,200}", write="write one line of up to 200 characters")
NAME: Final = Word("a name", str, pattern=NAME_PATTERN, write=_NAME_RULE)
SEVERITY: Final = At(
    Word("a severity", str, pattern=r"[A-Za-z0-9][A-Za-z0-9._ \-]{0,63}", write="write a word such as critical")
)
EMAIL: Final = Word(
    "an e-mail address",
    str,
    pattern=r"[^@\s<>,;:\"()\[\]]{1,64}@[A-Za-z0-9]([A-Za-z0-9.\-]{0,252})",
    write="write a plain address such as ana@shop.example",
    also=STRING,
)
URL: Final = Word(
    "a URL",
    read_url,
    pattern=r"[Hh][Tt][Tt][Pp][Ss]?://[^\s/]\S{0,2040}",
    write="write it in full, beginning with http:// or https://",
    secret=True,
    also=STRING,
)
SECRET: Final = Word(
    "a reference to a secret",
    str,
    pattern=r"secret:[A-Za-z0-9_][A-Za-z0-9_.\-]{0,127}",
    write="never put the secret itself in the plan: write secret:NAME, and keep the secret where Tocsin runs",
    secret=True,
    also=STRING,
)
PACE: Final = Word(
    "a rate", per_second, pattern=RATE_PATTERN, write="write messages per time, such as 1/s", also=STRING
)
BURST: Final = whole("a burst", 1, MOST_BURST)
HOST_PORT: Final = Word(
    "a host and a port",
    read_host_port,
    pattern=HOST + ":[0-9]{1,5}",
    write="write host:port, such as db.shop.example:5432",
    also=STRING,
)
PATH: Final = Word("an absolute path", str, pattern=r"/[^\x00-\x1f]{0,1000}", write="begin it with /", also=STRING)
SIZE: Final = Word(
    "a size",
    read_size,
    pattern=SIZE_PATTERN,
    write="write a number and its unit, such as 2GB or 500MiB",
    also=STRING,
)
SWITCH: Final = Choice("on or off", "on", "off")
PERIOD: Final = duration(SECOND, YEAR)
