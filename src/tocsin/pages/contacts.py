"""A person's contact methods: what an address must look like, what state a method is in, and the code that proves it.

A code is derived, never kept: six digits from the signing key and a random seed. What travels in the command, and lies
in the journal and the tables, is the seed and a keyed hash. Whoever sends the code makes it again from the seed.
"""

from __future__ import annotations

import hmac
import ipaddress
import re
from hashlib import sha256
from typing import Literal
from urllib.parse import unquote, urlsplit

from msgspec import Struct

from tocsin.kernel.instant import HOUR, MINUTE, Duration, Instant
from tocsin.pages.subscription import read_subscription

ContactState = Literal["unverified", "verified", "failing"]

CODE_WORKS: Duration = 10 * MINUTE
CODE_TRIES = 5
CODES_PER_HOUR = 5
"""Messages a person may have sent to their own methods in an hour, codes and tests together, for each method …"""
CODES_PER_PERSON = 15
"""… and for all of them: whoever gets into an account must not run up a telephone bill."""
ASKED_WITHIN: Duration = HOUR
MOST_CONTACTS = 20
LONGEST_LABEL = 60

CONSOLE = "console"
DEVICE = "push"
"""The channel whose addresses browsers give: push subscriptions."""
DIRECT = ("push", "sms", "voice", "call", "telegram", "signal", "whatsapp", "ntfy", "slack", "teams", "matrix")
"""The most direct ways first. What is not named comes after these; e-mail, which wakes nobody, is the last."""
PHONES = frozenset({"sms", "voice", "call", "whatsapp", "signal"})
THEIRS = PHONES | {DEVICE, "telegram", "ntfy"}
"""The channels of which the plan names nobody's address: people add and prove their own."""
OWN = frozenset({*DIRECT, "email", "webhook"})
"""The channels people can add methods for. Others have addresses that only the plan may say, such as references to a
secret: whoever named one of those could use any secret of the server."""

_EMAIL = re.compile(r"[^@\s<>,;:\"()\[\]\x00-\x1f]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9.\-]{0,252})")
_PHONE = re.compile(r"\+[1-9][0-9]{6,14}")
_MATRIX = re.compile(r"@[^\s:@]{1,200}:[A-Za-z0-9.\-\[\]:]{1,255}")
_SLACK = re.compile(r"[UW][A-Z0-9]{6,20}")
_TELEGRAM = re.compile(r"[1-9][0-9]{2,15}")
_NTFY = re.compile(r"[-_A-Za-z0-9]{1,64}")
_PHONE_FILL = re.compile(r"[\s().\-/\u2010-\u2015]")


class Contact(Struct, kw_only=True, omit_defaults=True):
    """One way to reach a person. ``declared``: the plan names it, so it is trusted as it stands.

    ``state``: unverified until its code came back; failing when its channel refused the address for good, as
    ``failure`` says. ``seed`` and ``code_hash`` belong to the last code, which works until ``code_until`` and for
    ``tries`` below CODE_TRIES. ``asked``: when codes and tests were sent, within the last hour. ``paged``: when pages
    left by it lately, oldest first, and ``graded`` how grave each was.
    """

    id: int
    person: str
    channel: str
    address: str
    label: str = ""
    state: ContactState = "unverified"
    declared: bool = False
    added_at: Instant
    added_by: str = ""
    verified_at: Instant | None = None
    failed_at: Instant | None = None
    failure: str = ""
    seed: bytes = b""
    code_hash: bytes = b""
    code_until: Instant | None = None
    tries: int = 0
    asked: list[Instant] = []
    paged: list[Instant] = []
    graded: list[str] = []
    removed: bool = False

    @property
    def trusted(self) -> bool:
        """Whether pages may go there: it was proven once, even if it fails at the moment."""
        return self.verified_at is not None


    def forget_code(self) -> None:
        """The last code works no more."""
        self.seed = self.code_hash = b""
        self.code_until, self.tries = None, 0


class BadAddress(ValueError):
    """An address cannot be one of its channel; the message says what to write."""


def checked_address(channel: str, address: str) -> str:
    """The address as it is kept. Raises BadAddress.

    Telephones are E.164: a plus sign, the country, the number; spaces and dashes are left out. A webhook is https.
    """
    text = address.strip()
    if not text or len(text) > 2_000 or not text.isprintable():
        raise BadAddress("an address has 1 to 2,000 printable characters")
    if channel == "email":
        if not _EMAIL.fullmatch(text):
            raise BadAddress("write a plain e-mail address, such as ana@shop.example")
        local, _, domain = text.rpartition("@")
        return f"{local}@{domain.lower()}"
    if channel in PHONES:
        number = _PHONE_FILL.sub("", text)
        if not _PHONE.fullmatch(number):
            raise BadAddress("write the number with + and its country, such as +34 600 000 000")
        return number
    if channel == "webhook":
        return _checked_url(text)
    if channel == DEVICE:
        try:
            return read_subscription(text).written()
        except ValueError as error:
            raise BadAddress(str(error)) from None
    if channel == "matrix" and not _MATRIX.fullmatch(text):
        raise BadAddress("write the Matrix user in full, such as @ana:matrix.shop.example")
    if channel == "slack" and not _SLACK.fullmatch(text):
        raise BadAddress("write the member ID from the Slack profile, such as U024BE7LH")
    if channel == "telegram" and not _TELEGRAM.fullmatch(text):
        # A group's is negative: its button could be pressed, and its pages answered, by anybody in it.
        raise BadAddress("write the number that Tocsin's bot answers when you send it /start, such as 123456789")
    if channel == "ntfy" and not _NTFY.fullmatch(text):
        raise BadAddress("write the topic you subscribed to, without its server: letters, digits, - and _, at most 64")
    if text.lower().startswith("secret:"):
        raise BadAddress("a reference to a secret belongs in the plan")
    return text


