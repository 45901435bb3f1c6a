"""The words of the plan language: what a name, a duration, a zone or a matcher looks like, and how its text is read."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from difflib import get_close_matches
from functools import cache
from typing import Final
from urllib.parse import urlsplit

from cronsim import CronSim, CronSimError

from tocsin.access.limits import (
    MOST_ALERTS,
    MOST_BURST,
    RATE_PATTERN,
    SIZE_PATTERN,
    SIZES,
    KeyLimits,
    read_rate,
)
from tocsin.incidents.routes import SEVERITIES
from tocsin.intake.entrances import KINDS
from tocsin.kernel.instant import DAY, HOUR, MILLISECOND, MINUTE, SECOND, Duration, format_duration, parse_duration
from tocsin.kernel.matcher import Matcher, MatcherError, compiled, parse_matcher
from tocsin.oncall.zone import zones
from tocsin.pages.templates import PLACEHOLDERS, fault, says_what
from tocsin.plan.decoder import At, Choice, Unfit, Word
from tocsin.plan.findings import nearest, shown

YEAR: Final = 366 * DAY

_STRING: Final = {"type": "string"}
"""For words no editor takes for a number or a boolean."""

_DURATION: Final = "([0-9]{1,9}(ms|[smhdw])){1,6}"
_STATUS_RULE: Final = "write codes from 100 to 599, such as 200-399 or 200,204"
_PERCENT_RULE: Final = "write a number up to 100 with a percent sign, such as 90%"
_CRON_RULE: Final = "write five fields: minute, hour, day of month, month, day of week, such as 0 3 * * *"
_HOST: Final = r"([A-Za-z0-9_]([A-Za-z0-9_.\-]{0,252})|\[[0-9A-Fa-f:.%]{2,60}\])"


def _text(text: str) -> str:
    return text


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
    return Word("a duration", parse, pattern=_DURATION, write=write, also=_STRING)


def _zone(text: str) -> str:
    if text in zones():
        return text
    raise Unfit(f"unknown time zone {shown(text)}", suggest=lambda: _nearest_zone(text), among=2 * len(zones()))


@cache
def _zones_by_last_part() -> dict[str, list[str]]:
    """Cities, folded, to zone names; places known under Continent/City before the abbreviations and old names."""
    found: dict[str, list[str]] = {}
    for name in sorted(zones(), key=lambda name: (name.count("/") != 1, name)):
        found.setdefault(name.rpartition("/")[2].casefold(), []).append(name)
    return found


def _nearest_zone(text: str) -> str:
    close = nearest(text, zones())
    if not close or "/" not in text:
        cities = _zones_by_last_part()
        city = get_close_matches(text[:60].rpartition("/")[2].casefold().replace(" ", "_"), cities, n=1, cutoff=0.75)
        close = cities[city[0]][0] if city else close
    return f"did you mean {close}?" if close else ""


def _url(text: str) -> str:
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


def _cron(text: str) -> str:
    # CronSim asserts what a caller may not write, and needs a moment to count from: any will do.
    try:
        next(CronSim(text, datetime(2026, 1, 1, tzinfo=UTC)))
    except StopIteration:
        raise Unfit(f"the cron line {shown(text)} names a time that never comes") from None
    except (CronSimError, ValueError, TypeError, AssertionError) as error:
        why = str(error).lower() if isinstance(error, CronSimError) else "not a cron line"
        raise Unfit(f"{shown(text)} is not a cron line: {why}", _CRON_RULE) from None
    return text


def _regex(text: str) -> str:
    try:
        compiled(text)
    except MatcherError as error:
        raise Unfit(str(error), "single quotes leave backslashes alone") from None
    return text


def _matcher(text: str) -> Matcher:
    try:
        return parse_matcher(text)
    except MatcherError as error:
        raise Unfit(str(error)) from None


def _status(text: str) -> str:
    spans = text.replace(" ", "").split(",")
    for span in spans:
        low, _, high = span.partition("-")
        if not 100 <= int(low) <= int(high or low) <= 599:
            raise Unfit(f"{shown(span)} is not a range of HTTP status codes", _STATUS_RULE)
    return ",".join(spans)


def _host_port(text: str) -> str:
    if not 0 < int(text.rpartition(":")[2]) < 65536:
        raise Unfit(f"{shown(text)} has no valid port", "ports are 1 to 65535")
    return text


def _followed(text: str) -> str:
    return text if text == "any" else _host_port(text)


def _server(text: str) -> str:
    port = re.search(r":([0-9]+)$", text)
    if port and not 0 < int(port[1]) < 65536:
        raise Unfit(f"{shown(text)} has no valid port", "ports are 1 to 65535")
    return text


def _percent(text: str) -> str:
    number = text.rstrip("% ")
    if not 0 < float(number) <= 100:
        raise Unfit(f"{shown(text)} is not a share of a disk", _PERCENT_RULE)
    return number


def _share(text: str) -> float:
    share = float(text.rstrip("% "))
    if share > 100:
        raise Unfit(f"{shown(text)} is more than all")
    return share


def _bytes(text: str) -> int:
    unit = text.lstrip("0123456789. ")
    number = text.removesuffix(unit)
    if unit not in SIZES:
        close = nearest(unit, SIZES) or "GB"
        raise Unfit(f"unknown unit {shown(unit)}", f"did you mean {close}? Units are {', '.join(SIZES)}")
    return round(float(number) * SIZES[unit])


def _body(text: str) -> int:
    return _limit(KeyLimits(body=_bytes(text))).body or 0


def _template(text: str) -> str:
    wrong, unknown = fault(text)
    if wrong:
        close = nearest(unknown, PLACEHOLDERS) if unknown else ""
        known = ", ".join(f"${name}" for name in PLACEHOLDERS)
        raise Unfit(wrong, f"did you mean ${close}?" if close else f"there are {known}" if unknown else "")
    return text


def _page_template(text: str) -> str:
    _template(text)
    if not says_what(text):
        raise Unfit("this says nothing of what is wrong", "use $title or $alerts in it")
    return text


def _rate(text: str) -> float:
    return _limit(KeyLimits(rate=read_rate(text))).rate or 0.0


def _limit(limits: KeyLimits) -> KeyLimits:
    fault = limits.fault()
    if fault is not None:
        raise Unfit(fault[1])
    return limits


def _target(text: str) -> str:
    """``team:shop``; ``schedule:shop-primary:next``; ``name:ana`` for a person or a schedule, told apart later."""
    first, _, rest = text.partition(" ")
    if first == "team" and rest:
        return f"team:{rest.strip()}"
    if first in ("next", "previous") and rest:
        return f"schedule:{rest.split()[1]}:{first}"
    return f"name:{text}"


NAME_PATTERN: Final = r"[a-z0-9][a-z0-9._\-]{0,63}"
_NAME_RULE: Final = (
    "names are up to 64 lower-case letters, digits, '.', '_' and '-', and begin with a letter or a digit"
)

TEXT: Final = Word("a text", _text)
TITLE: Final = Word("a title", _text, pattern=r"[^\x00-\x1f]{1,200}", write="write one line of up to 200 characters")
LINE_TEMPLATE: Final = Word("a line with placeholders", _template)
TEXT_TEMPLATE: Final = Word("a text with placeholders", _page_template)
NAME: Final = Word("a name", _text, pattern=NAME_PATTERN, write=_NAME_RULE)
REFERENCE: Final = At(NAME)
"""A name that must be defined somewhere in the plan."""
TARGET: Final = At(
    Word(
        "whom to page",
        _target,
        pattern=rf"(team +|(next|previous) +on +)?{NAME_PATTERN}",
        write="write a person's or a schedule's name, `team shop`, or `next on shop-primary`",
    )
)
ZONE: Final = Word("a time zone", _zone, write="write a name such as Europe/Madrid or UTC", also=_STRING)
EMAIL: Final = Word(
    "an e-mail address",
    _text,
    pattern=r"[^@\s<>,;:\"()\[\]]{1,64}@[A-Za-z0-9]([A-Za-z0-9.\-]{0,252})",
    write="write a plain address such as ana@shop.example",
    also=_STRING,
)
URL: Final = Word(
    "a URL",
    _url,
    pattern=r"[Hh][Tt][Tt][Pp][Ss]?://[^\s/]\S{0,2040}",
    write="write it in full, beginning with http:// or https://",
    secret=True,
    also=_STRING,
)
SECRET: Final = Word(
    "a reference to a secret",
    _text,
    pattern=r"secret:[A-Za-z0-9_][A-Za-z0-9_.\-]{0,127}",
    write="never put the secret itself in the plan: write secret:NAME, and keep the secret where Tocsin runs",
    secret=True,
    also=_STRING,
)
FEED: Final = Word(
    "a URL or a reference to a secret",
    lambda text: text if text.startswith("secret:") else _url(text),
    pattern=r"secret:[A-Za-z0-9_][A-Za-z0-9_.\-]{0,127}|[Hh][Tt][Tt][Pp][Ss]?://[^\s/]\S{0,2040}",
    write="write it in full, beginning with https://, or secret:NAME where the address is itself a secret",
    secret=True,
    also=_STRING,
)
SLACK_USER: Final = Word(
    "a Slack member's ID",
    _text,
    pattern=r"[UW][A-Z0-9]{2,30}",
    write="write the ID that Slack shows under Copy member ID, such as U012ABCDEF",
    also=_STRING,
)
SLACK_CHANNEL: Final = Word(
    "a Slack channel's ID",
    _text,
    pattern=r"[CG][A-Z0-9]{2,30}",
    write="write the ID that Slack shows at the end of the channel's details, such as C012ABCDEF",
    also=_STRING,
)
NTFY_TOPIC: Final = Word(
    "a topic of ntfy's",
    _text,
    pattern=r"[-_A-Za-z0-9]{1,64}",
    write="write the topic without its server: letters, digits, - and _, at most 64",
    also=_STRING,
)
TWILIO_ACCOUNT: Final = Word(
    "a Twilio account's SID", _text, pattern=r"AC[0-9A-Za-z]{1,64}", write="it begins with AC", also=_STRING
)
TWILIO_SENDER: Final = Word(
    "a number of yours at Twilio",
    _text,
    pattern=r"\+[1-9][0-9]{6,14}",
    write='write it as E.164, quoted: "+" and its country first, no spaces, such as "+34910000000"',
    also=_STRING,
)
MATRIX_USER: Final = Word(
    "a Matrix user",
    _text,
    pattern=r"@[!-9;-~]{1,200}:[A-Za-z0-9.\-]{1,200}(:[0-9]{1,5})?",
    write='write it whole and quoted, such as "@ana:matrix.shop.example"',
    also=_STRING,
)
MATCHER: Final = Word("a matcher", _matcher, also=_STRING)
REGEX: Final = Word("a regular expression", _regex)
LABEL: Final = Word(
    "a label's name",
    _text,
    pattern=r"[A-Za-z_:][A-Za-z0-9_:.\-]*",
    write="write the name alone, such as alertname",
    also=_STRING,
)
CRON: Final = Word(
    "a cron line",
    _cron,
    pattern=r"[0-9A-Za-z*/,#\-]{1,200}( +[0-9A-Za-z*/,#\-]{1,200}){4}",
    write=_CRON_RULE,
    also=_STRING,
)
SEVERITY: Final = At(
    Word("a severity", _text, pattern=r"[A-Za-z0-9][A-Za-z0-9._ \-]{0,63}", write="write a word such as critical")
)
SEVERITY_WORD: Final = Word("a severity as monitors write it", _text)
LEVEL: Final = Choice("one of Tocsin's severities", *SEVERITIES)
URGENCY: Final = Choice("an urgency", "high", "low")
STATUS: Final = Word(
    "a range of HTTP status codes",
    _status,
    pattern=r"[0-9]{3}(-[0-9]{3})?( *, *[0-9]{3}(-[0-9]{3})?){0,19}",
    write=_STATUS_RULE,
    also={"type": ["string", "integer"]},
)
HOST_PORT: Final = Word(
    "a host and a port",
    _host_port,
    pattern=_HOST + ":[0-9]{1,5}",
    write="write host:port, such as db.shop.example:5432",
    also=_STRING,
)
FOLLOWED: Final = Word(
    "a primary",
    _followed,
    pattern=f"any|{_HOST}:[0-9]{{1,5}}",
    write="write host:port as the replica itself says it, such as cart-1:6379, or any",
    also=_STRING,
)
SMTP: Final = Word(
    "a mail server",
    _server,
    pattern=rf"(smtp|smtps|smtp\+starttls)://{_HOST}(:[0-9]{{1,5}})?",
    write="write smtp://, smtp+starttls:// or smtps:// and host:port, and no password",
    secret=True,
    also=_STRING,
)
PATH: Final = Word("an absolute path", _text, pattern=r"/[^\x00-\x1f]{0,1000}", write="begin it with /", also=_STRING)
PROCESS: Final = Word("a process' name", _text, pattern=r"[^\x00-\x1f]{1,200}")
PERCENT: Final = Word(
    "a share of a disk",
    _percent,
    pattern=r"[0-9]{1,3}(\.[0-9]{1,3})? ?%",
    write=_PERCENT_RULE,
    also=_STRING,
)
SHARE: Final = Word(
    "a share",
    _share,
    pattern=r"[0-9]{1,3}(\.[0-9]{1,3})? ?%",
    write="write a number up to 100 with a percent sign, such as 80%",
    also=_STRING,
)
SIZE: Final = Word(
    "a size",
    _bytes,
    pattern=SIZE_PATTERN,
    write="write a number and its unit, such as 2GB or 500MiB",
    also=_STRING,
)
BODY: Final = Word(
    "a size", _body, pattern=SIZE_PATTERN, write="write a number and its unit, such as 1MB or 512KiB", also=_STRING
)
RATE: Final = Word("a rate", _rate, pattern=RATE_PATTERN, write="write requests per time, such as 50/s", also=_STRING)
PACE: Final = Word("a rate", _rate, pattern=RATE_PATTERN, write="write messages per time, such as 1/s", also=_STRING)
BURST: Final = whole("a burst", 1, MOST_BURST)
ALERTS: Final = whole("a number of alerts", 1, MOST_ALERTS)
TIER: Final = whole("a tier", 1, 5)
VERSION: Final = At(Word("the language's version", _text, also={"type": ["integer", "string"], "enum": [1, "1"]}))
SWITCH: Final = Choice("on or off", "on", "off")
SOURCE: Final = Choice("a source", *KINDS)

LATENCY: Final = duration(MILLISECOND, 5 * MINUTE)
EVERY: Final = duration(SECOND, DAY)
TIMEOUT: Final = duration(100 * MILLISECOND, 5 * MINUTE)
LOOP_EVERY: Final = duration(MINUTE, 7 * DAY)
LOOP_WITHIN: Final = duration(SECOND, DAY)
WAIT: Final = duration(SECOND, 7 * DAY)
GRACE: Final = duration(0, 30 * DAY)
PERIOD: Final = duration(SECOND, YEAR)
MONTH: Final = duration(0, 30 * DAY)
HOLD: Final = duration(SECOND, 30 * DAY)
CODE: Final = duration(10 * SECOND, 4 * HOUR)
