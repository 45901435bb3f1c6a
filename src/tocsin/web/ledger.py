"""The page ledger as pages show it: for every page why, by which provider's id, how far it got, and what followed."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from tocsin.kernel.reason import EXPLAINED, Reason
from tocsin.pages.exported import Followed, followed
from tocsin.pages.ledger import Page
from tocsin.pages.profiles import profile
from tocsin.web.words import Reader, span


class LedgerLine(NamedTuple):
    """One page. ``why``: a clause after "because"; ``reached``: how far it got; ``then``: what followed, or ""."""

    page: Page
    why: str
    reached: tuple[str, ...]
    then: str


def lines(reader: Reader, pages: Iterable[Page], around: Iterable[Page] = ()) -> list[LedgerLine]:
    """The pages as lines, in their order. ``around``: those of their incidents, where ``pages`` are not all of them."""
    shown = list(pages)
    by_incident: dict[int, dict[int, Page]] = {}
    for page in (*shown, *around):
        by_incident.setdefault(page.incident, {})[page.id] = page
    then: dict[int, Followed] = {}
    for theirs in by_incident.values():
        then |= followed([theirs[id] for id in sorted(theirs)])
    return [LedgerLine(page, page.why, _reached(page), _then(reader, page, then[page.id])) for page in shown]


def _reached(page: Page) -> tuple[str, ...]:
    """How far its provider says it got, and what the person did: each with the time since it was written down."""
    moments = (("arrived", page.delivered_at), ("seen", page.seen_at))
    return tuple(f"{what} after {span(at - page.intended_at)}" for what, at in moments if at is not None)


def _then(reader: Reader, page: Page, found: Followed) -> str:
    """What followed, as a sentence without its full stop. An answer by it is told beside it."""
    if not page.incident or page.kind != "page" or page.answered_at is not None:
        return ""
    if found.instead is not None:
        return f"Then {_told(reader, found.instead)} in its stead"
    following = found.next
    if following is None:
        return "No page has followed"
    told = f"Then {_told(reader, following)}"
    if (following.reason, following.step) == (page.reason, page.step):
        return told
    if following.reason is Reason.STEP_DUE:
        return f"{told}, when step {following.step + 1} was due"
    return f"{told}, because {EXPLAINED[following.reason]}"


def _told(reader: Reader, page: Page) -> str:
    """``Ben was paged by email at 03:18``, as far as it came."""
    you = page.person == reader.person
    who, how = ("you" if you else reader.name(page.person)), profile(page.channel).by
    was, is_ = ("were", "are") if you else ("was", "is")
    if page.left:
        return f"{who} {was} paged {how} at {reader.clock(page.left_at or page.intended_at)}"
    if page.rang:
        return f"{who} did not pick up the telephone"
    if page.state == "intended":
        when = f" at {reader.clock(page.next_at)}" if page.planned and page.next_at is not None else ""
        return f"{who} {is_} to be paged {how}{when}"
    return f"{who} could not be reached {how}" if page.state == "failed" else f"{who} {was} not paged {how} any more"
