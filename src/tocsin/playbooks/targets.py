"""Targets: the systems of a service that a playbook may be bound to.

A target's name, with its service, is its lock; those that other services give the same system are its lock too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from itertools import chain
from typing import Any

import msgspec
from msgspec import Struct

from tocsin.kernel.matcher import Matcher, all_match
from tocsin.playbooks.manifest import Manifest

MOST_NAMED = 3


class Target(Struct, frozen=True, kw_only=True):
    """One system. ``reading`` and ``fixing`` are references such as ``secret:cart_ro``, never what they name; or what
    the plan itself says of a system, as ``here`` makes it: no secret is in it, only the names of secrets may be.

    ``match``: the alerts that are about it; () when every alert of the service may be. ``fixing`` "" when nothing may
    be changed on it. ``system``: what the plan says of where it is, which is the same for each service that has it;
    "" where all that is said is what it is read with. ``says``: a digest of all that the plan says of it; ``may``: of
    what may be done there alone, which is the same for others of which as much is said.
    """

    service: str
    name: str
    kind: str
    reading: str
    fixing: str = ""
    match: tuple[Matcher, ...] = ()
    system: str = ""
    says: str = ""
    may: str = ""

    @property
    def lock(self) -> str:
        """What two runs may not hold at once."""
        return f"{self.service}/{self.name}"


HERE = "here:"


def here(of_it: Mapping[str, object], secrets: Mapping[str, str] | None = None) -> str:
    """The reference of a system that the plan itself describes. ``secrets``: what is beside that and not in the plan,
    such as ``{"key": "secret:web_ro"}``; the step that may use them finds their texts under ``secrets``.
    """
    beside = {"secrets": dict(secrets)} if secrets else {}
    return HERE + msgspec.json.encode(dict(of_it) | beside, order="deterministic").decode()


def credential(reference: str, secret: Callable[[str], str]) -> str:
    """What a reference stands for. Raises what ``secret`` does for one that names a secret."""
    if not reference.startswith(HERE):
        return secret(reference)
    text = reference.removeprefix(HERE)
    if '"secrets":' not in text:
        return text
    with_texts = said(reference)
    with_texts["secrets"] = {name: secret(one) for name, one in with_texts.get("secrets", {}).items()}
    return msgspec.json.encode(with_texts, order="deterministic").decode()


def said(reference: str) -> dict[str, Any]:
    """What the plan itself says of a system; {} of one that is all secret."""
    if not reference.startswith(HERE):
        return {}
    return msgspec.json.decode(reference.removeprefix(HERE), type=dict[str, Any])


def secrets_of(reference: str) -> tuple[str, ...]:
    """The references of secrets that a target's reference names: itself, or those beside what the plan says."""
    return secrets_in(reference.removeprefix(HERE)) if reference.startswith(HERE) else (reference,)


def secrets_in(credential: str) -> tuple[str, ...]:
    """The secrets that a target's credential holds beside what the plan says; () for one that is all secret."""
    if not credential.startswith("{"):
        return ()
    try:
        return tuple(msgspec.json.decode(credential, type=_Held).secrets.values())
    except msgspec.MsgspecError:
        return ()


class _Held(Struct):
    secrets: dict[str, str] = {}


class Targets:
    """All targets of a plan, found by service, by name, and by what an alert says."""

    def __init__(self, targets: Iterable[Target]) -> None:
        self._of: dict[str, dict[str, Target]] = {}
        self._groups: dict[tuple[str, str], set[str]] = {}
        self._places: dict[str, int] = {}
        self._held_by: dict[str, Target] = {}
        self._saying: dict[tuple[str, str, str], list[Target]] = {}
        self._others: dict[str, list[Target]] = {}
        self._read_by: dict[tuple[str, str], list[Target]] = {}
        targets = tuple(targets)
        self._alike = dict(_shared(targets))
        for one in targets:
            self._of.setdefault(one.service, {})[one.name] = one
            self._groups.setdefault((one.service, one.kind), set()).add(one.lock)
            self._places[one.lock] = len(self._places)
            self._held_by[one.lock] = one
            self._read_by.setdefault((one.service, one.reading), []).append(one)
            equal = next((m for m in one.match if m.operator == "=" and m.value), None)
            if equal is None:
                self._others.setdefault(one.service, []).append(one)
            else:
                self._saying.setdefault((one.service, equal.label, equal.value), []).append(one)

    def of(self, service: str) -> Mapping[str, Target]:
        """A service's targets by name, in the plan's order."""
        return self._of.get(service, {})

    def held_by(self, lock: str) -> Target | None:
        """The target that has a lock."""
        return self._held_by.get(lock)

    @property
    def shared(self) -> bool:
        """Whether any system is a target of several services."""
        return bool(self._alike)

    def alike(self, locks: Iterable[str]) -> tuple[str, ...]:
        """These locks, and those of the same systems in other services."""
        if not self._alike:
            return tuple(locks)
        return tuple(dict.fromkeys(chain.from_iterable(map(self._names_of, locks))))

    def _names_of(self, lock: str) -> Iterator[str]:
        yield lock
        own = self._held_by.get(lock)
        for one in self._alike.get(lock, ()):
            if own is not None and one.service != own.service:
                yield one.lock

    def group(self, service: str, kind: str) -> Set[str]:
        """The locks of a service's targets of one kind."""
        return self._groups.get((service, kind), frozenset())

    def about(self, service: str, labels: Mapping[str, str]) -> list[Target]:
        """A service's targets that an alert with these labels is about, in the plan's order.

        Where none of a kind says that it is, a probe of Tocsin's own is about the one it looks at with the same secret.
        """
        found = list(self._others.get(service, ()))
        for name, value in labels.items():
            found += self._saying.get((service, name, value), ())
        meant = [one for one in found if all_match(one.match, labels)]
        probed = self._read_by.get((service, labels.get("instance", "")), ()) if "probe" in labels else ()
        kinds = {one.kind for one in meant}
        meant += [one for one in probed if one.kind not in kinds]
        return sorted(meant, key=lambda one: self._places[one.lock])


