"""HTTP: does a URL answer, as it should, soon enough, with a certificate that lasts?

Options: ``status`` (``200-399``, or several as ``200,204,300-399``), ``body`` (RE2 pattern that must be found in the
first megabyte), ``latency`` (microseconds until the whole answer is there), ``certificate_days`` (days the certificate
must still be valid). Redirects are an answer like any other and are not followed.
"""

from __future__ import annotations

from time import perf_counter
from typing import Final

from tocsin.intake.checked import Checked, Measured, without_credentials
from tocsin.intake.probed import Looks, Probed, said, url_named
from tocsin.intake.specs import ProbeSpec
from tocsin.kernel.instant import DAY, MILLISECOND, MINUTE, SECOND, Duration, Instant, format_duration, to_datetime
from tocsin.kernel.matcher import MatcherError, compiled
from tocsin.kernel.outside import Answer, Outside, Unanswered
from tocsin.notation.decoder import Field, Unfit, Word
from tocsin.notation.findings import Findings, shown
from tocsin.notation.words import URL, duration, whole

_READ = 1_000_000


async def check(spec: ProbeSpec, now: Instant, outside: Outside) -> Checked:
    """Ask once with GET and judge the answer."""
    asked = f"GET {_short(without_credentials(spec.target))}"
    wanted = spec.options.get("status", "200-399")
    timeout = spec.timeout / SECOND
    started = perf_counter()
    answer = await outside.request("GET", spec.target, within=timeout, limit=_READ)
    took = perf_counter() - started
    facts = {"took": f"{took:.3f} s"}
    if isinstance(answer, Unanswered):
        if answer.code == "deadline":
            return Checked(False, f"{asked} did not answer within {timeout:g} s", facts)
        return Checked(False, f"{asked} did not answer: {answer.error}", facts)
    facts["status"] = str(answer.status)
    if answer.certificate_until is not None:
        facts["certificate_until"] = f"{to_datetime(answer.certificate_until):%Y-%m-%d}"
    said = f"{asked} answered {answer.status} after {_seconds(took)}"
    measured = Measured("answered after", round(took, 4), "s", int(spec.options.get("latency", 0)) / SECOND or None)
    try:
        if not _within(answer.status, wanted):
            return Checked(False, f"{said}, expected {wanted}", facts, measured)
        wrong = _body(spec, answer) or _latency(spec, took) or _certificate(spec, answer, now)
    except ValueError as error:
        return Checked(False, f"{asked} could not be judged: this probe is set wrong: {error}", facts)
    return Checked(not wrong, f"{said}, {wrong}" if wrong else said, facts, measured)


def _body(spec: ProbeSpec, answer: Answer) -> str:
    pattern = spec.options.get("body", "")
    if not pattern or compiled(pattern).search(answer.body.decode("utf-8", "replace")):
        return ""
    return f"but {_short(pattern)!r} is not in {'the first megabyte of ' if answer.truncated else ''}the answer"


def _latency(spec: ProbeSpec, took: float) -> str:
    limit = int(spec.options.get("latency", 0))
    return f"slower than the {_seconds(limit / SECOND)} allowed" if limit and took * SECOND > limit else ""


def _certificate(spec: ProbeSpec, answer: Answer, now: Instant) -> str:
    days = int(spec.options.get("certificate_days", 0))
    if not days:
        return ""
    if answer.certificate_until is None:
        return "but without TLS there is no certificate to look at"
    left = answer.certificate_until - now
    if left >= days * DAY:
        return ""
    ends = f"{to_datetime(answer.certificate_until):%Y-%m-%d}"
    return f"but its certificate ends in {_days(left)}, on {ends}; at least {_days(days * DAY)} are wanted"


def _within(status: int, wanted: str) -> bool:
    for part in wanted.split(","):
        first, _, last = part.strip().partition("-")
        if int(first) <= status <= int(last or first):
            return True
    return False


def _days(span: int) -> str:
    days = span // DAY
    return "1 day" if days == 1 else f"{days} days"


def _seconds(span: float) -> str:
    return f"{span * 1000:.0f} ms" if span < 0.1 else f"{span:.1f} s"


def _short(text: str) -> str:
    return text if len(text) <= 120 else f"{text[:119]}…"


_STATUS_RULE: Final = "write codes from 100 to 599, such as 200-399 or 200,204"


def _regex(text: str) -> str:
    try:
        compiled(text)
    except MatcherError as error:
        raise Unfit(str(error), "single quotes leave backslashes alone") from None
    return text


def _status(text: str) -> str:
    spans = text.replace(" ", "").split(",")
    for span in spans:
        low, _, high = span.partition("-")
        if not 100 <= int(low) <= int(high or low) <= 599:
            raise Unfit(f"{shown(span)} is not a range of HTTP status codes", _STATUS_RULE)
    return ",".join(spans)


REGEX: Final = Word("a regular expression", _regex)
STATUS: Final = Word(
    "a range of HTTP status codes",
    _status,
    pattern=r"[0-9]{3}(-[0-9]{3})?( *, *[0-9]{3}(-[0-9]{3})?){0,19}",
    write=_STATUS_RULE,
    also={"type": ["string", "integer"]},
)
LATENCY: Final = duration(MILLISECOND, 5 * MINUTE)


class HttpProbe(Probed):
    """Asks a URL and judges the answer."""

    what = "an http probe"
    http = Field(URL, "The URL to ask for.", required=True)
    status = Field(STATUS, "Status codes that are well. Default: 200-399.")
    body = Field(REGEX, "A regular expression (RE2) that the body must contain.")
    latency = Field(LATENCY, "An answer that takes longer is a failure.")
    certificate_days = Field(whole("a number of days", 1, 3650), "How many days its certificate must be good for.")

    def looks_at(self, findings: Findings) -> Looks:
        """A URL, and what of the answer is judged: ``status`` such as ``200-399`` or ``200,204``; ``body``, an RE2
        pattern to be found; ``latency`` in microseconds; ``certificate_days``, whole days that must be left.
        """
        url, days = self.http or "", self.certificate_days
        if days is not None and url and not url.lower().startswith("https:"):
            findings.error(self.where("certificate days"), "only https:// has a certificate")
        return url, said(status=self.status, body=self.body, latency=self.latency, certificate_days=days)

    def named(self, kind: str, target: str) -> str:
        """The URL without its query, which may hold a token."""
        return url_named(kind, target)

    def check(self, timeout: Duration, findings: Findings) -> None:
        """An answer that is too late has failed before it is judged."""
        if (self.latency or 0) > timeout:
            message = f"an answer later than {format_duration(timeout)} has failed already"
            findings.error(self.where("latency"), message, "latency is never longer than timeout")


PROBE = HttpProbe
