"""Which of a channel's waiting pages leaves next, and when: who is first, what each place may have under way, how many
a second its provider takes, and where nobody answers.

Decisions only, told the time: microseconds of any clock that is never set back.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from heapq import heappop, heappush
from itertools import count
from typing import NamedTuple, Protocol, runtime_checkable

from tocsin.kernel.instant import SECOND, Duration, Instant, say_duration
from tocsin.pages.ledger import Page
from tocsin.pages.message import Failed, Sent
from tocsin.pages.pace import Pace
from tocsin.runtime.buckets import Bucket

AT_ONCE = 64
"""Pages under way at once to a channel's only provider, and"""
EACH = 8
"""how many of them may be one person's."""
SHARE = 16
"""Pages under way to one place, of a channel that leads to several."""
SILENT_SHARE = 4
"""The same where the last page got no answer in time."""
MOST = 256
"""Pages under way to all places of a channel, of which so many"""
KEPT = 64
"""are kept for places that answered the last page."""
PATIENCE: Duration = 10 * SECOND
"""What a provider asks to wait longer than this is not waited for here: the pages go back, and other ways are used."""
MOST_PLACES = 4_096
"""Places that are remembered though nothing goes there."""

LAST = frozenset({"notice", "copy", "drill", "update", "synthetic"})
Line = tuple[str, str]
"""Person and address: what goes there shares eight at once."""
Waiting = tuple[int, str, int, Page]
"""Rank, severity, order of coming, and the page."""
Refused = tuple[Page, Failed]
"""A page that was not tried, and what stands in its way."""


@runtime_checkable
class Several(Protocol):
    """A channel that leads to more than one provider."""

    def place(self, address: str) -> str:
        """Which of them an address belongs to, as people may read it: ``hooks.shop.example``."""
        ...


class Turn(NamedTuple):
    """A page on its way out, to be given back with ``Lane.ended``."""

    page: Page
    place: str
    line: Line
    began: Instant


class _Place:
    """One provider behind a channel: what waits for it, what is under way, and how it was of late."""

    def __init__(self) -> None:
        self.waiting: dict[Line, list[Waiting]] = {}
        self.sending: Counter[Line] = Counter()
        self.bucket: Bucket | None = None
        self.answers: bool | None = None
        """Whether it answered the last page; None when there was none yet."""
        self.answered_at: Instant = -1
        self.rests: dict[str, tuple[Instant, str]] = {}
        """Until when it takes nothing more for an address, by its own word, and the code it said so with."""

    def idle(self, now: Instant) -> bool:
        """Whether nothing goes there, nor is kept from it."""
        return not (self.waiting or self.sending or any(until > now for until, _ in self.rests.values()))


