"""A person's contact methods: what an address must look like, what state a method is in, and the code that proves it.

A code is derived, never kept: six digits from the signing key and a random seed. What travels in the command, and lies
in the journal and the tables, is the seed and a keyed hash. Whoever sends the code makes it again from the seed.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from hashlib import sha256
from typing import Literal

from msgspec import Struct

from tocsin.kernel.instant import HOUR, MINUTE, Duration, Instant
from tocsin.pages.profile import BadAddress
from tocsin.pages.profiles import profile

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


class Contact(Struct, kw_only=True, omit_defaults=True):
    """One way to reach a person. ``declared``: the plan names it, so it is trusted as it stands.

    ``state``: unverified until its code came back; failing when its channel refused the address for good, as
    ``failure`` says. ``seed`` and ``code_hash`` belong to the last code, which works until ``code_until`` and for
    ``tries`` below CODE_TRIES. ``asked``: when codes and tests were sent, within the last hour. ``paged``: when pages
    left by it lately, oldest first, and ``graded`` how grave each was. ``refused_under``: how its channel was set up
    when that refused the address, as ``Plan.set_up_as`` says; "" when its owner says that it fails. ``left_at``:
    since when the plan, which declared it, leaves it out; it is not used meanwhile.
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
    refused_under: str = ""
    seed: bytes = b""
    code_hash: bytes = b""
    code_until: Instant | None = None
    tries: int = 0
    asked: list[Instant] = []
    paged: list[Instant] = []
    graded: list[str] = []
    left_at: Instant | None = None
    removed: bool = False

    @property
    def trusted(self) -> bool:
        """Whether pages may go there: it was proven once, even if it fails at the moment."""
        return self.verified_at is not None

    def fails(self, now: Instant, why: str, under: str = "") -> None:
        """It does not work, and is left alone while there is another. What was never proven stays so."""
        self.failed_at, self.failure, self.refused_under = now, why, under
        if self.trusted:
            self.state = "failing"

    def works(self) -> None:
        """It is used like any other again."""
        self.state, self.failure, self.failed_at, self.refused_under = "verified", "", None, ""

    def forget_code(self) -> None:
        """The last code works no more."""
        self.seed = self.code_hash = b""
        self.code_until, self.tries = None, 0


def checked_address(channel: str, address: str, set_up: Mapping[str, str] | None = None) -> str:
    """The address as it is kept. Raises BadAddress. ``set_up``: what the plan says of the channel."""
    text, own = address.strip(), profile(channel).own
    if not text or len(text) > 2_000 or not text.isprintable():
        raise BadAddress("an address has 1 to 2,000 printable characters")
    beside = [(set_up or {}).get(own.allowed, "")] if own is not None and own.allowed else []
    kept = own.check(text, *beside) if own is not None else text
    if own is None or kept.lower().startswith("secret:"):
        raise BadAddress("a reference to a secret belongs in the plan")
    return kept


def readable(channel: str, address: str) -> str:
    """An address as its owner is shown it."""
    own = profile(channel).own
    return address if own is None else own.shown(address)


def masked(channel: str, address: str) -> str:
    """An address for everyone who may look but is not its owner: enough to recognise it, too little to use it."""
    return profile(channel).masked(address)


def directness(contact: Contact) -> tuple[int, int]:
    """Sorts the most direct way first; of equals the older one."""
    return profile(contact.channel).directness, contact.id


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
