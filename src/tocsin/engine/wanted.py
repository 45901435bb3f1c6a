"""Which firing alerts of an incident want which playbooks on which targets: kept, so that a storm is looked at once.

It follows from alerts and plan alone and is made again whenever it is missing, so no table has it. Nothing is kept for
an incident of which nobody asks.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set
from typing import NamedTuple

from tocsin.alerts.alert import Alert
from tocsin.incidents.incident import Incident
from tocsin.plan.model import Plan
from tocsin.playbooks.manifest import Manifest
from tocsin.playbooks.targets import Unbound, bind


class Wish(NamedTuple):
    """A playbook that answers an alert, and the targets it would be bound to for that.

    ``place``: its place among those of its service. ``targets``: parameter and name. ``holds``: what its run would
    hold. ``why``: why no target fits; "" when they do.
    """

    place: int
    playbook: str
    targets: tuple[tuple[str, str], ...] = ()
    holds: tuple[str, ...] = ()
    why: str = ""

    @property
    def names(self) -> tuple[str, ...]:
        """The names of its targets."""
        return tuple(name for _, name in self.targets)

    @property
    def key(self) -> str:
        """Under which an incident keeps what became of it."""
        return key_of(self.playbook, self.names) if not self.why else f"{self.playbook}: {self.why}"


Chain = tuple[Wish, ...]
"""What answers an alert, in the plan's order; () when nothing does."""


def key_of(playbook: str, targets: Iterable[str]) -> str:
    """Under which an incident keeps what a playbook did on targets."""
    return f"{playbook} {','.join(targets)}"


def chain_of(plan: Plan, service: str, labels: Mapping[str, str], severity: str) -> Chain:
    """What answers an alert with these labels in an incident of this service and severity."""
    named = enumerate(plan.answers.get(service, ()))
    known = ((place, plan.playbooks.get(name)) for place, name in named)
    return tuple(
        wish_of(plan, service, one, labels, place)
        for place, one in known
        if one is not None and one.matches(labels, severity)
    )


def wish_of(plan: Plan, service: str, manifest: Manifest, labels: Mapping[str, str], place: int = 0) -> Wish:
    """A playbook for an alert with these labels, whether it answers that or not, on the targets that is about."""
    bound = bind(manifest, service, plan.bindings, labels)
    if isinstance(bound, Unbound):
        return Wish(place, manifest.name, why=bound.why)
    locks = tuple(f"{service}/{one}" for one in bound.values())
    return Wish(place, manifest.name, tuple(bound.items()), locks or (f"{service}//{manifest.name}",))


class Wanted:
    """The firing alerts of incidents by what answers them, silenced ones too."""

    def __init__(self) -> None:
        self._plan: Plan | None = None
        self._of: dict[int, _Alerts] = {}

    def changed(self, alert: Alert) -> None:
        """An alert that is not new began or ended to fire, has other labels, or is in another incident."""
        if self._of and (kept := self._of.get(alert.incident)) is not None:
            kept.changed.add(alert.id)

    def forget(self, incident: int) -> None:
        """An incident is not in memory any more."""
        self._of.pop(incident, None)

    def chains(
        self, plan: Plan, incident: Incident, firing: Set[int], every: Mapping[int, Alert], newest: int
    ) -> Mapping[Chain, Set[int]]:
        """An incident's firing alerts by what answers them; some that fire no more may be among them.

        ``every``: all alerts that are known. ``newest``: the last id that was given.
        """
        return self._kept(plan, incident, firing, every, newest).by_chain

    def wanting(
        self,
        keys: Iterable[str],
        plan: Plan,
        incident: Incident,
        firing: Set[int],
        every: Mapping[int, Alert],
        newest: int,
    ) -> Mapping[Chain, Set[int]]:
        """Those of ``chains`` that have a wish with one of these keys, without looking at the others."""
        kept = self._kept(plan, incident, firing, every, newest)
        return {chain: kept.by_chain[chain] for key in keys for chain in kept.by_key.get(key, ())}

    def _kept(
        self, plan: Plan, incident: Incident, firing: Set[int], every: Mapping[int, Alert], newest: int
    ) -> _Alerts:
        if plan is not self._plan:
            self._plan, self._of = plan, {}
        kept = self._of.get(incident.number)
        if kept is None or kept.severity != incident.severity:
            kept = self._of[incident.number] = _Alerts(incident.severity)
        kept.follow(plan, incident.service, firing, every, newest)
        return kept

    @property
    def incidents(self) -> Set[int]:
        """Those of which something is kept now."""
        return self._of.keys()


class _Alerts:
    def __init__(self, severity: str) -> None:
        self.severity = severity
        self.by_chain: dict[Chain, set[int]] = {}
        self.by_key: dict[str, set[Chain]] = {}
        self.changed: set[int] = set()
        self._chain: dict[int, Chain] = {}
        self._up_to = 0

    def follow(self, plan: Plan, service: str, firing: Set[int], every: Mapping[int, Alert], newest: int) -> None:
        """Catch up with what came and what changed since it was asked last."""
        if newest == self._up_to and not self.changed:
            return
        ids: Iterable[int]
        if len(self.changed) + newest - self._up_to > len(firing):
            self.by_chain, self.by_key, self._chain = {}, {}, {}
            ids = sorted(firing)
        else:
            ids = (*sorted(self.changed), *range(self._up_to + 1, newest + 1))
        for id in ids:
            self._place(id, chain_of(plan, service, every[id].labels, self.severity) if id in firing else None)
        self.changed.clear()
        self._up_to = newest

    def _place(self, id: int, chain: Chain | None) -> None:
        before = self._chain.pop(id, None)
        if before is not None:
            self.by_chain[before].discard(id)
            if not self.by_chain[before]:
                del self.by_chain[before]
                self._of_keys(before, discard=True)
        if chain is not None:
            self._chain[id] = chain
            if chain not in self.by_chain:
                self.by_chain[chain] = set()
                self._of_keys(chain)
            self.by_chain[chain].add(id)

    def _of_keys(self, chain: Chain, *, discard: bool = False) -> None:
        for key in {wish.key for wish in chain}:
            if not discard:
                self.by_key.setdefault(key, set()).add(chain)
                continue
            self.by_key[key].discard(chain)
            if not self.by_key[key]:
                del self.by_key[key]
