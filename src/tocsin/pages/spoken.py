"""What was said last to an address: what words without a number can only be an answer to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from tocsin.kernel.instant import MINUTE, Duration, Instant
from tocsin.pages.ledger import ASKING, Page

UNREAD: Duration = MINUTE
"""What was said so lately may not have been read by whoever wrote what comes now."""
MOST_PLACES = 10_000
MOST_OF_ONE = 8

Place = tuple[str, str]


class Saying(NamedTuple):
    """``page``: the number of the one page that it asks to be answered; 0 of what asks for none, or about several."""

    at: Instant
    page: int


class Spoken:
    """Kept from when Tocsin starts, in memory alone: of what was said before it knows nothing, and says so with ().

    Whatever leaves counts, of whatever kind, and what answers were answered: notices are in nobody's memory for long,
    and the next thing somebody writes is about them all the same.
    """

    def __init__(self) -> None:
        self._last: dict[Place, tuple[Saying, ...]] = {}

    def note(self, channel: str, address: str, page: int, now: Instant) -> None:
        """Something is on its way to an address."""
        said = (*self._last.get((channel, address), ()), Saying(now, page))
        self._last.pop((channel, address), None)
        self._last[channel, address] = said[-MOST_OF_ONE:]
        if len(self._last) > MOST_PLACES:
            del self._last[next(iter(self._last))]

    def lately(self, channel: str, address: str, now: Instant, clocks: Duration = 0) -> tuple[Saying, ...]:
        """What whoever writes from there ``now`` may have read last, oldest first. ``clocks``: what that may be off by.
        """
        said = [one for one in self._last.get((channel, address), ()) if one.at <= now + clocks]
        read = [one for one in said if one.at <= now - UNREAD]
        return (*read[-1:], *said[len(read) :])


def answered_by_yes(said: Sequence[Saying], waiting: Sequence[Page]) -> Page | None:
    """The page that a yes is an answer to, of those that wait, oldest first: all that was ``said`` lately asks for it,
    or for another of its incident. None where it may be about anything else.
    """
    those: Mapping[int, Page] = {page.id: page for page in waiting}
    asked = [those.get(one.page) for one in said]
    found = [page for page in asked if page is not None]
    return found[-1] if len(found) == len(asked) and len({page.incident for page in found}) == 1 else None


def asks_alone(said: Sequence[Saying], answered: Page, later: Sequence[int], pages: Mapping[int, Page]) -> bool:
    """Whether all that was ``said`` lately asks for the page that words were taken for, or for another of its incident.

    A message that told of several asks for each of them. ``later``: pages that came after the words, which cannot be
    about them.
    """
    those = [pages.get(one.page) for one in said if one.page not in later]
    message = answered.bundle or answered.id
    return bool(those) and all(
        page is not None and page.kind in ASKING and (page.incident == answered.incident or page.id == message)
        for page in those
    )