def _shared(targets: Iterable[Target]) -> Iterator[tuple[str, tuple[Target, ...]]]:
    """The locks of systems that several services have, each with all the targets that are this system.

    Where all that is said of a system is what it is read with, one service may tell several apart by name alone, as an
    account for many: by name they are told apart everywhere then.
    """
    of: dict[tuple[str, ...], list[Target]] = {}
    for one in targets:
        of.setdefault((one.kind, one.system or one.reading), []).append(one)
    for those in list(of.values()):
        if not those[0].system and len({one.service for one in those}) < len(those):
            del of[those[0].kind, those[0].reading]
            for one in those:
                of.setdefault((one.kind, one.reading, one.name), []).append(one)
    for those in of.values():
        if len({one.service for one in those}) > 1:
            one_system = tuple(those)
            yield from ((one.lock, one_system) for one in those)


class Unbound(Struct, frozen=True):
    """Why no target could be found for a playbook, as a sentence."""

    why: str


def bind(
    manifest: Manifest,
    service: str,
    targets: Targets,
    labels: Mapping[str, str] | None,
    wanted: Mapping[str, str] | None = None,
) -> dict[str, str] | Unbound:
    """Which target each parameter gets: the one named in ``wanted``, else the one whose matchers meet the labels.

    A target that is called as one of several parameters of its kind is meant by that one, and by no other.
    ``labels`` None: no alert is there to tell targets apart, so there must be one of the kind alone.
    """
    there = targets.of(service).values()
    bound: dict[str, str] = {}
    known = [param.name for param in manifest.targets]
    stray = next((name for name in wanted or {} if name not in known), None)
    if stray is not None:
        return Unbound(f"{manifest.name} has no target {stray}; it has {' and '.join(known) or 'none'}")
    for param in manifest.targets:
        named = (wanted or {}).get(param.name)
        if named is not None:
            meant = targets.of(service).get(named)
            if meant is None or meant.kind != param.kind:
                return Unbound(f"{service} has no {param.kind} target {named}")
            bound[param.name] = named
            continue
        called = _called(manifest, param.kind, there)
        possible = there if labels is None else targets.about(service, labels)
        about = [
            one for one in possible if one.kind == param.kind and called.get(one.name, param.name) == param.name
        ]
        about = [one for one in about if one.name in called] or about
        if not about:
            which = "that this alert is about" if targets.group(service, param.kind) else "at all"
            return Unbound(f"{service} has no {param.kind} target {which}")
        if len(about) > 1:
            names = listed([one.name for one in about])
            if labels is None:
                return Unbound(f"{service} has {names}: say which is meant")
            all_of = "both" if len(about) == 2 else "all"
            return Unbound(f"{names} of {service} are {all_of} meant by this alert: their match must tell them apart")
        if about[0].name in bound.values():
            return Unbound(f"{service} has {about[0].name} alone for two of {manifest.name}'s targets: name another")
        bound[param.name] = about[0].name
    return bound


def listed(names: Sequence[str]) -> str:
    """The first few names, and how many more there are."""
    more = len(names) - MOST_NAMED
    return " and ".join([*names[:MOST_NAMED], *([f"{more} more"] if more > 0 else [])])


def _called(manifest: Manifest, kind: str, there: Iterable[Target]) -> dict[str, str]:
    """Of the targets of a kind, those that are called as a parameter, where several parameters are of that kind."""
    params = {param.name for param in manifest.targets if param.kind == kind}
    if len(params) < 2:
        return {}
    return {one.name: one.name for one in there if one.kind == kind and one.name in params}
