"""Webhook: a person's pages posted to a URL of theirs, signed as Standard Webhooks says (standardwebhooks.com).

Headers: ``webhook-id`` is the page's idempotency key: the same for every attempt at the same page, so a receiver can
drop repetitions. ``webhook-timestamp`` is the time of the attempt in seconds since 1970. ``webhook-signature`` is
``v1,`` and the base64 of HMAC-SHA256 over ``{id}.{timestamp}.{body}`` with the bytes behind the ``whsec_`` secret.

The body is JSON; times are RFC 3339 in UTC, texts are as the monitors sent them::

    {"type": "incident.page",                    it wants an answer; "incident.notice": nobody has to answer it
     "timestamp": "2026-10-20T01:24:02.000Z",
     "data": {
       "kind": "page",                           or help (with what somebody has), drill (about nothing), notice, copy
       "page": 34,                               number of the page in the ledger
       "person": {"key": "ana", "name": "Ana", "timezone": "Europe/Madrid"},
       "incident": {"number": 12, "title": "Checkout answers 503", "service": "checkout", "severity": "sev1",
                    "state": "triggered", "since": "2026-10-20T01:18:00.000Z", "alerts": 3,
                    "firing": 2, "url": "https://…"},  alerts: all there were; firing: those that fire now
       "incidents": 1,                           more when several pages to one person went out together
       "because": "this step of the escalation was due",
       "next_step": "Ben is paged in 5 min if nobody answers",
       "lines": ["Checkout answers 503", "Payments time out"],
       "tried": ["Restarted checkout-2: it hangs again"],  what code already did, [] when nothing
       "advice": "roll checkout back",           what code suggests to do next, "" when nothing
       "suspected": "checkout: deploy 7, 16 min before it began",  the last change before it began, or ""
       "measured": ["answered after 90 ms → 4.2 s in 12 min"],  what probes measured until code began
       "acknowledge_url": "https://…",           a page with one button; fetching it acknowledges nothing
       "possible_duplicate": false}}

Any 2xx means taken. 429 and 503 may say ``Retry-After``. 410 ends it for this page, other 4xx too (not 408, 425, 429);
5xx is tried again. Redirects are refused. What the receiver answers is not read beyond 64 kB.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from urllib.parse import urlsplit

import msgspec

from tocsin.kernel.instant import SECOND, Instant, format_rfc3339
from tocsin.notation.decoder import Field, Record, RecordOf
from tocsin.notation.words import SECRET, URL
from tocsin.pages import elsewhere
from tocsin.pages.channels.replies import failed, host, of_its_url
from tocsin.pages.channels.setup import DEADLINE, Setup, no_secret
from tocsin.pages.message import Failed, Message, Sent
from tocsin.pages.profile import Address, BadAddress, Loopback, Own, Paced, Profile, SetUp
from tocsin.pages.rendering import stable_key

_READ = 65_536


class SignedPosts:
    """Posts pages, for all people of the plan. The receiver drops a repetition by its ``webhook-id``."""

    name = "webhook"
    idempotent = True
    real = True

    def __init__(self, setup: Setup) -> None:
        self._outside, self._secret, self._people = setup.outside, setup.secret, setup.people

    async def send(self, message: Message) -> Sent | Failed:
        """Post it once."""
        key = signing_key(message.signing) if message.signing else self._declared_key(message)
        if isinstance(key, Failed):
            return key
        body = payload(message)
        answer = await self._outside.request(
            "POST",
            message.address,
            headers={"content-type": "application/json", **signed(stable_key(message), message.now, body, key)},
            content=body,
            within=DEADLINE,
            limit=_READ,
        )
        return of_its_url(failed(answer, message.now, "the webhook")) or Sent()

    def preview(self, message: Message) -> str:
        """The body that is posted."""
        return msgspec.json.format(payload(message), indent=2).decode()

    def _declared_key(self, message: Message) -> bytes | Failed:
        """What pages to a webhook of the plan are signed with."""
        person = self._people.get(message.person)
        hook = person.webhook if person else None
        if hook is None or hook.url != message.address:
            return Failed("client", "the plan no longer has this webhook", permanent=True)
        try:
            return signing_key(self._secret(hook.secret))
        except binascii.Error:
            return Failed("auth", f"{hook.secret} is not a whsec_ secret: base64 is wanted", permanent=True)
        except (LookupError, OSError, ValueError) as error:
            return no_secret(hook.secret, error)

    def place(self, address: str) -> str:
        """The host that is asked."""
        return host(address)

    async def close(self) -> None:
        """Nothing is kept open."""


def signing_key(secret: str) -> bytes:
    """The bytes behind ``whsec_…``. Raises binascii.Error when it is not base64 or empty."""
    text = secret.strip().removeprefix("whsec_")
    key = base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    if not key:
        raise binascii.Error("an empty secret signs nothing")
    return key


def signed(identifier: str, now: Instant, body: bytes, key: bytes) -> dict[str, str]:
    """The three headers of Standard Webhooks for this body."""
    timestamp = str(now // SECOND)
    digest = hmac.new(key, f"{identifier}.{timestamp}.".encode() + body, hashlib.sha256).digest()
    return {
        "webhook-id": identifier,
        "webhook-timestamp": timestamp,
        "webhook-signature": f"v1,{base64.b64encode(digest).decode()}",
    }


def payload(message: Message) -> bytes:
    """The body, as the module says."""
    fields = {
        "type": "incident.page" if message.asks else "incident.notice",
        "timestamp": _time(message.now),
        "data": {
            "kind": message.kind,
            "page": message.page,
            "person": {"key": message.person, "name": message.person_name, "timezone": message.timezone},
            "incident": {
                "number": message.incident,
                "title": message.title,
                "service": message.service,
                "severity": message.severity,
                "state": message.state,
                "since": _time(message.since),
                "alerts": message.alerts,
                "firing": message.firing,
                "url": message.url,
            },
            "incidents": message.incidents,
            "because": message.because,
            "next_step": message.next_step,
            "lines": message.lines,
            "tried": message.tried,
            "advice": message.advice,
            "suspected": message.suspected,
            "measured": message.measured,
            "acknowledge_url": message.acknowledge_url,
            "possible_duplicate": message.possible_duplicate,
        },
    }
    return msgspec.json.encode(_encodable(fields))


def _encodable(value: object) -> object:
    """Halves of surrogate pairs cannot be written as UTF-8; they become U+FFFD."""
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, dict):
        return {key: _encodable(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_encodable(inner) for inner in value]
    return value


def _time(instant: Instant) -> str | None:
    try:
        return format_rfc3339(instant)
    except OverflowError:  # a time no calendar has
        return None


def checked(text: str) -> str:
    """A URL of somebody's own, as it is kept. Raises BadAddress."""
    try:
        parts = urlsplit(text)
        usable = bool(parts.hostname) and (parts.port is None or 0 < parts.port < 65536)
    except ValueError:
        usable = False
        parts = urlsplit("")
    if not usable or parts.scheme.lower() != "https" or re.search(r"[\s<>\"'\\^`{|}]", text):
        raise BadAddress("write the URL in full, beginning with https://")
    if parts.username is not None or parts.password is not None:
        raise BadAddress("a URL with a user name or a password in it is not kept")
    if why := elsewhere.refusal(text):
        raise BadAddress(why)
    return text


def masked(address: str) -> str:
    """Scheme and host."""
    parts = urlsplit(address)
    host = parts.netloc.rpartition("@")[2]
    return f"{parts.scheme}://{host}/…" if host else "…"


class Webhook(Record):
    """Where pages are posted, signed as Standard Webhooks."""

    what = "a webhook"
    instead = "write webhook: {url: https://…, secret: secret:NAME}"
    url = Field(URL, "Where pages are posted.", required=True)
    secret = Field(SECRET, "What they are signed with: secret:NAME.", required=True)


class Webhooks(Paced):
    """Webhooks, which people name themselves: each host is sent at most so many."""

    what = "the pace of webhooks"


PROFILE = Profile(
    name="webhook",
    called="Webhook",
    by="by webhook",
    make=SignedPosts,
    set_up=SetUp("webhook", Webhooks, "How fast webhooks are posted to; they need nothing else here.", needed=False),
    address=Address(RecordOf(Webhook), "Where pages are posted."),
    own=Own(checked, asks="a URL with https", signed=True),
    masked=masked,
    loopback=Loopback(
        URL, "Where one is posted: Tocsin's own /loopback, the long way round as people's pages go."
    ),
)
