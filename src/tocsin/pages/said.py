"""Pages by where they were said: the chat or room that their provider names them by."""

from __future__ import annotations

from tocsin.pages.ledger import Page

Place = tuple[str, str]


class Said:
    """Kept beside the pages, and made again from them.

    Anybody may write to a bot, and each message asks what was said in its chat: that is found without looking at what
    was said elsewhere. A page without a place (``provider_id`` with no slash in it) is not kept here.
    """

    def __init__(self) -> None:
        self._pages: dict[Place, dict[int, Page]] = {}
        self._place_of: dict[int, Place] = {}

    def note(self, page: Page) -> None:
        """A page was written down or changed."""
        if "/" not in page.provider_id:
            return
        place = _place(page.channel, page.provider_id)
        if self._place_of.get(page.id) != place:
            self.forget(page)
            self._place_of[page.id] = place
        self._pages.setdefault(place, {})[page.id] = page

    def forget(self, page: Page) -> None:
        """A page is not in memory any more, or is elsewhere now."""
        place = self._place_of.pop(page.id, None)
        if place is not None:
            del self._pages[place][page.id]
            if not self._pages[place]:
                del self._pages[place]

    def at(self, channel: str, provider_id: str) -> list[Page]:
        """The pages of that provider's id, ``chat/message``, or of all ids that begin with ``chat/``; oldest first.

        From any thread: what may change meanwhile is copied in one step.
        """
        there = list(self._pages.get(_place(channel, provider_id), {}).values())
        if provider_id.endswith("/"):
            found = [page for page in there if page.provider_id.startswith(provider_id)]
        else:
            found = [page for page in there if page.provider_id == provider_id]
        return sorted(found, key=lambda page: page.id)


def _place(channel: str, provider_id: str) -> Place:
    return channel, provider_id.partition("/")[0]
