"""What a channel is handed, and what it answers."""

from __future__ import annotations

from typing import Protocol

from msgspec import Struct

from tocsin.kernel.instant import Duration, Instant
from tocsin.pages.ledger import ASKING
from tocsin.pages.templates import Words


class Message(Struct, frozen=True, kw_only=True):
    """Everything a channel needs to render one page or notice.

    Texts are as the monitors sent them: escape when rendering.

    ``idempotency_key`` is the same whenever the same page is tried again. ``acknowledge_url`` is "" for notices and
    copies. ``kind`` is that of the page; of an update, somebody has it (``state`` acknowledged, by ``who``) or it is
    over, and ``replaces`` is the provider's id of the page it is about, "" when that is not known.
    ``incidents``: how many it is about; of several ``lines`` name each, ``alerts`` and ``firing`` count all of theirs.
    ``alerts`` are all that there ever were, ``firing`` those that fire now; ``since`` is when it began or was reopened.
    ``signing``: what a webhook that the person added themself is signed with; "" for one that the plan declares.
    """

    page: int
    idempotency_key: str
    kind: str
    person: str
    person_name: str
    address: str
    timezone: str
    incident: int
    title: str
    service: str
    severity: str
    since: Instant
    now: Instant
    state: str
    alerts: int
    firing: int
    because: str
    next_step: str
    """What happens if nobody answers, as a sentence, or ""."""
    tried: tuple[str, ...] = ()
    """What code already did about it, a sentence each."""
    advice: str = ""
    """What the playbook that handed it over would have done next, or ""."""
    suspected: str = ""
    """The change out there that was the last before it began, as a sentence, or ""."""
    measured: tuple[str, ...] = ()
    """What probes measured until code began, a phrase each: ``memory used 61 % → 94 % in 12 min``."""
    who: str = ""
    replaces: str = ""
    lines: tuple[str, ...] = ()
    """Facts worth reading at night: what the firing alerts say beyond the title, bounded by the caller to 10."""
    url: str = ""
    acknowledge_url: str = ""
    possible_duplicate: bool = False
    incidents: int = 1
    signing: str = ""
    words: Words | None = None
    """The plan's own words for this channel; None: the usual ones."""

    @property
    def asks(self) -> bool:
        """Whether it wants an answer."""
        return self.kind in ASKING


class Sent(Struct, frozen=True):
    """The channel took it. ``provider_id`` is how its provider names it, "" when it does not."""

    provider_id: str = ""


class Failed(Struct, frozen=True):
    """The channel did not take it. ``permanent``: trying again cannot help. ``retry_after``: the provider's own wish.

    ``code`` is one of auth, rate_limit, client, server, deadline, unreachable, tls, refused_address, no_channel, and
    untried for what waited behind others until it was given back: those say nothing of the person. Only a channel that
    knows that its provider speaks of the person's own address says address, or gone where what that named is no more: a
    contact method that is refused so for good is marked as failing, and a device that is gone is removed.
    """

    code: str
    error: str
    permanent: bool = False
    retry_after: Duration | None = None


class Channel(Protocol):
    """One way to reach people.

    ``idempotent``: the provider drops a repetition with the same key. ``real``: not the console.
    One whose provider answers is ``Called`` or ``Listening`` as well (``pages.answers``).
    """

    name: str
    idempotent: bool
    real: bool

    async def send(self, message: Message) -> Sent | Failed:
        """Try once, within 15 seconds. Never raises for what the outside does; never logs secrets."""
        ...

    def preview(self, message: Message) -> str:
        """What it would send, as whoever is at the other end would see it. Needs no secret and sends nothing."""
        ...

    async def close(self) -> None:
        """Let go of connections."""
        ...
