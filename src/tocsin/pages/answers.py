"""What comes back through a channel: that a page arrived, that it was seen, that somebody has it.

A channel's provider is believed as far as the channel could verify it. Whether the answer counts is decided here.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Protocol, runtime_checkable

from msgspec import Struct
from msgspec.structs import replace

from tocsin.intake.request import Reply
from tocsin.kernel.instant import DAY, MINUTE, Duration, Instant
from tocsin.pages.ledger import ASKING, DRILL_WORKS, Page, Receipt

ANSWERABLE: Duration = DAY
"""So long a page can be answered in its channel; that it was is remembered at least as long, so a replay is known."""

CLOCKS: Duration = MINUTE
"""What a chat server's clock and this machine's may differ by."""
MOST_NUMBERS = 4


class Call(Struct, frozen=True, kw_only=True):
    """What a provider sent to a channel's door. ``url`` is the whole public address; header names are lower-case.

    ``path`` is what follows the channel's name in it, without a slash at the front.
    """

    url: str
    path: str
    headers: Mapping[str, str]
    body: bytes
    now: Instant


class Answer(Struct, frozen=True, kw_only=True):
    """Somebody has it. ``by`` is their address in the channel.

    ``mark`` is what the provider calls this very answer: told twice, it is one. ``typed``: they wrote the number.
    ``written``: when, where their words named no page and the channel takes them for this one, the newest that they may
    have seen; 0 of every other. ``later``: pages that are known to have come to that chat only after the words.

    ``incident``: the provider knows neither page nor address, but that somebody answered for that one, at ``happened``:
    ``page`` is 0 and ``by`` "" then, until ``behind`` has found them.
    """

    page: int
    by: str
    mark: str
    typed: bool = False
    written: Instant = 0
    later: tuple[int, ...] = ()
    incident: int = 0
    happened: Instant = 0


class Words(Struct, frozen=True, kw_only=True):
    """Somebody wrote what names no page. ``yes``: all they say is that they have it. Else as for an answer."""

    by: str
    mark: str
    yes: bool


class Got(Struct, frozen=True, kw_only=True):
    """How far a page got. ``error``: why it failed. ``provider_id``: what the provider calls the message or call."""

    page: int
    receipt: Receipt
    error: str = ""
    provider_id: str = ""


class Heard(Struct, frozen=True, kw_only=True):
    """What a channel understood and could verify. ``reply`` is given when there is no ``answer`` and no ``words``."""

    answer: Answer | None = None
    words: Words | None = None
    got: Got | None = None
    reply: Reply = Reply(200)


class Taken(Struct, frozen=True):
    """What came of an answer. ``said`` is a sentence for the person; ``ok``: it is theirs.

    ``stranger``: whoever answered was not the one who was paged. ``again``: it was not taken now, or is in memory
    alone; the provider is to tell it again, and nothing that confirms it may be said to it. ``unclear``: their words
    named no page and may mean another, or none; ``said`` asks, and the channel adds how a page is named there.
    """

    ok: bool
    said: str
    stranger: bool = False
    again: bool = False
    unclear: bool = False


class DeafError(Exception):
    """A provider cannot be listened to, for the reason in the text. It is tried again later."""


Take = Callable[[Answer | Got], Awaitable[Taken]]
Find = Callable[[str], Sequence[Page]]
"""The pages of a provider's id, or of those that begin so where a slash ends it, oldest first, while their incidents
live.
"""


@runtime_checkable
class Called(Protocol):
    """A channel whose provider calls it back, at ``/callbacks/<name>/…``."""

    def hear(self, call: Call) -> Heard | Reply:
        """What a call says; a Reply refuses one that its provider did not sign, is too old, or says nothing."""
        ...

    async def thank(self, answer: Answer, taken: Taken) -> Reply:
        """What the provider is answered when an answer was taken or not. Never raises for what the outside does."""
        ...


@runtime_checkable
class Listening(Protocol):
    """A channel that asks its provider by itself what people answered."""

    async def listen(self, take: Take, find: Find) -> None:
        """Listen until cancelled. Raises DeafError. What was not taken now is asked for again."""
        ...


def meant(pages: Sequence[Page], written: Instant) -> Sequence[Page]:
    """The pages that words without a reply may mean, of those of their chat, oldest first: one where it is clear.

    It is the newest that left before they were ``written``: they are often read late, and a page that left meanwhile
    was seen by nobody. One that left within the clocks' difference after them may have been; with others it is unclear,
    unless all are of one incident.
    """
    there = [page for page in pages if (page.handed_at or 0) <= written + CLOCKS]
    before = [page for page in there if (page.handed_at or 0) <= written]
    near = [page for page in there if page not in before]
    maybe = [*before[-1:], *near]
    return maybe[:1] if len({page.incident for page in maybe}) == 1 else maybe


def behind(answer: Answer, pages: Sequence[Page]) -> Answer:
    """An answer for an ``incident`` as one to the page it is about, of those its channel sent of it, oldest first.

    It is the newest that had been tried when it was answered. As it came, which no page is found for, where several
    people were paged there: nobody knows which of them it was.
    """
    asking = [page for page in pages if page.kind in ASKING]
    if len({(page.person, page.address) for page in asking}) != 1:
        return answer
    left = [page for page in asking if page.tried_at is not None and page.tried_at <= answer.happened + CLOCKS]
    return replace(answer, page=left[-1].id, by=left[-1].address) if left else answer


def how_to_answer(waiting: Sequence[Page]) -> str:
    """What somebody is told whose words name no page, of the pages that left for their address and wait; "" of none."""
    numbers = [str(page.id) for page in waiting][-MOST_NUMBERS:]
    if not numbers:
        return ""
    either = f"{', '.join(numbers[:-1])} or {numbers[-1]}" if len(numbers) > 1 else numbers[0]
    return f"Reply {either} to acknowledge."


def refusal(page: Page | None, channel: str, answer: Answer, now: Instant) -> str:
    """Why an answer does not count, as a sentence, or ""."""
    if page is None or page.channel != channel or page.kind not in ASKING:
        return "There is no such page, or its incident is over."
    if answer.by != page.address:
        return "This page is for somebody else."
    if now - page.intended_at > (DRILL_WORKS if page.kind == "drill" else ANSWERABLE):
        return "This page is too old to be answered here: open Tocsin."
    return ""
