"""The runs guards count, found by what they count: a playbook, a service's own, a target, a trouble.

A guard asks for the newest and stops when it has seen enough, so that a storm over thousands of targets does not make
each run look at all others.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable, Iterator
from heapq import merge
from itertools import groupby

from tocsin.kernel.instant import Instant
from tocsin.playbooks.manifest import Over
from tocsin.playbooks.run import Run

_Place = tuple[str, ...]
_Marks = list[tuple[Instant, int]]
"""Instants and numbers of runs, in order."""


class Remembered:
    """Runs that live and those that ended lately."""

    def __init__(self) -> None:
        self._runs: dict[int, Run] = {}
        self._began: dict[_Place, _Marks] = {}
        self._ended: dict[_Place, _Marks] = {}
        self._spent: dict[_Place, _Marks] = {}
        """Beginnings of the runs that rates count: those that live, and those that changed something."""
        self._changed: dict[_Place, _Marks] = {}
        """Ends of the runs that changed something."""

    def keep(self, run: Run) -> None:
        """Remember a run; say it again when it has ended."""
        if run.number not in self._runs:
            self._runs[run.number] = run
            for place in _places(run):
                insort(self._began.setdefault(place, []), (run.started_at, run.number))
                insort(self._spent.setdefault(place, []), (run.started_at, run.number))
        if run.ended_at is not None:
            for place in _places(run):
                _mark(self._ended.setdefault(place, []), (run.ended_at, run.number))
                if run.changed:
                    _mark(self._changed.setdefault(place, []), (run.ended_at, run.number))
                else:
                    _unmark(self._spent, place, (run.started_at, run.number))

    def forget(self, run: Run) -> None:
        """Let a run go."""
        del self._runs[run.number]
        for place in _places(run):
            for begun in (self._began, self._spent):
                _unmark(begun, place, (run.started_at, run.number))
            for over in (self._ended, self._changed):
                _unmark(over, place, (run.ended_at or 0, run.number))

    def since(self, at: Instant) -> int:
        """How many runs began after an instant, without those that ended and changed nothing; so the next two."""
        return self._since((), at)

    def of_playbook_since(self, playbook: str, at: Instant) -> int:
        """How many runs of a playbook began after an instant, for all services."""
        return self._since(("playbook", playbook), at)

    def own_on_since(self, playbook: str, holds: tuple[str, ...], at: Instant) -> int:
        """How many runs of a playbook on any of these targets, or of one without targets, began after an instant."""
        places = [("on", playbook, lock) for lock in holds]
        if len(places) == 1:
            return self._since(places[0], at)
        return len({number for place in places for began, number in self._spent.get(place, ()) if began > at})

    def counted(self, over: Over, playbook: str, holds: tuple[str, ...], at: Instant) -> int:
        """How many runs a rate counts that began after an instant."""
        match over:
            case "fleet":
                return self.since(at)
            case "target":
                return self.own_on_since(playbook, holds, at)
            case "playbook":
                return self.of_playbook_since(playbook, at)

    def nth_counted(self, over: Over, playbook: str, holds: tuple[str, ...], at: Instant, nth: int) -> Instant:
        """When the ``nth`` of those runs began, the oldest being the 0th. Raises IndexError when there is none."""
        places: list[_Place] = [()]
        if over == "playbook":
            places = [("playbook", playbook)]
        elif over == "target":
            places = [("on", playbook, lock) for lock in holds]
        each = [self._spent.get(place, []) for place in places]
        if len(each) == 1:
            return each[0][self._begin(each[0], at) + nth][0]
        return sorted({mark for marks in each for mark in marks[self._begin(marks, at) :]})[nth][0]

    def own_on(self, playbook: str, lock: str) -> Iterator[Run]:
        """A playbook's runs on one target, the one that began last first."""
        return self._last(self._began, ("on", playbook, lock))

    def on(self, lock: str) -> Iterator[Run]:
        """All runs on one target, the one that began last first."""
        return self._last(self._began, ("lock", lock))

    def answers_to(self, service: str, playbook: str, trouble: str) -> Iterator[Run]:
        """A playbook's runs for incidents of one group, the one that began last first."""
        return self._last(self._began, ("trouble", service, playbook, trouble))

    def ended(self, service: str, playbook: str) -> Iterator[Run]:
        """A playbook's runs for a service that are over, the one that ended last first."""
        return self._last(self._ended, ("own", service, playbook))

    def changed(self, service: str, playbook: str) -> Iterator[Run]:
        """Of those that are over, the runs that changed something, the one that ended last first."""
        return self._last(self._changed, ("own", service, playbook))

    def changed_on(self, playbook: str, lock: str) -> Iterator[Run]:
        """Of those, the ones on one target."""
        return self._last(self._changed, ("on", playbook, lock))

    def ended_on(self, playbook: str, lock: str) -> Iterator[Run]:
        """A playbook's runs on one target that are over, the one that ended last first."""
        return self._last(self._ended, ("on", playbook, lock))

    def _since(self, place: _Place, at: Instant) -> int:
        began = self._spent.get(place, [])
        return len(began) - self._begin(began, at)

    @staticmethod
    def _begin(marks: _Marks, at: Instant) -> int:
        """The place of the first mark after an instant."""
        return bisect_right(marks, at, key=lambda mark: mark[0])

    def _last(self, marks: dict[_Place, _Marks], place: _Place) -> Iterator[Run]:
        return (self._runs[number] for _, number in reversed(marks.get(place, ())))


def newest_ended(each: Iterable[Iterable[Run]]) -> Iterator[Run]:
    """Runs that are over, from several rows in each of which the one that ended last is first: so all together."""
    return _once(merge(*each, key=lambda run: (-(run.ended_at or 0), -run.number)))


def newest_begun(each: Iterable[Iterable[Run]]) -> Iterator[Run]:
    """Likewise by when they began."""
    return _once(merge(*each, key=lambda run: (-run.started_at, -run.number)))


def _once(runs: Iterable[Run]) -> Iterator[Run]:
    return (next(same) for _, same in groupby(runs, key=lambda run: run.number))


def _mark(marks: _Marks, mark: tuple[Instant, int]) -> None:
    at = bisect_left(marks, mark)
    if at == len(marks) or marks[at] != mark:
        marks.insert(at, mark)


def _unmark(of: dict[_Place, _Marks], place: _Place, mark: tuple[Instant, int]) -> None:
    marks = of.get(place, [])
    at = bisect_left(marks, mark)
    if at < len(marks) and marks[at] == mark:
        del marks[at]
    if not marks:
        of.pop(place, None)


def _places(run: Run) -> Iterator[_Place]:
    yield ()
    yield ("playbook", run.playbook)
    yield ("own", run.service, run.playbook)
    if run.trouble:
        yield ("trouble", run.service, run.playbook, run.trouble)
    for lock in dict.fromkeys(run.holds):
        yield ("on", run.playbook, lock)  # a lock has its service's name
    for lock in dict.fromkeys(run.locks):
        yield ("lock", lock)
