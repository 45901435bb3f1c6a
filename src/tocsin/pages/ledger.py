"""The page ledger: one row for each attempt to reach one person by one method, written before it is attempted."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from msgspec import Struct

from tocsin.kernel.instant import DAY, HOUR, MINUTE, SECOND, Duration, Instant
from tocsin.kernel.reason import EXPLAINED, Reason
from tocsin.pages.profiles import CONSOLE, profile

PageState = Literal["intended", "sent", "failed", "overtaken"]
PageKind = Literal["page", "notice", "copy", "help", "drill", "update", "synthetic"]
Receipt = Literal["delivered", "seen", "failed", "busy", "no_answer", "over"]
"""What a provider says of a page later. Of a call: picked up is delivered, and ``over`` that it has ended."""

ASKING = frozenset({"page", "help", "drill"})
"""Kinds that want an answer."""
CALLS: tuple[PageKind, ...] = ("page", "help", "copy")
"""Kinds by which somebody hears of an incident because they are called about it, not told of what came of it."""
CALLED: dict[PageKind, tuple[str, str]] = {
    "page": ("page", "pages"),
    "help": ("call for help", "calls for help"),
    "copy": ("copy", "copies"),
}
"""What people call one, and several, of ``CALLS``; others are called by their kind."""
PAUSED = frozenset({"page", "copy"})
"""Kinds that do not leave while their incident is paused, or somebody has it."""
GATHERING = frozenset({Reason.BUNDLED, Reason.ON_THE_PHONE, Reason.CALLED_AGAIN})
"""What pages wait for together, to go out as one message."""
MISSED: dict[Receipt, Reason] = {"busy": Reason.LINE_BUSY, "no_answer": Reason.NO_ANSWER}
"""What a provider says of a call that nobody took, and what that is in the ledger."""
RANG = frozenset(MISSED.values())

RETRY_FIRST: Duration = 5 * SECOND
RETRY_LONGEST: Duration = 300 * SECOND
GIVE_UP_AFTER: Duration = HOUR
FORGOTTEN_AFTER: Duration = DAY
"""So long after one that reached nobody came to its end whoever judges may have let it go."""
RINGS: Duration = 45 * SECOND
"""So long a call that was made rings at most, and some seconds to be put through."""
TALKS: Duration = 2 * MINUTE
"""So long a call lasts at most that was picked up: what there is to say, twice, and time to answer."""
CALL_AGAIN: Duration = MINUTE
"""So long after a call that did not get through the number is called again,"""
MOST_CALLS = 3
"""and so often in all, unless the step is repeated."""
DRILL_WORKS: Duration = HOUR
"""So long a page of a drill can be answered."""


def called(kind: PageKind) -> str:
    """What people call a page of a kind."""
    return CALLED[kind][0] if kind in CALLED else kind


class Page(Struct, kw_only=True, omit_defaults=True):
    """One page. ``kind`` notice is a message that nobody has to answer (a silence ends soon); ``copy`` is what a shadow
    gets of a page, and counts as nobody reached; help asks someone for help with an incident that somebody has; drill
    is about nothing and only shows what a page is like; ``update`` tells where the page ``about`` went that somebody
    has the incident or that it is over; ``synthetic`` is one that Tocsin sends itself, for no person.

    ``contact`` is the person's contact method, 0 the console.
    ``next_at`` is when it is (re)tried while intended; ``attempts`` counts answers of the channel that were heard.
    ``held`` names why it was not to leave when it was written down, ``not_before`` when that ends.
    ``bundle`` is the page it goes, or went, out with in one message; that one's ``bundled`` names them all.
    ``handed_at``: when it was last handed to its channel, None while it waits for a retry. ``tried_at``: when it first
    was, ``last_tried_at``: when it last was, whatever it waits for since.
    ``lost_at``: when its channel gave up waiting to hear whether it took it; a call may ring since, all the same.
    ``unsure``: Tocsin stopped between intent and outcome, so the person may have it already.
    ``delivered_at`` and ``seen_at``: when the provider said that it reached the person's device, and that it was seen.
    ``over_at``: when the provider said that the call is over.
    ``answered_at``: when it was used to acknowledge, by its link or in its channel.
    ``instead_of``: the page that did not get through, and for which this one was written down.
    ``overtaken_by``: the newer page to the same place that took its place, 0 when there is none.
    ``lines``: what a notice says beside its title; ``gathered``: how many such it tells, 0 of one. ``silence``: which
    silences it is about, a word each: of several those that ``lines`` are of, in that order.
    ``because``: who asked for it and in which words, if a person did. ``asked_by``: the actor who asked for help by it.
    ``gentle``: a notice of low urgency, which does not leave in its person's quiet hours, however often it was tried.
    """

    id: int
    incident: int
    person: str
    channel: str
    address: str
    kind: PageKind = "page"
    title: str = ""
    reason: Reason
    step: int = 0
    contact: int = 0
    held: Reason | None = None
    not_before: Instant | None = None
    bundle: int = 0
    bundled: tuple[int, ...] = ()
    state: PageState = "intended"
    outcome: Reason | None = None
    intended_at: Instant
    next_at: Instant | None
    handed_at: Instant | None = None
    tried_at: Instant | None = None
    last_tried_at: Instant | None = None
    lost_at: Instant | None = None
    attempts: int = 0
    finished_at: Instant | None = None
    provider_id: str = ""
    error: str = ""
    unsure: bool = False
    delivered_at: Instant | None = None
    seen_at: Instant | None = None
    over_at: Instant | None = None
    answered_at: Instant | None = None
    silence: str = ""
    instead_of: int = 0
    overtaken_by: int = 0
    lines: tuple[str, ...] = ()
    gathered: int = 0
    because: str = ""
    asked_by: str = ""
    gentle: bool = False

    @property
    def why(self) -> str:
        """Why it was written down, as a clause after "because"."""
        return self.because or EXPLAINED[self.reason]

    @property
    def called(self) -> str:
        """What people call it."""
        return called(self.kind)

    @property
    def left(self) -> bool:
        """Whether its channel took it, be it after it was overtaken."""
        return self.state == "sent" or self.outcome is Reason.LEFT_BEFORE

    @property
    def left_at(self) -> Instant | None:
        """When its channel had taken it; None while it has not."""
        return self.finished_at if self.left else None

    @property
    def numbered(self) -> int:
        """The step of the escalation it is of, as people count them: from 1, and 0 where no step sent it."""
        return self.step + 1 if self.kind in ("page", "copy") else 0

    @property
    def refused(self) -> bool:
        """Whether its channel did not take it so far, and is tried again."""
        return self.state == "intended" and self.attempts > 0

    @property
    def may_reach(self) -> bool:
        """Whether it left, or is on its first way out: one that was refused has reached nobody yet."""
        return self.left or (self.state == "intended" and not self.attempts)
    about: int = 0

    @property
    def told(self) -> bool:
        """Whether it reached a device though its channel, which tries it again, never said that it took it."""
        return self.state == "intended" and self.handed_at is None and self.delivered_at is not None

    @property
    def waiting(self) -> bool:
        """Whether it was never handed to its channel and may still be."""
        return self.state == "intended" and self.handed_at is None and not self.attempts

    @property
    def in_line(self) -> bool:
        """Whether it was handed to its channel, which has said nothing of it yet."""
        return self.state == "intended" and self.handed_at is not None and not self.attempts

    @property
    def went(self) -> bool:
        """Whether its channel has it, or took it, even if it was answered before that was heard."""
        return self.handed_at is not None and self.state != "failed" and not (self.state == "overtaken" and self.error)

    @property
    def planned(self) -> bool:
        """Whether it waits for a named reason before it is tried at all."""
        return self.waiting and self.held is not None

    @property
    def gathers(self) -> bool:
        """Whether it waits to go out together with others."""
        return self.kind == "page" and self.state == "intended" and self.handed_at is None and self.held in GATHERING

    @property
    def rang(self) -> bool:
        """Whether it was a call that nobody took: the number works, and nothing was said."""
        return self.state == "failed" and self.outcome in RANG

    def long_lost(self, now: Instant) -> bool:
        """Whether no channel took it, or the console alone, so long ago that only the store may know of it still."""
        lost = not self.left and not self.rang and (self.state == "failed" or self.overtaken_by > 0)
        long_ago = self.finished_at is not None and now - self.finished_at > FORGOTTEN_AFTER
        return long_ago and (lost or self.channel == CONSOLE)

    @property
    def on_hold(self) -> bool:
        """Whether it waits for another call to the same number to be over."""
        return self.state == "intended" and self.handed_at is None and self.held is Reason.ON_THE_PHONE

    @property
    def rings_until(self) -> Instant | None:
        """Until when its number is taken by it at the latest; None when it is no call, not on its way, or over."""
        if not profile(self.channel).rings or self.over_at is not None or self.state == "failed":
            return None
        if self.delivered_at is not None:
            return self.delivered_at + TALKS
        if self.handed_at is None:
            return self.lost_at + RINGS if self.lost_at is not None else None
        if self.state == "intended":
            return self.next_at  # its channel comes to it, and says what came of it
        return (self.left_at or self.handed_at) + RINGS


def tells(page: Page, receipt: Receipt) -> bool:
    """Whether a provider's word on how far a page got says anything new.

    It only moves forward: sent, delivered, seen, answered. A page that reached the person does not fail any more, and
    one that failed stays so. That a call is over is news, whatever came of it.
    """
    if receipt == "over":
        return page.over_at is None and page.state != "failed"
    if page.state == "failed" or page.answered_at is not None:
        return False
    return page.seen_at is None if receipt == "seen" else page.delivered_at is None


def receive(page: Page, receipt: Receipt, now: Instant) -> bool:
    """Note how far a page got; whether that is anything new. What was seen was delivered as well."""
    if not tells(page, receipt):
        return False
    if receipt in ("delivered", "seen", "over"):
        page.delivered_at = page.delivered_at or now
    if receipt == "over":
        page.over_at = now
    if receipt == "seen":
        page.seen_at = now
    return True


def retry_after(attempts: int) -> Duration:
    """How long to wait after the n-th failure of a channel that may recover: 5 s, 10 s, 20 s … at most 5 min."""
    return min(RETRY_FIRST << max(0, min(attempts - 1, 10)), RETRY_LONGEST)


def unreached_since(pages: Iterable[Page]) -> Instant | None:
    """Since when an incident's pages have reached nobody: the first that did not leave after the last that did.

    None when the last pages reached somebody, or are on their first way out.
    """
    wanted = [page for page in pages if page.kind == "page"]
    left = max((page.finished_at or page.intended_at for page in wanted if page.left), default=None)
    lost = [page for page in wanted if page.refused or (page.state == "failed" and not page.rang) or page.overtaken_by]
    return min((page.intended_at for page in lost if left is None or page.intended_at > left), default=None)
