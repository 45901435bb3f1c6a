"""Which firing alerts are about which target: kept, so that a guard asks of one target and not of all alerts.

It follows from alerts and plan alone and is made again whenever it is missing, so no table has it. Nothing is kept for
a service of which nobody asks.
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
        kept.follow(every, newest)
        return kept


class _Service:
    def __init__(self, name: str, targets: Targets) -> None:
        self.name = name
        self.targets = targets
        self.about: dict[str, set[int]] = {}
        self.ill: set[str] = set()
        self.changed: set[int] = set()
        self._locks: dict[int, tuple[str, ...]] = {}
        self._up_to = 0

    def follow(self, every: Mapping[int, Alert], newest: int) -> None:
        """Catch up with what came and what changed since it was asked last."""
        if newest == self._up_to and not self.changed:
            return
        if len(self.changed) + newest - self._up_to > len(every):
            self.about, self.ill, self._locks = {}, set(), {}
            ids: Iterable[int] = list(every)
        else:
            ids = (*self.changed, *range(self._up_to + 1, newest + 1))
        for id in ids:
            self._place(id, every.get(id))
        self.changed.clear()
        self._up_to = newest

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
