"""Which of a channel's waiting pages leaves next, and when: who is first, what each place may have under way, how many
a second its provider takes, and where nobody answers.

Decisions only, told the time: microseconds of any clock that is never set back.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from heapq import heapify, heappop, heappush
from itertools import count
from typing import NamedTuple, Protocol, runtime_checkable

from tocsin.kernel.buckets import Bucket
from tocsin.kernel.instant import SECOND, Duration, Instant, say_duration
from tocsin.pages.ledger import Page
from tocsin.pages.message import Failed, Sent
from tocsin.pages.pace import Pace

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

LAST = frozenset({"notice", "copy", "drill", "update"})
Line = tuple[str, str]
"""Person and address: what goes there shares eight at once."""
Key = tuple[int, str, bool, int]
"""What is first in line has the least: for whom it is, severity, whether it is a repeated page, order of coming."""
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


class _Waiting:
    """A page in line. ``gone``: it is not there any more, or stands elsewhere in the line by now."""

    __slots__ = ("gone", "key", "line", "page", "place")

    def __init__(self, key: Key, page: Page, place: _Place) -> None:
        self.key, self.page, self.place = key, page, place
        self.line: Line = (page.person, page.address)
        self.gone = False

    def __lt__(self, other: _Waiting) -> bool:
        return self.key < other.key


class _Place:
    """One provider behind a channel: what waits for it, what is under way, and how it was of late."""

    def __init__(self) -> None:
        self.heads: list[_Waiting] = []
        """A heap: of each person's address with room the first in line, and more."""
        self.parked: dict[Line, list[_Waiting]] = {}
        """Heaps of what waits for room at its address, or until that takes something again."""
        self.rested: set[Line] = set()
        """Those of the latter."""
        self.waiting = 0
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
        self._by_page: dict[int, list[_Waiting]] = {}
        self._order = count()
        self._sending = 0

    def add(self, page: Page, severity: str, now: Instant) -> Failed | None:
        """Queue a page; what stands in its way when it is not to be waited for.

        Notices, copies, drills and updates go last, synthetic pages just before them. Of each the gravest is first, and
        of those that are as grave first pages go before repeated ones and those of later steps.
        """
        name = self._name(page)
        place = self._places.get(name)
        if place is None:
            self._tidy(now)
            place = self._places[name] = _Place()
        until, code = place.rests.get(self._scope(page), (0, ""))
        if until - now > PATIENCE:
            return _asked_to_wait(name, page, code, until - now)
        repeated = page.step > 0 or page.attempts > 0
        one = _Waiting((_whose(page), severity or "~", repeated, next(self._order)), page, place)
        self._by_page.setdefault(page.id, []).append(one)
        heappush(place.heads, one)
        place.waiting += 1
        return None

    @property
    def waiting(self) -> list[Page]:
        """The pages in line, in no order."""
        return [one.page for found in self._by_page.values() for one in found]

    @property
    def waits(self) -> bool:
        """Whether some page is in line."""
        return bool(self._by_page)

    def holds(self, page: int) -> bool:
        """Whether a page is in line."""
        return page in self._by_page

    def regrade(self, page: int, severity: str) -> None:
        """What a page that waits is about became graver, or less grave: it stands elsewhere in the line now."""
        for number, one in enumerate(self._by_page.get(page, ())):
            whose, was, repeated, order = one.key
            if was == (severity or "~"):
                continue
            one.gone = True
            again = _Waiting((whose, severity or "~", repeated, order), one.page, one.place)
            self._by_page[page][number] = again
            heappush(one.place.heads, again)

    def next(self, now: Instant) -> Turn | None:
        """The first in line of those that may leave now."""
        if self._sending >= (MOST if self.place is not None else AT_ONCE):
            return None
        found: tuple[_Waiting, str] | None = None
        for name, place in self._places.items():
            if place.waiting and self._room(place) and self._closed(place, now) <= now:
                one = self._head(place, now)
                if one is not None and (found is None or one < found[0]):
                    found = one, name
        if found is None:
            return None
        one, name = found
        place = one.place
        if self.pace is not None:
            place.bucket = place.bucket or Bucket(self.pace, now)
            place.bucket.take(self.pace, now)
        heappop(place.heads)
        self._left(one)
        place.sending[one.line] += 1
        self._sending += 1
        return Turn(one.page, name, one.line, now)

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
        _make_room(place, turn.line)
        if answer is None:
            if place.bucket is not None and self.pace is not None:
                place.bucket.give_back(self.pace)
            return []
        silent = isinstance(answer, Failed) and answer.code == "deadline"
        if silent and place.answered_at < turn.began:
            place.answers = False
            # Not a deadline of theirs: a call that had one may be ringing, and these were never asked for.
            why = Failed("untried", _at(turn.place, "not tried: nobody answered there in time, nor since"))
            return [(page, why) for page in self._emptied(place, lambda page: True)]
        if not silent:
            place.answers, place.answered_at = True, now
        if isinstance(answer, Failed) and answer.retry_after and not answer.permanent:
            return self._rest(place, turn, answer, now)
        return []

    def wakes(self, now: Instant) -> Instant | None:
        """When something may leave because time has passed; None when only an answer can make room."""
        moments = []
        for place in self._places.values():
            if not place.waiting:
                continue
            closed = self._closed(place, now)
            if self._head(place, now) is not None:
                moments.append(closed)
            moments += [max(closed, self._resting(place, line)) for line in place.rested]
        return min((moment for moment in moments if moment > now), default=None)

    # -- inside --------------------------------------------------------------------------------------------------------

    def _name(self, page: Page) -> str:
        return self.place(page.address) if self.place is not None else ""

    def _scope(self, page: Page) -> str:
        """What a provider means that asks for patience: one address where each has limits of its own, else all."""
        return page.address if self.place is not None else ""

    def _head(self, place: _Place, now: Instant) -> _Waiting | None:
        """The first in line at a place whose address has room and takes something."""
        for line in [line for line in place.rested if self._resting(place, line) <= now]:
            _make_room(place, line)
        while place.heads:
            one = place.heads[0]
            resting = self._resting(place, one.line) > now
            if not one.gone and not resting and place.sending[one.line] < EACH:
                return one
            heappop(place.heads)
            if not one.gone:
                heappush(place.parked.setdefault(one.line, []), one)
                if resting:
                    place.rested.add(one.line)
        return None

    def _room(self, place: _Place) -> bool:
        """Whether a place may have one more under way."""
        share = AT_ONCE if self.place is None else SHARE
        if place.answers is False:
            share = min(share, SILENT_SHARE)
        if place.sending.total() >= share:
            return False
        return self.place is None or place.answers is True or self._sending < MOST - KEPT

    def _closed(self, place: _Place, now: Instant) -> Instant:
        """From when on a place takes one more, by its pace and by its own word about all of its addresses."""
        paced = now if self.pace is None or place.bucket is None else now + place.bucket.wait(self.pace, now)
        return max(paced, place.rests[""][0]) if self.place is None and "" in place.rests else paced

    def _resting(self, place: _Place, line: Line) -> Instant:
        """Until when an address of its own takes nothing, by its provider's word."""
        return place.rests.get(line[1], (0, ""))[0] if self.place is not None else 0

    def _rest(self, place: _Place, turn: Turn, answer: Failed, now: Instant) -> list[Refused]:
        place.rests = {scope: rest for scope, rest in place.rests.items() if rest[0] > now}
        wait, scope = answer.retry_after or 0, self._scope(turn.page)
        place.rests[scope] = max(place.rests.get(scope, (0, "")), (now + wait, answer.code))
        if wait <= PATIENCE:
            return []
        waited = self._emptied(place, lambda page: self._scope(page) == scope)
        return [(page, _asked_to_wait(turn.place, page, answer.code, wait)) for page in waited]

    def _left(self, one: _Waiting) -> None:
        """A page is not in line any more."""
        one.gone = True
        one.place.waiting -= 1
        others = self._by_page[one.page.id]
        others.remove(one)
        if not others:
            del self._by_page[one.page.id]

    def _emptied(self, place: _Place, which: Callable[[Page], bool]) -> list[Page]:
        """The pages that wait for a place, taken out, the first in line first."""
        everything = [one for heap in (place.heads, *place.parked.values()) for one in heap if not one.gone]
        found = sorted(one for one in everything if which(one.page))
        for one in found:
            self._left(one)
        place.heads = [one for one in everything if not one.gone]
        heapify(place.heads)
        place.parked, place.rested = {}, set()
        return [one.page for one in found]

    def _tidy(self, now: Instant) -> None:
        """Forget places nothing goes to, when there are too many."""
        if len(self._places) >= MOST_PLACES:
            self._places = {name: place for name, place in self._places.items() if not place.idle(now)}


def _whose(page: Page) -> int:
    """Pages that want somebody come first, Tocsin's own to itself after them, what nobody has to answer last."""
    return 2 if page.kind in LAST else 1 if page.kind == "synthetic" else 0


def _make_room(place: _Place, line: Line) -> None:
    """An address takes more: what waits for it stands in line again, as many as there is room for."""
    place.rested.discard(line)
    parked, room = place.parked.get(line, []), EACH - place.sending[line]
    while parked and room > 0:
        one = heappop(parked)
        if not one.gone:
            heappush(place.heads, one)
            room -= 1
    if not parked:
        place.parked.pop(line, None)


def _at(place: str, why: str) -> str:
    return f"{place}: {why}" if place else why


def _asked_to_wait(place: str, page: Page, code: str, wait: Duration) -> Failed:
    said = f"not tried: the provider asked {page.channel} to wait, for {say_duration(wait)} yet"
    return Failed(code, _at(place, said), retry_after=wait)
