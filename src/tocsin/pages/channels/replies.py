"""What an HTTP provider's answer means for a page: taken, try again, or never."""

from __future__ import annotations

from datetime import UTC
from urllib.parse import urlsplit

from msgspec import structs

from tocsin.kernel.instant import HOUR, SECOND, Duration, Instant, from_datetime
from tocsin.kernel.outside import Answer, Unanswered
from tocsin.pages.message import Failed

_LONGEST_WAIT = HOUR
_THE_URLS = frozenset({"client", "refused_address"})


def failed(answer: Answer | Unanswered, now: Instant, who: str) -> Failed | None:
    """What stands in the way, or None: it was taken. ``who`` begins the sentence, such as "the webhook".

    Nothing of it is the person's fault: who knows that the answer speaks of their address says so.
    """
    if isinstance(answer, Unanswered):
        # A certificate, a refused address or an impossible URL stay as they are; the rest may pass.
        certain = answer.code in ("refused_address", "client") or answer.error.startswith("its certificate")
        return Failed(answer.code, f"{who} did not answer: {answer.error}", permanent=certain)
    status, said = answer.status, f"{who} answered {answer.status}"
    wait = retry_after(answer.headers.get("retry-after", ""), now)
    if 200 <= status < 300:
        return None
    if status == 429:
        return Failed("rate_limit", f"{said}: too many requests", retry_after=wait)
    if status in (408, 425) or status >= 500:
        return Failed("server", said, retry_after=wait)
    if status == 410:
        return Failed("client", f"{said}: it is gone for good", permanent=True)
    if status in (401, 403):
        return Failed("auth", said, permanent=True)
    if 300 <= status < 400:
        return Failed("client", f"{said}: redirects are not followed, use the final URL", permanent=True)
    return Failed("client" if status >= 400 else "server", said, permanent=status >= 400)


def replied(answer: Answer | Unanswered, now: Instant, who: str) -> tuple[Answer, Failed | None] | Failed:
    """What a server says that the plan names, to be read with what ``failed`` makes of it; else why nothing can be.

    That no answer comes from there, or that it leads elsewhere, is its setting's fault: the address is in the plan.
    """
    why = failed(answer, now, who)
    if why is not None and (isinstance(answer, Unanswered) or 300 <= answer.status < 400):
        return structs.replace(why, code="server") if why.code in _THE_URLS else why
    assert isinstance(answer, Answer), "who did not answer has failed"
    return answer, why


def of_its_url(why: Failed | None) -> Failed | None:
    """The same, where the URL that was asked is the person's own address: what is refused for good, is so for that."""
    return structs.replace(why, code="address") if why and why.permanent and why.code in _THE_URLS else why


def host(url: str) -> str:
    """The host a URL names, and its port where that is written; "" when it is none."""
    try:
        return urlsplit(url).netloc.rpartition("@")[2].lower()
    except ValueError:
        return ""


def retry_after(text: str, now: Instant) -> Duration | None:
    """``Retry-After`` in seconds or as a date, at most an hour ahead; None when it says nothing usable."""
    text = text.strip()
    if text.isascii() and text.isdigit():
        return min(int(text[:9]) * SECOND, _LONGEST_WAIT)
    try:
        from email.utils import parsedate_to_datetime  # brings sockets along, and is hardly ever wanted

        moment = parsedate_to_datetime(text)
        wait = from_datetime(moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - now
    except (ValueError, OverflowError, IndexError):
        return None
    return min(wait, _LONGEST_WAIT) if wait > 0 else None