def _checked_url(text: str) -> str:
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
    if _never_sent_to(parts.hostname or ""):
        raise BadAddress("to a link-local, metadata, multicast or reserved address nothing is ever sent")
    if _this_machine(parts.hostname or ""):
        raise BadAddress("that is the machine Tocsin runs on: only the plan sends pages there, as a person's `webhook`")
    return text


_LOOPBACKS = frozenset({"localhost", "localhost.localdomain", "ip6-localhost", "ip6-loopback"})
_PART = re.compile(r"0x[0-9a-f]{1,8}|0[0-7]{0,11}|[1-9][0-9]{0,9}")


def _this_machine(host: str) -> bool:
    """Whether a host is written as Tocsin's own machine. What else listens there expects its administrator alone."""
    name = unquote(host).rstrip(".").lower()
    if name in _LOOPBACKS or name.endswith(".localhost"):
        return True
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return (short := _short_ipv4(name)) is not None and short.is_loopback
    if isinstance(address, ipaddress.IPv6Address) and not address.is_loopback:
        carried = address.ipv4_mapped or (ipaddress.IPv4Address(int(address)) if int(address) >> 32 == 0 else None)
        return carried is not None and carried.is_loopback
    return address.is_loopback


def _short_ipv4(name: str) -> ipaddress.IPv4Address | None:
    """What resolvers take for an IPv4 address though it is not written as one: ``127.1``, ``0x7f.1``, ``2130706433``.

    The last part fills what the others leave; None when it is none.
    """
    parts = name.split(".")
    if len(parts) > 4 or not all(_PART.fullmatch(part) for part in parts):
        return None
    numbers = [int(part, 16 if part.startswith("0x") else 8 if part.startswith("0") else 10) for part in parts]
    *first, last = numbers
    if any(number > 255 for number in first) or last >= 256 ** (4 - len(first)):
        return None
    return ipaddress.IPv4Address(sum(number << (24 - 8 * at) for at, number in enumerate(first)) + last)


def _never_sent_to(host: str) -> bool:
    """Whether a host is written as an address that is surely refused. The guard of connections has the last word."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    reserved = address.version == 4 and address.is_reserved
    return address.is_link_local or address.is_multicast or address.is_unspecified or reserved


def readable(channel: str, address: str) -> str:
    """An address as its owner is shown it. A device's is a secret between its browser and this server."""
    if channel != DEVICE:
        return address
    return f"a device, by {urlsplit(read_subscription(address).endpoint).hostname}"


def masked(channel: str, address: str) -> str:
    """An address for everyone who may look but is not its owner: enough to recognise it, too little to use it."""
    if channel == "email":
        local, _, domain = address.rpartition("@")
        return f"{local[:1]}…@{domain}"
    if channel == DEVICE:
        return "a device"
    if channel == "webhook":
        parts = urlsplit(address)
        host = parts.netloc.rpartition("@")[2]
        return f"{parts.scheme}://{host}/…" if host else "…"
    return f"…{address[-3:]}" if len(address) > 6 else "…"


def directness(contact: Contact) -> tuple[int, int]:
    """Sorts the most direct way first; of equals the older one."""
    rank = DIRECT.index(contact.channel) if contact.channel in DIRECT else len(DIRECT)
    return (len(DIRECT) + 1 if contact.channel == "email" else rank), contact.id


def code_of(key: bytes, contact: int, seed: bytes) -> str:
    """The six digits that a seed stands for. ``key`` is the server's signing key."""
    digest = hmac.new(key, b"tocsin contact code v1\0%d\0" % contact + seed, sha256).digest()
    return f"{int.from_bytes(digest[:8]) % 1_000_000:06d}"


def code_hash(key: bytes, contact: int, seed: bytes, code: str) -> bytes:
    """What is kept of a code. Keyed: a million codes are tried in a second by whoever has a plain hash."""
    digits = "".join(code.split())[:32].encode("utf-8", "replace")
    return hmac.new(key, b"tocsin contact hash v1\0%d\0" % contact + seed + b"\0" + digits, sha256).digest()


def webhook_secret(key: bytes, contact: int) -> str:
    """What pages to a webhook that a person added are signed with: a Standard Webhooks secret, derived, never kept."""
    from base64 import b64encode

    return "whsec_" + b64encode(hmac.new(key, b"tocsin webhook v1\0%d" % contact, sha256).digest()).decode()
