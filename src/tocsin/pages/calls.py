"""Calls by number: which may ring now, and which wait until that is over."""

from __future__ import annotations

from tocsin.kernel.instant import Instant
from tocsin.pages.ledger import Page
from tocsin.pages.profiles import profile


class Calls:
    """Kept beside the pages, and made again from them.

    ``ringing``: by number, calls that were made and are not known to be over; of a message about several incidents its
    first page alone. ``on_hold``: those that wait for such a one. A storm may hold thousands for one number, so each is
    found without looking at the others.
    """

    def __init__(self) -> None:
        self.ringing: dict[str, dict[int, Page]] = {}
        self.on_hold: dict[str, dict[int, Page]] = {}

    def note(self, page: Page) -> None:
        """A page was written down or changed."""
        if not profile(page.channel).rings:
            return
        rings = page.rings_until is not None and page.bundle in (0, page.id)
        if rings and page.handed_at is not None:
            self._over_by(page.address, page.handed_at)
        _keep(self.ringing, page, rings)
        _keep(self.on_hold, page, page.on_hold)

    def forget(self, page: Page) -> None:
        """A page is not in memory any more."""
        _keep(self.ringing, page, False)
        _keep(self.on_hold, page, False)

    def taken_until(self, page: Page) -> Instant | None:
        """Until when a page's number is taken by another call at the latest; None when there is none."""
        others = [one.rings_until for one in self.ringing.get(page.address, {}).values() if one is not page]
        return max((end for end in others if end is not None), default=None)

    def waiting(self, number: str) -> list[Page]:
        """What waits for a number, the oldest first."""
        found = self.on_hold.get(number, {})
        return [found[id] for id in sorted(found)]

    def _over_by(self, number: str, now: Instant) -> None:
        """Nobody said that these are over: they cannot ring any more."""
        for one in list(self.ringing.get(number, {}).values()):
            if one.rings_until is not None and one.rings_until <= now:
                _keep(self.ringing, one, False)


def _keep(index: dict[str, dict[int, Page]], page: Page, there: bool) -> None:
    if there:
        index.setdefault(page.address, {})[page.id] = page
    elif page.id in index.get(page.address, {}):
        del index[page.address][page.id]
        if not index[page.address]:
            del index[page.address]
