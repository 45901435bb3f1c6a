"""Which firing alerts are about which target: kept, so that a guard asks of one target and not of all alerts.

It follows from alerts and plan alone and is made again whenever it is missing, so no table has it. For a service of
which nobody asks nothing is kept but which alerts are its.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set

from tocsin.alerts.alert import Alert
from tocsin.kernel.reason import Reason
from tocsin.playbooks.targets import Targets

MOST_CHANGED = 10_000
"""When so many changed since it was asked last, all is looked at anew when it is asked again."""


class Concerned:
    """The firing alerts of services by the locks of the targets they are about, silenced ones too, heartbeats not."""

    def __init__(self) -> None:
        self._targets: Targets | None = None
        self._of: dict[str, _Service] = {}
        self._ids = _Ids()

    def changed(self, alert: Alert) -> None:
        """An alert that is not new began or ended to fire, or has other labels."""
        if self._of and (kept := self._of.get(alert.service)) is not None:
            kept.changed.add(alert.id)
            if len(kept.changed) > MOST_CHANGED:
                del self._of[alert.service]

    def alerts(self, lock: str, service: str, targets: Targets, every: Mapping[int, Alert], newest: int) -> Set[int]:
        """The firing alerts that are about a target of a service, however many there are.

        ``every``: all alerts that are known. ``newest``: the last id that was given.
        """
        return self._kept(service, targets, every, newest).about.get(lock, frozenset())

    def ill(self, service: str, targets: Targets, every: Mapping[int, Alert], newest: int) -> Set[str]:
        """The locks of those of a service's targets of which a firing alert says that it is about them.

        Where a target has no matchers every alert of the service may be about it, and none says so.
        """
        return self._kept(service, targets, every, newest).ill

    @property
    def services(self) -> Set[str]:
        """Those of which something is kept now."""
        return self._of.keys()

    def _kept(self, service: str, targets: Targets, every: Mapping[int, Alert], newest: int) -> _Service:
        if targets is not self._targets:
            self._targets, self._of = targets, {}
        kept = self._of.get(service)
        if kept is None:
            kept = self._of[service] = _Service(service, targets)
        self._ids.follow(every, newest)
        kept.follow(self._ids, every)
        return kept


class _Ids:
    """Which alerts are of which service, by the order they came in; some may not be known any more."""

    def __init__(self) -> None:
        self.made = 0
        """How often it was made anew."""
        self._of: dict[str, list[int]] = {}
        self._count = self._up_to = 0

    def of(self, service: str) -> list[int]:
        """Those of one service."""
        return self._of.get(service, [])

    def follow(self, every: Mapping[int, Alert], newest: int) -> None:
        """Take in what came since it was asked last; each alert once, however many services are asked about."""
        if newest == self._up_to:
            return
        ids: Iterable[int] = range(self._up_to + 1, newest + 1)
        if self._count + newest - self._up_to > 2 * len(every):
            self._of, self._count, self.made, ids = {}, 0, self.made + 1, list(every)
        for id in ids:
            alert = every.get(id)
            if alert is not None:
                self._of.setdefault(alert.service, []).append(id)
                self._count += 1
        self._up_to = newest


class _Service:
    def __init__(self, name: str, targets: Targets) -> None:
        self.name = name
        self.targets = targets
        self.about: dict[str, set[int]] = {}
        self.ill: set[str] = set()
        self.changed: set[int] = set()
        self._locks: dict[int, tuple[str, ...]] = {}
        self._placed = self._made = 0

    def follow(self, known: _Ids, every: Mapping[int, Alert]) -> None:
        """Catch up with what came and what changed since it was asked last."""
        own = known.of(self.name)
        if known.made != self._made or len(self.changed) + len(own) - self._placed > len(own):
            self.about, self.ill, self._locks = {}, set(), {}
            ids: Iterable[int] = own
        elif self.changed or self._placed < len(own):
            ids = (*self.changed, *own[self._placed :])
        else:
            return
        for id in ids:
            self._place(id, every.get(id))
        self.changed.clear()
        self._placed, self._made = len(own), known.made

    def _place(self, id: int, alert: Alert | None) -> None:
        before, now = self._locks.pop(id, ()), self._meant(alert)
        if now:
            self._locks[id] = now
        for lock in before:
            self.about[lock].discard(id)
        for lock in now:
            self.about.setdefault(lock, set()).add(id)
        for lock in {*before, *now}:
            target = self.targets.held_by(lock)
            ill = target is not None and target.match and self.about[lock]
            (self.ill.add if ill else self.ill.discard)(lock)

    def _meant(self, alert: Alert | None) -> tuple[str, ...]:
        if alert is None or alert.service != self.name or not concerns(alert):
            return ()
        return tuple(one.lock for one in self.targets.about(self.name, alert.labels))


def concerns(alert: Alert) -> bool:
    """Whether an alert tells of trouble: it fires, and does not count as a heartbeat."""
    return alert.firing and alert.reason is not Reason.COUNTS_AS_HEARTBEAT
