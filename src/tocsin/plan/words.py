"""The words of the plan language: what a name, a duration, a zone or a matcher looks like, and how its text is read."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from difflib import get_close_matches
from functools import cache
from typing import Final

from cronsim import CronSim, CronSimError

from tocsin.access.limits import MOST_ALERTS, RATE_PATTERN, SIZE_PATTERN, KeyLimits
from tocsin.incidents.routes import SEVERITIES
from tocsin.intake.entrances import KINDS
from tocsin.kernel.instant import DAY, HOUR, MINUTE, SECOND
from tocsin.kernel.matcher import Matcher, MatcherError, parse_matcher
from tocsin.notation.decoder import At, Choice, Unfit, Word
from tocsin.notation.findings import nearest, shown
from tocsin.notation.words import (
    HOST,
    NAME,
    NAME_PATTERN,
    STRING,
    duration,
    per_second,
    read_limit,
    read_size,
    read_url,
    whole,
)
from tocsin.oncall.zone import zones
from tocsin.pages.templates import PLACEHOLDERS, fault, says_what

_CRON_RULE: Final = "write five fields: minute, hour, day of month, month, day of week, such as 0 3 * * *"



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


def _cron(text: str) -> str:
    # CronSim asserts what a caller may not write, and needs a moment to count from: any will do.
    try:
        if len(text.split()) != 5:
            raise ValueError("it has not five fields")
        next(CronSim(text, datetime(2026, 1, 1, tzinfo=UTC)))
    except StopIteration:
        raise Unfit(f"the cron line {shown(text)} names a time that never comes") from None
    except (CronSimError, ValueError, TypeError, AssertionError) as error:
        why = str(error).lower() if isinstance(error, CronSimError) else "not a cron line"
        raise Unfit(f"{shown(text)} is not a cron line: {why}", _CRON_RULE) from None
    return text


def _matcher(text: str) -> Matcher:
    try:
        return parse_matcher(text)
    except MatcherError as error:
        raise Unfit(str(error)) from None


def _server(text: str) -> str:
    port = re.search(r":([0-9]+)$", text)
    if port and not 0 < int(port[1]) < 65536:
        raise Unfit(f"{shown(text)} has no valid port", "ports are 1 to 65535")
    return text


def _share(text: str) -> float:
    share = float(text.rstrip("% "))
    if share > 100:
        raise Unfit(f"{shown(text)} is more than all")
    return share


def _body(text: str) -> int:
    return read_limit(KeyLimits(body=read_size(text))).body or 0


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


def _target(text: str) -> str:
    """``team:shop``; ``schedule:shop-primary:next``; ``name:ana`` for a person or a schedule, told apart later."""
    first, _, rest = text.partition(" ")
    if first == "team" and rest:
        return f"team:{rest.strip()}"
    if first in ("next", "previous") and rest:
        return f"schedule:{rest.split()[1]}:{first}"
    return f"name:{text}"


LINE_TEMPLATE: Final = Word("a line with placeholders", _template)
TEXT_TEMPLATE: Final = Word("a text with placeholders", _page_template)
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
ZONE: Final = Word("a time zone", _zone, write="write a name such as Europe/Madrid or UTC", also=STRING)
FEED: Final = Word(
    "a URL or a reference to a secret",
    lambda text: text if text.startswith("secret:") else read_url(text),
    pattern=r"secret:[A-Za-z0-9_][A-Za-z0-9_.\-]{0,127}|[Hh][Tt][Tt][Pp][Ss]?://[^\s/]\S{0,2040}",
    write="write it in full, beginning with https://, or secret:NAME where the address is itself a secret",
    secret=True,
    also=STRING,
)
MATCHER: Final = Word("a matcher", _matcher, also=STRING)
LABEL: Final = Word(
    "a label's name",
    str,
    pattern=r"[A-Za-z_:][A-Za-z0-9_:.\-]*",
    write="write the name alone, such as alertname",
    also=STRING,
)
CRON: Final = Word(
    "a cron line",
    _cron,
    pattern=r"[0-9A-Za-z*/,#\-]{1,200}( +[0-9A-Za-z*/,#\-]{1,200}){4}",
    write=_CRON_RULE,
    also=STRING,
)
SEVERITY_WORD: Final = Word("a severity as monitors write it", str)
LEVEL: Final = Choice("one of Tocsin's severities", *SEVERITIES)
URGENCY: Final = Choice("an urgency", "high", "low")
SMTP: Final = Word(
    "a mail server",
    _server,
    pattern=rf"(smtp|smtps|smtp\+starttls)://{HOST}(:[0-9]{{1,5}})?",
    write="write smtp://, smtp+starttls:// or smtps:// and host:port, and no password",
    secret=True,
    also=STRING,
)
SHARE: Final = Word(
    "a share",
    _share,
    pattern=r"[0-9]{1,3}(\.[0-9]{1,3})? ?%",
    write="write a number up to 100 with a percent sign, such as 80%",
    also=STRING,
)
BODY: Final = Word(
    "a size", _body, pattern=SIZE_PATTERN, write="write a number and its unit, such as 1MB or 512KiB", also=STRING
)
RATE: Final = Word(
    "a rate", per_second, pattern=RATE_PATTERN, write="write requests per time, such as 50/s", also=STRING
)
ALERTS: Final = whole("a number of alerts", 1, MOST_ALERTS)
TIER: Final = whole("a tier", 1, 5)
VERSION: Final = At(Word("the language's version", str, also={"type": ["integer", "string"], "enum": [1, "1"]}))
SOURCE: Final = Choice("a source", *KINDS)

LOOP_EVERY: Final = duration(MINUTE, 7 * DAY)
LOOP_WITHIN: Final = duration(SECOND, DAY)
WAIT: Final = duration(SECOND, 7 * DAY)
GRACE: Final = duration(0, 30 * DAY)
MONTH: Final = duration(0, 30 * DAY)
HOLD: Final = duration(SECOND, 30 * DAY)
CODE: Final = duration(10 * SECOND, 4 * HOUR)