class Lane:
    """One channel's pages that wait, by place and person. ``pace``: how many a second each place is to get."""

    def __init__(self, pace: Pace | None = None, place: Callable[[str], str] | None = None) -> None:
        self.pace = pace
        self.place = place
        self._places: dict[str, _Place] = {}
        self._order = count()
        self._sending = 0

    def add(self, page: Page, severity: str, now: Instant) -> Failed | None:
        """Queue a page; what stands in its way when it is not to be waited for.

        First pages go before repeated ones; notices, copies, drills and updates last; of each the gravest first.
        """
        name = self._name(page)
        place = self._places.get(name)
        if place is None:
            self._tidy(now)
            place = self._places[name] = _Place()
        until, code = place.rests.get(self._scope(page), (0, ""))
        if until - now > PATIENCE:
            return _asked_to_wait(name, page, code, until - now)
        rank = 2 if page.kind in LAST else 0 if page.step == 0 and page.attempts == 0 else 1
        heappush(place.waiting.setdefault(_line(page), []), (rank, severity or "~", next(self._order), page))
        return None

    def next(self, now: Instant) -> Turn | None:
        """The first in line of those that may leave now."""
        found = min(((heap[0], name, line) for name, line, heap in self._ready(now)), default=None)
        if found is None:
            return None
        _, name, line = found
        place = self._places[name]
        if self.pace is not None:
            place.bucket = place.bucket or Bucket(self.pace, now)
            place.bucket.take(self.pace, now)
        page = heappop(place.waiting[line])[3]
        if not place.waiting[line]:
            del place.waiting[line]
        place.sending[line] += 1
        self._sending += 1
        return Turn(page, name, line, now)

    def ended(self, turn: Turn, answer: Sent | Failed | None, now: Instant) -> list[Refused]:
        """A page is not being sent any more. None: it was not needed, and never left.

        Answers the pages that waited behind it and are not to wait any more: where nobody answers, and where the
        provider asked for more patience than there is.
        """
        place = self._places[turn.place]
        self._sending -= 1
        place.sending[turn.line] -= 1
        if not place.sending[turn.line]:
            del place.sending[turn.line]
        if answer is None:
            if place.bucket is not None and self.pace is not None:
                place.bucket.give_back(self.pace)
            return []
        silent = isinstance(answer, Failed) and answer.code == "deadline"
        if silent and place.answered_at < turn.began:
            place.answers = False
            why = "not tried: nobody answered there in time, nor since"
            return [(page, Failed("deadline", _at(turn.place, why))) for page in _emptied(place, lambda page: True)]
        if not silent:
            place.answers, place.answered_at = True, now
        if isinstance(answer, Failed) and answer.retry_after and not answer.permanent:
            return self._rest(place, turn, answer, now)
        return []

    def wakes(self, now: Instant) -> Instant | None:
        """When something may leave because time has passed; None when only an answer can make room."""
        moments = []
        for place in self._places.values():
            for line, heap in place.waiting.items():
                ready = max(self._resting(place, heap[0][3]), self._paced(place, now))
                if ready > now and place.sending[line] < EACH:
                    moments.append(ready)
        return min(moments, default=None)

    # -- inside --------------------------------------------------------------------------------------------------------

    def _name(self, page: Page) -> str:
        return self.place(page.address) if self.place is not None else ""

    def _scope(self, page: Page) -> str:
        """What a provider means that asks for patience: one address where each has limits of its own, else all."""
        return page.address if self.place is not None else ""

    def _ready(self, now: Instant) -> Iterator[tuple[str, Line, list[Waiting]]]:
        if self._sending >= (MOST if self.place is not None else AT_ONCE):
            return
        for name, place in self._places.items():
            if not place.waiting or not self._room(place) or self._paced(place, now) > now:
                continue
            for line, heap in place.waiting.items():
                if place.sending[line] < EACH and self._resting(place, heap[0][3]) <= now:
                    yield name, line, heap

    def _room(self, place: _Place) -> bool:
        """Whether a place may have one more under way."""
        share = AT_ONCE if self.place is None else SHARE
        if place.answers is False:
            share = min(share, SILENT_SHARE)
        if place.sending.total() >= share:
            return False
        return self.place is None or place.answers is True or self._sending < MOST - KEPT

    def _paced(self, place: _Place, now: Instant) -> Instant:
        """From when on a place takes one more by its pace."""
        if self.pace is None or place.bucket is None:
            return now
        return now + place.bucket.wait(self.pace, now)

    def _resting(self, place: _Place, page: Page) -> Instant:
        return place.rests.get(self._scope(page), (0, ""))[0]

    def _rest(self, place: _Place, turn: Turn, answer: Failed, now: Instant) -> list[Refused]:
        place.rests = {scope: rest for scope, rest in place.rests.items() if rest[0] > now}
        wait, scope = answer.retry_after or 0, self._scope(turn.page)
        place.rests[scope] = max(place.rests.get(scope, (0, "")), (now + wait, answer.code))
        if wait <= PATIENCE:
            return []
        waited = _emptied(place, lambda page: self._scope(page) == scope)
        return [(page, _asked_to_wait(turn.place, page, answer.code, wait)) for page in waited]

    def _tidy(self, now: Instant) -> None:
        """Forget places nothing goes to, when there are too many."""
        if len(self._places) >= MOST_PLACES:
            self._places = {name: place for name, place in self._places.items() if not place.idle(now)}


def _line(page: Page) -> Line:
    return page.person, page.address


def _emptied(place: _Place, which: Callable[[Page], bool]) -> list[Page]:
    """The pages that wait for a place, taken out, the first in line first."""
    found = sorted(one for heap in place.waiting.values() for one in heap if which(one[3]))
    taken = {one[2] for one in found}
    for line in list(place.waiting):
        left = [one for one in place.waiting[line] if one[2] not in taken]
        if left:
            place.waiting[line] = sorted(left)
        else:
            del place.waiting[line]
    return [one[3] for one in found]


def _at(place: str, why: str) -> str:
    return f"{place}: {why}" if place else why


def _asked_to_wait(place: str, page: Page, code: str, wait: Duration) -> Failed:
    said = f"not tried: the provider asked {page.channel} to wait, for {say_duration(wait)} yet"
    return Failed(code, _at(place, said), retry_after=wait)
