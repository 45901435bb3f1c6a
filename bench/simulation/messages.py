"""Messages: which had to leave to whom until when, and whether they did."""

from __future__ import annotations

from collections.abc import Iterable
from heapq import heapify, heappop, heappush

from bench.simulation.cases import APART, BUNDLED_WITHIN, Case, foul
from bench.simulation.seen import Seen
from tocsin.pages.ledger import Page

WAYS = ("webhook", "email", "console")


class Messages:
    """What left, and what is owed."""

    def __init__(self, seen: Seen) -> None:
        self.seen = seen
        self._owed: list[tuple[int, int, int, str, str, int]] = []
        """Until when, and since when, a message for an incident has to have left to a person, by a way ("" any), for a
        step.
        """
        self._sent: dict[int, dict[tuple[str, str], int]] = {}
        """When something was handed to a channel last: by incident, and there by person and way."""
        self._taken: dict[int, dict[str, int]] = {}
        """When a channel took something last: by incident, and there by person."""
        self._paged: dict[tuple[str, str], list[int]] = {}

    def left(self, page: Page, together: Iterable[Page], answer: str, now: int) -> None:
        """A message left, about some pages, and its channel answered."""
        for row in together:
            self._sent.setdefault(row.incident, {})[row.person, row.channel] = now
            if answer == "sent":
                self._taken.setdefault(row.incident, {})[row.person] = now
        lately = self._paged.setdefault((page.person, page.channel), [])
        lately.append(now)
        del lately[:-4]

    def again(self, case: Case, begun: int, person: str, way: str, step: int, now: int) -> None:
        """What was owed while a case was paused is owed again."""
        heappush(self._owed, (now + BUNDLED_WITHIN, begun, case.number, person, way, step))

    def forget(self, number: int, people: set[str]) -> None:
        """Nothing is owed to these people any more."""
        self._owed = [one for one in self._owed if not (one[2] == number and one[3] in people)]
        heapify(self._owed)

    def owes(self, case: Case, person: str, now: int) -> None:
        """A message has to leave to somebody who is paged: now, or with others within half a minute; then the next."""
        who = self.seen.land.people[person]
        lately = [at for at in self._paged.get((person, who.ways[0]), ()) if now - at < BUNDLED_WITHIN]
        slack = BUNDLED_WITHIN if not who.flaky and len(lately) >= 3 else 0
        heappush(self._owed, (now + slack, now, case.number, person, "", case.step))
        if not who.flaky and len(who.ways) > 1:
            heappush(self._owed, (now + APART + BUNDLED_WITHIN, now, case.number, person, who.ways[1], case.step))

    def collect(self, now: int) -> None:
        """Everything that is owed by now must have left."""
        while self._owed and self._owed[0][0] <= now:
            until, begun, number, person, way, step = heappop(self._owed)
            case = self.seen.by_number.get(number)
            if case is not None and case.state == "triggered" and case.paused and begun > case.quieted:
                case.kept.append((begun, person, way, step))
                continue
            if case is None or not case.wanted:
                continue  # answered or over: nobody needs it any more
            if self.seen.gaps and self.seen.gaps[-1][0] <= until < self.seen.gaps[-1][1]:
                heappush(self._owed, (self.seen.gaps[-1][1] + BUNDLED_WITHIN, begun, number, person, way, step))
            elif self.sent_at(number, person, (way,) if way else WAYS) < begun:
                if begun <= case.quieted <= now:
                    continue  # it was answered, over or paged anew meanwhile, and what had not left was withdrawn
                raise foul(f"no message left to {person} ({way or 'any way'}) in time", case, now)

    def sent_at(self, number: int, person: str, ways: tuple[str, ...] = WAYS) -> int:
        """When something left to a person for an incident last, by some ways."""
        known = self._sent.get(number)
        return max(known.get((person, way), 0) for way in ways) if known else 0

    def taken_at(self, number: int, person: str) -> int:
        """When a channel took something to a person for an incident last."""
        return self._taken.get(number, {}).get(person, 0)

    def over(self, number: int) -> None:
        """Nothing of an incident is asked any more."""
        self._sent.pop(number, None)
        self._taken.pop(number, None)
