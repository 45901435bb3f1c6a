"""The runs guards count, found by what they count: a playbook, a service's own, a target, a trouble.

A guard asks for the newest and stops when it has seen enough, so that a storm over thousands of targets does not make
each run look at all others.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterator

from tocsin.kernel.instant import Instant
from tocsin.playbooks.run import Run

_Place = tuple[str, ...]


class Remembered:
    """Runs that live and those that ended lately, by number in the order they began."""

    def __init__(self) -> None:
        self._began: dict[_Place, dict[int, Run]] = {}
        self._ended: dict[_Place, list[tuple[Instant, int]]] = {}
        self._runs: dict[int, Run] = {}

    def keep(self, run: Run) -> None:
        """Remember a run; say it again when it has ended."""
        if run.number not in self._runs:
            self._runs[run.number] = run
            for place in _places(run):
                self._began.setdefault(place, {})[run.number] = run
        if run.ended_at is not None:
            for place in _places(run):
                ended, mark = self._ended.setdefault(place, []), (run.ended_at, run.number)
                at = bisect_left(ended, mark)
                if at == len(ended) or ended[at] != mark:
                    insort(ended, mark)

    def forget(self, run: Run) -> None:
        """Let a run go."""
        del self._runs[run.number]
        for place in _places(run):
            del self._began[place][run.number]
            if not self._began[place]:
                del self._began[place]
            ended = self._ended.get(place, [])
            at = bisect_left(ended, (run.ended_at or 0, run.number))
            if at < len(ended) and ended[at][1] == run.number:
                del ended[at]
            if not ended:
                self._ended.pop(place, None)

    def newest(self) -> Iterator[Run]:
        """All runs, the one that began last first."""
        return reversed(self._runs.values())

    def of_playbook(self, playbook: str) -> Iterator[Run]:
        """A playbook's runs for all services, the one that began last first."""
        return self._newest(("playbook", playbook))

    def own_on(self, service: str, playbook: str, lock: str) -> Iterator[Run]:
        """A playbook's runs on one target, the one that began last first."""
        return self._newest(("on", service, playbook, lock))

    def answers_to(self, service: str, playbook: str, trouble: str) -> Iterator[Run]:
        """A playbook's runs for incidents of one group, the one that began last first."""
        return self._newest(("trouble", service, playbook, trouble))

    def ended(self, service: str, playbook: str) -> Iterator[Run]:
        """A playbook's runs for a service that are over, the one that ended last first."""
        return self._last(("own", service, playbook))

    def ended_on(self, service: str, playbook: str, lock: str) -> Iterator[Run]:
        """Its runs on one target that are over, the one that ended last first."""
        return self._last(("on", service, playbook, lock))

    def _newest(self, place: _Place) -> Iterator[Run]:
        return reversed(self._began.get(place, {}).values())

    def _last(self, place: _Place) -> Iterator[Run]:
        return (self._runs[number] for _, number in reversed(self._ended.get(place, ())))


def _places(run: Run) -> Iterator[_Place]:
    yield ("playbook", run.playbook)
    yield ("own", run.service, run.playbook)
    if run.trouble:
        yield ("trouble", run.service, run.playbook, run.trouble)
    for lock in dict.fromkeys(run.locks):
        yield ("on", run.service, run.playbook, lock)
