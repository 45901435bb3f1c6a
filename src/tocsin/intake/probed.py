"""What a plan may say of a probe, and what its check is told of that. Each probe's file declares its own.

The file in ``intake/probes`` has the record as ``PROBE``: a subclass of ``Probed`` whose key of the probe's own name
says what is looked at. Its check gets what ``looks_at`` answers as ``ProbeSpec.target`` and ``ProbeSpec.options``.
"""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit

from tocsin.kernel.instant import DAY, MILLISECOND, MINUTE, SECOND, Duration
from tocsin.notation.decoder import Field, Record, Unfit, Word
from tocsin.notation.findings import Findings, shown
from tocsin.notation.words import NAME, SEVERITY, STRING, TITLE, duration, whole

Looks = tuple[str, dict[str, str]]
"""Target and options, all texts; options that the plan leaves out are absent."""

_PERCENT_RULE: Final = "write a number up to 100 with a percent sign, such as 90%"


def _percent(text: str) -> str:
    number = text.rstrip("% ")
    if not 0 < float(number) <= 100:
        raise Unfit(f"{shown(text)} is not a share of a disk", _PERCENT_RULE)
    return number


PERCENT: Final = Word(
    "a share of a disk",
    _percent,
    pattern=r"[0-9]{1,3}(\.[0-9]{1,3})? ?%",
    write=_PERCENT_RULE,
    also=STRING,
)


_EVERY: Final = duration(SECOND, DAY)
_TIMEOUT: Final = duration(100 * MILLISECOND, 5 * MINUTE)


class Probed(Record):
    """What every probe can say."""

    what = "a probe"
    name = Field(NAME, "What the probe is called. Default: its kind and what it looks at.")
    title = Field(TITLE, "What its failure means to people, such as Cards cannot be charged. Default: what it found.")
    every = Field(_EVERY, "How often it looks. Default: 30s.")
    timeout = Field(_TIMEOUT, "How long it waits for an answer, never longer than `every`. Default: 5s.")
    failures = Field(whole("a number of failures", 1, 100), "How many failures in a row make an alert. Default: 2.")
    severity = Field(SEVERITY, "How grave a failure is, as a monitor would say it. Default: critical.")

    def looks_at(self, findings: Findings) -> Looks:
        """What it looks at, and how, as its check is told. Reports what does not go together."""
        raise NotImplementedError

    def check(self, timeout: Duration, findings: Findings) -> None:
        """Report what does not go together with how long it waits for an answer."""

    def named(self, kind: str, target: str) -> str:
        """What it is called when nobody named it."""
        return f"{kind} {target.removeprefix('secret:')}"


def said(**options: str | int | None) -> dict[str, str]:
    """Options as texts, without those that were left out."""
    return {name: str(value) for name, value in options.items() if value is not None}


def url_named(kind: str, url: str) -> str:
    """What a probe of a URL is called that nobody named. A query may hold a token, so it stays out."""
    parts = urlsplit(url)
    return f"{kind} {parts.netloc}{parts.path}".rstrip("/")
